/* TCP relays (RFC 6062) and ICMP through a whole worker and the kernel's loopback. */
#include <fcntl.h>

#include "proto/chandata.h"
#include "tests/unit/turn_worker_fixture.h"

enum { PEER_PORT = 40500, PLENTY = 8 * 1024 * 1024 };

static uint8_t memory[1000], answer[2000], bytes[65536];
static struct stun_writer w;
static struct stun_msg m;

/* A peer that listens where a TCP relay of another worker would. */
static int peer_listen(void)
{
    struct netaddr a = address("127.0.0.1");
    a.port = PEER_PORT;
    ck_assert(turn_shared_claim_port(other, 0, PEER_PORT));
    turn_shared_mark_tcp(other, 0, PEER_PORT);
    int fd = sock_listen_tcp(&a, false);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static struct netaddr peer_address(void)
{
    return address("203.0.113.10:40500");
}

/* Its own nonce, as another connection needs another. */
static void challenge(int fd, uint16_t method)
{
    begin(&w, memory, method);
    stun_put_u32(&w, STUN_REQUESTED_TRANSPORT, 6u << 24);
    ask(fd, &w, memory, answer, &m);
    ck_assert_uint_eq(m.class, STUN_ERROR);
    memcpy(nonce, stun_get(&m, STUN_NONCE).at, sizeof nonce);
}

static int control_open(struct netaddr *relayed)
{
    int fd = connect_to(&tcp_address, SOCK_STREAM);
    challenge(fd, STUN_METHOD_ALLOCATE);
    begin(&w, memory, STUN_METHOD_ALLOCATE);
    stun_put_u32(&w, STUN_REQUESTED_TRANSPORT, 6u << 24);
    sign(&w);
    ask(fd, &w, memory, answer, &m);
    ck_assert_uint_eq(m.class, STUN_SUCCESS);
    ck_assert_int_eq(stun_get_xor_address(&m, STUN_XOR_RELAYED_ADDRESS, relayed), ERR_OK);
    return fd;
}

/* Connect; the CONNECTION-ID, and the peer's end. */
static uint32_t connect_peer(int control, int listening, int *peer)
{
    uint32_t id;
    struct netaddr to = peer_address();
    begin(&w, memory, STUN_METHOD_CONNECT);
    stun_put_xor_address(&w, STUN_XOR_PEER_ADDRESS, &to);
    sign(&w);
    ask(control, &w, memory, answer, &m);
    ck_assert_uint_eq(m.class, STUN_SUCCESS);
    ck_assert_int_eq(stun_get_u32(&m, STUN_CONNECTION_ID, &id), ERR_OK);
    ck_assert(turn_until_readable(listening));
    *peer = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(*peer, 0);
    return id;
}

/* ConnectionBind with n bytes right behind it, in the same segment. */
static int data_open(uint32_t id, const char *behind, size_t n)
{
    size_t size;
    int fd = connect_to(&tcp_address, SOCK_STREAM);
    challenge(fd, STUN_METHOD_CONNECTION_BIND);
    begin(&w, memory, STUN_METHOD_CONNECTION_BIND);
    stun_put_u32(&w, STUN_CONNECTION_ID, id);
    sign(&w);
    ck_assert_int_eq(stun_end(&w, &size), ERR_OK);
    memcpy(memory + size, behind, n);
    ck_assert_int_eq(send(fd, memory, size + n, 0), (ssize_t)(size + n));
    size = read_message(fd, answer, sizeof answer);
    ck_assert_int_eq(stun_parse(answer, size, &m), ERR_OK);
    ck_assert_uint_eq(m.class, STUN_SUCCESS);
    return fd;
}

static void expect(int fd, const char *text)
{
    size_t n = strlen(text);
    for (size_t have = 0; have < n;) {
        ck_assert(turn_until_readable(fd));
        ssize_t got = recv(fd, bytes + have, n - have, 0);
        ck_assert_int_gt(got, 0);
        have += (size_t)got;
    }
    ck_assert_mem_eq(bytes, text, n);
}

static void expect_end(int fd)
{
    ck_assert(turn_until_readable(fd));
    ck_assert_int_eq(recv(fd, bytes, 1, 0), 0);
}

static json_int_t joined_connections(void)
{
    json_t *status = turn_worker_status(worker, 0);
    json_int_t n = json_integer_value(json_object_get(status, "peer_connections"));
    json_decref(status);
    return n;
}

static void until_no_connection(void)
{
    while (joined_connections() > 0)
        turn_a_little();
}

START_TEST(test_bytes_as_they_are)
{
    struct netaddr relayed, from;
    int peer;
    start();
    int listening = peer_listen(), control = control_open(&relayed);
    uint32_t id = connect_peer(control, listening, &peer);
    ck_assert_int_eq(sock_remote(peer, &from), ERR_OK);
    ck_assert_uint_eq(from.port, relayed.port); /* RFC 6062 §5.2: the relayed address itself */
    ck_assert_int_eq(send(peer, "early", 5, 0), 5);
    turn_a_little();
    int data = data_open(id, "behind", 6);
    expect(peer, "behind");
    expect(data, "early");
    ck_assert_int_eq(send(data, "ping", 4, 0), 4);
    expect(peer, "ping");
    ck_assert_int_eq(send(peer, "pong", 4, 0), 4);
    expect(data, "pong");
    /* Half of it ends, the other half goes on. */
    shutdown(data, SHUT_WR);
    expect_end(peer);
    ck_assert_int_eq(send(peer, "still", 5, 0), 5);
    expect(data, "still");
    close(peer);
    expect_end(data);
    until_no_connection();
    close(data);
    close(control);
    close(listening);
    stop();
}
END_TEST

START_TEST(test_a_peer_connects)
{
    struct netaddr relayed, peer, bound = address("127.0.0.1"), permitted = address("203.0.113.10");
    uint32_t id;
    start();
    int control = control_open(&relayed);
    bound.port = relayed.port;
    int stranger = connect_to(&bound, SOCK_STREAM);
    ck_assert(turn_until_readable(stranger));
    ck_assert_int_lt(recv(stranger, bytes, 1, 0), 0); /* reset */
    close(stranger);
    begin(&w, memory, STUN_METHOD_CREATE_PERMISSION);
    stun_put_xor_address(&w, STUN_XOR_PEER_ADDRESS, &permitted);
    sign(&w);
    ask(control, &w, memory, answer, &m);
    ck_assert_uint_eq(m.class, STUN_SUCCESS);
    /* From where another worker's relay would connect. */
    struct sockaddr_storage sa;
    struct netaddr from = address("127.0.0.1:40501");
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    socklen_t n = netaddr_to_sockaddr(&from, &sa);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, n), 0);
    n = netaddr_to_sockaddr(&bound, &sa);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, n), 0);
    size_t size = read_message(control, answer, sizeof answer);
    ck_assert_int_eq(stun_parse(answer, size, &m), ERR_OK);
    ck_assert_int_eq(m.method, STUN_METHOD_CONNECTION_ATTEMPT);
    ck_assert_int_eq(stun_get_xor_address(&m, STUN_XOR_PEER_ADDRESS, &peer), ERR_OK);
    ck_assert_uint_eq(peer.port, 40501);
    ck_assert_int_eq(stun_get_u32(&m, STUN_CONNECTION_ID, &id), ERR_OK);
    int data = data_open(id, "", 0);
    ck_assert_int_eq(send(data, "hello", 5, 0), 5);
    expect(fd, "hello");
    close(data);
    expect_end(fd);
    close(fd);
    until_no_connection();
    close(control);
    stop();
}
END_TEST

