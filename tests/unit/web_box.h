/*
 * A web worker in one process with everything around it: main's end of the socketpair, a core that is an
 * HTTP/2 server on a socket pair, and guests over loopback. For test_web_worker.c.
 *
 *   guest --TLS/loopback--> [ web worker ] --socket pair, HTTP/2--> core
 *                                 |
 *                           main (IPC, socket pair)
 */
#ifndef TESTS_UNIT_WEB_BOX_H
#define TESTS_UNIT_WEB_BOX_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/ipc.h"
#include "common/sock.h"
#include "common/stream.h"
#include "common/tls.h"
#include "edge/web/web_worker.h"
#include "proto/h2_session.h"
#include "tests/unit/unit.h"

enum { GUEST_IN = 8 * 1024 * 1024, CORE_QUEUE = 1024 * 1024, CORES_MAX = 3 };

/* What core does with a request, by its path; see core_on_head. */
struct core_stream {
    struct core *core;
    char path[128];
    size_t left; /* /big: bytes to send */
    size_t bytes_in;
    size_t held; /* /stall: bytes not consumed */
    bool echo, websocket;
};

struct core {
    struct stream *stream;
    struct h2_session *session;
    unsigned requests;
    struct http_message last; /* the last head that came */
    struct core_stream *stalled;
    struct h2_stream *stalled_stream;
    size_t bytes_in;
    bool closed, refuse_all, consume;
};

static struct {
    struct ev_loop *loop;
    struct web *web;
    struct ipc *worker_side, *main_side;
    struct core cores[CORES_MAX];
    struct netaddr https, http;
    SSL_CTX *client_tls;
    json_t *last_status;
    unsigned ready, refused, events, uplinks_closed, offences;
    char last_offences[1024];
    char last_event[1024];
    bool turn;            /* to be set before box_setup: the HTTPS port takes TURN */
    const char *balancer; /* the same: a network of load balancers */
    int hsts;             /* seconds */
    unsigned hands;
    int handed[200]; /* descriptors that main was handed for turn workers */
    char handed_words[200];
} box;

/* Core ------------------------------------------------------------------------------------------------- */

static void core_answer(struct h2_stream *st, unsigned status, int64_t length, bool end)
{
    struct http_message m;
    http_message_init(&m);
    m.status = status;
    m.content_length = length;
    m.no_body = end;
    http_message_add_str(&m, "server", "bridge");
    http_message_add_str(&m, "alt-svc", "h3=\":443\"");
    ck_assert_int_eq(h2_stream_respond(st, &m, end), ERR_OK);
    http_message_free(&m);
}

static void core_text(struct h2_stream *st, unsigned status, const char *text)
{
    core_answer(st, status, (int64_t)strlen(text), false);
    ck_assert_int_eq(h2_stream_write(st, (const uint8_t *)text, strlen(text)), ERR_OK);
    ck_assert_int_eq(h2_stream_end(st, NULL), ERR_OK);
}

static void core_fill(struct h2_stream *st, struct core_stream *s)
{
    uint8_t piece[4096];
    while (s->left > 0 && h2_stream_room(st) >= sizeof piece) {
        size_t n = s->left < sizeof piece ? s->left : sizeof piece;
        for (size_t i = 0; i < n; i++)
            piece[i] = (uint8_t)((s->left - i) * 7);
        ck_assert_int_eq(h2_stream_write(st, piece, n), ERR_OK);
        s->left -= n;
        if (s->left == 0)
            h2_stream_end(st, NULL);
    }
}

/* Everything that came, as the body. */
static void core_mirror(struct h2_stream *st, const struct http_message *m)
{
    struct buf text;
    struct span method = http_message_method(m), host = http_message_authority(m),
                path = http_message_path(m);
    buf_init(&text, 1 << 20);
    buf_printf(&text, "%.*s %.*s %.*s\n", (int)method.len, method.at, (int)host.len, host.at, (int)path.len,
               path.at);
    for (size_t i = 0; i < m->n_fields; i++) {
        struct span name = http_message_name(m, i), value = http_message_value(m, i);
        buf_printf(&text, "%.*s: %.*s\n", (int)name.len, name.at, (int)value.len, value.at);
    }
    buf_append(&text, "", 1);
    core_text(st, 200, (const char *)buf_data(&text));
    buf_free(&text);
}

