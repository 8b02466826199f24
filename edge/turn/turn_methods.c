/* Binding, Refresh, CreatePermission, ChannelBind, Send. Allocate has a file of its own. */
#include <string.h>

#include "edge/turn/turn_channel.h"
#include "edge/turn/turn_forward.h"
#include "edge/turn/turn_permission.h"
#include "edge/turn/turn_relay.h"
#include "edge/turn/turn_reply.h"
#include "edge/turn/turn_request.h"
#include "proto/chandata.h"

/* RFC 8489 §2, §12 */
int turn_method_binding(struct turn_request *r, struct turn_reply *reply)
{
    stun_put_xor_address(&reply->writer, STUN_XOR_MAPPED_ADDRESS, &r->client->address);
    return 0;
}

/* RFC 8656 §7.2: what is asked for, but neither above the longest nor below the default. */
uint32_t turn_request_lifetime(const struct turn_request *r)
{
    const struct turn_config *c = &r->server->config;
    uint32_t asked;
    if (stun_get_u32(&r->msg, STUN_LIFETIME, &asked) != ERR_OK || asked < c->lifetime_default)
        return c->lifetime_default;
    return asked < c->lifetime_longest ? asked : c->lifetime_longest;
}

/* RFC 8656 §8.2. With a family, only that relay is refreshed. */
int turn_method_refresh(struct turn_request *r, struct turn_reply *reply)
{
    struct turn_allocation *a = r->allocation;
    struct stun_value family = stun_get(&r->msg, STUN_REQUESTED_ADDRESS_FAMILY);
    bool wanted[TURN_FAMILIES] = {true, true};
    uint32_t asked;
    if (family.at) {
        wanted[TURN_IPV4] = family.at[0] == 1;
        wanted[TURN_IPV6] = family.at[0] == 2;
        if (!(wanted[TURN_IPV4] && a->relays[TURN_IPV4]) && !(wanted[TURN_IPV6] && a->relays[TURN_IPV6]))
            return 443;
    }
    bool end = stun_get_u32(&r->msg, STUN_LIFETIME, &asked) == ERR_OK && asked == 0;
    uint32_t lifetime = end ? 0 : turn_request_lifetime(r);
    bool left = false;
    for (int f = 0; f < TURN_FAMILIES; f++)
        left |= a->relays[f] && !wanted[f];
    if (end && !left)
        turn_allocation_delete(a, TURN_END_DELETED);
    for (int f = 0; f < TURN_FAMILIES && (!end || left); f++) {
        if (!a->relays[f] || !wanted[f])
            continue;
        if (end)
            turn_relay_close(a->relays[f]);
        else
            turn_relay_refresh(a->relays[f], lifetime);
    }
    stun_put_u32(&reply->writer, STUN_LIFETIME, lifetime);
    return 0;
}

int turn_request_peer(struct turn_request *r, struct stun_value value, bool any_port, struct netaddr *peer)
{
    struct netaddr a;
    enum err e = stun_xor_address(&r->msg, value, &a);
    if (e != ERR_OK)
        return e == ERR_UNSUPPORTED ? 443 : 400;
    if (any_port)
        a.port = 0;
    else if (a.port == 0)
        return 403;
    a = turn_server_canonical(r->server, &a);
    if (!r->allocation->relays[turn_family(&a)])
        return 443;
    enum turn_verdict v = turn_policy_judge(r->server->policy, &a);
    if (v != TURN_PEER_ALLOWED) {
        r->reason = turn_verdict_words(v);
        r->refused_peer = a;
        return 403;
    }
    *peer = a;
    return 0;
}

/* RFC 8656 §10.2. All or nothing: everything is judged before anything is installed. */
int turn_method_create_permission(struct turn_request *r, struct turn_reply *reply)
{
    struct turn_allocation *a = r->allocation;
    struct stun_value v = {0};
    struct netaddr peer;
    uint32_t all = 0, fresh = 0;
    (void)reply;
    for (; stun_next(&r->msg, STUN_XOR_PEER_ADDRESS, &v); all++) {
        int code = turn_request_peer(r, v, true, &peer);
        if (code)
            return code;
        fresh += !turn_permission_find(a, &peer);
    }
    if (all == 0)
        return 400;
    if (a->n_permissions + fresh > r->server->config.permissions_max)
        return 508;
    for (v = (struct stun_value){0}; stun_next(&r->msg, STUN_XOR_PEER_ADDRESS, &v);)
        if (turn_request_peer(r, v, true, &peer) == 0 && !turn_permission_install(a, &peer))
            return 508;
    return 0;
}

static bool channel_number_valid(const struct turn_server *s, unsigned number)
{
    return number >= CHANDATA_FIRST &&
           number <= (s->config.channels_rfc5766 ? CHANDATA_LAST_RFC5766 : CHANDATA_LAST);
}

/* RFC 8656 §12.2 */
int turn_method_channel_bind(struct turn_request *r, struct turn_reply *reply)
{
    struct turn_allocation *a = r->allocation;
    struct stun_value number_value = stun_get(&r->msg, STUN_CHANNEL_NUMBER),
                      peer_value = stun_get(&r->msg, STUN_XOR_PEER_ADDRESS);
    struct netaddr peer;
    (void)reply;
    if (!number_value.at || !peer_value.at || a->tcp) /* RFC 6062 §3: TCP allocations have no channels */
        return 400;
    uint16_t number = (uint16_t)(number_value.at[0] << 8 | number_value.at[1]);
    if (!channel_number_valid(r->server, number))
        return 400;
    int code = turn_request_peer(r, peer_value, false, &peer);
    if (code)
        return code;
    struct turn_channel *same_number = turn_channel_find(r->server, &a->client.key, number),
                        *same_peer = turn_channel_find_peer(a, &peer);
    if (same_number != same_peer)
        return 400; /* it may not move, RFC 8656 §12.2 */
    struct turn_permission *permission = turn_permission_find(a, &peer);
    if ((!same_number && a->n_channels >= r->server->config.channels_max) ||
        (!permission && a->n_permissions >= r->server->config.permissions_max))
        return 508;
    permission = turn_permission_install(a, &peer);
    return permission && turn_channel_bind(a, number, &peer, permission) ? 0 : 508;
}

/* RFC 8656 §13: between datagrams DONT-FRAGMENT says nothing where one end is IPv6; §14, §15: else it does.
 */
static bool send_whole(const struct turn_request *r, const struct netaddr *peer)
{
    return stun_has(&r->msg, STUN_DONT_FRAGMENT) &&
           (turn_transport_is_stream(r->client->transport) ||
            (r->client->address.family == AF_INET && peer->family == AF_INET));
}

/* RFC 8656 §11.2 */
void turn_method_send(struct turn_request *r, uint8_t *packet)
{
    struct turn_server *s = r->server;
    struct stun_value data = stun_get(&r->msg, STUN_DATA);
    struct netaddr peer;
    r->allocation = turn_allocation_find(s, &r->client->key);
    if (!r->allocation) {
        turn_drop(s, TURN_DROP_no_allocation);
        return;
    }
    if (r->msg.n_unknown || r->msg.wrong_size || !data.at || r->allocation->tcp ||
        stun_get_xor_address(&r->msg, STUN_XOR_PEER_ADDRESS, &peer) != ERR_OK) {
        turn_drop(s, TURN_DROP_bad_indication);
        return;
    }
    peer = turn_server_canonical(s, &peer);
    turn_forward_send(r->allocation, &peer, packet + (data.at - packet), data.len, send_whole(r, &peer));
}
