/*
 * HTTP/1.1 towards a guest: one request at a time; what a client pipelines waits unread. The states:
 *
 *   HANDSHAKE -> IDLE -> BODY -> ANSWER -> IDLE ...
 *                         |        +-----> LINGER -> closed      (Connection: close, errors, unread bodies)
 *                         +-> WEBSOCKET ------------> closed
 *
 * A connection that is done for (conn_kill) stays in memory, in state DEAD, until the end of the loop's
 * round, so that no caller further up holds a pointer to freed memory.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/stream.h"
#include "edge/web/conn.h"
#include "edge/web/request.h"
#include "proto/h2_session.h"
#include "proto/http1_body.h"
#include "proto/http1_head.h"
#include "proto/websocket.h"

enum conn_state {
    CONN_HANDSHAKE,
    CONN_IDLE,   /* waiting for a head, or within one */
    CONN_BODY,   /* the exchange runs; the request's body is still coming */
    CONN_ANSWER, /* the exchange runs; the request is complete */
    CONN_WEBSOCKET,
    CONN_LINGER, /* our side is shut; waiting for the guest's */
    CONN_DEAD,
};

enum {
    /* An answer's bytes wait here until the guest has read them: one stream window, which is all that core
     * may send before we give window back, and room for heads and chunk sizes. */
    QUEUE_MAX = 512 * 1024,
    QUEUE_LOW = 32 * 1024,
    LINGER_BYTES_MAX = 1024 * 1024,
};

struct conn {
    LIST_ENTRY(conn) link;
    struct web *web;
    struct stream *stream;
    struct request *request;
    struct http1_body body; /* the request's */
    size_t scanned;         /* of the head that is coming */
    size_t unconsumed;      /* answer bytes queued, whose window is not given back */
    uint64_t sent_mark;     /* bytes out at the last look: does the reader read? */
    ev_tstamp sent_since;   /* 0: nothing waits */
    ev_tstamp deadline;     /* 0: none */
    struct netaddr client;
    enum conn_state state;
    unsigned lingered;
    uint8_t minor; /* HTTP/1.minor of the request */
    bool tls;
    bool keep_alive;
    bool head_begun; /* some of the head has come */
    bool expects_continue;
    bool head_request; /* HEAD */
    bool answer_begun, answer_chunked, answer_ended;
    bool websocket;  /* was one: counted */
    bool peer_ended; /* the guest has shut its side */
    bool draining;
    char accept[WEBSOCKET_ACCEPT_TEXT + 1]; /* of a WebSocket that is being opened; else "" */
};

static const struct request_guest guest_events;

static void set_deadline(struct conn *c, long seconds)
{
    c->deadline = seconds ? ev_now(c->web->loop) + (ev_tstamp)seconds : 0;
}

static const char *server_name(const struct conn *c)
{
    return c->tls ? SSL_get_servername(stream_ssl(c->stream), TLSEXT_NAMETYPE_host_name) : NULL;
}

static struct request_origin origin_of(const struct conn *c)
{
    return (struct request_origin){.client = &c->client,
                                   .server_name = server_name(c),
                                   .received = c->minor ? "1.1" : "1.0",
                                   .tls = c->tls};
}

/* Ends ------------------------------------------------------------------------------------------------------
 */

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

/* Says no more, and waits for the guest's close: a reset would take the last answer from under the reader. */
static void linger(struct conn *c)
{
    c->state = CONN_LINGER;
    c->deadline = 0; /* starts when the queue is out: conn_sweep */
    stream_shutdown(c->stream);
    stream_resume(c->stream);
}

/* One direction of a WebSocket has ended: with both, so has the connection. */
static void websocket_half_ended(struct conn *c)
{
    if (c->peer_ended && c->answer_ended) {
        request_free(c->request);
        c->request = NULL;
        linger(c);
    } else {
        set_deadline(c, c->web->limits.send_seconds);
    }
}

/* The answer is complete. */
static void finish_exchange(struct conn *c)
{
    bool complete = c->state == CONN_ANSWER;
    request_free(c->request);
    c->request = NULL;
    http1_body_free(&c->body);
    if (!complete || !c->keep_alive || c->peer_ended || c->draining) {
        linger(c);
        return;
    }
    c->state = CONN_IDLE;
    c->scanned = c->unconsumed = 0;
    c->head_begun = c->expects_continue = false;
    set_deadline(c, c->web->limits.idle_seconds);
    stream_resume(c->stream);
}

/* Reading ---------------------------------------------------------------------------------------------------
 */

