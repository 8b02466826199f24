#include "edge/turn/turn_wheel.h"

#include <stddef.h>
#include <string.h>

void turn_wheel_init(struct turn_wheel *w, uint32_t now, void (*expired)(void *ctx, struct turn_timer *t),
                     void *ctx)
{
    memset(w->slots, 0, sizeof w->slots);
    w->now = now;
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

/* The slot's list is moved aside first: what is put back for a later turn of the wheel must not be met again.
 */
static void turn_wheel_visit(struct turn_wheel *w, struct turn_timer **slot)
{
    struct turn_timer *list = *slot;
    *slot = NULL;
    if (list)
        list->link = &list;
    while (list) {
        struct turn_timer *t = list;
        turn_wheel_remove(t);
        if ((int32_t)(t->due - w->now) > 0)
            turn_wheel_add(w, t, t->due);
        else
            w->expired(w->ctx, t);
    }
}

void turn_wheel_advance(struct turn_wheel *w, uint32_t now)
{
    uint32_t passed = now - w->now;
    uint32_t first = w->now + 1;
    w->now = now;
    if (passed > TURN_WHEEL_SLOTS)
        passed = TURN_WHEEL_SLOTS;
    for (uint32_t i = 0; i < passed; i++)
        turn_wheel_visit(w, &w->slots[(first + i) % TURN_WHEEL_SLOTS]);
}
