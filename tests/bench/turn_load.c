/*
 * The load on a relay: clients in one name space, their peer in another, both ends in this one thread, so
 * that each packet's way is timed with one clock and the machine's other processor is the relay's own.
 *
 *   turn_load client_ns=NS peer_ns=NS server=IP:PORT peer=IP:PORT kind=turn|plain flows=N size=BYTES ms=N
 *             [pids=P,P...] [joined=1] (window=N | rate=PACKETS_PER_SECOND [burst=N])
 *
 * window: each flow has N packets under way, which the peer sends back; as fast as they go. rate: packets
 * leave at even intervals, in both directions by turns, whatever has arrived (burst: so many at once, as the
 * packets of a video frame do). joined: what leaves
 * together leaves as one message (UDP_SEGMENT), which over veth arrives as a network card's driver hands over
 * a burst (GRO); with one flow. kind=plain: no signalling and no ChannelData, for the bare forwarder, and for
 * the way without any relay.
 *
 * Prints one line: packets relayed per second, the relay's CPU microseconds per packet and share of a
 * processor, the share of packets lost, and with rate the quantiles of the one-way time in microseconds.
 */
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/chandata.h"
#include "tests/bench/bench.h"
#include "tests/bench/turn_client.h"

enum {
    BURST = 64,
    PACKET = 2048,
    EVENTS = 256,
    HELLOS = 20,
    WARM_MS = 300,
    RUN_MAX = 65000,
    STALL_MS = 200, /* a flow from which nothing came for so long has lost its window */
};
#define MS 1000000U

/* In front of each payload. */
struct stamp {
    uint64_t sent;
    uint32_t flow;
};

struct flow {
    struct client client;
    struct sockaddr_in relayed; /* where the peer sees it */
    uint64_t got, got_before;
};

static struct flow *flows;
static size_t n_flows, size, header;
static int peer_fd, epoll;
static struct mmsghdr in[BURST], out[BURST];
static struct iovec in_data[BURST], out_data[BURST];
static struct sockaddr_in from[BURST];
static uint8_t in_memory[BURST][PACKET], out_memory[BURST][PACKET];

static uint64_t sent, got; /* window: round trips; rate: packets */
static uint32_t *times;    /* nanoseconds of each packet of the measured time; NULL: not wanted */
static size_t n_times, room;
static bool measuring, joined, echo; /* echo: the peer sends back what it gets, clients send again */

static void messages_prepare(void)
{
    for (int i = 0; i < BURST; i++) {
        in_data[i] = (struct iovec){in_memory[i], PACKET};
        in[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_iov = &in_data[i], .msg_iovlen = 1};
        out_data[i] = (struct iovec){out_memory[i], 0};
        out[i].msg_hdr = (struct msghdr){.msg_iov = &out_data[i], .msg_iovlen = 1};
    }
}

static int receive(int fd)
{
    for (int i = 0; i < BURST; i++)
        in[i].msg_hdr.msg_namelen = sizeof from[i];
    return recvmmsg(fd, in, BURST, MSG_DONTWAIT, NULL);
}

static void send_all(int fd, struct mmsghdr *m, int n)
{
    for (int done = 0, r; done < n; done += r)
        if ((r = sendmmsg(fd, m + done, (unsigned)(n - done), 0)) <= 0)
            return;
}

/* The same, all of one size and to one address, as one message. */
static void send_joined(int fd, struct mmsghdr *m, int n)
{
    struct iovec parts[BURST];
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
    } control = {.align = {CMSG_LEN(sizeof(uint16_t)), IPPROTO_UDP, UDP_SEGMENT}};
    uint16_t length = (uint16_t)m->msg_hdr.msg_iov->iov_len;
    int most = length < RUN_MAX / BURST ? BURST : RUN_MAX / length;
    memcpy(CMSG_DATA(&control.align), &length, sizeof length);
    for (int done = 0, k; done < n; done += k) {
        for (k = 0; k < most && done + k < n; k++)
            parts[k] = *m[done + k].msg_hdr.msg_iov;
        struct msghdr h = m->msg_hdr;
        h.msg_iov = parts;
        h.msg_iovlen = (size_t)k;
        h.msg_control = &control;
        h.msg_controllen = k > 1 ? sizeof control.bytes : 0;
        if (sendmsg(fd, &h, 0) < 0)
            bench_fail("the kernel joins no datagrams");
    }
}

