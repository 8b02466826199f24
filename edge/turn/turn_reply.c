#include "edge/turn/turn_reply.h"

#include <string.h>

#include "edge/turn/turn_account.h"
#include "proto/stun_nonce.h"

void turn_reply_begin(struct turn_reply *reply, const struct turn_request *r, enum stun_class class)
{
    stun_begin(&reply->writer, reply->memory, sizeof reply->memory, r->msg.method, class, r->msg.transaction);
}

void turn_reply_send(struct turn_reply *reply, struct turn_request *r)
{
    struct turn_server *s = r->server;
    size_t n;
    if (r->account) {
        if (s->config.software)
            stun_put(&reply->writer, STUN_SOFTWARE, s->config.software, strlen(s->config.software));
        /* As the request was read, whatever it carried itself: RFC 8489 §9.2.4, at its end. */
        if (r->reply_sha256)
            stun_put_integrity_sha256(&reply->writer, r->key.bytes, r->key.len);
        else
            stun_put_integrity(&reply->writer, r->key.bytes, r->key.len);
    }
    if (stun_has(&r->msg, STUN_FINGERPRINT))
        stun_put_fingerprint(&reply->writer);
    if (stun_end(&reply->writer, &n) != ERR_OK)
        return; /* realm, software and reservations are bounded so that everything fits */
    if (!r->account && !r->client->verified &&
        !turn_limiter_allow(s->limiter, &r->client->address, r->msg.size, n, s->now,
                            s->config.challenge_limit) &&
        !turn_allocation_find(s, &r->client->key)) { /* whose nonce has run out: it is known by its port */
        turn_drop(s, TURN_DROP_limited);
        return;
    }
    r->client->ops->reply(r->client, reply->memory, n);
}

static void reply_challenge(struct turn_reply *reply, const struct turn_request *r)
{
    const struct turn_server *s = r->server;
    char nonce[STUN_NONCE_TEXT];
    stun_nonce_make(s->config.nonce_key, s->wall, &r->client->address, &s->offer, nonce);
    stun_put(&reply->writer, STUN_REALM, s->config.realm, strlen(s->config.realm));
    stun_put(&reply->writer, STUN_NONCE, nonce, sizeof nonce);
    if (s->offer.algorithms_len)
        stun_put(&reply->writer, STUN_PASSWORD_ALGORITHMS, s->offer.algorithms, s->offer.algorithms_len);
}

/* One of the client's family, at random; NULL: there is none. */
static const struct netaddr *alternate_draw(const struct turn_request *r)
{
    const struct turn_config *c = &r->server->config;
    const struct netaddr *fit[TURN_ALTERNATES_MAX];
    uint32_t n = 0;
    for (size_t i = 0; i < c->n_alternates; i++)
        if (c->alternates[i].family == r->client->address.family)
            fit[n++] = &c->alternates[i];
    return n ? fit[turn_server_random_below(r->server, n)] : NULL;
}

bool turn_reply_has_alternate(const struct turn_request *r)
{
    return alternate_draw(r) != NULL;
}

/* RFC 8489 §14.15, §14.16 */
static void put_alternate(struct turn_reply *reply, const struct turn_request *r)
{
    const char *domain = r->server->config.alternate_domain;
    const struct netaddr *a = alternate_draw(r);
    if (!a)
        return;
    uint16_t port = a->port ? a->port : r->client->server.port;
    size_t n = netaddr_ip_len(a->family);
    uint8_t value[20] = {0, a->family == AF_INET ? 1 : 2, (uint8_t)(port >> 8), (uint8_t)port};
    memcpy(value + 4, a->ip, n);
    stun_put(&reply->writer, STUN_ALTERNATE_SERVER, value, 4 + n);
    if (*domain && (r->client->transport == TURN_OVER_TLS || r->client->transport == TURN_OVER_DTLS))
        stun_put(&reply->writer, STUN_ALTERNATE_DOMAIN, domain, strlen(domain));
}

void turn_reply_error(struct turn_request *r, int code)
{
    struct turn_server *s = r->server;
    struct turn_reply reply;
    turn_count_error(&s->counters, code);
    turn_reply_begin(&reply, r, STUN_ERROR);
    stun_put_error(&reply.writer, STUN_ERROR_CODE, code, r->account ? stun_error_reason(code) : "");
    if (code == 420)
        stun_put_unknown(&reply.writer, r->msg.unknown, r->msg.n_unknown);
    if (code == 300)
        put_alternate(&reply, r);
    if (code == 401 || code == 438)
        reply_challenge(&reply, r);
    turn_reply_send(&reply, r);
}
