/*
 * Everything a turn worker needs to know, as plain values. Main builds one (turn_config_from_json, or field
 * by field as the stand-alone command does) and sends it to its workers as JSON; descriptors travel beside
 * it, see turn_worker.h. Secrets are in here: the JSON goes through socketpairs only, never into a file or a
 * log.
 *
 * JSON form; everything but realm and relays may be left out and then has the value shown:
 *   { "realm": "join.example.com", "software": "Stile",
 *     "users": [ { "name": "u", "key": "<32 hex digits>", "key_sha256": "<64 hex digits>" },
 *                or { "name": "u", "password": "..." } ],   without key_sha256 the user is known by MD5 only
 *     "shared_secrets": [],                          up to 8; for ephemeral credentials, any of them counts
 *     "password_algorithms": ["sha256", "md5"],      accepted, the one to be preferred first
 *     "relays": [ { "bind": "10.0.0.36", "advertised": "203.0.113.10" } ],
 *     "relay_ports": [24000, 29999],
 *     "allow_peers": [], "deny_peers": [],           CIDR notation
 *     "own_addresses": [],                           "IP" or "IP:PORT", see struct turn_config
 *     "cluster_addresses": [],                       CIDR notation
 *     "cluster_ports": [24000, 29999],              as relay_ports where absent
 *     "quota": { "total": 0, "user": 0, "address": 0, "permissions": 64, "channels": 64,
 *                "connections": 32, "user_connections": 0,
 *                "allocation_kbps": 0, "user_kbps": 0,                                        0: no limit
 *                "challenges": 64 },                                                 a second and address
 *     "connections": { "address": 1000, "handshakes": 256, "address_handshakes": 64, "unproven": 8192 },
 *     "lifetime": { "default": 600, "longest": 3600, "nonce": 600 },                             seconds
 *     "alternate_servers": [],                       "IP" or "IP:PORT", see struct turn_config
 *     "alternate_domain": "join.example.com",        absent: none
 *     "tcp_relays": true,                            RFC 6062
 *     "channel_numbers": "rfc8656" | "rfc5766", "binding": "open" | "authenticated" | "off",
 *     "gso": "auto" | "off",                         runs of datagrams as one message, see turn_outbox.h
 *     "nonce_key": "<64 hex digits>",                drawn at random where absent
 *     "worker": { "index": 0, "count": 1 } }
 * Unknown keys and bad values are errors that name the key.
 */
#ifndef EDGE_TURN_TURN_CONFIG_H
#define EDGE_TURN_TURN_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/netaddr.h"
#include "proto/stun_auth.h"

enum {
    TURN_NAME_MAX = 508,     /* bytes of a user name, RFC 8489 §14.3: fewer than 509 */
    TURN_REALM_MAX = 127,    /* RFC 8489 §14.9: fewer than 128 characters */
    TURN_SOFTWARE_MAX = 127, /* RFC 8489 §14.14: fewer than 128 characters */
    TURN_PASSWORD_MAX = 511, /* bytes */
    TURN_SECRETS_MAX = 8,    /* shared secrets */
    TURN_SECRET_MAX = 1024,  /* bytes of one */
    TURN_NONCE_KEY_SIZE = 32,
    TURN_RELAYS_MAX = 64,   /* relay addresses */
    TURN_WORKERS_MAX = 120, /* workers that share one memory, see turn_shared.h */
    TURN_PERMISSIONS_MAX = 4096,
    TURN_CHANNELS_MAX = 4096,
    TURN_HANDSHAKES_MAX = 65536,
    TURN_CONNECTIONS_MAX = 1024,
    TURN_ALTERNATES_MAX = 64,
};

/* Long-term credentials; the password itself is not kept. The keys are digests of name:realm:password,
 * RFC 8489 §18.5.1. */
struct turn_user {
    char *name;
    uint8_t key[STUN_KEY_MD5];
    uint8_t key_sha256[STUN_KEY_SHA256];
    bool has_sha256;
};

/* Under static NAT the socket is bound to one address and clients are told another. Ports are 0. */
struct turn_relay_address {
    struct netaddr bind;
    struct netaddr advertised; /* the same family; equal to bind where there is no NAT */
};

enum turn_binding {
    TURN_BINDING_OPEN,          /* anyone may ask for their reflexive address */
    TURN_BINDING_AUTHENTICATED, /* only with credentials */
    TURN_BINDING_OFF,
};

struct turn_config {
    char *realm;
    char *software; /* SOFTWARE attribute of authenticated answers; NULL: none */
    struct turn_user *users;
    size_t n_users;
    /* Whoever knows one of these may make credentials that end: user name "SECONDS:NAME" or "SECONDS" (Unix
     * time), password base64(HMAC-SHA1(secret, user name)). Several of them: a new one is introduced before
     * the old one is withdrawn. */
    char *shared_secrets[TURN_SECRETS_MAX];
    size_t n_shared_secrets;
    enum stun_algorithm algorithms[STUN_ALGORITHMS]; /* accepted; each once, the preferred one first */
    size_t n_algorithms;
    struct turn_relay_address *relays;
    size_t n_relays;
    uint16_t port_min, port_max; /* of relayed addresses, inclusive */