/* Sends until nobody takes any more; how many bytes. */
static size_t send_until_full(int fd)
{
    size_t sent = 0;
    for (int idle = 0; idle < 3 && sent < 8 * (size_t)PLENTY;) {
        ssize_t n = send(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n > 0)
            sent += (size_t)n;
        else
            idle++;
        turn_a_little();
    }
    return sent;
}

START_TEST(test_back_pressure)
{
    struct netaddr relayed;
    int peer, small = 16384;
    start();
    int listening = peer_listen(), control = control_open(&relayed);
    uint32_t id = connect_peer(control, listening, &peer);
    int data = data_open(id, "", 0);
    setsockopt(data, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    memset(bytes, 'x', sizeof bytes);
    size_t sent = send_until_full(data); /* the peer does not read: the sender is stopped */
    ck_assert_uint_lt(sent, 8 * (size_t)PLENTY);
    shutdown(data, SHUT_WR);
    size_t got = 0;
    for (ssize_t n = 1; n > 0;
         got += (size_t)n) { /* it reads: nothing was lost, and the end comes behind it */
        ck_assert(turn_until_readable(peer));
        n = recv(peer, bytes, sizeof bytes, 0);
        ck_assert_int_ge(n, 0);
    }
    ck_assert_uint_eq(got, sent);
    close(peer);
    close(data);
    until_no_connection();
    close(control);
    close(listening);
    stop();
}
END_TEST

static void one_kbps_each(struct turn_config *c)
{
    c->allocation_kbps = 1; /* 16 KB at once, and then a byte in 8 ms */
}

static void one_kbps_together(struct turn_config *c)
{
    c->user_kbps = 1;
}

static size_t send_some(int fd)
{
    size_t sent = 0;
    for (int i = 0; i < 8; i++) {
        ssize_t n = send(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        turn_a_little();
    }
    return sent;
}

/* All that arrives before nothing does any more. */
static size_t receive_until_silent(int fd)
{
    size_t got = 0;
    for (int idle = 0; idle < 3;) {
        ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n > 0)
            got += (size_t)n;
        else
            idle++;
        turn_a_little();
    }
    return got;
}

/* What a user or an allocation may relay holds for streams, too, each way and over all its connections. */
static void check_bandwidth(void (*limit)(struct turn_config *c))
{
    enum { BURST = 16 * 1024, READ = 96 * 1024 /* what may be on its way when the limit is met */ };
    struct netaddr relayed;
    int peer;
    start_with(limit);
    int listening = peer_listen(), control = control_open(&relayed);
    uint32_t id = connect_peer(control, listening, &peer);
    int data = data_open(id, "", 0);
    memset(bytes, 'x', sizeof bytes);
    ck_assert_uint_gt(send_some(data), BURST + READ);
    size_t got = receive_until_silent(peer);
    ck_assert_uint_ge(got, BURST);
    ck_assert_uint_le(got, BURST + READ);
    ck_assert_uint_gt(send_some(peer), BURST + READ);
    ck_assert_uint_le(receive_until_silent(data), BURST + READ);
    close(peer); /* whoever waits for bandwidth can be ended */
    close(data);
    close(control);
    until_no_connection();
    close(listening);
    stop();
}

START_TEST(test_bandwidth_of_an_allocation)
{
    check_bandwidth(one_kbps_each);
}
END_TEST

START_TEST(test_bandwidth_of_a_user)
{
    check_bandwidth(one_kbps_together);
}
END_TEST

START_TEST(test_end_of_the_control_connection)
{
    struct netaddr relayed;
    int peer;
    start();
    int listening = peer_listen(), control = control_open(&relayed);
    uint32_t id = connect_peer(control, listening, &peer);
    int data = data_open(id, "", 0);
    close(control);
    expect_end(peer);
    expect_end(data);
    ck_assert_int_eq(joined_connections(), 0);
    close(peer);
    close(data);
    /* The port is free at once, whatever the kernel remembers of connections. */
    struct netaddr again = address("127.0.0.1");
    again.port = relayed.port;
    int fd = sock_listen_tcp(&again, true);
    ck_assert_int_ge(fd, 0);
    close(fd);
    close(listening);
    stop();
}
END_TEST

/* Nobody listens at the peer's port: the kernel's own ICMP message reaches the client. */
START_TEST(test_icmp)
{
    static const uint8_t port_unreachable[8] = {0, 0, 3 << 1, 3};
    struct netaddr to = address("203.0.113.10:40502");
    start();
    int fd = connect_to(&udp_address, SOCK_DGRAM);
    allocate(fd);
    close(peer_socket(40502));
    bind_channel(fd, 0x4000, &to);
    for (int i = 0; i < 2; i++) {
        chandata_write_header(memory, 0x4000, 4);
        ck_assert_int_eq(send(fd, memory, 8, 0), 8);
        size_t n = read_message(fd, answer, sizeof answer);
        ck_assert_int_eq(stun_parse(answer, n, &m), ERR_OK);
        ck_assert_int_eq(m.method, STUN_METHOD_DATA_INDICATION);
        ck_assert_mem_eq(stun_get(&m, STUN_ICMP).at, port_unreachable, sizeof port_unreachable);
    }
    close(fd);
    stop();
}
END_TEST

UNIT_MAIN("turn_splice", test_bytes_as_they_are, test_a_peer_connects, test_back_pressure,
          test_end_of_the_control_connection, test_icmp, test_bandwidth_of_an_allocation,
          test_bandwidth_of_a_user)
