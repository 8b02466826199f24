#include <net/if.h>
#include <netinet/ip.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/sock.h"
#include "edge/turn/turn_outbox.h"
#include "tests/unit/unit.h"

enum { PACKETS = TURN_OUTBOX, SIZE_MAX_HERE = 2000 };

static struct turn_joining joining;
static struct turn_outbox outbox;
static struct turn_counters counters;
static uint8_t memory[PACKETS][SIZE_MAX_HERE];
static int sender, receiver;
static struct turn_target target;

static int open_socket(struct netaddr *where)
{
    struct netaddr any_port;
    ck_assert_int_eq(netaddr_parse("127.0.0.1", 0, &any_port), ERR_OK);
    int fd = sock_bind_udp(&any_port, false), omit = IP_PMTUDISC_OMIT;
    ck_assert_int_ge(fd, 0);
    setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &omit, sizeof omit);
    ck_assert_int_eq(sock_local(fd, where), ERR_OK);
    return fd;
}

static void setup(void)
{
    struct netaddr from, to;
    sender = open_socket(&from);
    receiver = open_socket(&to);
    turn_target_set(&target, &to);
    turn_joining_init(&joining, true);
    ck_assert_uint_gt(joining.longest, 1200);
    turn_outbox_init(&outbox, &joining);
    counters = (struct turn_counters){0};
    for (unsigned i = 0; i < PACKETS; i++)
        memset(memory[i], (int)i, SIZE_MAX_HERE);
}

/* A loopback of its own with short packets; it belongs to this test's process. */
static void setup_mtu(int mtu)
{
    struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    ck_assert_msg(unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0,
                  "no network name space to be had");
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &r), 0);
    r.ifr_mtu = mtu;
    ck_assert_int_eq(ioctl(fd, SIOCSIFMTU, &r), 0);
    close(fd);
    setup();
}

static void teardown(void)
{
    close(sender);
    close(receiver);
}

static void add(unsigned i, size_t n)
{
    turn_outbox_add(&outbox, &target, memory[i], n);
}

static void flush(void)
{
    turn_outbox_flush(&outbox, sender, &counters);
    ck_assert_uint_eq(outbox.n, 0);
    ck_assert_uint_eq(outbox.n_runs, 0);
}

/* The next datagram is number i with n bytes. */
static void expect_on(int fd, unsigned i, size_t n)
{
    uint8_t got[SIZE_MAX_HERE];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    ck_assert_msg(poll(&p, 1, 2000) > 0, "packet %u did not arrive", i);
    ck_assert_int_eq(recv(fd, got, sizeof got, 0), (ssize_t)n);
    for (size_t k = 0; k < n; k++)
        ck_assert_uint_eq(got[k], i);
}

static void expect(unsigned i, size_t n)
{
    expect_on(receiver, i, n);
}

static void expect_nothing(void)
{
    uint8_t byte;
    ck_assert_int_eq(recv(receiver, &byte, 1, MSG_DONTWAIT), -1);
    for (int i = 0; i < TURN_DROPS; i++)
        ck_assert_uint_eq(counters.drops[i], 0);
}

START_TEST(test_run_of_equal_datagrams)
{
    setup();
    for (unsigned i = 0; i < 20; i++)
        add(i, 1200);
    add(20, 700); /* shorter, so the last of its run */
    ck_assert_uint_eq(outbox.n_runs, 1);
    add(21, 700);
    add(22, 700);
    ck_assert_uint_eq(outbox.n_runs, 2);
    flush();
    for (unsigned i = 0; i < 20; i++)
        expect(i, 1200);
    for (unsigned i = 20; i < 23; i++)
        expect(i, 700);
    expect_nothing();
    teardown();
}
END_TEST

START_TEST(test_what_is_not_joined)
{
    struct netaddr where;
    setup();
    struct turn_target first = target;
    int other = open_socket(&where);
    add(0, 100);
    add(1, 200); /* longer than the run */
    turn_target_set(&target, &where);
    add(2, 200);
    target = first;
    add(3, 200);
    add(4, 0); /* an empty datagram is one */
    add(5, 0);
    add(6, 200);
    add(7, 1900); /* longer than a link carries */
    add(8, 1900);
    ck_assert_uint_eq(outbox.n_runs, 9);
    flush();
    expect(0, 100);
    expect(1, 200);
    expect_on(other, 2, 200);
    expect(3, 200);
    expect(4, 0);
    expect(5, 0);
    expect(6, 200);
    expect(7, 1900);
    expect(8, 1900);
    expect_nothing();
    close(other);
    teardown();
}
END_TEST

