/*
 * A peer data connection of a TCP allocation: connected by Connect, or accepted at the relayed address;
 * nothing is read from it until a ConnectionBind brings the client's connection to join it to. RFC 6062 §5.
 *
 *   Connect ──> CONNECTING ──> WAITING ──> JOINED   in this worker
 *   a peer's SYN ─────────────>   │ └────> AWAY     handed to the worker that the ConnectionBind reached
 *                                 └ 30 s: closed
 */
#ifndef EDGE_TURN_TURN_PEER_CONNECTION_H
#define EDGE_TURN_TURN_PEER_CONNECTION_H

#include <sys/queue.h>

#include "edge/turn/turn_allocation.h"
#include "edge/turn/turn_connection_table.h"
#include "edge/turn/turn_relay.h"
#include "edge/turn/turn_stream_net.h"

enum {
    TURN_CONNECT_SECONDS = 30, /* RFC 6062 §5.2: at least */
    TURN_BIND_SECONDS = 30,    /* RFC 6062 §5.2, §5.3 */
};

#define TURN_CONNECTION_STATE_TABLE(X)                                                                       \
    X(CONNECTING, "connecting")                                                                              \
    X(WAITING, "waiting")                                                                                    \
    X(JOINED, "joined")                                                                                      \
    X(AWAY, "joined in another worker")

enum turn_connection_state {
#define X(name, words) TURN_CONNECTION_##name,
    TURN_CONNECTION_STATE_TABLE(X)
#undef X
};

const char *turn_connection_state_words(enum turn_connection_state s);

struct turn_peer_connection {
    struct hashmap_node node;              /* in server->connections, once it has an id */
    LIST_ENTRY(turn_peer_connection) link; /* allocation->connections */
    LIST_ENTRY(turn_peer_connection) away; /* server->away */
    struct turn_relay *relay;
    struct netaddr peer; /* canonical */
    enum turn_connection_state state;
    uint32_t id;    /* CONNECTION-ID, 0 while connecting */
    uint32_t taker; /* AWAY: the worker that has it */
    struct turn_connection_row *row;
    struct turn_timer end;          /* in server->connection_ends while CONNECTING or WAITING */
    struct turn_later *later;       /* the Connect request */
    struct turn_peer_socket socket; /* the net's */
    struct turn_splice *splice;     /* the net's, JOINED */
};

/* From the net. */
void turn_peer_connection_connected(struct turn_peer_connection *c);
void turn_peer_connection_failed(struct turn_peer_connection *c);
/* JOINED, and over: frees it. */
void turn_peer_connection_ended(struct turn_peer_connection *c);
/* A peer has connected to a relay. False: the net resets fd; else it belongs to a peer connection now. */
bool turn_peer_connection_accepted(struct turn_relay *r, int fd, const struct netaddr *from);
/* Another worker asks for it, or its row has changed. */
void turn_peer_connection_asked(struct turn_server *s, uint32_t worker, uint32_t id);
void turn_peer_connection_told(struct turn_server *s, uint32_t id);

/* All of a relay's, as it closes. */
void turn_peer_connections_close(struct turn_relay *r);
/* For the wheel, and once a second: what other workers have let go of. */
void turn_peer_connection_expired(void *server, struct turn_timer *t);
void turn_peer_connections_sweep(struct turn_server *s);

/* A ConnectionBind that waits for another worker to hand the peer's connection over. */
struct turn_connection_bind;
/* The descriptor has come. False when nobody waits for it (any more): it is the caller's to close. */
bool turn_connection_bind_handed(struct turn_server *s, uint32_t id, int fd);
/* The client's connection ended. */
void turn_connection_bind_cancel(struct turn_connection_bind *b);

#endif
