/* nghttp2 calls us back from inside h2_session_receive and h2_session_send only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/h2_internal.h"

enum {
    SETTINGS_MAX = 8,
    CONTINUATIONS_MAX = 8, /* of one head; each may be as large as a frame */
    TABLE_SIZE = 4096,     /* HPACK, both directions (RFC 7541 §4.2) */
    DRAIN_TICKS = 2,
};

/* The PING that comes back when everything sent before our shutdown notice has come (RFC 9113 §6.8). */
static const uint8_t drain_ping[8] = {'d', 'r', 'a', 'i', 'n', 'i', 'n', 'g'};

/* The connection window is what may be under way: whatever fills it, a small answer waits behind that much at most. */
#define TUNNEL_LIMITS(window)                                                                                \
    {                                                                                                        \
        .max_streams = 10000, .stream_window = (window), .connection_window = 512 * 1024,                    \
        .max_frame = 32 * 1024, .stream_queue = 128 * 1024, .low_water = 32 * 1024, .reset_burst = 20000,    \
        .reset_rate = 5000, .max_acks = 1000,                                                                \
    }

const struct h2_limits h2_limits_tunnel = TUNNEL_LIMITS(256 * 1024);
const struct h2_limits h2_limits_uplink = TUNNEL_LIMITS(64 * 1024);

const struct h2_limits h2_limits_guest = {
    .max_streams = 100,
    .stream_window = 128 * 1024,
    .connection_window = 8 * 1024 * 1024, /* given back as bytes come: no stream holds up another */
    .max_frame = 16 * 1024,
    .stream_queue = 512 * 1024, /* core may send one window of an answer before any is given back */
    .low_water = 32 * 1024,
    .reset_burst = 2000, /* the budgets end it long before, and say why */
    .reset_rate = 200,
    .max_acks = 100,
    .guarded = true,
};

/* Tells the owner once that there is output. */
void h2_note_output(struct h2_session *s)
{
    if (s->told || s->out || !nghttp2_session_want_write(s->ng))
        return;
    s->told = true;
    s->events->on_output(s->ctx);
}

/* Other frames in -------------------------------------------------------------------------------------- */

static uint64_t get_u64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

static void on_settings_done(struct h2_session *s)
{
    bool first = !s->ready;
    s->ready = true;
    if (first && s->events->on_ready)
        s->events->on_ready(s->ctx);
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_session *s = user;
    struct h2_stream *st;
    (void)ng;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        s->in_head = false;
        h2_head_done(s, frame);
        break;
    case NGHTTP2_DATA:
        st = h2_stream_of(s, frame->hd.stream_id);
        if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) || !st || st->reset)
            break;
        st->peer_ended = true;
        if (st->shown)
            s->events->on_end(s->ctx, st, NULL);
        break;
    case NGHTTP2_SETTINGS:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK)
            s->acknowledged = true;
        else
            on_settings_done(s);
        break;
    case NGHTTP2_PING:
        if (!(frame->hd.flags & NGHTTP2_FLAG_ACK))
            break;
        if (s->draining && memcmp(frame->ping.opaque_data, drain_ping, sizeof drain_ping) == 0)
            s->notice_seen = true;
        else if (s->events->on_pong)
            s->events->on_pong(s->ctx, get_u64(frame->ping.opaque_data));
        break;
    case NGHTTP2_GOAWAY:
        s->goaway = true;
        if (s->events->on_goaway)
            s->events->on_goaway(s->ctx);
        break;
    default:
        break;
    }
    return 0;
}

static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t n,
                         void *user)
{
    struct h2_session *s = user;
    struct h2_stream *st = h2_stream_of(s, id);
    (void)flags;
    nghttp2_session_consume_connection(ng, n);
    if (st && st->shown && !st->reset)
        s->events->on_data(s->ctx, st, data, n);
    else
        nghttp2_session_consume_stream(ng, id, n);
    return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
    struct h2_stream *st = h2_stream_of(user, id);
    (void)ng;
    if (st)
        h2_stream_close(st, code);
    return 0;
}

static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_session *s = user;
    (void)ng;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        s->code = frame->goaway.error_code;
    else
        h2_stream_frame_sent(s, frame);
    return 0;
}

static int on_error(nghttp2_session *ng, int code, const char *words, size_t n, void *user)
{
    struct h2_session *s = user;
    (void)ng, (void)code;
    snprintf(s->words, sizeof s->words, "%.*s", (int)n, words);
    return 0;
}

