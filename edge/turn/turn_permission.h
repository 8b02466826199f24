/* Permissions: peers, by IP address, that an allocation exchanges packets with. RFC 8656 §9. */
#ifndef EDGE_TURN_TURN_PERMISSION_H
#define EDGE_TURN_TURN_PERMISSION_H

#include "edge/turn/turn_allocation.h"

enum { TURN_PERMISSION_LIFETIME = 300 /* RFC 8656 §9 */ };

struct turn_permission {
    struct hashmap_node node; /* in server->permissions */
    struct turn_permission *next;
    struct turn_allocation *allocation;
    struct turn_timer end;
    struct netaddr peer; /* port 0 */
    bool port_counts;    /* the port of each packet is judged, see turn_policy_port_counts */
};

/* NULL when there is none. The port of peer does not count. */
struct turn_permission *turn_permission_find(const struct turn_allocation *a, const struct netaddr *peer);
/* Makes one or refreshes it. NULL when memory is out; bounds are the caller's affair. */
struct turn_permission *turn_permission_install(struct turn_allocation *a, const struct netaddr *peer);
/* All of an allocation's, as it ends. */
void turn_permissions_free(struct turn_allocation *a);
/* For the wheel. */
void turn_permission_expired(void *server, struct turn_timer *t);

#endif
