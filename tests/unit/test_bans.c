/* The ban list with a clock of the test's own: thresholds, windows, ends, exemptions, bounds. */
#include "edge/bans.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct bans *b;
static unsigned ended;
static struct ban last_ended;

static struct netaddr ip(const char *text)
{
    struct netaddr a;
    ck_assert_int_eq(netaddr_parse(text, 0, &a), ERR_OK);
    return a;
}

static struct config_bans config(void)
{
    static char net[] = "192.0.2.0/24", net6[] = "2001:db8:1::5/128";
    static char *exempt[] = {net, net6};
    return (struct config_bans){.enabled = true,
                                .exempt = {exempt, 2},
                                .refused = {10, 60, 600},
                                .malformed = {3, 10, 20},
                                .handshakes = {0, 60, 600},
                                .http2_abuses = {1, 1, 1},
                                .limits = {5, 60, 60}};
}

static void setup(void)
{
    struct config_bans c = config();
    struct netcidr balancer;
    ck_assert_int_eq(netcidr_parse("203.0.113.9", &balancer), ERR_OK);
    b = bans_new();
    ck_assert_int_eq(bans_configure(b, &c, &balancer, 1), ERR_OK);
    ended = 0;
}

static void on_end(void *ctx, const struct ban *ban)
{
    (void)ctx;
    ended++;
    last_ended = *ban;
}

static bool offend(const char *address, enum ban_category category, unsigned n, double now)
{
    struct netaddr a = ip(address);
    return bans_offence(b, &a, category, n, now) != NULL;
}

static bool banned(const char *address)
{
    struct netaddr a = ip(address);
    return bans_find(b, &a) != NULL;
}

START_TEST(test_threshold_and_window)
{
    setup();
    ck_assert(!offend("198.51.100.1", BAN_refused, 9, 100));
    ck_assert(!offend("198.51.100.2", BAN_refused, 9, 100));   /* another's are another's */
    ck_assert(!offend("198.51.100.1", BAN_malformed, 2, 100)); /* as are other categories */
    ck_assert(!offend("198.51.100.1", BAN_refused, 9, 160));   /* a new window */
    ck_assert(offend("198.51.100.1", BAN_refused, 1, 219.9));
    ck_assert(banned("198.51.100.1"));
    ck_assert(!banned("198.51.100.2"));
    ck_assert(!offend("198.51.100.1", BAN_refused, 100, 220)); /* is already */
    ck_assert_uint_eq(bans_count(b), 1);
    ck_assert(offend("198.51.100.2", BAN_malformed, UINT32_MAX, 220));
    ck_assert_uint_eq(bans_counters(b)->banned[BAN_refused], 1);
    ck_assert_uint_eq(bans_counters(b)->banned[BAN_malformed], 1);
    bans_free(b);
}
END_TEST

START_TEST(test_end)
{
    setup();
    ck_assert(offend("198.51.100.1", BAN_malformed, 3, 100));
    ck_assert(offend("198.51.100.2", BAN_refused, 10, 100));
    bans_sweep(b, 119.9, on_end, NULL);
    ck_assert_uint_eq(ended, 0);
    bans_sweep(b, 120, on_end, NULL);
    ck_assert_uint_eq(ended, 1);
    struct netaddr first = ip("198.51.100.1");
    ck_assert(netaddr_equal_ip(&last_ended.client, &first));
    ck_assert_int_eq((int)last_ended.category, BAN_malformed);
    ck_assert(!banned("198.51.100.1"));
    ck_assert(banned("198.51.100.2"));
    ck_assert(!offend("198.51.100.1", BAN_malformed, 2, 121)); /* from 0 again */
    ck_assert(offend("198.51.100.1", BAN_malformed, 1, 122));
    ck_assert_uint_eq(bans_counters(b)->ended, 1);
    bans_free(b);
}
END_TEST

START_TEST(test_exempt)
{
    struct netaddr listed = ip("192.0.2.7");
    setup();
    ck_assert(!offend("192.0.2.7", BAN_refused, 1000, 1));
    ck_assert(!offend("203.0.113.9", BAN_refused, 1000, 1));
    ck_assert(!offend("127.0.0.1", BAN_refused, 1000, 1));
    ck_assert(!offend("::1", BAN_refused, 1000, 1));
    ck_assert(!offend("2001:db8:1::77", BAN_refused, 1000, 1));  /* the /64 has an exempt one in it */
    ck_assert(!offend("198.51.100.1", BAN_handshakes, 1000, 1)); /* threshold 0 */
    ck_assert_int_eq(bans_add(b, &listed, 60, "me", 1), ERR_REFUSED);
    ck_assert_uint_eq(bans_count(b), 0);
    ck_assert(offend("203.0.113.10", BAN_refused, 10, 1));
    bans_free(b);
}
END_TEST