static ssize_t on_send(nghttp2_session *ng, const uint8_t *data, size_t n, int flags, void *user)
{
    struct h2_session *s = user;
    (void)ng, (void)flags;
    if (buf_len(s->out) >= s->most)
        return NGHTTP2_ERR_WOULDBLOCK;
    return buf_append(s->out, data, n) == ERR_OK ? (ssize_t)n : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* Session ---------------------------------------------------------------------------------------------- */

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *c;
    if (nghttp2_session_callbacks_new(&c) != 0)
        return NULL;
    h2_stream_callbacks(c);
    h2_head_callbacks(c);
    h2_guard_callbacks(c);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_send);
    nghttp2_session_callbacks_set_send_callback(c, on_send);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_error_callback2(c, on_error);
    return c;
}

static nghttp2_option *make_options(const struct h2_limits *limits)
{
    nghttp2_option *o;
    if (nghttp2_option_new(&o) != 0)
        return NULL;
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_stream_reset_rate_limit(o, limits->reset_burst, limits->reset_rate);
    nghttp2_option_set_peer_max_concurrent_streams(o, limits->max_streams);
    nghttp2_option_set_max_send_header_block_length(o, HTTP_HEAD_MAX * 2);
    nghttp2_option_set_max_outbound_ack(o, limits->max_acks);
    nghttp2_option_set_max_continuations(o, CONTINUATIONS_MAX);
    nghttp2_option_set_max_deflate_dynamic_table_size(o, TABLE_SIZE);
    return o;
}

static int submit_settings(struct h2_session *s)
{
    const struct h2_limits *l = s->limits;
    nghttp2_settings_entry e[SETTINGS_MAX];
    size_t n = 0;
    e[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, l->stream_window};
    e[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_FRAME_SIZE, l->max_frame};
    e[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX};
    e[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
                                      s->role == H2_SERVER ? l->max_streams : 0};
    if (s->role == H2_SERVER)
        e[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1};
    else
        e[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
    int failed = nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, e, n);
    if (!failed)
        failed =
            nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, 0, (int32_t)l->connection_window);
    return failed;
}

struct h2_session *h2_session_new(enum h2_role role, const struct h2_limits *limits,
                                  const struct h2_events *events, void *ctx)
{
    nghttp2_session_callbacks *callbacks = make_callbacks();
    nghttp2_option *options = make_options(limits);
    struct h2_session *s = calloc(1, sizeof *s);
    int failed = !callbacks || !options || !s;
    if (!failed) {
        *s = (struct h2_session){.role = role, .limits = limits, .events = events, .ctx = ctx, .told = true};
        http_message_init(&s->scratch);
        h2_guard_init(s);
        failed = role == H2_CLIENT ? nghttp2_session_client_new2(&s->ng, callbacks, s, options)
                                   : nghttp2_session_server_new2(&s->ng, callbacks, s, options);
    }
    if (!failed)
        failed = submit_settings(s);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(options);
    if (failed && s) {
        nghttp2_session_del(s->ng);
        free(s);
    }
    return failed ? NULL : s;
}

void h2_session_free(struct h2_session *s)
{
    if (!s)
        return;
    s->told = true; /* nobody will fetch anything any more */
    while (s->streams)
        h2_stream_close(s->streams, H2_CANCEL);
    nghttp2_session_del(s->ng);
    http_message_free(&s->scratch);
    free(s);
}

/* RFC 9113 §6.8: once the peer knows that it is over, a server says which stream was the last; when none is
 * left, the connection ends. */
static void finish_drain(struct h2_session *s)
{
    if (!s->draining || s->final_sent || (s->role == H2_SERVER && !s->notice_seen))
        return;
    if (s->n_streams == 0) {
        s->final_sent = true;
        nghttp2_session_terminate_session(s->ng, NGHTTP2_NO_ERROR);
    } else if (s->role == H2_SERVER && !s->last_sent) {
        s->last_sent = true;
        nghttp2_submit_goaway(s->ng, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(s->ng),
                              NGHTTP2_NO_ERROR, NULL, 0);
    }
}

/* nghttp2 takes no more; says whose fault it was. */
static void receive_failed(struct h2_session *s, ssize_t error)
{
    if (error == NGHTTP2_ERR_FLOODED)
        h2_guard_blame(s, H2_ABUSE_UNREAD);
    else if (error == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS)
        h2_guard_blame(s, H2_ABUSE_CONTINUATIONS);
    if (!s->words[0])
        snprintf(s->words, sizeof s->words, "%s", nghttp2_strerror((int)error));
    h2_session_terminate(s, s->abuse == H2_ABUSE_NONE ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_ENHANCE_YOUR_CALM);
}

