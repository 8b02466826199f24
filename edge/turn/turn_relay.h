/* A relayed transport address and its socket. RFC 8656 §3.2. */
#ifndef EDGE_TURN_TURN_RELAY_H
#define EDGE_TURN_TURN_RELAY_H

#include "edge/turn/turn_allocation.h"
#include "edge/turn/turn_net.h"

struct turn_relay {
    struct turn_server *server;
    struct turn_allocation *allocation; /* set when it belongs to one */
    struct turn_relay_socket socket;    /* the net's */
    struct turn_timer end;              /* in server->relay_ends */
    struct netaddr advertised;          /* XOR-RELAYED-ADDRESS */
    uint16_t port;
    uint8_t index; /* of the relay address in the config */
    bool tcp;      /* listening for peers' connections, RFC 6062 */
};

/* True when the config has a relay address of this family. */
bool turn_relay_has_family(const struct turn_server *s, uint8_t family);

/* Each opens a socket on a relay address of the family; ports are drawn at random. On failure nothing stays
 * claimed. ERR_EXISTS: every port is in use; ERR_FULL: every descriptor; ERR_UNSUPPORTED: no relay address of
 * this family; ERR_MEMORY, ERR_SYSTEM. */
enum err turn_relay_open(struct turn_server *s, uint8_t family, struct turn_relay **out);
/* The same, listening: for TCP allocations. */
enum err turn_relay_open_tcp(struct turn_server *s, uint8_t family, struct turn_relay **out);
/* On an even port. With reserve, the port above is claimed too: the caller reserves or releases it. */
enum err turn_relay_open_even(struct turn_server *s, uint8_t family, bool reserve, struct turn_relay **out);
/* On a port that this worker has claimed already; also on failure it is released then. */
enum err turn_relay_open_claimed(struct turn_server *s, size_t index, uint16_t port, struct turn_relay **out);

/* Gives it to an allocation that has none of this family, for so many seconds. */
void turn_relay_attach(struct turn_relay *r, struct turn_allocation *a, uint32_t lifetime);
void turn_relay_refresh(struct turn_relay *r, uint32_t lifetime);
/* Closes, releases the port, takes it from its allocation (which the caller deletes if it has no relay left).
 */
void turn_relay_close(struct turn_relay *r);

/* The relay of this worker at this address of ours, or NULL. */
static inline struct turn_relay *turn_relay_at(const struct turn_server *s, int index, uint16_t port)
{
    return s->relays[index][port - s->config.port_min];
}

/* For the wheel: the lifetime has run out. */
void turn_relay_expired(void *server, struct turn_timer *t);

#endif
