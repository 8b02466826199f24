/*
 * One stream is one request. Upwards: what core does not take yet is held here, and its window is not given
 * back to the guest. Downwards: bytes wait in the stream's queue, and their window is not given back to core.
 * So a guest that does not read one stream stops that stream and nothing else.
 */
#include <stdlib.h>

#include "edge/web/conn_h2.h"
#include "proto/websocket.h"

/* In memory until the end of the round in which its stream closed: the request's callbacks may still come. */
struct h2_exchange {
    LIST_ENTRY(h2_exchange) link;
    struct conn *conn;
    struct h2_stream *stream; /* NULL once it is closed */
    struct request *request;  /* NULL once it is over */
    struct buf held;
    struct http_message trailers; /* of the request, when they came before the rest was taken */
    size_t unconsumed;            /* bytes of the answer whose window is not given back */
    uint64_t body_bytes;
    uint64_t sent_mark; /* bytes out at the last look: does the reader read? */
    double sent_since;
    double deadline; /* 0: none */
    uint32_t window; /* receive window */
    uint8_t interims;
    bool expects_continue, wants_websocket, websocket;
    struct websocket_frames frames; /* of a WebSocket, towards the guest */
    bool peer_ended;                /* the request is complete, though some of it may be held */
    bool passed_end;                /* and that was said to core */
    bool answer_begun, answer_ended;
};

static const struct request_guest guest_events;

static void set_deadline(struct h2_exchange *x, long seconds)
{
    x->deadline = seconds ? x->conn->web->now + (double)seconds : 0;
}

static void request_over(struct h2_exchange *x)
{
    request_free(x->request);
    x->request = NULL;
    x->conn->h2->held -= buf_len(&x->held);
    buf_free(&x->held);
}

static void reset(struct h2_exchange *x, uint32_t code)
{
    request_over(x);
    if (x->stream)
        h2_stream_reset(x->stream, code);
}

/* Judged and refused without a look at the rest of it. */
static void refuse(struct h2_exchange *x, const struct http1_failure *why)
{
    struct conn *c = x->conn;
    struct request_origin origin = {
        .client = &c->client, .server_name = conn_server_name(c), .received = "2.0", .tls = true};
    request_over(x);
    x->request = request_new(c->web, &guest_events, x);
    if (x->request)
        request_start_malformed(x->request, &origin, why);
    else
        reset(x, H2_INTERNAL_ERROR);
}

/* The answer is complete. What of the request is still to come is not worth waiting for. */
static void answered(struct h2_exchange *x)
{
    x->answer_ended = true;
    if (x->websocket && !x->passed_end) {
        set_deadline(x, x->conn->web->limits.send_seconds);
        return;
    }
    x->deadline = 0;
    request_over(x);
    if (x->stream)
        h2_stream_stop(x->stream);
}

/* The request ------------------------------------------------------------------------------------------ */

static struct h2_exchange *exchange_new(struct conn *c, struct h2_stream *st)
{
    struct h2_exchange *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->conn = c;
    x->stream = st;
    x->window = h2_limits_guest.stream_window;
    buf_init(&x->held, H2_HELD_MOST);
    http_message_init(&x->trailers);
    x->request = request_new(c->web, &guest_events, x);
    if (!x->request) {
        free(x);
        return NULL;
    }
    LIST_INSERT_HEAD(&c->h2->exchanges, x, link);
    h2_stream_set_ctx(st, x);
    c->deadline = 0;
    return x;
}

/* False: refused. RFC 9110 §10.1.1 knows one expectation. */
static bool check_head(struct h2_exchange *x, struct http_message *m, bool end)
{
    static const struct http1_failure unknown = {417, "an expectation other than 100-continue"};
    struct http1_failure why;
    struct span expect = http_message_find(m, "expect");
    x->expects_continue = expect.at && !end;
    if (expect.at && (http_message_count(m, "expect") != 1 || !span_is_nocase(expect, "100-continue"))) {
        refuse(x, &unknown);
        return false;
    }
    if (m->websocket && websocket_check_extended(m, &why) != ERR_OK) {
        refuse(x, &why);
        return false;
    }
    return true;
}

