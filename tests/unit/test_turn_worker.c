/* A whole worker over loopback: what it does with sockets, streams and connections. */
#include <dirent.h>

#include "proto/chandata.h"
#include "tests/unit/tls_tunnel.h"
#include "tests/unit/turn_worker_fixture.h"

/* A new certificate, from now on. */
static void certify(void)
{
    char *cert, *key, why[200] = "";
    ck_assert_int_eq(tls_self_signed("turn.example.org", 1, &cert, &key), ERR_OK);
    ck_assert_msg(turn_worker_certificate(worker, cert, key, why, sizeof why) == ERR_OK, "%s", why);
    free(cert);
    free(key);
}

static size_t binding_request(uint8_t *memory);

/* Data both ways between a client on fd and a peer, many packets at once. */
static void exchange_data(int fd, const char *protocol)
{
    bool stream = protocol[0] == 'T';
    enum { N = 100 };
    uint8_t packet[64], got[2000];
    struct chandata d;
    int peer = peer_socket(40500);
    struct netaddr peer_address = address("203.0.113.10:40500"), relayed = allocate(fd);
    bind_channel(fd, 0x4001, &peer_address);
    for (unsigned i = 0; i < N; i++) {
        chandata_write_header(packet, 0x4001, 6);
        memcpy(packet + 4, "media", 5);
        packet[9] = (uint8_t)i;
        packet[10] = packet[11] = 0;
        ck_assert_int_gt(send(fd, packet, stream ? 12 : 10, 0), 0);
    }
    for (unsigned i = 0; i < N; i++) {
        ck_assert(turn_until_readable(peer));
        ck_assert_int_eq(recv(peer, got, sizeof got, 0), 6);
        ck_assert_uint_eq(got[5], i);
        send_to_relay(peer, relayed.port, got, 5);
    }
    for (unsigned i = 0; i < N; i++) {
        size_t n = read_message(fd, got, sizeof got);
        ck_assert_int_eq(chandata_parse(got, n, &d), ERR_OK);
        ck_assert_uint_eq(d.channel, 0x4001);
        ck_assert_uint_eq(d.len, 5);
    }
    json_t *status = turn_worker_status(worker, 10),
           *relay = json_array_get(json_object_get(status, "relays"), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(relay, "from_client"), "packets")),
                     N);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(relay, "to_client"), "bytes")),
                     5 * N);
    ck_assert_str_eq(json_string_value(json_object_get(relay, "user")), "alice");
    ck_assert_str_eq(json_string_value(json_object_get(relay, "protocol")), protocol);
    ck_assert_uint_eq(json_array_size(json_object_get(relay, "channels")), 1);
    json_t *found = turn_worker_relay(worker, &relayed);
    ck_assert(found && json_equal(json_object_get(found, "client"), json_object_get(relay, "client")));
    json_decref(found);
    json_decref(status);
    struct netaddr none = relayed;
    none.ip[3]++;
    ck_assert_ptr_null(turn_worker_relay(worker, &none));
    none = relayed;
    for (uint32_t port = 0; port <= UINT16_MAX; port++) {
        none.port = (uint16_t)port;
        ck_assert(port == relayed.port || !turn_worker_relay(worker, &none));
    }
    close(peer);
}

START_TEST(test_udp)
{
    start();
    int fd = connect_to(&udp_address, SOCK_DGRAM);
    exchange_data(fd, "UDP");
    close(fd);
    stop();
}
END_TEST

START_TEST(test_tcp)
{
    start();
    int fd = connect_to(&tcp_address, SOCK_STREAM);
    exchange_data(fd, "TCP");
    close(fd);
    turn_a_little();
    json_t *status = turn_worker_status(worker, 10); /* the allocation went with its connection */
    ck_assert_int_eq(json_integer_value(json_object_get(status, "allocations")), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(status, "connections")), 0);
    json_decref(status);
    ck_assert_int_eq(counter("events", "disconnected"), 1);
    stop();
}
END_TEST