static void begin_exchange(struct conn *c)
{
    c->request = request_new(c->web, &guest_events, c);
    c->answer_begun = c->answer_ended = false;
    c->head_request = false;
    c->accept[0] = '\0';
    if (!c->request)
        conn_kill(c);
}

/* What the parser refused is answered, and nothing behind it is looked at. */
static void refuse(struct conn *c, const struct http1_failure *why)
{
    struct request_origin origin;
    c->keep_alive = false;
    c->minor = 1;
    c->state = CONN_ANSWER;
    begin_exchange(c);
    if (c->state == CONN_DEAD)
        return;
    origin = origin_of(c);
    request_start_malformed(c->request, &origin, why);
}

/* Starts the exchange for the head in web->parsed. */
static void accept_head(struct conn *c, const struct http1_head *head)
{
    struct http_message *m = &c->web->parsed;
    struct http1_failure why;
    begin_exchange(c);
    if (c->state == CONN_DEAD)
        return;
    c->minor = (uint8_t)head->minor;
    c->keep_alive = head->keep_alive && !c->draining;
    c->expects_continue = head->expect_continue && head->minor == 1;
    c->head_request = span_is(http_message_method(m), "HEAD");
    if (head->minor == 0)
        http_message_remove(m, "expect"); /* RFC 9110 §10.1.1 */
    if (websocket_wanted(m, head) && c->tls && websocket_check_request(m, head, c->accept, &why) != ERR_OK) {
        struct request_origin origin = origin_of(c);
        c->keep_alive = false;
        c->state = CONN_ANSWER;
        request_start_malformed(c->request, &origin, &why);
        return;
    }
    http1_body_init(&c->body, m, head);
    bool end = http1_body_done(&c->body) && !m->websocket;
    c->state = m->no_body || m->websocket ? CONN_ANSWER : CONN_BODY;
    set_deadline(c, c->state == CONN_BODY ? c->web->limits.body_seconds : c->web->limits.answer_seconds);
    struct request_origin origin = origin_of(c);
    request_start(c->request, &origin, m, end);
}

/* Each of these takes what it can off data and returns how much that was. */

static size_t read_head(struct conn *c, const uint8_t *data, size_t n)
{
    struct http1_head head;
    struct http1_failure why;
    size_t used = 0;
    if (!c->head_begun) {
        c->head_begun = true;
        set_deadline(c, c->web->limits.head_seconds);
    }
    switch (http1_parse_request(data, n, &c->scanned, &c->web->parsed, &head, &used, &why)) {
    case ERR_OK:
        accept_head(c, &head);
        return used;
    case ERR_AGAIN:
        return 0;
    case ERR_MALFORMED:
        refuse(c, &why);
        return 0;
    default:
        conn_kill(c);
        return 0;
    }
}

/* RFC 9112 §6; a sender must on the whole keep up body_rate, at most body_seconds behind. */
static void body_progress(struct conn *c, size_t n)
{
    const struct web_limits *l = &c->web->limits;
    ev_tstamp most = ev_now(c->web->loop) + (ev_tstamp)l->body_seconds;
    c->deadline += (ev_tstamp)n / (ev_tstamp)l->body_rate;
    if (c->deadline > most)
        c->deadline = most;
}

static void body_done(struct conn *c)
{
    c->state = CONN_ANSWER;
    if (!c->answer_begun)
        set_deadline(c, c->web->limits.answer_seconds);
    else
        c->deadline = 0;
    request_end(c->request, http1_body_trailers(&c->body));
}

static size_t read_body(struct conn *c, const uint8_t *data, size_t n)
{
    static const struct http1_failure broken = {400, "broken chunks in a request body"};
    struct http1_piece piece;
    size_t room = request_room(c->request);
    enum err e = http1_body_decode(&c->body, data, n, room, &piece);
    if (e == ERR_MALFORMED && !c->answer_begun) {
        request_free(c->request);
        c->request = NULL;
        refuse(c, &broken);
        return 0;
    }
    if (e != ERR_OK) {
        conn_kill(c);
        return 0;
    }
    if (piece.n)
        request_write(c->request, piece.data, piece.n);
    body_progress(c, piece.n);
    if (http1_body_done(&c->body)) {
        body_done(c);
    } else if (room == 0 || piece.n == room) {
        stream_pause(c->stream); /* until on_room */
        set_deadline(c, c->web->limits.answer_seconds);
    }
    return piece.used;
}

static size_t read_websocket(struct conn *c, const uint8_t *data, size_t n)
{
    size_t room = request_room(c->request), taken = n < room ? n : room;
    if (taken)
        request_write(c->request, data, taken);
    if (taken < n)
        stream_pause(c->stream);
    return taken;
}

