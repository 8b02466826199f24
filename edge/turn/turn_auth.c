#include "edge/turn/turn_auth.h"

#include <openssl/crypto.h>
#include <string.h>

#include "proto/stun_ephemeral.h"

struct stun_offer turn_auth_offer(const struct turn_config *c)
{
    struct stun_offer offer = {0};
    bool sha256 = false;
    for (size_t i = 0; i < c->n_algorithms; i++)
        sha256 |= c->algorithms[i] == STUN_ALGORITHM_SHA256;
    for (size_t i = 0; i < c->n_algorithms && sha256; i++)
        stun_offer_add(&offer, c->algorithms[i]);
    /* A client that is offered this must send the hash (§9.2.5), and whose name is behind the hash of
     * ephemeral credentials nobody could tell. */
    if (c->n_users && !c->n_shared_secrets)
        offer.features |= STUN_FEATURE_USERNAME_ANONYMITY;
    return offer;
}

bool turn_auth_owns(const struct turn_request *r, const struct turn_allocation *a)
{
    return !a->account->ephemeral_in == !r->account->ephemeral_in &&
           strcmp(a->account->key, r->account->key) == 0 && a->credentials_end == r->credentials_end;
}

/* Password algorithm ------------------------------------------------------------------------------------ */

static bool algorithm_accepted(const struct turn_config *c, enum stun_algorithm a)
{
    bool found = false;
    for (size_t i = 0; i < c->n_algorithms; i++)
        found |= c->algorithms[i] == a;
    return found;
}

static bool is_offered_now(const struct stun_offer *offer, struct stun_value algorithms)
{
    return algorithms.len == offer->algorithms_len &&
           memcmp(algorithms.at, offer->algorithms, algorithms.len) == 0;
}

/* The third check of §9.2.4. False is 400. *named: the request says which algorithm it is; otherwise it is
 * MD5. fresh: as stun_nonce_check has judged nonce and list together, so that "the value sent in the response
 * that sent this NONCE" can be told although nothing was remembered, also after the offer has changed. */
static bool algorithm_choose(const struct turn_request *r, enum err fresh, enum stun_algorithm *out,
                             bool *named)
{
    struct stun_value all = stun_get(&r->msg, STUN_PASSWORD_ALGORITHMS),
                      one = stun_get(&r->msg, STUN_PASSWORD_ALGORITHM);
    bool announced = stun_nonce_features(stun_get(&r->msg, STUN_NONCE)) & STUN_FEATURE_PASSWORD_ALGORITHMS;
    *named = announced && (all.at || one.at);
    *out = STUN_ALGORITHM_MD5;
    if (!*named)
        return true;
    if (!all.at || !one.at || (fresh == ERR_REFUSED && !is_offered_now(&r->server->offer, all)))
        return false;
    for (size_t i = 0; i + 4 <= all.len; i += 4) /* the list is ours: entries without parameters */
        if (one.len == 4 && memcmp(all.at + i, one.at, 4) == 0) {
            *out = (enum stun_algorithm)one.at[1];
            return true;
        }
    return false;
}

/* User and integrity ------------------------------------------------------------------------------------ */

/* Whichever integrity the message has; the SHA-256 one where it has both (§9.2.4), and that one whole, since
 * RFC 8656 says nothing of cutting it off (§14.6). */
static bool integrity_is_right(const struct turn_request *r, const struct stun_key *key)
{
    if (stun_has(&r->msg, STUN_MESSAGE_INTEGRITY_SHA256))
        return stun_check_integrity_sha256(&r->msg, key->bytes, key->len, STUN_INTEGRITY_SHA256);
    return stun_check_integrity(&r->msg, key->bytes, key->len);
}

/* Time that has passed takes no call away: who has made an allocation with these credentials may go on to use
 * it. Clients get credentials once a call and have no way to bring newer ones (§5 of RFC 8656: the name must
 * stay the same). */
static bool ephemeral_is_current(const struct turn_request *r, const struct stun_ephemeral *e)
{
    const struct turn_allocation *a = r->allocation;
    if (e->ends >= r->server->wall)
        return true;
    if (r->msg.method == STUN_METHOD_CONNECTION_BIND)
        return true; /* joins what waits for these very credentials, perhaps in another worker, or nothing */
    return a && a->account->ephemeral_in && a->credentials_end == e->ends &&
           strlen(a->account->key) == e->whose_len && memcmp(a->account->key, e->whose, e->whose_len) == 0;
}