    /* Peers, judged by turn_policy. allow_peers opens private networks; nothing opens loopback, link-local
     * and the like, so entries inside those are a config error. */
    struct netcidr *allow_peers, *deny_peers;
    size_t n_allow_peers, n_deny_peers;
    /* Services of this box that no relay may reach, allow_peers or not: with a port, that port (of every own
     * address when the IP is 0.0.0.0 or ::); with port 0, this is an address of this box: a peer only if
     * allow_peers names that very address, not a network around it. Listening sockets of the worker and the
     * relay addresses are added without being listed here. */
    struct netaddr *own_addresses;
    size_t n_own_addresses;
    struct netcidr *cluster_addresses; /* other edges' relay addresses: always peers, … */
    size_t n_cluster_addresses;
    uint16_t cluster_port_min, cluster_port_max; /* … with these ports; 0: those of our own relays */

    /* 0: no limit. Allocations are counted over all workers. */
    uint32_t quota_total, quota_user, quota_address;
    uint32_t permissions_max, channels_max; /* per allocation, at least 1 */
    /* Relayed payload in each direction, 1000 bits a second; 0: no limit. Those of a user are counted over
     * all workers. What is above is dropped (turn_rate.h). */
    uint32_t allocation_kbps, user_kbps;
    uint32_t challenge_limit;   /* answers without credentials per address and second, see turn_limiter.h */
    uint32_t connections_max;   /* TCP connections with peers, per allocation */
    uint32_t quota_connections; /* the same, per user; 0: no limit */

    /* In one worker, see turn_admission.h: streams and DTLS sessions of one address (0: no limit); TLS and
     * DTLS handshakes under way, in all and of one address (at least 1); clients within TLS or DTLS that have
     * no allocation (at least 1): above that the oldest one goes. */
    uint32_t address_connections_max, handshakes_max, address_handshakes_max, unproven_max;

    /* Where clients are sent (300) when this worker drains or has no room; port 0: the one that they used
     * here. What their certificates are good for, "": nothing is said. */
    struct netaddr alternates[TURN_ALTERNATES_MAX];
    size_t n_alternates;
    char alternate_domain[256];

    uint32_t lifetime_default, lifetime_longest, lifetime_nonce; /* seconds */
    bool tcp_relays;                                             /* REQUESTED-TRANSPORT may be TCP */
    bool channels_rfc5766; /* channel numbers up to 0x7FFF instead of 0x4FFF */
    bool gso_off;          /* datagrams leave and arrive one by one */
    enum turn_binding binding;
    uint8_t nonce_key[TURN_NONCE_KEY_SIZE]; /* the same in all workers */
    uint32_t worker_index, worker_count;
};

/* Defaults as above, with a random nonce key, no realm, no relays. */
void turn_config_init(struct turn_config *c);
/* Frees what the struct owns and overwrites the keys; the struct is as after zeroing. */
void turn_config_free(struct turn_config *c);

/* Fills *out (any former content is not freed; set only on success, then the caller's to free). ERR_CONFIG
 * with the reason in why, ERR_MEMORY. */
enum err turn_config_from_json(const json_t *json, struct turn_config *out, char *why, size_t why_size);
/* Adds the users of a list, as "users" above has them: for lists too long for one message. */
enum err turn_config_users_from_json(struct turn_config *c, const json_t *list, char *why, size_t why_size);
/* The member own_addresses alone: a new list, the caller's to free. ERR_CONFIG, ERR_MEMORY. */
enum err turn_config_own_from_json(const json_t *list, struct netaddr **out, size_t *n);
/* NULL when memory is out. */
json_t *turn_config_to_json(const struct turn_config *c);
/* What turn_config_from_json checks at its end, for configs made field by field: ERR_CONFIG with the reason.
 */
enum err turn_config_check(const struct turn_config *c, char *why, size_t why_size);

/* A call bridge allocates, and connects, for every guest of its calls from one address, so it is not counted
 * by address: allow_peers names the bridges' networks. */
bool turn_config_is_bridge(const struct turn_config *c, const struct netaddr *client);

/* Both copy, made ready by stun_opaque. The realm must be set before users are added with a password.
 * ERR_MEMORY, ERR_CONFIG (empty, too long, not UTF-8, or with control characters in it). */
enum err turn_config_set_realm(struct turn_config *c, const char *realm);
enum err turn_config_add_user(struct turn_config *c, const char *name, const char *password);
/* The same with the keys already computed; key_sha256 may be NULL. Names that are there twice are found by
 * turn_config_check. */
enum err turn_config_add_keys(struct turn_config *c, const char *name, const uint8_t key[STUN_KEY_MD5],
                              const uint8_t *key_sha256);
/* Copies. ERR_CONFIG: empty, too long, or one too many. */
enum err turn_config_add_secret(struct turn_config *c, const char *secret);
enum err turn_config_add_relay(struct turn_config *c, const struct netaddr *bind,
                               const struct netaddr *advertised);
/* list and n are a pair of members of a turn_config. */
enum err turn_config_add_cidr(struct netcidr **list, size_t *n, const struct netcidr *net);
enum err turn_config_add_own(struct turn_config *c, const struct netaddr *address);

#endif