/* One address must not take all the streams to core, which HTTP/2 makes so cheap. */
static bool count_stream(struct conn *c)
{
    struct web *w = c->web;
    char client[NETADDR_TEXT];
    if (address_table_add(w->streams, &c->client, (size_t)w->limits.streams_per_address))
        return true;
    w->counters.refused_streams++;
    web_event(w, &w->limit_log, "Too Many Requests",
              json_pack("{s:s, s:I}", "client", netaddr_print_ip(&c->client, client), "limit",
                        (json_int_t)w->limits.streams_per_address));
    return false;
}

static void on_head(void *ctx, struct h2_stream *st, struct http_message *m, bool end)
{
    struct conn *c = ctx;
    if (!count_stream(c)) {
        h2_stream_reset(st, H2_REFUSED_STREAM); /* RFC 9113 §8.7: may be sent again */
        return;
    }
    struct h2_exchange *x = exchange_new(c, st);
    if (!x) {
        address_table_remove(c->web->streams, &c->client);
        h2_stream_reset(st, H2_INTERNAL_ERROR);
        return;
    }
    c->web->counters.http2_requests++;
    x->peer_ended = x->passed_end = end;
    if (!check_head(x, m, end))
        return;
    x->wants_websocket = m->websocket;
    bool sending = !end && !m->websocket && !x->expects_continue;
    set_deadline(x, sending ? c->web->limits.body_seconds : c->web->limits.answer_seconds);
    struct request_origin origin = {
        .client = &c->client, .server_name = conn_server_name(c), .received = "2.0", .tls = true};
    request_start(x->request, &origin, m, end);
}

/* A sender must on the whole keep up body_rate, at most body_seconds behind. */
static void body_progress(struct h2_exchange *x, size_t n)
{
    const struct web_limits *l = &x->conn->web->limits;
    double most = x->conn->web->now + (double)l->body_seconds;
    if (x->websocket || x->wants_websocket || x->answer_begun || x->deadline == 0)
        return;
    x->deadline += (double)n / (double)l->body_rate;
    if (x->deadline > most)
        x->deadline = most;
}

/* A body that core takes as fast as it comes may have more under way: distant guests upload a window per
 * round trip. */
static void grow_window(struct h2_exchange *x)
{
    struct conn_h2 *h2 = x->conn->h2;
    uint32_t more = 3 * x->window;
    if (x->body_bytes < 2 * (uint64_t)x->window || x->window + more > H2_WINDOW_MOST ||
        h2->grown + more > H2_GROWN_MOST || web_memory_is_short(x->conn->web))
        return;
    h2->grown += more;
    x->window += more;
    h2_stream_set_window(x->stream, x->window);
}

static void pass_end(struct h2_exchange *x)
{
    x->passed_end = true;
    request_end(x->request, x->trailers.n_fields ? &x->trailers : NULL);
    http_message_free(&x->trailers);
    if (!x->answer_begun)
        set_deadline(x, x->conn->web->limits.answer_seconds);
    else if (x->websocket && x->answer_ended)
        answered(x);
    else if (x->websocket)
        set_deadline(x, x->conn->web->limits.send_seconds);
    else
        x->deadline = 0;
}

/* Gives core what it takes of the bytes that are held. */
static void pass_held(struct h2_exchange *x)
{
    size_t room = request_room(x->request), n = buf_len(&x->held) < room ? buf_len(&x->held) : room;
    if (n) {
        request_write(x->request, buf_data(&x->held), n);
        buf_consume(&x->held, n);
        x->conn->h2->held -= n;
        h2_stream_consume(x->stream, n);
    }
    if (buf_len(&x->held) == 0 && x->peer_ended && !x->passed_end)
        pass_end(x);
}

static void on_data(void *ctx, struct h2_stream *st, const uint8_t *data, size_t n)
{
    struct conn *c = ctx;
    struct h2_exchange *x = h2_stream_ctx(st);
    if (!x || !x->request)
        return; /* answered already: it is not wanted, and its window is not given back */
    x->body_bytes += n;
    body_progress(x, n);
    size_t room = buf_len(&x->held) ? 0 : request_room(x->request), taken = n < room ? n : room;
    if (taken) {
        request_write(x->request, data, taken);
        h2_stream_consume(st, taken);
    }
    if (taken == n) {
        grow_window(x);
    } else if (buf_append(&x->held, data + taken, n - taken) == ERR_OK) {
        c->h2->held += n - taken;
        conn_account(c);
        if (!x->answer_begun)
            set_deadline(x, c->web->limits.answer_seconds); /* core is slow, not the guest */
    } else {
        reset(x, H2_INTERNAL_ERROR);
    }
}

