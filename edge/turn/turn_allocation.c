#include "edge/turn/turn_allocation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/turn/turn_channel.h"
#include "edge/turn/turn_peer_connection.h"
#include "edge/turn/turn_permission.h"
#include "edge/turn/turn_relay.h"

const char *turn_transport_words(enum turn_transport t)
{
    static const char *const names[] = {
#define X(name, words) words,
        TURN_TRANSPORT_TABLE(X)
#undef X
    };
    return names[t];
}

struct turn_allocation *turn_allocation_find(const struct turn_server *s, const struct turn_key *client)
{
    uint32_t hash = hashmap_hash_words(&s->allocations, client->word, 3);
    for (struct hashmap_node *at = hashmap_find(&s->allocations, hash); at; at = hashmap_find_next(at)) {
        struct turn_allocation *a = hashmap_entry(at, struct turn_allocation, node);
        if (turn_key_equal(&a->client.key, client))
            return a;
    }
    return NULL;
}

struct turn_allocation *turn_allocation_new(struct turn_server *s, const struct turn_client *client,
                                            struct turn_account *account, const struct turn_seat *seat)
{
    struct turn_allocation *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->server = s;
    a->client = *client;
    a->account = turn_account_hold(account);
    a->seat = *seat;
    a->user_paid_until = turn_shared_buckets(s->shared, seat);
    a->id = ++s->next_id;
    a->created = s->now;
    hashmap_insert(&s->allocations, &a->node, hashmap_hash_words(&s->allocations, client->key.word, 3));
    a->client.ops->allocated(&a->client, true);
    return a;
}

/* A user may allocate and delete as fast as it likes. */
static bool log_wanted(struct turn_server *s, unsigned *not_logged)
{
    return log_enabled(LOG_INFO) && log_limit_allow(&s->allocation_log, s->now, 1000, 10, not_logged);
}

/* "IP:PORT" of each relay, with a comma between two. */
static void relayed_print(const struct turn_allocation *a, char out[2 * NETADDR_TEXT])
{
    size_t n = 0;
    out[0] = '\0';
    for (int f = 0; f < TURN_FAMILIES; f++)
        if (a->relays[f]) {
            char text[NETADDR_TEXT];
            n += (size_t)snprintf(out + n, 2 * NETADDR_TEXT - n, "%s%.60s", n ? "," : "",
                                  netaddr_print(&a->relays[f]->advertised, text));
        }
}

void turn_allocation_announce(const struct turn_allocation *a)
{
    char client[NETADDR_TEXT], relayed[2 * NETADDR_TEXT], user[200];
    unsigned not_logged;
    if (!log_wanted(a->server, &not_logged))
        return;
    relayed_print(a, relayed);
    log_event(LOG_INFO, "Relay Allocated",
              "client=%s transport=%s relayed=%s user=%s lifetime=%u allocations=%zu not_logged=%u",
              netaddr_print(&a->client.address, client), turn_transport_words(a->client.transport), relayed,
              log_quote(a->account->name, strlen(a->account->name), user, sizeof user), a->lifetime,
              a->server->allocations.count, not_logged);
}

static void allocation_log_end(const struct turn_allocation *a, enum turn_end why)
{
    static const char *const words[] = {
#define X(name, event, text, reason) text,
        TURN_END_TABLE(X)
#undef X
    };
    static const char *const reasons[] = {
#define X(name, event, text, reason) reason,
        TURN_END_TABLE(X)
#undef X
    };
    char client[NETADDR_TEXT], relayed[2 * NETADDR_TEXT], user[200];
    unsigned not_logged;
    if (!log_wanted(a->server, &not_logged))
        return;
    relayed_print(a, relayed);
    log_event(LOG_INFO, words[why],
              "client=%s transport=%s relayed=%s user=%s reason=\"%s\" duration=%u packets_from_client=%llu "
              "bytes_from_client=%llu packets_to_client=%llu bytes_to_client=%llu dropped=%llu "
              "not_logged=%u",
              netaddr_print(&a->client.address, client), turn_transport_words(a->client.transport), relayed,
              log_quote(a->account->name, strlen(a->account->name), user, sizeof user), reasons[why],
              a->server->now - a->created, (unsigned long long)a->from_client.packets,
              (unsigned long long)a->from_client.bytes, (unsigned long long)a->to_client.packets,
              (unsigned long long)a->to_client.bytes, (unsigned long long)a->drops, not_logged);
}

void turn_allocation_delete(struct turn_allocation *a, enum turn_end why)
{
    static const enum turn_event events[] = {
#define X(name, event, text, reason) TURN_EVENT_##event,
        TURN_END_TABLE(X)
#undef X
    };
    struct turn_server *s = a->server;
    for (int f = 0; f < TURN_FAMILIES; f++)
        if (a->relays[f])
            turn_peer_connections_close(a->relays[f]); /* what they carried counts for the log */
    allocation_log_end(a, why);
    s->counters.events[events[why]]++;
    hashmap_remove(&s->allocations, &a->node);
    for (int f = 0; f < TURN_FAMILIES; f++)
        if (a->relays[f])
            turn_relay_close(a->relays[f]);
    turn_channels_free(a);
    turn_permissions_free(a);
    turn_shared_leave(s->shared, &a->seat);
    turn_account_release(a->account);
    struct turn_client client = a->client;
    free(a);
    client.ops->allocated(&client, false);
}

void turn_allocation_disconnect(struct turn_server *s, const struct turn_key *client)
{
    struct turn_allocation *a = turn_allocation_find(s, client);
    if (a)
        turn_allocation_delete(a, TURN_END_DISCONNECTED);
}
