/* ICMP errors in Data indications, RFC 8656 §11.5, §18.13. */
#include "edge/turn/turn_icmp.h"
#include "tests/unit/turn_fixture.h"

#define PEER "198.51.100.7:80"

static struct fixture f;

/* True when the client was told. */
static bool report(const char *peer, unsigned type, unsigned code, uint32_t data)
{
    struct netaddr a = address(peer);
    f.answer_size = 0;
    turn_icmp_report(fixture_relay(&f, turn_family(&a)), &a, (uint8_t)type, (uint8_t)code, data);
    if (!f.answer_size)
        return false;
    ck_assert_int_eq(stun_parse(f.answer_bytes, f.answer_size, &f.answer), ERR_OK);
    ck_assert_int_eq(f.answer.class, STUN_INDICATION);
    ck_assert_int_eq(f.answer.method, STUN_METHOD_DATA_INDICATION);
    ck_assert(!stun_has(&f.answer, STUN_DATA));
    return true;
}

static void start(void)
{
    fixture_start(&f, "");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.7"), 0);
}

START_TEST(test_indication)
{
    static const uint8_t expected[8] = {0, 0, 3 << 1, 3, 0, 0, 0, 0},
                         too_big[8] = {0, 0, 3 << 1, 4, 0, 0, 5, 0x78};
    struct netaddr peer, to = address(PEER);
    start();
    ck_assert(report(PEER, 3, 3, 99));
    ck_assert_int_eq(stun_get_xor_address(&f.answer, STUN_XOR_PEER_ADDRESS, &peer), ERR_OK);
    ck_assert(netaddr_equal(&peer, &to));
    ck_assert_mem_eq(stun_get(&f.answer, STUN_ICMP).at, expected, sizeof expected);
    ck_assert(report(PEER, 3, 4, 1400));
    ck_assert_mem_eq(stun_get(&f.answer, STUN_ICMP).at, too_big, sizeof too_big);
    ck_assert(report(PEER, 11, 0, 0));
    fixture_stop(&f);
}
END_TEST

START_TEST(test_ipv6)
{
    static const uint8_t too_big[8] = {0, 0, 2 << 1, 0, 0, 0, 5, 0};
    fixture_start(&f, "");
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    stun_put_u32(&f.writer, STUN_REQUESTED_ADDRESS_FAMILY, 2u << 24);
    ck_assert_int_eq(fixture_request(&f), 0);
    ck_assert_int_eq(fixture_permit(&f, "2001:db8:9::1"), 0);
    ck_assert(report("[2001:db8:9::1]:80", 2, 0, 1280));
    ck_assert_mem_eq(stun_get(&f.answer, STUN_ICMP).at, too_big, sizeof too_big);
    ck_assert(report("[2001:db8:9::1]:80", 1, 4, 0));
    ck_assert(report("[2001:db8:9::1]:80", 3, 0, 0));
    ck_assert(!report("[2001:db8:9::1]:80", 4, 0, 0));
    fixture_stop(&f);
}
END_TEST

START_TEST(test_only_what_is_for_clients)
{
    start();
    ck_assert(!report("198.51.100.8:80", 3, 3, 0)); /* no permission */
    ck_assert(!report(PEER, 5, 0, 0));              /* redirect */
    ck_assert(!report(PEER, 12, 0, 0));
    fixture_pass(&f, 302);
    ck_assert(!report(PEER, 3, 3, 0)); /* not any more */
    fixture_stop(&f);
}
END_TEST

START_TEST(test_a_few_a_second)
{
    start();
    for (int i = 0; i < TURN_ICMP_A_SECOND; i++)
        ck_assert(report(PEER, 3, 3, 0));
    ck_assert(!report(PEER, 3, 3, 0));
    ck_assert_uint_eq(f.server->counters.events[TURN_EVENT_icmp], TURN_ICMP_A_SECOND);
    fixture_pass(&f, 1);
    ck_assert(report(PEER, 3, 3, 0));
    fixture_stop(&f);
}
END_TEST

UNIT_MAIN("turn_icmp", test_indication, test_ipv6, test_only_what_is_for_clients, test_a_few_a_second)
