/* The HTTP/2 server at the end of one data channel: hands each stream to its exchange. */
#include <stdlib.h>

#include "core/egress/exchange.h"
#include "proto/h2_session.h"

struct egress_session {
    struct egress *egress;
    struct h2_session *h2;
    const struct egress_session_events *events;
    void *ctx;
};

static void session_on_head(void *ctx, struct h2_stream *st, struct http_message *m, bool end)
{
    struct egress_session *s = ctx;
    struct exchange *x = exchange_new(s->egress, st, m, end);
    h2_stream_set_ctx(st, x);
    if (!x)
        h2_stream_reset(st, H2_INTERNAL_ERROR);
}

static void session_on_data(void *ctx, struct h2_stream *st, const uint8_t *data, size_t n)
{
    (void)ctx;
    exchange_data(h2_stream_ctx(st), data, n);
}

static void session_on_end(void *ctx, struct h2_stream *st, struct http_message *trailers)
{
    (void)ctx;
    exchange_end(h2_stream_ctx(st), trailers);
}

static void session_on_drained(void *ctx, struct h2_stream *st)
{
    (void)ctx;
    exchange_drained(h2_stream_ctx(st));
}

static void session_on_close(void *ctx, struct h2_stream *st, uint32_t code)
{
    (void)ctx, (void)code;
    if (h2_stream_ctx(st))
        exchange_free(h2_stream_ctx(st));
}

static void session_on_output(void *ctx)
{
    struct egress_session *s = ctx;
    s->events->on_output(s->ctx);
}

static const struct h2_events session_events = {
    .on_head = session_on_head,
    .on_data = session_on_data,
    .on_end = session_on_end,
    .on_drained = session_on_drained,
    .on_close = session_on_close,
    .on_output = session_on_output,
};

struct egress_session *egress_session_new(struct egress *e, const struct egress_session_events *events,
                                          void *ctx)
{
    struct egress_session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    *s = (struct egress_session){.egress = e, .events = events, .ctx = ctx};
    s->h2 = h2_session_new(H2_SERVER, &h2_limits_tunnel, &session_events, s);
    if (!s->h2) {
        free(s);
        return NULL;
    }
    return s;
}

void egress_session_free(struct egress_session *s)
{
    if (!s)
        return;
    h2_session_free(s->h2);
    free(s);
}

enum err egress_session_receive(struct egress_session *s, const uint8_t *data, size_t n)
{
    /* A session that has said its last GOAWAY ignores what comes: the channel is of no more use. */
    return h2_session_finished(s->h2) ? ERR_PROTOCOL : h2_session_receive(s->h2, data, n);
}

enum err egress_session_send(struct egress_session *s, struct buf *out, size_t most)
{
    return h2_session_send(s->h2, out, most);
}

void egress_session_drain(struct egress_session *s)
{
    h2_session_drain(s->h2);
}

bool egress_session_finished(const struct egress_session *s)
{
    return h2_session_finished(s->h2);
}
