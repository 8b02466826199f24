#include "edge/web/listener.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/sock.h"
#include "edge/web/balancer.h"
#include "edge/web/banned.h"
#include "edge/web/conn.h"
#include "edge/web/demux.h"

enum { ACCEPTS_PER_EVENT = 8, KEEPALIVE_IDLE = 60, KEEPALIVE_INTERVAL = 15, KEEPALIVE_PROBES = 4 };

struct listener {
    struct web *web;
    ev_io io;
    bool https;
};

static void set_option(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof value); /* a kernel without it does without it */
}

/* Accepted sockets inherit these: no system call per connection. */
static void set_options(int fd)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
}

/* True when the connection may stay; it is counted then. */
static bool admit(struct web *w, const struct netaddr *client, bool balancer)
{
    if (w->n_connections >= (size_t)w->limits.connections) {
        w->counters.refused_full++;
        web_event(w, &w->limit_log, "Connections Full",
                  json_pack("{s:I}", "limit", (json_int_t)w->limits.connections));
        return false;
    }
    if (!web_connection_count(w, client, balancer ? SIZE_MAX : (size_t)w->limits.connections_per_address))
        return false;
    w->n_connections++;
    w->counters.accepted++;
    return true;
}

static void take(struct listener *l, int fd, const struct sockaddr_storage *from, socklen_t n)
{
    struct netaddr client;
    bool known = netaddr_from_sockaddr((const struct sockaddr *)from, n, &client) == ERR_OK,
         balancer = known && balancer_is(l->web, &client);
    if (!known || (!balancer && banned_refuses(l->web, &client)) || !admit(l->web, &client, balancer))
        close(fd);
    else if (balancer)
        balancer_new(l->web, fd, &client, l->https);
    else if (l->https)
        demux_new(l->web, fd, &client);
    else
        conn_new(l->web, fd, &client);
}

/* Up to so many; false when nobody else waits, or when there is no room. */
static bool accept_some(struct listener *l, int most)
{
    for (int i = 0; i < most; i++) {
        struct sockaddr_storage from;
        socklen_t n = sizeof from;
        int fd = accept4(l->io.fd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take(l, fd, &from, n);
        } else if (errno == EAGAIN) {
            return false;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            web_event(l->web, &l->web->limit_log, "Out Of Descriptors",
                      json_pack("{s:I}", "connections", (json_int_t)l->web->n_connections));
            ev_io_stop(l->web->loop, &l->io); /* listener_sweep starts it again */
            return false;
        }
    }
    return true;
}

static void on_acceptable(struct ev_loop *loop, ev_io *io, int revents)
{
    (void)loop, (void)revents;
    (void)accept_some(io->data, ACCEPTS_PER_EVENT);
}

struct listener *listener_new(struct web *w, int fd, bool https)
{
    struct listener *l = calloc(1, sizeof *l);
    if (!l || !sock_set_nonblock(fd)) {
        free(l);
        close(fd);
        return NULL;
    }
    l->web = w;
    l->https = https;
    set_options(fd);
    ev_io_init(&l->io, on_acceptable, fd, EV_READ);
    l->io.data = l;
    ev_io_start(w->loop, &l->io);
    return l;
}

void listener_drain(struct listener *l)
{
    (void)accept_some(l, SOMAXCONN);
}

void listener_free(struct listener *l)
{
    if (!l)
        return;
    ev_io_stop(l->web->loop, &l->io);
    close(l->io.fd);
    free(l);
}

void listener_sweep(struct listener *l)
{
    ev_io_start(l->web->loop, &l->io); /* nothing when it runs already */
}
