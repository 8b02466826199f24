#include "edge/turn/turn_config.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/fatal.h"
#include "edge/turn/turn_policy.h"
#include "proto/stun_opaque.h"

void turn_config_init(struct turn_config *c)
{
    *c = (struct turn_config){
        .port_min = 24000,
        .port_max = 29999,
        .permissions_max = 64,
        .channels_max = 64,
        .challenge_limit = 64,
        .address_connections_max = 1000,
        .handshakes_max = 256,
        .address_handshakes_max = 64,
        .unproven_max = 8192,
        .connections_max = 32,
        .tcp_relays = true,
        .lifetime_default = 600,
        .lifetime_longest = 3600,
        .lifetime_nonce = 600,
        .binding = TURN_BINDING_OPEN,
        .algorithms = {STUN_ALGORITHM_SHA256, STUN_ALGORITHM_MD5},
        .n_algorithms = 2,
        .worker_count = 1,
    };
    if (getrandom(c->nonce_key, sizeof c->nonce_key, 0) != (ssize_t)sizeof c->nonce_key)
        fatal("no random numbers for the nonce key");
}

void turn_config_free(struct turn_config *c)
{
    for (size_t i = 0; i < c->n_users; i++) {
        free(c->users[i].name);
        OPENSSL_cleanse(&c->users[i], sizeof c->users[i]);
    }
    for (size_t i = 0; i < c->n_shared_secrets; i++) {
        OPENSSL_cleanse(c->shared_secrets[i], strlen(c->shared_secrets[i]));
        free(c->shared_secrets[i]);
    }
    OPENSSL_cleanse(c->nonce_key, sizeof c->nonce_key);
    free(c->realm);
    free(c->software);
    free(c->users);
    free(c->relays);
    free(c->allow_peers);
    free(c->deny_peers);
    free(c->own_addresses);
    free(c->cluster_addresses);
    *c = (struct turn_config){0};
}

/* Room for one more at the end of an array that grows by doubling; NULL when memory is out. */
static void *array_grow(void *array, size_t n, size_t size)
{
    if (n & (n - 1))
        return array;
    return reallocarray(array, n ? n * 2 : 1, size);
}

/* ERR_MEMORY apart, whatever is wrong with a text is the config's fault. */
static enum err make_opaque(const char *text, char *out, size_t size)
{
    return stun_opaque(text, out, size) == ERR_OK ? ERR_OK : ERR_CONFIG;
}

enum err turn_config_set_realm(struct turn_config *c, const char *realm)
{
    char text[TURN_REALM_MAX + 1];
    if (make_opaque(realm, text, sizeof text) != ERR_OK || strchr(text, '"'))
        return ERR_CONFIG;
    char *copy = strdup(text);
    if (!copy)
        return ERR_MEMORY;
    free(c->realm);
    c->realm = copy;
    return ERR_OK;
}

/* Like reallocarray by array_grow, and nothing of the old place stays in memory. */
static struct turn_user *users_grow(const struct turn_config *c)
{
    size_t n = c->n_users;
    if (n & (n - 1))
        return c->users;
    struct turn_user *grown = calloc(n ? n * 2 : 1, sizeof *grown);
    if (!grown)
        return NULL;
    if (n) {
        memcpy(grown, c->users, n * sizeof *grown);
        OPENSSL_cleanse(c->users, n * sizeof *grown);
    }
    free(c->users);
    return grown;
}

enum err turn_config_add_keys(struct turn_config *c, const char *name, const uint8_t key[STUN_KEY_MD5],
                              const uint8_t *key_sha256)
{
    char text[TURN_NAME_MAX + 1];
    if (make_opaque(name, text, sizeof text) != ERR_OK)
        return ERR_CONFIG;
    struct turn_user *users = users_grow(c);
    if (!users)
        return ERR_MEMORY;
    c->users = users;
    char *copy = strdup(text);
    if (!copy)
        return ERR_MEMORY;
    struct turn_user *user = &users[c->n_users++];
    *user = (struct turn_user){.name = copy, .has_sha256 = key_sha256};
    memcpy(user->key, key, sizeof user->key);
    if (key_sha256)
        memcpy(user->key_sha256, key_sha256, sizeof user->key_sha256);
    return ERR_OK;
}

