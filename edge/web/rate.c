#include "edge/web/rate.h"

#include <stdlib.h>
#include <sys/random.h>

#include "common/fatal.h"
#include "common/siphash.h"

enum { BUCKETS = 16384 };

/* What was taken out and has not come back yet: a bucket of zeros is full. */
struct bucket {
    double taken, at;
};

struct rate {
    uint64_t seed[2];
    struct bucket buckets[BUCKETS];
};

struct rate *rate_new(void)
{
    struct rate *r = calloc(1, sizeof *r);
    if (r)
        REQUIRE(getrandom(r->seed, sizeof r->seed, 0) == sizeof r->seed);
    return r;
}

void rate_free(struct rate *r)
{
    free(r);
}

bool rate_take(struct rate *r, const struct netaddr *client, long rate, long burst, double now)
{
    uint64_t hash = siphash(r->seed, client->ip, client->family == AF_INET ? 4 : 8);
    struct bucket *b = &r->buckets[hash % BUCKETS];
    b->taken -= (now - b->at) * (double)rate;
    b->at = now;
    if (b->taken < 0)
        b->taken = 0;
    if (b->taken + 1 > (double)burst)
        return false;
    b->taken += 1;
    return true;
}
