/* Packets between clients and peers: RFC 8656 §11, §12, and calls between two clients of one edge. */
#include "edge/turn/turn_allocation.h"
#include "tests/unit/turn_fixture.h"

static struct fixture f;

static void start_allocated(const char *extra)
{
    fixture_start(&f, extra);
    ck_assert_int_eq(fixture_allocate(&f), 0);
}

START_TEST(test_send_and_data_indication)
{
    struct stun_msg m;
    struct netaddr peer;
    start_allocated("");
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
    fixture_send(&f, "198.51.100.1:2000", "hello", 5);
    ck_assert_uint_eq(f.n_to_peer, 1);
    ck_assert_uint_eq(f.to_peer_size, 5);
    ck_assert_mem_eq(f.to_peer, "hello", 5);
    ck_assert_uint_eq(f.peer.port, 2000);
    ck_assert_ptr_eq(f.from_relay, fixture_relay(&f, TURN_IPV4));

    fixture_from_peer(&f, "198.51.100.1:2000", "answer!", 7);
    ck_assert_uint_eq(f.n_to_client, 1);
    ck_assert_int_eq(stun_parse(f.to_client, f.to_client_size, &m), ERR_OK);
    ck_assert_uint_eq(m.class, STUN_INDICATION);
    ck_assert_uint_eq(m.method, STUN_METHOD_DATA_INDICATION);
    ck_assert_int_eq(stun_get_xor_address(&m, STUN_XOR_PEER_ADDRESS, &peer), ERR_OK);
    struct netaddr expected = address("198.51.100.1:2000");
    ck_assert(netaddr_equal(&peer, &expected));
    struct stun_value data = stun_get(&m, STUN_DATA);
    ck_assert_uint_eq(data.len, 7);
    ck_assert_mem_eq(data.at, "answer!", 7);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_indication_ipv6)
{
    struct stun_msg m;
    struct netaddr peer, expected = address("[2001:db8:9::1]:2000");
    fixture_start(&f, "");
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    stun_put(&f.writer, STUN_REQUESTED_ADDRESS_FAMILY, "\2\0\0\0", 4);
    ck_assert_int_eq(fixture_request(&f), 0);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 443);
    ck_assert_int_eq(fixture_permit(&f, "2001:db8:9::1"), 0);
    fixture_send(&f, "[2001:db8:9::1]:2000", "hello", 5);
    ck_assert(netaddr_equal(&f.peer, &expected));
    fixture_from_peer(&f, "[2001:db8:9::1]:2000", "", 0); /* an empty datagram is one, too */
    ck_assert_int_eq(stun_parse(f.to_client, f.to_client_size, &m), ERR_OK);
    ck_assert_int_eq(stun_get_xor_address(&m, STUN_XOR_PEER_ADDRESS, &peer), ERR_OK);
    ck_assert(netaddr_equal(&peer, &expected));
    ck_assert_uint_eq(stun_get(&m, STUN_DATA).len, 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_channel_data_both_ways)
{
    struct chandata d;
    start_allocated("");
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:2000"), 0);
    fixture_channel_data(&f, 0x4000, "media", 5);
    ck_assert_uint_eq(f.to_peer_size, 5);
    ck_assert_mem_eq(f.to_peer, "media", 5);
    fixture_from_peer(&f, "198.51.100.1:2000", "back", 4);
    ck_assert_int_eq(chandata_parse(f.to_client, f.to_client_size, &d), ERR_OK);
    ck_assert_uint_eq(d.channel, 0x4000);
    ck_assert_uint_eq(d.len, 4);
    ck_assert_mem_eq(d.data, "back", 4);
    /* another port of the same peer has the permission, not the channel */
    fixture_from_peer(&f, "198.51.100.1:2001", "else", 4);
    ck_assert_uint_lt(f.to_client[0], 0x40);
    ck_assert_uint_eq(f.n_to_client, 2);
    struct turn_allocation *a = turn_allocation_find(f.server, &f.client.key);
    ck_assert_uint_eq(a->from_client.packets, 1);
    ck_assert_uint_eq(a->from_client.bytes, 5);
    ck_assert_uint_eq(a->to_client.packets, 2);
    ck_assert_uint_eq(a->to_client.bytes, 8);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_without_permission_nothing_passes)
{
    start_allocated("");
    fixture_from_peer(&f, "198.51.100.1:2000", "x", 1);
    fixture_send(&f, "198.51.100.1:2000", "x", 1);
    fixture_channel_data(&f, 0x4000, "x", 1);
    ck_assert_uint_eq(f.n_to_client, 0);
    ck_assert_uint_eq(f.n_to_peer, 0);
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_no_permission], 2);
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_no_channel], 1);
    /* another client's channel is not ours */
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:2000"), 0);
    fixture_client(&f, "192.0.2.1:5001");
    fixture_channel_data(&f, 0x4000, "x", 1);
    ck_assert_uint_eq(f.n_to_peer, 0);
    fixture_send(&f, "198.51.100.1:2000", "x", 1);
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_no_allocation], 1);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_lying_channel_data)
{
    uint8_t packet[] = {0x40, 0x00, 0xff, 0xff, 'x'};
    start_allocated("");
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:2000"), 0);
    memcpy(f.packet + TURN_HEADROOM, packet, sizeof packet);
    turn_forward_channel_data(f.server, &f.client.key, f.packet + TURN_HEADROOM, sizeof packet);
    turn_forward_channel_data(f.server, &f.client.key, f.packet + TURN_HEADROOM, 3);
    ck_assert_uint_eq(f.n_to_peer, 0);
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_malformed], 2);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_bad_send_indications)
{
    struct netaddr peer = address("198.51.100.1:2000");
    start_allocated("");
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
    fixture_begin_class(&f, STUN_METHOD_SEND, STUN_INDICATION);
    stun_put(&f.writer, STUN_DATA, "x", 1);
    ck_assert_int_eq(fixture_plain(&f), -1);
    fixture_begin_class(&f, STUN_METHOD_SEND, STUN_INDICATION);
    stun_put_xor_address(&f.writer, STUN_XOR_PEER_ADDRESS, &peer);
    ck_assert_int_eq(fixture_plain(&f), -1);
    fixture_begin_class(&f, STUN_METHOD_SEND, STUN_INDICATION);
    stun_put_xor_address(&f.writer, STUN_XOR_PEER_ADDRESS, &peer);
    stun_put(&f.writer, STUN_DATA, "x", 1);
    wire_put_bytes(&f.writer.wire, "\x70\x01\0\0", 4);
    ck_assert_int_eq(fixture_plain(&f), -1);
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_bad_indication], 3);
    ck_assert_uint_eq(f.n_to_peer, 0);
    fixture_begin_class(&f, STUN_METHOD_SEND, STUN_INDICATION);
    stun_put_xor_address(&f.writer, STUN_XOR_PEER_ADDRESS, &peer);
    stun_put(&f.writer, STUN_DONT_FRAGMENT, "", 0);
    stun_put(&f.writer, STUN_DATA, "x", 1);
    ck_assert_int_eq(fixture_plain(&f), -1);
    ck_assert_uint_eq(f.n_whole, 1);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_longest_packets)
{
    static uint8_t big[65535];
    struct stun_msg m;
    start_allocated("");
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
    fixture_from_peer(&f, "198.51.100.1:1", big,
                      65535); /* from a TCP client's relay; no STUN message holds it */
    ck_assert_uint_eq(f.n_to_client, 0);
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_too_long], 1);
    fixture_from_peer(&f, "198.51.100.1:1", big, 65000);
    ck_assert_int_eq(stun_parse(f.to_client, f.to_client_size, &m), ERR_OK);
    ck_assert_uint_eq(stun_get(&m, STUN_DATA).len, 65000);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1"), 0);
    fixture_channel_data(&f, 0x4000, big, 65535);
    ck_assert_uint_eq(f.to_peer_size, 65535);
    fixture_from_peer(&f, "198.51.100.1:1", big, 65507);
    ck_assert_uint_eq(f.to_client_size, 65511);
    fixture_stop(&f);
}
END_TEST