static void core_on_head(void *ctx, struct h2_stream *st, struct http_message *m, bool end)
{
    struct core *core = ctx;
    struct span path = http_message_path(m);
    core->requests++;
    http_message_free(&core->last);
    ck_assert_int_eq(http_message_copy(&core->last, m), ERR_OK);
    if (core->refuse_all) {
        h2_stream_reset(st, H2_REFUSED_STREAM);
        return;
    }
    struct core_stream *s = calloc(1, sizeof *s);
    s->core = core;
    snprintf(s->path, sizeof s->path, "%.*s", (int)path.len, path.at);
    h2_stream_set_ctx(st, s);
    if (strstr(s->path, "/bulk/hello") && span_is(http_message_method(m), "HEAD"))
        core_answer(st, 200, 5, true);
    else if (strstr(s->path, "/bulk/hello"))
        core_text(st, 200, "hello");
    else if (strcmp(s->path, "/bulk/sum") == 0 && end)
        core_text(st, 200, "nothing");
    else if (m->websocket) {
        bool over = strcmp(s->path, "/ws-over") == 0; /* opened, and ended with it */
        s->websocket = strcmp(s->path, "/ws") == 0;
        core_answer(st, s->websocket || over ? 200 : 403, HTTP_NO_LENGTH, !s->websocket);
    } else if (strcmp(s->path, "/hello") == 0) {
        if (span_is(http_message_method(m), "HEAD"))
            core_answer(st, 200, 5, true);
        else
            core_text(st, 200, "hello");
    } else if (strcmp(s->path, "/mirror") == 0) {
        core_mirror(st, m);
    } else if (strncmp(s->path, "/big?", 5) == 0) {
        s->left = (size_t)atol(s->path + 5);
        core_answer(st, 200, (int64_t)s->left, false);
        core_fill(st, s);
    } else if (strcmp(s->path, "/chunked") == 0) {
        struct http_message t;
        core_answer(st, 200, HTTP_NO_LENGTH, false);
        h2_stream_write(st, (const uint8_t *)"hello", 5);
        http_message_init(&t);
        http_message_add_str(&t, "x-sum", "42");
        h2_stream_end(st, &t);
        http_message_free(&t);
    } else if (strcmp(s->path, "/echo") == 0 || strcmp(s->path, "/stall") == 0) {
        s->echo = s->path[1] == 'e';
        if (strcmp(s->path, "/stall") == 0) {
            core->stalled = s;
            core->stalled_stream = st;
        }
        struct span expect = http_message_find(m, "expect");
        if (expect.at)
            core_answer(st, 100, HTTP_NO_LENGTH, false);
        if (end)
            core_text(st, 200, "nothing");
        else if (s->echo)
            core_answer(st, 200, HTTP_NO_LENGTH, false);
    } else if (strcmp(s->path, "/early") == 0) {
        core_text(st, 413, "too much");
    } else if (strcmp(s->path, "/hints") == 0) {
        core_answer(st, 103, HTTP_NO_LENGTH, false);
        core_text(st, 200, "hinted");
    } else if (strcmp(s->path, "/304") == 0) {
        core_answer(st, 304, 500, true);
    } else if (strcmp(s->path, "/204") == 0) {
        core_answer(st, 204, HTTP_NO_LENGTH, true);
    } else if (strcmp(s->path, "/hsts") == 0) {
        struct http_message answer;
        http_message_init(&answer);
        answer.status = 200;
        http_message_add_str(&answer, "strict-transport-security", "max-age=7");
        ck_assert_int_eq(h2_stream_respond(st, &answer, true), ERR_OK);
        http_message_free(&answer);
    } else if (strcmp(s->path, "/empty") == 0) {
        core_answer(st, 200, HTTP_NO_LENGTH, true);
    } else if (strcmp(s->path, "/cut") == 0) {
        core_answer(st, 200, 100, false);
        h2_stream_write(st, (const uint8_t *)"half", 4);
    } else if (strcmp(s->path, "/refused-by-core") == 0) {
        struct http_message answer;
        http_message_init(&answer);
        answer.status = 502;
        answer.no_body = true;
        http_message_add_str(&answer, "stile-reason", "no-target");
        ck_assert_int_eq(h2_stream_respond(st, &answer, true), ERR_OK);
        http_message_free(&answer);
    } else if (strcmp(s->path, "/reset") == 0) {
        h2_stream_reset(st, H2_INTERNAL_ERROR);
    } /* anything else: no answer */
}

