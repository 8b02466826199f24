/*
 * How often somebody may fail to log in: per client address (IPv6: one /64), and per user name whoever it is,
 * known or not. What is over that is refused without a look at the password. A user's owner is not shut out
 * by others who guess: addresses from which that user has logged in (kept in the database, admin_known.c)
 * count by themselves only; and any other has a few guesses an hour of its own (IPv6: one /48), whatever
 * others do.
 */
#ifndef COMMON_ADMIN_LIMITER_H
#define COMMON_ADMIN_LIMITER_H

#include <stdbool.h>

#include "common/netaddr.h"

/* Failures at once, then one in so many seconds. */
enum {
    ADMIN_LIMIT_ADDRESS = 5,
    ADMIN_LIMIT_ADDRESS_SECONDS = 30,
    ADMIN_LIMIT_USER = 10,
    ADMIN_LIMIT_USER_SECONDS = 30,
    ADMIN_LIMIT_OWN = 2, /* though the user's are used up */
    ADMIN_LIMIT_OWN_SECONDS = 1800,
    ADMIN_LIMIT_TRUSTED = 256, /* pairs of user and address; the newest replaces the oldest */
    ADMIN_LIMIT_KNOWN =
        1024, /* addresses, and names, that are counted; the least guilty are forgotten first */
};

struct admin_limiter;

/* NULL when memory is out. */
struct admin_limiter *admin_limiter_new(void);
void admin_limiter_free(struct admin_limiter *l);
/* 0: the password may be looked at, and the attempt counts as a failure until it is taken back. Otherwise
 * refused: the seconds until one more will be looked at. now: monotonic. */
double admin_limiter_take(struct admin_limiter *l, const struct netaddr *client, const char *user,
                          double now);
/* The password was right. True: this user has not been seen from there. */
bool admin_limiter_succeeded(struct admin_limiter *l, const struct netaddr *client, const char *user);
/* This user has logged in from there before. */
void admin_limiter_trust(struct admin_limiter *l, const struct netaddr *client, const char *user);

#endif
