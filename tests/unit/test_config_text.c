/* What has changed in a config, and problems taken apart. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/config_text.h"
#include "tests/unit/unit.h"

static void changes(const char *from, const char *to, size_t size, const char *wanted)
{
    char out[CONFIG_SUMMARY];
    json_t *a = json_loads(from, 0, NULL), *b = json_loads(to, 0, NULL);
    ck_assert(a && b);
    ck_assert_str_eq(config_changes(a, b, out, size), wanted);
    json_decref(a);
    json_decref(b);
}

START_TEST(test_changes)
{
    changes("{\"revision\":1,\"a\":1}", "{\"revision\":2,\"a\":1}", CONFIG_SUMMARY, "");
    changes("{\"a\":{\"b\":1}}", "{\"a\":{\"b\":2}}", CONFIG_SUMMARY, "a.b");
    changes("{\"a\":[1]}", "{\"a\":[2]}", CONFIG_SUMMARY, "a");
    changes("{\"a\":[{\"b\":1},{}]}", "{\"a\":[{\"b\":2},{}]}", CONFIG_SUMMARY, "a[0].b");
    changes("{\"a\":[{}]}", "{\"a\":[{},{}]}", CONFIG_SUMMARY, "a");
    changes("{}", "{\"a\":1}", CONFIG_SUMMARY, "a");
    changes("{\"a\":1}", "{}", CONFIG_SUMMARY, "a");
    changes("{\"a\":{\"b\":1}}", "{\"a\":{\"b\":2}}", 20, " and 1 more");
}
END_TEST

static void problem(const char *why, const char *wanted)
{
    json_t *p = config_problem_json(why), *w = json_loads(wanted, 0, NULL);
    ck_assert(w);
    ck_assert_msg(json_equal(p, w), "%s", json_dumps(p, JSON_COMPACT));
    json_decref(p);
    json_decref(w);
}

START_TEST(test_problems)
{
    problem("/etc/stile.json:7: turn.allow_peers[0]: \"x\" is not: a network",
            "{\"file\":\"/etc/stile.json\",\"line\":7,\"key\":\"turn.allow_peers[0]\",\"message\":\"\\\"x\\\" is not: a "
            "network\"}");
    problem("a.json:1: not valid JSON: x", "{\"file\":\"a.json\",\"line\":1,\"message\":\"not valid JSON: x\"}");
    problem("a.json:1: (top level): x", "{\"file\":\"a.json\",\"line\":1,\"message\":\"(top level): x\"}");
    problem("/etc/key: cannot be opened: No", "{\"file\":\"/etc/key\",\"message\":\"cannot be opened: No\"}");
    problem("out of memory", "{\"message\":\"out of memory\"}");
    problem(": x", "{\"message\":\": x\"}");
}
END_TEST

START_TEST(test_place)
{
    struct schema_source source = {.file = "f", .text = "{\n\"a\": {\n\"b\": [\n{},\n{}\n]}}"};
    char why[SCHEMA_WHY] = "a.b: rule 2: no host";
    config_problem_place(&source, why);
    ck_assert_str_eq(why, "f:5: a.b[1]: no host");
}
END_TEST

UNIT_MAIN("config_text", test_changes, test_problems, test_place)
