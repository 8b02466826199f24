#include "common/throughput.h"

#include "tests/unit/unit.h"

START_TEST(says_nothing_before_the_second_mark)
{
    struct throughput t = {0};
    ck_assert_double_eq(throughput_rate(&t), 0);
    throughput_mark(&t, 1000, 50);
    ck_assert_double_eq(throughput_rate(&t), 0);
    throughput_mark(&t, 1000, 50); /* no time has passed */
    ck_assert_double_eq(throughput_rate(&t), 0);
}
END_TEST

START_TEST(divides_by_the_time_that_passed)
{
    struct throughput t = {0};
    throughput_mark(&t, 1000, 50);
    throughput_mark(&t, 4000, 52);
    ck_assert_double_eq(throughput_rate(&t), 1500);
}
END_TEST

START_TEST(forgets_after_five_seconds)
{
    struct throughput t = {0};
    throughput_mark(&t, 0, 0);
    throughput_mark(&t, 1000000, 1);
    for (int s = 2; s <= 5; s++)
        throughput_mark(&t, 1000000, s);
    ck_assert_double_eq(throughput_rate(&t), 200000);
    throughput_mark(&t, 1000000, 6);
    ck_assert_double_eq(throughput_rate(&t), 0);
    for (int s = 7; s <= 30; s++)
        throughput_mark(&t, 1000000 + (uint64_t)(s - 6) * 10, s);
    ck_assert_double_eq(throughput_rate(&t), 10);
}
END_TEST

START_TEST(a_smaller_total_begins_anew)
{
    struct throughput t = {0};
    throughput_mark(&t, 5000, 1);
    throughput_mark(&t, 6000, 2);
    throughput_mark(&t, 10, 3);
    ck_assert_double_eq(throughput_rate(&t), 0);
    throughput_mark(&t, 30, 4);
    ck_assert_double_eq(throughput_rate(&t), 20);
}
END_TEST

UNIT_MAIN("throughput", says_nothing_before_the_second_mark, divides_by_the_time_that_passed,
          forgets_after_five_seconds, a_smaller_total_begins_anew)
