/* The Allocate method, RFC 8656 §7.2. */
#include <string.h>

#include "edge/turn/turn_auth.h"
#include "edge/turn/turn_relay.h"
#include "edge/turn/turn_reply.h"
#include "edge/turn/turn_request.h"

enum {
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,
    FAMILY_IPV4 = 1, /* as in REQUESTED-ADDRESS-FAMILY */
    FAMILY_IPV6 = 2,
    RESERVATION_SECONDS =
        31, /* RFC 8656 §7.2: 30 at least; the server's second began before the request came */
};

/* What the request asks for. */
struct wish {
    uint8_t family;  /* AF_INET or AF_INET6 */
    bool additional; /* IPv6 beside IPv4, or whichever of them there is */
    bool even, reserve;
    bool redeem;
    bool tcp; /* RFC 6062 */
    uint64_t token;
};

/* The don't-fragment bit of a packet that goes from IPv4 to IPv6 would have to be known, and no socket tells
 * it: RFC 8656 §3.7. Streams have none (§13). */
static bool whole_is_impossible(const struct turn_request *r, const struct wish *w)
{
    return stun_has(&r->msg, STUN_DONT_FRAGMENT) && !turn_transport_is_stream(r->client->transport) &&
           r->client->address.family == AF_INET && (w->family == AF_INET6 || w->additional);
}

static bool tcp_served(const struct turn_server *s)
{
    return s->config.tcp_relays && s->stream_ops;
}

/* 0, or the error code. In the order of RFC 8656 §7.2. */
static int wish_read(struct turn_request *r, struct wish *out)
{
    struct stun_value transport = stun_get(&r->msg, STUN_REQUESTED_TRANSPORT),
                      token = stun_get(&r->msg, STUN_RESERVATION_TOKEN),
                      family = stun_get(&r->msg, STUN_REQUESTED_ADDRESS_FAMILY),
                      additional = stun_get(&r->msg, STUN_ADDITIONAL_ADDRESS_FAMILY),
                      even = stun_get(&r->msg, STUN_EVEN_PORT);
    struct wish w = {.family = AF_INET, .additional = additional.at, .even = even.at, .redeem = token.at};
    if (!transport.at)
        return 400;
    w.tcp = transport.at[0] == PROTOCOL_TCP;
    if (transport.at[0] != PROTOCOL_UDP && !(w.tcp && tcp_served(r->server)))
        return 442;
    /* RFC 6062 §5.1 */
    if (w.tcp && (!r->client->ops->give || even.at || token.at || stun_has(&r->msg, STUN_DONT_FRAGMENT)))
        return 400;
    if (token.at && (even.at || family.at || additional.at))
        return 400;
    if (additional.at && (family.at || additional.at[0] != FAMILY_IPV6))
        return 400;
    if (family.at && family.at[0] != FAMILY_IPV4 && family.at[0] != FAMILY_IPV6)
        return 440;
    if (family.at && family.at[0] == FAMILY_IPV6)
        w.family = AF_INET6;
    if (even.at)
        w.reserve = even.at[0] & 0x80;
    if (w.reserve && additional.at)
        return 400;
    if (whole_is_impossible(r, &w)) {
        turn_request_unknown(r, STUN_DONT_FRAGMENT);
        return 420;
    }
    if (token.at)
        memcpy(&w.token, token.at, sizeof w.token);
    else if (!turn_relay_has_family(r->server, w.family) && !w.additional)
        return 440;
    *out = w;
    return 0;
}

/* Which of both families there is none of, and why: the answer says so. */
static void note_missing(struct turn_allocation *a, uint8_t family, enum err e)
{
    a->missing_family = family == AF_INET ? FAMILY_IPV4 : FAMILY_IPV6;
    a->missing_error = e == ERR_UNSUPPORTED ? 440 : 508;
}

/* Refused, as something is used up. */
static int used_up(struct turn_request *r, enum turn_alarm a, int code)
{
    r->reason = turn_alarm_words(a);
    turn_alarm_raise(r->server, a, r->account->name, &r->client->address);
    return code;
}

