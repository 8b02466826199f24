/*
 * A whole worker over loopback, in the test's own process. Loopback is never a peer, so the relay address is
 * advertised as another one (static NAT), and the peers are sockets on ports that the test claims as a second
 * worker would.
 *
 *   start();
 *   int fd = connect_to(&udp_address, SOCK_DGRAM), peer = peer_socket(40500);
 *   struct netaddr relayed = allocate(fd), peer_address = address("203.0.113.10:40500");
 *   bind_channel(fd, 0x4000, &peer_address);
 *   ... send, turn_until_readable(peer), recv ...
 *   stop();
 */
#ifndef TESTS_UNIT_TURN_WORKER_FIXTURE_H
#define TESTS_UNIT_TURN_WORKER_FIXTURE_H

#include <arpa/inet.h>
#include <ev.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sock.h"
#include "edge/turn/turn_shared.h"
#include "edge/turn/turn_worker.h"
#include "proto/stun_auth.h"
#include "proto/stun_nonce.h"
#include "proto/stun_stream.h"
#include "tests/unit/unit.h"

static struct ev_loop *loop;
static struct turn_worker *worker;
static struct turn_shared *other; /* the second worker's view */
static struct netaddr addresses[TURN_SOCKET_KINDS];
#define udp_address addresses[TURN_SOCKET_UDP]
#define tcp_address addresses[TURN_SOCKET_TCP]
static int shared_fd;
static unsigned transactions;

static inline struct netaddr address(const char *text)
{
    struct netaddr a;
    ck_assert_int_eq(netaddr_parse(text, 0, &a), ERR_OK);
    return a;
}

static inline struct turn_config make_config(unsigned index)
{
    struct turn_config c;
    struct netaddr bind = address("127.0.0.1"), public = address("203.0.113.10");
    turn_config_init(&c);
    ck_assert_int_eq(turn_config_set_realm(&c, "example.org"), ERR_OK);
    ck_assert_int_eq(turn_config_add_user(&c, "alice", "apple"), ERR_OK);
    ck_assert_int_eq(turn_config_add_relay(&c, &bind, &public), ERR_OK);
    c.port_min = 40000;
    c.port_max = 40999;
    c.worker_count = 2;
    c.worker_index = index;
    return c;
}

static inline void start_with(void (*limits)(struct turn_config *c))
{
    struct netaddr any_port = address("127.0.0.1");
    struct turn_socket sockets[TURN_SOCKET_KINDS];
    struct turn_config mine = make_config(0), others = make_config(1);
    char why[200] = "";
    log_set_level(LOG_ERR);
    loop = ev_default_loop(0);
    shared_fd = turn_shared_create(&mine);
    ck_assert_int_ge(shared_fd, 0);
    ck_assert_int_eq(turn_shared_attach(shared_fd, &others, &other), ERR_OK);
    for (enum turn_socket_kind k = 0; k < TURN_SOCKET_KINDS; k++) {
        ck_assert_int_eq(turn_socket_open(k, &any_port, &sockets[k]), ERR_OK);
        ck_assert_int_eq(sock_local(sockets[k].fd, &addresses[k]), ERR_OK);
        sockets[k].local = addresses[k];
    }
    limits(&mine);
    worker = turn_worker_start(loop, &mine, sockets, TURN_SOCKET_KINDS, shared_fd, why, sizeof why);
    ck_assert_msg(worker != NULL, "%s", why);
    turn_config_free(&others);
}

static inline void no_limits(struct turn_config *c)
{
    (void)c;
}

static inline void start(void)
{
    start_with(no_limits);
}

static inline void stop(void)
{
    turn_worker_stop(worker);
    turn_shared_detach(other);
    close(shared_fd);
}

/* Lets the worker work until fd has something to read; false after two seconds. */
static inline bool turn_until_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (int i = 0; i < 2000; i++) {
        ev_run(loop, EVRUN_NOWAIT);
        if (poll(&p, 1, 1) > 0)
            return true;
    }
    return false;
}

/* Lets the worker see what has been sent so far. */
static inline void turn_a_little(void)
{
    for (int i = 0; i < 30; i++) {
        ev_run(loop, EVRUN_NOWAIT);
        poll(NULL, 0, 1);
    }
}

static inline int connect_to(const struct netaddr *to, int type)
{
    struct sockaddr_storage sa;
    socklen_t n = netaddr_to_sockaddr(to, &sa);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, n), 0);
    return fd;
}

