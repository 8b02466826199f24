#include "edge/turn/turn_account.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "edge/turn/turn_shared.h"

struct turn_account *turn_account_find(const struct hashmap *accounts, const void *name, size_t n)
{
    uint32_t hash = hashmap_hash(accounts, name, n);
    for (struct hashmap_node *at = hashmap_find(accounts, hash); at; at = hashmap_find_next(at)) {
        struct turn_account *a = hashmap_entry(at, struct turn_account, node);
        if (strlen(a->name) == n && memcmp(a->name, name, n) == 0)
            return a;
    }
    return NULL;
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
    OPENSSL_cleanse(a->key, sizeof a->key);
    free(a->name);
    free(a);
}

static struct turn_account *turn_account_add(struct hashmap *accounts, const char *name,
                                             const struct turn_shared *shared)
{
    struct turn_account *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->name = strdup(name);
    if (!a->name) {
        free(a);
        return NULL;
    }
    a->id = turn_shared_user(shared, name);
    a->refs = 1;
    hashmap_insert(accounts, &a->node, hashmap_hash(accounts, name, strlen(name)));
    return a;
}

/* Removes accounts that are not listed, and clears the mark of the others. */
static void turn_accounts_sweep(struct hashmap *accounts)
{
    struct hashmap_node *next;
    for (struct hashmap_node *at = hashmap_walk(accounts, NULL); at; at = next) {
        struct turn_account *a = hashmap_entry(at, struct turn_account, node);
        next = hashmap_walk(accounts, at);
        if (!a->listed) {
            hashmap_remove(accounts, at);
            turn_account_release(a);
        } else {
            a->listed = false;
        }
    }
}

enum err turn_accounts_set(struct hashmap *accounts, const struct turn_config *c,
                           const struct turn_shared *shared)
{
    enum err e = ERR_OK;
    for (size_t i = 0; i < c->n_users; i++) {
        const struct turn_user *user = &c->users[i];
        struct turn_account *a = turn_account_find(accounts, user->name, strlen(user->name));
        if (!a)
            a = turn_account_add(accounts, user->name, shared);
        if (!a) {
            e = ERR_MEMORY;
            continue;
        }
        memcpy(a->key, user->key, sizeof a->key);
        a->listed = true;
    }
    turn_accounts_sweep(accounts);
    return e;
}

void turn_accounts_free(struct hashmap *accounts)
{
    turn_accounts_sweep(accounts); /* nothing is listed between two turn_accounts_set */
    hashmap_free(accounts);
}