/* The same through TLS and DTLS, on the sockets of their own and on those that they share. */
static void exchange_encrypted(enum turn_socket_kind kind, const char *alpn)
{
    bool dtls = turn_socket_is_datagram(kind);
    start();
    certify();
    int fd = tls_tunnel_open(&addresses[kind], dtls, alpn);
    exchange_data(fd, dtls ? "DTLS" : "TLS");
    ck_assert_int_eq(counter("events", "handshakes"), 1);
    certify(); /* what is open goes on */
    uint8_t memory[1000], answer[2000];
    size_t n = binding_request(memory);
    ck_assert_int_eq(send(fd, memory, n, 0), (ssize_t)n);
    ck_assert_uint_eq(read_message(fd, answer, sizeof answer), 32);
    close(fd);
    while (counter("events", "disconnected") == 0)
        turn_a_little();
    json_t *status = turn_worker_status(worker, 10);
    ck_assert_int_eq(json_integer_value(json_object_get(status, "allocations")), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(status, "connections")), 0);
    json_decref(status);
    stop();
}

START_TEST(test_tls)
{
    exchange_encrypted(TURN_SOCKET_TLS, "\x09stun.turn");
}
END_TEST

START_TEST(test_tls_on_the_tcp_port)
{
    exchange_encrypted(TURN_SOCKET_TCP, NULL);
}
END_TEST

START_TEST(test_dtls)
{
    exchange_encrypted(TURN_SOCKET_DTLS, NULL);
}
END_TEST

START_TEST(test_dtls_on_the_udp_port)
{
    exchange_encrypted(TURN_SOCKET_UDP, NULL);
}
END_TEST

static size_t binding_request(uint8_t *memory)
{
    struct stun_writer w;
    size_t n;
    begin(&w, memory, STUN_METHOD_BINDING);
    ck_assert_int_eq(stun_end(&w, &n), ERR_OK);
    return n;
}

/* facts: with coturn the longest ChannelData frame jams its stream. */
static void longest_frame(int fd)
{
    static uint8_t frame[4 + 65536];
    uint8_t memory[1000], answer[2000];
    struct stun_msg m;
    struct netaddr peer = address("203.0.113.10:40501");
    close(peer_socket(40501));
    allocate(fd);
    bind_channel(fd, 0x4000, &peer);
    for (int i = 0; i < 3; i++) {
        chandata_write_header(frame, 0x4000, 65535);
        for (size_t sent = 0; sent < sizeof frame;) {
            ssize_t n = send(fd, frame + sent, sizeof frame - sent, MSG_DONTWAIT);
            sent += n > 0 ? (size_t)n : 0;
            ev_run(loop, EVRUN_NOWAIT);
        }
    }
    size_t n = binding_request(memory);
    ck_assert_int_eq(send(fd, memory, n, 0), (ssize_t)n);
    n = read_message(fd, answer, sizeof answer);
    ck_assert_int_eq(stun_parse(answer, n, &m), ERR_OK);
    ck_assert_int_eq(counter("drops", "too_long"), 3); /* no datagram holds 65 535 bytes */
    close(fd);
}

START_TEST(test_longest_frame_does_not_jam)
{
    start();
    longest_frame(connect_to(&tcp_address, SOCK_STREAM));
    stop();
}
END_TEST

START_TEST(test_longest_frame_does_not_jam_tls)
{
    start();
    certify();
    longest_frame(tls_tunnel_open(&addresses[TURN_SOCKET_TLS], false, NULL));
    stop();
}
END_TEST

START_TEST(test_stream_byte_by_byte)
{
    uint8_t memory[1000], answer[2000];
    start();
    int fd = connect_to(&tcp_address, SOCK_STREAM);
    sock_set_nodelay(fd);
    size_t n = binding_request(memory);
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(send(fd, memory + i, 1, 0), 1);
        ev_run(loop, EVRUN_NOWAIT);
    }
    ck_assert_uint_eq(read_message(fd, answer, sizeof answer), 32);
    close(fd);
    stop();
}
END_TEST

static bool is_closed(int fd)
{
    char byte;
    return turn_until_readable(fd) && recv(fd, &byte, 1, 0) <= 0;
}

