/* An allocation: what a client has here as long as it refreshes. RFC 8656 §3.2, §5. */
#ifndef EDGE_TURN_TURN_ALLOCATION_H
#define EDGE_TURN_TURN_ALLOCATION_H

#include "edge/turn/turn_account.h"
#include "edge/turn/turn_server.h"

enum turn_family { TURN_IPV4, TURN_IPV6, TURN_FAMILIES };

static inline enum turn_family turn_family(const struct netaddr *a)
{
    return a->family == AF_INET ? TURN_IPV4 : TURN_IPV6;
}

#define TURN_END_TABLE(X)                                                                                    \
    X(DELETED, deleted, "Relay Deleted", "the client asked for it")                                          \
    X(EXPIRED, expired, "Relay Expired", "not refreshed")                                                    \
    X(DISCONNECTED, disconnected, "Relay Disconnected", "the client's connection ended")                     \
    X(STOPPED, deleted, "Relay Deleted", "the worker stops")

enum turn_end {
#define X(name, event, words, reason) TURN_END_##name,
    TURN_END_TABLE(X)
#undef X
};

struct turn_allocation {
    struct hashmap_node node; /* in server->allocations */
    struct turn_server *server;
    struct turn_client client; /* where answers go */
    struct turn_account *account;
    uint64_t credentials_end; /* as in struct turn_request: whose allocation it is */
    uint64_t id;              /* never used again in this worker */
    struct turn_relay *relays[TURN_FAMILIES];
    struct turn_permission *permissions; /* lists, newest first */
    struct turn_channel *channels;
    LIST_HEAD(, turn_peer_connection) connections;
    uint32_t n_permissions, n_channels, n_connections;
    bool tcp;                        /* relays are TCP, RFC 6062 */
    uint32_t icmp_second, icmp_told; /* ICMP errors told in that second, see turn_icmp.h */
    struct turn_seat seat;
    uint32_t created;
    struct turn_traffic from_client, to_client; /* relayed payload */
    uint64_t drops;                             /* of its packets, for whatever reason */
    uint64_t paid_until[TURN_DIRECTIONS];       /* its buckets, see turn_rate.h */
    _Atomic uint64_t *user_paid_until; /* its user's, one for each direction, in shared memory; NULL: none */

    /* The Allocate request and what it was answered, for when it is sent again (RFC 8656 §7.2) */
    uint8_t transaction[STUN_TRANSACTION];
    uint32_t lifetime;
    uint8_t token[8];       /* RESERVATION-TOKEN, all zero: none */
    uint8_t missing_family; /* ADDRESS-ERROR-CODE: which of two families there is no relay of, 0: none, */
    int missing_error;      /* and why */
};

const char *turn_transport_words(enum turn_transport t);
/* NULL when the client has none. */
struct turn_allocation *turn_allocation_find(const struct turn_server *s, const struct turn_key *client);
/* An allocation without relays, known to the server. Holds the account, takes over the seat. NULL when memory
 * is out; the seat is the caller's then. */
struct turn_allocation *turn_allocation_new(struct turn_server *s, const struct turn_client *client,
                                            struct turn_account *account, const struct turn_seat *seat);
/* With all its relays, permissions and channels. */
void turn_allocation_delete(struct turn_allocation *a, enum turn_end why);
/* Deletes what a client has, if anything; for connections that end. */
void turn_allocation_disconnect(struct turn_server *s, const struct turn_key *client);

/* Logs the making of it. */
void turn_allocation_announce(const struct turn_allocation *a);

#endif
