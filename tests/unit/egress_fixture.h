/*
 * What the tests of core/egress share: an HTTP/2 client in memory as the (hostile) edge, an egress, and TLS
 * servers on loopback as bridges, which do what each test says, byte by byte.
 *
 *   edge (h2 client)  <-- memory -->  egress_session | egress  <-- TLS on loopback -->  bridge
 */
#ifndef TESTS_UNIT_EGRESS_FIXTURE_H
#define TESTS_UNIT_EGRESS_FIXTURE_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/sock.h"
#include "common/stream.h"
#include "common/tls.h"
#include "core/egress/egress.h"
#include "proto/h2_session.h"
#include "tests/unit/unit.h"

#define UNUSED __attribute__((unused))

enum { CALLS_MAX = 128, PEERS_MAX = 128, BRIDGES_MAX = 4, CALL_BODY_MAX = 64 * 1024 * 1024 };

/* The bridge's side ------------------------------------------------------------------------------------- */

struct bridge;

/* One connection to a bridge. */
struct peer {
    struct bridge *bridge;
    struct stream *stream;
    struct buf in; /* what came and was not taken off by the test */
    unsigned requests;
    bool open, eof, closed;
    size_t received;
    int step; /* the test's own */
};

struct bridge {
    int fd;
    ev_io accepting;
    struct netaddr addr;
    SSL_CTX *tls;
    /* Called whenever bytes, or the end, have come. */
    void (*serve)(struct peer *p);
    struct peer peers[PEERS_MAX];
    size_t n_peers;
    bool deaf; /* accepts, says nothing */
};

/* The edge's side --------------------------------------------------------------------------------------- */

struct call {
    struct h2_stream *stream;
    struct http_message head, trailers;
    struct buf body;
    size_t received, held;
    unsigned status, interim, interims;
    bool got_head, ended, closed, hold; /* hold: keep the window */
    uint32_t code;
};

static struct {
    struct ev_loop *loop;
    ev_timer beat; /* so that no wait for an event is long */
    struct egress *egress;
    struct egress_session *session;
    struct h2_session *edge;
    bool session_failed;
    struct call calls[CALLS_MAX];
    size_t n_calls;
    struct bridge bridges[BRIDGES_MAX];
    size_t n_bridges;
    char *cert, *key;
    unsigned targets_failed, refused;
    char target_host[256], target_reason[256], refusal_why[256], refusal_client[256], refusal_url[512];
    bool stop_fetching; /* the tunnel does not move */
} lab;

static const struct egress_limits quick_limits = {
    .sweep = 0.05,
    .connect = 0.4,
    .head = 0.5,
    .body = 0.5,
    .upload = 0.5,
    .half_closed = 0.3,
    .lingering = 0.1,
    .running = 64,
    .waiting = 64 * 1024 * 1024,
};

static void on_beat(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)t, (void)revents;
}

/* Bridge ------------------------------------------------------------------------------------------------ */

static size_t peer_on_data(void *ctx, const uint8_t *data, size_t n)
{
    struct peer *p = ctx;
    p->received += n;
    ck_assert_int_eq(buf_append(&p->in, data, n), ERR_OK);
    if (p->bridge->serve)
        p->bridge->serve(p);
    return n;
}

static void peer_on_open(void *ctx)
{
    ((struct peer *)ctx)->open = true;
}

static void peer_on_eof(void *ctx)
{
    struct peer *p = ctx;
    p->eof = true;
    if (p->bridge->serve)
        p->bridge->serve(p);
}

static void peer_on_drained(void *ctx)
{
    struct peer *p = ctx;
    if (p->bridge->serve)
        p->bridge->serve(p);
}

static void peer_on_close(void *ctx, enum err why, const char *words)
{
    struct peer *p = ctx;
    (void)why, (void)words;
    p->closed = true;
}

static const struct stream_events peer_events = {.on_open = peer_on_open,
                                                 .on_data = peer_on_data,
                                                 .on_eof = peer_on_eof,
                                                 .on_drained = peer_on_drained,
                                                 .on_close = peer_on_close};

