/* An address that comes or goes is told. In a network namespace of the test's own, where it may make some. */
#include "common/address_watch.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static unsigned changes;

static void on_changed(void *ctx)
{
    changes++;
    ev_break(ctx, EVBREAK_ALL);
}

static void give_up(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)t, (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

START_TEST(test_change_is_told)
{
    struct ev_loop *loop = ev_default_loop(0);
    ev_timer limit;
    if (unshare(CLONE_NEWNET) < 0)
        return; /* needs root, as the lab does */
    struct address_watch *w = address_watch_new(loop, on_changed, loop);
    ck_assert_ptr_nonnull(w);
    ev_timer_init(&limit, give_up, 10, 10);
    ev_timer_start(loop, &limit);
    ck_assert_int_eq(system("ip link set lo up && ip address add 192.0.2.77/32 dev lo"), 0);
    ev_run(loop, 0);
    ck_assert_uint_eq(changes, 1); /* one for both */
    ck_assert_int_eq(system("ip address del 192.0.2.77/32 dev lo"), 0);
    ev_run(loop, 0);
    ck_assert_uint_eq(changes, 2);
    address_watch_free(w);
}
END_TEST

UNIT_MAIN("address_watch", test_change_is_told)
