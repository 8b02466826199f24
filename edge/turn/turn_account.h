/*
 * Users that may allocate. Allocations hold on to their account, so that a user who has been removed keeps
 * the calls that are going on and cannot refresh them.
 */
#ifndef EDGE_TURN_TURN_ACCOUNT_H
#define EDGE_TURN_TURN_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/hashmap.h"
#include "edge/turn/turn_config.h"

struct turn_account {
    struct hashmap_node node;
    char *name;
    uint8_t key[STUN_KEY_MD5];
    uint64_t id;   /* as turn_shared counts it */
    unsigned refs; /* the table's own, and one per allocation */
    bool listed;   /* while the table is being replaced */
};

struct turn_shared;

/* Makes the table hold exactly the users of c: new ones are added, changed keys taken over, others removed.
 * ERR_MEMORY: those that could be added are there. */
enum err turn_accounts_set(struct hashmap *accounts, const struct turn_config *c,
                           const struct turn_shared *shared);
void turn_accounts_free(struct hashmap *accounts);
/* n bytes of name, from the wire. NULL when there is none. */
struct turn_account *turn_account_find(const struct hashmap *accounts, const void *name, size_t n);
struct turn_account *turn_account_hold(struct turn_account *a);
void turn_account_release(struct turn_account *a);

#endif
