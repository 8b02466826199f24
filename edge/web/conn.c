/*
 * A connection that is done for (conn_kill) stays in memory, in state DEAD, until the end of the loop's
 * round, so that no caller further up holds a pointer to freed memory.
 */
#include <stdlib.h>
#include <unistd.h>

#include "edge/web/conn_internal.h"

void conn_set_deadline(struct conn *c, long seconds)
{
    c->deadline = seconds ? ev_now(c->web->loop) + (ev_tstamp)seconds : 0;
}

/* Life ------------------------------------------------------------------------------------------------- */

void conn_new(struct web *w, int fd, const struct netaddr *client, bool tls)
{
    struct conn *c = calloc(1, sizeof *c);
    if (c && tls)
        c->stream = stream_new_tls_server(w->loop, fd, w->tls, &conn_h1_stream_events, c, CONN_QUEUE_MAX,
                                          CONN_QUEUE_LOW);
    else if (c)
        c->stream = stream_new(w->loop, fd, fd, &conn_h1_stream_events, c, CONN_QUEUE_MAX, CONN_QUEUE_LOW);
    else
        close(fd);
    if (!c || !c->stream) {
        free(c);
        web_connection_closed(w, client);
        return;
    }
    c->web = w;
    c->client = *client;
    c->tls = tls;
    c->state = tls ? CONN_HANDSHAKE : CONN_IDLE;
    conn_set_deadline(c, tls ? w->limits.handshake_seconds : w->limits.head_seconds);
    LIST_INSERT_HEAD(&w->conns, c, link);
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
    request_free(c->request);
    c->request = NULL;
    http1_body_free(&c->body);
    stream_free(c->stream);
    c->stream = NULL;
    LIST_REMOVE(c, link);
    LIST_INSERT_HEAD(&w->dead, c, link);
    web_connection_closed(w, &c->client);
}

void conns_bury(struct web *w)
{
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

/* Deadlines -------------------------------------------------------------------------------------------- */

static void conn_expired(struct conn *c)
{
    static const struct http1_failure late = {408, "the request took too long to arrive"};
    bool request_unfinished = c->state == CONN_BODY || (c->state == CONN_IDLE && c->head_begun);
    c->web->counters.timed_out += c->state != CONN_IDLE || c->head_begun;
    if (c->state == CONN_IDLE && !c->head_begun) {
        conn_linger(c);
    } else if (request_unfinished && !(c->request && c->answer_begun)) {
        request_free(c->request);
        c->request = NULL;
        conn_h1_refuse(c, &late);
    } else if (c->state == CONN_ANSWER && !c->answer_begun) {
        c->deadline = 0;
        request_timed_out(c->request);
    } else {
        conn_kill(c);
    }
}

/* A reader that takes nothing at all for send_seconds is given up. */
static bool reader_is_stuck(struct conn *c, ev_tstamp now)
{
    uint64_t sent = stream_bytes_out(c->stream);
    if (stream_queued(c->stream) == 0) {
        c->sent_since = 0;
    } else if (c->sent_since == 0 || sent != c->sent_mark) {
        c->sent_mark = sent;
        c->sent_since = now;
    }
    return c->sent_since > 0 && now - c->sent_since > (ev_tstamp)c->web->limits.send_seconds;
}

static void conn_sweep(struct conn *c, ev_tstamp now)
{
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
    if (c->state != CONN_DEAD && c->deadline > 0 && now > c->deadline)
        conn_expired(c);
}

void conns_sweep(struct web *w)
{
    ev_tstamp now = ev_now(w->loop);
    struct conn *next;
    for (struct conn *c = LIST_FIRST(&w->conns); c; c = next) {
        next = LIST_NEXT(c, link);
        conn_sweep(c, now);
    }
}

void conns_drain(struct web *w)
{
    struct conn *next;
    for (struct conn *c = LIST_FIRST(&w->conns); c; c = next) {
        next = LIST_NEXT(c, link);
        c->draining = true;
        if (c->state == CONN_IDLE && !c->head_begun)
            conn_linger(c);
    }
}

void conns_free(struct web *w)
{
    while (!LIST_EMPTY(&w->conns))
        conn_kill(LIST_FIRST(&w->conns));
    conns_bury(w);
}