/* Two clients of one edge; the second's relayed address is the first's peer. Returns that address. */
static void second_client(char relayed[NETADDR_TEXT])
{
    struct netaddr a;
    fixture_client(&f, "192.0.2.2:6000");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_int_eq(stun_get_xor_address(&f.answer, STUN_XOR_RELAYED_ADDRESS, &a), ERR_OK);
    netaddr_print(&a, relayed);
}

static void hairpin(const char *relays, const char *bound_ip)
{
    char first[NETADDR_TEXT], second[NETADDR_TEXT], text[NETADDR_TEXT];
    struct chandata d;
    struct stun_msg m;
    struct netaddr peer, expected;
    start_allocated(relays);
    netaddr_print(&fixture_relay(&f, TURN_IPV4)->advertised, first);
    second_client(second);
    ck_assert_int_eq(fixture_permit(&f, first), 0);
    fixture_client(&f, "192.0.2.1:5000");
    ck_assert_int_eq(fixture_bind(&f, 0x4000, second), 0);
    fixture_channel_data(&f, 0x4000, "across", 6);
    ck_assert_uint_eq(f.n_to_peer, 0); /* the network has not seen it */
    ck_assert_uint_eq(f.n_to_client, 1);
    ck_assert_uint_eq(f.to_client_of->address.port, 6000);
    ck_assert_int_eq(stun_parse(f.to_client, f.to_client_size, &m), ERR_OK);
    ck_assert_int_eq(stun_get_xor_address(&m, STUN_XOR_PEER_ADDRESS, &peer), ERR_OK);
    expected = address(first);
    ck_assert(netaddr_equal(&peer, &expected)); /* known by its advertised address */

    fixture_client(&f, "192.0.2.2:6000");
    ck_assert_int_eq(fixture_bind(&f, 0x4321, first), 0);
    fixture_send(&f, first, "back", 4);
    ck_assert_uint_eq(f.to_client_of->address.port, 5000);
    ck_assert_int_eq(chandata_parse(f.to_client, f.to_client_size, &d), ERR_OK);
    ck_assert_uint_eq(d.channel, 0x4000);
    ck_assert_mem_eq(d.data, "back", 4);

    /* What comes through the kernel from another worker has the bound address as its source. */
    expected = address(bound_ip);
    expected.port = address(first).port;
    fixture_from_peer(&f, netaddr_print(&expected, text), "kernel", 6);
    ck_assert_int_eq(chandata_parse(f.to_client, f.to_client_size, &d), ERR_OK);
    ck_assert_uint_eq(d.channel, 0x4321);
    ck_assert_uint_eq(f.server->counters.events[TURN_EVENT_hairpin], 2);
    fixture_stop(&f);
}

