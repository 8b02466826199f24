/*
 * Clients on streams: accepted here or handed over by who accepted them. A stream carries STUN and
 * ChannelData in frames (proto/stun_stream); each is copied into packet memory and goes the same way as a
 * datagram.
 *
 * A connection without an allocation is closed after TURN_TCP_IDLE seconds; what a client does not read is
 * dropped above TURN_TCP_QUEUE bytes, as media that come late are worth nothing. Without an allocation both
 * the beginning of a message that is kept and what waits to be read are held to TURN_TCP_STRANGER bytes:
 * strangers can have many connections.
 */
#ifndef EDGE_TURN_TURN_TCP_H
#define EDGE_TURN_TURN_TCP_H

#include <ev.h>

#include "edge/turn/turn_server.h"
#include "edge/turn/turn_udp.h"
#include "edge/turn/turn_worker.h"

struct turn_tcp;

enum {
    TURN_TCP_IDLE = 30,
    TURN_TCP_QUEUE = 256 * 1024,
    TURN_TCP_STRANGER = 4096, /* longer than any request */
};

/* most: connections served at once. NULL when memory is out. */
struct turn_tcp *turn_tcp_new(struct ev_loop *loop, struct turn_server *server, struct turn_udp *udp,
                              size_t most);
/* Closes everything; their allocations go with them. */
void turn_tcp_free(struct turn_tcp *t);
/* Starts to accept on these; takes their descriptors. Sockets that are not TCP are passed over. ERR_MEMORY:
 * all closed. */
enum err turn_tcp_listen(struct turn_tcp *t, const struct turn_socket *sockets, size_t n);
/* See turn_worker_adopt_tcp. */
enum err turn_tcp_adopt(struct turn_tcp *t, int fd, const uint8_t *data, size_t n);
/* Once a second, seconds as the server's. */
void turn_tcp_tick(struct turn_tcp *t, uint32_t now);
size_t turn_tcp_count(const struct turn_tcp *t);

#endif