/* As many as one message holds, and the bytes that it holds. */
START_TEST(test_longest_run)
{
    setup();
    for (unsigned i = 0; i < PACKETS; i++)
        add(i, 1300);
    ck_assert(turn_outbox_full(&outbox));
    ck_assert_uint_eq(outbox.n_runs, 2);
    ck_assert_uint_le(outbox.runs[0].total, TURN_RUN_MAX);
    flush();
    for (unsigned i = 0; i < PACKETS; i++)
        expect(i, 1300);
    expect_nothing();
    teardown();
}
END_TEST

/* Runs that the device does not take leave one by one, in order, and are not tried again; shorter ones are.
 */
START_TEST(test_device_with_shorter_packets)
{
    setup_mtu(1000);
    add(0, 300);
    add(1, 300);
    for (unsigned i = 2; i < 10; i++)
        add(i, 1200);
    add(10, 40);
    add(11, 500);
    add(12, 500);
    ck_assert_uint_eq(outbox.n_runs, 3);
    flush();
    for (unsigned i = 0; i < 13; i++)
        expect(i, i < 2 ? 300 : i < 10 ? 1200 : i == 10 ? 40 : 500);
    expect_nothing();
    ck_assert_uint_eq(joining.longest, 1199);

    for (unsigned i = 0; i < 4; i++)
        add(i, 1200);
    ck_assert_uint_eq(outbox.n_runs, 4);
    for (unsigned i = 4; i < 8; i++)
        add(i, 800);
    ck_assert_uint_eq(outbox.n_runs, 5);
    flush();
    for (unsigned i = 0; i < 8; i++)
        expect(i, i < 4 ? 1200 : 800);
    expect_nothing();
    teardown();
}
END_TEST

/* A socket on which the kernel joins nothing, whatever the size. */
START_TEST(test_socket_that_refuses)
{
    int on = 1;
    setup();
    ck_assert_int_eq(setsockopt(sender, SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < PACKETS; i++)
            add(i, 200);
        ck_assert_uint_eq(outbox.n_runs, round == 0 ? 1 : PACKETS);
        flush();
        for (unsigned i = 0; i < PACKETS; i++)
            expect(i, 200);
    }
    expect_nothing();
    teardown();
}
END_TEST

START_TEST(test_switched_off)
{
    setup();
    turn_joining_init(&joining, false);
    for (unsigned i = 0; i < 5; i++)
        add(i, 200);
    ck_assert_uint_eq(outbox.n_runs, 5);
    flush();
    for (unsigned i = 0; i < 5; i++)
        expect(i, 200);
    expect_nothing();
    teardown();
}
END_TEST

/* What ICMP reported about a packet before does not cost the next one, nor the joining. */
START_TEST(test_old_error_is_nobodys_fault)
{
    struct netaddr closed;
    int on = 1;
    setup();
    ck_assert_int_eq(setsockopt(sender, IPPROTO_IP, IP_RECVERR, &on, sizeof on), 0);
    struct turn_target open = target;
    close(open_socket(&closed));
    turn_target_set(&target, &closed);
    add(0, 10);
    flush(); /* loopback answers at once: connection refused */
    target = open;
    for (unsigned i = 1; i < 4; i++)
        add(i, 200);
    flush();
    for (unsigned i = 1; i < 4; i++)
        expect(i, 200);
    expect_nothing();
    ck_assert_uint_gt(joining.longest, 1200);
    teardown();
}
END_TEST

/* One that cannot leave is dropped and counted; the others leave. */
START_TEST(test_one_that_cannot_leave)
{
    struct netaddr nowhere;
    setup();
    ck_assert_int_eq(netaddr_parse("255.255.255.255:9", 0, &nowhere), ERR_OK); /* takes SO_BROADCAST */
    struct turn_target open = target;
    add(0, 100);
    turn_target_set(&target, &nowhere);
    add(1, 100);
    target = open;
    add(2, 100);
    flush();
    expect(0, 100);
    expect(2, 100);
    ck_assert_uint_eq(counters.drops[TURN_DROP_send_failed], 1);
    teardown();
}
END_TEST

UNIT_MAIN("turn_outbox", test_run_of_equal_datagrams, test_what_is_not_joined, test_longest_run,
          test_device_with_shorter_packets, test_socket_that_refuses, test_switched_off,
          test_old_error_is_nobodys_fault, test_one_that_cannot_leave)