/* n packets of flow i into out[]; to the server when `to` is NULL, else to where the peer sees the flow. */
static void send_packets(size_t i, int n, struct sockaddr_in *to)
{
    struct stamp stamp = {bench_now(), (uint32_t)i};
    size_t head = to ? 0 : header;
    for (int k = 0; k < n; k++) {
        chandata_write_header(out_memory[k], CLIENT_CHANNEL, (uint16_t)size);
        memcpy(out_memory[k] + head, &stamp, sizeof stamp);
        out_data[k].iov_len = head + size;
        out[k].msg_hdr.msg_name = to;
        out[k].msg_hdr.msg_namelen = to ? sizeof *to : 0;
    }
    (joined ? send_joined : send_all)(to ? peer_fd : flows[i].client.fd, out, n);
    sent += (uint64_t)n;
}

static void arrived(uint64_t now, const uint8_t *payload)
{
    struct stamp stamp;
    memcpy(&stamp, payload, sizeof stamp);
    got++;
    if (measuring && times && n_times < room)
        times[n_times++] = (uint32_t)(now - stamp.sent);
}

static void peer_readable(void)
{
    int n = receive(peer_fd);
    uint64_t now = bench_now();
    for (int i = 0; i < n; i++) {
        struct stamp stamp;
        memcpy(&stamp, in_memory[i], sizeof stamp);
        if (stamp.flow < n_flows)
            flows[stamp.flow].relayed = from[i];
        in_data[i].iov_len = in[i].msg_len;
        if (!echo)
            arrived(now, in_memory[i]);
    }
    if (echo && n > 0)
        (joined ? send_joined : send_all)(peer_fd, in, n);
    for (int i = 0; i < n; i++)
        in_data[i].iov_len = PACKET;
}

static void client_readable(size_t i)
{
    int n = receive(flows[i].client.fd);
    uint64_t now = bench_now();
    for (int k = 0; k < n; k++)
        arrived(now, in_memory[k] + header);
    if (n > 0)
        flows[i].got += (uint64_t)n;
    if (echo && n > 0)
        send_packets(i, n, NULL);
}

/* What has arrived, after waiting for it so long; -1: until something does, but STALL_MS at most. */
static void turn_once(int wait_ms)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(epoll, events, EVENTS, wait_ms);
    for (int i = 0; i < n; i++) {
        if (events[i].data.u64 == UINT64_MAX)
            peer_readable();
        else
            client_readable(events[i].data.u64);
    }
}

/* Setting up -------------------------------------------------------------------------------------------- */

static void watch(int fd, uint64_t what)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = what};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
}

static void flows_open(char **argv, bool turn)
{
    struct netaddr server = bench_address(bench_option(argv, "server", NULL)),
                   peer = bench_address(bench_option(argv, "peer", NULL));
    bench_enter(bench_option(argv, "peer_ns", NULL));
    peer_fd = bench_socket(&peer, NULL);
    watch(peer_fd, UINT64_MAX);
    bench_enter(bench_option(argv, "client_ns", NULL));
    for (size_t i = 0; i < n_flows; i++) {
        struct client *c = &flows[i].client;
        c->fd = bench_socket(NULL, &server);
        if (turn) {
            client_must(c, CLIENT_ALLOCATE, NULL);
            client_must(c, CLIENT_BIND, &peer);
        }
        watch(c->fd, i);
    }
}

/* Until the peer knows every flow. */
static void flows_greet(void)
{
    for (int tries = 0; tries < HELLOS; tries++) {
        size_t unknown = 0;
        for (size_t i = 0; i < n_flows; i++)
            if (flows[i].relayed.sin_port == 0) {
                unknown++;
                send_packets(i, 1, NULL);
                turn_once(0);
            }
        if (unknown == 0)
            return;
        turn_once(50);
    }
    bench_fail("packets do not pass");
}

static void flows_close(bool turn)
{
    echo = measuring = false;
    for (int i = 0; i < 10; i++)
        turn_once(10);
    for (size_t i = 0; i < n_flows && turn; i++)
        client_must(&flows[i].client, CLIENT_RELEASE, NULL);
}

/* Loads ------------------------------------------------------------------------------------------------- */

