#include <check.h>
#include <stdlib.h>

#include "common/round.h"

enum { TASKS = 3 * ROUND_TURNS };

static struct ev_loop *loop;
static struct round_task tasks[TASKS];
static unsigned order[TASKS], done;

static void note(struct round_task *task)
{
    order[done++] = (unsigned)(task - tasks);
}

/* All of them from one round. */
static void on_flood(struct ev_loop *l, ev_timer *timer, int revents)
{
    (void)timer, (void)revents;
    for (unsigned i = 0; i < TASKS; i++) {
        tasks[i].run = note;
        round_in_turn(l, &tasks[i]);
    }
}

static void setup(void)
{
    static ev_timer flood;
    loop = ev_loop_new(0);
    ck_assert_ptr_nonnull(loop);
    done = 0;
    ev_timer_init(&flood, on_flood, 0, 0);
    ev_timer_start(loop, &flood);
}

/* A round does so many at once; the others wait, in order, and nothing else is held up: the loop turns. */
START_TEST(test_turns)
{
    setup();
    ev_run(loop, EVRUN_ONCE);
    ck_assert_uint_eq(done, ROUND_TURNS);
    for (unsigned before = done; done < TASKS; before = done) {
        ev_run(loop, EVRUN_ONCE);
        ck_assert_uint_le(done - before, ROUND_TURNS);
    }
    for (unsigned i = 0; i < TASKS; i++)
        ck_assert_uint_eq(order[i], i);
    ev_loop_destroy(loop);
}
END_TEST

static void one_more(struct round_task *task)
{
    unsigned before = done;
    note(task);
    round_in_turn(loop, &tasks[TASKS - 1]);
    ck_assert_uint_eq(done, before + 1); /* not from inside of this one */
}

/* What a turn brings waits for the next round, also when nothing else waits any more. */
START_TEST(test_turns_of_turns)
{
    setup();
    ev_run(loop, EVRUN_ONCE);
    for (unsigned i = ROUND_TURNS + 1; i < TASKS; i++)
        round_cancel(&tasks[i]);
    tasks[ROUND_TURNS].run = one_more;
    ev_run(loop, 0);
    ck_assert_uint_eq(done, ROUND_TURNS + 2);
    ev_loop_destroy(loop);
}
END_TEST

static void take_back_next(struct round_task *task)
{
    note(task);
    round_cancel(task + 1);
}

/* What waits can be taken back, and another task may do it. */
START_TEST(test_cancelled)
{
    setup();
    ev_run(loop, EVRUN_ONCE);
    tasks[ROUND_TURNS + 1].run = take_back_next;
    round_cancel(&tasks[ROUND_TURNS]);
    ev_run(loop, 0);
    ck_assert_uint_eq(done, TASKS - 2);
    ck_assert_uint_eq(order[ROUND_TURNS], ROUND_TURNS + 1);
    ck_assert_uint_eq(order[ROUND_TURNS + 1], ROUND_TURNS + 3);
    ev_loop_destroy(loop);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("round");
    TCase *t = tcase_create("turns");
    tcase_add_test(t, test_turns);
    tcase_add_test(t, test_turns_of_turns);
    tcase_add_test(t, test_cancelled);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
