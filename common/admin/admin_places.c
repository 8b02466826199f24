/* Who has which of the server's places. Strangers never take one from somebody who has shown who he is; and
 * whoever has, has so many and no more: a reader with a password cannot keep those out who administer. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/admin/admin_server.h"

/* As address_table.h counts: IPv6 by /64. */
static bool place_is_neighbour(const struct netaddr *a, const struct netaddr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, a->family == AF_INET ? 4 : 8) == 0;
}

static struct admin_conn *place_oldest_stranger(const struct admin_server *s, const struct netaddr *client)
{
    struct admin_conn *c;
    TAILQ_FOREACH (c, &s->strangers, next)
        if (!client || place_is_neighbour(&c->client, client))
            return c;
    return NULL;
}

bool admin_places_for(struct admin_server *s, const struct netaddr *client)
{
    bool address_full = address_table_count(s->addresses, client) >= ADMIN_CONNECTIONS_PER_ADDRESS;
    if (!address_full && s->n < ADMIN_CONNECTIONS)
        return true;
    struct admin_conn *oldest = place_oldest_stranger(s, address_full ? client : NULL);
    if (oldest)
        admin_conn_free(oldest);
    return oldest != NULL;
}

static bool place_is_whose(const struct admin_conn *c, const char *who, enum admin_role most)
{
    return (!who || strcmp(c->who, who) == 0) && c->role <= most;
}

/* Of those who count: one on which nothing happens, else the oldest. NULL: there is none but c. */
static struct admin_conn *place_to_spare(struct admin_conn *c, const char *who, enum admin_role most)
{
    struct admin_conn *other, *oldest = NULL;
    TAILQ_FOREACH (other, &c->server->proven, next) {
        if (other == c || !place_is_whose(other, who, most))
            continue;
        if (other->state == ADMIN_CONN_HEAD && !other->begun)
            return other;
        if (!oldest)
            oldest = other;
    }
    return oldest;
}

static size_t places_of(const struct admin_server *s, const char *who)
{
    const struct admin_conn *c;
    size_t n = 0;
    TAILQ_FOREACH (c, &s->proven, next)
        n += place_is_whose(c, who, ADMIN_WRITER);
    return n;
}

void admin_place_prove(struct admin_conn *c, const char *who, enum admin_role role)
{
    struct admin_server *s = c->server;
    struct admin_conn *spare;
    snprintf(c->who, sizeof c->who, "%s", who);
    c->role = role;
    if (!c->proven) {
        TAILQ_REMOVE(&s->strangers, c, next);
        TAILQ_INSERT_TAIL(&s->proven, c, next);
        c->proven = true;
    }
    if (places_of(s, who) > ADMIN_CONNECTIONS_PER_USER && (spare = place_to_spare(c, who, ADMIN_WRITER)))
        admin_conn_free(spare);
    if (places_of(s, NULL) <= ADMIN_PROVEN_MAX)
        return;
    spare = place_to_spare(c, NULL, ADMIN_READER);
    if (!spare)
        spare = place_to_spare(c, NULL, ADMIN_WRITER);
    if (spare)
        admin_conn_free(spare);
}

void admin_place_forget(struct admin_conn *c)
{
    struct admin_server *s = c->server;
    *c->who = '\0';
    c->role = ADMIN_ANYONE;
    if (!c->proven)
        return;
    TAILQ_REMOVE(&s->proven, c, next);
    TAILQ_INSERT_TAIL(&s->strangers, c, next);
    c->proven = false;
}

static size_t places_live(const struct admin_server *s, const char *who, enum admin_role most)
{
    const struct admin_conn *c;
    size_t n = 0;
    TAILQ_FOREACH (c, &s->proven, next)
        n += c->state == ADMIN_CONN_LIVE && place_is_whose(c, who, most);
    return n;
}

/* Readers have half of them. */
bool admin_place_may_live(const struct admin_conn *c)
{
    const struct admin_server *s = c->server;
    return places_live(s, c->who, ADMIN_WRITER) < ADMIN_LIVE_PER_USER &&
           places_live(s, NULL, ADMIN_WRITER) < ADMIN_LIVE_MAX &&
           (c->role == ADMIN_WRITER || places_live(s, NULL, ADMIN_READER) < ADMIN_LIVE_MAX / 2);
}
