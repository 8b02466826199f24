/*
 * TCP towards peers, as the server sees it (RFC 6062); turn_tcp_relay is the real thing, unit tests bring
 * their own. Nothing is called back from inside these.
 */
#ifndef EDGE_TURN_TURN_STREAM_NET_H
#define EDGE_TURN_TURN_STREAM_NET_H

#include <ev.h>
#include <stdint.h>

#include "common/err.h"
#include "common/netaddr.h"
#include "edge/turn/turn_client.h"

struct turn_relay;
struct turn_peer_connection;
struct turn_connection_row;
struct turn_splice;

/* What two ends are joined to one stream by. */
struct turn_join {
    int fd; /* the peer's connection; the net's from then on */
    uint32_t id;
    uint32_t owner; /* the worker whose allocation it belongs to */
    struct turn_connection_row *row;
    struct turn_peer_connection *connection; /* NULL: another worker's */
};

struct turn_stream_ops {
    /* Opens relay->socket, bound to addr and listening; what arrives goes to turn_peer_connection_accepted.
     * Errors as relay_open of turn_net.h. */
    enum err (*listen)(void *net, struct turn_relay *relay, const struct netaddr *addr);
    void (*unlisten)(void *net, struct turn_relay *relay);
    /* Opens c->socket and connects it; turn_peer_connection_connected or _failed follows. ERR_EXISTS: such a
     * connection is there already; ERR_FULL: no descriptor left; ERR_REFUSED: the network says no at once. */
    enum err (*connect)(void *net, struct turn_peer_connection *c, const struct netaddr *from,
                        const struct netaddr *to);
    /* Closes what c has: its socket, or c->splice. */
    void (*close)(void *net, struct turn_peer_connection *c);
    /* Joins the client's stream and j->fd; turn_peer_connection_ended follows when either has ended. */
    void (*join)(void *net, struct turn_client *client, const struct turn_join *j);
    /* To another worker: asks for the connection; hands over a copy of fd; tells that its row has changed.
     * ERR_AGAIN: not now. */
    enum err (*ask)(void *net, uint32_t worker, uint32_t id);
    enum err (*hand)(void *net, uint32_t worker, uint32_t id, int fd);
    void (*tell)(void *net, uint32_t worker, uint32_t id);
};

/* The net's part of a peer connection. */
struct turn_peer_socket {
    ev_io watcher; /* while it is being connected */
    int fd;        /* -1: none */
};

#endif
