/* Heads of an HTTP/2 session, both directions. They go in through one scratch message per session, since
 * HTTP/2 never interleaves two heads. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/digits.h"
#include "common/fatal.h"
#include "proto/h2_internal.h"

/* Heads out -------------------------------------------------------------------------------------------- */

static void nv_add(struct h2_nv_list *l, struct span name, struct span value, uint8_t flags)
{
    REQUIRE(l->n < H2_NV_MAX);
    l->nv[l->n++] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.at,
                                 .value = (uint8_t *)(uintptr_t)value.at,
                                 .namelen = name.len,
                                 .valuelen = value.len,
                                 .flags = flags};
}

static void nv_add_pseudo(struct h2_nv_list *l, const char *name, struct span value)
{
    nv_add(l, span_from(name), value, NGHTTP2_NV_FLAG_NONE);
}

/* Values that never come again would only push useful ones out of the peer's table. */
static bool is_unique(struct span name)
{
    return span_is(name, "x-request-id") || span_is(name, "content-length") || span_is(name, "date") ||
           span_is(name, "etag") || span_is(name, "last-modified") || span_is(name, "authorization");
}

static void nv_add_fields(struct h2_nv_list *l, const struct http_message *m)
{
    for (size_t i = 0; i < m->n_fields; i++) {
        struct span name = http_message_name(m, i);
        nv_add(l, name, http_message_value(m, i),
               is_unique(name) ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE);
    }
    if (m->content_length >= 0 && !m->websocket) {
        const char *end = digits_put(l->number, (uint64_t)m->content_length);
        struct span number = {.at = l->number, .len = (size_t)(end - l->number)};
        nv_add(l, span_from("content-length"), number, NGHTTP2_NV_FLAG_NO_INDEX);
    }
}

void h2_nv_request(struct h2_nv_list *l, const struct http_message *m)
{
    nv_add_pseudo(l, ":method", m->websocket ? span_from("CONNECT") : http_message_method(m));
    if (m->websocket)
        nv_add_pseudo(l, ":protocol", span_from("websocket"));
    nv_add_pseudo(l, ":scheme", m->scheme.len ? http_message_scheme(m) : span_from("https"));
    nv_add_pseudo(l, ":authority", http_message_authority(m));
    nv_add_pseudo(l, ":path", http_message_path(m));
    nv_add_fields(l, m);
}

void h2_nv_response(struct h2_nv_list *l, const struct http_message *m)
{
    digits_put_status(l->status, m->status);
    nv_add_pseudo(l, ":status", (struct span){.at = l->status, .len = 3});
    nv_add_fields(l, m);
}

void h2_nv_trailers(struct h2_nv_list *l, const struct http_message *m)
{
    nv_add_fields(l, m);
}

/* Heads in --------------------------------------------------------------------------------------------- */

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_session *s = user;
    http_message_reset(&s->scratch);
    s->scratch_bytes = 0;
    if (s->role == H2_CLIENT || frame->hd.type != NGHTTP2_HEADERS ||
        frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct h2_stream *st = h2_stream_new(s, frame->hd.stream_id);
    if (!st)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    nghttp2_session_set_stream_user_data(ng, st->id, st);
    return 0;
}

static enum err take_length(struct http_message *m, struct span v)
{
    int64_t length = 0;
    if (v.len == 0 || v.len > 18 || m->content_length != HTTP_NO_LENGTH)
        return ERR_MALFORMED;
    for (size_t i = 0; i < v.len; i++) {
        if (v.at[i] < '0' || v.at[i] > '9')
            return ERR_MALFORMED;
        length = length * 10 + (v.at[i] - '0');
    }
    m->content_length = length;
    return ERR_OK;
}

/* nghttp2 has checked which pseudo-fields come, how often and where. */
static enum err take_pseudo(struct h2_stream *st, struct http_message *m, struct span name, struct span value)
{
    if (span_is(name, ":method")) {
        bool connect = span_is(value, "CONNECT");
        if (connect && !st->websocket)
            st->refuse = 501;
        return http_message_set_method(m, connect ? "GET" : value.at, connect ? 3 : value.len);
    }
    if (span_is(name, ":protocol")) {
        st->websocket = m->websocket = span_is(value, "websocket");
        st->refuse = st->websocket ? 0 : 501;
        return ERR_OK;
    }
    if (span_is(name, ":scheme"))
        return http_message_set_scheme(m, value.at, value.len);
    if (span_is(name, ":authority"))
        return http_message_set_authority(m, value.at, value.len);
    if (span_is(name, ":path"))
        return http_message_set_path(m, value.at, value.len);
    m->status = 0;
    for (size_t i = 0; i < value.len && i < 3; i++) /* :status, three digits */
        m->status = m->status * 10 + (unsigned)(value.at[i] - '0');
    return m->status >= 100 && m->status <= 599 ? ERR_OK : ERR_MALFORMED;
}