static void core_on_data(void *ctx, struct h2_stream *st, const uint8_t *data, size_t n)
{
    struct core *core = ctx;
    struct core_stream *s = h2_stream_ctx(st);
    core->bytes_in += n;
    if (!s)
        return;
    s->bytes_in += n;
    if (s->websocket || s->echo)
        ck_assert_int_eq(h2_stream_write(st, data, n), ERR_OK);
    if (strcmp(s->path, "/cut") == 0)
        h2_stream_reset(st, H2_INTERNAL_ERROR);
    if (strcmp(s->path, "/stall") == 0 && !core->consume)
        s->held += n;
    else
        h2_stream_consume(st, n);
}

static void core_on_end(void *ctx, struct h2_stream *st, struct http_message *trailers)
{
    struct core_stream *s = h2_stream_ctx(st);
    (void)ctx;
    if (!s)
        return;
    if (s->websocket || s->echo)
        h2_stream_end(st, trailers);
    else if (strcmp(s->path, "/stall") == 0 || strcmp(s->path, "/bulk/sum") == 0)
        core_text(st, 200, "all of it");
}

static void core_on_drained(void *ctx, struct h2_stream *st)
{
    struct core_stream *s = h2_stream_ctx(st);
    (void)ctx;
    if (s)
        core_fill(st, s);
}

static void core_on_close(void *ctx, struct h2_stream *st, uint32_t code)
{
    struct core *core = ctx;
    struct core_stream *s = h2_stream_ctx(st);
    (void)code;
    if (core->stalled && core->stalled == s)
        core->stalled = NULL;
    free(s);
}

static void core_on_output(void *ctx)
{
    stream_ask_flush(((struct core *)ctx)->stream);
}

static const struct h2_events core_h2_events = {.on_head = core_on_head,
                                                .on_data = core_on_data,
                                                .on_end = core_on_end,
                                                .on_drained = core_on_drained,
                                                .on_close = core_on_close,
                                                .on_output = core_on_output};

static size_t core_stream_data(void *ctx, const uint8_t *data, size_t n)
{
    struct core *core = ctx;
    ck_assert_int_eq(h2_session_receive(core->session, data, n), ERR_OK);
    return n;
}

static void core_stream_flush(void *ctx, struct buf *queue)
{
    struct core *core = ctx;
    ck_assert_int_eq(h2_session_send(core->session, queue, CORE_QUEUE / 2), ERR_OK);
    if (h2_session_has_output(core->session))
        stream_ask_flush(core->stream);
}

static void core_stream_close(void *ctx, enum err why, const char *words)
{
    (void)why, (void)words;
    ((struct core *)ctx)->closed = true;
}

static const struct stream_events core_stream_events = {
    .on_data = core_stream_data, .on_close = core_stream_close, .on_flush = core_stream_flush};

static void core_attach(int i)
{
    struct core *core = &box.cores[i];
    int fds[2];
    *core = (struct core){.consume = true};
    http_message_init(&core->last);
    ck_assert_int_eq(sock_pair(fds, true), 0);
    core->stream =
        stream_new(box.loop, fds[0], fds[0], &core_stream_events, core, CORE_QUEUE, CORE_QUEUE / 4);
    core->session = h2_session_new(H2_SERVER, &h2_limits_tunnel, &core_h2_events, core);
    stream_ask_flush(core->stream);
    int both[2] = {fds[1], fds[1]};
    json_t *msg = json_pack("{s:s, s:i, s:s, s:i, s:i}", "type", "uplink", "id", i, "core", "core1", "tunnel",
                            i, "channel", 0);
    ck_assert_int_eq(ipc_send(box.main_side, msg, both, 2), ERR_OK);
    close(fds[1]);
}

static void core_detach(int i)
{
    struct core *core = &box.cores[i];
    h2_session_free(core->session);
    stream_free(core->stream);
    http_message_free(&core->last);
    core->session = NULL;
    core->stream = NULL;
}

/* Main ------------------------------------------------------------------------------------------------- */

static void worker_on_message(void *ctx, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    (void)ctx;
    web_worker_message(box.web, type, msg, fds, n_fds);
}

