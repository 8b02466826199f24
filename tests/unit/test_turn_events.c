/* What the log says of relays and limits, and what strangers are answered. */
#include <sys/mman.h>
#include <unistd.h>

#include "edge/turn/turn_allocation.h"
#include "tests/unit/turn_fixture.h"

static struct fixture f;
static char log_text[1 << 20];
static int log_fd = -1;

/* From here on the log goes where log_lines reads it. */
static void log_catch(void)
{
    log_set_level(LOG_INFO);
    log_fd = memfd_create("log", 0);
    ck_assert_int_ge(log_fd, 0);
    ck_assert_int_ge(dup2(log_fd, STDERR_FILENO), 0);
}

/* Lines that have all of these words, up to NULL. */
static unsigned log_lines(const char *first, ...)
{
    unsigned found = 0;
    ssize_t n = pread(log_fd, log_text, sizeof log_text - 1, 0);
    ck_assert_int_ge(n, 0);
    log_text[n] = '\0';
    for (char *save, *line = strtok_r(log_text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        bool all = true;
        va_list ap;
        va_start(ap, first);
        for (const char *word = first; word; word = va_arg(ap, const char *))
            all = all && strstr(line, word);
        va_end(ap);
        found += all;
    }
    return found;
}

START_TEST(test_life_of_a_relay)
{
    fixture_start(&f, "");
    log_catch();
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_uint_eq(log_lines("\"Relay Allocated\"", "client=192.0.2.1:5000", "transport=UDP",
                                "user=\"alice\"", "relayed=203.0.113.10:", "lifetime=600", NULL),
                      1);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:2000"), 0);
    fixture_channel_data(&f, 0x4000, "media", 5);
    fixture_from_peer(&f, "198.51.100.1:2000", "more media", 10);
    fixture_from_peer(&f, "198.51.100.2:2000", "stranger", 8);
    fixture_pass(&f, 7);
    ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    ck_assert_uint_eq(log_lines("\"Relay Deleted\"", "client=192.0.2.1:5000", "transport=UDP",
                                "user=\"alice\"", "reason=\"the client asked for it\"", "duration=7",
                                "packets_from_client=1", "bytes_from_client=5", "packets_to_client=1",
                                "bytes_to_client=10", "dropped=1", NULL),
                      1);
    ck_assert_int_eq(fixture_allocate(&f), 0);
    fixture_pass(&f, 602);
    ck_assert_uint_eq(log_lines("\"Relay Expired\"", "reason=\"not refreshed\"", NULL), 1);
    ck_assert_int_eq(fixture_allocate(&f), 0);
    turn_allocation_disconnect(f.server, &f.client.key);
    ck_assert_uint_eq(log_lines("\"Relay Disconnected\"", NULL), 1);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_refusals_say_why)
{
    fixture_start(&f, "\"quota\":{\"user\":1}");
    log_catch();
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_int_eq(fixture_permit(&f, "10.9.9.9"), 403);
    ck_assert_uint_eq(log_lines("\"Relay Refused\"", "request=CreatePermission", "error=403",
                                "reason=\"a private address, not in allow_peers\"", "peer=10.9.9.9",
                                "user=\"alice\"", NULL),
                      1);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "169.254.169.254:80"), 403);
    ck_assert_uint_eq(log_lines("\"Relay Refused\"", "request=ChannelBind", "peer=169.254.169.254:80", NULL),
                      1);
    fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(fixture_allocate(&f), 486);
    ck_assert_uint_eq(
        log_lines("\"Relay Refused\"", "error=486", "reason=\"quota of the user reached\"", NULL), 1);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(fixture_allocate(&f), 486);
    ck_assert_uint_le(log_lines("\"Relay Refused\"", NULL), 20); /* a user may try as often as it likes */
    fixture_stop(&f);
}
END_TEST

