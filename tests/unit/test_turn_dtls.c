/*
 * DTLS sessions without sockets: datagrams between real OpenSSL clients and turn_dtls go through memory, so a
 * test loses, repeats and forges them as it likes. The clock is the test's.
 */
#include "edge/turn/turn_dtls.h"

#include <arpa/inet.h>
#include <openssl/err.h>

#include "common/tls.h"
#include "edge/turn/turn_shared.h"
#include "edge/turn/turn_udp.h"
#include "tests/unit/turn_fixture.h"

enum { DATAGRAMS = 64, LONGEST = 17000 };

/* What the server sent last, oldest first. */
static struct {
    size_t n[DATAGRAMS];
    uint8_t data[DATAGRAMS][LONGEST];
    unsigned first, count;
    struct netaddr to;
} sent;

static struct fixture f;
static struct turn_dtls *dtls;
static struct turn_admission *admission;
static struct turn_tls tls;
static struct ev_loop *loop;
static SSL_CTX *client_ctx;
static uint8_t slots[4][TURN_HEADROOM + TURN_PACKET_MAX];

static uint8_t *net_slot(void *net)
{
    static unsigned next;
    (void)net;
    return slots[next++ % 4] + TURN_HEADROOM;
}

static void net_send(void *net, void *listener, const struct turn_target *to, const void *data, size_t n)
{
    (void)net;
    ck_assert_ptr_eq(listener, &f);
    ck_assert_uint_le(n, LONGEST);
    ck_assert_uint_lt(sent.count, DATAGRAMS);
    ck_assert_int_eq(netaddr_from_sockaddr(&to->to.any, to->len, &sent.to), ERR_OK);
    unsigned i = (sent.first + sent.count++) % DATAGRAMS;
    memcpy(sent.data[i], data, n);
    sent.n[i] = n;
}

static const struct turn_dtls_ops ops = {net_slot, net_send};

static void certify(void)
{
    char *cert, *key, why[200];
    ck_assert_int_eq(tls_self_signed("turn.example.org", 1, &cert, &key), ERR_OK);
    ck_assert_int_eq(turn_tls_set_pem(&tls, cert, key, why, sizeof why), ERR_OK);
    free(cert);
    free(key);
}

static void start(const char *limits)
{
    fixture_start(&f, limits);
    loop = ev_loop_new(0);
    certify();
    admission = turn_admission_new(&f.server->config, 100);
    dtls = turn_dtls_new(loop, f.server, &ops, NULL, admission, &tls);
    ck_assert_ptr_nonnull(dtls);
    client_ctx = SSL_CTX_new(DTLS_client_method());
}

static void stop(void)
{
    turn_dtls_free(dtls);
    ck_assert_uint_eq(turn_admission_count(admission), 0);
    ck_assert_uint_eq(turn_admission_handshakes(admission), 0);
    turn_admission_free(admission);
    turn_tls_free(&tls);
    SSL_CTX_free(client_ctx);
    ev_loop_destroy(loop);
    fixture_stop(&f);
}

static void pass(uint32_t seconds)
{
    for (uint32_t i = 0; i < seconds; i++) {
        fixture_pass(&f, 1);
        turn_dtls_tick(dtls, f.now);
    }
}

static uint64_t event(enum turn_event e)
{
    return f.server->counters.events[e];
}

/* A client: what it wants to send lies in out, what comes is put into in. */
struct client {
    SSL *ssl;
    BIO *in, *out;
    struct netaddr address;
};

static struct client client_make(const char *from)
{
    struct client c = {.ssl = SSL_new(client_ctx), .in = BIO_new(BIO_s_mem()), .out = BIO_new(BIO_s_mem())};
    BIO_set_mem_eof_return(c.in, -1);
    SSL_set_bio(c.ssl, c.in, c.out);
    SSL_set_connect_state(c.ssl);
    SSL_set_options(c.ssl, SSL_OP_NO_QUERY_MTU);
    SSL_set_mtu(c.ssl, 1200);
    c.address = address(from);
    return c;
}

static void deliver(const struct netaddr *from, const uint8_t *data, size_t n)
{
    static const struct netaddr local = {.family = AF_INET, .port = 3478, .ip = {10, 0, 0, 36}};
    struct turn_dtls_origin origin = {.listener = &f, .index = 0, .local = &local, .from = from};
    uint8_t *exact = malloc(n ? n : 1); /* so that the sanitizers see any byte too many */
    memcpy(exact, data, n);
    turn_dtls_receive(dtls, &origin, exact, n);
    free(exact);
}

