/*
 * How much may be relayed: a token bucket that is one number, the moment up to which what has passed is paid
 * for (GCRA). Each packet moves it on by the time its bytes take at the rate; while it lies further in the
 * future than the burst, packets are dropped. One number can be shared by processes without a lock.
 *
 * Hot path: no clock is read here; now is that of the loop's round. A packet is weighed once it has been let
 * through, so one of any size passes while there is something left.
 */
#ifndef EDGE_TURN_TURN_RATE_H
#define EDGE_TURN_TURN_RATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TURN_RATE_SHIFT = 16,
    TURN_RATE_BURST_MS = 500, /* what may come at once: half a second of the rate (a key frame) … */
    TURN_RATE_BURST_LEAST = 16 * 1024, /* … and at least so many bytes */
};

struct turn_rate {
    uint64_t per_byte; /* nanoseconds << TURN_RATE_SHIFT; 0: no limit */
    uint64_t burst;    /* nanoseconds */
};

/* kbps: 1000 bits a second; 0: no limit. */
static inline struct turn_rate turn_rate_make(uint32_t kbps)
{
    if (!kbps)
        return (struct turn_rate){0};
    uint64_t per_byte = ((uint64_t)8000000 << TURN_RATE_SHIFT) / kbps;
    uint64_t burst = (uint64_t)TURN_RATE_BURST_MS * 1000000,
             least = (TURN_RATE_BURST_LEAST * per_byte) >> TURN_RATE_SHIFT;
    return (struct turn_rate){.per_byte = per_byte, .burst = burst > least ? burst : least};
}

static inline uint64_t turn_rate_cost(const struct turn_rate *r, size_t n)
{
    return (n * r->per_byte) >> TURN_RATE_SHIFT;
}

/* True when n bytes may pass now; *paid_until is the bucket, at first 0. now: nanoseconds, monotonic. */
static inline bool turn_rate_take(const struct turn_rate *r, uint64_t *paid_until, uint64_t now, size_t n)
{
    uint64_t from = *paid_until > now ? *paid_until : now;
    if (from - now >= r->burst)
        return false;
    *paid_until = from + turn_rate_cost(r, n);
    return true;
}

/* The same for a bucket that several processes share. */
static inline bool turn_rate_take_shared(const struct turn_rate *r, _Atomic uint64_t *paid_until,
                                         uint64_t now, size_t n)
{
    uint64_t before = atomic_load_explicit(paid_until, memory_order_relaxed), from;
    do {
        from = before > now ? before : now;
        if (from - now >= r->burst)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(paid_until, &before, from + turn_rate_cost(r, n),
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

/* For streams, of which nothing can be dropped: n bytes have passed. For how many nanoseconds nothing more
 * may, so that the rate holds; 0: there is something left. */
static inline uint64_t turn_rate_pay_shared(const struct turn_rate *r, _Atomic uint64_t *paid_until,
                                            uint64_t now, size_t n)
{
    uint64_t before = atomic_load_explicit(paid_until, memory_order_relaxed), after;
    do
        after = (before > now ? before : now) + turn_rate_cost(r, n);
    while (!atomic_compare_exchange_weak_explicit(paid_until, &before, after, memory_order_relaxed,
                                                  memory_order_relaxed));
    return after - now > r->burst ? after - now - r->burst : 0;
}

#endif
