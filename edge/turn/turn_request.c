#include "edge/turn/turn_request.h"

#include <string.h>

#include "edge/turn/turn_auth.h"
#include "edge/turn/turn_reply.h"

/* What a method asks for before it is called. */
enum {
    NEEDS_ACCOUNT = 1,
    NEEDS_ALLOCATION = 2, /* 437 without, 441 when it is another user's */
};

static const struct method {
    uint16_t number;
    unsigned needs;
    int (*handle)(struct turn_request *, struct turn_reply *);
} methods[] = {
    {STUN_METHOD_BINDING, 0, turn_method_binding},
    {STUN_METHOD_ALLOCATE, NEEDS_ACCOUNT, turn_method_allocate},
    {STUN_METHOD_REFRESH, NEEDS_ACCOUNT | NEEDS_ALLOCATION, turn_method_refresh},
    {STUN_METHOD_CREATE_PERMISSION, NEEDS_ACCOUNT | NEEDS_ALLOCATION, turn_method_create_permission},
    {STUN_METHOD_CHANNEL_BIND, NEEDS_ACCOUNT | NEEDS_ALLOCATION, turn_method_channel_bind},
    {STUN_METHOD_CONNECT, NEEDS_ACCOUNT | NEEDS_ALLOCATION, turn_method_connect},
    {STUN_METHOD_CONNECTION_BIND, NEEDS_ACCOUNT, turn_method_connection_bind},
};

static const struct method *method_find(uint16_t number)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (methods[i].number == number)
            return &methods[i];
    return NULL;
}

void turn_request_unknown(struct turn_request *r, enum stun_attr a)
{
    r->msg.unknown[0] = stun_attr_row(a)->type;
    r->msg.n_unknown = 1;
}

/* 0, or what is wrong with the request before its method looks at it. */
static int request_check(struct turn_request *r, const struct method *m)
{
    unsigned needs = m->needs;
    if (m->number == STUN_METHOD_BINDING && r->server->config.binding == TURN_BINDING_OFF)
        return 403;
    if (m->number == STUN_METHOD_BINDING && r->server->config.binding == TURN_BINDING_AUTHENTICATED)
        needs |= NEEDS_ACCOUNT;
    if (needs & NEEDS_ACCOUNT)
        r->allocation = turn_allocation_find(r->server, &r->client->key);
    int code = needs & NEEDS_ACCOUNT ? turn_auth_check(r) : 0;
    if (code)
        return code;
    if (r->msg.wrong_size)
        return 400;
    if (r->msg.n_unknown)
        return 420;
    if (needs & NEEDS_ALLOCATION) {
        if (!r->allocation)
            return 437;
        if (!turn_auth_owns(r, r->allocation))
            return 441;
    }
    return 0;
}

static void log_refused(struct turn_request *r, int code)
{
    struct turn_server *s = r->server;
    char client[NETADDR_TEXT], peer[NETADDR_TEXT], user[200];
    struct stun_value name = stun_get(&r->msg, STUN_USERNAME);
    if (r->account)
        name = (struct stun_value){(const uint8_t *)r->account->name, strlen(r->account->name)};
    unsigned dropped;
    /* The first 401 and the 438 now and then are part of every call; a 401 to somebody who named a user is
     * not. */
    bool signed_by_somebody =
        stun_has(&r->msg, STUN_MESSAGE_INTEGRITY) || stun_has(&r->msg, STUN_MESSAGE_INTEGRITY_SHA256);
    if ((code == 401 && !signed_by_somebody) || code == 438)
        return;
    s->counters.events[TURN_EVENT_refused] += r->msg.method == STUN_METHOD_ALLOCATE;
    if (!log_enabled(LOG_NOTICE) || !log_limit_allow(&s->refused_log, s->now, 20, 10, &dropped))
        return;
    log_event(LOG_NOTICE, "Relay Refused",
              "client=%s transport=%s request=%s error=%d reason=\"%s\" peer=%s user=%s not_logged=%u",
              netaddr_print(&r->client->address, client), turn_transport_words(r->client->transport),
              stun_method_name(r->msg.method), code, r->reason ? r->reason : stun_error_reason(code),
              r->refused_peer.family ? netaddr_print(&r->refused_peer, peer) : "-",
              log_quote(name.at ? name.at : (const uint8_t *)"", name.len, user, sizeof user), dropped);
}

void turn_request_refuse(struct turn_request *r, int code)
{
    log_refused(r, code);
    turn_reply_error(r, code);
}

static void request_handle(struct turn_request *r)
{
    const struct method *m = method_find(r->msg.method);
    struct turn_counters *counters = &r->server->counters;
    struct turn_reply reply;
    if (!m) {
        turn_drop(r->server, TURN_DROP_unexpected);
        return;
    }
    counters->requests[m->number]++;
    int code = request_check(r, m);
    if (code == 0) {
        turn_reply_begin(&reply, r, STUN_SUCCESS);
        code = m->handle(r, &reply);
    }
    if (code == 0) {
        counters->successes[m->number]++;
        turn_reply_send(&reply, r);
    } else if (code != TURN_ANSWER_LATER) {
        turn_request_refuse(r, code);
    }
    turn_auth_end(r);
}

void turn_request_receive(struct turn_server *s, struct turn_client *client, uint8_t *packet, size_t n)
{
    struct turn_request r = {.server = s, .client = client};
    if (stun_parse(packet, n, &r.msg) != ERR_OK) {
        turn_drop(s, TURN_DROP_malformed);
        return;
    }
    if (!stun_check_fingerprint(&r.msg)) {
        turn_drop(s, TURN_DROP_fingerprint);
        return;
    }
    if (r.msg.class == STUN_REQUEST)
        request_handle(&r);
    else if (r.msg.class == STUN_INDICATION && r.msg.method == STUN_METHOD_SEND)
        turn_method_send(&r, packet);
    else if (r.msg.class != STUN_INDICATION ||
             r.msg.method != STUN_METHOD_BINDING) /* that one keeps a NAT open */
        turn_drop(s, TURN_DROP_unexpected);
}
