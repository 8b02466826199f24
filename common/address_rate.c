/* Sets of four: an address is looked for in one set only, and pushes out nobody of another. */
#include "common/address_rate.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

#include "common/siphash.h"

enum { SETS = 4096, WAYS = 4 };

struct bucket {
    uint64_t client; /* keyed hash of the address; strangers cannot make two of them meet */
    double paid_until;
};

struct address_rate {
    uint64_t seed[2];
    struct bucket sets[SETS][WAYS];
};

struct address_rate *address_rate_new(void)
{
    struct address_rate *r = calloc(1, sizeof *r);
    if (r && getrandom(r->seed, sizeof r->seed, 0) != (ssize_t)sizeof r->seed) {
        free(r);
        return NULL;
    }
    return r;
}

void address_rate_free(struct address_rate *r)
{
    free(r);
}

/* The bucket of that client: its own, or the one that is least ahead, emptied. */
static struct bucket *bucket_of(struct address_rate *r, uint64_t client)
{
    struct bucket *set = r->sets[client % SETS], *least = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].client == client)
            return &set[i];
        if (set[i].paid_until < least->paid_until)
            least = &set[i];
    }
    *least = (struct bucket){.client = client};
    return least;
}

bool address_rate_take(struct address_rate *r, const struct netaddr *a, double now, double per_second,
                       double burst)
{
    struct bucket *b = bucket_of(r, siphash(r->seed, a->ip, a->family == AF_INET ? 4 : 8));
    double from = b->paid_until > now ? b->paid_until : now;
    if ((from - now) * per_second > burst - 1)
        return false;
    b->paid_until = from + 1 / per_second;
    return true;
}
