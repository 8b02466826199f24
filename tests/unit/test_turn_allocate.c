/* Allocate: RFC 8656 §7.2, rule by rule. */
#include "edge/turn/turn_relay.h"
#include "tests/unit/turn_fixture.h"

static struct fixture f;

static struct netaddr relayed(enum stun_attr a)
{
    struct netaddr got;
    ck_assert_int_eq(stun_get_xor_address(&f.answer, a, &got), ERR_OK);
    return got;
}

static uint32_t lifetime(void)
{
    uint32_t seconds = 0;
    ck_assert_int_eq(stun_get_u32(&f.answer, STUN_LIFETIME, &seconds), ERR_OK);
    return seconds;
}

/* An Allocate request for UDP with one more attribute. */
static int allocate_with(enum stun_attr a, const void *value, size_t n)
{
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    stun_put(&f.writer, a, value, n);
    return fixture_request(&f);
}

START_TEST(test_success)
{
    fixture_start(&f, "");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    struct netaddr r = relayed(STUN_XOR_RELAYED_ADDRESS), expected = address("203.0.113.10"),
                   mapped = relayed(STUN_XOR_MAPPED_ADDRESS);
    ck_assert(netaddr_equal_ip(&r, &expected));
    ck_assert_uint_ge(r.port, 24000);
    ck_assert_uint_le(r.port, 29999);
    ck_assert(netaddr_equal(&mapped, &f.client.address));
    ck_assert_uint_eq(lifetime(), 600);
    ck_assert(f.has_allocation);
    ck_assert(!stun_has(&f.answer, STUN_RESERVATION_TOKEN));
    fixture_stop(&f);
}
END_TEST

START_TEST(test_retransmission_and_mismatch)
{
    uint8_t first[4096], answer[4096];
    size_t n, answer_size;
    fixture_start(&f, "");
    ck_assert_int_eq(allocate_with(STUN_EVEN_PORT, "\x80", 1), 0);
    ck_assert_int_eq(stun_end(&f.writer, &n), ERR_OK);
    memcpy(first, f.request, n);
    memcpy(answer, f.answer_bytes, f.answer_size);
    answer_size = f.answer_size;
    ck_assert(fixture_deliver(&f, first, n)); /* the same request again: the same answer, token and all */
    ck_assert_uint_eq(f.answer_size, answer_size);
    ck_assert_mem_eq(f.answer_bytes, answer, answer_size);
    ck_assert_uint_eq(f.relays_open, 1);
    ck_assert_int_eq(fixture_allocate(&f), 437); /* another one */
    fixture_stop(&f);
}
END_TEST

START_TEST(test_requested_transport)
{
    fixture_start(&f, "");
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    ck_assert_int_eq(fixture_request(&f), 400);
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 99u << 24);
    ck_assert_int_eq(fixture_request(&f), 442);
    ck_assert_uint_eq(f.relays_open, 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_lifetime_is_bounded)
{
    static const struct {
        uint32_t asked, granted;
    } rows[] = {{0, 600}, {1, 600}, {600, 600}, {1200, 1200}, {3600, 3600}, {3601, 3600}, {UINT32_MAX, 3600}};
    fixture_start(&f, "");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[40];
        snprintf(text, sizeof text, "192.0.2.1:%zu", 1000 + i);
        fixture_client(&f, text);
        fixture_begin(&f, STUN_METHOD_ALLOCATE);
        stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
        stun_put_u32(&f.writer, STUN_LIFETIME, rows[i].asked);
        ck_assert_int_eq(fixture_request(&f), 0);
        ck_assert_uint_eq(lifetime(), rows[i].granted);
    }
    fixture_stop(&f);
}
END_TEST

