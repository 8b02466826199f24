#include <stdlib.h>
#include <string.h>

#include "proto/allowlist.h"
#include "tests/unit/unit.h"

static struct allowlist list;
static char why[256];

static enum err load(const char *json)
{
    json_error_t error;
    json_t *array = json_loads(json, JSON_DECODE_ANY, &error);
    ck_assert_msg(array != NULL, "%s", error.text);
    enum err e = allowlist_from_json(array, &list, why, sizeof why);
    json_decref(array);
    return e;
}

static struct allowlist_verdict judge(const char *method, const char *authority, const char *path,
                                      bool websocket)
{
    static struct canonical c;
    struct allowlist_verdict v;
    struct http_message m;
    http_message_init(&m);
    http_message_set_method(&m, method, strlen(method));
    http_message_set_authority(&m, authority, strlen(authority));
    http_message_set_path(&m, path, strlen(path));
    m.websocket = websocket;
    allowlist_judge(&list, &m, &c, &v);
    http_message_free(&m);
    ck_assert((v.result == ALLOWLIST_ALLOW) == (v.rule != NULL));
    ck_assert((v.result == ALLOWLIST_ALLOW) == (v.why[0] == '\0'));
    return v;
}

#define ALLOWED(method, host, path, ws)       ck_assert_uint_eq(judge(method, host, path, ws).status, 0)
#define REFUSED(method, host, path, ws, code) ck_assert_uint_eq(judge(method, host, path, ws).status, code)

START_TEST(test_automatic_rules)
{
    allowlist_init(&list);
    ck_assert_int_eq(
        allowlist_add_join_url(&list, "Join.Example.com", 443, ALLOWLIST_DEFAULT_METHODS, why, sizeof why),
        ERR_OK);
    ck_assert_uint_eq(list.n, 2);
    json_t *json = allowlist_to_json(&list);
    char *text = json_dumps(json, JSON_COMPACT);
    ck_assert_str_eq(text, "[{\"description\":\"Meeting Server web bridges\",\"scheme\":\"https\","
                           "\"host\":\"join.example.com\",\"port\":443,\"match\":\"prefix\",\"path\":\"/\","
                           "\"methods\":[\"GET\",\"HEAD\",\"POST\",\"PUT\",\"DELETE\"]},"
                           "{\"description\":\"Meeting Server web bridges\",\"scheme\":\"wss\","
                           "\"host\":\"join.example.com\",\"port\":443,\"match\":\"prefix\",\"path\":\"/\","
                           "\"methods\":[\"GET\",\"HEAD\",\"POST\",\"PUT\",\"DELETE\"]}]");
    free(text);
    ck_assert_int_eq(allowlist_from_json(json, &list, why, sizeof why), ERR_OK); /* and back */
    json_decref(json);
    ALLOWED("GET", "join.example.com", "/", false);
    ALLOWED("DELETE", "JOIN.example.com.:443", "/any/thing?x", false);
    ALLOWED("GET", "join.example.com", "/ws", true);
    ck_assert(judge("GET", "join.example.com", "/ws", true).rule->websocket);
    REFUSED("PATCH", "join.example.com", "/", false, 403);
    REFUSED("OPTIONS", "join.example.com", "/", false, 403);
    REFUSED("get", "join.example.com", "/", false, 403);
    REFUSED("TRACE", "join.example.com", "/", false, 403);
    REFUSED("GET", "other.example.com", "/", false, 421);
    REFUSED("GET", "xjoin.example.com", "/", false, 421);
    REFUSED("GET", "join.example.com.evil.org", "/", false, 421);
    REFUSED("GET", "join.example.com:8443", "/", false, 421);
    REFUSED("GET", "10.0.0.1", "/", false, 421);
    REFUSED("GET", "join.example.com", "/../", false, 400);
    REFUSED("GET", "user@join.example.com", "/", false, 400);
    ck_assert_str_eq(
        judge("PATCH", "join.example.com", "/x", false).why,
        "no rule allows method PATCH for https://join.example.com/x; nearest is \"Meeting Server web "
        "bridges\", which allows GET,HEAD,POST,PUT,DELETE");
    ck_assert_str_eq(judge("GET", "a.org", "/x", false).why, "no rule is for host a.org port 443");
    uint16_t port = 0;
    ck_assert(allowlist_knows_host(&list, "join.example.com", &port));
    ck_assert_uint_eq(port, 443);
    ck_assert(!allowlist_knows_host(&list, "example.com", &port));
    allowlist_free(&list);
}
END_TEST