static int over_quota(struct turn_request *r, enum turn_quota q)
{
    switch (q) {
    case TURN_QUOTA_TOTAL:
        return used_up(r, TURN_ALARM_total, 508);
    case TURN_QUOTA_USER:
        return used_up(r, TURN_ALARM_user, 486);
    case TURN_QUOTA_ADDRESS:
        return used_up(r, TURN_ALARM_address, 486);
    default:
        return used_up(r, TURN_ALARM_counters, 486);
    }
}

/* No relay could be opened. */
static int no_relay(struct turn_request *r, enum err e, bool any_family)
{
    if (e == ERR_UNSUPPORTED && !any_family)
        return 440;
    if (e == ERR_EXISTS)
        return used_up(r, TURN_ALARM_ports, 508);
    if (e == ERR_FULL)
        return used_up(r, TURN_ALARM_descriptors, 508);
    r->reason = err_str(e);
    return 508;
}

/* Seats within the quotas: the allocation's, and that of the port it reserves. 0, or the error code. */
static int sit(struct turn_request *r, const struct wish *w, struct turn_seat seats[2])
{
    struct turn_server *s = r->server;
    enum turn_quota q = TURN_QUOTA_OK;
    int n = 0, wanted = w->reserve ? 2 : 1;
    while (n < wanted && q == TURN_QUOTA_OK)
        q = turn_shared_sit(s->shared, &s->config, r->account->id, &r->client->address, &seats[n++]);
    if (q == TURN_QUOTA_OK)
        return 0;
    if (n == 2)
        turn_shared_leave(s->shared, &seats[0]);
    return over_quota(r, q);
}

static void stand_up(struct turn_server *s, const struct wish *w, const struct turn_seat seats[2])
{
    for (int i = 0; i < (w->reserve ? 2 : 1); i++)
        turn_shared_leave(s->shared, &seats[i]);
}

static enum err open_plain(struct turn_server *s, uint8_t family, bool tcp, struct turn_relay **out)
{
    return tcp ? turn_relay_open_tcp(s, family, out) : turn_relay_open(s, family, out);
}

/* The first relay, and seats for what was asked; a reserved port is left claimed above it. *first: what
 * became of the family asked for first; with ADDITIONAL-ADDRESS-FAMILY the other one does, too. 0, or the
 * error code: nothing is taken then, but a token that was good is used up. */
static int relay_for(struct turn_request *r, const struct wish *w, struct turn_seat seats[2],
                     struct turn_relay **out, enum err *first)
{
    struct turn_server *s = r->server;
    size_t index;
    uint16_t port;
    /* First, as the reserved port's seat becomes this allocation's. */
    if (w->redeem &&
        turn_shared_redeem(s->shared, w->token, r->account->id, s->wall, &index, &port) != ERR_OK) {
        r->reason = "no such reservation, or it has run out";
        return 508;
    }
    int code = sit(r, w, seats);
    if (code) {
        if (w->redeem)
            turn_shared_release_port(s->shared, index, port);
        return code;
    }
    enum err e = w->redeem ? turn_relay_open_claimed(s, index, port, out)
                 : w->even ? turn_relay_open_even(s, w->family, w->reserve, out)
                           : open_plain(s, w->family, w->tcp, out);
    *first = e;
    if (e != ERR_OK && w->additional)
        e = open_plain(s, AF_INET6, w->tcp, out);
    if (e == ERR_OK)
        return 0;
    stand_up(s, w, seats);
    return no_relay(r, e, w->additional);
}

/* The port above r is claimed; keeps it for who brings the token. */
static bool reserve_above(struct turn_server *s, const struct turn_relay *r, uint64_t user,
                          const struct turn_seat *seat, uint8_t token_bytes[8])
{
    uint64_t token;
    uint16_t port = (uint16_t)(r->port + 1);
    turn_server_random(s, &token, sizeof token);
    token |= (uint64_t)1 << 63; /* none of the small numbers that mark free entries */
    if (turn_shared_reserve(s->shared, r->index, port, token, user, seat, s->wall + RESERVATION_SECONDS) !=
        ERR_OK) {
        turn_shared_release_port(s->shared, r->index, port);
        return false;
    }
    memcpy(token_bytes, &token, sizeof token);
    return true;
}

