/*
 * The connection: bytes between the stream and the HTTP/2 session, and an end for whoever costs more than a
 * guest should. What is read is taken at once; it waits, if it must, in its stream's exchange, at most one
 * receive window of it.
 */
#include "edge/web/conn_h2.h"

#include <stdlib.h>
#include <string.h>

enum {
    FILL = 128 * 1024, /* bytes of frames made at once */
    /* A guest that reads nothing is not read either once this many frames wait for it. */
    FRAMES_MOST = 1000,
};

/* Ends ------------------------------------------------------------------------------------------------- */

/* Says and counts why a session is over, unless it is over as it should be. */
static void tell_why(struct conn *c)
{
    struct web *w = c->web;
    char client[NETADDR_TEXT];
    enum h2_abuse abuse = h2_session_abuse(c->h2->session);
    if (abuse == H2_ABUSE_NONE) {
        if (h2_session_code(c->h2->session) == H2_NO_ERROR)
            return;
        w->counters.http2_errors++;
        if (log_enabled(LOG_DEBUG)) {
            const char *words = h2_session_words(c->h2->session); /* with the header that was wrong */
            char quoted[512];
            log_event(LOG_DEBUG, "HTTP/2 Error", "client=%s code=%u reason=%s",
                      netaddr_print(&c->client, client), h2_session_code(c->h2->session),
                      log_quote(words, strlen(words), quoted, sizeof quoted));
        }
        return;
    }
    w->http2_abuses[abuse]++;
    offence_note(w, &c->client, BAN_http2_abuses);
    web_event(w, &w->abuse_log, "HTTP/2 Abuse",
              json_pack("{s:s, s:s}", "client", netaddr_print_ip(&c->client, client), "reason",
                        h2_abuse_words(abuse)));
}

/* Everything on the connection is given up; the last frames (GOAWAY) still leave. */
static void close_session(struct conn *c)
{
    struct buf *out = &c->web->out;
    tell_why(c);
    h2_exchanges_give_up(c->h2);
    buf_reset(out);
    if (h2_session_send(c->h2->session, out, FILL) != ERR_OK ||
        stream_write(c->stream, buf_data(out), buf_len(out)) != ERR_OK)
        conn_kill(c);
    else
        conn_linger(c);
    buf_reset(out);
}

static void terminate(struct conn *c, uint32_t code)
{
    h2_session_terminate(c->h2->session, code);
    close_session(c);
}

/* The stream's side ------------------------------------------------------------------------------------ */

static void note_head(struct conn_h2 *h2)
{
    if (!h2_session_in_head(h2->session))
        h2->head_since = 0;
    else if (h2->head_since == 0)
        h2->head_since = h2->conn->web->now;
}

static void note_settled(struct conn_h2 *h2)
{
    if (h2->settle_by == 0 || !h2_session_settled(h2->session))
        return;
    h2->settle_by = 0;
    if (LIST_EMPTY(&h2->exchanges))
        conn_set_deadline(h2->conn, h2->conn->web->limits.idle_seconds);
}

static size_t on_stream_data(void *ctx, const uint8_t *data, size_t n)
{
    struct conn *c = ctx;
    struct conn_h2 *h2 = c->h2;
    if (c->state == CONN_LINGER) {
        conn_swallow(c, n);
        return n;
    }
    if (h2_session_receive(h2->session, data, n) != ERR_OK) {
        close_session(c);
        return n;
    }
    note_head(h2);
    note_settled(h2);
    if (h2_session_finished(h2->session))
        close_session(c);
    else if (h2_session_frames(h2->session) > FRAMES_MOST)
        stream_pause(c->stream); /* on_stream_flush */
    return n;
}

static void on_stream_eof(void *ctx)
{
    struct conn *c = ctx;
    c->peer_ended = true;
    if (c->state != CONN_LINGER || stream_queued(c->stream) == 0)
        conn_kill(c);
}

static void on_stream_flush(void *ctx, struct buf *queue)
{
    struct conn *c = ctx;
    struct h2_session *s = c->h2->session;
    if (h2_session_send(s, queue, FILL) != ERR_OK) {
        conn_kill(c);
        return;
    }
    if (h2_session_has_output(s))
        stream_ask_flush(c->stream);
}

static void on_stream_drained(void *ctx)
{
    (void)ctx; /* the session's queues are what is told when it has drained */
}

static const struct stream_events stream_events = {.on_data = on_stream_data,
                                                   .on_eof = on_stream_eof,
                                                   .on_drained = on_stream_drained,
                                                   .on_close = conn_on_stream_close,
                                                   .on_flush = on_stream_flush};

/* Life ------------------------------------------------------------------------------------------------- */

static bool h2_start(struct conn *c)
{
    struct conn_h2 *h2 = calloc(1, sizeof *h2);
    if (!h2)
        return false;
    h2->conn = c;
    LIST_INIT(&h2->exchanges);
    h2->session = h2_session_new(H2_SERVER, &h2_limits_guest, &conn_h2_session_events, c);
    if (!h2->session) {
        free(h2);
        return false;
    }
    c->h2 = h2;
    c->state = CONN_HTTP2;
    c->web->counters.http2_connections++;
    h2->settle_by = c->web->now + (double)c->web->limits.handshake_seconds;
    c->deadline = 0;
    if (c->draining)
        h2_session_drain(h2->session);
    stream_ask_flush(c->stream);
    return true;
}

static void h2_sweep(struct conn *c, double now)
{
    struct conn_h2 *h2 = c->h2;
    struct h2_exchange *next;
    h2_session_tick(h2->session);
    for (struct h2_exchange *x = LIST_FIRST(&h2->exchanges); x; x = next) {
        next = h2_exchange_next(x);
        h2_exchange_sweep(x, now);
    }
    bool late_head = h2->head_since > 0 && now - h2->head_since > (double)c->web->limits.head_seconds;
    bool unsettled = h2->settle_by > 0 && now > h2->settle_by;
    if (late_head || unsettled) {
        c->web->counters.timed_out++;
        terminate(c, unsettled ? H2_SETTINGS_TIMEOUT : H2_PROTOCOL_ERROR);
        return;
    }
    if (h2_session_finished(h2->session))
        close_session(c);
    else if (h2_session_frames(h2->session) <= FRAMES_MOST / 2)
        stream_resume(c->stream);
}

/* Idle for too long. */
static void h2_expired(struct conn *c)
{
    c->deadline = 0;
    terminate(c, H2_NO_ERROR);
}

static void h2_drain(struct conn *c)
{
    h2_session_drain(c->h2->session);
}

/* What else runs on it ends with the connection, when the worker does. */
static void h2_leave(struct conn *c)
{
    if (c->state == CONN_HTTP2)
        h2_exchanges_leave(c->h2);
}

static void h2_end(struct conn *c)
{
    h2_exchanges_give_up(c->h2);
    h2_session_free(c->h2->session);
    free(c->h2);
    c->h2 = NULL;
}

static size_t h2_passing(const struct conn *c)
{
    const struct h2_exchange *x;
    size_t n = 0;
    for (x = LIST_FIRST(&c->h2->exchanges); x; x = h2_exchange_next(x))
        n += h2_exchange_passing(x);
    return n;
}

static size_t h2_held(const struct conn *c)
{
    return h2_session_queued(c->h2->session) + c->h2->held;
}

const struct conn_protocol conn_h2 = {.events = &stream_events,
                                      .start = h2_start,
                                      .sweep = h2_sweep,
                                      .expired = h2_expired,
                                      .drain = h2_drain,
                                      .leave = h2_leave,
                                      .end = h2_end,
                                      .held = h2_held,
                                      .passing = h2_passing};
