/*
 * A connection that is done for (conn_kill) stays in memory, in state DEAD, until the end of the loop's
 * round, so that no caller further up holds a pointer to freed memory.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge/web/conn_h2.h"
#include "edge/web/handshakes.h"
#include "edge/web/uplink.h"

void conn_set_deadline(struct conn *c, long seconds)
{
    c->deadline = seconds ? c->web->now + (double)seconds : 0;
}

const char *conn_server_name(const struct conn *c)
{
    return c->tls ? SSL_get_servername(stream_ssl(c->stream), TLSEXT_NAMETYPE_host_name) : NULL;
}

/* From the handshake to the protocol ------------------------------------------------------------------- */

static bool alpn_is(const unsigned char *alpn, unsigned n, const char *name)
{
    return n == strlen(name) && memcmp(alpn, name, n) == 0;
}

/* By ALPN (RFC 7301); without it, and on port 80, HTTP/1.1, unless TURN is served and the first byte says so.
 */
static const struct conn_protocol *protocol_chosen(const struct conn *c)
{
    const unsigned char *alpn = NULL;
    unsigned n = 0;
    if (c->tls)
        SSL_get0_alpn_selected(stream_ssl(c->stream), &alpn, &n);
    if (alpn_is(alpn, n, "h2"))
        return &conn_h2;
    if (alpn_is(alpn, n, "stun.turn"))
        return &conn_turn;
    return c->tls && n == 0 && c->web->turn ? &conn_first : &conn_h1;
}

void conn_speak(struct conn *c, const struct conn_protocol *protocol)
{
    c->protocol = protocol;
    stream_set_events(c->stream, protocol->events, c);
    if (!protocol->start(c))
        conn_kill(c);
}

static void on_handshake_done(void *ctx)
{
    conn_speak(ctx, protocol_chosen(ctx));
}

static size_t on_early_data(void *ctx, const uint8_t *data, size_t n)
{
    (void)ctx, (void)data, (void)n;
    return 0; /* cannot happen: nothing is read before the handshake is over */
}

void conn_on_stream_close(void *ctx, enum err why, const char *words)
{
    struct conn *c = ctx;
    if (c->state == CONN_HANDSHAKE) {
        c->web->counters.handshake_failed++;
        offence_note(c->web, &c->client, BAN_handshakes);
    }
    if (log_enabled(LOG_DEBUG)) {
        char client[NETADDR_TEXT], quoted[512];
        log_event(LOG_DEBUG, "Guest Gone", "client=%s reason=%s", netaddr_print(&c->client, client),
                  log_quote(words, strlen(words), quoted, sizeof quoted));
    }
    (void)why;
    conn_kill(c);
}

static bool on_hello(void *ctx)
{
    return handshakes_may_go_on(ctx);
}

static const struct stream_events handshake_events = {.on_hello = on_hello,
                                                      .on_open = on_handshake_done,
                                                      .on_data = on_early_data,
                                                      .on_close = conn_on_stream_close};

/* Life ------------------------------------------------------------------------------------------------- */

static struct conn *conn_begin(struct web *w, int fd, const struct netaddr *client, bool tls)
{
    struct conn *c = calloc(1, sizeof *c);
    if (c && tls)
        c->stream =
            stream_new_tls_server(w->loop, fd, w->tls, &handshake_events, c, CONN_QUEUE_MAX, CONN_QUEUE_LOW);
    else if (c)
        c->stream = stream_new(w->loop, fd, fd, &handshake_events, c, CONN_QUEUE_MAX, CONN_QUEUE_LOW);
    else
        close(fd);
    if (!c || !c->stream) {
        free(c);
        web_connection_closed(w, client);
        return NULL;
    }
    c->web = w;
    c->client = *client;
    c->tls = tls;
    c->state = CONN_HANDSHAKE;
    conn_set_deadline(c, w->limits.handshake_seconds);
    LIST_INSERT_HEAD(&w->conns, c, link);
    return c;
}

void conn_new(struct web *w, int fd, const struct netaddr *client)
{
    struct conn *c = conn_begin(w, fd, client, false);
    if (c)
        conn_speak(c, protocol_chosen(c));
}

void conn_new_tls(struct web *w, int fd, const struct netaddr *client, bool patient)
{
    struct conn *c = conn_begin(w, fd, client, true);
    if (c)
        c->patient = patient;
}

void conn_kill(struct conn *c)
{
    struct web *w = c->web;
    if (c->state == CONN_DEAD)
        return;
    w->n_websockets -= c->websocket;
    c->state = CONN_DEAD;
    w->counters.bytes_in += stream_bytes_in(c->stream);
    w->counters.bytes_out += stream_bytes_out(c->stream);
    if (c->protocol)
        c->protocol->end(c);
    handshakes_leave(c);
    stream_free(c->stream);
    c->stream = NULL;
    w->held -= c->accounted;
    c->accounted = 0;
    LIST_REMOVE(c, link);
    LIST_INSERT_HEAD(&w->dead, c, link);
    web_connection_closed(w, &c->client);
}

void conns_bury(struct web *w)
{
    h2_exchanges_bury(w);
    while (!LIST_EMPTY(&w->dead)) {
        struct conn *c = LIST_FIRST(&w->dead);
        LIST_REMOVE(c, link);
        free(c);
    }
}

void conn_linger(struct conn *c)
{
    c->state = CONN_LINGER;
    c->deadline = 0; /* starts when the queue is out: conn_sweep */
    stream_shutdown(c->stream);
    stream_resume(c->stream);
}

