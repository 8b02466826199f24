/*
 * The sockets of TCP relays (RFC 6062): listening at relayed addresses, connecting from them, and, behind
 * these, the streams that clients' and peers' connections are joined to (turn_splice) and the other workers
 * (turn_mail).
 */
#ifndef EDGE_TURN_TURN_TCP_RELAY_H
#define EDGE_TURN_TURN_TCP_RELAY_H

#include <ev.h>

#include "edge/turn/turn_server.h"

struct turn_tcp_relays;

/* Gives the server its streams, with so many connections of peers at most. NULL when memory is out. */
struct turn_tcp_relays *turn_tcp_relays_new(struct ev_loop *loop, struct turn_server *server, size_t most);
/* Ends every joined stream; to be called while the server is there. */
void turn_tcp_relays_stop(struct turn_tcp_relays *t);
/* To be called when the server, which closes its relays, is gone. */
void turn_tcp_relays_free(struct turn_tcp_relays *t);
/* The mailbox of a worker, see turn_mail.h. Takes fd. */
void turn_tcp_relays_add_mailbox(struct turn_tcp_relays *t, uint32_t worker, int fd);
/* Once a second. */
void turn_tcp_relays_tick(struct turn_tcp_relays *t);
/* Streams joined in this worker. */
size_t turn_tcp_relays_joined(const struct turn_tcp_relays *t);

#endif