enum err turn_config_add_user(struct turn_config *c, const char *name, const char *password)
{
    struct stun_key md5 = {0}, sha256 = {0};
    char user[TURN_NAME_MAX + 1], secret[TURN_PASSWORD_MAX + 1] = "";
    if (!c->realm || make_opaque(name, user, sizeof user) != ERR_OK)
        return ERR_CONFIG;
    enum err e = make_opaque(password, secret, sizeof secret);
    if (e == ERR_OK)
        e = stun_long_term_key(STUN_ALGORITHM_MD5, user, c->realm, secret, &md5);
    if (e == ERR_OK)
        e = stun_long_term_key(STUN_ALGORITHM_SHA256, user, c->realm, secret, &sha256);
    if (e == ERR_OK)
        e = turn_config_add_keys(c, user, md5.bytes, sha256.bytes);
    OPENSSL_cleanse(secret, sizeof secret);
    OPENSSL_cleanse(&md5, sizeof md5);
    OPENSSL_cleanse(&sha256, sizeof sha256);
    return e;
}

enum err turn_config_add_secret(struct turn_config *c, const char *secret)
{
    size_t n = strlen(secret);
    if (n == 0 || n > TURN_SECRET_MAX || c->n_shared_secrets == TURN_SECRETS_MAX)
        return ERR_CONFIG;
    char *copy = strdup(secret);
    if (!copy)
        return ERR_MEMORY;
    c->shared_secrets[c->n_shared_secrets++] = copy;
    return ERR_OK;
}

enum err turn_config_add_relay(struct turn_config *c, const struct netaddr *bind,
                               const struct netaddr *advertised)
{
    struct turn_relay_address *relays = array_grow(c->relays, c->n_relays, sizeof *relays);
    if (!relays)
        return ERR_MEMORY;
    c->relays = relays;
    relays[c->n_relays] = (struct turn_relay_address){.bind = *bind, .advertised = *advertised};
    relays[c->n_relays].bind.port = relays[c->n_relays].advertised.port = 0;
    c->n_relays++;
    return ERR_OK;
}

enum err turn_config_add_cidr(struct netcidr **list, size_t *n, const struct netcidr *net)
{
    struct netcidr *grown = array_grow(*list, *n, sizeof *grown);
    if (!grown)
        return ERR_MEMORY;
    *list = grown;
    grown[(*n)++] = *net;
    return ERR_OK;
}

enum err turn_config_add_own(struct turn_config *c, const struct netaddr *address)
{
    struct netaddr *own = array_grow(c->own_addresses, c->n_own_addresses, sizeof *own);
    if (!own)
        return ERR_MEMORY;
    c->own_addresses = own;
    own[c->n_own_addresses++] = *address;
    return ERR_OK;
}

bool turn_config_is_bridge(const struct turn_config *c, const struct netaddr *client)
{
    for (size_t i = 0; i < c->n_allow_peers; i++)
        if (netcidr_contains(&c->allow_peers[i], client))
            return true;
    return false;
}