/* Told when it begins and when it is over, not for each request. */
START_TEST(test_limits_are_told_once)
{
    fixture_start(&f, "\"quota\":{\"user\":1,\"address\":2}");
    log_catch();
    ck_assert_int_eq(fixture_allocate(&f), 0);
    fixture_client(&f, "192.0.2.1:5001");
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(fixture_allocate(&f), 486);
        fixture_pass(&f, 25);
    }
    ck_assert_uint_eq(log_lines("\"Relay Limit Reached\"", NULL), 1);
    ck_assert_uint_eq(log_lines("\"Relay Limit Reached\"", "limit=\"turn.user_quota\"", "remedy=\"Raise",
                                "user=\"alice\"", "client=192.0.2.1:5001", NULL),
                      1);
    fixture_client(&f, "192.0.2.1:5002");
    f.user = "bob";
    f.password = "banana";
    ck_assert_int_eq(fixture_allocate(&f), 0);
    fixture_client(&f, "192.0.2.1:5003");
    ck_assert_uint_eq(log_lines("\"Relay Limit Over\"", NULL), 0);
    fixture_pass(&f, 10);
    ck_assert_uint_eq(log_lines("\"Relay Limit Over\"", "limit=\"turn.user_quota\"", "refused=10", NULL), 1);
    ck_assert_uint_eq(f.server->alarms[TURN_ALARM_user].refused, 10);
    ck_assert_uint_eq(f.server->alarms[TURN_ALARM_address].refused, 0);
    fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(fixture_allocate(&f), 486); /* and once more */
    ck_assert_uint_eq(log_lines("\"Relay Limit Reached\"", NULL), 2);
    fixture_stop(&f);
}
END_TEST

/* As many other users as are counted, by their ids alone: for one that meets none of them there is no place.
 */
START_TEST(test_too_many_users_are_told)
{
    struct turn_seat seat;
    struct netaddr other;
    enum turn_quota q = TURN_QUOTA_OK;
    fixture_start(&f, "\"quota\":{\"user\":100}");
    log_catch();
    ck_assert(netaddr_parse("192.0.2.77", 0, &other) == ERR_OK);
    for (uint64_t id = 1; id < 200000; id++)
        q = turn_shared_sit(f.server->shared, &f.server->config, id, &other, &seat);
    ck_assert_int_eq(q, TURN_QUOTA_COUNTERS);
    ck_assert_int_eq(fixture_allocate(&f), 486);
    ck_assert_uint_eq(log_lines("\"Relay Limit Reached\"", "limit=\"users and addresses\"", NULL), 1);
    ck_assert_uint_eq(log_lines("\"Alarm Raised\"", "alarm=405", NULL), 1);
    fixture_pass(&f, TURN_ALARM_QUIET);
    ck_assert_uint_eq(log_lines("\"Alarm Cleared\"", "alarm=405", NULL), 1);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_ports_and_descriptors_are_told)
{
    fixture_start(&f, "\"relay_ports\":[30000,30000],\"relays\":[{\"bind\":\"203.0.113.10\"}]");
    log_catch();
    ck_assert_int_eq(fixture_allocate(&f), 0);
    fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(fixture_allocate(&f), 508);
    ck_assert_uint_eq(log_lines("\"Relay Limit Reached\"", "limit=\"turn.relay_ports\"", NULL), 1);
    ck_assert_uint_eq(log_lines("\"Relay Refused\"", "reason=\"no relay port is free\"", NULL), 1);
    fixture_stop(&f);
    fixture_start(&f, "");
    log_set_level(LOG_INFO);
    f.open_error = ERR_FULL;
    ck_assert_int_eq(fixture_allocate(&f), 508);
    ck_assert_uint_eq(log_lines("\"Relay Limit Reached\"", "limit=\"descriptors\"", NULL), 1);
    fixture_stop(&f);
}
END_TEST

/* Strangers --------------------------------------------------------------------------------------------- */

enum { WIRE4 = 28, WIRE6 = 48 /* IP and UDP headers */ };