/* With the key that one of the secrets gives; it is computed anew for each request and kept nowhere. */
static bool ephemeral_is_right(struct turn_request *r, struct stun_value name, enum stun_algorithm algorithm)
{
    const struct turn_config *c = &r->server->config;
    char password[STUN_EPHEMERAL_PASSWORD + 1];
    bool right = false;
    for (size_t i = 0; i < c->n_shared_secrets && !right; i++) {
        stun_ephemeral_password(c->shared_secrets[i], name.at, name.len, password);
        right = stun_long_term_key_of(algorithm, name.at, name.len, c->realm, password, &r->key) == ERR_OK &&
                integrity_is_right(r, &r->key);
    }
    OPENSSL_cleanse(password, sizeof password);
    return right;
}

static bool realm_is_ours(const struct turn_request *r)
{
    struct stun_value realm = stun_get(&r->msg, STUN_REALM);
    return realm.len == strlen(r->server->config.realm) &&
           memcmp(realm.at, r->server->config.realm, realm.len) == 0;
}

/* 0 with account (held) and key set, 401 or 500. A user whom nobody knows costs as much time as one whose
 * password is wrong. */
static int user_check(struct turn_request *r, enum stun_algorithm algorithm)
{
    static const struct stun_key nobody = {.len = STUN_KEY_MD5};
    struct turn_server *s = r->server;
    struct stun_value name = stun_get(&r->msg, STUN_USERNAME), hash = stun_get(&r->msg, STUN_USERHASH);
    struct stun_ephemeral e;
    struct turn_account *user = name.at ? turn_account_find(&s->accounts, name.at, name.len)
                                        : turn_account_find_hash(&s->accounts, hash.at);
    if (user) {
        bool has_key = turn_account_key(user, algorithm, &r->key);
        if (!integrity_is_right(r, has_key ? &r->key : &nobody) || !has_key || !realm_is_ours(r))
            return 401;
        r->account = turn_account_hold(user);
        return 0;
    }
    if (!s->config.n_shared_secrets || !name.at || name.len > TURN_NAME_MAX ||
        !stun_ephemeral_parse(name.at, name.len, &e) || !ephemeral_is_current(r, &e)) {
        integrity_is_right(r, &nobody);
        return 401;
    }
    if (!ephemeral_is_right(r, name, algorithm) || !realm_is_ours(r))
        return 401;
    r->account = turn_account_ephemeral(&s->accounts, e.whose, e.whose_len, s->shared);
    r->credentials_end = e.ends;
    return r->account ? 0 : 500;
}

/* §9.2.4, in its order. */
int turn_auth_check(struct turn_request *r)
{
    const struct turn_server *s = r->server;
    const struct stun_msg *m = &r->msg;
    enum stun_algorithm algorithm;
    bool named;
    if (!stun_has(m, STUN_MESSAGE_INTEGRITY) && !stun_has(m, STUN_MESSAGE_INTEGRITY_SHA256))
        return 401;
    if ((!stun_has(m, STUN_USERNAME) && !stun_has(m, STUN_USERHASH)) || !stun_has(m, STUN_REALM) ||
        !stun_has(m, STUN_NONCE))
        return 400;
    enum err fresh =
        stun_nonce_check(s->config.nonce_key, s->wall, s->config.lifetime_nonce, &r->client->address,
                         &s->offer, stun_get(m, STUN_PASSWORD_ALGORITHMS), stun_get(m, STUN_NONCE));
    if (!algorithm_choose(r, fresh, &algorithm, &named))
        return 400;
    int code = user_check(r, algorithm);
    if (code == 0 && fresh != ERR_OK)
        code = 438;
    if (code == 0 && !named && !algorithm_accepted(&s->config, algorithm))
        code =
            401; /* MD5 is not accepted here; with an older nonce, a 438 has offered something else first */
    if (code) {
        turn_auth_end(r);
        return code;
    }
    r->reply_sha256 = named;
    return 0;
}

void turn_auth_end(struct turn_request *r)
{
    if (r->account)
        turn_account_release(r->account);
    r->account = NULL;
    OPENSSL_cleanse(&r->key, sizeof r->key);
}
