#include <string.h>

#include "proto/websocket.h"
#include "tests/unit/unit.h"

#define START "GET /chat HTTP/1.1\r\nHost: server.example.com\r\n"
#define UP    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define KEY   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define V13   "Sec-WebSocket-Version: 13\r\n"

static struct http_message m;
static struct http1_head head;
static struct http1_failure why;
static char accept_text[WEBSOCKET_ACCEPT_TEXT + 1];

static enum err opening(const char *text)
{
    size_t scanned = 0, used;
    http_message_init(&m);
    ck_assert_int_eq(
        http1_parse_request((const uint8_t *)text, strlen(text), &scanned, &m, &head, &used, &why), ERR_OK);
    return websocket_check_request(&m, &head, accept_text, &why);
}

START_TEST(test_rfc_example)
{
    ck_assert_int_eq(
        opening(START UP KEY V13 "Sec-WebSocket-Protocol: chat\r\nOrigin: http://example.com\r\n\r\n"),
        ERR_OK);
    ck_assert_str_eq(accept_text, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); /* RFC 6455 §1.3 */
    ck_assert(m.websocket && !m.no_body);
    ck_assert_uint_eq(m.n_fields, 2);
    ck_assert(span_is(http_message_find(&m, "sec-websocket-protocol"), "chat"));
    http_message_free(&m);
}
END_TEST

START_TEST(test_other_spellings)
{
    ck_assert_int_eq(
        opening(START "upgrade: h2c, WebSocket\r\nConnection: keep-alive, UPGRADE\r\n" KEY V13 "\r\n"),
        ERR_OK);
    http_message_free(&m);
}
END_TEST

START_TEST(test_bad_openings)
{
    static const struct {
        const char *text;
        unsigned status;
    } rows[] = {
        {"POST / HTTP/1.1\r\nHost: a\r\n" UP KEY V13 "\r\n", 400},
        {START "Upgrade: websocket\r\n" KEY V13 "\r\n", 400},
        {START UP V13 "\r\n", 400},
        {START UP KEY KEY V13 "\r\n", 400},
        {START UP V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n\r\n", 400},
        {START UP V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n\r\n", 400},
        {START UP V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!Q==\r\n\r\n", 400},
        {START UP V13 "Sec-WebSocket-Key: short\r\n\r\n", 400},
        {START UP KEY "\r\n", 426},
        {START UP KEY "Sec-WebSocket-Version: 8\r\n\r\n", 426},
        {START UP KEY V13 V13 "\r\n", 426},
        {START UP KEY V13 "Content-Length: 5\r\n\r\n", 400},
        {START UP KEY V13 "Transfer-Encoding: chunked\r\n\r\n", 400},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert_msg(opening(rows[i].text) == ERR_MALFORMED, "row %zu", i);
        ck_assert_uint_eq(why.status, rows[i].status);
        ck_assert(!m.websocket);
        ck_assert(websocket_wanted(&m, &head));
        http_message_free(&m);
    }
}
END_TEST

static enum err answer(const char *text, const char *key)
{
    const struct http1_expect expect = {.upgrade = true};
    size_t scanned = 0, used;
    http_message_init(&m);
    enum err e =
        http1_parse_response((const uint8_t *)text, strlen(text), &scanned, &expect, &m, &head, &used, &why);
    if (e == ERR_OK)
        e = websocket_check_response(&m, &head, key, &why);
    return e;
}

#define SWITCH "HTTP/1.1 101 Switching Protocols\r\n"

START_TEST(test_client_side)
{
    char key[WEBSOCKET_KEY_TEXT + 1];
    struct buf b;
    websocket_key((const uint8_t *)"the sample nonce", key);
    ck_assert_str_eq(key, "dGhlIHNhbXBsZSBub25jZQ==");
    ck_assert_int_eq(answer(SWITCH UP "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                      "Sec-WebSocket-Protocol: chat\r\n\r\n",
                            key),
                     ERR_OK);
    ck_assert(m.websocket);
    ck_assert_uint_eq(m.n_fields, 1);
    http_message_free(&m);
    static const char *const bad[] = {
        SWITCH UP "\r\n",
        SWITCH UP "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOO=\r\n\r\n",
        SWITCH
        "Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        SWITCH "Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(answer(bad[i], key) == ERR_MALFORMED, "row %zu", i);
        ck_assert_uint_eq(why.status, 502);
        http_message_free(&m);
    }
    /* What the client writes, the server takes. */
    buf_init(&b, 10000);
    http_message_set_method(&m, "GET", 3);
    http_message_set_authority(&m, "a", 1);
    http_message_set_path(&m, "/", 1);
    m.websocket = true;
    ck_assert_int_eq(websocket_add_key(&m, key), ERR_OK);
    ck_assert_int_eq(http1_write_request(&b, &m), ERR_OK);
    http_message_free(&m);
    buf_append(&b, "", 1);
    ck_assert_int_eq(opening((const char *)buf_data(&b)), ERR_OK);
    http_message_free(&m);
    buf_free(&b);
}
END_TEST

UNIT_MAIN("websocket", test_rfc_example, test_other_spellings, test_bad_openings, test_client_side)
