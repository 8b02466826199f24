/*
 * The state of one turn worker, apart from its sockets: config, users, allocations and what belongs to them.
 * Time and sockets are handed in (turn_server_tick, turn_net.h), so that tests drive it with their own.
 *
 * One file per noun beside this one: turn_allocation, turn_relay, turn_permission, turn_channel,
 * turn_account, turn_policy; turn_request takes STUN in, turn_forward moves packets.
 */
#ifndef EDGE_TURN_TURN_SERVER_H
#define EDGE_TURN_TURN_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/err.h"
#include "common/hashmap.h"
#include "common/log.h"
#include "common/netaddr.h"
#include "edge/turn/turn_account.h"
#include "edge/turn/turn_alarm.h"
#include "edge/turn/turn_config.h"
#include "edge/turn/turn_counters.h"
#include "edge/turn/turn_limiter.h"
#include "edge/turn/turn_net.h"
#include "edge/turn/turn_policy.h"
#include "edge/turn/turn_rate.h"
#include "edge/turn/turn_shared.h"
#include "edge/turn/turn_stream_net.h"
#include "edge/turn/turn_wheel.h"
#include "proto/stun_nonce.h"

struct turn_relay;

enum { TURN_RANDOM_POOL = 512 };

struct turn_server {
    struct turn_config config;
    struct turn_shared *shared;
    struct turn_policy *policy;
    struct netaddr *listening; /* addresses of our sockets, for the policy */
    size_t n_listening;
    const struct turn_net_ops *net_ops;
    void *net;
    const struct turn_stream_ops *stream_ops; /* NULL: no TCP allocations here */
    void *streams;

    struct turn_accounts accounts;
    struct stun_offer offer;                 /* what challenges offer */
    struct hashmap allocations;              /* by client */
    struct hashmap channels;                 /* by client and number */
    struct hashmap peers;                    /* channels by allocation and peer */
    struct hashmap permissions;              /* by allocation and peer IP */
    struct hashmap connections;              /* with peers, by CONNECTION-ID */
    size_t n_connections, connections_most;  /* also those without an id yet */
    LIST_HEAD(, turn_peer_connection) away;  /* those that another worker has joined */
    LIST_HEAD(, turn_connection_bind) binds; /* that wait for another worker */
    /* Relays of this worker: relays[index of relay address][port - port_min], NULL where there is none. */
    struct turn_relay **relays[TURN_RELAYS_MAX];

    struct turn_wheel relay_ends, permission_ends, channel_ends, connection_ends;
    uint32_t now;  /* seconds, monotonic, from the last tick */
    uint32_t wall; /* seconds of the wall clock, for nonces and ephemeral credentials */

    struct turn_limiter *limiter;
    struct turn_counters counters;
    struct log_limit refused_log, allocation_log;
    struct turn_alarm_state alarms[TURN_ALARMS];
    uint64_t next_id;       /* of allocations */
    uint64_t indication[2]; /* makes transactions of indications differ */
    uint8_t random[TURN_RANDOM_POOL];
    size_t random_left;
    bool draining;
    /* Bandwidth; turn_forward looks at nothing but the bool while there is no limit. */
    bool limited;
    struct turn_rate allocation_rate, user_rate;
    uint64_t moment; /* nanoseconds, monotonic: when this round of the loop began; set while limited */
    bool behind_nat; /* some relay address is advertised as another than it is bound to */
};

/* Takes over *config (zeroed, also on failure) and shared. listening is copied. NULL when memory is out. */
struct turn_server *turn_server_new(struct turn_config *config, struct turn_shared *shared,
                                    const struct netaddr *listening, size_t n_listening,
                                    const struct turn_net_ops *net_ops, void *net, uint32_t now,
                                    uint32_t wall);
/* From here on TCP allocations are possible (RFC 6062), with so many connections of peers at once. */
void turn_server_set_streams(struct turn_server *s, const struct turn_stream_ops *ops, void *streams,
                             size_t connections_most);
/* Deletes every allocation first. */
void turn_server_free(struct turn_server *s);
/* See turn_worker_judge and turn_worker_reconfigure. */
enum err turn_server_judge(const struct turn_server *s, const struct turn_config *config, char *why,
                           size_t why_size);
enum err turn_server_reconfigure(struct turn_server *s, struct turn_config *config, char *why,
                                 size_t why_size);
/* Other own addresses from now on (turn_config.own_addresses); takes over own. ERR_MEMORY: as it was. */
enum err turn_server_set_own(struct turn_server *s, struct netaddr *own, size_t n);
/* Once a second, followed by turn_server_sweep. */
void turn_server_tick(struct turn_server *s, uint32_t now, uint32_t wall);
/* What has run out ends, so many things at most: thousands may run out in one second, and packets must not
 * wait for all of them. True when nothing is left; else it is to be called again soon. */
bool turn_server_sweep(struct turn_server *s, unsigned most);

/* The second from which on something that lasts so many seconds has ended. now may be a second old. */
static inline uint32_t turn_server_due(const struct turn_server *s, uint32_t seconds)
{
    return s->now + seconds + 1;
}

/* One name per peer: IPv4-mapped addresses become IPv4; a relayed address of ours given by the address it is
 * bound to becomes the advertised one. */
struct netaddr turn_server_canonical(const struct turn_server *s, const struct netaddr *peer);
/* Index of the relay address that is advertised as this IP, with a port of the relay range; -1: not one of
 * ours. */
int turn_server_relay_index(const struct turn_server *s, const struct netaddr *a);

/* Cryptographically random. */
void turn_server_random(struct turn_server *s, void *out, size_t n);
/* Even over 0 … bound-1. */
uint32_t turn_server_random_below(struct turn_server *s, uint32_t bound);

static inline void turn_drop(struct turn_server *s, enum turn_drop why)
{
    s->counters.drops[why]++;
}

#endif
