/*
 * What the turn workers of one edge must agree on, in memory they share: which relay port belongs to which
 * worker, how many allocations each user and client address has, and reservations (EVEN-PORT) that another
 * worker may redeem. Main makes it once (a memfd) and hands the descriptor to every worker, also to one that
 * is started again: what its predecessor had claimed is released as it attaches. All of it is fixed in size
 * and lock-free.
 */
#ifndef EDGE_TURN_TURN_SHARED_H
#define EDGE_TURN_TURN_SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "edge/turn/turn_config.h"
#include "edge/turn/turn_connection_table.h"

struct turn_shared;

/* Main's part: a memfd of the right size for the relay addresses, ports and worker_count of c. New relay
 * addresses or ports need a new one, and the workers started again. -1 with errno set. */
int turn_shared_create(const struct turn_config *c);

/* The worker's part: maps fd (which stays the caller's) and releases what c->worker_index held; fd -1 makes
 * memory of its own for a lone worker. ERR_CONFIG when the sizes do not fit c. */
enum err turn_shared_attach(int fd, const struct turn_config *c, struct turn_shared **out);
void turn_shared_detach(struct turn_shared *s);

/* Relay ports. `relay` indexes c->relays. A claim is exclusive among the workers, not among programs: bind
 * may still fail. */
bool turn_shared_claim_port(struct turn_shared *s, size_t relay, uint16_t port);
void turn_shared_release_port(struct turn_shared *s, size_t relay, uint16_t port);
/* What this worker has claimed is a TCP relay's. */
void turn_shared_mark_tcp(struct turn_shared *s, size_t relay, uint16_t port);
bool turn_shared_port_is_tcp(const struct turn_shared *s, size_t relay, uint16_t port);
/* True while some worker has claimed it for UDP (reserved ports do not count). */
bool turn_shared_port_in_use(const struct turn_shared *s, size_t relay, uint16_t port);
/* Ports claimed or reserved on this relay address, by all workers. */
size_t turn_shared_ports_used(const struct turn_shared *s, size_t relay);

/* Who a user is to the functions below; never 0. The same for all workers that share the memory. */
uint64_t turn_shared_user(const struct turn_shared *s, const char *name);

/* Reservations: a port claimed by this worker is kept for whoever presents the token, until the second
 * `expires` (wall clock or monotonic, the same for all workers). It has a seat of its own (below): a reserved
 * port counts like an allocation. ERR_FULL, with every slot in use or TURN_RESERVATIONS_USER by this user:
 * port and seat stay the caller's. */
enum { TURN_RESERVATIONS = 1024, TURN_RESERVATIONS_USER = 128 };
struct turn_seat {
    uint32_t user, address; /* slot + 1; 0: not counted */
};
enum err turn_shared_reserve(struct turn_shared *s, size_t relay, uint16_t port, uint64_t token,
                             uint64_t user, const struct turn_seat *seat, uint32_t expires);
/* The port is claimed by this worker then, whichever had reserved it, and its seat is free: the caller takes
 * one as for any allocation. user must be the same. ERR_NOT_FOUND. */
enum err turn_shared_redeem(struct turn_shared *s, uint64_t token, uint64_t user, uint32_t now, size_t *relay,
                            uint16_t *port);
/* Releases what this worker reserved and nobody fetched. Once a second. */
void turn_shared_expire(struct turn_shared *s, uint32_t now);

enum turn_direction { TURN_FROM_CLIENT, TURN_TO_CLIENT, TURN_DIRECTIONS };

/* Quotas: one more allocation of user at address, if the limits of c allow it. *seat remembers whom to count
 * down; every turn_shared_sit that gave TURN_QUOTA_OK needs one turn_shared_leave. Two workers that count at
 * the same instant may both be refused the last seat, never both given it. */

enum turn_quota {
    TURN_QUOTA_OK,
    TURN_QUOTA_TOTAL,
    TURN_QUOTA_USER,
    TURN_QUOTA_ADDRESS,
    TURN_QUOTA_COUNTERS, /* too many different users or addresses to count */
};

enum turn_quota turn_shared_sit(struct turn_shared *s, const struct turn_config *c, uint64_t user,
                                const struct netaddr *client, struct turn_seat *seat);
/* The user's buckets (turn_rate.h), TURN_DIRECTIONS of them: one set for all workers, so that a user has the
 * same bandwidth whether its allocations are spread over workers or sit in one; a share per worker would have
 * to guess. A packet costs one compare-and-swap, and only where users are limited. NULL: not counted. */
_Atomic uint64_t *turn_shared_buckets(struct turn_shared *s, const struct turn_seat *seat);
void turn_shared_leave(struct turn_shared *s, const struct turn_seat *seat);
/* TCP connections with peers, counted for the user of an allocation that has its seat: one more, if
 * quota_connections of c allows it; each needs one turn_shared_connection_leave, before the allocation
 * leaves. */
bool turn_shared_connection_sit(struct turn_shared *s, const struct turn_config *c, uint64_t user,
                                const struct turn_seat *seat);
void turn_shared_connection_leave(struct turn_shared *s, const struct turn_seat *seat);
/* Says from which buckets what passes on a connection is paid: those of its user, and those of its
 * allocation, which is known by the port of its relay, as the connection may be joined in another worker. */
void turn_shared_connection_pays(struct turn_shared *s, struct turn_connection_row *row, size_t relay,
                                 uint16_t port, const struct turn_seat *seat);
/* These, TURN_DIRECTIONS each; *user is NULL where users are not counted. */
void turn_shared_connection_buckets(struct turn_shared *s, const struct turn_connection_row *row,
                                    _Atomic uint64_t **allocation, _Atomic uint64_t **user);
/* Those of all workers. */
struct turn_connection_table *turn_shared_connections(const struct turn_shared *s);
/* Allocations of all workers. */
uint64_t turn_shared_total(const struct turn_shared *s);

#endif
