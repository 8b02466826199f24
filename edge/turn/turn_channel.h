/*
 * Channels: a number instead of a peer's address, so that data travel with four bytes of header. RFC 8656
 * §12. A channel that ran out stays known for five minutes, in which neither its number nor its peer may be
 * bound otherwise.
 */
#ifndef EDGE_TURN_TURN_CHANNEL_H
#define EDGE_TURN_TURN_CHANNEL_H

#include "edge/turn/turn_allocation.h"

enum {
    TURN_CHANNEL_LIFETIME = 600, /* RFC 8656 §12 */
    TURN_CHANNEL_RETIRED = 300,  /* RFC 8656 §12: before it may be bound otherwise */
};

struct turn_channel {
    struct hashmap_node node;      /* in server->channels */
    struct hashmap_node peer_node; /* in server->peers */
    struct turn_channel *next;
    struct turn_allocation *allocation;
    struct turn_permission *permission; /* the peer's; NULL when it ran out: nothing passes */
    struct turn_timer end;
    struct turn_target target; /* where packets go: the peer, or what it is bound to if it is ours */
    struct netaddr peer;
    uint16_t number;
    int8_t own; /* index of our relay address, if the peer is one of our relays; else -1 */
    bool retired;
};

/* By number; also a retired one. */
struct turn_channel *turn_channel_find(const struct turn_server *s, const struct turn_key *client,
                                       uint16_t number);
/* By peer; also a retired one. */
struct turn_channel *turn_channel_find_peer(const struct turn_allocation *a, const struct netaddr *peer);
/* Binds, or refreshes, or revives. The caller has checked that number and peer are not bound otherwise, and
 * installed the permission. NULL when memory is out. */
struct turn_channel *turn_channel_bind(struct turn_allocation *a, uint16_t number, const struct netaddr *peer,
                                       struct turn_permission *permission);
void turn_channels_free(struct turn_allocation *a);
/* Channels of an allocation to this peer get its permission, new or gone (NULL). */
void turn_channels_set_permission(struct turn_allocation *a, const struct netaddr *peer,
                                  struct turn_permission *permission);
/* For the wheel. */
void turn_channel_expired(void *server, struct turn_timer *t);

#endif