static void refill(size_t i, unsigned window)
{
    for (unsigned left = window; left > 0;) {
        int n = left < BURST ? (int)left : BURST;
        send_packets(i, n, NULL);
        left -= (unsigned)n;
    }
}

static void window_until(uint64_t end, unsigned window)
{
    uint64_t check = bench_now() + STALL_MS * (uint64_t)MS;
    for (uint64_t now = bench_now(); now < end; now = bench_now()) {
        turn_once(20);
        if (now < check)
            continue;
        check = now + STALL_MS * (uint64_t)MS;
        for (size_t i = 0; i < n_flows; i++) {
            if (flows[i].got == flows[i].got_before)
                refill(i, window);
            flows[i].got_before = flows[i].got;
        }
    }
}

/* Packet by packet at its time; what arrives is read in between, without ever waiting. */
static void rate_until(uint64_t end, unsigned long rate, int burst)
{
    static uint64_t count;
    uint64_t begin = bench_now(), n = 0;
    for (uint64_t now = begin; now < end; now = bench_now()) {
        uint64_t due = begin + n * (uint64_t)burst * 1000000000U / rate;
        if (now >= due) {
            size_t i = count / 2 % n_flows;
            send_packets(i, burst, count % 2 ? &flows[i].relayed : NULL);
            count++;
            n++;
        }
        turn_once(0);
    }
}

static int compare(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double quantile(double q)
{
    return n_times == 0 ? 0 : times[(size_t)(q * (double)(n_times - 1))] / 1e3;
}

int main(int argc, char **argv)
{
    (void)argc;
    bool turn = strcmp(bench_option(argv, "kind", NULL), "turn") == 0;
    unsigned window = (unsigned)bench_number(argv, "window", "0");
    unsigned long rate = bench_number(argv, "rate", "0"), ms = bench_number(argv, "ms", NULL);
    int burst = (int)bench_number(argv, "burst", "1");
    struct bench_pids pids = bench_pids(bench_option(argv, "pids", ""));
    joined = bench_number(argv, "joined", "0") != 0;
    size = bench_number(argv, "size", NULL);
    header = turn ? CHANDATA_HEADER : 0;
    n_flows = bench_number(argv, "flows", NULL);
    if (size < sizeof(struct stamp) || size > PACKET - 4 || n_flows < 1 || burst < 1 || burst > BURST ||
        !window == !rate || (joined && n_flows > 1))
        bench_fail("size, flows, burst, window or rate is out of range");
    bench_raise_descriptors();
    flows = calloc(n_flows, sizeof *flows);
    room = rate * (ms + 100) / 1000;
    times = rate ? calloc(room, sizeof *times) : NULL;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!flows || epoll < 0)
        bench_fail("out of memory");
    messages_prepare();
    flows_open(argv, turn);
    flows_greet();

    echo = window > 0;
    for (size_t i = 0; i < n_flows && window; i++)
        refill(i, window);
    uint64_t from_ns = bench_now() + WARM_MS * (uint64_t)MS, to_ns = from_ns + ms * MS;
    window ? window_until(from_ns, window) : rate_until(from_ns, rate, burst);
    from_ns = bench_now();
    uint64_t cpu = bench_cpu(&pids), sent_before = sent, got_before = got;
    measuring = true;
    window ? window_until(to_ns, window) : rate_until(to_ns, rate, burst);
    uint64_t spent = bench_now() - from_ns, got_now = got;
    cpu = bench_cpu(&pids) - cpu;
    for (int i = 0; i < 10 && !window; i++)
        turn_once(5); /* what is still on its way is not lost */
    double seconds = (double)spent / 1e9, packets = (double)(got_now - got_before) * (window ? 2 : 1),
           lost = (double)(sent - sent_before) - (double)(got - got_before);
    if (times)
        qsort(times, n_times, sizeof *times, compare);
    printf("pps=%.0f us=%.3f busy=%.2f loss=%.5f p50=%.1f p99=%.1f most=%.1f\n", packets / seconds,
           packets > 0 ? (double)cpu / 1e3 / packets : 0, (double)cpu / (double)spent,
           lost > 0 ? lost / (double)(sent - sent_before) : 0, quantile(0.5), quantile(0.99), quantile(1));
    flows_close(turn);
    return 0;
}