START_TEST(test_paths_and_schemes)
{
    allowlist_init(&list);
    ck_assert_int_eq(
        load("[{\"host\":\"a\",\"path\":\"/app\",\"methods\":[\"GET\"]},"
             "{\"host\":\"a\",\"path\":\"/dir/\"},"
             "{\"host\":\"a\",\"path\":\"/one/%41\",\"match\":\"exact\",\"methods\":[\"POST\"]},"
             "{\"host\":\"b\",\"port\":8443,\"scheme\":\"wss\",\"path\":\"/ws\",\"match\":\"exact\"}]"),
        ERR_OK);
    ALLOWED("GET", "a", "/app", false);
    ALLOWED("GET", "a", "/app/", false);
    ALLOWED("GET", "a", "/app/x/../y?z", false);
    ALLOWED("GET", "a", "/%61pp/x", false);
    REFUSED("GET", "a", "/apple", false, 403);
    REFUSED("GET", "a", "/app/../x", false, 403);
    REFUSED("GET", "a", "/app/%2e%2e/x", false, 403);
    REFUSED("GET", "a", "//app/x", false, 403);
    REFUSED("GET", "a", "/App", false, 403);
    REFUSED("POST", "a", "/app", false, 403);
    REFUSED("GET", "a", "/app", true, 403);
    ALLOWED("PUT", "a", "/dir/x", false);
    REFUSED("PUT", "a", "/dir", false, 403);
    ALLOWED("POST", "a", "/one/A", false);
    ALLOWED("POST", "a", "/one/A?q", false);
    REFUSED("POST", "a", "/one/A/", false, 403);
    REFUSED("POST", "a", "/one/A/b", false, 403);
    ALLOWED("GET", "b:8443", "/ws", true);
    REFUSED("GET", "b:8443", "/ws", false, 403);
    REFUSED("GET", "b", "/ws", true, 421);
    ck_assert_str_eq(judge("GET", "b:8443", "/ws", false).why,
                     "no rule with scheme https is for https://b:8443/ws");
    ck_assert_str_eq(judge("POST", "a", "/x", false).why,
                     "no https rule covers the path of https://a/x; nearest is \"\" (prefix /app)");
    allowlist_free(&list);
}
END_TEST

START_TEST(test_bad_rules)
{
    static const char *const rows[][2] = {
        {"{}", "a list of rules is wanted"},
        {"[1]", "rule 1: an object is wanted"},
        {"[{\"path\":\"/\"}]", "rule 1: host: a host name is wanted"},
        {"[{\"host\":\"a\"},{\"host\":\"a\",\"hots\":1}]", "rule 2: hots: unknown key"},
        {"[{\"host\":\"a b\"}]", "rule 1: host: \"a b\": a character that does not belong in a host name"},
        {"[{\"host\":\"a:443\"}]", "rule 1: host: \"a:443\" must be given without a port"},
        {"[{\"host\":\"a\",\"port\":0}]", "rule 1: port: 1 to 65535 is wanted"},
        {"[{\"host\":\"a\",\"port\":\"443\"}]", "rule 1: port: 1 to 65535 is wanted"},
        {"[{\"host\":\"a\",\"scheme\":\"http\"}]", "rule 1: scheme: \"https\" or \"wss\" is wanted"},
        {"[{\"host\":\"a\",\"match\":\"regex\"}]", "rule 1: match: \"prefix\" or \"exact\" is wanted"},
        {"[{\"host\":\"a\",\"path\":\"x\"}]", "rule 1: path: \"x\": the path does not start with a slash"},
        {"[{\"host\":\"a\",\"path\":\"/..\"}]",
         "rule 1: path: \"/..\": dot segments that climb above the root"},
        {"[{\"host\":\"a\",\"path\":\"/a?b\"}]", "rule 1: path: \"/a?b\": a rule has no query"},
        {"[{\"host\":\"a\",\"methods\":[]}]", "rule 1: methods: a list with at least one method is wanted"},
        {"[{\"host\":\"a\",\"methods\":[\"CONNECT\"]}]",
         "rule 1: methods: \"CONNECT\" is not a method that can be allowed"},
        {"[{\"host\":\"a\",\"methods\":[\"get\"]}]",
         "rule 1: methods: \"get\" is not a method that can be allowed"},
        {"[{\"host\":\"a\",\"methods\":\"GET\"}]",
         "rule 1: methods: a list with at least one method is wanted"},
    };
    allowlist_init(&list);
    ck_assert_int_eq(load("[{\"host\":\"kept\"}]"), ERR_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert_int_eq(load(rows[i][0]), ERR_CONFIG);
        ck_assert_str_eq(why, rows[i][1]);
        ck_assert_str_eq(list.rules[0].host, "kept");
    }
    allowlist_free(&list);
    ck_assert_uint_eq(judge("GET", "a", "/", false).status, 421); /* an empty list allows nothing */
}
END_TEST

UNIT_MAIN("allowlist", test_automatic_rules, test_paths_and_schemes, test_bad_rules)
