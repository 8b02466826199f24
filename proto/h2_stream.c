/* Streams of an HTTP/2 session: their life, and their bodies on the way out. Bytes wait in the stream's queue
 * and are copied once, into the caller's output (NGHTTP2_DATA_FLAG_NO_COPY). */
#include <stdlib.h>
#include <string.h>

#include "common/fatal.h"
#include "proto/h2_internal.h"

enum { FRAME_HEAD = 9 };

/* Streams ---------------------------------------------------------------------------------------------- */

struct h2_stream *h2_stream_new(struct h2_session *s, int32_t id)
{
    struct h2_stream *st = calloc(1, sizeof *st);
    if (!st)
        return NULL;
    st->session = s;
    st->id = id;
    buf_init(&st->queue, s->limits->stream_queue);
    st->next = s->streams;
    if (s->streams)
        s->streams->previous = st;
    s->streams = st;
    s->n_streams++;
    return st;
}

static void stream_unlink(struct h2_stream *st)
{
    struct h2_session *s = st->session;
    if (st->next)
        st->next->previous = st->previous;
    if (st->previous)
        st->previous->next = st->next;
    else
        s->streams = st->next;
    s->n_streams--;
    for (struct h2_stream **at = &s->drained; st->drained && *at; at = &(*at)->next_drained)
        if (*at == st) {
            *at = st->next_drained;
            break;
        }
}

static void queue_drop(struct h2_stream *st)
{
    st->session->queued -= buf_len(&st->queue);
    buf_free(&st->queue);
}

void h2_stream_close(struct h2_stream *st, uint32_t code)
{
    struct h2_session *s = st->session;
    stream_unlink(st);
    queue_drop(st);
    if (st->shown)
        s->events->on_close(s->ctx, st, code);
    if (st->trailers) {
        http_message_free(st->trailers);
        free(st->trailers);
    }
    free(st);
}

struct h2_stream *h2_stream_of(struct h2_session *s, int32_t id)
{
    return nghttp2_session_get_stream_user_data(s->ng, id);
}

/* Bodies out ------------------------------------------------------------------------------------------- */

/* RFC 9113 §8.1: trailers are a HEADERS frame that ends the stream. */
static enum err submit_trailers(struct h2_stream *st)
{
    struct h2_nv_list l = {.n = 0};
    h2_nv_trailers(&l, st->trailers);
    return nghttp2_submit_trailer(st->session->ng, st->id, l.nv, l.n) == 0 ? ERR_OK : ERR_MEMORY;
}

static ssize_t on_read(nghttp2_session *ng, int32_t id, uint8_t *data, size_t length, uint32_t *flags,
                       nghttp2_data_source *source, void *user)
{
    struct h2_stream *st = source->ptr;
    (void)ng, (void)id, (void)data, (void)user;
    if (st->reset)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* never a clean end */
    size_t waiting = buf_len(&st->queue), n = waiting < length ? waiting : length;
    if (n == 0 && !st->ended) {
        st->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n == waiting && st->ended) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (st->trailers) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (submit_trailers(st) != ERR_OK)
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
    }
    return (ssize_t)n;
}

static ssize_t on_read_length(nghttp2_session *ng, uint8_t type, int32_t id, int32_t session_window,
                              int32_t stream_window, uint32_t max_frame, void *user)
{
    const struct h2_session *s = user;
    (void)ng, (void)type, (void)id, (void)session_window, (void)stream_window;
    return (ssize_t)(max_frame < s->limits->max_frame ? max_frame : s->limits->max_frame);
}

static void note_drained(struct h2_stream *st)
{
    struct h2_session *s = st->session;
    if (!st->above || buf_len(&st->queue) > s->limits->low_water)
        return;
    st->above = false;
    if (st->drained)
        return;
    st->drained = true;
    st->next_drained = s->drained;
    s->drained = st;
}

static int on_send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t n,
                        nghttp2_data_source *source, void *user)
{
    struct h2_session *s = user;
    struct h2_stream *st = source->ptr;
    uint8_t *at;
    (void)ng;
    if (st->reset)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    REQUIRE(n <= buf_len(&st->queue) && frame->data.padlen == 0);
    if (buf_len(s->out) >= s->most)
        return NGHTTP2_ERR_WOULDBLOCK;
    if (buf_reserve(s->out, FRAME_HEAD + n, &at) != ERR_OK)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    memcpy(at, head, FRAME_HEAD);
    if (n)
        memcpy(at + FRAME_HEAD, buf_data(&st->queue), n);
    buf_commit(s->out, FRAME_HEAD + n);
    buf_consume(&st->queue, n);
    s->queued -= n;
    st->sent += n;
    if (buf_len(&st->queue) == 0)
        buf_free(&st->queue); /* an idle WebSocket holds none */
    note_drained(st);
    return 0;
}

void h2_streams_call_drained(struct h2_session *s)
{
    while (s->drained) {
        struct h2_stream *st = s->drained;
        s->drained = st->next_drained;
        st->drained = false;
        if (st->shown && !st->reset)
            s->events->on_drained(s->ctx, st);
    }
}

