#include "edge/turn/turn_permission.h"

#include <stdlib.h>
#include <string.h>

#include "edge/turn/turn_channel.h"

static uint32_t permission_hash(const struct turn_allocation *a, const struct netaddr *peer)
{
    uint64_t words[3];
    memcpy(words, peer->ip, 16);
    words[2] = a->id << 1 | (peer->family == AF_INET6);
    return hashmap_hash_words(&a->server->permissions, words, 3);
}

struct turn_permission *turn_permission_find(const struct turn_allocation *a, const struct netaddr *peer)
{
    uint32_t hash = permission_hash(a, peer);
    for (struct hashmap_node *at = hashmap_find(&a->server->permissions, hash); at;
         at = hashmap_find_next(at)) {
        struct turn_permission *p = hashmap_entry(at, struct turn_permission, node);
        if (p->allocation == a && netaddr_equal_ip(&p->peer, peer))
            return p;
    }
    return NULL;
}

struct turn_permission *turn_permission_install(struct turn_allocation *a, const struct netaddr *peer)
{
    struct turn_server *s = a->server;
    struct turn_permission *p = turn_permission_find(a, peer);
    uint32_t due = turn_server_due(s, TURN_PERMISSION_LIFETIME);
    if (p) {
        p->end.due = due;
        p->port_counts = turn_policy_port_counts(s->policy, peer);
        return p;
    }
    p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->allocation = a;
    p->peer = *peer;
    p->peer.port = 0;
    p->port_counts = turn_policy_port_counts(s->policy, peer);
    p->next = a->permissions;
    a->permissions = p;
    a->n_permissions++;
    hashmap_insert(&s->permissions, &p->node, permission_hash(a, peer));
    turn_wheel_add(&s->permission_ends, &p->end, due);
    turn_channels_set_permission(a, peer, p);
    return p;
}

static void permission_free(struct turn_permission *p)
{
    hashmap_remove(&p->allocation->server->permissions, &p->node);
    turn_wheel_remove(&p->end);
    p->allocation->n_permissions--;
    free(p);
}

void turn_permissions_free(struct turn_allocation *a)
{
    while (a->permissions) {
        struct turn_permission *p = a->permissions;
        a->permissions = p->next;
        permission_free(p);
    }
}

void turn_permission_expired(void *server, struct turn_timer *t)
{
    (void)server;
    struct turn_permission *p =
        (struct turn_permission *)(void *)((char *)t - offsetof(struct turn_permission, end));
    turn_channels_set_permission(p->allocation, &p->peer, NULL);
    struct turn_permission **link = &p->allocation->permissions;
    while (*link != p)
        link = &(*link)->next;
    *link = p->next;
    permission_free(p);
}
