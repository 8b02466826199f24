/* Bandwidth: the bucket alone, and what the server does with it in both directions. */
#include <unistd.h>

#include "edge/turn/turn_allocation.h"
#include "tests/unit/turn_fixture.h"

enum { SECOND = 1000000000, MS = 1000000 };

static struct fixture f;

/* Packets of n bytes that pass at one moment. */
static unsigned pass(const struct turn_rate *r, uint64_t *paid_until, uint64_t now, size_t n)
{
    unsigned passed = 0;
    while (passed < 1000000 && turn_rate_take(r, paid_until, now, n))
        passed++;
    return passed;
}

START_TEST(test_burst_then_rate)
{
    struct turn_rate r = turn_rate_make(8000); /* a million bytes a second */
    uint64_t bucket = 0, now = 12345ull * SECOND;
    ck_assert_uint_eq(pass(&r, &bucket, now, 1000), 500); /* half a second's worth at once */
    for (int i = 0; i < 100; i++) {
        now += 10 * MS;
        ck_assert_uint_eq(pass(&r, &bucket, now, 1000), 10);
    }
    now += 1000ull * SECOND; /* silence saves up no more than the burst */
    ck_assert_uint_eq(pass(&r, &bucket, now, 1000), 500);
}
END_TEST

START_TEST(test_slowest_and_fastest)
{
    struct turn_rate slow = turn_rate_make(1), fast = turn_rate_make(100000000);
    uint64_t a = 0, b = 0, now = SECOND;
    ck_assert_uint_eq(pass(&slow, &a, now, 1024), 16); /* the least burst */
    ck_assert_uint_eq(pass(&slow, &a, now + 8 * (uint64_t)SECOND, 1024), 1);
    /* The longest packet passes while there is something left, and is paid for afterwards. */
    a = 0;
    ck_assert_uint_eq(pass(&slow, &a, now, 65535), 1);
    ck_assert_uint_eq(pass(&slow, &a, now + 300 * (uint64_t)SECOND, 1), 0);
    unsigned long long bytes = 0;
    for (int i = 0; i < 10; i++, now += 100 * MS)
        bytes += (unsigned long long)pass(&fast, &b, now, 65535) * 65535;
    ck_assert_uint_gt(bytes, 12500000000ull); /* 100 Gbit/s for a second, and the burst */
    ck_assert_uint_lt(bytes, 18000000000ull);
}
END_TEST

START_TEST(test_shared_bucket_is_the_same)
{
    struct turn_rate r = turn_rate_make(800);
    uint64_t alone = 0;
    _Atomic uint64_t shared = 0;
    for (uint64_t now = SECOND; now < 5 * (uint64_t)SECOND; now += 7 * MS) {
        bool one = turn_rate_take(&r, &alone, now, 1200),
             other = turn_rate_take_shared(&r, &shared, now, 1200);
        ck_assert_int_eq(one, other);
    }
    ck_assert_uint_eq(alone, atomic_load(&shared));
}
END_TEST

static void start_bound(const char *extra)
{
    fixture_start(&f, extra);
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:2000"), 0);
}

static void send_packets(unsigned n)
{
    static const uint8_t kilobyte[1024];
    for (unsigned i = 0; i < n; i++)
        fixture_channel_data(&f, 0x4000, kilobyte, sizeof kilobyte);
}

