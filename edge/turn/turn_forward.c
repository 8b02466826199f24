#include "edge/turn/turn_forward.h"

#include "edge/turn/turn_channel.h"
#include "edge/turn/turn_permission.h"
#include "proto/chandata.h"
#include "proto/stun_msg.h"

/* A Data indication around the data, RFC 8656 §11.4. */
static void forward_indication(struct turn_allocation *a, const struct netaddr *peer, uint8_t *data, size_t n)
{
    struct turn_server *s = a->server;
    size_t head = STUN_HEADER + 4 + (peer->family == AF_INET ? 8U : 20U) + 4,
           whole = head + ((n + 3) & ~(size_t)3);
    uint8_t transaction[STUN_TRANSACTION];
    struct stun_writer w;
    size_t written;
    if (whole - STUN_HEADER > UINT16_MAX) {
        a->drops++;
        turn_drop(s, TURN_DROP_too_long);
        return;
    }
    s->indication[1]++;
    memcpy(transaction, s->indication, sizeof transaction);
    stun_begin(&w, data - head, whole, STUN_METHOD_DATA_INDICATION, STUN_INDICATION, transaction);
    stun_put_xor_address(&w, STUN_XOR_PEER_ADDRESS, peer);
    stun_put_around(&w, STUN_DATA, n);
    if (stun_end(&w, &written) == ERR_OK)
        a->client.ops->forward(&a->client, data - head, written);
}

static inline void drop(struct turn_allocation *a, enum turn_drop why)
{
    a->drops++;
    turn_drop(a->server, why);
}

/* Within the bandwidth? The allocation is asked first: what it may not send costs its user nothing. */
static bool within_rate(struct turn_allocation *a, enum turn_direction direction, size_t n)
{
    const struct turn_server *s = a->server;
    if (s->allocation_rate.per_byte &&
        !turn_rate_take(&s->allocation_rate, &a->paid_until[direction], s->moment, n)) {
        drop(a, TURN_DROP_allocation_bandwidth);
        return false;
    }
    if (s->user_rate.per_byte && a->user_paid_until &&
        !turn_rate_take_shared(&s->user_rate, &a->user_paid_until[direction], s->moment, n)) {
        drop(a, TURN_DROP_user_bandwidth);
        return false;
    }
    return true;
}

static inline void count(struct turn_traffic *t, size_t n)
{
    t->packets++;
    t->bytes += n;
}

static void forward_to_client(struct turn_relay *r, const struct netaddr *peer, uint8_t *data, size_t n)
{
    struct turn_allocation *a = r->allocation;
    struct turn_server *s = r->server;
    struct turn_channel *c = turn_channel_find_peer(a, peer);
    bool bound = c && !c->retired;
    if (bound ? !c->permission : !turn_permission_find(a, peer)) {
        drop(a, TURN_DROP_no_permission);
        return;
    }
    if (n > UINT16_MAX) {
        drop(a, TURN_DROP_too_long);
        return;
    }
    if (s->limited && !within_rate(a, TURN_TO_CLIENT, n))
        return;
    count(&a->to_client, n);
    count(&s->counters.to_clients[a->client.transport], n);
    if (!bound) {
        forward_indication(a, peer, data, n);
        return;
    }
    chandata_write_header(data - CHANDATA_HEADER, c->number, (uint16_t)n);
    a->client.ops->forward(&a->client, data - CHANDATA_HEADER, n + CHANDATA_HEADER);
}

void turn_forward_from_peer(struct turn_relay *r, const struct netaddr *peer, uint8_t *data, size_t n)
{
    if (!r->server->behind_nat) {
        forward_to_client(r, peer, data, n);
        return;
    }
    /* Another worker's relay sends from the address it is bound to; it is known here as the advertised one.
     */
    struct netaddr canonical = turn_server_canonical(r->server, peer);
    forward_to_client(r, &canonical, data, n);
}

/* own: index of our relay address if the peer is one of our relays, else -1. */
static void forward_to_peer(struct turn_allocation *a, const struct turn_target *target,
                            enum turn_family family, int own, uint16_t port, uint8_t *data, size_t n,
                            bool whole)
{
    struct turn_server *s = a->server;
    struct turn_relay *r = a->relays[family];
    if (!r) {
        drop(a, TURN_DROP_no_permission);
        return;
    }
    if (s->limited && !within_rate(a, TURN_FROM_CLIENT, n))
        return;
    count(&a->from_client, n);
    count(&s->counters.from_clients[a->client.transport], n);
    if (own >= 0) {
        struct turn_relay *to = turn_relay_at(s, own, port);
        if (to && to->allocation && !to->tcp) {
            s->counters.events[TURN_EVENT_hairpin]++;
            forward_to_client(to, &r->advertised, data, n);
            return;
        }
        if (to || !turn_shared_port_in_use(s->shared, (size_t)own, port)) {
            drop(a, TURN_DROP_no_relay);
            return;
        }
    }
    if (whole)
        s->net_ops->relay_send_whole(s->net, r, target, data, n);
    else
        s->net_ops->relay_send(s->net, r, target, data, n);
}

void turn_forward_channel_data(struct turn_server *s, const struct turn_key *client, uint8_t *packet,
                               size_t n)
{
    struct chandata d;
    if (chandata_parse(packet, n, &d) != ERR_OK) {
        turn_drop(s, TURN_DROP_malformed);
        return;
    }
    struct turn_channel *c = turn_channel_find(s, client, d.channel);
    if (!c || c->retired) {
        turn_drop(s, TURN_DROP_no_channel);
        return;
    }
    if (!c->permission) {
        drop(c->allocation, TURN_DROP_no_permission);
        return;
    }
    forward_to_peer(c->allocation, &c->target, turn_family(&c->peer), c->own, c->peer.port,
                    packet + CHANDATA_HEADER, d.len, false);
}

void turn_forward_send(struct turn_allocation *a, const struct netaddr *peer, uint8_t *data, size_t n,
                       bool whole)
{
    struct turn_server *s = a->server;
    struct turn_permission *p = turn_permission_find(a, peer);
    if (!p) {
        drop(a, TURN_DROP_no_permission);
        return;
    }
    /* A permission names no port; on edges some ports are not for peers. */
    if (peer->port == 0 || (p->port_counts && turn_policy_judge(s->policy, peer) != TURN_PEER_ALLOWED)) {
        drop(a, TURN_DROP_peer_refused);
        return;
    }
    int own = turn_server_relay_index(s, peer);
    struct netaddr to = *peer;
    struct turn_target target;
    if (own >= 0)
        memcpy(to.ip, s->config.relays[own].bind.ip, sizeof to.ip);
    turn_target_set(&target, &to);
    forward_to_peer(a, &target, turn_family(peer), own, peer->port, data, n, whole);
}