/* What the client wants to send, as one datagram; its length. */
static size_t client_take(struct client *c, uint8_t *out, size_t size)
{
    int n = BIO_read(c->out, out, (int)size);
    return n > 0 ? (size_t)n : 0;
}

static void client_send(struct client *c)
{
    uint8_t data[LONGEST];
    size_t n = client_take(c, data, sizeof data);
    if (n)
        deliver(&c->address, data, n);
}

/* Lets the client have everything that was sent. */
static void client_receive(struct client *c)
{
    for (; sent.count; sent.count--) {
        ck_assert(netaddr_equal(&sent.to, &c->address));
        BIO_write(c->in, sent.data[sent.first], (int)sent.n[sent.first]);
        sent.first = (sent.first + 1) % DATAGRAMS;
        uint8_t byte;
        SSL_peek(c->ssl, &byte, 1); /* makes it read one datagram at a time */
    }
}

static void handshake(struct client *c)
{
    for (int i = 0; i < 10 && !SSL_is_init_finished(c->ssl); i++) {
        SSL_do_handshake(c->ssl);
        client_send(c);
        client_receive(c);
    }
    ck_assert(SSL_is_init_finished(c->ssl));
}

static void client_write(struct client *c, const void *data, size_t n)
{
    ck_assert_int_eq(SSL_write(c->ssl, data, (int)n), (int)n);
    client_send(c);
}

static size_t binding(uint8_t *out)
{
    static const uint8_t transaction[STUN_TRANSACTION] = "dtls";
    struct stun_writer w;
    size_t n;
    stun_begin(&w, out, 100, STUN_METHOD_BINDING, STUN_REQUEST, transaction);
    ck_assert_int_eq(stun_end(&w, &n), ERR_OK);
    return n;
}

/* Asks for its own address and checks the answer. */
static void ask_binding(struct client *c)
{
    uint8_t request[100], answer[500];
    struct stun_msg m;
    struct netaddr mapped;
    client_write(c, request, binding(request));
    ck_assert_uint_eq(sent.count, 1);
    BIO_write(c->in, sent.data[sent.first], (int)sent.n[sent.first]);
    sent.first = (sent.first + 1) % DATAGRAMS;
    sent.count = 0;
    int n = SSL_read(c->ssl, answer, sizeof answer);
    ck_assert_int_gt(n, 0);
    ck_assert_int_eq(stun_parse(answer, (size_t)n, &m), ERR_OK);
    ck_assert_int_eq(stun_get_xor_address(&m, STUN_XOR_MAPPED_ADDRESS, &mapped), ERR_OK);
    ck_assert(netaddr_equal(&mapped, &c->address));
}

static void client_free(struct client *c)
{
    SSL_free(c->ssl);
}

/* RFC 8489 §11: STUN without its cookie is 500 over DTLS where it is a request, and nothing where it is an
 * indication. */
START_TEST(test_classic_stun)
{
    uint8_t request[20] = {0,   1,   0,   0,   'o', 'l', 'd', 'e', 'r', ' ',
                           't', 'h', 'a', 'n', ' ', '5', '3', '8', '9', 0},
            answer[100];
    start("");
    struct client c = client_make("192.0.2.1:5000");
    handshake(&c);
    client_write(&c, request, sizeof request);
    ck_assert_uint_eq(sent.count, 1);
    BIO_write(c.in, sent.data[sent.first], (int)sent.n[sent.first]);
    sent.first = (sent.first + 1) % DATAGRAMS;
    sent.count = 0;
    ck_assert_int_eq(SSL_read(c.ssl, answer, sizeof answer), 28);
    ck_assert_mem_eq(answer, "\1\x11\0\x08", 4);
    ck_assert_mem_eq(answer + 4, request + 4, 16);
    ck_assert_mem_eq(answer + 20, "\0\x09\0\4\0\0\5\0", 8);
    request[1] = 0x11;
    client_write(&c, request, sizeof request);
    request[1] = 1;
    request[3] = 4;
    client_write(&c, request, sizeof request); /* longer than it is */
    ck_assert_uint_eq(sent.count, 0);
    ask_binding(&c);
    client_free(&c);
    stop();
}
END_TEST

