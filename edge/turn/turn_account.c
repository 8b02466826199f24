#include "edge/turn/turn_account.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "edge/turn/turn_shared.h"

void turn_accounts_init(struct turn_accounts *accounts)
{
    hashmap_init(&accounts->users);
    hashmap_init(&accounts->userhashes);
    hashmap_init(&accounts->ephemerals);
}

static struct turn_account *account_find(const struct hashmap *table, const void *key, size_t n)
{
    uint32_t hash = hashmap_hash(table, key, n);
    for (struct hashmap_node *at = hashmap_find(table, hash); at; at = hashmap_find_next(at)) {
        struct turn_account *a = hashmap_entry(at, struct turn_account, node);
        if (strlen(a->key) == n && memcmp(a->key, key, n) == 0)
            return a;
    }
    return NULL;
}

struct turn_account *turn_account_find(const struct turn_accounts *accounts, const void *name, size_t n)
{
    return account_find(&accounts->users, name, n);
}

struct turn_account *turn_account_find_hash(const struct turn_accounts *accounts,
                                            const uint8_t userhash[STUN_USERHASH_SIZE])
{
    const struct hashmap *table = &accounts->userhashes;
    uint32_t hash = hashmap_hash(table, userhash, STUN_USERHASH_SIZE);
    for (struct hashmap_node *at = hashmap_find(table, hash); at; at = hashmap_find_next(at)) {
        struct turn_account_keys *k = hashmap_entry(at, struct turn_account_keys, node);
        if (memcmp(k->userhash, userhash, sizeof k->userhash) == 0)
            return k->account;
    }
    return NULL;
}

bool turn_account_key(const struct turn_account *a, enum stun_algorithm algorithm, struct stun_key *out)
{
    const struct turn_account_keys *k = a->keys;
    if (!k || (algorithm == STUN_ALGORITHM_SHA256 && !k->has_sha256))
        return false;
    if (algorithm == STUN_ALGORITHM_SHA256) {
        memcpy(out->bytes, k->sha256, sizeof k->sha256);
        out->len = sizeof k->sha256;
    } else {
        memcpy(out->bytes, k->md5, sizeof k->md5);
        out->len = sizeof k->md5;
    }
    return true;
}

struct turn_account *turn_account_hold(struct turn_account *a)
{
    a->refs++;
    return a;
}

void turn_account_release(struct turn_account *a)
{
    if (--a->refs > 0)
        return;
    if (a->ephemeral_in)
        hashmap_remove(&a->ephemeral_in->ephemerals, &a->node);
    free(a->key);
    free(a);
}

static struct turn_account *account_new(struct hashmap *table, const void *key, size_t n)
{
    struct turn_account *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->key = strndup(key, n);
    if (!a->key) {
        free(a);
        return NULL;
    }
    a->name = a->key;
    a->refs = 1;
    hashmap_insert(table, &a->node, hashmap_hash(table, key, n));
    return a;
}

/* Ephemeral credentials --------------------------------------------------------------------------------- */

/* A user of the config who happens to have the same name is somebody else: no name has a line's end in it. */
static uint64_t ephemeral_id(const struct turn_shared *shared, const char *key)
{
    char marked[TURN_NAME_MAX + 2] = "\n";
    strncat(marked, key, TURN_NAME_MAX);
    return turn_shared_user(shared, marked);
}

struct turn_account *turn_account_ephemeral(struct turn_accounts *accounts, const void *whose, size_t n,
                                            const struct turn_shared *shared)
{
    struct turn_account *a = account_find(&accounts->ephemerals, whose, n);
    if (a)
        return turn_account_hold(a);
    a = account_new(&accounts->ephemerals, whose, n);
    if (!a)
        return NULL;
    a->ephemeral_in = accounts;
    a->name += a->key[0] == ':';
    a->id = ephemeral_id(shared, a->key);
    return a;
}

/* Users of the config ----------------------------------------------------------------------------------- */

static void keys_free(struct turn_accounts *accounts, struct turn_account *a)
{
    if (!a->keys)
        return;
    hashmap_remove(&accounts->userhashes, &a->keys->node);
    OPENSSL_cleanse(a->keys, sizeof *a->keys);
    free(a->keys);
    a->keys = NULL;
}

static enum err keys_set(struct turn_accounts *accounts, struct turn_account *a, const struct turn_user *user,
                         const char *realm)
{
    struct turn_account_keys *k = calloc(1, sizeof *k);
    if (!k)
        return ERR_MEMORY;
    keys_free(accounts, a);
    k->account = a;
    memcpy(k->md5, user->key, sizeof k->md5);
    memcpy(k->sha256, user->key_sha256, sizeof k->sha256);
    k->has_sha256 = user->has_sha256;
    stun_userhash(user->name, realm, k->userhash);
    hashmap_insert(&accounts->userhashes, &k->node,
                   hashmap_hash(&accounts->userhashes, k->userhash, sizeof k->userhash));
    a->keys = k;
    return ERR_OK;
}

static void account_remove(struct turn_accounts *accounts, struct turn_account *a)
{
    keys_free(accounts, a);
    hashmap_remove(&accounts->users, &a->node);
    turn_account_release(a);
}

enum err turn_account_put(struct turn_accounts *accounts, const struct turn_user *user, const char *realm,
                          const struct turn_shared *shared)
{
    size_t n = strlen(user->name);
    struct turn_account *old = turn_account_find(accounts, user->name, n);
    struct turn_account *a = old ? old : account_new(&accounts->users, user->name, n);
    if (!a)
        return ERR_MEMORY;
    a->id = turn_shared_user(shared, user->name);
    enum err e = keys_set(accounts, a, user, realm);
    if (e != ERR_OK && !old)
        account_remove(accounts, a);
    return e;
}

void turn_account_drop(struct turn_accounts *accounts, const char *name)
{
    struct turn_account *a = turn_account_find(accounts, name, strlen(name));
    if (a)
        account_remove(accounts, a);
}

/* Removes users who are not listed, and clears the mark of the others. */
static void accounts_sweep(struct turn_accounts *accounts)
{
    struct hashmap_node *next;
    for (struct hashmap_node *at = hashmap_walk(&accounts->users, NULL); at; at = next) {
        struct turn_account *a = hashmap_entry(at, struct turn_account, node);
        next = hashmap_walk(&accounts->users, at);
        if (!a->listed)
            account_remove(accounts, a);
        else
            a->listed = false;
    }
}

enum err turn_accounts_set(struct turn_accounts *accounts, const struct turn_config *c,
                           const struct turn_shared *shared)
{
    enum err e = ERR_OK;
    for (size_t i = 0; i < c->n_users; i++) {
        const struct turn_user *user = &c->users[i];
        if (turn_account_put(accounts, user, c->realm, shared) != ERR_OK)
            e = ERR_MEMORY;
        struct turn_account *a = turn_account_find(accounts, user->name, strlen(user->name));
        if (a)
            a->listed = true;
    }
    accounts_sweep(accounts);
    return e;
}

void turn_accounts_free(struct turn_accounts *accounts)
{
    accounts_sweep(accounts); /* nobody is listed between two turn_accounts_set */
    hashmap_free(&accounts->users);
    hashmap_free(&accounts->userhashes);
    hashmap_free(&accounts->ephemerals);
}