/* A peer that listens where a relay of another worker would. */
static inline int peer_socket(uint16_t port)
{
    struct netaddr a = address("127.0.0.1");
    a.port = port;
    ck_assert(turn_shared_claim_port(other, 0, port));
    int fd = sock_bind_udp(&a, false);
    ck_assert_int_ge(fd, 0);
    return fd;
}

/* One message off a socket of either kind. */
static inline size_t read_message(int fd, uint8_t *out, size_t size)
{
    int type;
    socklen_t n = sizeof type;
    ck_assert(turn_until_readable(fd));
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n);
    if (type != SOCK_STREAM) {
        ssize_t got = recv(fd, out, size, 0);
        ck_assert_int_ge(got, 0);
        return (size_t)got;
    }
    size_t have = 0, message, frame;
    while (stun_stream_next(out, have, &message, &frame) == ERR_AGAIN) {
        ck_assert(turn_until_readable(fd));
        ck_assert_int_eq(recv(fd, out + have, 1, 0), 1);
        have++;
    }
    ck_assert_uint_eq(have, frame);
    return message;
}

static inline void begin(struct stun_writer *w, uint8_t *memory, uint16_t method)
{
    uint8_t transaction[STUN_TRANSACTION] = "worker";
    transactions++;
    memcpy(transaction + 6, &transactions, sizeof transactions);
    stun_begin(w, memory, 1000, method, STUN_REQUEST, transaction);
}

static inline void ask(int fd, struct stun_writer *w, const uint8_t *memory, uint8_t *answer,
                       struct stun_msg *m)
{
    size_t n;
    ck_assert_int_eq(stun_end(w, &n), ERR_OK);
    ck_assert_int_eq(send(fd, memory, n, 0), (ssize_t)n);
    n = read_message(fd, answer, 2000);
    ck_assert_int_eq(stun_parse(answer, n, m), ERR_OK);
}

static char nonce[STUN_NONCE_TEXT];

static inline void sign(struct stun_writer *w)
{
    struct stun_key key;
    stun_long_term_key(STUN_ALGORITHM_MD5, "alice", "example.org", "apple", &key);
    stun_put(w, STUN_USERNAME, "alice", 5);
    stun_put(w, STUN_REALM, "example.org", 11);
    stun_put(w, STUN_NONCE, nonce, sizeof nonce);
    stun_put_integrity(w, key.bytes, key.len);
}

/* The challenge, then the allocation; its relayed address. */
static inline struct netaddr allocate(int fd)
{
    uint8_t memory[1000], answer[2000];
    struct stun_writer w;
    struct stun_msg m;
    struct netaddr relayed;
    begin(&w, memory, STUN_METHOD_ALLOCATE);
    stun_put_u32(&w, STUN_REQUESTED_TRANSPORT, 17u << 24);
    ask(fd, &w, memory, answer, &m);
    ck_assert_uint_eq(m.class, STUN_ERROR);
    memcpy(nonce, stun_get(&m, STUN_NONCE).at, sizeof nonce);
    begin(&w, memory, STUN_METHOD_ALLOCATE);
    stun_put_u32(&w, STUN_REQUESTED_TRANSPORT, 17u << 24);
    sign(&w);
    ask(fd, &w, memory, answer, &m);
    ck_assert_uint_eq(m.class, STUN_SUCCESS);
    ck_assert_int_eq(stun_get_xor_address(&m, STUN_XOR_RELAYED_ADDRESS, &relayed), ERR_OK);
    return relayed;
}

static inline void bind_channel(int fd, uint16_t number, const struct netaddr *peer)
{
    uint8_t memory[1000], answer[2000];
    struct stun_writer w;
    struct stun_msg m;
    begin(&w, memory, STUN_METHOD_CHANNEL_BIND);
    stun_put_u32(&w, STUN_CHANNEL_NUMBER, (uint32_t)number << 16);
    stun_put_xor_address(&w, STUN_XOR_PEER_ADDRESS, peer);
    sign(&w);
    ask(fd, &w, memory, answer, &m);
    ck_assert_uint_eq(m.class, STUN_SUCCESS);
}

static inline void send_to_relay(int fd, uint16_t port, const void *data, size_t n)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(0x7f000001)};
    ck_assert_int_eq(sendto(fd, data, n, 0, (struct sockaddr *)&to, sizeof to), (ssize_t)n);
}

static inline int64_t counter(const char *group, const char *name)
{
    json_t *status = turn_worker_status(worker, 0);
    int64_t v = json_integer_value(
        json_object_get(json_object_get(json_object_get(status, "counters"), group), name));
    json_decref(status);
    return v;
}

#endif