START_TEST(test_session)
{
    start("");
    struct client four = client_make("192.0.2.1:5000"), six = client_make("[2001:db8:1::1]:5000");
    handshake(&four);
    ask_binding(&four);
    handshake(&six);
    ask_binding(&six);
    ask_binding(&four);
    ck_assert_uint_eq(turn_dtls_count(dtls), 2);
    ck_assert_uint_eq(event(TURN_EVENT_handshakes), 2);
    ck_assert_uint_eq(turn_admission_handshakes(admission), 0);
    client_free(&four);
    client_free(&six);
    stop();
}
END_TEST

/* facts: no state before the cookie. The answer is shorter than what asked for it. */
START_TEST(test_no_state_before_the_cookie)
{
    uint8_t hello[2000];
    start("");
    for (unsigned i = 0; i < 1000; i++) {
        struct client c = client_make("192.0.2.1:5000");
        c.address.ip[3] = (uint8_t)i;
        c.address.port = (uint16_t)(1000 + i);
        SSL_do_handshake(c.ssl);
        size_t n = client_take(&c, hello, sizeof hello);
        deliver(&c.address, hello, n);
        ck_assert_uint_eq(sent.count, 1);
        ck_assert_uint_lt(sent.n[sent.first], n);
        ck_assert_uint_le(sent.n[sent.first], 48);
        sent.count = 0;
        client_free(&c);
    }
    ck_assert_uint_eq(turn_dtls_count(dtls), 0);
    ck_assert_uint_eq(turn_admission_count(admission), 0);
    ck_assert_uint_eq(event(TURN_EVENT_cookies), 1000);
    stop();
}
END_TEST

/* The second ClientHello of a client, with its cookie. */
static size_t hello_with_cookie(struct client *c, uint8_t *out, size_t size)
{
    SSL_do_handshake(c->ssl);
    client_send(c);
    client_receive(c);
    SSL_do_handshake(c->ssl);
    return client_take(c, out, size);
}

START_TEST(test_cookie_is_its_owners)
{
    uint8_t hello[2000];
    struct netaddr other = address("192.0.2.2:5000"), port = address("192.0.2.1:5001");
    start("");
    struct client c = client_make("192.0.2.1:5000");
    size_t n = hello_with_cookie(&c, hello, sizeof hello);
    deliver(&other, hello, n); /* asks for another cookie, at most */
    deliver(&port, hello, n);
    ck_assert_uint_eq(turn_dtls_count(dtls), 0);
    hello[60 + 14] ^= 1; /* somewhere behind the random: the cookie */
    sent.count = 0;
    deliver(&c.address, hello, n);
    ck_assert_uint_eq(turn_dtls_count(dtls), 0);
    hello[60 + 14] ^= 1;
    sent.count = 0;
    deliver(&c.address, hello, n);
    ck_assert_uint_eq(turn_dtls_count(dtls), 1);
    sent.count = 0;
    client_free(&c);
    stop();
}
END_TEST

START_TEST(test_cookies_grow_old)
{
    uint8_t hello[2000];
    start("");
    struct client c = client_make("192.0.2.1:5000"), d = client_make("192.0.2.2:5000");
    size_t n = hello_with_cookie(&c, hello, sizeof hello);
    pass(TURN_DTLS_COOKIE); /* the key before still counts */
    deliver(&c.address, hello, n);
    ck_assert_uint_eq(turn_dtls_count(dtls), 1);
    sent.count = 0;
    n = hello_with_cookie(&d, hello, sizeof hello);
    pass(2 * TURN_DTLS_COOKIE + 1);
    deliver(&d.address, hello, n);
    ck_assert_uint_eq(turn_dtls_count(dtls), 0);
    client_free(&c);
    client_free(&d);
    stop();
}
END_TEST

START_TEST(test_deadlines)
{
    uint8_t hello[2000];
    start("");
    struct client slow = client_make("192.0.2.1:5000"), idle = client_make("192.0.2.2:5000");
    size_t n = hello_with_cookie(&slow, hello, sizeof hello);
    deliver(&slow.address, hello, n);
    sent.count = 0;
    pass(TURN_DTLS_HANDSHAKE - 1);
    ck_assert_uint_eq(turn_dtls_count(dtls), 1);
    pass(3);
    ck_assert_uint_eq(turn_dtls_count(dtls), 0);
    ck_assert_uint_eq(event(TURN_EVENT_handshakes_failed), 1);
    handshake(&idle);
    pass(TURN_DTLS_IDLE - 1);
    ck_assert_uint_eq(turn_dtls_count(dtls), 1);
    pass(3);
    ck_assert_uint_eq(turn_dtls_count(dtls), 0);
    client_receive(&idle); /* an alert says so */
    ck_assert(SSL_get_shutdown(idle.ssl) & SSL_RECEIVED_SHUTDOWN);
    client_free(&slow);
    client_free(&idle);
    stop();
}
END_TEST