static enum err take_field(struct h2_stream *st, struct http_message *m, struct span name, struct span value)
{
    if (name.len && name.at[0] == ':')
        return take_pseudo(st, m, name, value);
    if (span_is(name, "content-length"))
        return take_length(m, value);
    if (span_is(name, "host") && !st->head_seen) {
        struct span authority = http_message_authority(m);
        if (authority.len == 0)
            return http_message_set_authority(m, value.at, value.len);
        return authority.len == value.len && strncasecmp(authority.at, value.at, value.len) == 0
                   ? ERR_OK
                   : ERR_MALFORMED; /* RFC 9113 §8.3.1 */
    }
    return m->n_fields >= HTTP_FIELDS_MAX ? ERR_FULL
                                          : http_message_add(m, name.at, name.len, value.at, value.len);
}

static int refuse_stream(struct h2_session *s, int32_t id, uint32_t code)
{
    nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, id, code);
    h2_guard_spend(s, H2_ABUSE_RESETS);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name_buf,
                     nghttp2_rcbuf *value_buf, uint8_t flags, void *user)
{
    struct h2_session *s = user;
    struct h2_stream *st = h2_stream_of(s, frame->hd.stream_id);
    nghttp2_vec n = nghttp2_rcbuf_get_buf(name_buf), v = nghttp2_rcbuf_get_buf(value_buf);
    (void)ng, (void)flags;
    if (!st || st->reset || st->refuse == 431)
        return 0;
    s->scratch_bytes += n.len + v.len + 4;
    struct span name = {.at = (const char *)n.base, .len = n.len},
                value = {.at = (const char *)v.base, .len = v.len};
    enum err e = s->scratch_bytes > HTTP_HEAD_MAX ? ERR_FULL : take_field(st, &s->scratch, name, value);
    if (e == ERR_FULL && s->role == H2_SERVER && !st->head_seen) {
        st->refuse = 431;
        h2_guard_spend(s, H2_ABUSE_HEADS);
        return 0;
    }
    if (e == ERR_OK)
        return 0;
    return refuse_stream(s, st->id, e == ERR_MALFORMED ? H2_PROTOCOL_ERROR : H2_ENHANCE_YOUR_CALM);
}

static int on_invalid_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                             nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    (void)ng, (void)name, (void)value, (void)flags;
    return refuse_stream(user, frame->hd.stream_id, H2_PROTOCOL_ERROR);
}

/* What nobody else needs to see. */
static void answer_alone(struct h2_stream *st)
{
    struct http_message m;
    http_message_init(&m);
    m.status = st->refuse;
    m.no_body = true;
    m.content_length = 0;
    if (h2_stream_respond(st, &m, true) == ERR_OK)
        h2_stream_stop(st);
    else
        h2_stream_reset(st, H2_INTERNAL_ERROR);
    http_message_free(&m);
}

static void show_head(struct h2_session *s, struct h2_stream *st, bool end)
{
    struct http_message *m = &s->scratch;
    m->no_body = end;
    if (s->role == H2_SERVER) {
        st->head_seen = true; /* of one that we answer alone, too: what follows are trailers */
        if (st->websocket && end)
            st->refuse = 400;
        if (st->refuse) {
            answer_alone(st);
            return;
        }
        st->shown = true;
    } else if (m->status < 200) {
        if (s->events->on_interim && m->status != 101)
            s->events->on_interim(s->ctx, st, m);
        return;
    }
    st->head_seen = true;
    m->websocket = st->websocket && (s->role == H2_SERVER || m->status < 300);
    if (http_message_join_cookies(m) != ERR_OK)
        h2_stream_reset(st, H2_INTERNAL_ERROR);
    else
        s->events->on_head(s->ctx, st, m, end);
}

void h2_head_done(struct h2_session *s, const nghttp2_frame *frame)
{
    struct h2_stream *st = h2_stream_of(s, frame->hd.stream_id);
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (!st || st->reset)
        return;
    st->peer_ended = st->peer_ended || end;
    if (!st->head_seen) {
        show_head(s, st, end);
    } else if (end && st->shown) {
        http_message_strip_trailers(&s->scratch);
        s->events->on_end(s->ctx, st, s->scratch.n_fields ? &s->scratch : NULL);
    }
    if (s->scratch.text.size > 4096)
        http_message_free(&s->scratch);
}

void h2_head_callbacks(nghttp2_session_callbacks *c)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(c, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(c, on_invalid_header);
}
