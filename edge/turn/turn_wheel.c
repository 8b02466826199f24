#include "edge/turn/turn_wheel.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

void turn_wheel_init(struct turn_wheel *w, uint32_t now, void (*expired)(void *ctx, struct turn_timer *t),
                     void *ctx)
{
    memset(w->slots, 0, sizeof w->slots);
    w->now = w->at = now;
    w->list = NULL;
    w->expired = expired;
    w->ctx = ctx;
}

void turn_wheel_add(struct turn_wheel *w, struct turn_timer *t, uint32_t due)
{
    struct turn_timer **slot = &w->slots[due % TURN_WHEEL_SLOTS];
    t->due = due;
    t->next = *slot;
    t->link = slot;
    if (t->next)
        t->next->link = &t->next;
    *slot = t;
}

void turn_wheel_remove(struct turn_timer *t)
{
    if (!t->link)
        return;
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    t->link = NULL;
    t->next = NULL;
}

void turn_wheel_move(struct turn_wheel *w, struct turn_timer *t, uint32_t due)
{
    turn_wheel_remove(t);
    turn_wheel_add(w, t, due);
}

/* The next second's list is moved aside: what is put back for a later turn of the wheel must not be met
 * again. False when there is no next second. */
static bool turn_wheel_next(struct turn_wheel *w)
{
    if (w->at == w->now)
        return false;
    if (w->now - w->at > TURN_WHEEL_SLOTS) /* once around is enough */
        w->at = w->now - TURN_WHEEL_SLOTS;
    struct turn_timer **slot = &w->slots[++w->at % TURN_WHEEL_SLOTS];
    w->list = *slot;
    *slot = NULL;
    if (w->list)
        w->list->link = &w->list;
    return true;
}

bool turn_wheel_sweep(struct turn_wheel *w, uint32_t now, unsigned *most)
{
    w->now = now;
    for (;;) {
        struct turn_timer *t = w->list;
        if (!t) {
            if (!turn_wheel_next(w))
                return true;
            continue;
        }
        if (*most == 0)
            return false;
        --*most;
        turn_wheel_remove(t);
        if ((int32_t)(t->due - now) > 0)
            turn_wheel_add(w, t, t->due);
        else
            w->expired(w->ctx, t);
    }
}

void turn_wheel_advance(struct turn_wheel *w, uint32_t now)
{
    unsigned all = UINT_MAX;
    turn_wheel_sweep(w, now, &all);
}