/* The server's flight is lost: it comes again by itself. */
START_TEST(test_retransmission)
{
    start("");
    struct client c = client_make("192.0.2.1:5000");
    uint8_t hello[2000];
    size_t n = hello_with_cookie(&c, hello, sizeof hello);
    deliver(&c.address, hello, n);
    ck_assert_uint_gt(sent.count, 0);
    sent.count = 0;
    while (sent.count == 0)
        ev_run(loop, EVRUN_ONCE); /* its timer */
    client_receive(&c);
    handshake(&c);
    ask_binding(&c);
    client_free(&c);
    stop();
}
END_TEST

START_TEST(test_limits)
{
    enum { N = 3 };
    struct client c[N];
    uint8_t hello[2000];
    start("\"connections\":{\"address\":2,\"handshakes\":10,\"address_handshakes\":1}");
    for (int i = 0; i < N; i++) {
        c[i] = client_make("192.0.2.1:5000");
        c[i].address.port = (uint16_t)(5000 + i);
    }
    size_t n = hello_with_cookie(&c[0], hello, sizeof hello);
    deliver(&c[0].address, hello, n); /* stays within its handshake */
    sent.count = 0;
    n = hello_with_cookie(&c[1], hello, sizeof hello);
    deliver(&c[1].address, hello, n);
    ck_assert_uint_eq(turn_dtls_count(dtls), 1);
    ck_assert_uint_eq(event(TURN_EVENT_connections_refused), 1);
    pass(TURN_DTLS_HANDSHAKE + 2);
    client_free(&c[1]);
    c[1] = client_make("192.0.2.1:5001");
    client_free(&c[0]);
    c[0] = client_make("192.0.2.1:5000");
    handshake(&c[0]);
    handshake(&c[1]);
    n = hello_with_cookie(&c[2], hello, sizeof hello); /* a third session */
    deliver(&c[2].address, hello, n);
    ck_assert_uint_eq(turn_dtls_count(dtls), 2);
    for (int i = 0; i < N; i++)
        client_free(&c[i]);
    stop();
}
END_TEST

/* Sessions of strangers take memory, and handshakes are soon done: only so many, the newest. */
START_TEST(test_unproven)
{
    enum { N = 5 };
    struct client c[N];
    start("\"connections\":{\"unproven\":3}");
    for (int i = 0; i < N; i++) {
        c[i] = client_make("192.0.2.1:5000");
        c[i].address.port = (uint16_t)(5000 + i);
        if (i >= 3)
            SSL_do_handshake(c[i].ssl);
        for (int k = 0; k < 10 && !SSL_is_init_finished(c[i].ssl); k++) {
            SSL_do_handshake(c[i].ssl);
            client_send(&c[i]);
            for (; sent.count; sent.count--) { /* some of it are alerts for who was ended */
                unsigned to = sent.to.port - 5000u;
                BIO_write(c[to].in, sent.data[sent.first], (int)sent.n[sent.first]);
                sent.first = (sent.first + 1) % DATAGRAMS;
            }
        }
    }
    ck_assert_uint_eq(turn_dtls_count(dtls), 3);
    ck_assert_uint_eq(event(TURN_EVENT_unproven_closed), 2);
    for (int i = 0; i < N; i++)
        client_free(&c[i]);
    stop();
}
END_TEST

/* RFC 6347 §4.2.8: a client that lost its session begins again from the same address; a late copy of its
 * first hello ends nothing. */
START_TEST(test_begins_anew)
{
    uint8_t hello[2000];
    start("");
    struct client c = client_make("192.0.2.1:5000");
    size_t n = hello_with_cookie(&c, hello, sizeof hello);
    deliver(&c.address, hello, n);
    client_receive(&c);
    handshake(&c);
    deliver(&c.address, hello, n); /* the copy */
    sent.count = 0;
    ask_binding(&c);
    struct client again = client_make("192.0.2.1:5000");
    SSL_do_handshake(again.ssl);
    client_send(&again); /* without a cookie: the old session goes on */
    sent.count = 0;
    ask_binding(&c);
    client_free(&again);
    again = client_make("192.0.2.1:5000");
    handshake(&again);
    ask_binding(&again);
    ck_assert_uint_eq(turn_dtls_count(dtls), 1);
    client_free(&c);
    client_free(&again);
    stop();
}
END_TEST

