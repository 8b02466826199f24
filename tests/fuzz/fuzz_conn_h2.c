/*
 * Bytes of a hostile guest on an HTTP/2 connection (TLS left out) of a whole web worker, with a core behind
 * it that answers by the path: what core is shown must be clean, and afterwards nothing may be left over.
 *
 *   input --socket pair--> [ conn_h2, request, uplink ] --socket pair--> core
 *
 * The first byte chooses the size of the pieces, and whether the preface and the guest's SETTINGS come for
 * free.
 */
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "common/fatal.h"
#include "common/log.h"
#include "common/sock.h"
#include "edge/web/conn_h2.h"
#include "edge/web/uplink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { CORE_QUEUE = 1024 * 1024, ROUNDS_MOST = 2000 };

static struct {
    struct ev_loop *loop;
    struct web *web;
    struct ipc *worker_side, *main_side;
    struct stream *core;
    struct h2_session *session;
} box;

/* Core ------------------------------------------------------------------------------------------------- */

static void check_request(const struct http_message *m)
{
    struct span authority = http_message_authority(m), path = http_message_path(m);
    REQUIRE(span_is(authority, "join.example.com") && span_is(http_message_scheme(m), "https"));
    REQUIRE(path.len && path.at[0] == '/' && http_message_method(m).len);
    REQUIRE(http_message_count(m, "x-forwarded-for") == 1 && http_message_count(m, "x-request-id") == 1);
    REQUIRE(http_message_count(m, "cookie") <= 1 && http_message_count(m, "stile-reason") == 0);
    for (size_t i = 0; i < m->n_fields; i++) {
        struct span name = http_message_name(m, i), value = http_message_value(m, i);
        REQUIRE(!memchr(value.at, '\n', value.len) && !memchr(value.at, '\r', value.len) &&
                !memchr(value.at, '\0', value.len) && name.len && name.at[0] != ':');
    }
}

static void answer(struct h2_stream *st, unsigned status, bool end)
{
    struct http_message m;
    http_message_init(&m);
    m.status = status;
    m.content_length = HTTP_NO_LENGTH;
    m.no_body = end;
    (void)h2_stream_respond(st, &m, end);
    http_message_free(&m);
}

static void core_on_head(void *ctx, struct h2_stream *st, struct http_message *m, bool end)
{
    static const uint8_t much[100000];
    (void)ctx;
    check_request(m);
    if (m->websocket) {
        answer(st, m->path.len % 2 ? 200 : 403, m->path.len % 2 == 0);
        return;
    }
    switch (m->path.len % 6) {
    case 0:
        break; /* none */
    case 1:
        h2_stream_reset(st, H2_INTERNAL_ERROR);
        break;
    case 2:
        answer(st, 204, true);
        break;
    case 3:
        answer(st, 103, false);
        answer(st, 200, false);
        (void)h2_stream_write(st, much, sizeof much);
        (void)h2_stream_end(st, NULL);
        break;
    case 4:
        answer(st, 100, false);
        answer(st, 200, end);
        break;
    default:
        answer(st, 200, false);
        (void)h2_stream_write(st, (const uint8_t *)"hello", 5);
        (void)h2_stream_end(st, m);
    }
}

static void core_on_data(void *ctx, struct h2_stream *st, const uint8_t *data, size_t n)
{
    (void)ctx;
    (void)h2_stream_write(st, data, n);
    if (n % 2)
        h2_stream_consume(st, n);
}

static void core_on_end(void *ctx, struct h2_stream *st, struct http_message *trailers)
{
    (void)ctx;
    (void)h2_stream_end(st, trailers);
}

static void core_on_drained(void *ctx, struct h2_stream *st)
{
    (void)ctx, (void)st;
}

static void core_on_close(void *ctx, struct h2_stream *st, uint32_t code)
{
    (void)ctx, (void)st, (void)code;
}

static void core_on_output(void *ctx)
{
    (void)ctx;
    stream_ask_flush(box.core);
}

static const struct h2_events core_events = {.on_head = core_on_head,
                                             .on_data = core_on_data,
                                             .on_end = core_on_end,
                                             .on_drained = core_on_drained,
                                             .on_close = core_on_close,
                                             .on_output = core_on_output};

static size_t core_stream_data(void *ctx, const uint8_t *data, size_t n)
{
    (void)ctx;
    REQUIRE(h2_session_receive(box.session, data, n) == ERR_OK);
    return n;
}

