/*
 * The client's end of a 5-tuple: who it is, and the way back to it. Over UDP a turn_client is made for each
 * message and costs nothing; an allocation keeps a copy. Over streams it is part of the connection, and the
 * copy points there. What the server does never depends on the transport: it leaves through turn_client_ops.
 */
#ifndef EDGE_TURN_TURN_CLIENT_H
#define EDGE_TURN_TURN_CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/netaddr.h"

#define TURN_TRANSPORT_TABLE(X)                                                                              \
    X(UDP, "UDP")                                                                                            \
    X(TCP, "TCP")                                                                                            \
    X(TLS, "TLS")                                                                                            \
    X(DTLS, "DTLS")

enum turn_transport {
#define X(name, words) TURN_OVER_##name,
    TURN_TRANSPORT_TABLE(X)
#undef X
        TURN_TRANSPORTS
};

static inline bool turn_transport_is_stream(enum turn_transport t)
{
    return t == TURN_OVER_TCP || t == TURN_OVER_TLS;
}

enum {
    /* Room in front of and behind every packet handed to the server: a Data indication's header is written in
     * place (20 header, 24 XOR-PEER-ADDRESS, 4 DATA), as is padding. */
    TURN_HEADROOM = 64,
    TURN_TAILROOM = 4,
};

/* A client as a hash key: IP, and port, listening socket (or serial number of the connection) and address
 * family. 16 bits stay free for a channel number, so that one look-up finds the channel of a ChannelData
 * message. */
struct turn_key {
    uint64_t word[3];
};

static inline struct turn_key turn_key_udp(const struct netaddr *client, unsigned listener)
{
    struct turn_key k;
    memcpy(k.word, client->ip, 16);
    k.word[2] = (uint64_t)listener << 33 | (uint64_t)(client->family == AF_INET6) << 32 | client->port;
    return k;
}

/* The same socket and address, but within DTLS. */
static inline struct turn_key turn_key_dtls(const struct netaddr *client, unsigned listener)
{
    struct turn_key k = turn_key_udp(client, listener);
    k.word[2] |= (uint64_t)1 << 62;
    return k;
}

/* serial: unique among the worker's connections. */
static inline struct turn_key turn_key_stream(uint64_t serial)
{
    return (struct turn_key){{serial, 0, UINT64_MAX << 33}};
}

static inline struct turn_key turn_key_with_channel(struct turn_key k, uint16_t channel)
{
    k.word[2] |= (uint64_t)channel << 16;
    return k;
}

static inline bool turn_key_equal(const struct turn_key *a, const struct turn_key *b)
{
    return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2];
}

struct turn_client;
struct stream;

/* Takes a client's stream over: its events are the taker's, n bytes behind the last message were read from it
 * already; it may be paused. stream NULL: the client has gone. */
typedef void turn_client_taker(void *ctx, struct stream *stream, const uint8_t *rest, size_t n);

struct turn_client_ops {
    /* Sends one STUN message; n bytes are copied. */
    void (*reply)(struct turn_client *c, const uint8_t *message, size_t n);
    /* Sends one ChannelData or STUN message that lies in packet memory with TURN_TAILROOM behind it. The
     * memory is borrowed until the next flush of the net, see turn_net.h. Too much for a slow client: dropped
     * and counted. */
    void (*forward)(struct turn_client *c, uint8_t *message, size_t n);
    /* The allocation of this client has been made, or is gone. */
    void (*allocated)(struct turn_client *c, bool is);
    /* Gives the connection away, for data (RFC 6062 §5.4): at once, or when the message that is being handled
     * is done. The client is gone then. NULL where there is no stream. */
    void (*give)(struct turn_client *c, turn_client_taker *take, void *ctx);
};

/* Where datagrams go, ready for sendmmsg. */
struct turn_target {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } to;
    socklen_t len;
};

static inline void turn_target_set(struct turn_target *t, const struct netaddr *a)
{
    struct sockaddr_storage ss;
    t->len = netaddr_to_sockaddr(a, &ss);
    memcpy(&t->to, &ss, sizeof t->to);
}

struct turn_client {
    const struct turn_client_ops *ops;
    void *via; /* the ops': listening socket or connection */
    struct turn_key key;
    enum turn_transport transport;
    bool verified;                  /* the address is real: a connection was made from it */
    struct netaddr address, server; /* both ends */
    struct turn_target target;      /* UDP: the client's address again */
    struct turn_connection_bind
        *bind; /* a ConnectionBind that waits for another worker; no message follows it */
};

#endif