START_TEST(test_stream_of_something_else_is_closed)
{
    static const struct {
        enum turn_socket_kind kind;
        const char *bytes;
        const char *event;
    } rows[] = {{TURN_SOCKET_TCP, "GET / HTTP/1.1\r\n\r\n", "stream_errors"},
                {TURN_SOCKET_TCP, "SSH-2.0-x\r\n", "stream_errors"},
                {TURN_SOCKET_TCP, "\x01\x01\x01\x01not the cookie", "stream_errors"},
                {TURN_SOCKET_TCP, "\x40\x01\x01\x01", "stream_errors"}, /* a channel, first of all */
                {TURN_SOCKET_TCP, "\x16nothing that is TLS", "handshakes_failed"},
                {TURN_SOCKET_TLS, "\x01\x01\x01\x01plain STUN", "handshakes_failed"}};
    start();
    certify();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int fd = connect_to(&addresses[rows[i].kind], SOCK_STREAM);
        int64_t before = counter("events", rows[i].event);
        ck_assert_int_gt(send(fd, rows[i].bytes, strlen(rows[i].bytes), 0), 0);
        while (counter("events", rows[i].event) == before)
            turn_a_little();
        close(fd);
    }
    stop();
}
END_TEST

/* coturn's client takes a TLS record for a message: two answers of one round are two records. */
START_TEST(test_tls_message_is_a_record)
{
    uint8_t requests[3 * 20], answer[2000];
    start();
    certify();
    int fd = tls_tunnel_make(&addresses[TURN_SOCKET_TLS], false, true, NULL);
    allocate(fd);
    for (int i = 0; i < 3; i++)
        binding_request(requests + i * 20);
    ck_assert_int_eq(send(fd, requests, sizeof requests, 0), (ssize_t)sizeof requests);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(read_message(fd, answer, sizeof answer), 32);
    ck_assert_uint_eq(stun_stream_record(requests, sizeof requests), 20);
    ck_assert_uint_eq(stun_stream_record(requests, 19), 19);
    close(fd);
    stop();
}
END_TEST

/* Without a certificate TLS is closed, DTLS gets no answer. */
START_TEST(test_no_certificate)
{
    char byte;
    start();
    int tls = connect_to(&tcp_address, SOCK_STREAM), dtls = tls_tunnel_open(&udp_address, true, NULL);
    ck_assert_int_eq(send(tls, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11, 0), 11);
    ck_assert(is_closed(tls));
    while (counter("drops", "no_session") == 0)
        turn_a_little();
    ck_assert_int_eq(recv(dtls, &byte, 1, MSG_DONTWAIT), -1);
    close(tls);
    close(dtls);
    stop();
}
END_TEST

/* What is not encrypted has no business on the DTLS port. */
START_TEST(test_dtls_port_takes_no_plain_stun)
{
    uint8_t memory[1000];
    start();
    certify();
    int fd = connect_to(&addresses[TURN_SOCKET_DTLS], SOCK_DGRAM);
    size_t n = binding_request(memory);
    ck_assert_int_eq(send(fd, memory, n, 0), (ssize_t)n);
    while (counter("drops", "not_turn") == 0)
        turn_a_little();
    close(fd);
    stop();
}
END_TEST

static void narrow(struct turn_config *c)
{
    c->address_connections_max = 4;
    c->address_handshakes_max = 2;
}

START_TEST(test_limits_per_address)
{
    int fds[4];
    start_with(narrow);
    certify();
    for (int i = 0; i < 2; i++) {
        fds[i] = connect_to(&addresses[TURN_SOCKET_TLS], SOCK_STREAM); /* handshakes that never go on */
        while (counter("events", "connections") <= i)
            turn_a_little();
    }
    fds[2] = connect_to(&addresses[TURN_SOCKET_TLS], SOCK_STREAM);
    ck_assert(is_closed(fds[2]));
    close(fds[2]);
    ck_assert_int_eq(counter("events", "connections_refused"), 1);
    /* STUN has no handshake */
    for (int i = 2; i < 4; i++) {
        fds[i] = connect_to(&tcp_address, SOCK_STREAM);
        allocate(fds[i]);
    }
    int fifth = connect_to(&tcp_address, SOCK_STREAM);
    ck_assert(is_closed(fifth));
    close(fifth);
    close(fds[0]);
    while (counter("events", "handshakes_failed") == 0)
        turn_a_little();
    fds[0] = tls_tunnel_open(&addresses[TURN_SOCKET_TLS], false, NULL); /* room again */
    allocate(fds[0]);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    stop();
}
END_TEST