START_TEST(test_expires)
{
    fixture_start(&f, "");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    fixture_pass(&f, 600);
    ck_assert_uint_eq(f.relays_open, 1);
    fixture_pass(&f, 1);
    ck_assert_uint_eq(f.relays_open, 0);
    ck_assert(!f.has_allocation);
    ck_assert_uint_eq(f.server->counters.events[TURN_EVENT_expired], 1);
    ck_assert_int_eq(fixture_allocate(&f), 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_address_families)
{
    fixture_start(&f, "");
    ck_assert_int_eq(allocate_with(STUN_REQUESTED_ADDRESS_FAMILY, "\2\0\0\0", 4), 0);
    struct netaddr r = relayed(STUN_XOR_RELAYED_ADDRESS);
    ck_assert_uint_eq(r.family, AF_INET6);
    fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(allocate_with(STUN_REQUESTED_ADDRESS_FAMILY, "\1\0\0\0", 4), 0);
    fixture_client(&f, "192.0.2.1:5002");
    ck_assert_int_eq(allocate_with(STUN_REQUESTED_ADDRESS_FAMILY, "\3\0\0\0", 4), 440);
    fixture_stop(&f);
    fixture_start(&f, "\"relays\":[{\"bind\":\"203.0.113.10\"}]");
    ck_assert_int_eq(allocate_with(STUN_REQUESTED_ADDRESS_FAMILY, "\2\0\0\0", 4), 440);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_dual_allocation)
{
    struct stun_value v = {0};
    struct netaddr a;
    fixture_start(&f, "");
    ck_assert_int_eq(allocate_with(STUN_ADDITIONAL_ADDRESS_FAMILY, "\2\0\0\0", 4), 0);
    ck_assert(stun_next(&f.answer, STUN_XOR_RELAYED_ADDRESS, &v));
    ck_assert_int_eq(stun_xor_address(&f.answer, v, &a), ERR_OK);
    ck_assert_uint_eq(a.family, AF_INET);
    ck_assert(stun_next(&f.answer, STUN_XOR_RELAYED_ADDRESS, &v));
    ck_assert_int_eq(stun_xor_address(&f.answer, v, &a), ERR_OK);
    ck_assert_uint_eq(a.family, AF_INET6);
    ck_assert_uint_eq(f.relays_open, 2);
    /* Refresh of one family leaves the other one to run out */
    fixture_pass(&f, 300);
    fixture_begin(&f, STUN_METHOD_REFRESH);
    stun_put(&f.writer, STUN_REQUESTED_ADDRESS_FAMILY, "\2\0\0\0", 4);
    ck_assert_int_eq(fixture_request(&f), 0);
    fixture_pass(&f, 301);
    ck_assert_uint_eq(f.relays_open, 1);
    ck_assert_ptr_null(fixture_relay(&f, TURN_IPV4));
    fixture_begin(&f, STUN_METHOD_REFRESH);
    stun_put(&f.writer, STUN_REQUESTED_ADDRESS_FAMILY, "\1\0\0\0", 4);
    ck_assert_int_eq(fixture_request(&f), 443);
    fixture_begin(&f, STUN_METHOD_REFRESH);
    stun_put(&f.writer, STUN_REQUESTED_ADDRESS_FAMILY, "\2\0\0\0", 4);
    stun_put_u32(&f.writer, STUN_LIFETIME, 0);
    ck_assert_int_eq(fixture_request(&f), 0);
    ck_assert_uint_eq(f.relays_open, 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_dual_without_ipv6)
{
    fixture_start(&f, "\"relays\":[{\"bind\":\"203.0.113.10\"}]");
    ck_assert_int_eq(allocate_with(STUN_ADDITIONAL_ADDRESS_FAMILY, "\2\0\0\0", 4), 0);
    struct stun_value v = stun_get(&f.answer, STUN_ADDRESS_ERROR_CODE);
    ck_assert_uint_eq(v.len, 4);
    ck_assert_mem_eq(v.at, "\2\0\4\x28", 4); /* IPv6: 440 */
    fixture_stop(&f);
}
END_TEST

START_TEST(test_families_that_contradict)
{
    fixture_start(&f, "");
    ck_assert_int_eq(allocate_with(STUN_ADDITIONAL_ADDRESS_FAMILY, "\1\0\0\0", 4), 400);
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    stun_put(&f.writer, STUN_REQUESTED_ADDRESS_FAMILY, "\1\0\0\0", 4);
    stun_put(&f.writer, STUN_ADDITIONAL_ADDRESS_FAMILY, "\2\0\0\0", 4);
    ck_assert_int_eq(fixture_request(&f), 400);
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    stun_put(&f.writer, STUN_EVEN_PORT, "\x80", 1);
    stun_put(&f.writer, STUN_ADDITIONAL_ADDRESS_FAMILY, "\2\0\0\0", 4);
    ck_assert_int_eq(fixture_request(&f), 400);
    ck_assert_uint_eq(f.relays_open, 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_even_port_and_reservation)
{
    uint8_t token[8];
    fixture_start(&f, "");
    ck_assert_int_eq(allocate_with(STUN_EVEN_PORT, "\x80", 1), 0);
    struct netaddr rtp = relayed(STUN_XOR_RELAYED_ADDRESS);
    ck_assert_uint_eq(rtp.port % 2, 0);
    struct stun_value v = stun_get(&f.answer, STUN_RESERVATION_TOKEN);
    ck_assert_uint_eq(v.len, 8);
    memcpy(token, v.at, 8);
    ck_assert_uint_eq(turn_shared_ports_used(f.server->shared, 0), 2);

    fixture_client(&f, "192.0.2.1:5001");
    f.user = "bob";
    f.password = "banana";
    ck_assert_int_eq(allocate_with(STUN_RESERVATION_TOKEN, token, 8), 508); /* it is alice's */
    f.user = "alice";
    f.password = "apple";
    ck_assert_int_eq(allocate_with(STUN_RESERVATION_TOKEN, token, 8), 0);
    struct netaddr rtcp = relayed(STUN_XOR_RELAYED_ADDRESS);
    ck_assert_uint_eq(rtcp.port, rtp.port + 1);
    fixture_client(&f, "192.0.2.1:5002");
    ck_assert_int_eq(allocate_with(STUN_RESERVATION_TOKEN, token, 8), 508); /* used up */
    ck_assert_int_eq(allocate_with(STUN_RESERVATION_TOKEN, "\0\0\0\0\0\0\0\0", 8), 508);
    fixture_stop(&f);
}
END_TEST

/* Alice may have two: an allocation with a reserved port takes both, and redeeming it takes none. */
START_TEST(test_reservation_is_an_allocation)
{
    uint8_t token[8];
    fixture_start(&f, "\"quota\":{\"user\":2}");
    ck_assert_int_eq(allocate_with(STUN_EVEN_PORT, "\x80", 1), 0);
    memcpy(token, stun_get(&f.answer, STUN_RESERVATION_TOKEN).at, 8);
    fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(fixture_allocate(&f), 486);
    ck_assert_int_eq(allocate_with(STUN_EVEN_PORT, "\x80", 1), 486);
    ck_assert_int_eq(allocate_with(STUN_RESERVATION_TOKEN, token, 8), 0);
    ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    /* One is left: not enough for two. What was refused holds nothing. */
    ck_assert_int_eq(allocate_with(STUN_EVEN_PORT, "\x80", 1), 486);
    ck_assert_int_eq(allocate_with(STUN_EVEN_PORT, "\x00", 1), 0);
    ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    ck_assert_uint_eq(turn_shared_total(f.server->shared), 1);
    ck_assert_uint_eq(turn_shared_ports_used(f.server->shared, 0), 1);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_reservation_runs_out)
{
    uint8_t token[8];
    fixture_start(&f, "");
    ck_assert_int_eq(allocate_with(STUN_EVEN_PORT, "\x80", 1), 0);
    memcpy(token, stun_get(&f.answer, STUN_RESERVATION_TOKEN).at, 8);
    fixture_pass(&f, 31);
    ck_assert_uint_eq(turn_shared_ports_used(f.server->shared, 0), 1);
    fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(allocate_with(STUN_RESERVATION_TOKEN, token, 8), 508);
    fixture_stop(&f);
}
END_TEST

/* facts: EVEN-PORT without the R bit must not leak a port; EVEN-PORT with RESERVATION-TOKEN is 400 */
START_TEST(test_even_port_alone)
{
    fixture_start(&f, "");
    ck_assert_int_eq(allocate_with(STUN_EVEN_PORT, "\0", 1), 0);
    ck_assert_uint_eq(relayed(STUN_XOR_RELAYED_ADDRESS).port % 2, 0);
    ck_assert(!stun_has(&f.answer, STUN_RESERVATION_TOKEN));
    ck_assert_uint_eq(turn_shared_ports_used(f.server->shared, 0), 1);
    ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    ck_assert_uint_eq(turn_shared_ports_used(f.server->shared, 0), 0);
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    stun_put(&f.writer, STUN_EVEN_PORT, "\0", 1);
    stun_put(&f.writer, STUN_RESERVATION_TOKEN, "12345678", 8);
    ck_assert_int_eq(fixture_request(&f), 400);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_dont_fragment_is_understood)
{
    fixture_start(&f, "");
    ck_assert_int_eq(allocate_with(STUN_DONT_FRAGMENT, "", 0), 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_user_quota_is_486)
{
    fixture_start(&f, "\"quota\":{\"user\":2}");
    for (unsigned i = 0; i < 4; i++) {
        char text[40];
        snprintf(text, sizeof text, "192.0.2.%u:5000", i + 1);
        fixture_client(&f, text);
        ck_assert_int_eq(fixture_allocate(&f), i < 2 ? 0 : 486);
    }
    f.user = "bob";
    f.password = "banana";
    ck_assert_int_eq(fixture_allocate(&f), 0);
    f.user = "alice";
    f.password = "apple";
    fixture_client(&f, "192.0.2.1:5000");
    ck_assert_int_eq(fixture_refresh(&f, 0), 0); /* a seat comes free */
    fixture_client(&f, "192.0.2.3:5000");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_address_and_total_quota)
{
    fixture_start(&f, "\"quota\":{\"address\":2,\"total\":3}");
    for (unsigned i = 0; i < 3; i++) {
        char text[40];
        snprintf(text, sizeof text, "192.0.2.1:%u", 5000 + i);
        fixture_client(&f, text);
        ck_assert_int_eq(fixture_allocate(&f), i < 2 ? 0 : 486);
    }
    fixture_client(&f, "192.0.2.2:5000");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    fixture_client(&f, "192.0.2.3:5000");
    ck_assert_int_eq(fixture_allocate(&f), 508);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_ports_used_up_and_given_back)
{
    fixture_start(&f, "\"relay_ports\":[30000,30004],\"relays\":[{\"bind\":\"203.0.113.10\"}]");
    f.taken = 30003; /* another program has it */
    for (unsigned round = 0; round < 3; round++) {
        uint32_t seen = 0;
        for (unsigned i = 0; i < 5; i++) {
            char text[40];
            snprintf(text, sizeof text, "192.0.2.1:%u", 5000 + i);
            fixture_client(&f, text);
            ck_assert_int_eq(fixture_allocate(&f), i < 4 ? 0 : 508);
            if (i < 4)
                seen |= 1u << (relayed(STUN_XOR_RELAYED_ADDRESS).port - 30000);
        }
        ck_assert_uint_eq(seen, 0x17);
        ck_assert_uint_eq(turn_shared_total(f.server->shared), 4);
        for (unsigned i = 0; i < 4; i++) {
            char text[40];
            snprintf(text, sizeof text, "192.0.2.1:%u", 5000 + i);
            fixture_client(&f, text);
            ck_assert_int_eq(fixture_refresh(&f, 0), 0);
        }
    }
    ck_assert_uint_eq(turn_shared_ports_used(f.server->shared, 0), 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_even_ports_used_up)
{
    fixture_start(&f, "\"relay_ports\":[30001,30004],\"relays\":[{\"bind\":\"203.0.113.10\"}]");
    ck_assert_int_eq(allocate_with(STUN_EVEN_PORT, "\x80", 1), 0);
    ck_assert_uint_eq(relayed(STUN_XOR_RELAYED_ADDRESS).port, 30002);
    fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(allocate_with(STUN_EVEN_PORT, "\x80", 1), 508); /* 30004 has no port above it */
    ck_assert_int_eq(allocate_with(STUN_EVEN_PORT, "\0", 1), 0);
    ck_assert_uint_eq(turn_shared_ports_used(f.server->shared, 0), 3);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_socket_failure_leaves_nothing)
{
    fixture_start(&f, "\"quota\":{\"user\":2}");
    f.open_error = ERR_SYSTEM;
    ck_assert_int_eq(fixture_allocate(&f), 508);
    ck_assert_int_eq(allocate_with(STUN_EVEN_PORT, "\x80", 1), 508);
    ck_assert_uint_eq(turn_shared_ports_used(f.server->shared, 0), 0);
    ck_assert_uint_eq(turn_shared_total(f.server->shared), 0);
    f.open_error = ERR_OK;
    ck_assert_int_eq(fixture_allocate(&f), 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_several_relay_addresses)
{
    unsigned seen = 0;
    fixture_start(
        &f,
        "\"relay_ports\":[30000,30009],\"relays\":[{\"bind\":\"203.0.113.10\"},{\"bind\":\"203.0.113.11\"},"
        "{\"bind\":\"203.0.113.12\"}]");
    for (unsigned i = 0; i < 31; i++) {
        char text[40];
        snprintf(text, sizeof text, "192.0.2.1:%u", 5000 + i);
        fixture_client(&f, text);
        ck_assert_int_eq(fixture_allocate(&f), i < 30 ? 0 : 508);
        if (i < 30)
            seen |= 1u << (relayed(STUN_XOR_RELAYED_ADDRESS).ip[3] - 10);
    }
    ck_assert_uint_eq(seen, 7);
    fixture_stop(&f);
}
END_TEST

/* Ports are drawn, not counted: CVE-2025-69217. */
START_TEST(test_ports_are_not_predictable)
{
    unsigned ascending = 0;
    uint16_t last = 0;
    fixture_start(&f, "");
    for (unsigned i = 0; i < 200; i++) {
        char text[40];
        snprintf(text, sizeof text, "192.0.2.1:%u", 5000 + i);
        fixture_client(&f, text);
        ck_assert_int_eq(fixture_allocate(&f), 0);
        uint16_t port = relayed(STUN_XOR_RELAYED_ADDRESS).port;
        ascending += port > last;
        last = port;
    }
    ck_assert_uint_gt(ascending, 60);
    ck_assert_uint_lt(ascending, 140);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_draining)
{
    fixture_start(&f, "");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    f.server->draining = true;
    ck_assert_int_eq(fixture_refresh(&f, 600), 0);
    fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(fixture_allocate(&f), 508);
    fixture_stop(&f);
}
END_TEST

/* Who allocates and deletes without end does not fill the disk. */
START_TEST(test_log_is_bounded)
{
    fixture_start(&f, "");
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
    log_set_level(LOG_INFO);
    for (int i = 0; i < 600; i++) {
        ck_assert_int_eq(fixture_allocate(&f), 0);
        ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    }
    ck_assert_uint_eq(f.server->allocation_log.seen, 1000);
    ck_assert_uint_eq(f.server->allocation_log.dropped, 200);
    fixture_stop(&f);
}
END_TEST

/* RFC 8489 §10, §14.15: signed, of the client's family, at the port that it used here. */
START_TEST(test_alternate_server)
{
    static const uint8_t expected[8] = {0, 1, 3478 >> 8, 3478 & 0xff, 203, 0, 113, 11};
    fixture_start(&f, "\"quota\":{\"total\":1},\"alternate_servers\":[\"203.0.113.11\"],"
                      "\"alternate_domain\":\"join.example.com\"");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(fixture_allocate(&f), 300); /* the quota */
    ck_assert_uint_eq(stun_get(&f.answer, STUN_ALTERNATE_SERVER).len, sizeof expected);
    ck_assert_mem_eq(stun_get(&f.answer, STUN_ALTERNATE_SERVER).at, expected, sizeof expected);
    ck_assert(!stun_has(&f.answer, STUN_ALTERNATE_DOMAIN));
    f.client.transport = TURN_OVER_TLS;
    ck_assert_int_eq(fixture_allocate(&f), 300);
    ck_assert(stun_has(&f.answer, STUN_ALTERNATE_DOMAIN));
    fixture_client(&f, "[2001:db8:1::1]:5002");
    ck_assert_int_eq(fixture_allocate(&f), 508); /* none of this family */
    fixture_client(&f, "192.0.2.1:5000");
    ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    f.server->draining = true;
    ck_assert_int_eq(fixture_allocate(&f), 300);
    fixture_stop(&f);
}
END_TEST

UNIT_MAIN("turn_allocate", test_success, test_retransmission_and_mismatch, test_requested_transport,
          test_lifetime_is_bounded, test_expires, test_address_families, test_dual_allocation,
          test_dual_without_ipv6, test_families_that_contradict, test_even_port_and_reservation,
          test_reservation_is_an_allocation, test_reservation_runs_out, test_even_port_alone,
          test_dont_fragment_is_understood, test_user_quota_is_486, test_address_and_total_quota,
          test_ports_used_up_and_given_back, test_even_ports_used_up, test_socket_failure_leaves_nothing,
          test_several_relay_addresses, test_ports_are_not_predictable, test_draining, test_log_is_bounded,
          test_alternate_server)