static size_t read_some(struct conn *c, const uint8_t *data, size_t n)
{
    switch (c->state) {
    case CONN_IDLE:
        return read_head(c, data, n);
    case CONN_BODY:
        return read_body(c, data, n);
    case CONN_WEBSOCKET:
        return read_websocket(c, data, n);
    case CONN_LINGER:
        c->lingered += (unsigned)n;
        if (c->lingered > LINGER_BYTES_MAX)
            conn_kill(c);
        return n;
    case CONN_ANSWER: /* pipelined, or a WebSocket's first bytes before its 101: later */
        stream_pause(c->stream);
        return 0;
    case CONN_HANDSHAKE:
    case CONN_DEAD:
        break;
    }
    return 0;
}

static size_t on_stream_data(void *ctx, const uint8_t *data, size_t n)
{
    struct conn *c = ctx;
    size_t used = 0, taken;
    do {
        enum conn_state before = c->state;
        taken = read_some(c, data + used, n - used);
        used += taken;
        if (c->state != before && c->state != CONN_DEAD)
            taken = 1; /* another state may have a use for what this one left */
    } while (c->state != CONN_DEAD && taken > 0 && used < n);
    return c->state == CONN_DEAD ? n : used;
}

static void on_stream_eof(void *ctx)
{
    struct conn *c = ctx;
    c->peer_ended = true;
    switch (c->state) {
    case CONN_ANSWER: /* a half-closed client still gets its answer */
        break;
    case CONN_WEBSOCKET:
        request_end(c->request, NULL);
        websocket_half_ended(c);
        break;
    case CONN_LINGER:
        if (stream_queued(c->stream) > 0)
            break; /* conn_sweep */
        conn_kill(c);
        break;
    default:
        conn_kill(c);
    }
}

static void on_stream_open(void *ctx)
{
    struct conn *c = ctx;
    c->state = CONN_IDLE;
    set_deadline(c, c->web->limits.head_seconds);
}

static void on_stream_close(void *ctx, enum err why, const char *words)
{
    struct conn *c = ctx;
    if (c->state == CONN_HANDSHAKE)
        c->web->counters.handshake_failed++;
    if (log_enabled(LOG_DEBUG)) {
        char client[NETADDR_TEXT];
        log_event(LOG_DEBUG, "Guest Gone", "client=%s reason=\"%s\"", netaddr_print(&c->client, client),
                  words);
    }
    (void)why;
    conn_kill(c);
}

/* What left towards the guest is window for core. */
static void on_stream_drained(void *ctx)
{
    struct conn *c = ctx;
    size_t n = c->unconsumed;
    c->unconsumed = 0;
    if (c->request && n)
        request_consumed(c->request, n);
}

static const struct stream_events stream_events = {.on_open = on_stream_open,
                                                   .on_data = on_stream_data,
                                                   .on_eof = on_stream_eof,
                                                   .on_drained = on_stream_drained,
                                                   .on_close = on_stream_close};

/* Answering -------------------------------------------------------------------------------------------------
 */

static void send_bytes(struct conn *c, const void *data, size_t n)
{
    if (c->state != CONN_DEAD && stream_write(c->stream, data, n) != ERR_OK)
        conn_kill(c);
}

static void send_out(struct conn *c)
{
    struct buf *out = &c->web->out;
    send_bytes(c, buf_data(out), buf_len(out));
    buf_reset(out);
}

static void open_websocket(struct conn *c, struct http_message *m)
{
    const struct http1_response_form form = {.minor = 1};
    m->status = 101;
    if (http_message_add_str(m, "sec-websocket-accept", c->accept) != ERR_OK ||
        http1_write_response(&c->web->out, m, &form, NULL) != ERR_OK) {
        buf_reset(&c->web->out);
        conn_kill(c);
        return;
    }
    c->state = CONN_WEBSOCKET;
    c->deadline = 0;
    c->websocket = true;
    c->web->n_websockets++;
    send_out(c);
    if (c->state == CONN_DEAD)
        return;
    if (c->peer_ended)
        request_end(c->request, NULL);
    else
        stream_resume(c->stream);
}

