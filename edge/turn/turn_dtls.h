/*
 * Clients on DTLS 1.2 (RFC 6347, RFC 7350): sessions on the shared listening sockets, one record in, one
 * record out. No socket per client, so SO_REUSEPORT spreads them over workers like those on plain UDP.
 *
 * Before a client has shown with a cookie that its address is its own, nothing is remembered of it: its
 * ClientHello is answered by a HelloVerifyRequest, which is shorter, from the one SSL that listens. After
 * that its session counts against the limits of turn_admission. What a session holds:
 *   - within the handshake: the buffers of OpenSSL, about 50 KB, for TURN_DTLS_HANDSHAKE seconds at most, and
 *     of records and messages that came too early no more than TURN_DTLS_AHEAD and what fits into
 *     TURN_DTLS_DATAGRAMS datagrams; OpenSSL makes room for ten messages ahead, each as long as it says it is
 *     but no longer than 17 KB (common/tls.c);
 *   - afterwards: 36 KB (OpenSSL 3.0; 22 of them its handshake buffer, which it keeps for retransmissions); the
 *     buffers of records, 34 KB more, are given back after every packet.
 * Without an allocation it ends after TURN_DTLS_IDLE seconds.
 *
 * Its sockets are the ops; turn_udp is the real thing, tests bring their own.
 */
#ifndef EDGE_TURN_TURN_DTLS_H
#define EDGE_TURN_TURN_DTLS_H

#include <ev.h>

#include "edge/turn/turn_admission.h"
#include "edge/turn/turn_server.h"
#include "edge/turn/turn_tls.h"

struct turn_dtls;

enum {
    TURN_DTLS_IDLE = 30,
    TURN_DTLS_HANDSHAKE = 10,
    TURN_DTLS_COOKIE = 60, /* seconds that a cookie key is used for; the one before it still counts */
    TURN_DTLS_MTU = 1200,  /* of handshake datagrams: fits the smallest IPv6 link, 1280, and most tunnels */
    TURN_DTLS_AHEAD = 8,   /* records of the next epoch kept during a handshake */
    TURN_DTLS_DATAGRAMS = 64, /* taken during a handshake */
};

struct turn_dtls_ops {
    /* As turn_udp_slot. */
    uint8_t *(*slot)(void *net);
    /* Sends n bytes, which are copied, to a client of this listening socket. */
    void (*send)(void *net, void *listener, const struct turn_target *to, const void *data, size_t n);
};

/* Where a datagram was met. */
struct turn_dtls_origin {
    void *listener;              /* the ops' */
    unsigned index;              /* of the listener, for turn_key_dtls */
    const struct netaddr *local; /* its address */
    const struct netaddr *from;
};

/* RFC 7983 §7 */
static inline bool turn_dtls_is(uint8_t first)
{
    return first >= 20 && first <= 63;
}

/* All of these must outlive it. NULL when memory is out. */
struct turn_dtls *turn_dtls_new(struct ev_loop *loop, struct turn_server *server,
                                const struct turn_dtls_ops *ops, void *net, struct turn_admission *admission,
                                const struct turn_tls *tls);
/* Ends every session, with an alert; their allocations go with them. NULL is fine. */
void turn_dtls_free(struct turn_dtls *d);
/* A datagram for which turn_dtls_is. */
void turn_dtls_receive(struct turn_dtls *d, const struct turn_dtls_origin *origin, const uint8_t *packet,
                       size_t n);
/* Once a second, seconds as the server's. */
void turn_dtls_tick(struct turn_dtls *d, uint32_t now);
size_t turn_dtls_count(const struct turn_dtls *d);

#endif