static void core_stream_flush(void *ctx, struct buf *queue)
{
    (void)ctx;
    REQUIRE(h2_session_send(box.session, queue, CORE_QUEUE / 2) == ERR_OK);
    if (h2_session_has_output(box.session))
        stream_ask_flush(box.core);
}

static void core_stream_close(void *ctx, enum err why, const char *words)
{
    (void)ctx, (void)why;
    fatal("the uplink closed: %s", words); /* no guest may bring that about */
}

static const struct stream_events core_stream_events = {
    .on_data = core_stream_data, .on_close = core_stream_close, .on_flush = core_stream_flush};

/* The worker ------------------------------------------------------------------------------------------- */

static void on_message(void *ctx, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    (void)ctx, (void)type, (void)msg, (void)fds, (void)n_fds;
}

static void on_close(void *ctx)
{
    (void)ctx;
}

static const struct ipc_events ipc_events = {on_message, on_close};

static void rounds(int n)
{
    while (n-- > 0)
        ev_run(box.loop, EVRUN_NOWAIT);
}

static void say(const char *type, json_t *msg, int *fds, size_t n_fds)
{
    REQUIRE(msg);
    web_worker_message(box.web, type, msg, fds, n_fds);
    json_decref(msg);
}

static void box_open(void)
{
    int pair[2], up[2];
    log_set_level(LOG_CRIT);
    box.loop = ev_loop_new(0);
    REQUIRE(box.loop && sock_pair(pair, true) == 0 && sock_pair(up, true) == 0);
    box.worker_side = ipc_new(box.loop, pair[0], &ipc_events, NULL);
    box.main_side = ipc_new(box.loop, pair[1], &ipc_events, NULL);
    box.web = web_worker_new(box.loop, box.worker_side);
    say("setup",
        json_pack("{s:i, s:i, s:[{s:s}, {s:s, s:s}]}", "https", 0, "http", 0, "allowlist", "host",
                  "join.example.com", "host", "join.example.com", "scheme", "wss"),
        NULL, 0);
    box.core = stream_new(box.loop, up[0], up[0], &core_stream_events, NULL, CORE_QUEUE, CORE_QUEUE / 4);
    box.session = h2_session_new(H2_SERVER, &h2_limits_tunnel, &core_events, NULL);
    stream_ask_flush(box.core);
    int both[2] = {up[1], dup(up[1])};
    say("uplink", json_pack("{s:i, s:s, s:i, s:i}", "id", 0, "core", "core1", "tunnel", 0, "channel", 0),
        both, 2);
    rounds(8);
}

static int guest_open(bool preface)
{
    static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0";
    struct netaddr client;
    int pair[2];
    REQUIRE(sock_pair(pair, true) == 0 && netaddr_parse("192.0.2.1", 1, &client) == ERR_OK);
    REQUIRE(address_table_add(box.web->addresses, &client, 1000));
    box.web->n_connections++;
    conn_new(box.web, pair[0], &client);
    conn_speak(LIST_FIRST(&box.web->conns), &conn_h2);
    rounds(1);
    if (preface)
        REQUIRE(write(pair[1], hello, sizeof hello - 1) == sizeof hello - 1);
    return pair[1];
}

static void drain(int fd)
{
    uint8_t bytes[65536];
    while (read(fd, bytes, sizeof bytes) > 0)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!box.loop)
        box_open();
    if (n < 2)
        return 0;
    size_t step = 1 + (size_t)(data[0] >> 2) * 16;
    int fd = guest_open(!(data[0] & 1));
    for (size_t at = 1; at < n; at += step) {
        if (write(fd, data + at, n - at < step ? n - at : step) < 0)
            break;
        rounds(1);
        if (data[0] & 2)
            drain(fd); /* else a guest that reads nothing */
    }
    rounds(3);
    conns_sweep(box.web);
    uplinks_sweep(box.web); /* resets are not deferred for ever */
    drain(fd);
    rounds(3);
    close(fd);
    for (int i = 0; i < ROUNDS_MOST && (box.web->n_connections || h2_session_streams(box.session)); i++)
        rounds(1);
    rounds(2); /* the dead are buried */
    REQUIRE(box.web->n_connections == 0 && box.web->n_websockets == 0 && box.web->held == 0);
    REQUIRE(LIST_EMPTY(&box.web->dead_exchanges));
    REQUIRE(h2_session_streams(box.session) == 0);
    return 0;
}
