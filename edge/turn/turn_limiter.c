#include "edge/turn/turn_limiter.h"

#include <string.h>
#include <sys/random.h>

#include "common/fatal.h"
#include "common/siphash.h"

void turn_limiter_init(struct turn_limiter *l)
{
    memset(l, 0, sizeof *l);
    if (getrandom(l->seed, sizeof l->seed, 0) != (ssize_t)sizeof l->seed)
        fatal("no random numbers for the limiter");
}

bool turn_limiter_allow(struct turn_limiter *l, const struct netaddr *to, size_t request, size_t answer,
                        uint32_t now, uint32_t most)
{
    if (answer <= request * 8 / 5)
        return true;
    uint64_t hash = siphash(l->seed, to->ip, to->family == AF_INET ? 4 : 8);
    size_t slot = hash % TURN_LIMITER_SLOTS;
    uint32_t passed = now - l->slots[slot].second, spent = l->slots[slot].spent;
    uint64_t regained = (uint64_t)passed * most;
    spent = regained >= spent ? 0 : spent - (uint32_t)regained;
    l->slots[slot].second = now;
    l->slots[slot].spent = spent;
    if (spent >= (uint64_t)most * TURN_LIMITER_SECONDS)
        return false;
    l->slots[slot].spent = spent + 1;
    return true;
}
