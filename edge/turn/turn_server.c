#include "edge/turn/turn_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/fatal.h"
#include "edge/turn/turn_account.h"
#include "edge/turn/turn_allocation.h"
#include "edge/turn/turn_auth.h"
#include "edge/turn/turn_channel.h"
#include "edge/turn/turn_peer_connection.h"
#include "edge/turn/turn_permission.h"
#include "edge/turn/turn_relay.h"

static size_t port_count(const struct turn_config *c)
{
    return (size_t)c->port_max - c->port_min + 1;
}

static void server_set_rates(struct turn_server *s)
{
    s->allocation_rate = turn_rate_make(s->config.allocation_kbps);
    s->user_rate = turn_rate_make(s->config.user_kbps);
    s->limited = s->config.allocation_kbps || s->config.user_kbps;
}

static bool server_make_tables(struct turn_server *s, const struct netaddr *listening)
{
    s->limiter = malloc(sizeof *s->limiter);
    s->listening = calloc(s->n_listening + 1, sizeof *s->listening);
    if (!s->limiter || !s->listening)
        return false;
    turn_limiter_init(s->limiter);
    if (s->n_listening)
        memcpy(s->listening, listening, s->n_listening * sizeof *s->listening);
    for (size_t i = 0; i < s->config.n_relays; i++) {
        const struct turn_relay_address *r = &s->config.relays[i];
        s->relays[i] = calloc(port_count(&s->config), sizeof(*s->relays[i]));
        if (!s->relays[i])
            return false;
        s->behind_nat |= !netaddr_equal_ip(&r->bind, &r->advertised);
    }
    s->policy = turn_policy_new(&s->config, s->listening, s->n_listening);
    return s->policy && turn_accounts_set(&s->accounts, &s->config, s->shared) == ERR_OK;
}

struct turn_server *turn_server_new(struct turn_config *config, struct turn_shared *shared,
                                    const struct netaddr *listening, size_t n_listening,
                                    const struct turn_net_ops *net_ops, void *net, uint32_t now,
                                    uint32_t wall)
{
    struct turn_server *s = calloc(1, sizeof *s);
    if (!s) {
        turn_config_free(config);
        turn_shared_detach(shared);
        return NULL;
    }
    s->config = *config;
    *config = (struct turn_config){0};
    s->shared = shared;
    s->net_ops = net_ops;
    s->net = net;
    s->now = now;
    s->wall = wall;
    s->n_listening = n_listening;
    turn_accounts_init(&s->accounts);
    hashmap_init(&s->allocations);
    hashmap_init(&s->channels);
    hashmap_init(&s->peers);
    hashmap_init(&s->permissions);
    hashmap_init(&s->connections);
    LIST_INIT(&s->away);
    LIST_INIT(&s->binds);
    turn_wheel_init(&s->relay_ends, now, turn_relay_expired, s);
    turn_wheel_init(&s->permission_ends, now, turn_permission_expired, s);
    turn_wheel_init(&s->channel_ends, now, turn_channel_expired, s);
    turn_wheel_init(&s->connection_ends, now, turn_peer_connection_expired, s);
    turn_server_random(s, s->indication, sizeof s->indication);
    server_set_rates(s);
    s->offer = turn_auth_offer(&s->config);
    if (server_make_tables(s, listening))
        return s;
    turn_server_free(s);
    return NULL;
}

void turn_server_set_streams(struct turn_server *s, const struct turn_stream_ops *ops, void *streams,
                             size_t connections_most)
{
    s->stream_ops = ops;
    s->connections_most = connections_most;
    s->streams = streams;
}

void turn_server_free(struct turn_server *s)
{
    struct hashmap_node *next;
    for (struct hashmap_node *at = hashmap_walk(&s->allocations, NULL); at; at = next) {
        next = hashmap_walk(&s->allocations, at);
        turn_allocation_delete(hashmap_entry(at, struct turn_allocation, node), TURN_END_STOPPED);
    }
    turn_accounts_free(&s->accounts);
    hashmap_free(&s->allocations);
    hashmap_free(&s->channels);
    hashmap_free(&s->peers);
    hashmap_free(&s->permissions);
    hashmap_free(&s->connections);
    for (size_t i = 0; i < s->config.n_relays; i++)
        free(s->relays[i]);
    turn_policy_free(s->policy);
    turn_shared_detach(s->shared);
    turn_config_free(&s->config);
    free(s->limiter);
    free(s->listening);
    free(s);
}

