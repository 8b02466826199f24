/*
 * Calls through a TURN server, and what of their media is lost between two moments.
 *
 *   turn_calls server=IP:PORT peer=IP user=NAME password=WORD realm=REALM calls=N [rate=PACKETS_PER_SECOND]
 * [again=1]
 *
 * Each call is a client with one allocation and a channel to a socket of its own at the peer's address, which
 * is one of this machine. Media goes both ways, so many packets a second each way and call, like audio. When
 * all calls are up it prints "ready". SIGUSR1 begins the counting, SIGUSR2 ends it; then one line:
 *
 *   calls N sent N lost N silent N up N down N harmed N
 *
 * lost: packets of both directions; silent: calls of which nothing came through any more at the end; up,
 * down: what was lost from clients and to clients; harmed: what was lost of calls that are not silent. With
 * again=1 the silent calls are allocated anew from other ports; "again N" says how many could be.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/netaddr.h"
#include "proto/chandata.h"
#include "proto/stun_auth.h"
#include "proto/stun_msg.h"

enum {
    PAYLOAD = 160, /* audio: 20 ms */
    CHANNEL = 0x4001,
    TRIES = 20,
    TRY_MS = 250,
    STRAGGLERS_MS = 400,
    BUFFER = 1 << 20,
    SILENCE = 10, /* packets in a row that did not arrive */
};

struct call {
    int client, peer;
    struct sockaddr_storage relayed; /* where the peer sends to */
    socklen_t relayed_len;
    uint64_t up, down;           /* counted packets that arrived */
    uint64_t last_up, last_down; /* the greatest numbers among them */
};

static struct call *calls;
static size_t n_calls;
static struct netaddr server, peer_ip;
static const char *user, *password, *realm;
static char nonce[128];
static size_t nonce_len;
static int epoll;
static volatile sig_atomic_t begun, ended;
static uint64_t round_now, first_round; /* rounds before first_round do not count */

