#include <stdlib.h>
#include <string.h>

#include "edge/turn/turn_wheel.h"
#include "tests/unit/unit.h"

struct thing {
    struct turn_timer timer;
    uint32_t ended;      /* at which second; 0: not yet */
    uint32_t again;      /* comes back so many seconds later */
    struct thing *takes; /* with it */
};

static struct turn_wheel wheel;

static void expired(void *ctx, struct turn_timer *t)
{
    struct thing *thing = (struct thing *)(void *)t;
    (void)ctx;
    thing->ended = wheel.now;
    if (thing->takes)
        turn_wheel_remove(&thing->takes->timer);
    if (thing->again) {
        turn_wheel_add(&wheel, t, wheel.now + thing->again);
        thing->again = 0;
    }
}

static void run_to(uint32_t second)
{
    while (wheel.now != second)
        turn_wheel_advance(&wheel, wheel.now + 1);
}

START_TEST(test_each_at_its_second)
{
    enum { N = 3000 };
    struct thing *things = calloc(N, sizeof *things);
    turn_wheel_init(&wheel, 1000, expired, NULL);
    for (uint32_t i = 0; i < N; i++)
        turn_wheel_add(&wheel, &things[i].timer, 1001 + i);
    run_to(1000 + N);
    for (uint32_t i = 0; i < N; i++)
        ck_assert_uint_eq(things[i].ended, 1001 + i);
    free(things);
}
END_TEST

START_TEST(test_put_off_and_brought_forward)
{
    struct thing later = {0}, sooner = {0};
    turn_wheel_init(&wheel, 1000, expired, NULL);
    turn_wheel_add(&wheel, &later.timer, 1010);
    later.timer.due = 1500; /* as refreshing does */
    turn_wheel_add(&wheel, &sooner.timer, 1400);
    turn_wheel_move(&wheel, &sooner.timer, 1020);
    run_to(1600);
    ck_assert_uint_eq(later.ended, 1500);
    ck_assert_uint_eq(sooner.ended, 1020);
}
END_TEST

START_TEST(test_removal_and_return_from_the_callback)
{
    struct thing a = {0}, b = {0}, c = {.again = TURN_WHEEL_SLOTS};
    turn_wheel_init(&wheel, 1000, expired, NULL);
    a.takes = &b; /* whichever comes first of the two ends the other */
    b.takes = &a;
    turn_wheel_add(&wheel, &a.timer, 1005);
    turn_wheel_add(&wheel, &b.timer, 1005);
    turn_wheel_add(&wheel, &c.timer, 1005);
    run_to(1006);
    ck_assert_uint_eq(a.ended + b.ended, 1005);
    ck_assert_uint_eq(c.ended, 1005);
    run_to(3000);
    ck_assert_uint_eq(c.ended, 1005 + TURN_WHEEL_SLOTS);
    turn_wheel_remove(&c.timer); /* not in it any more: nothing happens */
}
END_TEST

/* The process was stopped for a while, or the clock began anew at 0. */
START_TEST(test_leaps_and_wrap)
{
    struct thing a = {0}, b = {0}, c = {0};
    turn_wheel_init(&wheel, UINT32_MAX - 10, expired, NULL);
    turn_wheel_add(&wheel, &a.timer, UINT32_MAX - 5);
    turn_wheel_add(&wheel, &b.timer, 5);
    turn_wheel_add(&wheel, &c.timer, 100000);
    turn_wheel_advance(&wheel, 50000);
    ck_assert_uint_eq(a.ended, 50000);
    ck_assert_uint_eq(b.ended, 50000);
    ck_assert_uint_eq(c.ended, 0);
    turn_wheel_advance(&wheel, 100000);
    ck_assert_uint_eq(c.ended, 100000);
}
END_TEST

/* In portions, with others coming, going and being put off in between. */
START_TEST(test_portions)
{
    enum { N = 100 };
    struct thing things[N] = {0}, late = {0}, gone = {0}, off = {0};
    unsigned most = 30;
    turn_wheel_init(&wheel, 1000, expired, NULL);
    for (uint32_t i = 0; i < N; i++)
        turn_wheel_add(&wheel, &things[i].timer, 1001 + i % 2);
    ck_assert(turn_wheel_sweep(&wheel, 1000, &most));
    ck_assert_uint_eq(most, 30);
    turn_wheel_add(&wheel, &off.timer, 1002);
    turn_wheel_add(&wheel, &gone.timer, 1002);
    ck_assert(!turn_wheel_sweep(&wheel, 1002, &most));
    ck_assert_uint_eq(most, 0);
    off.timer.due = 1002 + TURN_WHEEL_SLOTS;
    turn_wheel_remove(&gone.timer);
    turn_wheel_add(&wheel, &late.timer, 1003);
    unsigned rounds = 0;
    for (bool done = false; !done; rounds++) {
        most = 30;
        done = turn_wheel_sweep(&wheel, 1002, &most);
    }
    ck_assert_uint_eq(rounds, 3); /* 71 are left: 30, 30, 11 */
    for (uint32_t i = 0; i < N; i++)
        ck_assert_uint_eq(things[i].ended, 1002);
    ck_assert_uint_eq(late.ended, 0);
    ck_assert_uint_eq(gone.ended, 0);
    run_to(1002 + TURN_WHEEL_SLOTS - 1);
    ck_assert_uint_eq(late.ended, 1003);
    ck_assert_uint_eq(off.ended, 0);
    run_to(1002 + TURN_WHEEL_SLOTS);
    ck_assert_uint_eq(off.ended, 1002 + TURN_WHEEL_SLOTS);
}
END_TEST

UNIT_MAIN("turn_wheel", test_portions, test_each_at_its_second, test_put_off_and_brought_forward,
          test_removal_and_return_from_the_callback, test_leaps_and_wrap)
