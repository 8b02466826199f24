/*
 * How much may be sent to addresses that have shown nothing: an answer without authentication must not help
 * anyone to flood a third party whose address he puts into requests. Answers of up to 1.6 times the request
 * pass; a longer one (a challenge with its realm and nonce; Binding over IPv6, where the address alone takes
 * 24 bytes) comes out of a budget per address: so many a second, and eight seconds' worth at once. Where it
 * is used up, the answer stays away. Requests with credentials that are right never come here.
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
    TURN_LIMITER_SECONDS = 8, /* saved up at most: 512 challenges by default, a school behind one address */
};

struct turn_limiter {
    uint64_t seed[2];
    struct {
        uint32_t second;
        uint32_t spent;
    } slots[TURN_LIMITER_SLOTS];
};

void turn_limiter_init(struct turn_limiter *l);
/* True when an answer of this size may go out; then it is counted. now: seconds, monotonic. most: answers
 * above 1.6 times their request, a second. */
bool turn_limiter_allow(struct turn_limiter *l, const struct netaddr *to, size_t request, size_t answer,
                        uint32_t now, uint32_t most);

#endif