static _Noreturn void quit(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("turn_calls: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static const char *option(char **argv, const char *key, const char *fallback)
{
    size_t n = strlen(key);
    for (char **a = argv + 1; *a; a++)
        if (strncmp(*a, key, n) == 0 && (*a)[n] == '=')
            return *a + n + 1;
    if (!fallback)
        quit("%s=... is missing", key);
    return fallback;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int socket_open(const struct netaddr *local, const struct netaddr *remote)
{
    struct sockaddr_storage sa;
    int size = BUFFER,
        fd = socket((local ? local : remote)->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        quit("socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (local && bind(fd, (struct sockaddr *)&sa, netaddr_to_sockaddr(local, &sa)) != 0)
        quit("bind: %s", strerror(errno));
    if (remote && connect(fd, (struct sockaddr *)&sa, netaddr_to_sockaddr(remote, &sa)) != 0)
        quit("connect: %s", strerror(errno));
    return fd;
}

/* Signalling -------------------------------------------------------------------------------------------- */

static void request_begin(struct stun_writer *w, uint8_t *memory, uint16_t method)
{
    static uint64_t serial;
    uint8_t transaction[STUN_TRANSACTION] = "call";
    serial++;
    memcpy(transaction + 4, &serial, sizeof serial);
    stun_begin(w, memory, 1000, method, STUN_REQUEST, transaction);
}

static void request_sign(struct stun_writer *w)
{
    struct stun_key key;
    if (nonce_len == 0)
        return;
    stun_long_term_key(STUN_ALGORITHM_MD5, user, realm, password, &key);
    stun_put(w, STUN_USERNAME, user, strlen(user));
    stun_put(w, STUN_REALM, realm, strlen(realm));
    stun_put(w, STUN_NONCE, nonce, nonce_len);
    stun_put_integrity(w, key.bytes, key.len);
}

/* Sends until the answer to this request comes; what else comes is passed over. */
static bool request_ask(int fd, const uint8_t *memory, size_t n, uint8_t *answer, struct stun_msg *m)
{
    for (int i = 0; i < TRIES; i++) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (send(fd, memory, n, 0) < 0 && errno != ECONNREFUSED)
            quit("send: %s", strerror(errno));
        for (double end = seconds() + TRY_MS / 1e3; seconds() < end;) {
            if (poll(&p, 1, 10) <= 0)
                continue;
            ssize_t got = recv(fd, answer, 2000, 0);
            if (got > 0 && stun_parse(answer, (size_t)got, m) == ERR_OK &&
                memcmp(m->transaction, memory + 8, STUN_TRANSACTION) == 0)
                return true;
        }
    }
    return false;
}

/* True for success. A challenge's nonce is noted for the next try. */
static bool answer_is_success(const struct stun_msg *m)
{
    struct stun_value v = stun_get(m, STUN_NONCE);
    if (m->class == STUN_ERROR && v.at && v.len <= sizeof nonce) {
        memcpy(nonce, v.at, v.len);
        nonce_len = v.len;
    }
    return m->class == STUN_SUCCESS;
}

static bool allocate(struct call *c)
{
    uint8_t memory[1000], answer[2000];
    struct stun_writer w;
    struct stun_msg m;
    struct netaddr relayed;
    size_t n;
    for (int i = 0; i < 3; i++) {
        request_begin(&w, memory, STUN_METHOD_ALLOCATE);
        stun_put_u32(&w, STUN_REQUESTED_TRANSPORT, 17u << 24);
        request_sign(&w);
        if (stun_end(&w, &n) != ERR_OK || !request_ask(c->client, memory, n, answer, &m))
            return false;
        if (!answer_is_success(&m))
            continue;
        if (stun_get_xor_address(&m, STUN_XOR_RELAYED_ADDRESS, &relayed) != ERR_OK)
            return false;
        c->relayed_len = netaddr_to_sockaddr(&relayed, &c->relayed);
        return true;
    }
    return false;
}

static bool bind_channel(const struct call *c)
{
    uint8_t memory[1000], answer[2000];
    struct sockaddr_storage sa;
    socklen_t sa_len = sizeof sa;
    struct netaddr peer;
    struct stun_writer w;
    struct stun_msg m;
    size_t n;
    if (getsockname(c->peer, (struct sockaddr *)&sa, &sa_len) != 0 ||
        netaddr_from_sockaddr((struct sockaddr *)&sa, sa_len, &peer) != ERR_OK)
        return false;
    for (int i = 0; i < 3; i++) {
        request_begin(&w, memory, STUN_METHOD_CHANNEL_BIND);
        stun_put_u32(&w, STUN_CHANNEL_NUMBER, (uint32_t)CHANNEL << 16);
        stun_put_xor_address(&w, STUN_XOR_PEER_ADDRESS, &peer);
        request_sign(&w);
        if (stun_end(&w, &n) != ERR_OK || !request_ask(c->client, memory, n, answer, &m))
            return false;
        if (answer_is_success(&m))
            return true;
    }
    return false;
}

static void watch(struct call *c, bool is_peer)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = (uint64_t)(c - calls) * 2 + is_peer};
    epoll_ctl(epoll, EPOLL_CTL_ADD, is_peer ? c->peer : c->client, &e);
}

static bool call_up(struct call *c)
{
    c->client = socket_open(NULL, &server);
    c->peer = socket_open(&peer_ip, NULL);
    return allocate(c) && bind_channel(c);
}

/* Media ------------------------------------------------------------------------------------------------- */

static void packet_take(struct call *c, bool at_peer, const uint8_t *payload, size_t n)
{
    uint64_t number;
    if (n < sizeof number)
        return;
    memcpy(&number, payload, sizeof number);
    if (!first_round || number < first_round)
        return;
    uint64_t *last = at_peer ? &c->last_up : &c->last_down;
    *(at_peer ? &c->up : &c->down) += 1;
    *last = number > *last ? number : *last;
}

static void socket_read(struct call *c, bool at_peer)
{
    uint8_t packet[2000];
    struct chandata d;
    for (ssize_t n; (n = recv(at_peer ? c->peer : c->client, packet, sizeof packet, 0)) > 0;) {
        if (at_peer)
            packet_take(c, true, packet, (size_t)n);
        else if (chandata_is(packet[0]) && chandata_parse(packet, (size_t)n, &d) == ERR_OK)
            packet_take(c, false, d.data, d.len);
    }
}

static void media_read(double until)
{
    struct epoll_event events[64];
    for (;;) {
        double left = until - seconds();
        int n = epoll_wait(epoll, events, 64, left > 0 ? (int)(left * 1000) + 1 : 0);
        for (int i = 0; i < n; i++)
            socket_read(&calls[events[i].data.u64 / 2], events[i].data.u64 & 1);
        if (seconds() >= until)
            return;
    }
}

static void media_send(uint64_t number)
{
    uint8_t packet[CHANDATA_HEADER + PAYLOAD] = {0};
    chandata_write_header(packet, CHANNEL, PAYLOAD);
    memcpy(packet + CHANDATA_HEADER, &number, sizeof number);
    for (size_t i = 0; i < n_calls; i++) {
        struct call *c = &calls[i];
        send(c->client, packet, sizeof packet, 0);
        sendto(c->peer, packet + CHANDATA_HEADER, PAYLOAD, 0, (struct sockaddr *)&c->relayed, c->relayed_len);
    }
}

static void on_signal(int signal)
{
    if (signal == SIGUSR1)
        begun = 1;
    else
        ended = 1;
}

static bool is_silent(const struct call *c)
{
    return c->last_up + SILENCE < round_now && c->last_down + SILENCE < round_now;
}

static size_t report(uint64_t rounds)
{
    uint64_t up = 0, down = 0, harmed = 0;
    size_t silent = 0;
    for (size_t i = 0; i < n_calls; i++) {
        uint64_t lost_up = rounds - calls[i].up, lost_down = rounds - calls[i].down;
        up += lost_up;
        down += lost_down;
        silent += is_silent(&calls[i]);
        harmed += is_silent(&calls[i]) ? 0 : lost_up + lost_down;
    }
    printf("calls %zu sent %llu lost %llu silent %zu up %llu down %llu harmed %llu\n", n_calls,
           (unsigned long long)(rounds * n_calls * 2), (unsigned long long)(up + down), silent,
           (unsigned long long)up, (unsigned long long)down, (unsigned long long)harmed);
    return silent;
}

static void silent_again(void)
{
    size_t up = 0;
    for (size_t i = 0; i < n_calls; i++)
        if (is_silent(&calls[i]))
            up += call_up(&calls[i]);
    printf("again %zu\n", up);
}

int main(int argc, char **argv)
{
    (void)argc;
    if (netaddr_parse(option(argv, "server", NULL), 0, &server) != ERR_OK ||
        netaddr_parse(option(argv, "peer", NULL), 0, &peer_ip) != ERR_OK)
        quit("server, peer: not addresses");
    user = option(argv, "user", NULL);
    password = option(argv, "password", NULL);
    realm = option(argv, "realm", NULL);
    n_calls = strtoul(option(argv, "calls", NULL), NULL, 10);
    double pause = 1.0 / strtod(option(argv, "rate", "50"), NULL);
    calls = calloc(n_calls, sizeof *calls);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    signal(SIGUSR1, on_signal);
    signal(SIGUSR2, on_signal);
    for (size_t i = 0; i < n_calls; i++) {
        if (!call_up(&calls[i]))
            quit("call %zu does not come up", i);
        watch(&calls[i], false);
        watch(&calls[i], true);
    }
    puts("ready");
    fflush(stdout);
    double next = seconds();
    while (!ended) {
        round_now++;
        if (begun && !first_round)
            first_round = round_now;
        media_send(round_now);
        next += pause;
        media_read(next);
    }
    media_read(seconds() + STRAGGLERS_MS / 1e3);
    if (report(first_round ? round_now - first_round + 1 : 0) > 0 && *option(argv, "again", "0") == '1')
        silent_again();
    return 0;
}
