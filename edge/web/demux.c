#include "edge/web/demux.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/round.h"
#include "common/sock.h"
#include "edge/web/banned.h"
#include "edge/web/conn.h"
#include "edge/web/handover.h"
#include "edge/web/handshakes.h"

enum { TLS_HANDSHAKE = 0x16, STUN_LAST = 3 };

/* A connection that has not said anything yet. */
struct pending {
    LIST_ENTRY(pending) link;
    struct web *web;
    ev_io io;
    double deadline;
    struct netaddr client;
    uint8_t first;
    struct round_task turn; /* to be handed on, or closed: thousands may be due at the same moment */
};

static void let_go(struct web *w, int fd, const struct netaddr *client)
{
    close(fd);
    web_connection_closed(w, client);
}

static void hand_on(struct web *w, int fd, const struct netaddr *client, uint8_t first)
{
    if (banned_refuses(w, client)) { /* since it was accepted, or behind a load balancer */
        let_go(w, fd, client);
        return;
    }
    bool patient;
    if (first == TLS_HANDSHAKE && w->tls && handshakes_count(w, client, &patient)) {
        conn_new_tls(w, fd, client, patient);
        return;
    }
    struct netaddr server;
    if (first <= STUN_LAST && w->turn) {
        if (sock_local(fd, &server) == ERR_OK)
            (void)handover_send(w, fd, client, &server, false);
    } else if (first != TLS_HANDSHAKE) {
        w->counters.refused_protocol++;
        offence_note(w, client, BAN_malformed);
    }
    let_go(w, fd, client);
}

/* 1: there is a first byte; 0: not yet; -1: the connection is gone. */
static int peek(int fd, uint8_t *first)
{
    ssize_t n = recv(fd, first, 1, MSG_PEEK);
    if (n == 1)
        return 1;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static struct pending *pending_of(struct round_task *task)
{
    return (struct pending *)((char *)task - offsetof(struct pending, turn));
}

static void pending_end(struct round_task *task)
{
    struct pending *p = pending_of(task);
    close(p->io.fd);
    free(p);
}

/* It counts no more from now on. */
static void pending_close(struct pending *p)
{
    struct web *w = p->web;
    ev_io_stop(w->loop, &p->io);
    LIST_REMOVE(p, link);
    web_connection_closed(w, &p->client);
    p->turn.run = pending_end; /* also when it was to be handed on */
    round_in_turn(w->loop, &p->turn);
}

static void pending_hand_on(struct round_task *task)
{
    struct pending *p = pending_of(task);
    struct web *w = p->web;
    struct netaddr client = p->client;
    int fd = p->io.fd;
    uint8_t first = p->first;
    LIST_REMOVE(p, link);
    free(p);
    hand_on(w, fd, &client, first);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
    struct pending *p = io->data;
    (void)revents;
    int there = peek(io->fd, &p->first);
    if (there < 0)
        pending_close(p);
    if (there <= 0)
        return;
    ev_io_stop(loop, io);
    p->turn.run = pending_hand_on;
    round_in_turn(loop, &p->turn);
}

void demux_new(struct web *w, int fd, const struct netaddr *client)
{
    uint8_t first;
    int there = peek(fd, &first);
    if (there == 1) {
        hand_on(w, fd, client, first);
        return;
    }
    struct pending *p = there == 0 ? calloc(1, sizeof *p) : NULL;
    if (!p) {
        let_go(w, fd, client);
        return;
    }
    p->web = w;
    p->client = *client;
    p->deadline = w->now + (double)w->limits.handshake_seconds;
    ev_io_init(&p->io, on_readable, fd, EV_READ);
    p->io.data = p;
    ev_io_start(w->loop, &p->io);
    LIST_INSERT_HEAD(&w->pending, p, link);
}

void demux_sweep(struct web *w)
{
    struct pending *next;
    for (struct pending *p = LIST_FIRST(&w->pending); p; p = next) {
        next = LIST_NEXT(p, link);
        if (w->now > p->deadline) {
            w->counters.timed_out++;
            pending_close(p);
        }
    }
}

void demux_free_all(struct web *w)
{
    while (!LIST_EMPTY(&w->pending))
        pending_close(LIST_FIRST(&w->pending));
}
