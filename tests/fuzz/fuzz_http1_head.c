/*
 * Heads as requests and as responses. What must hold: the same verdict whether the bytes come at once or in
 * pieces, spans inside the message, and what is accepted is written in a form that is accepted again and
 * means the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/fatal.h"
#include "proto/http1_head.h"
#include "proto/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static enum err parse(const uint8_t *data, size_t n, size_t *scanned, int kind, struct http_message *m,
                      struct http1_head *head, size_t *used, struct http1_failure *why)
{
    struct http1_expect expect = {.head = kind == 2, .upgrade = kind == 3};
    if (kind == 0)
        return http1_parse_request(data, n, scanned, m, head, used, why);
    return http1_parse_response(data, n, scanned, &expect, m, head, used, why);
}

static void check_message(const struct http_message *m)
{
    const char *start = (const char *)buf_data(&m->text), *end = start + buf_len(&m->text);
    REQUIRE(m->n_fields <= HTTP_FIELDS_MAX);
    for (size_t i = 0; i < m->n_fields; i++) {
        struct span name = http_message_name(m, i), value = http_message_value(m, i);
        REQUIRE(name.len > 0 && name.at >= start && name.at + name.len <= end);
        REQUIRE(value.len == 0 || (value.at >= start && value.at + value.len <= end));
        REQUIRE(!memchr(value.at, '\n', value.len) && !memchr(value.at, '\r', value.len));
        REQUIRE(!span_is(name, "content-length") && !span_is(name, "transfer-encoding") &&
                !span_is(name, "host"));
    }
}

static void check_same(const struct http_message *a, const struct http_message *b)
{
    REQUIRE(a->n_fields == b->n_fields && a->status == b->status && a->content_length == b->content_length);
    for (size_t i = 0; i < a->n_fields; i++) {
        struct span name = http_message_name(a, i), value = http_message_value(a, i);
        struct span name2 = http_message_name(b, i), value2 = http_message_value(b, i);
        REQUIRE(name.len == name2.len && memcmp(name.at, name2.at, name.len) == 0);
        REQUIRE(value.len == value2.len && memcmp(value.at, value2.at, value.len) == 0);
    }
    REQUIRE(a->method.len == b->method.len && a->path.len == b->path.len &&
            a->authority.len == b->authority.len);
}

/* As a proxy passes it on: hop-by-hop fields out, written, read by the next one. */
static void write_again(struct http_message *m, int kind)
{
    struct http1_response_form form = {.minor = 1, .head = kind == 2};
    struct http_message again;
    struct http1_head head;
    struct http1_failure why;
    struct buf out;
    size_t scanned = 0, used;
    bool chunked;
    if (m->status == 101)
        return;
    http_message_strip_hop_by_hop(m);
    http_message_init(&again);
    buf_init(&out, 1 << 20);
    REQUIRE((kind == 0 ? http1_write_request(&out, m) : http1_write_response(&out, m, &form, &chunked)) ==
            ERR_OK);
    enum err e = parse(buf_data(&out), buf_len(&out), &scanned, kind, &again, &head, &used, &why);
    REQUIRE(e == ERR_OK || (e == ERR_MALFORMED && why.status != 400 && why.status != 502));
    if (e == ERR_OK) {
        REQUIRE(used == buf_len(&out) && (m->websocket || again.no_body == m->no_body));
        if (kind == 0 && !m->websocket)
            check_same(m, &again);
    }
    buf_free(&out);
    http_message_free(&again);
}

static void piecemeal(const uint8_t *data, size_t n, int kind, enum err at_once, size_t used_at_once,
                      unsigned status)
{
    struct http_message m;
    struct http1_head head;
    struct http1_failure why = {0};
    size_t scanned = 0, used = 0, step = n > 4096 ? n / 64 : n > 256 ? 7 : 1;
    enum err e = ERR_AGAIN;
    http_message_init(&m);
    for (size_t have = step < n ? step : n; e == ERR_AGAIN; have = n - have < step ? n : have + step) {
        e = parse(data, have, &scanned, kind, &m, &head, &used, &why);
        if (have == n)
            break;
    }
    /* A head that is too long may be noticed as 414 or 431, or as whatever else is wrong with it. */
    REQUIRE(e == at_once);
    REQUIRE(e != ERR_OK || used == used_at_once);
    REQUIRE(e != ERR_MALFORMED || n > HTTP_TARGET_MAX || why.status == status);
    http_message_free(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    for (int kind = 0; kind < 4; kind++) {
        struct http_message m;
        struct http1_head head;
        struct http1_failure why = {0};
        char accept_text[WEBSOCKET_ACCEPT_TEXT + 1];
        size_t scanned = 0, used = 0;
        http_message_init(&m);
        enum err e = parse(data, n, &scanned, kind, &m, &head, &used, &why);
        REQUIRE(e == ERR_OK || e == ERR_AGAIN || e == ERR_MALFORMED);
        REQUIRE(e != ERR_MALFORMED || (why.status >= 400 && why.words));
        piecemeal(data, n, kind, e, used, why.status);
        if (e == ERR_OK) {
            REQUIRE(used > 0 && used <= n);
            check_message(&m);
            if (kind == 0 && websocket_wanted(&m, &head))
                (void)websocket_check_request(&m, &head, accept_text, &why);
            write_again(&m, kind);
        }
        http_message_free(&m);
    }
    return 0;
}