static void main_on_message(void *ctx, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    (void)ctx;
    if (strcmp(type, "hand") == 0) {
        ck_assert_uint_eq(n_fds, 1);
        ck_assert_uint_lt(box.hands, 200);
        box.handed[box.hands++] = fds[0];
        fds[0] = -1;
        snprintf(box.handed_words, sizeof box.handed_words, "%s %s %s",
                 json_string_value(json_object_get(msg, "client")),
                 json_string_value(json_object_get(msg, "server")),
                 json_is_true(json_object_get(msg, "tls")) ? "tls" : "tcp");
    } else if (strcmp(type, "ready") == 0)
        box.ready++;
    else if (strcmp(type, "refused") == 0)
        box.refused++;
    else if (strcmp(type, "uplink_closed") == 0)
        box.uplinks_closed++;
    else if (strcmp(type, "status") == 0) {
        json_decref(box.last_status);
        box.last_status = json_incref(msg);
    } else if (strcmp(type, "offences") == 0) {
        char *text = json_dumps(json_object_get(msg, "list"), JSON_COMPACT);
        snprintf(box.last_offences, sizeof box.last_offences, "%s", text);
        free(text);
        box.offences++;
    } else if (strcmp(type, "event") == 0) {
        char *text = json_dumps(msg, JSON_COMPACT);
        snprintf(box.last_event, sizeof box.last_event, "%s", text);
        free(text);
        box.events++;
    }
}

static void ipc_on_close(void *ctx)
{
    (void)ctx;
}

static const struct ipc_events worker_ipc_events = {worker_on_message, ipc_on_close};
static const struct ipc_events main_ipc_events = {main_on_message, ipc_on_close};

static void tick(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)t, (void)revents;
}