static void on_head(void *ctx, struct http_message *m, bool end)
{
    struct conn *c = ctx;
    if (c->state == CONN_DEAD)
        return;
    c->answer_begun = true;
    if (m->websocket) {
        open_websocket(c, m);
        return;
    }
    if (c->accept[0]) {
        request_end(c->request, NULL); /* the opening was refused: nothing will come from the guest */
        c->accept[0] = '\0';
        c->keep_alive = false;
    }
    if (c->state == CONN_BODY)
        c->keep_alive = false; /* answered early: what is left of the body is not worth waiting for */
    else
        c->deadline = 0;
    struct http1_response_form form = {
        .minor = c->minor, .head = c->head_request, .close = !c->keep_alive || c->peer_ended || c->draining};
    if (http1_write_response(&c->web->out, m, &form, &c->answer_chunked) != ERR_OK) {
        conn_kill(c);
        return;
    }
    if (!c->answer_chunked && !m->no_body && m->content_length == HTTP_NO_LENGTH)
        c->keep_alive = false;
    send_out(c);
    if (end && c->state != CONN_DEAD)
        finish_exchange(c);
}

static void on_interim(void *ctx, struct http_message *m)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct conn *c = ctx;
    if (m->status != 100 || !c->expects_continue || c->answer_begun || c->state == CONN_DEAD)
        return; /* others are of use to HTTP/2 only */
    c->expects_continue = false;
    send_bytes(c, text, sizeof text - 1);
}

static void on_data(void *ctx, const uint8_t *data, size_t n)
{
    struct conn *c = ctx;
    char head[HTTP1_CHUNK_HEAD_MAX];
    if (c->state == CONN_DEAD || n == 0)
        return;
    if (c->answer_chunked && c->state != CONN_WEBSOCKET) {
        send_bytes(c, head, http1_chunk_head(head, n));
        send_bytes(c, data, n);
        send_bytes(c, "\r\n", 2);
    } else {
        send_bytes(c, data, n);
    }
    if (c->state == CONN_DEAD)
        return;
    c->unconsumed += n;
    if (stream_queued(c->stream) <= QUEUE_LOW)
        on_stream_drained(c);
}

static void on_end(void *ctx, const struct http_message *trailers)
{
    struct conn *c = ctx;
    if (c->state == CONN_DEAD)
        return;
    c->answer_ended = true;
    if (c->state == CONN_WEBSOCKET) {
        stream_shutdown(c->stream);
        websocket_half_ended(c);
        return;
    }
    if (c->answer_chunked) {
        if (http1_write_last_chunk(&c->web->out, trailers) != ERR_OK) {
            conn_kill(c);
            return;
        }
        send_out(c);
    }
    if (c->state != CONN_DEAD)
        finish_exchange(c);
}

static void on_room(void *ctx)
{
    struct conn *c = ctx;
    if (c->state == CONN_BODY)
        set_deadline(c, c->web->limits.body_seconds);
    if (c->state == CONN_BODY || c->state == CONN_WEBSOCKET)
        stream_resume(c->stream);
}

/* Cut without the end that HTTP/1 has for it (a last chunk, the rest of the length), so that the guest can
 * tell. */
static void on_abort(void *ctx)
{
    conn_kill(ctx);
}

static const struct request_guest guest_events = {.on_head = on_head,
                                                  .on_interim = on_interim,
                                                  .on_data = on_data,
                                                  .on_end = on_end,
                                                  .on_room = on_room,
                                                  .on_abort = on_abort};

/* Life and deadlines ----------------------------------------------------------------------------------------
 */

void conn_new(struct web *w, int fd, const struct netaddr *client, bool tls)
{
    struct conn *c = calloc(1, sizeof *c);
    if (c && tls)
        c->stream = stream_new_tls_server(w->loop, fd, w->tls, &stream_events, c, QUEUE_MAX, QUEUE_LOW);
    else if (c)
        c->stream = stream_new(w->loop, fd, fd, &stream_events, c, QUEUE_MAX, QUEUE_LOW);
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
    set_deadline(c, tls ? w->limits.handshake_seconds : w->limits.head_seconds);
    LIST_INSERT_HEAD(&w->conns, c, link);
}

static void conn_expired(struct conn *c)
{
    static const struct http1_failure late = {408, "the request took too long to arrive"};
    bool request_unfinished = c->state == CONN_BODY || (c->state == CONN_IDLE && c->head_begun);
    c->web->counters.timed_out += c->state != CONN_IDLE || c->head_begun;
    if (c->state == CONN_IDLE && !c->head_begun) {
        linger(c);
    } else if (request_unfinished && !(c->request && c->answer_begun)) {
        request_free(c->request);
        c->request = NULL;
        refuse(c, &late);
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
            set_deadline(c, c->web->limits.linger_seconds);
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
            linger(c);
    }
}

void conns_free(struct web *w)
{
    while (!LIST_EMPTY(&w->conns))
        conn_kill(LIST_FIRST(&w->conns));
    conns_bury(w);
}
