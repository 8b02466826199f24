/*
 * What a worker counts: one row each, from which status and metrics are made. Nothing here is labelled by
 * anything that a stranger can multiply.
 */
#ifndef EDGE_TURN_TURN_COUNTERS_H
#define EDGE_TURN_TURN_COUNTERS_H

#include <jansson.h>
#include <stdint.h>

#include "edge/turn/turn_client.h"
#include "proto/stun_msg.h"

/*    name           what was dropped, and why */
#define TURN_DROP_TABLE(X)                                                                                   \
    X(not_turn, "neither STUN nor ChannelData")                                                              \
    X(no_session, "DTLS that belongs to no session")                                                         \
    X(malformed, "STUN that does not parse")                                                                 \
    X(fingerprint, "STUN whose FINGERPRINT is wrong")                                                        \
    X(unexpected, "STUN of a method or class that a server does not take")                                   \
    X(limited, "answer kept back from an address that got too many without authenticating")                  \
    X(no_allocation, "Send indication without an allocation")                                                \
    X(bad_indication,                                                                                        \
      "Send indication without peer or data, with unknown attributes, or for a TCP allocation")              \
    X(no_channel, "ChannelData for a channel that is not bound")                                             \
    X(no_permission, "to or from a peer without permission")                                                 \
    X(peer_refused, "to an address that is never a peer")                                                    \
    X(no_relay, "to a relayed address of this edge that nobody has")                                         \
    X(allocation_bandwidth, "above the bandwidth of its allocation")                                         \
    X(user_bandwidth, "above the bandwidth of its user")                                                     \
    X(too_long, "does not fit into a datagram")                                                              \
    X(client_full, "client reads too slowly")                                                                \
    X(send_full, "socket buffer was full")                                                                   \
    X(send_failed, "the network refused it")                                                                 \
    X(kernel, "left to the kernel: a listening socket's buffer was full, or strangers' packets under a "     \
              "flood")

enum turn_drop {
#define X(name, words) TURN_DROP_##name,
    TURN_DROP_TABLE(X)
#undef X
        TURN_DROPS
};

#define TURN_EVENT_TABLE(X)                                                                                  \
    X(allocated, "allocations made")                                                                         \
    X(deleted, "allocations deleted by their client")                                                        \
    X(expired, "allocations that ran out")                                                                   \
    X(disconnected, "allocations whose connection ended")                                                    \
    X(refused, "allocations refused")                                                                        \
    X(connections, "stream connections accepted")                                                            \
    X(connections_refused, "stream connections and DTLS sessions refused, too many")                         \
    X(sessions, "DTLS sessions begun")                                                                       \
    X(unproven_closed, "TLS and DTLS clients without an allocation closed, too many: newer ones came")       \
    X(cookies, "DTLS clients asked to prove their address")                                                  \
    X(handshakes, "TLS and DTLS handshakes completed")                                                       \
    X(handshakes_failed, "TLS and DTLS handshakes that failed, or took too long")                            \
    X(stream_errors, "stream connections closed for what they sent")                                         \
    X(peer_connections, "TCP connections with peers made")                                                   \
    X(peer_connections_handed, "of those, handed to another worker, where ConnectionBind came")              \
    X(peer_connections_refused, "TCP connections of peers closed at once, too many")                         \
    X(icmp, "ICMP errors told to clients")                                                                   \
    X(hairpin, "packets that went from relay to relay in this worker")                                       \
    X(floods, "floods from strangers that were held back")

enum turn_event {
#define X(name, words) TURN_EVENT_##name,
    TURN_EVENT_TABLE(X)
#undef X
        TURN_EVENTS
};

struct turn_traffic {
    uint64_t packets, bytes;
};

enum { TURN_METHODS_MAX = 16, TURN_ERRORS_MAX = 24 };

struct turn_counters {
    uint64_t requests[TURN_METHODS_MAX], successes[TURN_METHODS_MAX]; /* by method number */
    uint64_t errors[TURN_ERRORS_MAX];                                 /* by row of STUN_ERROR_TABLE */
    uint64_t drops[TURN_DROPS];
    uint64_t events[TURN_EVENTS];
    struct turn_traffic from_clients[TURN_TRANSPORTS], to_clients[TURN_TRANSPORTS]; /* relayed payload */
};

void turn_count_error(struct turn_counters *c, int code);
/* { "requests": {…}, "successes": {…}, "errors": {…}, "drops": {…}, "events": {…},
 *   "from_clients": { "UDP": { "packets", "bytes" }, … }, "to_clients": {…} }; NULL when memory is out. */
json_t *turn_counters_json(const struct turn_counters *c);

#endif