static void on_end(void *ctx, struct h2_stream *st, struct http_message *trailers)
{
    struct h2_exchange *x = h2_stream_ctx(st);
    (void)ctx;
    if (!x || !x->request)
        return;
    x->peer_ended = true;
    if (trailers && http_message_copy(&x->trailers, trailers) != ERR_OK)
        reset(x, H2_INTERNAL_ERROR);
    else if (buf_len(&x->held) == 0)
        pass_end(x);
}

/* What left towards the guest is window for core. */
static void give_back(struct h2_exchange *x)
{
    size_t n = x->unconsumed;
    x->unconsumed = 0;
    if (x->request && n)
        request_consumed(x->request, n);
}

static void on_drained(void *ctx, struct h2_stream *st)
{
    struct h2_exchange *x = h2_stream_ctx(st);
    conn_account(ctx);
    if (x)
        give_back(x);
}

static void on_close(void *ctx, struct h2_stream *st, uint32_t code)
{
    struct conn *c = ctx;
    struct h2_exchange *x = h2_stream_ctx(st);
    (void)code;
    if (!x)
        return;
    x->stream = NULL;
    request_over(x);
    address_table_remove(c->web->streams, &c->client);
    c->h2->grown -= x->window - h2_limits_guest.stream_window;
    c->web->n_websockets -= x->websocket;
    http_message_free(&x->trailers);
    LIST_REMOVE(x, link);
    LIST_INSERT_HEAD(&c->web->dead_exchanges, x, link);
    if (LIST_EMPTY(&c->h2->exchanges) && c->state == CONN_HTTP2)
        conn_set_deadline(c, c->web->limits.idle_seconds);
}

static void on_output(void *ctx)
{
    const struct conn *c = ctx;
    stream_ask_flush(c->stream);
}

const struct h2_events conn_h2_session_events = {.on_head = on_head,
                                                 .on_data = on_data,
                                                 .on_end = on_end,
                                                 .on_drained = on_drained,
                                                 .on_close = on_close,
                                                 .on_output = on_output};

/* The answer ------------------------------------------------------------------------------------------- */

static void open_websocket(struct h2_exchange *x, struct http_message *m)
{
    struct web *w = x->conn->web;
    m->status = 200; /* RFC 8441 §5 */
    m->content_length = HTTP_NO_LENGTH;
    x->deadline = 0;
    x->websocket = true;
    w->n_websockets++;
    w->counters.http2_websockets++;
    if (h2_stream_respond(x->stream, m, false) != ERR_OK)
        reset(x, H2_INTERNAL_ERROR);
}

static void guest_on_head(void *ctx, struct http_message *m, bool end)
{
    struct h2_exchange *x = ctx;
    if (!x->stream)
        return;
    x->answer_begun = true;
    if (m->websocket) {
        open_websocket(x, m);
        return;
    }
    if (x->wants_websocket && !x->passed_end) {
        x->passed_end = true;
        request_end(x->request, NULL); /* the opening was refused: nothing will come from the guest */
    }
    if (x->passed_end)
        x->deadline = 0;
    if (m->status == 204)
        m->content_length = HTTP_NO_LENGTH; /* RFC 9110 §8.6 */
    if (h2_stream_respond(x->stream, m, end) != ERR_OK)
        reset(x, H2_INTERNAL_ERROR);
    else if (end)
        answered(x);
}

/* 100 to who asked for it, 103 (RFC 8297) to everybody; others say nothing that a guest could use. */
static void guest_on_interim(void *ctx, struct http_message *m)
{
    struct h2_exchange *x = ctx;
    bool wanted = m->status == 103 || (m->status == 100 && x->expects_continue);
    if (!wanted || !x->stream || x->answer_begun || x->interims == H2_INTERIM_MOST)
        return;
    if (m->status == 100) {
        x->expects_continue = false;
        if (!x->peer_ended)
            set_deadline(x, x->conn->web->limits.body_seconds);
    }
    x->interims++;
    m->content_length = HTTP_NO_LENGTH;
    (void)h2_stream_respond(x->stream, m, false); /* without it the final one is still to come */
}

