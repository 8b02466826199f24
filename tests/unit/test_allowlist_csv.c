/* Rules and tests as CSV: what is taken, the line and words of what is not, and the way back. */
#include <stdlib.h>
#include <string.h>

#include "proto/allowlist_csv.h"
#include "tests/unit/unit.h"

static struct allowlist list;
static char text[2048], why[ALLOWLIST_CSV_WHY];

static enum err load(const char *s)
{
    strcpy(text, s);
    return allowlist_csv_read("rules.csv", text, &list, why, sizeof why);
}

START_TEST(test_rules)
{
    allowlist_init(&list);
    ck_assert_int_eq(
        load("Url,Deployment,HttpMethods,MatchType,Description\r\n"
             "https://Docs.example.com/Guide,Main,\"GET, HEAD\",Prefix,\"The guide, \"\"public\"\"\"\r\n"
             "wss://[2001:DB8::1]:8443/%61pi,,,exact,\r\n"
             "https://x.example.com\r\n"),
        ERR_OK);
    ck_assert_uint_eq(list.n, 3);
    ck_assert_str_eq(list.rules[0].host, "docs.example.com");
    ck_assert_str_eq(list.rules[0].path, "/Guide");
    ck_assert_str_eq(list.rules[0].description, "The guide, \"public\"");
    ck_assert_uint_eq(list.rules[0].methods, 1u << ALLOWLIST_GET | 1u << ALLOWLIST_HEAD);
    ck_assert(!list.rules[0].exact && !list.rules[0].websocket && list.rules[0].port == 443);
    ck_assert_str_eq(list.rules[1].host, "[2001:db8::1]");
    ck_assert_str_eq(list.rules[1].path, "/api");
    ck_assert(list.rules[1].exact && list.rules[1].websocket && list.rules[1].port == 8443);
    ck_assert_uint_eq(list.rules[1].methods, ALLOWLIST_DEFAULT_METHODS);
    ck_assert_str_eq(list.rules[2].path, "/");
    ck_assert(list.rules[2].exact); /* as the appliance has it */
    allowlist_free(&list);
}
END_TEST

START_TEST(test_columns_in_any_order)
{
    allowlist_init(&list);
    ck_assert_int_eq(load("description,MATCHTYPE,url\nmine,prefix,https://a/b\n"), ERR_OK);
    ck_assert_str_eq(list.rules[0].description, "mine");
    ck_assert_str_eq(list.rules[0].path, "/b");
    allowlist_free(&list);
}
END_TEST

START_TEST(test_refused)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "rules.csv:1: empty; a header line is wanted that names the columns"},
        {"Deployment\n", "rules.csv:1: the header line must name the column Url"},
        {"Url,url\n", "rules.csv:1: the column Url is there twice"},
        {"https://a/,,\n", "rules.csv:1: \"https://a/\" is no column of this file; its columns are "
                           "Url,Deployment,HttpMethods,MatchType,Description"},
        {"Url\nhttps://a/\n\nhttp://b/\n",
         "rules.csv:4: Url: \"http://b/\": a URL that begins with https:// or wss:// is wanted"},
        {"Url\nhttps:///x\n", "rules.csv:2: Url: \"https:///x\": a host is wanted behind the scheme"},
        {"Url\nhttps://user@a/x\n", "rules.csv:2: Url: user information in front of the host"},
        {"Url\nhttps://a/x?y\n", "rules.csv:2: path: \"/x?y\": a rule has no query"},
        {"Url,MatchType\nhttps://a/,regex\n", "rules.csv:2: MatchType: \"regex\": prefix or exact is wanted"},
        {"Url,HttpMethods\nhttps://a/,\"GET,TRACE\"\n",
         "rules.csv:2: HttpMethods: \"TRACE\" is not a method that can be allowed"},
        {"Url,HttpMethods\nhttps://a/,GET,POST\n",
         "rules.csv:2: 3 fields, where the header names 2; a list of methods is quoted: \"GET,POST\""},
        {"Url\n\"https://a/\n", "rules.csv:2: a quote is not closed"},
    };
    allowlist_init(&list);
    ck_assert_int_eq(load("Url\nhttps://there/\n"), ERR_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert_int_eq(load(rows[i].text), ERR_CONFIG);
        ck_assert_str_eq(why, rows[i].words);
        ck_assert_uint_eq(list.n, 1);
    }
    allowlist_free(&list);
}
END_TEST