/* A second relay for IPv6; without one the allocation stands all the same. */
static void add_additional(struct turn_allocation *a)
{
    struct turn_relay *second;
    enum err e = open_plain(a->server, AF_INET6, a->tcp, &second);
    if (e == ERR_OK)
        turn_relay_attach(second, a, a->lifetime);
    else
        note_missing(a, AF_INET6, e);
}

static int allocate(struct turn_request *r, const struct wish *w, struct turn_allocation **out)
{
    struct turn_server *s = r->server;
    struct turn_seat seats[2]; /* its own, the reserved port's */
    struct turn_relay *relay;
    enum err first = ERR_OK;
    int code = relay_for(r, w, seats, &relay, &first);
    if (code)
        return code;
    uint8_t token[8] = {0};
    struct turn_allocation *a = NULL;
    bool reserved = w->reserve && reserve_above(s, relay, r->account->id, &seats[1], token);
    if (w->reserve && !reserved) {
        turn_shared_leave(s->shared, &seats[1]);
        used_up(r, TURN_ALARM_reservations, 508);
    } else {
        a = turn_allocation_new(s, r->client, r->account, &seats[0]);
    }
    if (!a) { /* what was reserved is left to run out */
        turn_relay_close(relay);
        turn_shared_leave(s->shared, &seats[0]);
        return 508;
    }
    a->tcp = w->tcp;
    a->lifetime = turn_request_lifetime(r);
    a->credentials_end = r->credentials_end;
    memcpy(a->transaction, r->msg.transaction, sizeof a->transaction);
    memcpy(a->token, token, sizeof token);
    turn_relay_attach(relay, a, a->lifetime);
    if (first != ERR_OK)
        note_missing(a, AF_INET, first);
    else if (w->additional)
        add_additional(a);
    *out = a;
    return 0;
}

static void put_success(const struct turn_request *r, const struct turn_allocation *a,
                        struct turn_reply *reply)
{
    static const uint8_t no_token[sizeof a->token];
    for (int f = 0; f < TURN_FAMILIES; f++)
        if (a->relays[f])
            stun_put_xor_address(&reply->writer, STUN_XOR_RELAYED_ADDRESS, &a->relays[f]->advertised);
    stun_put_u32(&reply->writer, STUN_LIFETIME, a->lifetime);
    if (memcmp(a->token, no_token, sizeof no_token) != 0)
        stun_put(&reply->writer, STUN_RESERVATION_TOKEN, a->token, sizeof a->token);
    if (a->missing_error) {
        uint8_t value[4] = {a->missing_family, 0, (uint8_t)(a->missing_error / 100),
                            (uint8_t)(a->missing_error % 100)};
        stun_put(&reply->writer, STUN_ADDRESS_ERROR_CODE, value, sizeof value);
    }
    stun_put_xor_address(&reply->writer, STUN_XOR_MAPPED_ADDRESS, &r->client->address);
}

int turn_method_allocate(struct turn_request *r, struct turn_reply *reply)
{
    struct turn_allocation *a = r->allocation;
    struct wish w = {0};
    if (a) {
        /* The same request once more gets the same answer; another one is a mistake. */
        if (memcmp(a->transaction, r->msg.transaction, sizeof a->transaction) != 0 || !turn_auth_owns(r, a))
            return 437;
        put_success(r, a, reply);
        return 0;
    }
    int code = turn_policy_is_tunnel(&r->client->address) ? 403 : wish_read(r, &w);
    if (code == 0 && r->server->draining) {
        r->reason = "this edge takes no new allocations";
        code = 508;
    }
    if (code == 0)
        code = allocate(r, &w, &a);
    if (code == 508 && !w.redeem && turn_reply_has_alternate(r))
        return 300; /* RFC 8656 §7.2, RFC 8489 §10 */
    if (code)
        return code;
    r->server->counters.events[TURN_EVENT_allocated]++;
    turn_allocation_announce(a);
    put_success(r, a, reply);
    return 0;
}
