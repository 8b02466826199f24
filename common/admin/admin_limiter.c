#include "common/admin/admin_limiter.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/fatal.h"
#include "common/siphash.h"
#include <openssl/rand.h>

enum { PLACES = 4 };

/* A bucket is one number: the moment up to which what was used is paid for (GCRA). */
struct bucket {
    uint64_t key; /* 0: free */
    double paid;
};

struct admin_limiter {
    uint64_t seed[2];
    struct bucket addresses[ADMIN_LIMIT_KNOWN], users[ADMIN_LIMIT_KNOWN], own[ADMIN_LIMIT_KNOWN];
    uint64_t trusted[ADMIN_LIMIT_TRUSTED]; /* of user and address together */
    size_t n_trusted;                      /* ever: the newest replaces the oldest */
};

struct admin_limiter *admin_limiter_new(void)
{
    struct admin_limiter *l = calloc(1, sizeof *l);
    if (l && RAND_bytes((unsigned char *)l->seed, sizeof l->seed) != 1)
        fatal("no random bytes");
    return l;
}

void admin_limiter_free(struct admin_limiter *l)
{
    free(l);
}

enum { KEY_MAX = 9 + 64 };

static size_t key_network(const struct netaddr *a, size_t n_ip6, uint8_t key[KEY_MAX])
{
    memset(key, 0, 9);
    key[0] = a->family;
    memcpy(key + 1, a->ip, a->family == AF_INET ? 4 : n_ip6);
    return 9;
}

static size_t key_address(const struct netaddr *a, uint8_t key[KEY_MAX])
{
    return key_network(a, 8, key);
}

/* Names are compared without case, as they are when somebody logs in. */
static size_t key_user(const char *user, uint8_t *key)
{
    size_t n = 0;
    for (; user[n] && n < 64; n++)
        key[n] = (uint8_t)(user[n] >= 'A' && user[n] <= 'Z' ? user[n] | 0x20 : user[n]);
    return n;
}

static uint64_t key_hash(const struct admin_limiter *l, const uint8_t *key, size_t n)
{
    uint64_t h = siphash(l->seed, key, n);
    return h ? h : 1;
}

/* Its bucket, or, in the places where it may be, the one that is least ahead. */
static struct bucket *bucket_of(struct bucket *table, uint64_t key)
{
    struct bucket *best = NULL;
    for (size_t i = 0; i < PLACES; i++) {
        struct bucket *b = &table[(key + i) % ADMIN_LIMIT_KNOWN];
        if (b->key == key)
            return b;
        if (!best || b->paid < best->paid)
            best = b;
    }
    *best = (struct bucket){.key = key};
    return best;
}

/* Seconds until one more fits; 0: now. */
static double bucket_wait(const struct bucket *b, double now, unsigned burst, unsigned seconds)
{
    double ahead = b->paid - now, room = (double)(burst - 1) * seconds;
    return ahead > room ? ahead - room : 0;
}

static void bucket_take(struct bucket *b, double now, unsigned seconds)
{
    b->paid = (b->paid > now ? b->paid : now) + seconds;
}

static uint64_t limiter_pair(const struct admin_limiter *l, const struct netaddr *client, const char *user)
{
    uint8_t key[KEY_MAX];
    size_t n = key_address(client, key);
    return key_hash(l, key, n + key_user(user, key + n));
}

static bool limiter_trusts(const struct admin_limiter *l, uint64_t pair)
{
    for (size_t i = 0; i < ADMIN_LIMIT_TRUSTED; i++)
        if (l->trusted[i] == pair)
            return true;
    return false;
}

/* The user's bucket, or while others have it used up, one that they do not share. */
static struct bucket *bucket_for_user(struct admin_limiter *l, const struct netaddr *client, const char *user,
                                      double now, unsigned *burst, unsigned *seconds)
{
    uint8_t key[KEY_MAX];
    struct bucket *name = bucket_of(l->users, key_hash(l, key, key_user(user, key)));
    *burst = ADMIN_LIMIT_USER;
    *seconds = ADMIN_LIMIT_USER_SECONDS;
    if (bucket_wait(name, now, *burst, *seconds) <= 0)
        return name;
    struct bucket *own = bucket_of(l->own, key_hash(l, key, key_network(client, 6, key)));
    if (bucket_wait(own, now, ADMIN_LIMIT_OWN, ADMIN_LIMIT_OWN_SECONDS) > 0)
        return name; /* whichever has room first; this one has more often */
    *burst = ADMIN_LIMIT_OWN;
    *seconds = ADMIN_LIMIT_OWN_SECONDS;
    return own;
}

double admin_limiter_take(struct admin_limiter *l, const struct netaddr *client, const char *user, double now)
{
    uint8_t key[KEY_MAX];
    unsigned burst, seconds;
    struct bucket *address = bucket_of(l->addresses, key_hash(l, key, key_address(client, key)));
    struct bucket *name = bucket_for_user(l, client, user, now, &burst, &seconds);
    bool trusted = limiter_trusts(l, limiter_pair(l, client, user));
    double wait = bucket_wait(address, now, ADMIN_LIMIT_ADDRESS, ADMIN_LIMIT_ADDRESS_SECONDS),
           wait_name = bucket_wait(name, now, burst, seconds);
    if (!trusted && wait_name > wait)
        wait = wait_name;
    if (wait > 0)
        return wait;
    bucket_take(address, now, ADMIN_LIMIT_ADDRESS_SECONDS);
    if (!trusted)
        bucket_take(name, now, seconds);
    return 0;
}

void admin_limiter_trust(struct admin_limiter *l, const struct netaddr *client, const char *user)
{
    uint64_t pair = limiter_pair(l, client, user);
    if (!limiter_trusts(l, pair))
        l->trusted[l->n_trusted++ % ADMIN_LIMIT_TRUSTED] = pair;
}

/* Not a clean slate for whoever has one password and guesses another: only this attempt is taken back, and
 * what it took of a user whom others guess at is not. */
bool admin_limiter_succeeded(struct admin_limiter *l, const struct netaddr *client, const char *user)
{
    uint8_t key[KEY_MAX];
    bucket_of(l->addresses, key_hash(l, key, key_address(client, key)))->paid -= ADMIN_LIMIT_ADDRESS_SECONDS;
    if (limiter_trusts(l, limiter_pair(l, client, user)))
        return false;
    admin_limiter_trust(l, client, user);
    return true;
}
