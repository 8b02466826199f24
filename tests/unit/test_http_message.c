#include <string.h>

#include "proto/http_message.h"
#include "tests/unit/unit.h"

static struct http_message m;

static void add(const char *name, const char *value)
{
    ck_assert_int_eq(http_message_add_str(&m, name, value), ERR_OK);
}

START_TEST(test_add_find_remove)
{
    http_message_init(&m);
    add("X-One", "1");
    add("x-two", "2");
    add("X-ONE", "3");
    add("x-empty", "");
    ck_assert(span_is(http_message_name(&m, 0), "x-one"));
    ck_assert(span_is(http_message_find(&m, "x-one"), "1"));
    ck_assert_uint_eq(http_message_count(&m, "x-one"), 2);
    ck_assert_ptr_nonnull(http_message_find(&m, "x-empty").at);
    ck_assert_ptr_null(http_message_find(&m, "x-three").at);
    ck_assert_uint_eq(http_message_remove(&m, "x-one"), 2);
    ck_assert_uint_eq(m.n_fields, 2);
    ck_assert_ptr_null(http_message_find(&m, "x-one").at);
    http_message_reset(&m);
    ck_assert_uint_eq(m.n_fields, 0);
    ck_assert_uint_eq(buf_len(&m.text), 0);
    http_message_free(&m);
    ck_assert_ptr_null(m.text.mem);
    ck_assert_ptr_null(m.fields);
}
END_TEST

START_TEST(test_copy)
{
    struct http_message copy;
    http_message_init(&m);
    http_message_set_method(&m, "GET", 3);
    http_message_set_path(&m, "/a", 2);
    add("x", "removed");
    add("y", "kept");
    m.content_length = 7;
    http_message_remove(&m, "x");
    http_message_init(&copy);
    ck_assert_int_eq(http_message_copy(&copy, &m), ERR_OK);
    http_message_free(&m);
    ck_assert(span_is(http_message_method(&copy), "GET"));
    ck_assert(span_is(http_message_path(&copy), "/a"));
    ck_assert(span_is(http_message_find(&copy, "y"), "kept"));
    ck_assert_uint_eq(copy.n_fields, 1);
    ck_assert_int_eq((int)copy.content_length, 7);
    ck_assert_uint_eq(buf_len(&copy.text), strlen("GET/aykept"));
    http_message_free(&copy);
}
END_TEST

START_TEST(test_limits)
{
    char value[1000];
    size_t n = 0;
    http_message_init(&m);
    while (http_message_add_str(&m, "x", "y") == ERR_OK)
        n++;
    ck_assert_uint_ge(n, HTTP_FIELDS_MAX);
    ck_assert_uint_le(n, HTTP_FIELDS_MAX + 20);
    http_message_reset(&m);
    memset(value, 'v', sizeof value);
    for (n = 0; http_message_add(&m, "x", 1, value, sizeof value) == ERR_OK; n++)
        ;
    ck_assert_uint_ge(n, HTTP_HEAD_MAX / 1001);
    http_message_free(&m);
}
END_TEST

START_TEST(test_lists)
{
    struct span rest = span_from(" , a,b ;c,\t, d\t,"), element;
    ck_assert(span_list_next(&rest, &element) && span_is(element, "a"));
    ck_assert(span_list_next(&rest, &element) && span_is(element, "b ;c"));
    ck_assert(span_list_next(&rest, &element) && span_is(element, "d"));
    ck_assert(!span_list_next(&rest, &element));
    ck_assert(span_list_has(span_from("keep-alive, UPGRADE"), "upgrade"));
    ck_assert(!span_list_has(span_from("upgraded"), "upgrade"));
    ck_assert(!span_list_has(span_from(""), "upgrade"));
}
END_TEST

START_TEST(test_hop_by_hop)
{
    http_message_init(&m);
    add("Connection", "close, X-Named, x-other, connection, te");
    add("X-Named", "1");
    add("x-other", "2");
    add("x-kept", "3");
    add("x-named", "4");
    add("Connection", "X-Late");
    add("Keep-Alive", "timeout=5");
    add("Proxy-Connection", "keep-alive");
    add("Proxy-Authorization", "Basic x");
    add("Proxy-Anything", "x");
    add("TE", "gzip, trailers");
    add("Trailer", "X-Sum");
    add("Transfer-Encoding", "chunked");
    add("Upgrade", "h2c");
    add("HTTP2-Settings", "AAA");
    add("x-late", "5");
    add("cookie", "a=b");
    http_message_strip_hop_by_hop(&m);
    ck_assert_uint_eq(m.n_fields, 3);
    ck_assert(span_is(http_message_find(&m, "x-kept"), "3"));
    ck_assert(span_is(http_message_find(&m, "cookie"), "a=b"));
    ck_assert(span_is(http_message_find(&m, "te"), "trailers"));
    http_message_reset(&m);
    add("te", "gzip");
    http_message_strip_hop_by_hop(&m);
    ck_assert_uint_eq(m.n_fields, 0);
    http_message_free(&m);
}
END_TEST

START_TEST(test_trailers)
{
    static const char *const gone[] = {"host",       "content-length", "Transfer-Encoding", "cookie",
                                       "set-cookie", "authorization",  "x-forwarded-for",   "x-real-ip",
                                       "forwarded",  "if-match",       "sec-fetch-site",    "connection",
                                       "te",         "x-named"};
    http_message_init(&m);
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        add(gone[i], "x-named");
    add("x-checksum", "1");
    add("server-timing", "a;dur=1");
    http_message_strip_trailers(&m);
    ck_assert_uint_eq(m.n_fields, 2);
    http_message_free(&m);
}
END_TEST

START_TEST(test_cookies)
{
    http_message_init(&m);
    add("cookie", "a=1");
    ck_assert_int_eq(http_message_join_cookies(&m), ERR_OK);
    add("x", "y");
    add("cookie", "b=2");
    add("cookie", "c=3");
    ck_assert_int_eq(http_message_join_cookies(&m), ERR_OK);
    ck_assert_uint_eq(m.n_fields, 2);
    ck_assert(span_is(http_message_find(&m, "cookie"), "a=1; b=2; c=3"));
    http_message_free(&m);
}
END_TEST

UNIT_MAIN("http_message", test_add_find_remove, test_copy, test_limits, test_lists, test_hop_by_hop,
          test_trailers, test_cookies)
