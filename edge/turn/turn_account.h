/*
 * Who may allocate. There are two kinds of accounts: users of the config, with keys; and those behind
 * ephemeral credentials (proto/stun_ephemeral.h), which have none of their own and are there as long as an
 * allocation or a request holds on to them, so that there are never more of them than allocations, and one.
 *
 * Allocations hold on to their account, so that a user who has been removed keeps the calls that are going on
 * and cannot refresh them.
 */
#ifndef EDGE_TURN_TURN_ACCOUNT_H
#define EDGE_TURN_TURN_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/hashmap.h"
#include "edge/turn/turn_config.h"

struct turn_shared;

struct turn_accounts {
    struct hashmap users;      /* of the config, by name */
    struct hashmap userhashes; /* their keys, by SHA-256(name:realm) */
    struct hashmap ephemerals; /* by ":NAME", or by the whole user name where it has no name in it: one user
                                * has one account and one quota, whatever the time in front of the name */
};

/* What a user of the config proves to know. */
struct turn_account_keys {
    struct hashmap_node node; /* in userhashes */
    struct turn_account *account;
    uint8_t userhash[STUN_USERHASH_SIZE];
    uint8_t md5[STUN_KEY_MD5], sha256[STUN_KEY_SHA256];
    bool has_sha256;
};

struct turn_account {
    struct hashmap_node node;           /* in users or ephemerals */
    struct turn_accounts *ephemeral_in; /* NULL for users of the config */
    struct turn_account_keys *keys;     /* NULL for ephemeral ones, and once a user has been removed */
    const char *name;                   /* as people know it; points into key */
    char *key;                          /* what the table finds it by */
    uint64_t id;                        /* as turn_shared counts it */
    unsigned refs;                      /* the table of users' own, and one per holder */
    bool listed;                        /* while the table is being replaced */
};

void turn_accounts_init(struct turn_accounts *accounts);
/* Makes the table hold exactly the users of c: new ones are added, changed keys taken over, others removed.
 * ERR_MEMORY: those that could be added are there. */
enum err turn_accounts_set(struct turn_accounts *accounts, const struct turn_config *c,
                           const struct turn_shared *shared);
/* One user more, or other keys for one who is there; one less. ERR_MEMORY: as it was. */
enum err turn_account_put(struct turn_accounts *accounts, const struct turn_user *user, const char *realm,
                          const struct turn_shared *shared);
void turn_account_drop(struct turn_accounts *accounts, const char *name);
/* Nothing may hold on to an account. */
void turn_accounts_free(struct turn_accounts *accounts);

/* A user of the config: by n bytes of name from the wire, by a hash from the wire. NULL when there is none.
 */
struct turn_account *turn_account_find(const struct turn_accounts *accounts, const void *name, size_t n);
struct turn_account *turn_account_find_hash(const struct turn_accounts *accounts,
                                            const uint8_t userhash[STUN_USERHASH_SIZE]);
/* False when the user has no key of this kind. The caller wipes *out. */
bool turn_account_key(const struct turn_account *a, enum stun_algorithm algorithm, struct stun_key *out);

/* The account of ephemeral credentials that are good (whose: see stun_ephemeral.h), made if need be; held for
 * the caller. NULL when memory is out. */
struct turn_account *turn_account_ephemeral(struct turn_accounts *accounts, const void *whose, size_t n,
                                            const struct turn_shared *shared);

/* Between two requests: how many allocations of this worker hold on to it. */
static inline unsigned turn_account_allocations(const struct turn_account *a)
{
    return a->ephemeral_in ? a->refs : a->refs - 1;
}

struct turn_account *turn_account_hold(struct turn_account *a);
void turn_account_release(struct turn_account *a);

#endif