void conn_swallow(struct conn *c, size_t n)
{
    c->lingered += (unsigned)n;
    if (c->lingered > CONN_LINGER_BYTES_MAX)
        conn_kill(c);
}

/* Memory ----------------------------------------------------------------------------------------------- */

void conn_account(struct conn *c)
{
    size_t held = 0;
    if (c->state == CONN_DEAD)
        return;
    held = stream_queued(c->stream);
    if (c->protocol && c->protocol->held)
        held += c->protocol->held(c);
    c->web->held += held - c->accounted;
    c->accounted = held;
}

/* Towards guests, and towards cores. */
static size_t bytes_held(const struct web *w)
{
    return w->held + uplinks_queued(w);
}

bool web_memory_is_short(const struct web *w)
{
    return bytes_held(w) > (size_t)w->limits.queue_memory / 2;
}

static size_t conn_weight(const struct conn *c)
{
    return c->accounted + (c->protocol && c->protocol->passing ? c->protocol->passing(c) : 0);
}

static struct conn *greediest(struct web *w)
{
    struct conn *c, *most = NULL;
    size_t weight = 0;
    LIST_FOREACH (c, &w->conns, link) {
        size_t n = conn_weight(c);
        if (n > weight) {
            most = c;
            weight = n;
        }
    }
    return most;
}

static void shed(struct conn *c)
{
    struct web *w = c->web;
    char client[NETADDR_TEXT];
    w->counters.shed++;
    web_event(w, &w->limit_log, "Queue Memory Full",
              json_pack("{s:s, s:I, s:I}", "client", netaddr_print_ip(&c->client, client), "held",
                        (json_int_t)conn_weight(c), "limit", (json_int_t)w->limits.queue_memory));
    conn_kill(c);
}

void conns_account(struct web *w)
{
    struct conn *c;
    LIST_FOREACH (c, &w->conns, link)
        conn_account(c);
}

/* What given-up requests left in a core's queue is nobody's: then nobody is closed for it. */
void conns_shed(struct web *w)
{
    struct conn *most;
    if (bytes_held(w) <= (size_t)w->limits.queue_memory)
        return;
    conns_account(w); /* some have shrunk since */
    while (bytes_held(w) > (size_t)w->limits.queue_memory && (most = greediest(w)) != NULL)
        shed(most);
}

/* Deadlines -------------------------------------------------------------------------------------------- */

/* A reader that takes nothing at all for send_seconds is given up. */
static bool reader_is_stuck(struct conn *c, double now)
{
    uint64_t sent = stream_bytes_out(c->stream);
    if (stream_queued(c->stream) == 0) {
        c->sent_since = 0;
    } else if (c->sent_since == 0 || sent != c->sent_mark) {
        c->sent_mark = sent;
        c->sent_since = now;
    }
    return c->sent_since > 0 && now - c->sent_since > (double)c->web->limits.send_seconds;
}

static void conn_sweep(struct conn *c, double now)
{
    conn_account(c);
    if (reader_is_stuck(c, now)) {
        c->web->counters.timed_out++;
        conn_kill(c);
        return;
    }
    if (c->state == CONN_LINGER && stream_queued(c->stream) == 0) {
        if (c->peer_ended)
            conn_kill(c);
        else if (c->deadline == 0)
            conn_set_deadline(c, c->web->limits.linger_seconds);
    }
    if (c->state == CONN_HTTP2)
        c->protocol->sweep(c, now);
    if (c->state == CONN_DEAD || c->deadline == 0 || now <= c->deadline)
        return;
    if (c->state == CONN_HANDSHAKE || c->state == CONN_LINGER) {
        c->web->counters.timed_out++;
        if (c->state == CONN_HANDSHAKE && !c->waits_for_turn)
            offence_note(c->web, &c->client, BAN_handshakes);
        conn_kill(c);
    } else {
        c->protocol->expired(c);
    }
}

void conns_sweep(struct web *w)
{
    double now = w->now;
    struct conn *next;
    for (struct conn *c = LIST_FIRST(&w->conns); c; c = next) {
        next = LIST_NEXT(c, link);
        conn_sweep(c, now);
    }
}

static void conn_drain(struct conn *c)
{
    c->draining = true;
    if (c->protocol && c->state != CONN_LINGER)
        c->protocol->drain(c);
}

void conns_drain(struct web *w)
{
    struct conn *next;
    for (struct conn *c = LIST_FIRST(&w->conns); c; c = next) {
        next = LIST_NEXT(c, link);
        conn_drain(c);
    }
}

void conns_leave(struct web *w)
{
    struct conn *next;
    for (struct conn *c = LIST_FIRST(&w->conns); c; c = next) {
        next = LIST_NEXT(c, link);
        if (c->protocol && c->protocol->leave)
            c->protocol->leave(c);
        else if (c->state != CONN_LINGER)
            conn_kill(c);
    }
}

void conns_drain_those(struct web *w, bool (*chosen)(const struct web *w, const struct netaddr *client))
{
    struct conn *next;
    for (struct conn *c = LIST_FIRST(&w->conns); c; c = next) {
        next = LIST_NEXT(c, link);
        if (c->state == CONN_WEBSOCKET || c->state == CONN_TURN || !chosen(w, &c->client))
            continue;
        if (c->state == CONN_HANDSHAKE)
            conn_kill(c);
        else
            conn_drain(c);
    }
}

void conns_free(struct web *w)
{
    while (!LIST_EMPTY(&w->conns))
        conn_kill(LIST_FIRST(&w->conns));
    conns_bury(w);
}
