/*
 * How much may be sent to addresses that have shown nothing: an answer without authentication must not help
 * anyone to flood a third party whose address he puts into requests. Answers of up to 1.6 times the request
 * pass; what a challenge (401, 438) has on top, for its realm and nonce, comes out of a budget per address: a
 * burst, then so much a second. Where it is used up, the answer stays away.
 *
 * Memory is fixed: addresses share slots by a keyed hash. So many slots that a flood from random addresses
 * leaves each slot well within its budget, and a guest sharing one still gets his challenge.
 */
#ifndef EDGE_TURN_TURN_LIMITER_H
#define EDGE_TURN_TURN_LIMITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/netaddr.h"

enum {
    TURN_LIMITER_SLOTS = 16384,
    TURN_LIMITER_BURST = 32768,     /* bytes; about 600 challenges: a school behind one address */
    TURN_LIMITER_PER_SECOND = 4096, /* bytes */
};

struct turn_limiter {
    uint64_t seed[2];
    struct {
        uint32_t second;
        uint32_t spent;
    } slots[TURN_LIMITER_SLOTS];
};

void turn_limiter_init(struct turn_limiter *l);
/* True when an answer of this size may go out; then it is counted. now: seconds, monotonic. */
bool turn_limiter_allow(struct turn_limiter *l, const struct netaddr *to, size_t request, size_t answer,
                        uint32_t now);

#endif
