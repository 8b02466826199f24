/* The packet path of a worker, over loopback: joined datagrams in and out, and what it must not do per
 * packet. */
#include <netinet/udp.h>
#include <time.h>

#include "proto/chandata.h"
#include "tests/unit/turn_worker_fixture.h"

/* What the whole process asks of the C library
 * ----------------------------------------------------------------
 */

static unsigned allocations, clock_calls;

#ifdef __SANITIZE_ADDRESS__
extern int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void *, size_t),
                                                     void (*freed)(const volatile void *));

static void on_malloc(const volatile void *at, size_t n)
{
    (void)at;
    (void)n;
    allocations++;
}

static void on_free(const volatile void *at)
{
    (void)at;
}

static void count_calls(void)
{
    ck_assert_int_gt(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free), 0);
}

enum { CLOCK_IS_COUNTED = 0 };
#else
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *at, size_t n);
extern int __clock_gettime(clockid_t clock, struct timespec *out);

/* These take the place of the library's for everything in this program, shared libraries too. */
void *malloc(size_t n)
{
    allocations++;
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    allocations++;
    return __libc_calloc(n, size);
}

void *realloc(void *at, size_t n)
{
    allocations++;
    return __libc_realloc(at, n);
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    clock_calls++;
    return __clock_gettime(clock, out);
}

static void count_calls(void)
{
    unsigned before = allocations;
    free(calloc(1, (size_t)before + 1));
    ck_assert_uint_gt(allocations, before); /* they are counted indeed */
}

enum { CLOCK_IS_COUNTED = 1 };
#endif

/* The scene: one client with one channel to one peer
 * ---------------------------------------------------------
 */

enum { CHANNEL = 0x4001, PEER_PORT = 40500, BURST = 50, SIZE = 200, PACKET = 1500 };

static int client, peer;
static struct netaddr relayed;
static uint8_t got[PACKET];

static void scene_start(void (*limits)(struct turn_config *c))
{
    struct netaddr peer_address = address("203.0.113.10:40500");
    start_with(limits);
    client = connect_to(&udp_address, SOCK_DGRAM);
    peer = peer_socket(PEER_PORT);
    relayed = allocate(client);
    bind_channel(client, CHANNEL, &peer_address);
}

static void scene_stop(void)
{
    close(client);
    close(peer);
    stop();
}

/* Packet i of a burst: n bytes of i. */
static size_t fill(uint8_t *at, unsigned i, size_t n, bool channel)
{
    size_t head = channel ? CHANDATA_HEADER : 0;
    if (channel)
        chandata_write_header(at, CHANNEL, (uint16_t)n);
    memset(at + head, (int)i, n);
    return head + n;
}

static void expect(int fd, unsigned i, size_t n, bool channel)
{
    uint8_t wanted[PACKET];
    size_t size = fill(wanted, i, n, channel);
    ck_assert_msg(turn_until_readable(fd), "packet %u did not arrive", i);
    ck_assert_int_eq(recv(fd, got, sizeof got, 0), (ssize_t)size);
    ck_assert_mem_eq(got, wanted, size);
}

static struct sockaddr_in relay_sockaddr(void)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(relayed.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* count packets to the worker as one message, as the network card's driver hands over a burst: the last one
 * `last` bytes. to_relay: from the peer. */
static bool send_joined(unsigned count, size_t size, size_t last, bool to_relay)
{
    static uint8_t bytes[65536];
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
    } control = {.align = {CMSG_LEN(sizeof(uint16_t)), IPPROTO_UDP, UDP_SEGMENT}};
    struct sockaddr_in relay = relay_sockaddr();
    struct iovec data = {bytes, 0};
    struct msghdr h = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.bytes};
    uint16_t segment = (uint16_t)(size + (to_relay ? 0 : CHANDATA_HEADER));
    memcpy(CMSG_DATA(&control.align), &segment, sizeof segment);
    for (unsigned i = 0; i < count; i++)
        data.iov_len += fill(bytes + data.iov_len, i, i + 1 == count ? last : size, !to_relay);
    if (to_relay) {
        h.msg_name = &relay;
        h.msg_namelen = sizeof relay;
    }
    return sendmsg(to_relay ? peer : client, &h, 0) == (ssize_t)data.iov_len;
}

static void exchange_joined(unsigned count, size_t size, size_t last)
{
    ck_assert(send_joined(count, size, last, false));
    for (unsigned i = 0; i < count; i++)
        expect(peer, i, i + 1 == count ? last : size, false);
    ck_assert(send_joined(count, size, last, true));
    for (unsigned i = 0; i < count; i++)
        expect(client, i, i + 1 == count ? last : size, true);
}

static void gso_off(struct turn_config *c)
{
    c->gso_off = true;
}

