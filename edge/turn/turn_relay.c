#include "edge/turn/turn_relay.h"

#include <stdlib.h>

#include "common/fatal.h"
#include "edge/turn/turn_peer_connection.h"

enum { DRAWS = 24 /* random ports tried before looking at one after the other */ };

bool turn_relay_has_family(const struct turn_server *s, uint8_t family)
{
    for (size_t i = 0; i < s->config.n_relays; i++)
        if (s->config.relays[i].bind.family == family)
            return true;
    return false;
}

/* What is asked of a relay's port. */
struct port_wish {
    bool even, pair; /* pair: the port above it too */
    bool tcp;
};

static enum err open_claimed(struct turn_server *s, size_t index, uint16_t port, bool tcp,
                             struct turn_relay **out)
{
    struct turn_relay *r = calloc(1, sizeof *r);
    struct netaddr bind = s->config.relays[index].bind;
    enum err e = ERR_MEMORY;
    if (!r)
        goto out;
    r->server = s;
    r->index = (uint8_t)index;
    r->port = port;
    r->tcp = tcp;
    r->advertised = s->config.relays[index].advertised;
    r->advertised.port = bind.port = port;
    e = tcp ? s->stream_ops->listen(s->streams, r, &bind) : s->net_ops->relay_open(s->net, r, &bind);
    if (e != ERR_OK)
        goto out;
    REQUIRE(!turn_relay_at(s, (int)index, port));
    if (tcp)
        turn_shared_mark_tcp(s->shared, index, port);
    s->relays[index][port - s->config.port_min] = r;
    *out = r;
    return ERR_OK;
out:
    free(r);
    turn_shared_release_port(s->shared, index, port);
    return e;
}

enum err turn_relay_open_claimed(struct turn_server *s, size_t index, uint16_t port, struct turn_relay **out)
{
    return open_claimed(s, index, port, false, out);
}

/* What one try at one port came to: ERR_EXISTS means that another one may do. */
static enum err try_port(struct turn_server *s, size_t index, uint16_t port, const struct port_wish *w,
                         struct turn_relay **out)
{
    if (!turn_shared_claim_port(s->shared, index, port))
        return ERR_EXISTS;
    if (w->pair && !turn_shared_claim_port(s->shared, index, (uint16_t)(port + 1))) {
        turn_shared_release_port(s->shared, index, port);
        return ERR_EXISTS;
    }
    enum err e = open_claimed(s, index, port, w->tcp, out);
    if (e != ERR_OK && w->pair)
        turn_shared_release_port(s->shared, index, (uint16_t)(port + 1));
    return e;
}

/* step 2 takes even ports only. */
static enum err open_on(struct turn_server *s, size_t index, const struct port_wish *w,
                        struct turn_relay **out)
{
    uint32_t step = w->even ? 2 : 1, first = s->config.port_min;
    if (w->even)
        first += first & 1;
    uint32_t last = s->config.port_max - (w->pair ? 1U : 0U);
    if (first > last)
        return ERR_EXISTS;
    uint32_t choices = (last - first) / step + 1;
    if (turn_shared_ports_used(s->shared, index) >= (size_t)s->config.port_max - s->config.port_min + 1)
        return ERR_EXISTS;
    enum err e = ERR_EXISTS;
    for (int i = 0; e == ERR_EXISTS && i < DRAWS; i++)
        e = try_port(s, index, (uint16_t)(first + step * turn_server_random_below(s, choices)), w, out);
    uint32_t start = turn_server_random_below(s, choices);
    for (uint32_t i = 0; e == ERR_EXISTS && i < choices; i++)
        e = try_port(s, index, (uint16_t)(first + step * ((start + i) % choices)), w, out);
    return e;
}

/* Relay addresses of the family, beginning at a random one. */
static enum err open_any(struct turn_server *s, uint8_t family, const struct port_wish *w,
                         struct turn_relay **out)
{
    uint32_t n = (uint32_t)s->config.n_relays, start = turn_server_random_below(s, n);
    enum err e = ERR_UNSUPPORTED;
    for (uint32_t i = 0; i < n; i++) {
        size_t index = (start + i) % n;
        if (s->config.relays[index].bind.family != family)
            continue;
        e = open_on(s, index, w, out);
        if (e != ERR_EXISTS && e != ERR_SYSTEM)
            break;
    }
    return e;
}

enum err turn_relay_open(struct turn_server *s, uint8_t family, struct turn_relay **out)
{
    return open_any(s, family, &(struct port_wish){0}, out);
}

enum err turn_relay_open_tcp(struct turn_server *s, uint8_t family, struct turn_relay **out)
{
    return open_any(s, family, &(struct port_wish){.tcp = true}, out);
}

enum err turn_relay_open_even(struct turn_server *s, uint8_t family, bool reserve, struct turn_relay **out)
{
    return open_any(s, family, &(struct port_wish){.even = true, .pair = reserve}, out);
}

void turn_relay_attach(struct turn_relay *r, struct turn_allocation *a, uint32_t lifetime)
{
    enum turn_family f = turn_family(&r->advertised);
    REQUIRE(!a->relays[f] && !r->allocation);
    a->relays[f] = r;
    r->allocation = a;
    turn_wheel_add(&r->server->relay_ends, &r->end, turn_server_due(r->server, lifetime));
}

void turn_relay_refresh(struct turn_relay *r, uint32_t lifetime)
{
    turn_wheel_move(&r->server->relay_ends, &r->end, turn_server_due(r->server, lifetime));
}

void turn_relay_close(struct turn_relay *r)
{
    struct turn_server *s = r->server;
    if (r->tcp)
        turn_peer_connections_close(r);
    if (r->allocation)
        r->allocation->relays[turn_family(&r->advertised)] = NULL;
    turn_wheel_remove(&r->end);
    s->relays[r->index][r->port - s->config.port_min] = NULL;
    if (r->tcp)
        s->stream_ops->unlisten(s->streams, r);
    else
        s->net_ops->relay_close(s->net, r);
    turn_shared_release_port(s->shared, r->index, r->port);
    free(r);
}

void turn_relay_expired(void *server, struct turn_timer *t)
{
    (void)server;
    struct turn_relay *r = (struct turn_relay *)(void *)((char *)t - offsetof(struct turn_relay, end));
    struct turn_allocation *a = r->allocation;
    /* The last relay takes the allocation with it, which logs it while it still has its address. */
    bool last = !a->relays[TURN_IPV4] || !a->relays[TURN_IPV6];
    if (last)
        turn_allocation_delete(a, TURN_END_EXPIRED);
    else
        turn_relay_close(r);
}