START_TEST(test_hairpin)
{
    hairpin("", "203.0.113.10");
}
END_TEST

START_TEST(test_hairpin_behind_nat)
{
    hairpin("\"relays\":[{\"bind\":\"10.0.0.36\",\"advertised\":\"203.0.113.10\"}]", "10.0.0.36");
}
END_TEST

START_TEST(test_hairpin_needs_permission_and_relay)
{
    char second[NETADDR_TEXT];
    start_allocated("");
    second_client(second);
    fixture_client(&f, "192.0.2.1:5000");
    ck_assert_int_eq(fixture_bind(&f, 0x4000, second), 0);
    fixture_channel_data(&f, 0x4000, "x", 1);
    ck_assert_uint_eq(f.n_to_client, 0); /* the other one has not permitted it */
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_no_permission], 1);
    fixture_client(&f, "192.0.2.2:6000");
    ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    fixture_client(&f, "192.0.2.1:5000");
    fixture_channel_data(&f, 0x4000, "x", 1); /* nobody has that relayed address any more */
    ck_assert_uint_eq(f.n_to_peer, 0);
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_no_relay], 1);
    fixture_stop(&f);
}
END_TEST

/* A permission for the edge's own address is for its relays, not for its services. */
START_TEST(test_own_services_are_out_of_reach)
{
    start_allocated("\"relays\":[{\"bind\":\"10.0.0.36\",\"advertised\":\"203.0.113.10\"}]");
    ck_assert_int_eq(fixture_permit(&f, "203.0.113.10"), 0);
    ck_assert_int_eq(fixture_permit(&f, "10.0.0.36"), 0);
    ck_assert_uint_eq(f.server->permissions.count, 1); /* one host, one name */
    fixture_send(&f, "203.0.113.10:3478", "x", 1);
    fixture_send(&f, "10.0.0.36:3478", "x", 1);
    fixture_send(&f, "203.0.113.10:443", "x", 1);
    ck_assert_uint_eq(f.n_to_peer, 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "203.0.113.10:3478"), 403);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "10.0.0.36:443"), 403);
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_peer_refused] +
                          f.server->counters.drops[TURN_DROP_no_permission],
                      3);
    fixture_stop(&f);
}
END_TEST

