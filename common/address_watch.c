#include "common/address_watch.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static const double settle = 0.2; /* an interface that comes up brings several addresses */

struct address_watch {
    struct ev_loop *loop;
    ev_io reader;
    ev_timer settled;
    void (*changed)(void *ctx);
    void *ctx;
};

static void on_settled(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct address_watch *w = t->data;
    w->changed(w->ctx);
}

/* What the messages say is not looked at: whoever is told reads the addresses anew. */
static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
    (void)revents;
    struct address_watch *w = io->data;
    char unread[4096];
    ssize_t n;
    do
        n = recv(io->fd, unread, sizeof unread, MSG_DONTWAIT);
    while (n >= 0 || errno == EINTR || errno == ENOBUFS); /* no room: some were lost, and something changed */
    ev_timer_stop(loop, &w->settled);
    ev_timer_set(&w->settled, settle, 0);
    ev_timer_start(loop, &w->settled);
}

struct address_watch *address_watch_new(struct ev_loop *loop, void (*changed)(void *ctx), void *ctx)
{
    struct sockaddr_nl groups = {.nl_family = AF_NETLINK,
                                 .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
    struct address_watch *w = calloc(1, sizeof *w);
    int fd = w ? socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE) : -1;
    if (fd < 0 || bind(fd, (struct sockaddr *)&groups, sizeof groups) < 0) {
        int saved = errno;
        if (fd >= 0)
            close(fd);
        free(w);
        errno = saved;
        return NULL;
    }
    w->loop = loop;
    w->changed = changed;
    w->ctx = ctx;
    ev_io_init(&w->reader, on_readable, fd, EV_READ);
    ev_timer_init(&w->settled, on_settled, 0, 0);
    w->reader.data = w->settled.data = w;
    ev_io_start(loop, &w->reader);
    return w;
}

void address_watch_free(struct address_watch *w)
{
    if (!w)
        return;
    ev_io_stop(w->loop, &w->reader);
    ev_timer_stop(w->loop, &w->settled);
    close(w->reader.fd);
    free(w);
}
