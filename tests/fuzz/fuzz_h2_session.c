/*
 * Bytes from a hostile peer: core's side of a data channel (server), the edge's side towards a guest (server
 * with guest limits), and the edge's side of a data channel (client with two open requests). The first byte
 * chooses which; a server gets the client's preface for free. The owner answers what it is shown, consumes
 * late, and resets some.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/fatal.h"
#include "proto/h2_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { SHOWN_MAX = 32 };

static struct {
    struct h2_session *session;
    bool server;
    struct h2_stream *shown[SHOWN_MAX];
    size_t n_shown;
} run;

static bool is_shown(const struct h2_stream *st)
{
    for (size_t i = 0; i < run.n_shown; i++)
        if (run.shown[i] == st)
            return true;
    return false;
}

static void answer(struct h2_stream *st, unsigned status, bool end)
{
    struct http_message m;
    http_message_init(&m);
    m.status = status;
    http_message_add_str(&m, "server", "fuzz");
    (void)h2_stream_respond(st, &m, end);
    http_message_free(&m);
}

static void on_head(void *ctx, struct h2_stream *st, struct http_message *m, bool end)
{
    (void)ctx;
    REQUIRE(m->no_body == end && m->n_fields <= HTTP_FIELDS_MAX);
    for (size_t i = 0; i < m->n_fields; i++) {
        struct span value = http_message_value(m, i), name = http_message_name(m, i);
        REQUIRE(!memchr(value.at, '\n', value.len) && !memchr(value.at, '\r', value.len) &&
                !memchr(value.at, '\0', value.len));
        REQUIRE(name.len && name.at[0] != ':' && !span_is(name, "host") && !span_is(name, "connection") &&
                !span_is(name, "transfer-encoding") && !span_is(name, "content-length"));
    }
    REQUIRE(http_message_count(m, "cookie") <= 1);
    if (!run.server) {
        REQUIRE(is_shown(st) && m->status >= 200 && m->status <= 599);
        return;
    }
    REQUIRE(!is_shown(st) && m->method.len && m->status == 0);
    REQUIRE(!m->websocket || span_is(http_message_method(m), "GET"));
    if (run.n_shown == SHOWN_MAX) {
        h2_stream_reset(st, H2_REFUSED_STREAM);
        return;
    }
    run.shown[run.n_shown++] = st;
    if (h2_stream_id(st) % 3 == 0) {
        h2_stream_reset(st, H2_CANCEL);
    } else if (m->path.len % 2) {
        answer(st, 200, false);
        (void)h2_stream_write(st, (const uint8_t *)"hello", 5);
        (void)h2_stream_end(st, NULL);
    } else {
        answer(st, 100, false);
        answer(st, 204, true);
    }
}

static void on_interim(void *ctx, struct h2_stream *st, struct http_message *m)
{
    (void)ctx, (void)st;
    REQUIRE(!run.server && m->status >= 100 && m->status < 200 && m->status != 101);
}

static void on_data(void *ctx, struct h2_stream *st, const uint8_t *data, size_t n)
{
    (void)ctx;
    REQUIRE(is_shown(st) || run.n_shown == SHOWN_MAX);
    if (n && data[0] & 1)
        h2_stream_consume(st, n);
    if (n > 3 && data[1] == 'R')
        h2_stream_reset(st, H2_CANCEL);
}

static void on_end(void *ctx, struct h2_stream *st, struct http_message *trailers)
{
    (void)ctx;
    REQUIRE(is_shown(st) || run.n_shown == SHOWN_MAX);
    REQUIRE(!trailers || trailers->n_fields);
}

static void on_drained(void *ctx, struct h2_stream *st)
{
    (void)ctx, (void)st;
}

static void on_close(void *ctx, struct h2_stream *st, uint32_t code)
{
    (void)ctx, (void)code;
    for (size_t i = 0; i < run.n_shown; i++)
        if (run.shown[i] == st) {
            run.shown[i] = run.shown[--run.n_shown];
            return;
        }
}

static void on_output(void *ctx)
{
    (void)ctx;
}

static const struct h2_events events = {.on_head = on_head,
                                        .on_interim = on_interim,
                                        .on_data = on_data,
                                        .on_end = on_end,
                                        .on_drained = on_drained,
                                        .on_close = on_close,
                                        .on_output = on_output};

static void fetch(void)
{
    struct buf out;
    buf_init(&out, 4 << 20);
    (void)h2_session_send(run.session, &out, 1 << 20);
    buf_free(&out);
}

static void open_requests(void)
{
    static const uint8_t settings[] = {0, 0, 6, 4, 0, 0, 0, 0,
                                       0, 0, 8, 0, 0, 0, 1}; /* takes extended CONNECT */
    REQUIRE(h2_session_receive(run.session, settings, sizeof settings) == ERR_OK);
    for (int i = 0; i < 2; i++) {
        struct http_message m;
        http_message_init(&m);
        http_message_set_method(&m, "GET", 3);
        http_message_set_authority(&m, "a", 1);
        http_message_set_path(&m, "/", 1);
        m.websocket = i == 1;
        REQUIRE(h2_session_request(run.session, &m, i == 0, NULL, &run.shown[i]) == ERR_OK);
        run.n_shown++;
        http_message_free(&m);
    }
    fetch();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    if (n < 2)
        return 0;
    run.n_shown = 0;
    run.server = data[0] % 3 != 2;
    run.session = h2_session_new(run.server ? H2_SERVER : H2_CLIENT,
                                 data[0] % 3 == 1 ? &h2_limits_guest : &h2_limits_tunnel, &events, NULL);
    REQUIRE(run.session);
    if (run.server)
        REQUIRE(h2_session_receive(run.session, (const uint8_t *)preface, sizeof preface - 1) == ERR_OK);
    else
        open_requests();
    size_t step = 1 + (size_t)data[0] / 3;
    enum err e = ERR_OK;
    for (size_t at = 1; at < n && e == ERR_OK; at += step) {
        e = h2_session_receive(run.session, data + at, n - at < step ? n - at : step);
        if (at % 7 == 0)
            fetch();
    }
    fetch();
    (void)h2_session_finished(run.session);
    h2_session_free(run.session);
    REQUIRE(run.n_shown == 0);
    return 0;
}
