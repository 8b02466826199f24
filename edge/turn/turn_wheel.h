/*
 * Things that end at a certain second, in one list per second: one sweep a second over what is due, no timer
 * per thing. Seconds are the server's monotonic ones. Putting something off is free: it is noticed when its
 * old second comes.
 */
#ifndef EDGE_TURN_TURN_WHEEL_H
#define EDGE_TURN_TURN_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

enum { TURN_WHEEL_SLOTS = 1024 };

struct turn_timer {
    struct turn_timer *next, **link; /* link: what points here; NULL: not in a wheel */
    uint32_t due;
};

struct turn_wheel {
    struct turn_timer *slots[TURN_WHEEL_SLOTS];
    uint32_t now, at;        /* at: the second whose list is being gone through, or was last */
    struct turn_timer *list; /* what is left of it */
    /* Called with the timer taken out of the wheel. It may free it, put it back, and remove others. */
    void (*expired)(void *ctx, struct turn_timer *t);
    void *ctx;
};

void turn_wheel_init(struct turn_wheel *w, uint32_t now, void (*expired)(void *ctx, struct turn_timer *t),
                     void *ctx);
/* due must be later than now. */
void turn_wheel_add(struct turn_wheel *w, struct turn_timer *t, uint32_t due);
/* A timer that is in the wheel may also get a later due by writing t->due; an earlier one needs this. */
void turn_wheel_move(struct turn_wheel *w, struct turn_timer *t, uint32_t due);
/* Does nothing for a timer that is in no wheel. */
void turn_wheel_remove(struct turn_timer *t);
/* Calls expired for everything with due <= now. Seconds may be skipped over. */
void turn_wheel_advance(struct turn_wheel *w, uint32_t now);
/* The same in portions: goes through *most timers at most, counting *most down. True when it is through; else
 * it goes on from there the next time, whatever happened meanwhile. */
bool turn_wheel_sweep(struct turn_wheel *w, uint32_t now, unsigned *most);

#endif