static void exchange_all_joined(void)
{
    exchange_joined(2, SIZE, SIZE);
    exchange_joined(BURST, SIZE, SIZE);
    exchange_joined(BURST, SIZE, 60);
    exchange_joined(54, 1196, 1); /* as long as a message gets */
    exchange_joined(64, 100, 99);
    exchange_joined(40, 2, 1); /* shorter than what is written in front of each */
}

START_TEST(test_joined_datagrams)
{
    scene_start(no_limits);
    exchange_all_joined();
    scene_stop();
}
END_TEST

START_TEST(test_joined_datagrams_switched_off)
{
    scene_start(gso_off);
    exchange_all_joined();
    scene_stop();
}
END_TEST

/* With a permission but no channel each gets a header of 36 bytes in front and padding behind. */
START_TEST(test_joined_datagrams_as_indications)
{
    struct netaddr other_peer = address("203.0.113.10:40501");
    scene_start(no_limits);
    close(peer);
    peer = peer_socket(other_peer.port);
    ck_assert(send_joined(BURST, 33, 5, true));
    for (unsigned i = 0; i < BURST; i++) {
        struct stun_msg m;
        struct netaddr from;
        uint8_t wanted[33];
        size_t n = i + 1 == BURST ? 5 : 33;
        ck_assert(turn_until_readable(client));
        ssize_t r = recv(client, got, sizeof got, 0);
        ck_assert_int_gt(r, 0);
        ck_assert_int_eq(stun_parse(got, (size_t)r, &m), ERR_OK);
        ck_assert_int_eq(stun_get_xor_address(&m, STUN_XOR_PEER_ADDRESS, &from), ERR_OK);
        ck_assert(netaddr_equal(&from, &other_peer));
        memset(wanted, (int)i, n);
        ck_assert_uint_eq(stun_get(&m, STUN_DATA).len, n);
        ck_assert_mem_eq(stun_get(&m, STUN_DATA).at, wanted, n);
    }
    scene_stop();
}
END_TEST

/* Switched while calls go on. */
START_TEST(test_switch_while_running)
{
    char why[200];
    scene_start(no_limits);
    for (int round = 0; round < 2; round++) {
        struct turn_config c = make_config(0);
        c.gso_off = round == 0;
        ck_assert_int_eq(turn_worker_reconfigure(worker, &c, why, sizeof why), ERR_OK);
        exchange_all_joined();
    }
    scene_stop();
}
END_TEST

/* A burst each way, packet by packet. No ck_assert in here: it allocates. */
static bool exchange_burst(void)
{
    struct sockaddr_in relay = relay_sockaddr();
    bool sent = true;
    uint8_t packet[PACKET];
    for (unsigned i = 0; i < BURST; i++) {
        size_t n = fill(packet, i, SIZE, true);
        sent &= send(client, packet, n, 0) == (ssize_t)n;
    }
    for (unsigned i = 0; i < BURST; i++) {
        while (recv(peer, got, sizeof got, MSG_DONTWAIT) < 0)
            ev_run(loop, EVRUN_NOWAIT);
    }
    for (unsigned i = 0; i < BURST; i++)
        sent &= sendto(peer, packet, SIZE, 0, (struct sockaddr *)&relay, sizeof relay) == SIZE;
    for (unsigned i = 0; i < BURST; i++) {
        while (recv(client, got, sizeof got, MSG_DONTWAIT) < 0)
            ev_run(loop, EVRUN_NOWAIT);
    }
    return sent;
}

START_TEST(test_no_memory_is_allocated_per_packet)
{
    enum { ROUNDS = 40 };
    bool sent = true;
    count_calls();
    scene_start(no_limits);
    exchange_burst(); /* whatever grows at first has grown */
    allocations = 0;
    for (int i = 0; i < ROUNDS; i++) {
        sent &= exchange_burst() && send_joined(BURST, SIZE, SIZE, false);
        for (unsigned k = 0; k < BURST; k++)
            while (recv(peer, got, sizeof got, MSG_DONTWAIT) < 0)
                ev_run(loop, EVRUN_NOWAIT);
    }
    unsigned counted = allocations;
    ck_assert(sent);
    ck_assert_uint_eq(counted, 0);
    scene_stop();
}
END_TEST

/* The loop reads it once or twice a round; a burst is two or three rounds each way. */
START_TEST(test_no_clock_is_read_per_packet)
{
    if (!CLOCK_IS_COUNTED)
        return;
    scene_start(no_limits);
    exchange_burst();
    clock_calls = 0;
    exchange_burst();
    unsigned counted = clock_calls;
    ck_assert_uint_gt(counted, 0);
    ck_assert_uint_lt(counted, BURST);
    scene_stop();
}
END_TEST

UNIT_MAIN("turn_path", test_joined_datagrams, test_joined_datagrams_switched_off,
          test_joined_datagrams_as_indications, test_switch_while_running,
          test_no_memory_is_allocated_per_packet, test_no_clock_is_read_per_packet)
