/*
 * How many clients may hold something here before they have shown a credential: stream connections and DTLS
 * sessions, in all and per address, and how many of them may be within their TLS handshake, which costs most.
 * Clients within TLS or DTLS cost most, 36 KB each: of those without an allocation there are no more than
 * unproven_max, and a new one takes the place of the oldest. Whoever has credentials has allocated long
 * before.
 *
 * Memory is fixed. The call bridges' networks are not counted by address (turn_config_is_bridge).
 */
#ifndef EDGE_TURN_TURN_ADMISSION_H
#define EDGE_TURN_TURN_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "common/netaddr.h"
#include "edge/turn/turn_config.h"

struct turn_admission;

/* What one client was counted for; part of its connection. All zero: nothing. */
struct turn_pass {
    struct netaddr address;
    bool inside, by_address;              /* counted at all, and by its address */
    bool handshaking, address_handshakes; /* the same for its handshake */
    bool unproven;                        /* in the list of those */
    void (*end)(struct turn_pass *pass); /* makes room: ends the client; set where it is within TLS or DTLS */
    TAILQ_ENTRY(turn_pass) link;
};

/* config must outlive it and may change; most: clients at once. NULL when memory is out. */
struct turn_admission *turn_admission_new(const struct turn_config *config, size_t most);
void turn_admission_free(struct turn_admission *a);

/* False, and nothing counted, when there are too many. */
bool turn_admission_enter(struct turn_admission *a, const struct netaddr *client, struct turn_pass *pass);
bool turn_admission_handshake(struct turn_admission *a, struct turn_pass *pass);
/* The handshake is over. Does nothing for a pass without one. */
void turn_admission_handshake_done(struct turn_admission *a, struct turn_pass *pass);
/* The client costs memory from here on, and has no allocation; the pass stays where it is. Whoever is ended
 * to make room is another one. */
void turn_admission_unproven(struct turn_admission *a, struct turn_pass *pass,
                             void (*end)(struct turn_pass *pass));
/* It has an allocation now, or has none any more; nobody is ended for that. Does nothing for others. */
void turn_admission_proven(struct turn_admission *a, struct turn_pass *pass, bool is);
/* The client is gone, in whatever state it was; the pass is all zero then. */
void turn_admission_leave(struct turn_admission *a, struct turn_pass *pass);

size_t turn_admission_count(const struct turn_admission *a);
size_t turn_admission_handshakes(const struct turn_admission *a);

#endif
