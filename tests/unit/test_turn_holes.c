/*
 * Holes that other TURN servers had, one test each, by the number under which they became known. What is not
 * a server's matter without sockets has its test where docs/turn-conformance.md says.
 */
#include <ctype.h>
#include <math.h>
#include <unistd.h>

#include "edge/turn/turn_allocation.h"
#include "edge/turn/turn_status.h"
#include "tests/unit/turn_fixture.h"

static struct fixture f;

enum { DRAWN = 1000 };

static uint16_t relayed_port(void)
{
    struct netaddr a;
    ck_assert_int_eq(stun_get_xor_address(&f.answer, STUN_XOR_RELAYED_ADDRESS, &a), ERR_OK);
    return a.port;
}

static void client_number(unsigned i)
{
    char text[40];
    snprintf(text, sizeof text, "192.0.%u.%u:5000", 2 + i / 250, 1 + i % 250);
    fixture_client(&f, text);
}

/* Between a row and the same row so much later. */
static double correlation(const double *v, size_t n, size_t lag)
{
    double mean = 0, square = 0, cross = 0;
    for (size_t i = 0; i < n; i++)
        mean += v[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        square += (v[i] - mean) * (v[i] - mean);
    for (size_t i = lag; i < n; i++)
        cross += (v[i] - mean) * (v[i - lag] - mean);
    return cross / square;
}

static void draw_ports(double *ports)
{
    fixture_start(&f, "");
    for (unsigned i = 0; i < DRAWN; i++) {
        client_number(i);
        ck_assert_int_eq(fixture_allocate(&f), 0);
        ports[i] = relayed_port();
    }
    fixture_stop(&f);
}

/* CVE-2025-69217: ports from a weak generator, or one after the other. The limits are five standard
 * deviations: one run in a million may fail. */
START_TEST(test_ports_are_neither_sequential_nor_correlated)
{
    static double ports[DRAWN], again[DRAWN];
    unsigned neighbours = 0, thirds[3] = {0}, same = 0;
    draw_ports(ports);
    draw_ports(again);
    for (size_t i = 0; i < DRAWN; i++) {
        neighbours += i > 0 && fabs(ports[i] - ports[i - 1]) <= 2;
        thirds[(unsigned)(ports[i] - 24000) / 2000]++;
        same += ports[i] == again[i];
    }
    ck_assert_uint_lt(neighbours, 15); /* 0.7 are to be expected */
    ck_assert_uint_lt(same, 10);       /* another server draws others */
    for (size_t i = 0; i < 3; i++)
        ck_assert(thirds[i] > 333 - 75 && thirds[i] < 333 + 75);
    for (size_t lag = 1; lag <= 8; lag++)
        ck_assert(fabs(correlation(ports, DRAWN, lag)) < 5 / sqrt(DRAWN));
}
END_TEST

/* CVE-2025-69217, the other half: nonces that can be computed. Of one server, nothing about another one's
 * follows. */
START_TEST(test_nonces_are_the_servers_own)
{
    char mine[STUN_NONCE_TEXT], others[STUN_NONCE_TEXT];
    struct netaddr client = address("192.0.2.1:5000"), neighbour = address("192.0.2.2:5000");
    fixture_start(&f, "");
    uint8_t first_key[TURN_NONCE_KEY_SIZE];
    memcpy(first_key, f.server->config.nonce_key, sizeof first_key);
    stun_nonce_make(first_key, FIXTURE_WALL, &client, &f.server->offer, mine);
    stun_nonce_make(first_key, FIXTURE_WALL, &neighbour, &f.server->offer, others);
    ck_assert_mem_ne(mine, others, sizeof mine);
    fixture_stop(&f);
    fixture_start(&f, "");
    ck_assert_mem_ne(first_key, f.server->config.nonce_key, sizeof first_key); /* drawn, not constant */
    ck_assert_int_ne(stun_nonce_check(f.server->config.nonce_key, FIXTURE_WALL, 600, &client,
                                      &f.server->offer, (struct stun_value){0},
                                      (struct stun_value){(const uint8_t *)mine, sizeof mine}),
                     ERR_OK);
    fixture_stop(&f);
}
END_TEST

/* The same for reservation tokens: 63 of their bits are drawn. */
START_TEST(test_tokens_are_not_counted)
{
    uint64_t seen[64], ones = 0, zeros = 0;
    fixture_start(&f, "");
    for (unsigned i = 0; i < 64; i++) {
        client_number(i);
        fixture_begin(&f, STUN_METHOD_ALLOCATE);
        stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
        stun_put(&f.writer, STUN_EVEN_PORT, "\x80", 1);
        ck_assert_int_eq(fixture_request(&f), 0);
        memcpy(&seen[i], stun_get(&f.answer, STUN_RESERVATION_TOKEN).at, 8);
        ones |= seen[i];
        zeros |= ~seen[i];
        for (unsigned k = 0; k < i; k++)
            ck_assert(seen[k] != seen[i]);
    }
    ck_assert(ones == UINT64_MAX);
    ck_assert_int_ge(__builtin_popcountll(zeros), 63);
    fixture_stop(&f);
}
END_TEST

/* CVE-2026-40613: reads that need alignment. Every message at every offset; the sanitizer build watches. */
START_TEST(test_every_alignment)
{
    static uint8_t requests[4][1000];
    size_t sizes[4], n = 0;
    struct netaddr peer = address("198.51.100.1:9");
    fixture_start(&f, "");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    for (; n < 4; n++) {
        fixture_begin(&f, n == 0   ? STUN_METHOD_ALLOCATE
                          : n == 1 ? STUN_METHOD_REFRESH
                          : n == 2 ? STUN_METHOD_CREATE_PERMISSION
                                   : STUN_METHOD_CHANNEL_BIND);
        stun_put(&f.writer, STUN_EVEN_PORT, "\x80", 1);
        stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
        stun_put_u32(&f.writer, STUN_LIFETIME, 700);
        stun_put_u32(&f.writer, STUN_CHANNEL_NUMBER, 0x40000000);
        stun_put_xor_address(&f.writer, STUN_XOR_PEER_ADDRESS, &peer);
        fixture_sign(&f);
        stun_put_fingerprint(&f.writer);
        ck_assert_int_eq(stun_end(&f.writer, &sizes[n]), ERR_OK);
        memcpy(requests[n], f.request, sizes[n]);
    }
    for (size_t offset = 0; offset < 8; offset++)
        for (size_t i = 0; i < n; i++) {
            uint8_t *packet = f.packet + TURN_HEADROOM + offset;
            memcpy(packet, requests[i], sizes[i]);
            f.answer_size = 0;
            turn_request_receive(f.server, &f.client, packet, sizes[i]);
            ck_assert_uint_gt(f.answer_size, 0);
            memcpy(packet, "\x40\0\0\5media", 9);
            turn_forward_channel_data(f.server, &f.client.key, packet, 9);
            memcpy(packet, "peer", 4);
            turn_forward_from_peer(fixture_relay(&f, TURN_IPV4), &peer, packet, 4);
        }
    ck_assert_uint_eq(f.n_to_peer, 8 * n - 3); /* all but the three before the first ChannelBind */
    fixture_stop(&f);
}
END_TEST

/* CVE-2026-43994: a RESERVATION-TOKEN longer than its eight bytes, copied before anyone had authenticated.
 * Here every attribute of every length, without credentials, and then with them. */
START_TEST(test_attributes_of_any_length)
{
    static const uint8_t value[1200];
    static const size_t lengths[] = {0, 1, 3, 4, 7, 8, 9, 12, 16, 20, 21, 64, 255, 764, 1024, 1200};
    fixture_start(&f, "");
    for (enum stun_attr a = 0; a < STUN_ATTR_COUNT; a++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
            for (int with = 0; with < 2; with++) {
                if (a == STUN_FINGERPRINT) /* nothing may stand behind it */
                    continue;
                fixture_begin(&f, STUN_METHOD_ALLOCATE);
                f.client.verified = true; /* no limit on answers */
                stun_put(&f.writer, a, value, lengths[i]);
                stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
                if (with)
                    fixture_sign(&f);
                int code = fixture_plain(&f);
                if (!with && a != STUN_MESSAGE_INTEGRITY && a != STUN_MESSAGE_INTEGRITY_SHA256)
                    ck_assert_int_eq(code, 401);
                if (with && a == STUN_RESERVATION_TOKEN)
                    ck_assert_int_eq(code, lengths[i] == 8 ? 508 : 400);
                if (code == 0)
                    ck_assert_int_eq(fixture_refresh(&f, 0), 0);
            }
    ck_assert_uint_eq(turn_shared_total(f.server->shared), 0);
    ck_assert_uint_eq(turn_shared_ports_used(f.server->shared, 0), 0);
    fixture_stop(&f);
}
END_TEST

/* IPv6 ranges compared byte by byte, so that bits behind a prefix's last whole byte did not count. */
START_TEST(test_ranges_end_within_a_byte)
{
    static const struct {
        const char *peer;
        int code;
    } rows[] = {{"2001:db8:8000::1", 403}, {"2001:db8:7fff::1", 0}, {"2001:db8:ffff::1", 403},
                {"2001:db9:1::1", 403},    {"2001:db9:3::1", 0},    {"2001:db9:2::1", 0},
                {"fe80::1", 403},          {"febf::1", 403},        {"fc00::1", 403},
                {"fdff:ffff::1", 403},     {"203.0.113.128", 403},  {"203.0.113.127", 0},
                {"172.16.0.1", 403},       {"172.31.255.255", 403}, {"172.32.0.0", 0},
                {"100.127.255.255", 403},  {"100.128.0.1", 0},      {"198.19.255.255", 403},
                {"198.20.0.1", 0},         {"239.255.255.255", 403}};
    fixture_start(&f, "\"deny_peers\":[\"2001:db8:8000::/33\",\"2001:db9::/47\",\"203.0.113.128/25\"],"
                      "\"relays\":[{\"bind\":\"192.0.2.36\"},{\"bind\":\"2001:dba::10\"}]");
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    stun_put_u32(&f.writer, STUN_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
    ck_assert_int_eq(fixture_request(&f), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_msg(fixture_permit(&f, rows[i].peer) == rows[i].code, "%s", rows[i].peer);
    fixture_stop(&f);
}
END_TEST

/* A USERNAME that is a format, a statement or a line of the log: it is only ever a name. */
START_TEST(test_names_are_only_names)
{
    static const char *const names[] = {
        "%s%s%s%n%n",           "'; DROP TABLE users; --",
        "alice\" OR \"1\"=\"1", "x\n2030-01-01T00:00:00.000Z error Forged Event reason=none",
        "\x1b[2J\r\t\x7f",      "alice\" error=0 user=\"admin"};
    char line[4000];
    FILE *log = tmpfile();
    ck_assert_ptr_nonnull(log);
    fixture_start(&f, "");
    ck_assert_int_ge(dup2(fileno(log), STDERR_FILENO), 0);
    log_set_level(LOG_NOTICE);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        f.user = names[i];
        ck_assert_int_eq(fixture_allocate(&f), 401);
    }
    f.user = "alice";
    ck_assert_int_eq(fixture_allocate(&f), 0);
    fixture_stop(&f);
    log_set_level(LOG_ERR);
    rewind(log);
    size_t lines = 0;
    for (; fgets(line, sizeof line, log) && strstr(line, "Relay Refused"); lines++) {
        char *end = strchr(line, '\n');
        ck_assert_ptr_nonnull(end);
        for (char *at = line; at < end; at++)
            ck_assert_msg(!iscntrl((unsigned char)*at), "%s", line);
        ck_assert_ptr_nonnull(strstr(line, " error=401 "));
    }
    ck_assert_uint_eq(lines, sizeof names / sizeof *names); /* one each: none began another line */
}
END_TEST

/* Permissions and channels without end: memory of an allocation has a bound also as it comes out of the box.
 */
START_TEST(test_permissions_and_channels_end)
{
    unsigned permissions = 0, channels = 0;
    char peer[40];
    fixture_start(&f, "");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(peer, sizeof peer, "198.51.%u.%u", i / 250, 1 + i % 250);
        int code = fixture_permit(&f, peer);
        ck_assert(code == 0 || code == 508);
        permissions += code == 0;
    }
    ck_assert_uint_eq(permissions, f.server->config.permissions_max);
    ck_assert_uint_le(permissions, 4096);
    for (unsigned i = 0; i < 4096; i++) {
        snprintf(peer, sizeof peer, "198.51.0.1:%u", 1 + i);
        int code = fixture_bind(&f, (uint16_t)(0x4000 + i), peer);
        ck_assert(code == 0 || code == 508);
        channels += code == 0;
    }
    ck_assert_uint_eq(channels, f.server->config.channels_max);
    ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    ck_assert_uint_eq(f.server->permissions.count + f.server->channels.count, 0);
    fixture_stop(&f);
}
END_TEST

/* Answers to requests with a victim's address as their source. */
START_TEST(test_challenges_amplify_nothing)
{
    size_t asked = 0, answered = 0;
    fixture_start(&f, "\"software\":\"Stile\"");
    fixture_client(&f, "192.0.2.66:53");
    for (unsigned i = 0; i < 20000; i++) {
        fixture_begin(&f, STUN_METHOD_ALLOCATE);
        fixture_plain(&f);
        asked += 20;
        answered += f.answer_size;
    }
    ck_assert_uint_lt(answered, asked * 16 / 10);
    fixture_stop(&f);
}
END_TEST

/* Coturn's answer to a bare Binding request is 4.6 times as long (7 times over IPv6). */
START_TEST(test_binding_amplifies_little)
{
    static const char *const clients[] = {"192.0.2.1:5000", "[2001:db8:5::9]:1234"};
    static const size_t most[] = {32, 44}; /* XOR-MAPPED-ADDRESS and nothing else */
    fixture_start(&f, "\"software\":\"Stile\"");
    for (size_t i = 0; i < 2; i++) {
        fixture_client(&f, clients[i]);
        fixture_begin(&f, STUN_METHOD_BINDING);
        ck_assert_int_eq(fixture_plain(&f), 0);
        ck_assert_uint_eq(f.answer_size, most[i]);
    }
    size_t answered = 0; /* the 12 bytes of IPv6 beyond 1.6 come out of the budget of the address */
    for (unsigned i = 0; i < 20000; i++) {
        fixture_begin(&f, STUN_METHOD_BINDING);
        fixture_plain(&f);
        answered += f.answer_size;
    }
    ck_assert_uint_lt(answered, 20000 * 20 * 16 / 10);
    fixture_stop(&f);
}
END_TEST

static size_t count_keys(const json_t *json)
{
    const char *key;
    json_t *value;
    size_t n = json_object_size(json);
    json_object_foreach ((json_t *)(uintptr_t)json, key, value)
        n += json_is_object(value) ? count_keys(value) : 0;
    return n;
}

/* Metrics with a label per user or address: whoever invents names fills the memory of who collects them. */
START_TEST(test_counters_do_not_multiply)
{
    static char names[200][24];
    fixture_start(&f, "");
    json_t *before = turn_counters_json(&f.server->counters);
    for (unsigned i = 0; i < 200; i++) {
        client_number(i);
        snprintf(names[i], sizeof names[i], "stranger%u", i);
        f.user = names[i];
        ck_assert_int_eq(fixture_allocate(&f), 401);
        fixture_begin(&f, (uint16_t)(0x20 + i));
        ck_assert_int_eq(fixture_plain(&f), -1);
        f.user = "alice";
        ck_assert_int_eq(fixture_allocate(&f), 0);
    }
    json_t *after = turn_counters_json(&f.server->counters);
    ck_assert_uint_eq(count_keys(before), count_keys(after));
    json_decref(before);
    json_decref(after);
    fixture_stop(&f);
}
END_TEST

UNIT_MAIN("turn_holes", test_ports_are_neither_sequential_nor_correlated, test_nonces_are_the_servers_own,
          test_tokens_are_not_counted, test_every_alignment, test_attributes_of_any_length,
          test_ranges_end_within_a_byte, test_names_are_only_names, test_permissions_and_channels_end,
          test_challenges_amplify_nothing, test_binding_amplifies_little, test_counters_do_not_multiply)
