/*
 * From the config of an edge and the addresses of its box to what its turn workers are told of addresses.
 * Nothing here touches the system: the box's addresses are handed in. Lists are new references, NULL when
 * memory is out.
 */
#ifndef EDGE_EDGE_RELAYS_H
#define EDGE_EDGE_RELAYS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/config.h"
#include "edge/listeners.h"

enum { RELAYS_POINTER = 40 };

struct local_addresses {
    struct netaddr list[LOCAL_ADDRESSES_MAX];
    size_t n;
};

bool local_addresses_have(const struct local_addresses *local, const struct netaddr *a);

/* "relays" of a worker's config: relay_addresses, or the one address that follows from the others. NULL with
 * the reason in why[SCHEMA_WHY], and in pointer the key of the edge that is wrong, as a JSON pointer; "" for
 * none. */
json_t *edge_relays(const struct config_edge *self, const struct local_addresses *local,
                    char pointer[RELAYS_POINTER], char *why);

/* "own_addresses": services of this box are never peers, on every address, by port; and the box itself only
 * where allow_peers names its very address. */
json_t *edge_own_addresses(const struct config_edge *self, const struct local_addresses *local);

/* "cluster_addresses": other edges' relays are peers of ours; guests on different edges meet there. */
json_t *edge_cluster_addresses(const struct config *config, const struct config_edge *self);

#endif