/* Strangers may have many connections: each holds little. */
START_TEST(test_strangers_on_streams_hold_little)
{
    static uint8_t junk[20000] = {0x00, 0x01, 0xff, 0xfc, 0x21, 0x12, 0xa4, 0x42};
    uint8_t requests[400 * 20];
    char byte;
    start();
    int fd = connect_to(&tcp_address, SOCK_STREAM);
    ck_assert_int_eq(send(fd, junk, 4000, 0), 4000);
    turn_a_little();
    ck_assert_int_eq(recv(fd, &byte, 1, MSG_DONTWAIT), -1); /* still open */
    ck_assert_int_eq(send(fd, junk + 8, 4000, 0), 4000);
    ck_assert(turn_until_readable(fd));
    ck_assert_int_le(recv(fd, &byte, 1, 0), 0);
    ck_assert_int_eq(counter("events", "stream_errors"), 1);
    close(fd);
    fd = connect_to(&tcp_address, SOCK_STREAM);
    for (size_t i = 0; i < sizeof requests; i += 20)
        binding_request(requests + i);
    ck_assert_int_eq(send(fd, requests, sizeof requests, 0), (ssize_t)sizeof requests);
    turn_a_little();
    ck_assert_int_gt(counter("drops", "client_full"), 0);
    close(fd);
    fd = connect_to(&tcp_address, SOCK_STREAM);
    allocate(fd);
    ck_assert_int_eq(send(fd, junk, sizeof junk, 0), (ssize_t)sizeof junk);
    turn_a_little();
    ck_assert_int_eq(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    close(fd);
    stop();
}
END_TEST

static enum err adopt(int fd, const struct netaddr *client, const uint8_t *data, size_t n)
{
    struct turn_handed h = {.fd = fd, .client = *client, .server = tcp_address, .data = data, .n = n};
    return turn_worker_adopt(worker, &h);
}

/* A connection that somebody else accepted and read from. */
START_TEST(test_adopted_connection)
{
    uint8_t memory[1000], answer[2000];
    struct netaddr any_port = address("127.0.0.1"), where;
    start();
    int listening = sock_listen_tcp(&any_port, false);
    ck_assert_int_eq(sock_local(listening, &where), ERR_OK);
    for (size_t early = 0; early <= 20; early++) {
        int fd = connect_to(&where, SOCK_STREAM), accepted = accept(listening, NULL, NULL);
        while (accepted < 0)
            accepted = accept(listening, NULL, NULL);
        size_t n = binding_request(memory);
        ck_assert_uint_eq(n, 20);
        ck_assert_int_eq(adopt(accepted, &where, memory, early), ERR_OK);
        if (early < n) {
            ck_assert_int_eq(send(fd, memory + early, n - early, 0), (ssize_t)(n - early));
        }
        ck_assert_uint_eq(read_message(fd, answer, sizeof answer), 32);
        ck_assert_int_eq(send(fd, memory, n, 0), (ssize_t)n);
        ck_assert_uint_eq(read_message(fd, answer, sizeof answer), 32);
        close(fd);
    }
    close(listening);
    stop();
}
END_TEST

/* A pipe to a process that speaks TLS with the client: who the client is, is that process's word. */
START_TEST(test_adopted_pipe)
{
    int pair[2];
    struct turn_handed h = {
        .client = address("192.0.2.77:4444"), .server = address("203.0.113.10:443"), .tls = true};
    start();
    ck_assert_int_eq(sock_pair(pair, true), 0);
    h.fd = pair[1];
    ck_assert_int_eq(turn_worker_adopt(worker, &h), ERR_OK);
    allocate(pair[0]);
    json_t *status = turn_worker_status(worker, 10),
           *relay = json_array_get(json_object_get(status, "relays"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(relay, "protocol")), "TLS");
    ck_assert_str_eq(json_string_value(json_object_get(relay, "client")), "192.0.2.77:4444");
    ck_assert_str_eq(json_string_value(json_object_get(relay, "server")), "203.0.113.10:443");
    json_decref(status);
    close(pair[0]);
    stop();
}
END_TEST

/* Who does not read loses packets; the worker does not keep them. */
START_TEST(test_slow_tcp_client)
{
    static const uint8_t packet[1200];
    start();
    int fd = connect_to(&tcp_address, SOCK_STREAM), peer = peer_socket(40502);
    struct netaddr relayed = allocate(fd), peer_address = address("203.0.113.10:40502");
    bind_channel(fd, 0x4000, &peer_address);
    for (int i = 0; i < 20000; i++) {
        send_to_relay(peer, relayed.port, packet, sizeof packet);
        ev_run(loop, EVRUN_NOWAIT);
    }
    turn_a_little();
    ck_assert_int_gt(counter("drops", "client_full"), 1000);
    close(fd);
    close(peer);
    stop();
}
END_TEST

/* Two clients of this worker, one over UDP and one over TCP, through each other's relays. */
START_TEST(test_hairpin_between_transports)
{
    uint8_t packet[16] = {0}, got[2000];
    struct chandata d;
    start();
    int udp = connect_to(&udp_address, SOCK_DGRAM), tcp = connect_to(&tcp_address, SOCK_STREAM);
    struct netaddr udp_relay = allocate(udp), tcp_relay = allocate(tcp);
    bind_channel(udp, 0x4000, &tcp_relay);
    bind_channel(tcp, 0x4001, &udp_relay);
    chandata_write_header(packet, 0x4000, 3);
    memcpy(packet + 4, "abc", 3);
    ck_assert_int_eq(send(udp, packet, 7, 0), 7);
    size_t n = read_message(tcp, got, sizeof got);
    ck_assert_int_eq(chandata_parse(got, n, &d), ERR_OK);
    ck_assert_uint_eq(d.channel, 0x4001);
    ck_assert_mem_eq(d.data, "abc", 3);
    chandata_write_header(packet, 0x4001, 3);
    ck_assert_int_eq(send(tcp, packet, 8, 0), 8);
    n = read_message(udp, got, sizeof got);
    ck_assert_int_eq(chandata_parse(got, n, &d), ERR_OK);
    ck_assert_uint_eq(d.channel, 0x4000);
    ck_assert_int_eq(counter("events", "hairpin"), 2);
    close(udp);
    close(tcp);
    stop();
}
END_TEST

static unsigned open_descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

START_TEST(test_stop_closes_everything)
{
    loop = ev_default_loop(0);
    unsigned before = open_descriptors();
    for (int round = 0; round < 3; round++) {
        int fds[20];
        start();
        for (int i = 0; i < 20; i++) {
            fds[i] = connect_to(i % 2 ? &tcp_address : &udp_address, i % 2 ? SOCK_STREAM : SOCK_DGRAM);
            allocate(fds[i]);
        }
        stop();
        for (int i = 0; i < 20; i++)
            close(fds[i]);
        for (int i = 0; i < 100 && open_descriptors() != before; i++)
            ev_run(loop, EVRUN_NOWAIT); /* streams are closed at the end of a round */
        ck_assert_uint_eq(open_descriptors(), before);
    }
}
END_TEST

/* A worker that was killed left its claims; its successor on the same memory starts clean. */
START_TEST(test_successor_of_a_killed_worker)
{
    start();
    struct turn_config c = make_config(0);
    struct turn_shared *killed;
    ck_assert_int_eq(turn_shared_attach(shared_fd, &c, &killed), ERR_OK);
    for (uint16_t port = 40000; port < 41000; port++)
        ck_assert(turn_shared_claim_port(killed, 0, port));
    turn_shared_detach(killed);
    turn_config_free(&c);
    turn_worker_stop(worker);
    turn_shared_detach(other);

    struct netaddr any_port = address("127.0.0.1");
    struct turn_socket socket;
    char why[200];
    c = make_config(0);
    ck_assert_int_eq(turn_socket_open(TURN_SOCKET_UDP, &any_port, &socket), ERR_OK);
    ck_assert_int_eq(sock_local(socket.fd, &udp_address), ERR_OK);
    worker = turn_worker_start(loop, &c, &socket, 1, shared_fd, why, sizeof why);
    ck_assert_ptr_nonnull(worker);
    int fd = connect_to(&udp_address, SOCK_DGRAM);
    allocate(fd);
    close(fd);
    turn_worker_stop(worker);
    close(shared_fd);
}
END_TEST

/* RFC 8656 §12: the first byte tells the protocol; what is of none, and what is reserved, is dropped in
 * silence. */
START_TEST(test_first_bytes_of_other_protocols)
{
    uint8_t packet[20] = {0}, memory[1000], answer[2000];
    start();
    int fd = connect_to(&udp_address, SOCK_DGRAM);
    for (unsigned first = 0; first < 256; first++) {
        packet[0] = (uint8_t)first;
        ck_assert_int_eq(send(fd, packet, sizeof packet, 0), (ssize_t)sizeof packet);
    }
    ck_assert_int_eq(send(fd, packet, 0, 0), 0);
    size_t n = binding_request(memory);
    ck_assert_int_eq(send(fd, memory, n, 0), (ssize_t)n);
    ck_assert_uint_eq(read_message(fd, answer, sizeof answer), 32); /* the first answer is to this one */
    ck_assert_int_eq(recv(fd, answer, sizeof answer, MSG_DONTWAIT), -1);
    close(fd);
    stop();
}
END_TEST

/* The type of service that the next packet on fd came with. */
static int received_tos(int fd)
{
    char control[100], data[2000];
    struct iovec iov = {data, sizeof data};
    struct msghdr h = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ck_assert(turn_until_readable(fd));
    ck_assert_int_ge(recvmsg(fd, &h, 0), 0);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c))
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
            return *CMSG_DATA(c);
    return -1;
}