/* Tenths of the request that the answer to a Binding request has, with so many bytes of headers on both. */
static size_t binding_tenths(const char *client, bool fingerprint, size_t wire)
{
    fixture_client(&f, client);
    fixture_begin(&f, STUN_METHOD_BINDING);
    if (fingerprint)
        stun_put_fingerprint(&f.writer);
    ck_assert_int_eq(fixture_plain(&f), 0);
    size_t request = STUN_HEADER + (fingerprint ? 8 : 0);
    return ((f.answer_size + wire) * 10 + request + wire - 1) / (request + wire);
}

/* An answer to somebody who has shown nothing is not worth forging a request for, SOFTWARE configured or not.
 * Over IPv6 the address alone makes it longer than that without headers: there it comes out of the budget. */
START_TEST(test_binding_is_no_amplifier)
{
    static const char *const extras[] = {
        "\"quota\":{\"challenges\":1}",
        "\"quota\":{\"challenges\":1},\"software\":\"Stile of the long name\""};
    for (int i = 0; i < 2; i++) {
        fixture_start(&f, extras[i]);
        for (int k = 0; k < 100; k++) {
            ck_assert_uint_le(binding_tenths("192.0.2.1:5000", false, 0), 16);
            ck_assert_uint_le(binding_tenths("192.0.2.1:5000", true, 0), 16);
        }
        ck_assert_uint_le(binding_tenths("192.0.2.1:5000", false, WIRE4), 16);
        ck_assert_uint_le(binding_tenths("[2001:db8::1]:5000", false, WIRE6), 16);
        ck_assert_uint_le(binding_tenths("[2001:db8::1]:5000", true, WIRE6), 16);
        unsigned more = 0;
        fixture_client(&f, "[2001:db8::1]:5000");
        do
            fixture_begin(&f, STUN_METHOD_BINDING);
        while (fixture_plain(&f) == 0 && ++more < 100);
        ck_assert_uint_eq(more, TURN_LIMITER_SECONDS - 2);
        fixture_stop(&f);
    }
}
END_TEST

static int bare_allocate(const char *client)
{
    fixture_client(&f, client);
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    return fixture_plain(&f);
}

START_TEST(test_flooded_address_keeps_its_calls)
{
    unsigned answered = 0;
    fixture_start(&f, "\"quota\":{\"challenges\":3}");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    for (int i = 0; i < 1000; i++)
        answered += bare_allocate("192.0.2.1:6000") == 401;
    ck_assert_uint_eq(answered, 3 * TURN_LIMITER_SECONDS);
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_limited], 1000 - answered);
    ck_assert_int_eq(bare_allocate("192.0.2.2:6000"),
                     401); /* another address is not its neighbour's keeper */
    fixture_client(&f, "192.0.2.1:5000");
    ck_assert_int_eq(fixture_refresh(&f, 600), 0);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
    /* Its nonce has run out: it is told so, as it has an allocation. */
    fixture_begin(&f, STUN_METHOD_REFRESH);
    f.server->wall -= 5000;
    fixture_sign(&f);
    f.server->wall += 5000;
    ck_assert_int_eq(fixture_plain(&f), 438);
    /* Others who are signed but new at this address are let in, too. */
    fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_flood_over_ipv6_is_one_net)
{
    unsigned answered = 0;
    fixture_start(&f, "\"quota\":{\"challenges\":3}");
    for (unsigned i = 0; i < 1000; i++) {
        char from[60];
        snprintf(from, sizeof from, "[2001:db8::%x:%x]:5000", i + 1, i * 7919 % 65536);
        answered += bare_allocate(from) == 401;
    }
    ck_assert_uint_eq(answered, 3 * TURN_LIMITER_SECONDS);
    fixture_pass(&f, 2);
    for (answered = 0; bare_allocate("[2001:db8::9]:5000") == 401;)
        answered++;
    ck_assert_uint_eq(answered, 6);
    fixture_stop(&f);
}
END_TEST

UNIT_MAIN("turn_events", test_life_of_a_relay, test_refusals_say_why, test_limits_are_told_once,
          test_too_many_users_are_told, test_ports_and_descriptors_are_told, test_binding_is_no_amplifier,
          test_flooded_address_keeps_its_calls, test_flood_over_ipv6_is_one_net)