/* Runs the loop until the condition holds; fails after ten seconds. */
#define RUN_UNTIL(condition)                                                                                 \
    do {                                                                                                     \
        ev_tstamp give_up = ev_time() + 10;                                                                  \
        ev_timer timer;                                                                                      \
        ev_timer_init(&timer, tick, 0.02, 0.02);                                                             \
        ev_timer_start(box.loop, &timer);                                                                    \
        while (!(condition)) {                                                                               \
            ck_assert_msg(ev_time() < give_up, "never: %s", #condition);                                     \
            ev_run(box.loop, EVRUN_ONCE);                                                                    \
        }                                                                                                    \
        ev_timer_stop(box.loop, &timer);                                                                     \
    } while (0)

static inline void run_for(double seconds)
{
    ev_tstamp end = ev_time() + seconds;
    RUN_UNTIL(ev_time() >= end);
}

static void box_setup(const char *limits)
{
    char *cert, *key, why[256];
    struct netaddr any;
    int fds[2], pair[2];
    signal(SIGPIPE, SIG_IGN); /* as the daemons do */
    box.loop = ev_loop_new(0);
    ck_assert_int_eq(tls_self_signed("join.example.com", 1, &cert, &key), ERR_OK);
    ck_assert_int_eq(tls_client_ctx(cert, &box.client_tls, why, sizeof why), ERR_OK);
    SSL_CTX_set_verify(box.client_tls, SSL_VERIFY_NONE, NULL);
    ck_assert_int_eq(sock_pair(pair, true), 0);
    box.worker_side = ipc_new(box.loop, pair[0], &worker_ipc_events, NULL);
    box.main_side = ipc_new(box.loop, pair[1], &main_ipc_events, NULL);
    box.web = web_worker_new(box.loop, box.worker_side);
    ck_assert_int_eq(netaddr_parse("127.0.0.1", 0, &any), ERR_OK);
    fds[0] = sock_listen_tcp(&any, false);
    fds[1] = sock_listen_tcp(&any, false);
    sock_local(fds[0], &box.https);
    sock_local(fds[1], &box.http);
    json_t *rules =
        json_pack("[{s:s}, {s:s, s:s}, {s:s, s:s, s:[s]}, {s:s, s:i}]", "host", "join.example.com", "host",
                  "join.example.com", "scheme", "wss", "host", "narrow.example.com", "path", "/app",
                  "methods", "GET", "host", "meet.example.org", "port", 8443);
    json_t *setup = json_pack("{s:s, s:b, s:i, s:i, s:{s:s, s:[{s:s, s:s}]}, s:o, s:i, s:o}", "type", "setup",
                              "turn", box.turn, "https", 1, "http", 1, "tls", "host", "join.example.com",
                              "identities", "pem", cert, "key", key, "allowlist", rules, "revision", 7,
                              "limits", limits ? json_loads(limits, 0, NULL) : json_object());
    if (box.hsts)
        json_object_set_new(setup, "hsts", json_integer(box.hsts));
    if (box.balancer)
        json_object_set_new(setup, "load_balancers", json_pack("[s]", box.balancer));
    ck_assert_int_eq(ipc_send(box.main_side, setup, fds, 2), ERR_OK);
    close(fds[0]);
    close(fds[1]);
    free(cert);
    free(key);
    RUN_UNTIL(box.ready);
}

static inline void box_start(void)
{
    box_setup(NULL);
    core_attach(0);
    run_for(0.05);
}

static void box_stop(void)
{
    web_worker_free(box.web);
    for (int i = 0; i < CORES_MAX; i++)
        if (box.cores[i].session)
            core_detach(i);
    ipc_free(box.worker_side);
    ipc_free(box.main_side);
    json_decref(box.last_status);
    SSL_CTX_free(box.client_tls);
    ev_run(box.loop, EVRUN_NOWAIT);
    ev_loop_destroy(box.loop);
}

static inline json_int_t box_count(const char *name)
{
    json_decref(box.last_status);
    box.last_status = NULL;
    ipc_send(box.main_side, json_pack("{s:s, s:i}", "type", "status", "id", 1), NULL, 0);
    RUN_UNTIL(box.last_status);
    return json_integer_value(json_object_get(json_object_get(box.last_status, "web"), name));
}

/* How many durations a stage's histogram holds. */
static inline json_int_t box_durations(const char *stage)
{
    json_int_t n = 0;
    size_t i;
    json_t *count;
    (void)box_count("requests");
    const json_t *stages = json_object_get(json_object_get(box.last_status, "web"), "seconds");
    json_array_foreach (json_object_get(json_object_get(stages, stage), "counts"), i, count)
        n += json_integer_value(count);
    return n;
}

/* Guests ----------------------------------------------------------------------------------------------- */

struct guest {
    struct stream *stream;
    struct buf in;
    bool open, eof, closed;
};

static void guest_on_open(void *ctx)
{
    ((struct guest *)ctx)->open = true;
}

static size_t guest_on_data(void *ctx, const uint8_t *data, size_t n)
{
    ck_assert_int_eq(buf_append(&((struct guest *)ctx)->in, data, n), ERR_OK);
    return n;
}

static void guest_on_eof(void *ctx)
{
    ((struct guest *)ctx)->eof = true;
}

static void guest_on_close(void *ctx, enum err why, const char *words)
{
    (void)why, (void)words;
    ((struct guest *)ctx)->closed = true;
}

static const struct stream_events guest_events = {
    .on_open = guest_on_open, .on_data = guest_on_data, .on_eof = guest_on_eof, .on_close = guest_on_close};

static inline void guest_connect(struct guest *g, bool tls, const char *name)
{
    *g = (struct guest){0};
    buf_init(&g->in, GUEST_IN);
    g->stream = stream_connect(box.loop, tls ? &box.https : &box.http, tls ? box.client_tls : NULL, name,
                               &guest_events, g, GUEST_IN, 0);
    RUN_UNTIL(g->open || g->closed);
}

static inline void guest_send(struct guest *g, const char *text)
{
    ck_assert_int_eq(stream_write(g->stream, text, strlen(text)), ERR_OK);
}

static inline bool guest_has(const struct guest *g, const char *text)
{
    const uint8_t *data = buf_data(&g->in);
    size_t n = strlen(text);
    return data && buf_len(&g->in) >= n && memmem(data, buf_len(&g->in), text, n) != NULL;
}

static inline bool guest_ends_with(const struct guest *g, const char *text)
{
    const uint8_t *data = buf_data(&g->in);
    size_t n = strlen(text);
    return data && buf_len(&g->in) >= n && memcmp(data + buf_len(&g->in) - n, text, n) == 0;
}

static inline void guest_close(struct guest *g)
{
    stream_free(g->stream);
    buf_free(&g->in);
}

#define HEAD_OF(method, path) method " " path " HTTP/1.1\r\nHost: join.example.com\r\n"
#define GET(path)             HEAD_OF("GET", path) "\r\n"

#endif