/* RFC 8656 §14, §15, the alternate behaviour: best effort and not-ECT, whatever the other side's packets
 * have. */
START_TEST(test_header_fields_are_the_systems)
{
    int tos = 0xb9, on = 1; /* expedited forwarding, ECT(1) */
    uint8_t packet[12];
    for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
        start();
        int fd = connect_to(type == SOCK_STREAM ? &tcp_address : &udp_address, type);
        int peer = peer_socket(40500);
        struct netaddr peer_address = address("203.0.113.10:40500"), relayed = allocate(fd);
        bind_channel(fd, 0x4001, &peer_address);
        setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
        setsockopt(peer, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
        setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
        setsockopt(peer, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
        chandata_write_header(packet, 0x4001, 8);
        memcpy(packet + 4, "eight...", 8);
        ck_assert_int_eq(send(fd, packet, sizeof packet, 0), (ssize_t)sizeof packet);
        ck_assert_int_eq(received_tos(peer), 0);
        send_to_relay(peer, relayed.port, "back", 4);
        if (type == SOCK_DGRAM)
            ck_assert_int_eq(received_tos(fd), 0);
        else
            ck_assert(turn_until_readable(fd));
        close(peer);
        close(fd);
        stop();
    }
}
END_TEST

START_TEST(test_bad_start_says_why)
{
    struct turn_config c = make_config(0);
    char why[200] = "";
    log_set_level(LOG_ERR);
    c.port_min = 1;
    ck_assert_ptr_null(turn_worker_start(ev_default_loop(0), &c, NULL, 0, -1, why, sizeof why));
    ck_assert_ptr_nonnull(strstr(why, "relay_ports"));
}
END_TEST

UNIT_MAIN("turn_worker", test_first_bytes_of_other_protocols, test_header_fields_are_the_systems, test_udp,
          test_tcp, test_tls, test_tls_on_the_tcp_port, test_tls_message_is_a_record, test_dtls,
          test_dtls_on_the_udp_port, test_no_certificate, test_dtls_port_takes_no_plain_stun,
          test_limits_per_address, test_longest_frame_does_not_jam, test_longest_frame_does_not_jam_tls,
          test_stream_byte_by_byte, test_stream_of_something_else_is_closed, test_adopted_connection,
          test_adopted_pipe, test_strangers_on_streams_hold_little, test_slow_tcp_client,
          test_hairpin_between_transports, test_stop_closes_everything, test_successor_of_a_killed_worker,
          test_bad_start_says_why)
