/* Refresh, CreatePermission, ChannelBind: RFC 8656 §8, §10, §12. */
#include "edge/turn/turn_channel.h"
#include "edge/turn/turn_permission.h"
#include "tests/unit/turn_fixture.h"

static struct fixture f;

static void start_allocated(const char *extra)
{
    fixture_start(&f, extra);
    ck_assert_int_eq(fixture_allocate(&f), 0);
}

START_TEST(test_refresh)
{
    uint32_t lifetime;
    start_allocated("");
    fixture_pass(&f, 500);
    ck_assert_int_eq(fixture_refresh(&f, 1000), 0);
    ck_assert_int_eq(stun_get_u32(&f.answer, STUN_LIFETIME, &lifetime), ERR_OK);
    ck_assert_uint_eq(lifetime, 1000);
    fixture_pass(&f, 1000);
    ck_assert_uint_eq(f.relays_open, 1);
    fixture_pass(&f, 1);
    ck_assert_uint_eq(f.relays_open, 0);
    fixture_stop(&f);
}
END_TEST

/* A shorter lifetime than the one left counts, too. */
START_TEST(test_refresh_shortens)
{
    start_allocated("");
    ck_assert_int_eq(fixture_refresh(&f, 3600), 0);
    ck_assert_int_eq(fixture_refresh(&f, 600), 0);
    fixture_pass(&f, 601);
    ck_assert_uint_eq(f.relays_open, 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_refresh_zero_deletes_at_once)
{
    uint32_t lifetime;
    start_allocated("");
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1000"), 0);
    ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    ck_assert_int_eq(stun_get_u32(&f.answer, STUN_LIFETIME, &lifetime), ERR_OK);
    ck_assert_uint_eq(lifetime, 0);
    ck_assert_uint_eq(f.relays_open, 0);
    ck_assert_uint_eq(f.server->channels.count, 0);
    ck_assert_uint_eq(f.server->peers.count, 0);
    ck_assert_uint_eq(f.server->permissions.count, 0);
    ck_assert_int_eq(fixture_refresh(&f, 0), 437);
    ck_assert_uint_eq(f.server->counters.events[TURN_EVENT_deleted], 1);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_permission_lasts_five_minutes)
{
    start_allocated("");
    ck_assert_int_eq(fixture_refresh(&f, 3600), 0);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
    fixture_pass(&f, 300);
    fixture_send(&f, "198.51.100.1:9", "x", 1);
    ck_assert_uint_eq(f.n_to_peer, 1);
    fixture_pass(&f, 1);
    fixture_send(&f, "198.51.100.1:9", "x", 1);
    ck_assert_uint_eq(f.n_to_peer, 1);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
    fixture_pass(&f, 200);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0); /* refreshed */
    fixture_pass(&f, 200);
    fixture_send(&f, "198.51.100.1:9", "x", 1);
    ck_assert_uint_eq(f.n_to_peer, 2);
    ck_assert_uint_eq(f.server->permissions.count, 1);
    fixture_stop(&f);
}
END_TEST

static int permit_two(const char *first, const char *second)
{
    struct netaddr a = address(first), b = address(second);
    fixture_begin(&f, STUN_METHOD_CREATE_PERMISSION);
    stun_put_xor_address(&f.writer, STUN_XOR_PEER_ADDRESS, &a);
    stun_put_xor_address(&f.writer, STUN_XOR_PEER_ADDRESS, &b);
    return fixture_request(&f);
}

START_TEST(test_several_permissions_all_or_nothing)
{
    start_allocated("");
    ck_assert_int_eq(permit_two("198.51.100.1", "127.0.0.1"), 403);
    ck_assert_uint_eq(f.server->permissions.count, 0);
    ck_assert_int_eq(permit_two("198.51.100.1", "2001:db8::1"), 443);
    ck_assert_uint_eq(f.server->permissions.count, 0);
    ck_assert_int_eq(permit_two("198.51.100.1:1", "198.51.100.2:2"), 0);
    ck_assert_uint_eq(f.server->permissions.count, 2);
    fixture_begin(&f, STUN_METHOD_CREATE_PERMISSION);
    ck_assert_int_eq(fixture_request(&f), 400); /* none at all */
    fixture_begin(&f, STUN_METHOD_CREATE_PERMISSION);
    stun_put(&f.writer, STUN_XOR_PEER_ADDRESS, "", 0);
    ck_assert_int_eq(fixture_request(&f), 400);
    fixture_begin(&f, STUN_METHOD_CREATE_PERMISSION);
    stun_put(&f.writer, STUN_XOR_PEER_ADDRESS, "\0\1\0\0\0\0\0\0\0\0\0\0", 12);
    ck_assert_int_eq(fixture_request(&f), 400);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_refused_peers)
{
    static const char *const refused[] = {"127.0.0.1", "0.0.0.0",   "10.0.0.1",        "169.254.169.254",
                                          "224.0.0.1", "10.0.0.36", "255.255.255.255", "192.168.1.1"};
    start_allocated("");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char with_port[80];
        ck_assert_int_eq(fixture_permit(&f, refused[i]), 403);
        snprintf(with_port, sizeof with_port, "%s:4000", refused[i]);
        ck_assert_int_eq(fixture_bind(&f, 0x4000, with_port), 403);
    }
    ck_assert_uint_eq(f.server->permissions.count, 0);
    ck_assert_uint_eq(f.server->channels.count, 0);
    fixture_stop(&f);
}
END_TEST

