#include <stdio.h>

#include "edge/turn/turn_limiter.h"
#include "tests/unit/unit.h"

enum { MOST = 64 };

static struct turn_limiter limiter;

static struct netaddr address(const char *text)
{
    struct netaddr a;
    ck_assert_int_eq(netaddr_parse(text, 0, &a), ERR_OK);
    return a;
}

START_TEST(test_small_answers_always_pass)
{
    struct netaddr a = address("192.0.2.1");
    turn_limiter_init(&limiter);
    for (int i = 0; i < 100000; i++)
        ck_assert(turn_limiter_allow(&limiter, &a, 20, 32, 0, MOST)); /* exactly 1.6 times */
}
END_TEST

START_TEST(test_budget_is_spent_and_regained)
{
    struct netaddr a = address("192.0.2.1");
    unsigned passed = 0;
    turn_limiter_init(&limiter);
    while (turn_limiter_allow(&limiter, &a, 20, 96, 1000, MOST))
        passed++;
    ck_assert_uint_eq(passed, MOST * TURN_LIMITER_SECONDS);
    for (passed = 0; turn_limiter_allow(&limiter, &a, 20, 96, 1001, MOST);)
        passed++;
    ck_assert_uint_eq(passed, MOST);
    for (passed = 0; turn_limiter_allow(&limiter, &a, 20, 96, 5000, MOST);)
        passed++;
    ck_assert_uint_eq(passed, MOST * TURN_LIMITER_SECONDS);
}
END_TEST

/* A /64 is one address: whoever has it could otherwise use as many budgets as it likes. */
START_TEST(test_ipv6_by_network)
{
    struct netaddr a = address("2001:db8::1"), b = address("2001:db8::2"), c = address("2001:db8:0:1::1");
    turn_limiter_init(&limiter);
    while (turn_limiter_allow(&limiter, &a, 20, 96, 0, MOST))
        ;
    ck_assert(!turn_limiter_allow(&limiter, &b, 20, 96, 0, MOST));
    ck_assert(turn_limiter_allow(&limiter, &c, 20, 96, 0, MOST));
}
END_TEST

/* 100 000 requests a second from random addresses leave a guest's slot with enough. */
START_TEST(test_flood_from_everywhere)
{
    struct netaddr guest = address("192.0.2.1"), a = address("10.0.0.0");
    unsigned refused = 0;
    turn_limiter_init(&limiter);
    for (uint32_t second = 0; second < 30; second++) {
        for (uint32_t i = 0; i < 100000; i++) {
            uint32_t n = i * 2654435761u + second * 40503u;
            a.ip[1] = (uint8_t)(n >> 16);
            a.ip[2] = (uint8_t)(n >> 8);
            a.ip[3] = (uint8_t)n;
            turn_limiter_allow(&limiter, &a, 28, 96, second, MOST);
        }
        refused += !turn_limiter_allow(&limiter, &guest, 28, 96, second, MOST);
    }
    ck_assert_uint_eq(refused, 0);
}
END_TEST

UNIT_MAIN("turn_limiter", test_small_answers_always_pass, test_budget_is_spent_and_regained,
          test_ipv6_by_network, test_flood_from_everywhere)
