/*
 * scrypt beside main: a thread that computes one hash after the other, so that main goes on meanwhile. What
 * waits is bounded, so that a flood of logins costs one processor and 32 MiB, and not more. The thread
 * touches nothing of main's but its queue.
 */
#ifndef COMMON_ADMIN_HASHER_H
#define COMMON_ADMIN_HASHER_H

#include <ev.h>

#include "common/admin/admin_password.h"

enum { ADMIN_HASHER_WAITING = 16 };

struct admin_hasher;

/* matches: of a verify; record: of a make, "" when it failed. Called from the loop. */
typedef void admin_hashed(void *data, bool matches, const char *record);

/* NULL when memory is out. */
struct admin_hasher *admin_hasher_new(struct ev_loop *loop);
/* Nobody is called any more. Waits for the hash that is being computed. */
void admin_hasher_free(struct admin_hasher *h);
/* Copies password and record (NULL: one is to be made). False: too many wait, or no memory; nothing follows.
 */
bool admin_hasher_submit(struct admin_hasher *h, const char *password, const char *record, admin_hashed *done,
                         void *data);

#endif