/* ::ffff:127.0.0.1 as an IPv6 peer: CVE-2020-26262 */
START_TEST(test_mapped_peer)
{
    struct netaddr mapped = {.family = AF_INET6, .port = 80, .ip = {[10] = 0xff, 0xff, 127, 0, 0, 1}};
    start_allocated("");
    fixture_begin(&f, STUN_METHOD_CREATE_PERMISSION);
    stun_put_xor_address(&f.writer, STUN_XOR_PEER_ADDRESS, &mapped);
    ck_assert_int_eq(fixture_request(&f), 403);
    memcpy(mapped.ip + 12, "\xc6\x33\x64\x01", 4); /* 198.51.100.1: the same peer as in IPv4 notation */
    fixture_begin(&f, STUN_METHOD_CREATE_PERMISSION);
    stun_put_xor_address(&f.writer, STUN_XOR_PEER_ADDRESS, &mapped);
    ck_assert_int_eq(fixture_request(&f), 0);
    fixture_send(&f, "198.51.100.1:9", "x", 1);
    ck_assert_uint_eq(f.n_to_peer, 1);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_permissions_are_bounded)
{
    start_allocated("\"quota\":{\"permissions\":3,\"channels\":2}");
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.2"), 0);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.3"), 0);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.4"), 508);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.3"), 0); /* refreshing is always possible */
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.4:1"), 508);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1"), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4001, "198.51.100.1:2"), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4002, "198.51.100.1:3"), 508);
    ck_assert_int_eq(fixture_bind(&f, 0x4001, "198.51.100.1:2"), 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_channel_numbers)
{
    start_allocated("");
    ck_assert_int_eq(fixture_bind(&f, 0x3fff, "198.51.100.1:1"), 400);
    ck_assert_int_eq(fixture_bind(&f, 0x5000, "198.51.100.1:1"), 400);
    ck_assert_int_eq(fixture_bind(&f, 0x7fff, "198.51.100.1:1"), 400);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1"), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4fff, "198.51.100.1:2"), 0);
    fixture_stop(&f);
    start_allocated("\"channel_numbers\":\"rfc5766\"");
    ck_assert_int_eq(fixture_bind(&f, 0x5000, "198.51.100.1:1"), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x7ffe, "198.51.100.1:2"), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x7fff, "198.51.100.1:3"), 400);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_channel_may_not_move)
{
    start_allocated("");
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1"), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:2"), 400); /* number to another peer */
    ck_assert_int_eq(fixture_bind(&f, 0x4001, "198.51.100.1:1"), 400); /* peer to another number */
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1"), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4001, "198.51.100.1"), 403); /* port 0 */
    fixture_stop(&f);
}
END_TEST

START_TEST(test_channel_bind_malformed)
{
    struct netaddr peer = address("198.51.100.1:1"), six = address("[2001:db8::1]:1");
    start_allocated("");
    fixture_begin(&f, STUN_METHOD_CHANNEL_BIND);
    stun_put_u32(&f.writer, STUN_CHANNEL_NUMBER, 0x40000000);
    ck_assert_int_eq(fixture_request(&f), 400);
    fixture_begin(&f, STUN_METHOD_CHANNEL_BIND);
    stun_put_xor_address(&f.writer, STUN_XOR_PEER_ADDRESS, &peer);
    ck_assert_int_eq(fixture_request(&f), 400);
    fixture_begin(&f, STUN_METHOD_CHANNEL_BIND);
    stun_put_u32(&f.writer, STUN_CHANNEL_NUMBER, 0x40000000);
    stun_put_xor_address(&f.writer, STUN_XOR_PEER_ADDRESS, &six);
    ck_assert_int_eq(fixture_request(&f), 443);
    fixture_stop(&f);
}
END_TEST

/* Ten minutes bound, five more in which nothing else may be bound there, then free. */
START_TEST(test_channel_lifetime)
{
    start_allocated("");
    ck_assert_int_eq(fixture_refresh(&f, 3600), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1"), 0);
    fixture_pass(&f, 600);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
    fixture_channel_data(&f, 0x4000, "x", 1);
    ck_assert_uint_eq(f.n_to_peer, 1);
    fixture_pass(&f, 1);
    fixture_channel_data(&f, 0x4000, "x", 1);
    ck_assert_uint_eq(f.n_to_peer, 1);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:2"), 400);
    ck_assert_int_eq(fixture_bind(&f, 0x4001, "198.51.100.1:1"), 400);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1"), 0); /* the same pair revives */
    fixture_pass(&f, 601 + 300);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:2"), 400);
    fixture_pass(&f, 1);
    ck_assert_uint_eq(f.server->channels.count, 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:2"), 0);
    fixture_stop(&f);
}
END_TEST

/* ChannelBind installs the permission, which ends first: five minutes against ten. */
START_TEST(test_channel_without_permission_passes_nothing)
{
    start_allocated("");
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1"), 0);
    fixture_pass(&f, 301);
    fixture_channel_data(&f, 0x4000, "x", 1);
    fixture_from_peer(&f, "198.51.100.1:1", "y", 1);
    ck_assert_uint_eq(f.n_to_peer, 0);
    ck_assert_uint_eq(f.n_to_client, 0);
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_no_permission], 2);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
    fixture_channel_data(&f, 0x4000, "x", 1);
    fixture_from_peer(&f, "198.51.100.1:1", "y", 1);
    ck_assert_uint_eq(f.n_to_peer, 1);
    ck_assert_uint_eq(f.n_to_client, 1);
    fixture_stop(&f);
}
END_TEST

UNIT_MAIN("turn_methods", test_refresh, test_refresh_shortens, test_refresh_zero_deletes_at_once,
          test_permission_lasts_five_minutes, test_several_permissions_all_or_nothing, test_refused_peers,
          test_mapped_peer, test_permissions_are_bounded, test_channel_numbers, test_channel_may_not_move,
          test_channel_bind_malformed, test_channel_lifetime, test_channel_without_permission_passes_nothing)
