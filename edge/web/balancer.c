#include "edge/web/balancer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/web/banned.h"
#include "edge/web/conn.h"
#include "edge/web/demux.h"
#include "proto/proxy_header.h"

/* A connection whose header has not come yet, or not all of it. The bytes stay in the socket until it is
 * whole. */
struct proxied {
    LIST_ENTRY(proxied) link;
    struct web *web;
    ev_io io;
    double deadline;
    struct netaddr balancer;
    bool https;
    size_t seen; /* bytes that were there and did not suffice */
};

bool balancer_is(const struct web *w, const struct netaddr *address)
{
    for (size_t i = 0; i < w->n_balancers; i++)
        if (netcidr_contains(&w->balancers[i], address))
            return true;
    return false;
}

/* Takes the connection out of our hands; its descriptor is the caller's then. */
static int proxied_free(struct proxied *p)
{
    int fd = p->io.fd;
    ev_io_stop(p->web->loop, &p->io);
    LIST_REMOVE(p, link);
    free(p);
    return fd;
}

static void proxied_close(struct proxied *p)
{
    struct web *w = p->web;
    struct netaddr balancer = p->balancer;
    close(proxied_free(p));
    web_connection_closed(w, &balancer);
}

static void refuse(struct proxied *p, const char *why)
{
    struct web *w = p->web;
    char text[NETADDR_TEXT];
    w->counters.refused_header++;
    web_event(w, &w->limit_log, "Load Balancer Refused",
              json_pack("{s:s, s:s}", "balancer", netaddr_print_ip(&p->balancer, text), "reason", why));
    proxied_close(p);
}

static void set_low_water(int fd, size_t n)
{
    int value = (int)n;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof value);
}

/* The header is whole: from here on the connection is the client's. */
static void hand_on(struct proxied *p, const struct proxy_header *h, size_t used)
{
    struct web *w = p->web;
    struct netaddr balancer = p->balancer, client = h->local ? p->balancer : h->client;
    uint8_t header[PROXY_HEADER_MAX];
    bool https = p->https;
    if (recv(p->io.fd, header, used, 0) != (ssize_t)used) {
        proxied_close(p);
        return;
    }
    int fd = proxied_free(p);
    set_low_water(fd, 1);
    if (!h->local) {
        if (banned_refuses(w, &client) ||
            !web_connection_count(w, &client, (size_t)w->limits.connections_per_address)) {
            close(fd);
            web_connection_closed(w, &balancer);
            return;
        }
        address_table_remove(w->addresses, &balancer);
    }
    if (https)
        demux_new(w, fd, &client);
    else
        conn_new(w, fd, &client);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
    struct proxied *p = io->data;
    uint8_t header[PROXY_HEADER_MAX];
    struct proxy_header h;
    const char *why = "";
    size_t used = 0;
    (void)loop, (void)revents;
    ssize_t n = recv(io->fd, header, sizeof header, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 ||
        (size_t)n <= p->seen) { /* ended, and no more will come: balancers try whether we are there */
        proxied_close(p);
        return;
    }
    enum err e = proxy_header_parse(header, (size_t)n, &h, &used, &why);
    if (e == ERR_OK) {
        hand_on(p, &h, used);
    } else if (e == ERR_AGAIN) {
        p->seen = (size_t)n;
        set_low_water(io->fd, p->seen + 1); /* not to be woken for what was seen */
    } else {
        refuse(p, why);
    }
}

void balancer_new(struct web *w, int fd, const struct netaddr *balancer, bool https)
{
    struct proxied *p = calloc(1, sizeof *p);
    if (!p) {
        close(fd);
        web_connection_closed(w, balancer);
        return;
    }
    p->web = w;
    p->balancer = *balancer;
    p->https = https;
    p->deadline = w->now + (double)w->limits.handshake_seconds;
    ev_io_init(&p->io, on_readable, fd, EV_READ);
    p->io.data = p;
    ev_io_start(w->loop, &p->io);
    LIST_INSERT_HEAD(&w->proxied, p, link);
}

void balancer_sweep(struct web *w)
{
    struct proxied *next;
    for (struct proxied *p = LIST_FIRST(&w->proxied); p; p = next) {
        next = LIST_NEXT(p, link);
        if (w->now > p->deadline) {
            w->counters.timed_out++;
            proxied_close(p);
        }
    }
}

void balancer_free_all(struct web *w)
{
    while (!LIST_EMPTY(&w->proxied))
        proxied_close(LIST_FIRST(&w->proxied));
}
