#include "edge/turn/turn_channel.h"

#include <stdlib.h>
#include <string.h>

struct turn_channel *turn_channel_find(const struct turn_server *s, const struct turn_key *client,
                                       uint16_t number)
{
    struct turn_key key = turn_key_with_channel(*client, number);
    uint32_t hash = hashmap_hash_words(&s->channels, key.word, 3);
    for (struct hashmap_node *at = hashmap_find(&s->channels, hash); at; at = hashmap_find_next(at)) {
        struct turn_channel *c = hashmap_entry(at, struct turn_channel, node);
        if (c->number == number && turn_key_equal(&c->allocation->client.key, client))
            return c;
    }
    return NULL;
}

static uint32_t peer_hash(const struct turn_allocation *a, const struct netaddr *peer)
{
    uint64_t words[3];
    memcpy(words, peer->ip, 16);
    words[2] = a->id << 17 | (uint64_t)(peer->family == AF_INET6) << 16 | peer->port;
    return hashmap_hash_words(&a->server->peers, words, 3);
}

struct turn_channel *turn_channel_find_peer(const struct turn_allocation *a, const struct netaddr *peer)
{
    uint32_t hash = peer_hash(a, peer);
    for (struct hashmap_node *at = hashmap_find(&a->server->peers, hash); at; at = hashmap_find_next(at)) {
        struct turn_channel *c = hashmap_entry(at, struct turn_channel, peer_node);
        if (c->allocation == a && netaddr_equal(&c->peer, peer))
            return c;
    }
    return NULL;
}

static struct turn_channel *channel_new(struct turn_allocation *a, uint16_t number,
                                        const struct netaddr *peer)
{
    struct turn_server *s = a->server;
    struct turn_channel *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->allocation = a;
    c->number = number;
    c->peer = *peer;
    c->own = (int8_t)turn_server_relay_index(s, peer);
    struct netaddr target = *peer;
    if (c->own >= 0)
        memcpy(target.ip, s->config.relays[c->own].bind.ip, sizeof target.ip);
    turn_target_set(&c->target, &target);
    c->next = a->channels;
    a->channels = c;
    a->n_channels++;
    struct turn_key key = turn_key_with_channel(a->client.key, number);
    hashmap_insert(&s->channels, &c->node, hashmap_hash_words(&s->channels, key.word, 3));
    hashmap_insert(&s->peers, &c->peer_node, peer_hash(a, peer));
    return c;
}

struct turn_channel *turn_channel_bind(struct turn_allocation *a, uint16_t number, const struct netaddr *peer,
                                       struct turn_permission *permission)
{
    struct turn_channel *c = turn_channel_find(a->server, &a->client.key, number);
    if (!c)
        c = channel_new(a, number, peer);
    if (!c)
        return NULL;
    c->permission = permission;
    c->retired = false;
    turn_wheel_move(&a->server->channel_ends, &c->end, turn_server_due(a->server, TURN_CHANNEL_LIFETIME));
    return c;
}

static void channel_free(struct turn_channel *c)
{
    struct turn_server *s = c->allocation->server;
    hashmap_remove(&s->channels, &c->node);
    hashmap_remove(&s->peers, &c->peer_node);
    turn_wheel_remove(&c->end);
    c->allocation->n_channels--;
    free(c);
}

void turn_channels_free(struct turn_allocation *a)
{
    while (a->channels) {
        struct turn_channel *c = a->channels;
        a->channels = c->next;
        channel_free(c);
    }
}

void turn_channels_set_permission(struct turn_allocation *a, const struct netaddr *peer,
                                  struct turn_permission *permission)
{
    for (struct turn_channel *c = a->channels; c; c = c->next)
        if (netaddr_equal_ip(&c->peer, peer))
            c->permission = permission;
}

void turn_channel_expired(void *server, struct turn_timer *t)
{
    struct turn_server *s = server;
    struct turn_channel *c = (struct turn_channel *)(void *)((char *)t - offsetof(struct turn_channel, end));
    if (!c->retired) {
        c->retired = true;
        turn_wheel_add(&s->channel_ends, t, turn_server_due(s, TURN_CHANNEL_RETIRED));
        return;
    }
    struct turn_channel **link = &c->allocation->channels;
    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
    channel_free(c);
}
