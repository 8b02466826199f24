#include "common/address_rate.h"

#include <stdio.h>

#include "tests/unit/unit.h"

static struct netaddr address(const char *text)
{
    struct netaddr a;
    ck_assert_int_eq(netaddr_parse(text, 0, &a), ERR_OK);
    return a;
}

START_TEST(test_burst_and_rate)
{
    struct address_rate *r = address_rate_new();
    struct netaddr a = address("192.0.2.1:1"), b = address("192.0.2.2");
    for (int i = 0; i < 5; i++)
        ck_assert(address_rate_take(r, &a, 100, 2, 5));
    a.port = 2; /* another connection */
    ck_assert(!address_rate_take(r, &a, 100, 2, 5));
    ck_assert(address_rate_take(r, &b, 100, 2, 5)); /* another's is its own */
    ck_assert(!address_rate_take(r, &a, 100.4, 2, 5));
    ck_assert(address_rate_take(r, &a, 100.5, 2, 5)); /* one more each half second */
    ck_assert(!address_rate_take(r, &a, 100.5, 2, 5));
    for (int i = 0; i < 5; i++)
        ck_assert(address_rate_take(r, &a, 1000, 2, 5)); /* no more is saved up than the burst */
    ck_assert(!address_rate_take(r, &a, 1000, 2, 5));
    ck_assert(address_rate_take(r, &a, 1000, 2, 6)); /* limits may change */
    address_rate_free(r);
}
END_TEST

START_TEST(test_ipv6_by_network)
{
    struct address_rate *r = address_rate_new();
    struct netaddr a = address("2001:db8::1"), same = address("2001:db8::ffff:1"),
                   other = address("2001:db8:0:1::1");
    ck_assert(address_rate_take(r, &a, 1, 1, 1));
    ck_assert(!address_rate_take(r, &same, 1, 1, 1));
    ck_assert(address_rate_take(r, &other, 1, 1, 1));
    address_rate_free(r);
}
END_TEST

/* Many addresses, each once, make nobody forgotten who is far ahead of his rate. */
START_TEST(test_many_addresses)
{
    struct address_rate *r = address_rate_new();
    struct netaddr greedy = address("192.0.2.1");
    for (int i = 0; i < 50; i++)
        ck_assert(address_rate_take(r, &greedy, 100, 1, 50));
    for (unsigned i = 0; i < 200000; i++) {
        struct netaddr a = {.family = AF_INET, .ip = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
        ck_assert(address_rate_take(r, &a, 100, 1, 50));
    }
    ck_assert(!address_rate_take(r, &greedy, 100, 1, 50));
    address_rate_free(r);
}
END_TEST

UNIT_MAIN("address_rate", test_burst_and_rate, test_ipv6_by_network, test_many_addresses)
