#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/canonical.h"
#include "tests/unit/unit.h"

struct row {
    const char *given, *wanted; /* wanted NULL: refused */
};

static const struct row path_rows[] = {
    {"/", "/"},
    {"/a/b", "/a/b"},
    {"/a/b/", "/a/b/"},
    {"/a//b", "/a//b"},
    {"/a;x=1/b,c", "/a;x=1/b,c"},
    {"/a:b@c!$&'()*+=~", "/a:b@c!$&'()*+=~"},
    {"/%41%7e%2d", "/A~-"},
    {"/%3b%c3%a9%20", "/%3B%C3%A9%20"},
    {"/a|b[c]^d", "/a|b[c]^d"},
    /* Dot segments. */
    {"/.", "/"},
    {"/./", "/"},
    {"/a/.", "/a/"},
    {"/a/./b", "/a/b"},
    {"/a/..", "/"},
    {"/a/../", "/"},
    {"/a/b/..", "/a/"},
    {"/a/b/../c", "/a/c"},
    {"/a/b/../../c", "/c"},
    {"/a//../b", "/a/b"},
    {"//../b", "/b"},
    {"/%2e%2E/..", NULL},
    {"/a/%2e%2e/b", "/b"},
    {"/a/.%2e/b", "/b"},
    {"/a/%2e/b", "/a/b"},
    {"/..", NULL},
    {"/../", NULL},
    {"/../a", NULL},
    {"/./../a", NULL},
    {"/a/../../b", NULL},
    {"/%2e%2e/a", NULL},
    {"/app/%2e%2e/%2e%2e/x", NULL},
    {"/.a", "/.a"},
    {"/..a", "/..a"},
    {"/...", "/..."},
    {"/a.", "/a."},
    {"/a..", "/a.."},
    {"/..;/a", NULL},
    {"/a/..;x=1/b", NULL},
    {"/a/.;/b", NULL},
    {"/a/..%3b/b", NULL},
    {"/a/%2e%2e%3B/b", NULL},
    {"/a/..;", NULL},
    /* Encodings. */
    {"/a%2fb", NULL},
    {"/a%2Fb", NULL},
    {"/a%5cb", NULL},
    {"/a\\b", NULL},
    {"/a%00b", NULL},
    {"/a%0ab", NULL},
    {"/a%0d%0ab", NULL},
    {"/a%7f", NULL},
    {"/a%", NULL},
    {"/a%2", NULL},
    {"/a%zz", NULL},
    {"/a%2g", NULL},
    {"/%u002e", NULL},
    {"/a%252fb", NULL},
    {"/a%252e%252e/b", NULL},
    {"/a%255cb", NULL},
    {"/a%2500", NULL},
    {"/a%25252f", NULL},
    {"/a%25%32f", NULL},
    {"/a%252%46", NULL},
    {"/a%25%32%65/b", NULL},
    {"/100%25", "/100%25"},
    {"/a%2541", "/a%2541"},
    {"/a%25zz", "/a%25zz"},
    {"/%c0%ae%c0%ae/", "/%C0%AE%C0%AE/"},
    /* Characters and shape. */
    {"", NULL},
    {"a", NULL},
    {"*", NULL},
    {"?a", NULL},
    {"https://a/b", NULL},
    {"/a b", NULL},
    {"/a\tb", NULL},
    {"/a\x7f", NULL},
    {"/a\xc3\xa9", NULL},
    {"/a#b", NULL},
    /* Queries. */
    {"/a?", "/a?"},
    {"/a?b=../../c&d=%2f%zz", "/a?b=../../c&d=%2f%zz"},
    {"/a/../b?c/../d", "/b?c/../d"},
    {"/a?b?c", "/a?b?c"},
    {"/a?{\"x\":[1]}|\\^`", "/a?{\"x\":[1]}|\\^`"},
    {"/a?b c", NULL},
    {"/a?b#c", NULL},
    {"/a?b\x01", NULL},
    {"/a?\xc3\xa9", NULL},
};

static const struct row host_rows[] = {
    {"join.example.com", "join.example.com 443"},
    {"Join.EXAMPLE.com", "join.example.com 443"},
    {"join.example.com.", "join.example.com 443"},
    {"join.example.com:443", "join.example.com 443"},
    {"join.example.com.:8443", "join.example.com 8443"},
    {"localhost:1", "localhost 1"},
    {"a_b-c", "a_b-c 443"},
    {"127.0.0.1", "127.0.0.1 443"},
    {"[::1]", "[::1] 443"},
    {"[2001:DB8:0:0::1]:65535", "[2001:db8::1] 65535"},
    {"", NULL},
    {".", NULL},
    {"..", NULL},
    {"join.example.com..", NULL},
    {".join.example.com", NULL},
    {"a..b", NULL},
    {"user@a", NULL},
    {"user:pass@a", NULL},
    {"a@", NULL},
    {"a:", NULL},
    {"a:0", NULL},
    {"a:0443", NULL},
    {"a:65536", NULL},
    {"a:99999", NULL},
    {"a:443443", NULL},
    {"a:+443", NULL},
    {"a:443 ", NULL},
    {"a:4 3", NULL},
    {"a:b:c", NULL},
    {":443", NULL},
    {"a b", NULL},
    {"a/b", NULL},
    {"a?b", NULL},
    {"a\\b", NULL},
    {"a%2eb", NULL},
    {"a,b", NULL},
    {"a;b", NULL},
    {"\xc3\xa9.example.com", NULL},
    {"[::1", NULL},
    {"[::1]a", NULL},
    {"[::1]a:443", NULL},
    {"[]", NULL},
    {"[", NULL},
    {"[::1%25eth0]", NULL},
    {"[v1.x]", NULL},
    {"::1", NULL},
    {"a]", NULL},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
};

