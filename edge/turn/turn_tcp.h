/*
 * Clients on streams: accepted here or handed over by who accepted them. A stream carries STUN and
 * ChannelData in frames (proto/stun_stream); each is copied into packet memory and goes the same way as a
 * datagram.
 *
 * On a TCP socket the first byte tells TLS from STUN (RFC 7983): firewalls that let port 3478 through let TLS
 * on it through as well, and all that it takes is one look at a byte that has to be waited for anyway. A TLS
 * socket takes TLS only: who opens just that port means it.
 *
 * A connection without an allocation is closed after TURN_TCP_IDLE seconds, one whose TLS handshake is not
 * over after TURN_TCP_HANDSHAKE; what a client does not read is dropped above TURN_TCP_QUEUE bytes, as media
 * that come late are worth nothing. Without an allocation both the beginning of a message that is kept and
 * what waits to be read are held to TURN_TCP_STRANGER bytes: strangers can have many connections.
 * A connection that ConnectionBind makes a data connection is given away (turn_client_ops.give) with what was
 * read behind the request; nothing more is read before.
 */
#ifndef EDGE_TURN_TURN_TCP_H
#define EDGE_TURN_TURN_TCP_H

#include <ev.h>

#include "edge/turn/turn_admission.h"
#include "edge/turn/turn_server.h"
#include "edge/turn/turn_tls.h"
#include "edge/turn/turn_udp.h"
#include "edge/turn/turn_worker.h"

struct turn_tcp;

enum {
    TURN_TCP_IDLE = 30,
    TURN_TCP_HANDSHAKE = 10,
    TURN_TCP_QUEUE = 256 * 1024,
    TURN_TCP_STRANGER = 4096, /* longer than any request */
};

/* All of these must outlive it. NULL when memory is out. */
struct turn_tcp *turn_tcp_new(struct ev_loop *loop, struct turn_server *server, struct turn_udp *udp,
                              struct turn_admission *admission, const struct turn_tls *tls);
/* Closes everything; their allocations go with them. */
void turn_tcp_free(struct turn_tcp *t);
/* Starts to accept on these; takes their descriptors. Sockets of datagrams are passed over. ERR_MEMORY:
 * all closed. */
enum err turn_tcp_listen(struct turn_tcp *t, const struct turn_socket *sockets, size_t n);
/* See turn_worker_adopt. */
enum err turn_tcp_adopt(struct turn_tcp *t, const struct turn_handed *h);
/* Once a second, seconds as the server's. */
void turn_tcp_tick(struct turn_tcp *t, uint32_t now);

#endif
