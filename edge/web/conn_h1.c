/*
 * HTTP/1.1 towards a guest: one request at a time; what a client pipelines waits unread. The states:
 *
 *   HANDSHAKE -> IDLE -> BODY -> ANSWER -> IDLE ...
 *                         |        +-----> LINGER -> closed      (Connection: close, errors, unread bodies)
 *                         +-> WEBSOCKET ------------> closed
 */
#include <string.h>

#include "edge/web/conn_internal.h"
#include "proto/h2_session.h"

static const struct request_guest guest_events;

static struct request_origin origin_of(const struct conn *c)
{
    return (struct request_origin){.client = &c->client,
                                   .server_name = conn_server_name(c),
                                   .received = c->minor ? "1.1" : "1.0",
                                   .tls = c->tls};
}

/* Ends ------------------------------------------------------------------------------------------------- */

/* One direction of a WebSocket has ended: with both, so has the connection. */
static void websocket_half_ended(struct conn *c)
{
    if (c->peer_ended && c->answer_ended) {
        request_free(c->request);
        c->request = NULL;
        conn_linger(c);
    } else {
        conn_set_deadline(c, c->web->limits.send_seconds);
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
        conn_linger(c);
        return;
    }
    c->state = CONN_IDLE;
    c->scanned = c->unconsumed = 0;
    c->head_begun = c->expects_continue = false;
    conn_set_deadline(c, c->web->limits.idle_seconds);
    stream_resume(c->stream);
}

/* Reading ---------------------------------------------------------------------------------------------- */

static void begin_exchange(struct conn *c)
{
    c->request = request_new(c->web, &guest_events, c);
    c->web->counters.http1_requests++;
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
    /* Whoever waits for 100 Continue is not slow. */
    bool sending = c->state == CONN_BODY && !c->expects_continue;
    conn_set_deadline(c, sending ? c->web->limits.body_seconds : c->web->limits.answer_seconds);
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
        conn_set_deadline(c, c->web->limits.head_seconds);
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
    double most = c->web->now + (double)l->body_seconds;
    c->deadline += (double)n / (double)l->body_rate;
    if (c->deadline > most)
        c->deadline = most;
}

static void body_done(struct conn *c)
{
    c->state = CONN_ANSWER;
    if (!c->answer_begun)
        conn_set_deadline(c, c->web->limits.answer_seconds);
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
        conn_set_deadline(c, c->web->limits.answer_seconds);
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
        conn_swallow(c, n);
        return n;
    case CONN_ANSWER: /* pipelined, or a WebSocket's first bytes before its 101: later */
        stream_pause(c->stream);
        return 0;
    case CONN_TURN:
    case CONN_HANDSHAKE:
    case CONN_HTTP2:
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

/* What left towards the guest is window for core. */
static void on_stream_drained(void *ctx)
{
    struct conn *c = ctx;
    size_t n = c->unconsumed;
    c->unconsumed = 0;
    if (c->request && n)
        request_consumed(c->request, n);
}

static const struct stream_events stream_events = {.on_data = on_stream_data,
                                                   .on_eof = on_stream_eof,
                                                   .on_drained = on_stream_drained,
                                                   .on_close = conn_on_stream_close};

/* Answering -------------------------------------------------------------------------------------------- */

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
    if (c->state == CONN_BODY)
        conn_set_deadline(c, c->web->limits.body_seconds);
    send_bytes(c, text, sizeof text - 1);
}

static void on_data(void *ctx, const uint8_t *data, size_t n)
{
    struct conn *c = ctx;
    char head[HTTP1_CHUNK_HEAD_MAX];
    if (c->state == CONN_DEAD || n == 0)
        return;
    if (c->state == CONN_WEBSOCKET)
        websocket_frames_pass(&c->frames, data, n);
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
    conn_account(c);
    if (stream_queued(c->stream) <= CONN_QUEUE_LOW)
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
        conn_set_deadline(c, c->web->limits.body_seconds);
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

/* Life ------------------------------------------------------------------------------------------------- */

static bool h1_start(struct conn *c)
{
    c->state = CONN_IDLE;
    c->web->counters.http1_connections++;
    conn_set_deadline(c, c->web->limits.head_seconds);
    return true;
}

static void h1_expired(struct conn *c)
{
    static const struct http1_failure late = {408, "the request took too long to arrive"};
    bool request_unfinished = c->state == CONN_BODY || (c->state == CONN_IDLE && c->head_begun);
    c->web->counters.timed_out += c->state != CONN_IDLE || c->head_begun;
    if (c->state == CONN_IDLE && !c->head_begun) {
        conn_linger(c);
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

static void h1_drain(struct conn *c)
{
    if (c->state == CONN_IDLE && !c->head_begun)
        conn_linger(c);
}

/* A WebSocket is told why it ends (RFC 6455 §7.4.1), unless it is in the middle of a frame. */
static void h1_leave(struct conn *c)
{
    uint8_t frame[WEBSOCKET_CLOSE_FRAME];
    if (c->state == CONN_LINGER)
        return;
    if (c->state != CONN_WEBSOCKET || c->answer_ended || !websocket_frames_between(&c->frames)) {
        conn_kill(c);
        return;
    }
    websocket_close_frame(WEBSOCKET_GOING_AWAY, frame);
    send_bytes(c, frame, sizeof frame);
    if (c->state == CONN_DEAD)
        return;
    c->protocol->end(c);
    conn_linger(c);
}

static void h1_end(struct conn *c)
{
    request_free(c->request);
    c->request = NULL;
    http1_body_free(&c->body);
}

static size_t h1_passing(const struct conn *c)
{
    return request_queued(c->request);
}

const struct conn_protocol conn_h1 = {.events = &stream_events,
                                      .start = h1_start,
                                      .expired = h1_expired,
                                      .drain = h1_drain,
                                      .leave = h1_leave,
                                      .end = h1_end,
                                      .passing = h1_passing};