enum err h2_session_receive(struct h2_session *s, const uint8_t *data, size_t n)
{
    if (s->failed)
        return ERR_PROTOCOL;
    ssize_t taken = nghttp2_session_mem_recv(s->ng, data, n);
    if (taken < 0 || (size_t)taken != n)
        receive_failed(s, taken);
    finish_drain(s);
    h2_note_output(s);
    return s->failed ? ERR_PROTOCOL : ERR_OK;
}

void h2_session_terminate(struct h2_session *s, uint32_t code)
{
    if (code == H2_SETTINGS_TIMEOUT)
        h2_guard_blame(s, H2_ABUSE_UNSETTLED);
    s->failed = true;
    s->code = code;
    nghttp2_session_terminate_session(s->ng, code);
    h2_note_output(s);
}

void h2_session_tick(struct h2_session *s)
{
    h2_guard_refill(s);
    if (!s->draining)
        return;
    s->notice_seen = s->notice_seen || ++s->drain_ticks >= DRAIN_TICKS;
    finish_drain(s);
    h2_note_output(s);
}

enum err h2_session_send(struct h2_session *s, struct buf *out, size_t most)
{
    size_t before;
    int failed;
    s->told = false;
    do {
        before = buf_len(out);
        s->out = out;
        s->most = most;
        failed = nghttp2_session_send(s->ng);
        finish_drain(s);
        s->out = NULL;
        h2_streams_call_drained(s);
    } while (failed == 0 && buf_len(out) > before && buf_len(out) < most &&
             nghttp2_session_want_write(s->ng));
    if (failed == 0)
        return ERR_OK;
    snprintf(s->words, sizeof s->words, "%s", nghttp2_strerror(failed));
    s->failed = true;
    return ERR_MEMORY;
}

bool h2_session_has_output(const struct h2_session *s)
{
    return nghttp2_session_want_write(s->ng);
}

void h2_session_drain(struct h2_session *s)
{
    if (s->draining)
        return;
    s->draining = true;
    if (s->role == H2_SERVER) {
        nghttp2_submit_shutdown_notice(s->ng);
        nghttp2_submit_ping(s->ng, NGHTTP2_FLAG_NONE, drain_ping);
    }
    finish_drain(s);
    h2_note_output(s);
}

void h2_session_ping(struct h2_session *s, uint64_t opaque)
{
    uint8_t bytes[8];
    for (int i = 8; i-- > 0; opaque >>= 8)
        bytes[i] = (uint8_t)opaque;
    nghttp2_submit_ping(s->ng, NGHTTP2_FLAG_NONE, bytes);
    h2_note_output(s);
}

bool h2_session_finished(const struct h2_session *s)
{
    return !nghttp2_session_want_write(s->ng) && (s->failed || !nghttp2_session_want_read(s->ng));
}

const char *h2_session_words(const struct h2_session *s)
{
    return s->words;
}

bool h2_session_can_open(const struct h2_session *s)
{
    return s->role == H2_CLIENT && s->ready && !s->goaway && !s->draining && !s->failed &&
           nghttp2_session_check_request_allowed(s->ng) &&
           s->n_streams < nghttp2_session_get_remote_settings(s->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

bool h2_session_takes_websockets(const struct h2_session *s)
{
    return nghttp2_session_get_remote_settings(s->ng, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

size_t h2_session_streams(const struct h2_session *s)
{
    return s->n_streams;
}

size_t h2_session_queued(const struct h2_session *s)
{
    return s->queued;
}

size_t h2_session_frames(const struct h2_session *s)
{
    return nghttp2_session_get_outbound_queue_size(s->ng);
}

uint32_t h2_session_code(const struct h2_session *s)
{
    return s->code;
}

enum h2_abuse h2_session_abuse(const struct h2_session *s)
{
    return s->abuse;
}

bool h2_session_in_head(const struct h2_session *s)
{
    return s->in_head;
}

bool h2_session_settled(const struct h2_session *s)
{
    return s->ready && s->acknowledged;
}

void *h2_session_ctx(const struct h2_session *s)
{
    return s->ctx;
}

size_t h2_session_reset_orphans(struct h2_session *s, size_t most, uint32_t code)
{
    size_t n = 0;
    for (struct h2_stream *st = s->streams; st && n < most; st = st->next)
        if (!st->ctx && st->shown && !st->reset) {
            h2_stream_reset(st, code); /* it leaves the list later: h2_session.h */
            n++;
        }
    return n;
}
