#include "core/bridge/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/stream.h"
#include "proto/http1_head.h"
#include "proto/http_message.h"

enum { PROBE_QUEUE = 4096, PROBE_INTERIM_MAX = 8 };
static const double probe_patience = 3;

struct probe {
    struct ev_loop *loop;
    struct stream *stream;
    char name[256];
    bool asked; /* TCP and TLS are well, HTTP is on its way */
    size_t scanned;
    unsigned interims;
    struct http_message answer;
    probe_done *done;
    void *ctx;
    ev_timer timer;
};

void probe_cancel(struct probe *p)
{
    ev_timer_stop(p->loop, &p->timer);
    stream_free(p->stream);
    http_message_free(&p->answer);
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
    struct probe *p = ctx;
    char head[512];
    bool bare6 = strchr(p->name, ':') && p->name[0] != '[';
    int n = snprintf(head, sizeof head,
                     "HEAD / HTTP/1.1\r\nHost: %s%s%s\r\nUser-Agent: stile-core\r\nConnection: close\r\n\r\n",
                     bare6 ? "[" : "", p->name, bare6 ? "]" : "");
    p->asked = true;
    if (stream_write(p->stream, head, (size_t)n) != ERR_OK)
        probe_finish(p, "out of memory");
}

/* A gateway's words for what is dead or overloaded behind it (RFC 9110 §15.6). Every other answer is an
 * application's, which / need not mean anything to. */
static bool cannot_serve(unsigned status)
{
    return status >= 502 && status <= 504;
}

static void probe_judge(struct probe *p)
{
    char reason[96];
    unsigned status = p->answer.status;
    snprintf(reason, sizeof reason, "HTTP: it answers %u %s", status, http_status_reason(status));
    probe_finish(p, cannot_serve(status) ? reason : NULL);
}

/* Bytes taken; the probe may be gone after it. */
static size_t probe_on_data(void *ctx, const uint8_t *data, size_t n)
{
    struct probe *p = ctx;
    const struct http1_expect expect = {.head = true};
    struct http1_failure failure;
    struct http1_head head;
    char reason[160];
    size_t used, taken = 0;
    for (;;) {
        enum err e = http1_parse_response(data + taken, n - taken, &p->scanned, &expect, &p->answer, &head,
                                          &used, &failure);
        if (e == ERR_AGAIN)
            return taken;
        if (e != ERR_OK) {
            snprintf(reason, sizeof reason, "HTTP: %s", e == ERR_MEMORY ? "out of memory" : failure.words);
            probe_finish(p, reason);
            return n;
        }
        taken += used;
        p->scanned = 0;
        if (p->answer.status >= 200) {
            probe_judge(p);
            return n;
        }
        if (++p->interims > PROBE_INTERIM_MAX) {
            probe_finish(p, "HTTP: interim answers without end");
            return n;
        }
    }
}

static void probe_on_close(void *ctx, enum err why, const char *words)
{
    struct probe *p = ctx;
    (void)why;
    probe_finish(p, p->asked ? "HTTP: it closed the connection without an answer" : words);
}

static const struct stream_events probe_events = {
    .on_open = probe_on_open, .on_data = probe_on_data, .on_close = probe_on_close};

static void probe_on_timer(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct probe *p = t->data;
    SSL *ssl = stream_ssl(p->stream);
    if (p->asked)
        probe_finish(p, "HTTP: no answer within 3 s");
    else if (ssl && !SSL_in_before(ssl))
        probe_finish(p, "TLS: no answer within 3 s");
    else
        probe_finish(p, "no answer within 3 s");
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
    http_message_init(&p->answer);
    snprintf(p->name, sizeof p->name, "%s", name);
    p->stream = stream_connect(loop, addr, ssl_ctx, name, &probe_events, p, PROBE_QUEUE, PROBE_QUEUE);
    if (!p->stream) {
        free(p);
        return NULL;
    }
    ev_timer_init(&p->timer, probe_on_timer, probe_patience, 0);
    p->timer.data = p;
    ev_timer_start(loop, &p->timer);
    return p;
}