/* Records of the next epoch wait for the handshake in OpenSSL, each in 17 KB: only a few are let in. */
START_TEST(test_records_ahead)
{
    uint8_t hello[2000], record[13 + 40] = {22, 0xfe, 0xfd, 0, 1};
    start("");
    struct client c = client_make("192.0.2.1:5000");
    size_t n = hello_with_cookie(&c, hello, sizeof hello);
    deliver(&c.address, hello, n);
    record[12] = 40;
    for (unsigned i = 0; i < 40; i++) {
        record[10] = (uint8_t)i;
        deliver(&c.address, record, sizeof record);
    }
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_no_session], 40 - TURN_DTLS_AHEAD);
    for (unsigned i = 0; i < TURN_DTLS_DATAGRAMS; i++)
        deliver(&c.address, record, sizeof record);
    ck_assert_uint_eq(turn_dtls_count(dtls), 0); /* enough is enough */
    sent.count = 0;
    client_free(&c);
    stop();
}
END_TEST

/* One byte of a message that says it is 100 KB long, for each of the ten messages to come: OpenSSL would make
 * room for all of them. No client has anything that long to say. */
START_TEST(test_messages_ahead)
{
    uint8_t hello[2000], record[13 + 12 + 1] = {22, 0xfe, 0xfd};
    start("");
    struct client c = client_make("192.0.2.1:5000");
    size_t n = hello_with_cookie(&c, hello, sizeof hello);
    deliver(&c.address, hello, n);
    ck_assert_uint_eq(turn_dtls_count(dtls), 1);
    record[10] = 9;  /* a sequence number that was not there yet */
    record[12] = 13; /* length of the record */
    record[13] = 11; /* Certificate */
    record[14] = 1;  /* of 65536 + 34464 bytes, */
    record[15] = 0x86;
    record[16] = 0xa0;
    record[18] = 4; /* not the next message; */
    record[24] = 1; /* one byte of it, at its beginning */
    deliver(&c.address, record, sizeof record);
    ck_assert_uint_eq(turn_dtls_count(dtls), 0);
    ck_assert_uint_eq(event(TURN_EVENT_handshakes_failed), 1);
    sent.count = 0;
    client_free(&c);
    stop();
}
END_TEST

START_TEST(test_close)
{
    start("");
    struct client c = client_make("192.0.2.1:5000");
    handshake(&c);
    SSL_shutdown(c.ssl);
    client_send(&c);
    ck_assert_uint_eq(turn_dtls_count(dtls), 0);
    client_receive(&c);
    client_free(&c);
    stop();
}
END_TEST

/* Junk into a session and beside it. */
START_TEST(test_junk)
{
    uint8_t junk[200];
    struct netaddr stranger = address("192.0.2.9:5000");
    start("");
    struct client c = client_make("192.0.2.1:5000");
    handshake(&c);
    for (unsigned i = 0; i < 2000; i++) {
        for (size_t k = 0; k < sizeof junk; k++)
            junk[k] = (uint8_t)(i * 31 + k * (i % 17));
        junk[0] = (uint8_t)(20 + i % 44);
        size_t n = i % sizeof junk;
        deliver(i % 2 ? &stranger : &c.address, junk, n ? n : 1);
        sent.count = 0;
    }
    ask_binding(&c);
    ck_assert_uint_eq(turn_dtls_count(dtls), 1);
    client_free(&c);
    stop();
}
END_TEST

/* An allocation keeps its session; its end gives the session thirty seconds. A new certificate touches
 * neither. */
START_TEST(test_certificate_changes)
{
    start("");
    struct client before = client_make("192.0.2.1:5000"), after = client_make("192.0.2.2:5000");
    handshake(&before);
    X509 *old = SSL_get1_peer_certificate(before.ssl);
    certify();
    handshake(&after);
    X509 *new = SSL_get1_peer_certificate(after.ssl);
    ck_assert_int_ne(X509_cmp(old, new), 0);
    ask_binding(&before);
    ask_binding(&after);
    X509_free(old);
    X509_free(new);
    client_free(&before);
    client_free(&after);
    stop();
}
END_TEST

UNIT_MAIN("turn_dtls", test_classic_stun, test_session, test_no_state_before_the_cookie,
          test_cookie_is_its_owners, test_cookies_grow_old, test_deadlines, test_retransmission, test_limits,
          test_unproven, test_begins_anew, test_records_ahead, test_messages_ahead, test_close, test_junk,
          test_certificate_changes)