/* Checking ---------------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;
    return strcmp(*left, *right);
}

static enum err check_users(const struct turn_config *c, char *why, size_t why_size)
{
    enum err e = ERR_OK;
    const char **names = calloc(c->n_users + 1, sizeof *names);
    if (!names) {
        snprintf(why, why_size, "out of memory");
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < c->n_users; i++)
        names[i] = c->users[i].name;
    qsort(names, c->n_users, sizeof *names, compare_names);
    for (size_t i = 1; i < c->n_users && e == ERR_OK; i++)
        if (strcmp(names[i - 1], names[i]) == 0) {
            snprintf(why, why_size, "users: \"%s\" is there twice", names[i]);
            e = ERR_CONFIG;
        }
    free(names);
    return e;
}

static enum err check_relays(const struct turn_config *c, char *why, size_t why_size)
{
    char text[NETADDR_TEXT];
    if (c->n_relays == 0 || c->n_relays > TURN_RELAYS_MAX) {
        snprintf(why, why_size, "relays: needs 1 to %d addresses, has %zu", TURN_RELAYS_MAX, c->n_relays);
        return ERR_CONFIG;
    }
    for (size_t i = 0; i < c->n_relays; i++) {
        const struct turn_relay_address *r = &c->relays[i];
        bool twice = false;
        for (size_t k = 0; k < i; k++)
            twice |= netaddr_equal_ip(&r->bind, &c->relays[k].bind) ||
                     netaddr_equal_ip(&r->advertised, &c->relays[k].advertised);
        const char *wrong = r->bind.family != r->advertised.family
                                ? "bound and advertised address differ in family"
                            : !netaddr_ip_len(r->bind.family) ? "no address"
                            : netaddr_is_any(&r->bind) || netaddr_is_any(&r->advertised)
                                ? "must be a concrete address, not the any-address"
                            : twice ? "is there twice"
                                    : NULL;
        if (wrong) {
            snprintf(why, why_size, "relays: %s: %s", netaddr_print_ip(&r->bind, text), wrong);
            return ERR_CONFIG;
        }
    }
    return ERR_OK;
}

static enum err check_peers(const struct turn_config *c, char *why, size_t why_size)
{
    char text[NETADDR_TEXT];
    for (size_t i = 0; i < c->n_allow_peers; i++) {
        const char *range = turn_policy_never(&c->allow_peers[i]);
        if (range) {
            snprintf(why, why_size, "allow_peers: %s lies in %s, which is never a peer",
                     netcidr_print(&c->allow_peers[i], text), range);
            return ERR_CONFIG;
        }
    }
    return ERR_OK;
}

enum err turn_config_check(const struct turn_config *c, char *why, size_t why_size)
{
    const char *wrong = NULL;
    if (!c->realm)
        wrong = "realm: missing";
    else if (c->n_algorithms < 1)
        wrong = "password_algorithms: needs at least one";
    else if (c->software && (strlen(c->software) == 0 || strlen(c->software) > TURN_SOFTWARE_MAX))
        wrong = "software: must have 1 to 127 characters";
    else if (c->port_min < 1024 || c->port_max < c->port_min)
        wrong = "relay_ports: must be two ports from 1024 to 65535, the smaller first";
    else if (c->cluster_port_max < c->cluster_port_min)
        wrong = "cluster_ports: must be two ports, the smaller first";
    else if (c->permissions_max < 1 || c->permissions_max > TURN_PERMISSIONS_MAX)
        wrong = "quota.permissions: must be 1 to 4096";
    else if (c->channels_max < 1 || c->channels_max > TURN_CHANNELS_MAX)
        wrong = "quota.channels: must be 1 to 4096";
    else if (c->challenge_limit < 1 || c->challenge_limit > 1000000)
        wrong = "quota.challenges: must be 1 to 1000000";
    else if (c->handshakes_max < 1 || c->handshakes_max > TURN_HANDSHAKES_MAX ||
             c->address_handshakes_max < 1 || c->unproven_max < 1)
        wrong = "connections: handshakes must be 1 to 65536, address_handshakes at least 1";
    else if (c->connections_max < 1 || c->connections_max > TURN_CONNECTIONS_MAX)
        wrong = "quota.connections: must be 1 to 1024";
    else if (c->lifetime_default < 60 || c->lifetime_longest < c->lifetime_default ||
             c->lifetime_longest > 86400)
        wrong = "lifetime: needs 60 <= default <= longest <= 86400";
    else if (c->lifetime_nonce < 30 || c->lifetime_nonce > 86400)
        wrong = "lifetime.nonce: must be 30 to 86400";
    else if (c->worker_count < 1 || c->worker_count > TURN_WORKERS_MAX || c->worker_index >= c->worker_count)
        wrong = "worker: needs index < count <= 120";
    if (wrong) {
        snprintf(why, why_size, "%s", wrong);
        return ERR_CONFIG;
    }
    enum err e = check_users(c, why, why_size);
    if (e == ERR_OK)
        e = check_relays(c, why, why_size);
    return e == ERR_OK ? check_peers(c, why, why_size) : e;
}