static void bridge_on_accept(struct ev_loop *loop, ev_io *w, int revents)
{
    struct bridge *b = w->data;
    (void)revents;
    int fd = accept4(b->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    ck_assert_uint_lt(b->n_peers, PEERS_MAX);
    struct peer *p = &b->peers[b->n_peers++];
    *p = (struct peer){.bridge = b};
    buf_init(&p->in, CALL_BODY_MAX);
    if (b->deaf)
        p->stream = stream_new(loop, fd, fd, &peer_events, p, CALL_BODY_MAX, 64 * 1024);
    else
        p->stream = stream_new_tls_server(loop, fd, b->tls, &peer_events, p, CALL_BODY_MAX, 64 * 1024);
}

static struct bridge *bridge_start(void (*serve)(struct peer *p))
{
    struct bridge *b = &lab.bridges[lab.n_bridges++];
    char why[256];
    *b = (struct bridge){.serve = serve};
    ck_assert_int_eq(tls_server_ctx(lab.cert, lab.key, "\x08http/1.1", &b->tls, why, sizeof why), ERR_OK);
    ck_assert_int_eq(netaddr_parse("127.0.0.1", 0, &b->addr), ERR_OK);
    b->fd = sock_listen_tcp(&b->addr, false);
    ck_assert_int_ge(b->fd, 0);
    sock_set_nonblock(b->fd);
    ck_assert_int_eq(sock_local(b->fd, &b->addr), ERR_OK);
    ev_io_init(&b->accepting, bridge_on_accept, b->fd, EV_READ);
    b->accepting.data = b;
    ev_io_start(lab.loop, &b->accepting);
    return b;
}

/* Nobody listens any more; connections stay. */
static void bridge_stop(struct bridge *b)
{
    if (b->fd < 0)
        return;
    ev_io_stop(lab.loop, &b->accepting);
    close(b->fd);
    b->fd = -1;
}

static void bridge_free(struct bridge *b)
{
    bridge_stop(b);
    for (size_t i = 0; i < b->n_peers; i++) {
        stream_free(b->peers[i].stream);
        buf_free(&b->peers[i].in);
    }
    SSL_CTX_free(b->tls);
}

UNUSED static void peer_say(struct peer *p, const char *text)
{
    ck_assert_int_eq(stream_write(p->stream, text, strlen(text)), ERR_OK);
}

/* Takes a request head off p->in into text (NUL-terminated); false while it is not complete. */
UNUSED static bool peer_head(struct peer *p, char *text, size_t size)
{
    size_t n = buf_len(&p->in);
    const uint8_t *at = buf_data(&p->in), *end = n ? memmem(at, n, "\r\n\r\n", 4) : NULL;
    if (!end)
        return false;
    size_t len = (size_t)(end - at) + 4;
    ck_assert_uint_lt(len, size);
    memcpy(text, at, len);
    text[len] = '\0';
    buf_consume(&p->in, len);
    p->requests++;
    return true;
}

/* Answers every request (without body) with a short 200. */
UNUSED static void serve_ok(struct peer *p)
{
    char head[8192];
    while (peer_head(p, head, sizeof head))
        peer_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

UNUSED static size_t bridge_requests(const struct bridge *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n_peers; i++)
        n += b->peers[i].requests;
    return n;
}

/* Edge -------------------------------------------------------------------------------------------------- */

static void edge_on_head(void *ctx, struct h2_stream *st, struct http_message *m, bool end)
{
    struct call *c = h2_stream_ctx(st);
    (void)ctx;
    ck_assert(!c->got_head);
    c->got_head = true;
    c->status = m->status;
    c->ended = end;
    ck_assert_int_eq(http_message_copy(&c->head, m), ERR_OK);
}

static void edge_on_interim(void *ctx, struct h2_stream *st, struct http_message *m)
{
    struct call *c = h2_stream_ctx(st);
    (void)ctx;
    c->interim = m->status;
    c->interims++;
}

static void edge_on_data(void *ctx, struct h2_stream *st, const uint8_t *data, size_t n)
{
    struct call *c = h2_stream_ctx(st);
    (void)ctx;
    c->received += n;
    ck_assert_int_eq(buf_append(&c->body, data, n), ERR_OK);
    if (c->hold)
        c->held += n;
    else
        h2_stream_consume(st, n);
}

static void edge_on_end(void *ctx, struct h2_stream *st, struct http_message *trailers)
{
    struct call *c = h2_stream_ctx(st);
    (void)ctx;
    c->ended = true;
    if (trailers)
        ck_assert_int_eq(http_message_copy(&c->trailers, trailers), ERR_OK);
}

static void edge_on_drained(void *ctx, struct h2_stream *st)
{
    (void)ctx, (void)st;
}

static void edge_on_close(void *ctx, struct h2_stream *st, uint32_t code)
{
    struct call *c = h2_stream_ctx(st);
    (void)ctx;
    c->closed = true;
    c->code = code;
    c->stream = NULL;
}

static void edge_on_output(void *ctx)
{
    (void)ctx;
}

static const struct h2_events edge_events = {
    .on_head = edge_on_head,
    .on_interim = edge_on_interim,
    .on_data = edge_on_data,
    .on_end = edge_on_end,
    .on_drained = edge_on_drained,
    .on_close = edge_on_close,
    .on_output = edge_on_output,
};

static void session_on_output(void *ctx)
{
    (void)ctx;
}

static const struct egress_session_events session_events = {session_on_output};

/* Moves what waits, both ways. */
static void pump(void)
{
    struct buf out;
    bool moved = true;
    buf_init(&out, 1 << 20);
    while (moved && !lab.session_failed && !lab.stop_fetching) {
        moved = false;
        ck_assert_int_eq(h2_session_send(lab.edge, &out, 64 * 1024), ERR_OK);
        if (buf_len(&out) > 0) {
            moved = true;
            lab.session_failed = egress_session_receive(lab.session, buf_data(&out), buf_len(&out)) != ERR_OK;
        }
        buf_reset(&out);
        ck_assert_int_eq(egress_session_send(lab.session, &out, 64 * 1024), ERR_OK);
        if (buf_len(&out) > 0) {
            moved = true;
            ck_assert_int_eq(h2_session_receive(lab.edge, buf_data(&out), buf_len(&out)), ERR_OK);
        }
        buf_reset(&out);
    }
    buf_free(&out);
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Runs everything until condition is true; the test fails after a while. */
#define RUN_UNTIL(condition)                                                                                 \
    do {                                                                                                     \
        double start_ = seconds_now();                                                                       \
        pump();                                                                                              \
        while (!(condition)) {                                                                               \
            ev_run(lab.loop, EVRUN_ONCE);                                                                    \
            pump();                                                                                          \
            ck_assert_msg(seconds_now() - start_ < 30, "%s:%d: never true: %s", __FILE__, __LINE__,          \
                          #condition);                                                                       \
        }                                                                                                    \
    } while (0)

UNUSED static void run_for(double seconds)
{
    double start = seconds_now();
    while (seconds_now() - start < seconds) {
        pump();
        ev_run(lab.loop, EVRUN_ONCE);
    }
    pump();
}

static void add_rows(json_t *rows, const struct bridge *b, const char *state, int priority, int weight)
{
    json_array_append_new(rows,
                          json_pack("{ss ss si si si ss}", "name", "bridge", "address", "127.0.0.1", "port",
                                    b->addr.port, "priority", priority, "weight", weight, "state", state));
}

/* All bridges are Active, in the order they were started in: the first has the best priority. */
UNUSED static void use_bridges(void)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < lab.n_bridges; i++)
        add_rows(rows, &lab.bridges[i], "active", (int)i, 0);
    egress_set_targets(lab.egress, "join.example.com", rows);
    json_decref(rows);
}

UNUSED static enum err set_policy(const char *rules, const char *ca)
{
    char why[512];
    json_t *list = json_loads(rules, 0, NULL);
    ck_assert_ptr_nonnull(list);
    json_t *domains = json_pack("[{ss s[s] ss?}]", "host", "join.example.com", "hosts", "join.example.com",
                                "bridge_ca", ca);
    enum err e = egress_set_policy(lab.egress, list, domains, why, sizeof why);
    json_decref(list);
    json_decref(domains);
    return e;
}

#define DEFAULT_RULES                                                                                        \
    "[{\"scheme\":\"https\",\"host\":\"join.example.com\",\"port\":443,\"match\":\"prefix\",\"path\":\"/\"," \
    "\"methods\":[\"GET\",\"HEAD\",\"POST\",\"PUT\",\"DELETE\"]},"                                           \
    "{\"scheme\":\"wss\",\"host\":\"join.example.com\",\"port\":443,\"match\":\"prefix\",\"path\":\"/"       \
    "\",\"methods\":[\"GET\"]}]"

static void on_target_failed(void *ctx, const char *host, const struct netaddr *addr, const char *reason)
{
    (void)ctx, (void)addr;
    snprintf(lab.target_host, sizeof lab.target_host, "%s", host);
    lab.targets_failed++;
    snprintf(lab.target_reason, sizeof lab.target_reason, "%s", reason);
}

static void on_refused(void *ctx, const struct egress_refusal *r)
{
    (void)ctx;
    lab.refused++;
    snprintf(lab.refusal_why, sizeof lab.refusal_why, "%s", r->why);
    snprintf(lab.refusal_client, sizeof lab.refusal_client, "%s", r->client);
    snprintf(lab.refusal_url, sizeof lab.refusal_url, "%s", r->url);
}

static const struct egress_events egress_events = {on_target_failed, on_refused};

UNUSED static void lab_start(void)
{
    memset(&lab, 0, sizeof lab);
    signal(SIGPIPE, SIG_IGN);
    lab.loop = ev_loop_new(0);
    ev_timer_init(&lab.beat, on_beat, 0.005, 0.005);
    ev_timer_start(lab.loop, &lab.beat);
    ck_assert_int_eq(tls_self_signed("join.example.com", 1, &lab.cert, &lab.key), ERR_OK);
    lab.egress = egress_new(lab.loop, &egress_events, NULL);
    lab.session = egress_session_new(lab.egress, &session_events, NULL);
    lab.edge = h2_session_new(H2_CLIENT, &h2_limits_tunnel, &edge_events, NULL);
    ck_assert(lab.egress && lab.session && lab.edge);
    ck_assert_int_eq(set_policy(DEFAULT_RULES, lab.cert), ERR_OK);
    pump();
}

/* One bridge, and the egress pointed at it. */
UNUSED static struct bridge *lab_start_with(void (*serve)(struct peer *p))
{
    lab_start();
    struct bridge *b = bridge_start(serve);
    use_bridges();
    return b;
}

UNUSED static void lab_stop(void)
{
    egress_session_free(lab.session);
    ck_assert_uint_eq(egress_running(lab.egress), 0);
    egress_free(lab.egress);
    h2_session_free(lab.edge); /* closes what is left of the calls */
    for (size_t i = 0; i < lab.n_calls; i++) {
        ck_assert(lab.calls[i].closed);
        http_message_free(&lab.calls[i].head);
        http_message_free(&lab.calls[i].trailers);
        buf_free(&lab.calls[i].body);
    }
    for (size_t i = 0; i < lab.n_bridges; i++)
        bridge_free(&lab.bridges[i]);
    ev_timer_stop(lab.loop, &lab.beat);
    ev_run(lab.loop, EVRUN_NOWAIT); /* streams are freed at the end of the round */
    ev_loop_destroy(lab.loop);
    free(lab.cert);
    free(lab.key);
}

UNUSED static void message_start(struct http_message *m, const char *method, const char *path)
{
    http_message_init(m);
    http_message_set_method(m, method, strlen(method));
    http_message_set_scheme(m, "https", 5);
    http_message_set_authority(m, "join.example.com", 16);
    http_message_set_path(m, path, strlen(path));
}

UNUSED static struct call *call_message(const struct http_message *m, bool end)
{
    ck_assert_uint_lt(lab.n_calls, CALLS_MAX);
    struct call *c = &lab.calls[lab.n_calls++];
    http_message_init(&c->head);
    http_message_init(&c->trailers);
    buf_init(&c->body, CALL_BODY_MAX);
    ck_assert_int_eq(h2_session_request(lab.edge, m, end, c, &c->stream), ERR_OK);
    return c;
}

UNUSED static struct call *call_start(const char *method, const char *path, bool end)
{
    struct http_message m;
    message_start(&m, method, path);
    struct call *c = call_message(&m, end);
    http_message_free(&m);
    return c;
}

UNUSED static struct call *call_websocket(const char *path, const char *protocol)
{
    struct http_message m;
    message_start(&m, "GET", path);
    m.websocket = true;
    http_message_add_str(&m, "sec-websocket-protocol", protocol);
    struct call *c = call_message(&m, false);
    http_message_free(&m);
    return c;
}

UNUSED static void call_write(struct call *c, const char *text)
{
    ck_assert_int_eq(h2_stream_write(c->stream, (const uint8_t *)text, strlen(text)), ERR_OK);
}

UNUSED static struct call *get(const char *path)
{
    struct call *c = call_start("GET", path, true);
    RUN_UNTIL(c->closed);
    return c;
}

UNUSED static bool call_body_is(const struct call *c, const char *text)
{
    return buf_len(&c->body) == strlen(text) && memcmp(buf_data(&c->body), text, strlen(text)) == 0;
}

UNUSED static bool call_has(const struct call *c, const char *name, const char *value)
{
    return span_is(http_message_find(&c->head, name), value);
}

/* Core's own answer. */
UNUSED static bool call_failed(const struct call *c, unsigned status, const char *reason)
{
    return c->closed && c->status == status && call_has(c, EGRESS_REASON_FIELD, reason);
}

/* The response was begun and broken off: never a clean end. */
UNUSED static bool call_was_reset(const struct call *c)
{
    return c->closed && !c->ended && c->code != H2_NO_ERROR;
}

UNUSED static json_int_t status_number(const char *key)
{
    json_t *status = egress_status(lab.egress);
    ck_assert_ptr_nonnull(status);
    json_int_t v = json_integer_value(json_object_get(status, key));
    json_decref(status);
    return v;
}

/* How many durations the histogram of the bridge's answers holds. */
UNUSED static json_int_t bridge_durations(void)
{
    json_t *status = egress_status(lab.egress), *count;
    json_int_t n = 0;
    size_t i;
    const json_t *bridge = json_object_get(json_object_get(status, "seconds"), "bridge");
    json_array_foreach (json_object_get(bridge, "counts"), i, count)
        n += json_integer_value(count);
    json_decref(status);
    return n;
}

#endif
