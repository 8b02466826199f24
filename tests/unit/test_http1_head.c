/* One row per framing rule, requests and responses; each is also offered byte by byte. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/http1_head.h"
#include "tests/unit/unit.h"

#define H "Host: join.example.com\r\n"

struct row {
    const char *text;
    size_t n;        /* 0: strlen(text) */
    unsigned status; /* 0: accepted */
};
#define R(text, status)                                                                                      \
    {                                                                                                        \
        text, sizeof(text) - 1, status                                                                       \
    }

static const struct row request_rows[] = {
    /* What passes. */
    R("GET / HTTP/1.1\r\n" H "\r\n", 0),
    R("\r\nGET / HTTP/1.1\r\n" H "\r\n", 0),
    R("GET / HTTP/1.0\r\n" H "\r\n", 0),
    R("GET /a?b=c&d=%20 HTTP/1.1\r\n" H "\r\n", 0),
    R("GET / HTTP/1.1\r\nhost:join.example.com:443\r\n\r\n", 0),
    R("GET / HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n\r\n", 0),
    R("GET / HTTP/1.1\r\n" H "X-Empty:\r\nX-Tab:\ta\tb \r\n\r\n", 0),
    R("GET / HTTP/1.1\r\n" H "X-Latin: caf\xe9\r\n\r\n", 0),
    R("POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 0),
    R("POST / HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\n", 0),
    R("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 0),
    R("POST / HTTP/1.1\r\n" H "Transfer-Encoding: CHUNKED\r\n\r\n", 0),
    R("POST / HTTP/1.1\r\n" H "Content-Length: 999999999999999999\r\n\r\n", 0),
    R("GET https://join.example.com/a HTTP/1.1\r\n" H "\r\n", 0),
    R("GET HTTPS://Join.Example.com/a HTTP/1.1\r\n" H "\r\n", 0),
    R("OPTIONS * HTTP/1.1\r\n" H "\r\n", 0),
    R("PROPFIND / HTTP/1.1\r\n" H "\r\n", 0),
    /* Lengths. */
    R("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Content-Length: -5\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Content-Length: 5 5\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Content-Length: \r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551616\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775807\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Content-Length: 00000000000000000000005\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, gzip\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked,\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;q=1\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    R("POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Transfer-Encoding\t: chunked\r\n\r\n", 400),
    R("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b"
      "chunked\r\n\r\n",
      400),
    /* Lines. */
    R("GET / HTTP/1.1\n" H "\r\n", 400),
    R("GET / HTTP/1.1\r\nHost: join.example.com\n\r\n", 400),
    R("GET / HTTP/1.1\r\n" H "\n", 400),
    R("GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\n" H "X: a\r\r\n\r\n", 400),
    R("GET /\r HTTP/1.1\r\n" H "\r\n", 400),
    R("GET / HTTP/1.1\r\n" H "X: a\r\n folded\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\n" H "X: a\r\n\tfolded\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\n Host: join.example.com\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\nHost : join.example.com\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\n" H "X\t: a\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\n" H ": a\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\n" H "no colon\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\n" H "X\0Y: a\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\n" H "X: a\x7f"
      "b\r\n\r\n",
      400),
    R("GET / HTTP/1.1\r\n" H "X: a\x01"
      "b\r\n\r\n",
      400),
    R("GET / HTTP/1.1\r\n" H "X\xe9: a\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\n" H "X(y): a\r\n\r\n", 400),
    /* The request line. */
    R("GET /\r\n\r\n", 400),
    R("GET /\r\n" H "\r\n", 400),
    R("GET\r\n" H "\r\n", 400),
    R("GET  / HTTP/1.1\r\n" H "\r\n", 400),
    R("GET / HTTP/1.1 \r\n" H "\r\n", 400),
    R("GET /  HTTP/1.1\r\n" H "\r\n", 400),
    R("GET /a b HTTP/1.1\r\n" H "\r\n", 400),
    R("GET\t/ HTTP/1.1\r\n" H "\r\n", 400),
    R("GET /\0 HTTP/1.1\r\n" H "\r\n", 400),
    R("GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n", 400),
    R(" GET / HTTP/1.1\r\n" H "\r\n", 400),
    R("\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 400),
    R("G(T / HTTP/1.1\r\n" H "\r\n", 400),
    R("GET / http/1.1\r\n" H "\r\n", 400),
    R("GET / HTTP/1.1x\r\n" H "\r\n", 400),
    R("GET / HTTP/11\r\n" H "\r\n", 400),
    R("GET / HTTP/2.0\r\n" H "\r\n", 505),
    R("GET / HTTP/0.9\r\n" H "\r\n", 505),
    R("GET / HTTP/1.2\r\n" H "\r\n", 505),
    R("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    R("GET * HTTP/1.1\r\n" H "\r\n", 400),
    R("GET a HTTP/1.1\r\n" H "\r\n", 400),
    R("GET ftp://join.example.com/ HTTP/1.1\r\n" H "\r\n", 400),
    R("GET https://join.example.com HTTP/1.1\r\n" H "\r\n", 400),
    R("GET https:///a HTTP/1.1\r\n" H "\r\n", 400),
    R("CONNECT join.example.com:443 HTTP/1.1\r\n" H "\r\n", 501),
    R("AVERYLONGMETHODNAMETHATNOBODYHASEVERHEARDOF / HTTP/1.1\r\n" H "\r\n", 501),
    /* Host. */
    R("GET / HTTP/1.1\r\n\r\n", 400),
    R("GET / HTTP/1.0\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\n" H H "\r\n", 400),
    R("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\nHost: user@join.example.com\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\nHost: join.example.com:\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\nHost: join.example.com:0\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\nHost: join.example.com:65536\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\nHost: join.example.com:443x\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\nHost: join..example.com\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\nHost: .\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 400),
    R("GET / HTTP/1.1\r\nHost: join%2eexample.com\r\n\r\n", 400),
    R("GET https://evil.example.com/ HTTP/1.1\r\n" H "\r\n", 400),
    R("GET https://join.example.com:8443/ HTTP/1.1\r\n" H "\r\n", 400),
    R("GET https://user@join.example.com/ HTTP/1.1\r\n" H "\r\n", 400),
    /* The rest. */
    R("POST / HTTP/1.1\r\n" H "Expect: 200-ok\r\n\r\n", 417),
    R("GET / HTTP/1.1\r\n" H "Connection: close, b(d\r\n\r\n", 400),
    R("\x16\x03\x01\x02\x00\x01", 400),
    R("\0", 400),
};

static const struct row response_rows[] = {
    R("HTTP/1.1 200 OK\r\n\r\n", 0),
    R("HTTP/1.1 200\r\n\r\n", 0),
    R("HTTP/1.1 200 \r\n\r\n", 0),
    R("HTTP/1.0 404 Not Found\r\nContent-Length: 3\r\n\r\n", 0),
    R("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0),
    R("HTTP/1.1 100 Continue\r\n\r\n", 0),
    R("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n", 0),
    R("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 0),
    R("HTTP/1.1 304 Not Modified\r\nContent-Length: 300\r\n\r\n", 0),
    R("HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n", 0),
    R("HTTP/1.1 200 OK\r\nExpect: something\r\nHost: ignored\r\n\r\n", 0),
    R("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 502),
    R("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 502),
    R("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 502),
    R("HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", 502),
    R("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", 502),
    R("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", 502),
    R("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 502),
    R("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 502),
    R("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 502),
    R("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n", 502),
    R("HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", 502),
    R("HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", 502),
    R("HTTP/1.1 200 OK\nX: a\r\n\r\n", 502),
    R("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", 502),
    R("HTTP/1.1 200 OK\r\nX : a\r\n\r\n", 502),
    R("HTTP/1.1 200 O\x01K\r\n\r\n", 502),
    R("HTTP/1.1 2000 OK\r\n\r\n", 502),
    R("HTTP/1.1 20 OK\r\n\r\n", 502),
    R("HTTP/1.1 099 Low\r\n\r\n", 502),
    R("HTTP/1.1 600 High\r\n\r\n", 502),
    R("HTTP/1.1  200 OK\r\n\r\n", 502),
    R("HTTP/1.1 200OK\r\n\r\n", 502),
    R("HTTP/2 200 OK\r\n\r\n", 502),
    R("HTTP/0.9 200 OK\r\n\r\n", 502),
    R("<html>\r\n\r\n", 502),
    R("\r\nHTTP/1.1 200 OK\r\n\r\n", 502),
};

static struct http_message m;
static struct http1_head head;
static struct http1_failure why;
static size_t used;

/* A copy of exactly n bytes, so that the sanitizers see any byte too many. */
static enum err parse(const struct row *row, size_t n, size_t *scanned, bool response)
{
    static const struct http1_expect expect = {0};
    uint8_t *data = malloc(n ? n : 1);
    memcpy(data, row->text, n);
    why = (struct http1_failure){0};
    enum err e = response ? http1_parse_response(data, n, scanned, &expect, &m, &head, &used, &why)
                          : http1_parse_request(data, n, scanned, &m, &head, &used, &why);
    free(data);
    return e;
}

static void check_rows(const struct row *rows, size_t n_rows, bool response)
{
    http_message_init(&m);
    for (size_t i = 0; i < n_rows; i++) {
        size_t scanned = 0, n = rows[i].n;
        enum err e = parse(&rows[i], n, &scanned, response);
        ck_assert_msg(e == (rows[i].status ? ERR_MALFORMED : ERR_OK) && why.status == rows[i].status,
                      "row %zu: %s: %s, status %u (%s)", i, rows[i].text, err_str(e), why.status, why.words);
        if (e == ERR_OK)
            ck_assert_uint_eq(used, n);
        struct http1_failure at_once = why;
        scanned = 0;
        for (size_t have = 1; have <= n; have++) {
            enum err piecemeal = parse(&rows[i], have, &scanned, response);
            if (piecemeal == ERR_AGAIN)
                continue;
            ck_assert_msg(piecemeal == e && why.status == at_once.status, "row %zu at %zu: %s", i, have,
                          rows[i].text);
            ck_assert(e == ERR_MALFORMED || have == n);
            break;
        }
    }
    http_message_free(&m);
}

START_TEST(test_requests)
{
    check_rows(request_rows, sizeof request_rows / sizeof *request_rows, false);
}
END_TEST

START_TEST(test_responses)
{
    check_rows(response_rows, sizeof response_rows / sizeof *response_rows, true);
}
END_TEST

static void parse_request(const char *text)
{
    struct row row = {text, strlen(text), 0};
    size_t scanned = 0;
    ck_assert_int_eq(parse(&row, row.n, &scanned, false), ERR_OK);
}

static enum err parse_response(const char *text, bool to_head, bool upgrade)
{
    struct http1_expect expect = {.head = to_head, .upgrade = upgrade};
    size_t scanned = 0;
    return http1_parse_response((const uint8_t *)text, strlen(text), &scanned, &expect, &m, &head, &used,
                                &why);
}

START_TEST(test_what_a_request_says)
{
    http_message_init(&m);
    parse_request("POST /a/b?c HTTP/1.1\r\nHost: Join.Example.com:8443\r\nX-Upper: Value \r\n"
                  "Content-Length: 12\r\nConnection: Keep-Alive, Upgrade\r\nUpgrade: websocket\r\n"
                  "Expect: 100-Continue\r\n\r\nrest of it");
    ck_assert(span_is(http_message_method(&m), "POST"));
    ck_assert(span_is(http_message_path(&m), "/a/b?c"));
    ck_assert(span_is(http_message_authority(&m), "Join.Example.com:8443"));
    ck_assert_uint_eq(http_message_scheme(&m).len, 0);
    ck_assert(span_is(http_message_find(&m, "x-upper"), "Value"));
    ck_assert_ptr_null(http_message_find(&m, "host").at);
    ck_assert_ptr_null(http_message_find(&m, "content-length").at);
    ck_assert_int_eq((int)m.content_length, 12);
    ck_assert(!m.no_body && head.keep_alive && head.upgrade && head.expect_continue && !head.chunked);
    ck_assert_uint_eq(head.minor, 1);
    parse_request("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    ck_assert(m.no_body && !head.keep_alive && m.content_length == HTTP_NO_LENGTH);
    ck_assert_uint_eq(m.n_fields, 0);
    parse_request("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    ck_assert(head.keep_alive);
    parse_request("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n");
    ck_assert(!head.keep_alive);
    parse_request("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n");
    ck_assert(!head.upgrade);
    parse_request("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    ck_assert(head.chunked && !m.no_body && m.content_length == HTTP_NO_LENGTH);
    parse_request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    ck_assert(m.no_body && m.content_length == 0);
    parse_request("GET hTTps://a/x HTTP/1.1\r\nHost: A\r\n\r\n");
    ck_assert(span_is(http_message_scheme(&m), "https"));
    ck_assert(span_is(http_message_path(&m), "/x"));
    http_message_free(&m);
}
END_TEST

START_TEST(test_what_a_response_says)
{
    http_message_init(&m);
    ck_assert_int_eq(parse_response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, false), ERR_OK);
    ck_assert(m.status == 200 && !m.no_body && m.content_length == 5 && head.keep_alive);
    ck_assert_int_eq(parse_response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, false), ERR_OK);
    ck_assert(m.no_body && m.content_length == 5 && head.keep_alive);
    ck_assert_int_eq(parse_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true, false),
                     ERR_OK);
    ck_assert(m.no_body && !head.chunked);
    ck_assert_int_eq(parse_response("HTTP/1.1 200 OK\r\n\r\n", false, false), ERR_OK);
    ck_assert(!m.no_body && m.content_length == HTTP_NO_LENGTH && !head.keep_alive);
    ck_assert_int_eq(parse_response("HTTP/1.1 304 Not Modified\r\n\r\n", false, false), ERR_OK);
    ck_assert(m.no_body && head.keep_alive);
    ck_assert_int_eq(parse_response("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                                    "Upgrade: websocket\r\n\r\n",
                                    false, true),
                     ERR_OK);
    ck_assert(m.status == 101 && head.upgrade);
    ck_assert_int_eq(parse_response("HTTP/1.1 101 Switching Protocols\r\n\r\n", false, true), ERR_MALFORMED);
    http_message_free(&m);
}
END_TEST

START_TEST(test_limits)
{
    struct buf b;
    size_t scanned = 0;
    buf_init(&b, 1 << 20);
    http_message_init(&m);
    buf_append_str(&b, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < HTTP_FIELDS_MAX; i++)
        buf_append_str(&b, "a: b\r\n");
    size_t full = buf_len(&b);
    buf_append_str(&b, "\r\n");
    ck_assert_int_eq(http1_parse_request(buf_data(&b), buf_len(&b), &scanned, &m, &head, &used, &why),
                     ERR_OK);
    b.len = full;
    buf_append_str(&b, "a: b\r\n\r\n");
    scanned = 0;
    ck_assert_int_eq(http1_parse_request(buf_data(&b), buf_len(&b), &scanned, &m, &head, &used, &why),
                     ERR_MALFORMED);
    ck_assert_uint_eq(why.status, 431);
    buf_reset(&b);
    buf_append_str(&b, "GET / HTTP/1.1\r\nHost: a\r\nx: ");
    scanned = 0;
    enum err e = ERR_AGAIN;
    while (e == ERR_AGAIN && buf_len(&b) < 100000) { /* never ends: refused as soon as it is too long */
        buf_append_str(&b, "vvvvvvvv");
        e = http1_parse_request(buf_data(&b), buf_len(&b), &scanned, &m, &head, &used, &why);
    }
    ck_assert_int_eq(e, ERR_MALFORMED);
    ck_assert_uint_eq(why.status, 431);
    ck_assert_uint_le(buf_len(&b), HTTP_HEAD_MAX + 8);
    buf_reset(&b);
    buf_append_str(&b, "GET /");
    scanned = 0;
    e = ERR_AGAIN;
    while (e == ERR_AGAIN && buf_len(&b) < 100000) {
        buf_append_str(&b, "pppppppp");
        e = http1_parse_request(buf_data(&b), buf_len(&b), &scanned, &m, &head, &used, &why);
    }
    ck_assert_int_eq(e, ERR_MALFORMED);
    ck_assert_uint_eq(why.status, 414);
    ck_assert_uint_le(buf_len(&b), HTTP_TARGET_MAX + 100);
    buf_free(&b);
    http_message_free(&m);
}
END_TEST

static const char *text_of(struct buf *b)
{
    ck_assert_int_eq(buf_append(b, "", 1), ERR_OK);
    return (const char *)buf_data(b);
}

START_TEST(test_write_request)
{
    struct buf b;
    buf_init(&b, 10000);
    http_message_init(&m);
    parse_request("POST /a HTTP/1.1\r\nHost: a\r\nX-Y: z\r\nTransfer-Encoding: chunked\r\n\r\n");
    ck_assert_int_eq(http1_write_request(&b, &m), ERR_OK);
    ck_assert_str_eq(text_of(&b),
                     "POST /a HTTP/1.1\r\nhost: a\r\nx-y: z\r\ntransfer-encoding: chunked\r\n\r\n");
    buf_reset(&b);
    parse_request("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    ck_assert_int_eq(http1_write_request(&b, &m), ERR_OK);
    ck_assert_str_eq(text_of(&b), "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
    buf_reset(&b);
    parse_request("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    ck_assert_int_eq(http1_write_request(&b, &m), ERR_OK);
    ck_assert_str_eq(text_of(&b), "GET /a HTTP/1.1\r\nhost: a\r\n\r\n");
    buf_reset(&b);
    http_message_add_str(&m, "x", "a\r\nEvil: yes");
    ck_assert_int_eq(http1_write_request(&b, &m), ERR_MALFORMED);
    ck_assert_uint_eq(buf_len(&b), 0);
    buf_free(&b);
    http_message_free(&m);
}
END_TEST

static const char *write_response(struct buf *b, unsigned status, int64_t length, bool no_body,
                                  struct http1_response_form form, bool *chunked)
{
    http_message_reset(&m);
    m.status = status;
    m.content_length = length;
    m.no_body = no_body;
    buf_reset(b);
    ck_assert_int_eq(http1_write_response(b, &m, &form, chunked), ERR_OK);
    return text_of(b);
}

START_TEST(test_write_response)
{
    const struct http1_response_form v11 = {.minor = 1}, v10 = {.minor = 0},
                                     to_head = {.minor = 1, .head = true},
                                     closing = {.minor = 1, .close = true};
    struct buf b;
    bool chunked;
    buf_init(&b, 10000);
    http_message_init(&m);
    ck_assert_str_eq(write_response(&b, 200, 5, false, v11, &chunked),
                     "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
    ck_assert(!chunked);
    ck_assert_str_eq(write_response(&b, 200, -1, false, v11, &chunked),
                     "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    ck_assert(chunked);
    ck_assert_str_eq(write_response(&b, 200, -1, false, v10, &chunked),
                     "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
    ck_assert(!chunked);
    ck_assert_str_eq(write_response(&b, 200, 5, false, v10, &chunked),
                     "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\n");
    ck_assert_str_eq(write_response(&b, 200, -1, true, v11, &chunked),
                     "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    ck_assert_str_eq(write_response(&b, 200, -1, true, to_head, &chunked), "HTTP/1.1 200 OK\r\n\r\n");
    ck_assert_str_eq(write_response(&b, 200, 7, true, to_head, &chunked),
                     "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n");
    ck_assert_str_eq(write_response(&b, 204, 0, true, v11, &chunked), "HTTP/1.1 204 No Content\r\n\r\n");
    ck_assert_str_eq(write_response(&b, 304, -1, true, v11, &chunked), "HTTP/1.1 304 Not Modified\r\n\r\n");
    ck_assert_str_eq(write_response(&b, 100, -1, true, closing, &chunked), "HTTP/1.1 100 Continue\r\n\r\n");
    ck_assert_str_eq(write_response(&b, 299, 0, true, closing, NULL),
                     "HTTP/1.1 299 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    http_message_reset(&m);
    m.status = 101;
    m.websocket = true;
    buf_reset(&b);
    http1_write_response(&b, &m, &v11, &chunked);
    ck_assert_str_eq(text_of(&b),
                     "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n");
    buf_free(&b);
    http_message_free(&m);
}
END_TEST

UNIT_MAIN("http1_head", test_requests, test_responses, test_what_a_request_says, test_what_a_response_says,
          test_limits, test_write_request, test_write_response)