START_TEST(test_ipv6_by_network)
{
    setup();
    ck_assert(!offend("2001:db8:2::1", BAN_malformed, 2, 1));
    ck_assert(!offend("2001:db8:2:1::1", BAN_malformed, 2, 1));
    ck_assert(offend("2001:db8:2::ffff:1", BAN_malformed, 1, 1));
    ck_assert(banned("2001:db8:2:0:1:2:3:4"));
    ck_assert(!banned("2001:db8:2:1::1"));
    bans_free(b);
}
END_TEST

START_TEST(test_by_hand)
{
    struct netaddr a = ip("198.51.100.1");
    setup();
    ck_assert_int_eq(bans_add(b, &a, 10, "scans us", 5), ERR_OK);
    ck_assert_str_eq(ban_reason(bans_find(b, &a)), "scans us");
    ck_assert_int_eq(bans_add(b, &a, 100, NULL, 6), ERR_OK);
    ck_assert_uint_eq(bans_count(b), 1);
    ck_assert_double_eq(bans_find(b, &a)->until, 106);
    ck_assert_str_eq(ban_reason(bans_find(b, &a)), "by hand");
    ck_assert(bans_remove(b, &a));
    ck_assert(!bans_remove(b, &a));
    ck_assert_uint_eq(bans_count(b), 0);
    bans_free(b);
}
END_TEST

/* Switched off, automatic bans are over; those by hand stay. What becomes exempt is free. */
START_TEST(test_configured_anew)
{
    struct netaddr a = ip("198.51.100.1"), spared = ip("198.51.100.200");
    struct config_bans c = config();
    char net[] = "198.51.100.200/32", *exempt[] = {net};
    setup();
    ck_assert_int_eq(bans_add(b, &a, 1000, NULL, 1), ERR_OK);
    ck_assert_int_eq(bans_add(b, &spared, 1000, NULL, 1), ERR_OK);
    ck_assert(offend("198.51.100.2", BAN_refused, 10, 1));
    c.enabled = false;
    c.exempt = (struct schema_strings){exempt, 1};
    ck_assert_int_eq(bans_configure(b, &c, NULL, 0), ERR_OK);
    bans_sweep(b, 2, on_end, NULL);
    ck_assert_uint_eq(ended, 2);
    ck_assert(banned("198.51.100.1"));
    ck_assert(!offend("198.51.100.3", BAN_refused, 10, 2));
    bans_free(b);
}
END_TEST

START_TEST(test_bounds)
{
    setup();
    for (unsigned i = 0; i < BANS_MAX + 100; i++) {
        struct netaddr a = {.family = AF_INET, .ip = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
        ck_assert_int_eq(bans_offence(b, &a, BAN_http2_abuses, 1, 1) != NULL, i < BANS_MAX);
    }
    ck_assert_uint_eq(bans_count(b), BANS_MAX);
    ck_assert_uint_eq(bans_counters(b)->full, 100);
    unsigned n = 0;
    for (const struct ban *at = bans_next(b, NULL); at; at = bans_next(b, at))
        n++;
    ck_assert_uint_eq(n, BANS_MAX);
    bans_sweep(b, 2, on_end, NULL);
    ck_assert_uint_eq(bans_count(b), 0);
    /* Who offended least recently is forgotten, who did just now is not. */
    ck_assert(!offend("198.51.100.1", BAN_refused, 9, 3));
    for (unsigned i = 0; i < BANS_OFFENDERS_MAX - 1; i++) {
        struct netaddr a = {.family = AF_INET, .ip = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
        ck_assert_ptr_null(bans_offence(b, &a, BAN_refused, 9, 3));
    }
    ck_assert(!offend("198.51.100.2", BAN_refused, 9, 3)); /* takes the place of 198.51.100.1 */
    ck_assert(!offend("198.51.100.1", BAN_refused, 1, 3));
    ck_assert(offend("198.51.100.2", BAN_refused, 1, 3));
    bans_free(b);
}
END_TEST

UNIT_MAIN("bans", test_threshold_and_window, test_end, test_exempt, test_ipv6_by_network, test_by_hand,
          test_configured_anew, test_bounds)
