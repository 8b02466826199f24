/*
 * The datagram side of a worker: the listening UDP sockets, the relays' sockets, and the packet memory
 * between them.
 *
 * Packets are received in bursts into slots of the packet memory and queued for sending where they lie; the
 * queues go out, one system call per socket, when the loop has nothing else to do in this round
 * (turn_udp_flush), or when memory or a queue is full.
 */
#ifndef EDGE_TURN_TURN_UDP_H
#define EDGE_TURN_TURN_UDP_H

#include <ev.h>

#include "edge/turn/turn_dtls.h"
#include "edge/turn/turn_net.h"
#include "edge/turn/turn_server.h"
#include "edge/turn/turn_worker.h"

struct turn_udp;

enum { TURN_PACKET_MAX = 65600 /* bytes in a slot, without head-room */ };

extern const struct turn_net_ops turn_udp_net_ops; /* with a struct turn_udp as net */
extern const struct turn_dtls_ops turn_udp_dtls_ops;

/* NULL when memory is out. */
struct turn_udp *turn_udp_new(struct ev_loop *loop);
/* Closes the listening sockets. The server, whose relays use it, must be gone. */
void turn_udp_free(struct turn_udp *u);
/* Starts to serve on these; takes their descriptors. Sockets of streams are passed over. dtls gets what is
 * DTLS by its first byte (RFC 7983), and has turn_udp_dtls_ops, with u as net. ERR_MEMORY: all closed. */
enum err turn_udp_listen(struct turn_udp *u, struct turn_server *server, struct turn_dtls *dtls,
                         const struct turn_socket *sockets, size_t n);
/* Acts on what the server's config says of sockets now. */
void turn_udp_configure(struct turn_udp *u);
/* Once a second. */
void turn_udp_tick(struct turn_udp *u);
/* A slot of TURN_PACKET_MAX bytes with head-room and tail-room, the caller's until the next flush. */
uint8_t *turn_udp_slot(struct turn_udp *u);
/* Sends everything that is queued; slots are free again. */
void turn_udp_flush(struct turn_udp *u);

#endif