/* NULL, or what differs that cannot change while calls go on. */
static const char *fixed_difference(const struct turn_config *a, const struct turn_config *b)
{
    if (a->port_min != b->port_min || a->port_max != b->port_max)
        return "relay_ports";
    if (a->worker_index != b->worker_index || a->worker_count != b->worker_count)
        return "worker";
    if (a->n_relays != b->n_relays)
        return "relays";
    for (size_t i = 0; i < a->n_relays; i++)
        if (!netaddr_equal_ip(&a->relays[i].bind, &b->relays[i].bind) ||
            !netaddr_equal_ip(&a->relays[i].advertised, &b->relays[i].advertised))
            return "relays";
    return NULL;
}

enum err turn_server_judge(const struct turn_server *s, const struct turn_config *config, char *why,
                           size_t why_size)
{
    const char *fixed = fixed_difference(&s->config, config);
    if (!fixed)
        return ERR_OK;
    snprintf(why, why_size, "%s: cannot change in a running worker", fixed);
    return ERR_CONFIG;
}

enum err turn_server_reconfigure(struct turn_server *s, struct turn_config *config, char *why,
                                 size_t why_size)
{
    struct turn_config c = *config;
    *config = (struct turn_config){0};
    snprintf(why, why_size, "out of memory");
    enum err e = turn_server_judge(s, &c, why, why_size);
    struct turn_policy *policy = e == ERR_OK ? turn_policy_new(&c, s->listening, s->n_listening) : NULL;
    if (!policy) {
        turn_config_free(&c);
        return e == ERR_OK ? ERR_MEMORY : e;
    }
    turn_policy_free(s->policy);
    s->policy = policy;
    turn_config_free(&s->config);
    s->config = c;
    server_set_rates(s);
    s->offer = turn_auth_offer(&s->config);
    return turn_accounts_set(&s->accounts, &s->config, s->shared);
}

enum err turn_server_set_own(struct turn_server *s, struct netaddr *own, size_t n)
{
    struct turn_config c = s->config;
    c.own_addresses = own;
    c.n_own_addresses = n;
    struct turn_policy *policy = turn_policy_new(&c, s->listening, s->n_listening);
    if (!policy) {
        free(own);
        return ERR_MEMORY;
    }
    turn_policy_free(s->policy);
    s->policy = policy;
    free(s->config.own_addresses);
    s->config = c;
    return ERR_OK;
}

void turn_server_tick(struct turn_server *s, uint32_t now, uint32_t wall)
{
    s->now = now;
    s->wall = wall;
    turn_peer_connections_sweep(s);
    turn_shared_expire(s->shared, wall);
    turn_alarms_tick(s);
}

bool turn_server_sweep(struct turn_server *s, unsigned most)
{
    return turn_wheel_sweep(&s->relay_ends, s->now, &most) &&
           turn_wheel_sweep(&s->permission_ends, s->now, &most) &&
           turn_wheel_sweep(&s->channel_ends, s->now, &most) &&
           turn_wheel_sweep(&s->connection_ends, s->now, &most);
}

int turn_server_relay_index(const struct turn_server *s, const struct netaddr *a)
{
    if (a->port < s->config.port_min || a->port > s->config.port_max)
        return -1;
    for (size_t i = 0; i < s->config.n_relays; i++)
        if (netaddr_equal_ip(a, &s->config.relays[i].advertised))
            return (int)i;
    return -1;
}

struct netaddr turn_server_canonical(const struct turn_server *s, const struct netaddr *peer)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct netaddr a = *peer;
    if (a.family == AF_INET6 && memcmp(a.ip, mapped, sizeof mapped) == 0) {
        a = (struct netaddr){.family = AF_INET, .port = peer->port};
        memcpy(a.ip, peer->ip + sizeof mapped, 4);
    }
    if (!s->behind_nat || (a.port != 0 && (a.port < s->config.port_min || a.port > s->config.port_max)))
        return a;
    for (size_t i = 0; i < s->config.n_relays; i++)
        if (netaddr_equal_ip(&a, &s->config.relays[i].bind)) {
            memcpy(a.ip, s->config.relays[i].advertised.ip, sizeof a.ip);
            break;
        }
    return a;
}

void turn_server_random(struct turn_server *s, void *out, size_t n)
{
    REQUIRE(n <= sizeof s->random);
    if (s->random_left < n) {
        if (getrandom(s->random, sizeof s->random, 0) != (ssize_t)sizeof s->random)
            fatal("no random numbers");
        s->random_left = sizeof s->random;
    }
    s->random_left -= n;
    memcpy(out, s->random + s->random_left, n);
    memset(s->random + s->random_left, 0, n);
}

uint32_t turn_server_random_below(struct turn_server *s, uint32_t bound)
{
    uint32_t v;
    /* Values below this would make some results likelier than others. */
    uint32_t unfair = (uint32_t)(-bound) % bound;
    do
        turn_server_random(s, &v, sizeof v);
    while (v < unfair);
    return v % bound;
}
