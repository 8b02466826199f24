#include "core/bridge/probe.h"

#include <stdlib.h>

#include "common/stream.h"

static const double probe_patience = 3;

struct probe {
    struct ev_loop *loop;
    struct stream *stream;
    probe_done *done;
    void *ctx;
    ev_timer timer;
};

void probe_cancel(struct probe *p)
{
    ev_timer_stop(p->loop, &p->timer);
    stream_free(p->stream);
    free(p);
}

static void probe_finish(struct probe *p, const char *reason)
{
    probe_done *done = p->done;
    void *ctx = p->ctx;
    probe_cancel(p);
    done(ctx, reason);
}

static void probe_on_open(void *ctx)
{
    probe_finish(ctx, NULL);
}

static size_t probe_on_data(void *ctx, const uint8_t *data, size_t n)
{
    (void)ctx, (void)data;
    return n;
}

static void probe_on_close(void *ctx, enum err why, const char *words)
{
    (void)why;
    probe_finish(ctx, words);
}

static const struct stream_events probe_events = {
    .on_open = probe_on_open, .on_data = probe_on_data, .on_close = probe_on_close};

static void probe_on_timer(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    probe_finish(t->data, "no answer within 3 s");
}

struct probe *probe_start(struct ev_loop *loop, const struct netaddr *addr, SSL_CTX *ssl_ctx,
                          const char *name, probe_done *done, void *ctx)
{
    struct probe *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->loop = loop;
    p->done = done;
    p->ctx = ctx;
    p->stream = stream_connect(loop, addr, ssl_ctx, name, &probe_events, p, 4096, 4096);
    if (!p->stream) {
        free(p);
        return NULL;
    }
    ev_timer_init(&p->timer, probe_on_timer, probe_patience, 0);
    p->timer.data = p;
    ev_timer_start(loop, &p->timer);
    return p;
}
