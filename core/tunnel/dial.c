#include "core/tunnel/dial.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fatal.h"
#include "common/sock.h"

struct dial {
    struct ev_loop *loop;
    ev_io writer;
    ev_timer timer; /* patience; and 0 where the next step must not come from inside dial_start */
    double patience;
    int fd;
    struct netaddr addrs[DIAL_ADDRESSES_MAX];
    size_t n, at;
    const struct dial_events *events;
    void *ctx;
};

void dial_cancel(struct dial *d)
{
    if (!d)
        return;
    ev_io_stop(d->loop, &d->writer);
    ev_timer_stop(d->loop, &d->timer);
    if (d->fd >= 0)
        close(d->fd);
    free(d);
}

static void dial_failed(struct dial *d, const char *why)
{
    char addr[NETADDR_TEXT], words[NETADDR_TEXT + 96];
    const struct dial_events *events = d->events;
    void *ctx = d->ctx;
    int n = snprintf(words, sizeof words, "%s: ", netaddr_print(&d->addrs[d->at], addr));
    snprintf(words + n, sizeof words - (size_t)n, "%s", why);
    words[n] = (char)tolower((unsigned char)words[n]); /* strerror speaks in sentences */
    dial_cancel(d);
    events->on_failed(ctx, words);
}

static void dial_try(struct dial *d)
{
    d->fd = sock_connect_tcp(&d->addrs[d->at]);
    int error = errno;
    ev_timer_stop(d->loop, &d->timer);
    ev_timer_set(&d->timer, d->patience, 0);
    if (d->fd < 0) {
        if (d->at + 1 == d->n) {
            dial_failed(d, strerror(error));
            return;
        }
        d->at++;
        ev_timer_set(&d->timer, 0, 0);
    } else {
        ev_io_set(&d->writer, d->fd, EV_WRITE);
        ev_io_start(d->loop, &d->writer);
    }
    ev_timer_start(d->loop, &d->timer);
}

static void dial_next(struct dial *d, const char *why)
{
    if (d->at + 1 == d->n) {
        dial_failed(d, why);
        return;
    }
    ev_io_stop(d->loop, &d->writer);
    close(d->fd);
    d->at++;
    dial_try(d);
}

static void dial_on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop, (void)revents;
    struct dial *d = w->data;
    int error = 0;
    socklen_t n = sizeof error;
    if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
        error = errno;
    if (error) {
        dial_next(d, strerror(error));
        return;
    }
    const struct dial_events *events = d->events;
    struct netaddr addr = d->addrs[d->at];
    void *ctx = d->ctx;
    int fd = d->fd;
    d->fd = -1;
    dial_cancel(d);
    events->on_connected(ctx, fd, &addr);
}

static void dial_on_timer(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct dial *d = t->data;
    char words[64];
    if (d->fd < 0) {
        dial_try(d);
        return;
    }
    snprintf(words, sizeof words, "no answer within %.0f s", d->patience);
    dial_next(d, words);
}

struct dial *dial_start(struct ev_loop *loop, const struct netaddr *addrs, size_t n, double patience,
                        const struct dial_events *events, void *ctx)
{
    struct dial *d = calloc(1, sizeof *d);
    REQUIRE(n > 0);
    if (!d)
        return NULL;
    d->loop = loop;
    d->fd = -1;
    d->n = n < DIAL_ADDRESSES_MAX ? n : DIAL_ADDRESSES_MAX;
    memcpy(d->addrs, addrs, d->n * sizeof *addrs);
    d->patience = patience;
    d->events = events;
    d->ctx = ctx;
    ev_init(&d->writer, dial_on_writable);
    ev_timer_init(&d->timer, dial_on_timer, 0, 0);
    d->writer.data = d->timer.data = d;
    ev_timer_start(loop, &d->timer);
    return d;
}