START_TEST(test_written_is_read)
{
    static const char csv[] = "Url,Deployment,HttpMethods,MatchType,Description\r\n"
                              "https://a/x%20y,,\"GET,POST\",prefix,\"a, b\"\r\n"
                              "wss://[::1]:8443/,,GET,exact,\r\n";
    char *out;
    size_t n;
    FILE *memory = open_memstream(&out, &n);
    allowlist_init(&list);
    ck_assert_int_eq(load(csv), ERR_OK);
    allowlist_csv_write(memory, &list);
    fclose(memory);
    ck_assert_str_eq(out, csv);
    free(out);
    allowlist_free(&list);
}
END_TEST

START_TEST(test_long_description)
{
    char csv[600] = "Url,Description\nhttps://a/,x";
    for (int i = 0; i < 200; i++)
        strcat(csv, "\xc3\xbc"); /* two bytes a character: the limit falls into one */
    allowlist_init(&list);
    ck_assert_int_eq(load(csv), ERR_OK);
    json_t *json = allowlist_to_json(&list);
    ck_assert_ptr_nonnull(json);
    json_decref(json);
    allowlist_free(&list);
}
END_TEST

static unsigned seen;

static void each(void *ctx, const struct allowlist_test *t)
{
    struct allowlist_verdict v;
    ck_assert_ptr_eq(ctx, &seen);
    allowlist_judge_url(&list, t->url, t->method, &v);
    ck_assert_msg((v.result == ALLOWLIST_ALLOW) == t->allow, "line %u: %s %s: %s", t->line, t->method, t->url,
                  v.why);
    ck_assert((v.result == ALLOWLIST_ALLOW) == (v.rule != NULL));
    seen++;
}

START_TEST(test_tests)
{
    allowlist_init(&list);
    ck_assert_int_eq(load("Url,HttpMethods,MatchType\nhttps://a/app,GET,prefix\nwss://a/ws,,exact\n"),
                     ERR_OK);
    strcpy(text, "Url,ExpectedResult,Deployment,Description,HttpMethod\n"
                 "https://a/app,allow\n"
                 "https://A:443/app/x?y#z,Allow,,\n"
                 "https://a/apple,block\n"
                 "https://a/app,block,,,POST\n"
                 "https://a/app/../x,block\n"
                 "https://a/app/%2e%2e%2fx,block\n"
                 "https://a:8443/app,block\n"
                 "wss://a/ws,allow\n"
                 "wss://a/app,block\n"
                 "https://a/ws,block\n"
                 "http://a/app,block\n"
                 "gibberish,block\n"
                 "https://a,block\n");
    ck_assert_int_eq(allowlist_csv_tests("t.csv", text, each, &seen, why, sizeof why), ERR_OK);
    ck_assert_uint_eq(seen, 13);
    strcpy(text, "Url,ExpectedResult\nhttps://a/app,maybe\n");
    ck_assert_int_eq(allowlist_csv_tests("t.csv", text, each, &seen, why, sizeof why), ERR_CONFIG);
    ck_assert_str_eq(why, "t.csv:2: ExpectedResult: \"maybe\": allow or block is wanted");
    strcpy(text, "Url\n");
    ck_assert_int_eq(allowlist_csv_tests("t.csv", text, each, &seen, why, sizeof why), ERR_CONFIG);
    ck_assert_str_eq(why, "t.csv:1: the header line must name the column ExpectedResult");
    allowlist_free(&list);
}
END_TEST

UNIT_MAIN("allowlist_csv", test_rules, test_columns_in_any_order, test_refused, test_written_is_read,
          test_long_description, test_tests)