enum err h2_session_request(struct h2_session *s, const struct http_message *m, bool end, void *stream_ctx,
                            struct h2_stream **out)
{
    struct h2_nv_list l = {.n = 0};
    if (!h2_session_can_open(s))
        return ERR_FULL;
    if (m->websocket && !h2_session_takes_websockets(s))
        return ERR_UNSUPPORTED;
    struct h2_stream *st = h2_stream_new(s, 0);
    if (!st)
        return ERR_MEMORY;
    nghttp2_data_provider provider = {.source.ptr = st, .read_callback = on_read};
    h2_nv_request(&l, m);
    int32_t id = nghttp2_submit_request(s->ng, NULL, l.nv, l.n, end ? NULL : &provider, st);
    if (id < 0) {
        stream_unlink(st);
        free(st);
        return ERR_MEMORY;
    }
    st->id = id;
    st->ctx = stream_ctx;
    st->shown = true;
    st->ended = end;
    st->websocket = m->websocket;
    *out = st;
    h2_note_output(s);
    return ERR_OK;
}

/* One stream ------------------------------------------------------------------------------------------- */

void h2_stream_set_ctx(struct h2_stream *st, void *stream_ctx)
{
    st->ctx = stream_ctx;
}

void *h2_stream_ctx(const struct h2_stream *st)
{
    return st->ctx;
}

int32_t h2_stream_id(const struct h2_stream *st)
{
    return st->id;
}

struct h2_session *h2_stream_session(const struct h2_stream *st)
{
    return st->session;
}

enum err h2_stream_respond(struct h2_stream *st, const struct http_message *m, bool end)
{
    struct h2_session *s = st->session;
    struct h2_nv_list l = {.n = 0};
    int failed;
    REQUIRE(s->role == H2_SERVER && !st->responded);
    if (st->reset)
        return ERR_CLOSED;
    h2_nv_response(&l, m);
    if (m->status < 200) {
        failed = nghttp2_submit_headers(s->ng, NGHTTP2_FLAG_NONE, st->id, NULL, l.nv, l.n, NULL);
    } else {
        nghttp2_data_provider provider = {.source.ptr = st, .read_callback = on_read};
        failed = nghttp2_submit_response(s->ng, st->id, l.nv, l.n, end ? NULL : &provider);
        st->responded = failed == 0;
        st->ended = end;
    }
    h2_note_output(s);
    return failed ? ERR_MEMORY : ERR_OK;
}

size_t h2_stream_room(const struct h2_stream *st)
{
    return st->ended || st->reset ? 0 : buf_room(&st->queue);
}

size_t h2_stream_queued(const struct h2_stream *st)
{
    return buf_len(&st->queue);
}

void h2_stream_ask_drained(struct h2_stream *st)
{
    st->above = true;
}

static void stream_wake(struct h2_stream *st)
{
    if (st->deferred) {
        st->deferred = false;
        nghttp2_session_resume_data(st->session->ng, st->id);
    }
    h2_note_output(st->session);
}

enum err h2_stream_write(struct h2_stream *st, const uint8_t *data, size_t n)
{
    if (st->ended || st->reset)
        return ERR_CLOSED;
    enum err e = buf_append(&st->queue, data, n);
    if (e != ERR_OK)
        return e;
    st->session->queued += n;
    if (buf_len(&st->queue) > st->session->limits->low_water)
        st->above = true;
    stream_wake(st);
    return ERR_OK;
}

enum err h2_stream_end(struct h2_stream *st, const struct http_message *trailers)
{
    if (st->ended || st->reset)
        return ERR_CLOSED;
    if (trailers && trailers->n_fields) {
        st->trailers = malloc(sizeof *st->trailers);
        if (!st->trailers || http_message_copy(st->trailers, trailers) != ERR_OK) {
            free(st->trailers);
            st->trailers = NULL;
            return ERR_MEMORY;
        }
    }
    st->ended = true;
    stream_wake(st);
    return ERR_OK;
}

void h2_stream_consume(struct h2_stream *st, size_t n)
{
    nghttp2_session_consume_stream(st->session->ng, st->id, n);
    h2_note_output(st->session);
}

void h2_stream_reset(struct h2_stream *st, uint32_t code)
{
    if (st->reset)
        return;
    st->reset = true;
    queue_drop(st); /* the RST_STREAM may have to wait long for a peer that reads nothing */
    nghttp2_submit_rst_stream(st->session->ng, NGHTTP2_FLAG_NONE, st->id, code);
    h2_note_output(st->session);
}

/* Our END_STREAM was not sent yet: the reset follows it. A reset that is submitted earlier would overtake the
 * answer, since nghttp2 drops what waits on a stream that is being closed. */
void h2_stream_stop(struct h2_stream *st)
{
    if (!st->peer_ended)
        st->stop = true;
}

void h2_stream_frame_sent(struct h2_session *s, const nghttp2_frame *frame)
{
    bool head = frame->hd.type == NGHTTP2_HEADERS,
         end = (head || frame->hd.type == NGHTTP2_DATA) && frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    struct h2_stream *st = head || end ? h2_stream_of(s, frame->hd.stream_id) : NULL;
    if (!st)
        return;
    st->begun = true;
    if (end && st->stop && !st->peer_ended)
        h2_stream_reset(st, H2_NO_ERROR);
}

bool h2_stream_is_begun(const struct h2_stream *st)
{
    return st->begun;
}

void h2_stream_set_window(struct h2_stream *st, uint32_t bytes)
{
    nghttp2_session_set_local_window_size(st->session->ng, NGHTTP2_FLAG_NONE, st->id, (int32_t)bytes);
    h2_note_output(st->session);
}

uint64_t h2_stream_sent(const struct h2_stream *st)
{
    return st->sent;
}

void h2_stream_callbacks(nghttp2_session_callbacks *c)
{
    nghttp2_session_callbacks_set_send_data_callback(c, on_send_data);
    nghttp2_session_callbacks_set_data_source_read_length_callback(c, on_read_length);
}