/* A relayed address that another worker serves is reached through the kernel, at the address it is bound to.
 */
START_TEST(test_relay_of_another_worker)
{
    struct netaddr expected = address("10.0.0.36:24500");
    fixture_start(&f, "\"relays\":[{\"bind\":\"10.0.0.36\",\"advertised\":\"203.0.113.10\"}]");
    ck_assert(turn_shared_claim_port(f.server->shared, 0, 24500)); /* as that worker would */
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "203.0.113.10:24500"), 0);
    fixture_channel_data(&f, 0x4000, "x", 1);
    ck_assert_uint_eq(f.n_to_peer, 1);
    ck_assert(netaddr_equal(&f.peer, &expected));
    fixture_send(&f, "203.0.113.10:24500", "x", 1);
    ck_assert_uint_eq(f.n_to_peer, 2);
    ck_assert(netaddr_equal(&f.peer, &expected));
    turn_shared_release_port(f.server->shared, 0, 24500);
    fixture_stop(&f);
}
END_TEST

/* An odd address for everything that is read or written: CVE-2026-40613. */
START_TEST(test_unaligned)
{
    uint8_t *packet = f.packet + TURN_HEADROOM + 1;
    start_allocated("");
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:2000"), 0);
    memcpy(packet, "\x40\0\0\5media", 9);
    turn_forward_channel_data(f.server, &f.client.key, packet, 9);
    ck_assert_uint_eq(f.to_peer_size, 5);
    fixture_begin(&f, STUN_METHOD_BINDING);
    memcpy(packet, f.request, 20);
    turn_request_receive(f.server, &f.client, packet, 20);
    ck_assert_uint_eq(f.server->counters.successes[STUN_METHOD_BINDING], 1);
    fixture_stop(&f);
}
END_TEST

/* The same by an IPv6 name for it that something on the way translates, and for other edges. */
START_TEST(test_services_of_edges_are_out_of_reach_in_every_notation)
{
    start_allocated("\"cluster_addresses\":[\"203.0.113.11\"]");
    fixture_refresh(&f, 0);
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    stun_put_u32(&f.writer, STUN_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
    ck_assert_int_eq(fixture_request(&f), 0);
    ck_assert_int_eq(fixture_permit(&f, "64:ff9b::203.0.113.10"), 0);
    ck_assert_int_eq(fixture_permit(&f, "203.0.113.11"), 0);
    fixture_send(&f, "[64:ff9b::203.0.113.10]:3478", "x", 1);
    fixture_send(&f, "203.0.113.11:3478", "x", 1);
    ck_assert_uint_eq(f.n_to_peer, 0);
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_peer_refused], 2);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "203.0.113.11:3478"), 403);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "203.0.113.11:24000"), 0);
    fixture_send(&f, "203.0.113.11:24001", "x", 1);
    ck_assert_uint_eq(f.n_to_peer, 1);
    fixture_stop(&f);
}
END_TEST

/* An address that the box got later is refused from then on; what there was before stays as it was. */
START_TEST(test_own_addresses_change)
{
    struct netaddr *own = calloc(2, sizeof *own);
    fixture_start(&f, "\"own_addresses\":[\"198.51.100.1\"]");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 403);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.2"), 0);
    own[0] = address("198.51.100.2");
    own[1] = address("0.0.0.0:22");
    ck_assert_int_eq(turn_server_set_own(f.server, own, 2), ERR_OK);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.2"), 403);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "203.0.113.10:22"), 403);
    fixture_stop(&f);
}
END_TEST

UNIT_MAIN("turn_forward", test_send_and_data_indication, test_indication_ipv6, test_channel_data_both_ways,
          test_without_permission_nothing_passes, test_lying_channel_data, test_bad_send_indications,
          test_longest_packets, test_hairpin, test_hairpin_behind_nat,
          test_hairpin_needs_permission_and_relay, test_own_services_are_out_of_reach,
          test_own_addresses_change,
          test_relay_of_another_worker, test_unaligned,
          test_services_of_edges_are_out_of_reach_in_every_notation)
