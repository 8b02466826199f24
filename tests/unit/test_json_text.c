/* JSON text changed in place: what is written where, and that nothing else moves. */
#include <stdlib.h>
#include <string.h>

#include "common/json_text.h"
#include "tests/unit/unit.h"

static const char document[] = "{\n"
                               "    \"revision\":  7,\n"
                               "\n"
                               "    \"edges\": [\n"
                               "        {\n"
                               "            \"name\": \"edge1\"\n"
                               "        }\n"
                               "    ], \"turn\" : {\"enabled\": true, \"odd\": \"a \\\" ] }\"}\n"
                               "}\n";

/* The text is taken and must be right. */
static void is(char *text, const char *wanted)
{
    ck_assert_ptr_nonnull(text);
    ck_assert_str_eq(text, wanted);
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(json);
    json_decref(json);
    free(text);
}

static char *set(const char *text, const char *pointer, const char *key, json_t *value)
{
    char *out = json_text_set(text, pointer, key, value);
    json_decref(value);
    return out;
}

static char *append(const char *text, const char *pointer, json_t *value)
{
    char *out = json_text_append(text, pointer, value);
    json_decref(value);
    return out;
}

START_TEST(test_find)
{
    ck_assert_int_eq(strncmp(json_text_find(document, "/edges/0/name"), "\"edge1\"", 7), 0);
    ck_assert_int_eq(strncmp(json_text_find(document, "/turn/enabled"), "true", 4), 0);
    ck_assert_ptr_eq(json_text_find(document, ""), document);
    ck_assert_ptr_null(json_text_find(document, "/edges/1"));
    ck_assert_ptr_null(json_text_find(document, "/revision/x"));
    ck_assert_ptr_eq(json_text_nearest(document, "/edges/1/name"), json_text_find(document, "/edges"));
}
END_TEST

START_TEST(test_set)
{
    is(set(document, "", "revision", json_integer(8)),
       "{\n    \"revision\":  8,\n\n    \"edges\": [\n        {\n            \"name\": \"edge1\"\n        }\n"
       "    ], \"turn\" : {\"enabled\": true, \"odd\": \"a \\\" ] }\"}\n}\n");
    is(set("{\"a\":1}", "", "b", json_pack("[i,i]", 1, 2)), "{\"a\":1, \"b\": [1, 2]}");
    is(set("{}", "", "b", json_true()), "{\"b\": true}");
    is(set("{\n  \"a\": 1\n}", "", "b", json_string("x")), "{\n  \"a\": 1,\n  \"b\": \"x\"\n}");
    is(set("{\n  \"a\": [\n    \"x\"\n  ]\n}", "", "a", json_pack("[s,s]", "x", "y")),
       "{\n  \"a\": [\n    \"x\",\n    \"y\"\n  ]\n}");
    ck_assert_ptr_null(json_text_set(document, "/edges", "x", json_true()));
    ck_assert_ptr_null(json_text_set(document, "/nothing", "x", json_true()));
}
END_TEST

START_TEST(test_append)
{
    is(append(document, "/edges", json_pack("{ssss}", "name", "edge2", "ssh", "h")),
       "{\n    \"revision\":  7,\n\n    \"edges\": [\n        {\n            \"name\": \"edge1\"\n        "
       "},\n"
       "        {\n            \"name\": \"edge2\",\n            \"ssh\": \"h\"\n        }\n"
       "    ], \"turn\" : {\"enabled\": true, \"odd\": \"a \\\" ] }\"}\n}\n");
    is(append("[]", "", json_integer(1)), "[1]");
    is(append("[ 1 ]", "", json_integer(2)), "[ 1, 2 ]");
    is(append("[\n\t{\"a\": 1}\n]", "", json_pack("{si}", "b", 2)), "[\n\t{\"a\": 1},\n\t{\"b\": 2}\n]");
    ck_assert_ptr_null(json_text_append(document, "/turn", json_true()));
}
END_TEST

START_TEST(test_remove)
{
    const char *three = "[\n  1,\n  [2, \"]\"],\n  3\n]";
    is(json_text_remove(three, "", 0), "[\n  [2, \"]\"],\n  3\n]");
    is(json_text_remove(three, "", 1), "[\n  1,\n  3\n]");
    is(json_text_remove(three, "", 2), "[\n  1,\n  [2, \"]\"]\n]");
    is(json_text_remove("{\"a\": [ 1 ]}", "/a", 0), "{\"a\": [  ]}");
    ck_assert_ptr_null(json_text_remove(three, "", 3));
    ck_assert_ptr_null(json_text_remove("[]", "", 0));
    ck_assert_ptr_null(json_text_remove("{}", "", 0));
}
END_TEST

/* What is added can be taken out again, and all is as before. */
START_TEST(test_there_and_back)
{
    json_t *value = json_pack("{ss}", "name", "edge2");
    char *more = json_text_append(document, "/edges", value);
    json_decref(value);
    is(json_text_remove(more, "/edges", 1), document);
    free(more);
}
END_TEST

UNIT_MAIN("json_text", test_find, test_set, test_append, test_remove, test_there_and_back)
