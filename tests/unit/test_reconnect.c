/* Waits between attempts, with a fake clock and fixed random bits. */
#include <check.h>

#include "core/tunnel/reconnect.h"

START_TEST(first_retry_is_within_a_second)
{
    struct reconnect r;
    reconnect_init(&r);
    reconnect_up(&r, 100);
    double wait = reconnect_down(&r, 1000, UINT32_MAX);
    ck_assert(wait > 0 && wait <= 1.0);
}
END_TEST

START_TEST(waits_double_up_to_thirty_seconds)
{
    struct reconnect r;
    reconnect_init(&r);
    double last = 0, now = 0;
    for (int i = 0; i < 40; i++) {
        double wait = reconnect_down(&r, now, UINT32_MAX);
        ck_assert(wait >= last && wait <= RECONNECT_MAX);
        ck_assert(i == 0 || wait <= 2 * last);
        now += wait;
        last = wait;
    }
    ck_assert_double_eq(last, RECONNECT_MAX);
}
END_TEST

START_TEST(jitter_covers_the_upper_half)
{
    struct reconnect a, b;
    reconnect_init(&a);
    reconnect_init(&b);
    for (int i = 0; i < 20; i++) {
        double least = reconnect_down(&a, 0, 0), most = reconnect_down(&b, 0, UINT32_MAX);
        ck_assert_double_eq_tol(least, most / 2, 1e-9);
    }
}
END_TEST

START_TEST(a_steady_tunnel_starts_the_wait_over)
{
    struct reconnect r;
    reconnect_init(&r);
    for (int i = 0; i < 10; i++)
        reconnect_down(&r, 0, 0);
    reconnect_up(&r, 2000);
    ck_assert(reconnect_down(&r, 2000 + RECONNECT_STEADY, UINT32_MAX) <= 1.0);
}
END_TEST

START_TEST(a_tunnel_that_always_dies_at_once_backs_off_in_the_end)
{
    struct reconnect r;
    double now = 0, wait = 0;
    reconnect_init(&r);
    for (int i = 0; i < RECONNECT_SHORT_LIVES; i++) {
        reconnect_up(&r, now);
        wait = reconnect_down(&r, now + 1, UINT32_MAX);
        ck_assert(wait <= 1.0);
        now += 1 + wait;
    }
    for (int i = 0; i < 10; i++) {
        reconnect_up(&r, now);
        wait = reconnect_down(&r, now + 1, UINT32_MAX);
        now += 1 + wait;
    }
    ck_assert_double_eq(wait, RECONNECT_MAX);
    reconnect_up(&r, now);
    ck_assert(reconnect_down(&r, now + RECONNECT_STEADY, UINT32_MAX) <= 1.0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reconnect");
    TCase *tc = tcase_create("waits");
    tcase_add_test(tc, first_retry_is_within_a_second);
    tcase_add_test(tc, waits_double_up_to_thirty_seconds);
    tcase_add_test(tc, jitter_covers_the_upper_half);
    tcase_add_test(tc, a_steady_tunnel_starts_the_wait_over);
    tcase_add_test(tc, a_tunnel_that_always_dies_at_once_backs_off_in_the_end);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