START_TEST(test_paths)
{
    static char path[CANONICAL_PATH_MAX + 1], whole[CANONICAL_PATH_MAX + 1000];
    for (size_t i = 0; i < sizeof path_rows / sizeof *path_rows; i++) {
        const struct row *row = &path_rows[i];
        struct span query;
        size_t len;
        const char *why = NULL;
        char *given = strdup(row->given);
        enum err e = canonical_path(span_from(given), path, &len, &query, &why);
        ck_assert_msg(e == (row->wanted ? ERR_OK : ERR_MALFORMED), "%s: %s %s", given, err_str(e), why);
        if (e == ERR_OK) {
            ck_assert_uint_eq(strlen(path), len);
            memcpy(whole, path, len);
            memcpy(whole + len, query.at, query.len);
            whole[len + query.len] = '\0';
            ck_assert_str_eq(whole, row->wanted);
            /* The canonical form of the canonical form is itself. */
            ck_assert_int_eq(canonical_path(span_from(whole), path, &len, &query, &why), ERR_OK);
            ck_assert_int_eq(strncmp(whole, path, len), 0);
        } else {
            ck_assert_ptr_nonnull(why);
        }
        free(given);
    }
}
END_TEST

START_TEST(test_hosts)
{
    for (size_t i = 0; i < sizeof host_rows / sizeof *host_rows; i++) {
        struct canonical_authority a;
        char text[300];
        const char *why = NULL;
        enum err e = canonical_authority(span_from(host_rows[i].given), 443, &a, &why);
        ck_assert_msg(e == (host_rows[i].wanted ? ERR_OK : ERR_MALFORMED), "%s: %s %s", host_rows[i].given,
                      err_str(e), why);
        if (e != ERR_OK)
            continue;
        snprintf(text, sizeof text, "%s %u", a.host, a.port);
        ck_assert_str_eq(text, host_rows[i].wanted);
    }
}
END_TEST

START_TEST(test_long_path)
{
    static char given[CANONICAL_PATH_MAX * 2], path[CANONICAL_PATH_MAX + 1];
    struct span query;
    const char *why;
    size_t len;
    memset(given, 'a', sizeof given);
    given[0] = '/';
    struct span s = {given, CANONICAL_PATH_MAX};
    ck_assert_int_eq(canonical_path(s, path, &len, &query, &why), ERR_OK);
    ck_assert_uint_eq(len, CANONICAL_PATH_MAX);
    s.len++;
    ck_assert_int_eq(canonical_path(s, path, &len, &query, &why), ERR_MALFORMED);
}
END_TEST

START_TEST(test_message_is_rewritten)
{
    struct http_message m;
    struct canonical c;
    const char *why;
    char text[100];
    http_message_init(&m);
    http_message_set_authority(&m, "Join.Example.com.:443", 21);
    http_message_set_path(&m, "/a/../b%41?c/../d", 17);
    ck_assert_int_eq(canonical_from_message(&m, &c, &why), ERR_OK);
    ck_assert_int_eq(canonical_to_message(&c, &m), ERR_OK);
    ck_assert(span_is(http_message_authority(&m), "join.example.com"));
    ck_assert(span_is(http_message_path(&m), "/bA?c/../d"));
    ck_assert_str_eq(canonical_print(&c, text, sizeof text), "https://join.example.com/bA");
    http_message_set_authority(&m, "a:8443", 6);
    http_message_set_scheme(&m, "http", 4);
    ck_assert_int_eq(canonical_from_message(&m, &c, &why), ERR_MALFORMED);
    http_message_set_scheme(&m, "https", 5);
    m.websocket = true;
    ck_assert_int_eq(canonical_from_message(&m, &c, &why), ERR_OK);
    ck_assert_int_eq(canonical_to_message(&c, &m), ERR_OK);
    ck_assert(span_is(http_message_authority(&m), "a:8443"));
    ck_assert_str_eq(canonical_print(&c, text, sizeof text), "wss://a:8443/bA");
    http_message_free(&m);
}
END_TEST

UNIT_MAIN("canonical", test_paths, test_hosts, test_long_path, test_message_is_rewritten)