static void guest_on_data(void *ctx, const uint8_t *data, size_t n)
{
    struct h2_exchange *x = ctx;
    if (!x->stream || !x->request || n == 0)
        return;
    if (x->websocket)
        websocket_frames_pass(&x->frames, data, n);
    if (h2_stream_write(x->stream, data, n) != ERR_OK) {
        reset(x, H2_INTERNAL_ERROR);
        return;
    }
    x->unconsumed += n;
    conn_account(x->conn);
    if (h2_stream_queued(x->stream) <= h2_limits_guest.low_water)
        give_back(x);
}

static void guest_on_end(void *ctx, const struct http_message *trailers)
{
    struct h2_exchange *x = ctx;
    if (!x->stream || !x->request)
        return;
    if (h2_stream_end(x->stream, trailers) != ERR_OK)
        reset(x, H2_INTERNAL_ERROR);
    else
        answered(x);
}

static void guest_on_room(void *ctx)
{
    struct h2_exchange *x = ctx;
    if (!x->stream || !x->request)
        return;
    if (!x->peer_ended && !x->answer_begun && !x->wants_websocket && buf_len(&x->held))
        set_deadline(x, x->conn->web->limits.body_seconds);
    pass_held(x);
}

/* Never a clean end: the guest is to know that the answer is not complete. */
static void guest_on_abort(void *ctx)
{
    reset(ctx, H2_INTERNAL_ERROR);
}

static const struct request_guest guest_events = {.on_head = guest_on_head,
                                                  .on_interim = guest_on_interim,
                                                  .on_data = guest_on_data,
                                                  .on_end = guest_on_end,
                                                  .on_room = guest_on_room,
                                                  .on_abort = guest_on_abort};

/* Deadlines -------------------------------------------------------------------------------------------- */

static void expired(struct h2_exchange *x)
{
    static const struct http1_failure late = {408, "the request took too long to arrive"};
    struct web *w = x->conn->web;
    x->deadline = 0;
    if (x->request && !x->answer_begun &&
        (x->passed_end || x->wants_websocket || buf_len(&x->held) || x->expects_continue)) {
        request_timed_out(x->request); /* not the guest's fault; counted there */
        return;
    }
    w->counters.timed_out++;
    if (x->request && !x->answer_begun)
        refuse(x, &late);
    else
        reset(x, H2_CANCEL);
}

/* A reader that gives no window for send_seconds while bytes wait for it (CVE-2019-9517). */
static bool reader_is_stuck(struct h2_exchange *x, double now)
{
    uint64_t sent = h2_stream_sent(x->stream);
    if (h2_stream_queued(x->stream) == 0) {
        x->sent_since = 0;
    } else if (x->sent_since == 0 || sent != x->sent_mark) {
        x->sent_mark = sent;
        x->sent_since = now;
    }
    return x->sent_since > 0 && now - x->sent_since > (double)x->conn->web->limits.send_seconds;
}

void h2_exchange_sweep(struct h2_exchange *x, double now)
{
    if (!x->stream)
        return;
    if (reader_is_stuck(x, now)) {
        x->conn->web->counters.http2_stalled++;
        reset(x, H2_CANCEL);
    } else if (x->deadline > 0 && now > x->deadline) {
        expired(x);
    }
}

size_t h2_exchange_passing(const struct h2_exchange *x)
{
    return request_queued(x->request);
}

struct h2_exchange *h2_exchange_next(const struct h2_exchange *x)
{
    return LIST_NEXT(x, link);
}

void h2_exchanges_leave(struct conn_h2 *h2)
{
    uint8_t frame[WEBSOCKET_CLOSE_FRAME];
    struct h2_exchange *x, *next;
    websocket_close_frame(WEBSOCKET_GOING_AWAY, frame);
    for (x = LIST_FIRST(&h2->exchanges); x; x = next) {
        next = LIST_NEXT(x, link); /* x may end, and be among the dead ones */
        if (x->websocket && x->stream && !x->answer_ended && websocket_frames_between(&x->frames) &&
            h2_stream_write(x->stream, frame, sizeof frame) == ERR_OK)
            guest_on_end(x, NULL);
    }
}

void h2_exchanges_give_up(struct conn_h2 *h2)
{
    struct h2_exchange *x;
    LIST_FOREACH (x, &h2->exchanges, link)
        reset(x, H2_CANCEL);
}

void h2_exchanges_bury(struct web *w)
{
    while (!LIST_EMPTY(&w->dead_exchanges)) {
        struct h2_exchange *x = LIST_FIRST(&w->dead_exchanges);
        LIST_REMOVE(x, link);
        free(x);
    }
}