START_TEST(test_without_limit_nothing_is_dropped)
{
    start_bound("");
    ck_assert(!f.server->limited);
    send_packets(2000);
    ck_assert_uint_eq(f.n_to_peer, 2000);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_allocation_is_held)
{
    static const uint8_t kilobyte[1024];
    start_bound("\"quota\":{\"allocation_kbps\":1024}"); /* 125 packets of this size a second */
    struct turn_allocation *a = turn_allocation_find(f.server, &f.client.key);
    send_packets(200);
    ck_assert_uint_eq(f.n_to_peer, 63);
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_allocation_bandwidth], 137);
    ck_assert_uint_eq(a->drops, 137);
    ck_assert_uint_eq(a->from_client.packets, 63); /* what was dropped was not relayed */
    for (int i = 0; i < 200; i++)                  /* the other way has a bucket of its own */
        fixture_from_peer(&f, "198.51.100.1:2000", kilobyte, sizeof kilobyte);
    ck_assert_uint_eq(f.n_to_client, 63);
    ck_assert_uint_eq(a->drops, 274);
    fixture_send(&f, "198.51.100.1:2000", kilobyte, sizeof kilobyte); /* Send indications draw from it too */
    ck_assert_uint_eq(f.n_to_peer, 63);
    f.server->moment += 80 * MS;
    send_packets(200);
    ck_assert_uint_eq(f.n_to_peer, 73);
    /* another allocation of the same user has its own */
    fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:2000"), 0);
    send_packets(200);
    ck_assert_uint_eq(f.n_to_peer, 73 + 63);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_user_is_held_over_allocations)
{
    start_bound("\"quota\":{\"user_kbps\":1024}");
    send_packets(40);
    fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:2000"), 0);
    send_packets(40);
    ck_assert_uint_eq(f.n_to_peer, 63);
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_user_bandwidth], 17);
    /* another user is unharmed */
    f.user = "bob";
    f.password = "banana";
    fixture_client(&f, "192.0.2.1:5002");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:2000"), 0);
    send_packets(40);
    ck_assert_uint_eq(f.n_to_peer, 63 + 40);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_changed_while_running)
{
    char why[200];
    start_bound("");
    send_packets(100);
    ck_assert_uint_eq(f.n_to_peer, 100);
    struct turn_config c = fixture_config("\"quota\":{\"allocation_kbps\":1024}");
    ck_assert_int_eq(turn_server_reconfigure(f.server, &c, why, sizeof why), ERR_OK);
    send_packets(100);
    ck_assert_uint_eq(f.n_to_peer, 100 + 63);
    c = fixture_config("\"quota\":{\"user_kbps\":2048}"); /* the allocation is older than the limit */
    ck_assert_int_eq(turn_server_reconfigure(f.server, &c, why, sizeof why), ERR_OK);
    send_packets(200);
    ck_assert_uint_eq(f.n_to_peer, 100 + 63 + 125);
    c = fixture_config("");
    ck_assert_int_eq(turn_server_reconfigure(f.server, &c, why, sizeof why), ERR_OK);
    send_packets(200);
    ck_assert_uint_eq(f.n_to_peer, 100 + 63 + 125 + 200);
    fixture_stop(&f);
}
END_TEST

/* Two workers, one bucket. */
START_TEST(test_user_is_held_over_workers)
{
    struct turn_config c = fixture_config("\"quota\":{\"user_kbps\":1024}");
    struct turn_shared *one, *two;
    struct turn_seat seat, other;
    struct netaddr client = address("192.0.2.1");
    c.worker_count = 2;
    int fd = turn_shared_create(&c);
    ck_assert_int_eq(turn_shared_attach(fd, &c, &one), ERR_OK);
    c.worker_index = 1;
    ck_assert_int_eq(turn_shared_attach(fd, &c, &two), ERR_OK);
    uint64_t user = turn_shared_user(one, "alice");
    ck_assert_int_eq(turn_shared_sit(one, &c, user, &client, &seat), TURN_QUOTA_OK);
    ck_assert_int_eq(turn_shared_sit(two, &c, user, &client, &other), TURN_QUOTA_OK);
    struct turn_rate r = turn_rate_make(1024);
    unsigned passed = 0;
    for (int i = 0; i < 100; i++) {
        passed += turn_rate_take_shared(&r, turn_shared_buckets(one, &seat), SECOND, 1024);
        passed += turn_rate_take_shared(&r, turn_shared_buckets(two, &other), SECOND, 1024);
    }
    ck_assert_uint_eq(passed, 63);
    turn_shared_detach(one);
    turn_shared_detach(two);
    turn_config_free(&c);
    close(fd);
}
END_TEST

UNIT_MAIN("turn_rate", test_burst_then_rate, test_slowest_and_fastest, test_shared_bucket_is_the_same,
          test_without_limit_nothing_is_dropped, test_allocation_is_held, test_user_is_held_over_allocations,
          test_changed_while_running, test_user_is_held_over_workers)
