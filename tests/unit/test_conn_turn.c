/* TURN on the HTTPS port of a web worker: what is handed on, what stays, and that both can wait for each
 * other. */
#include "tests/unit/web_box.h"

#include <poll.h>
#include <sys/socket.h>

/* A Binding request, RFC 8489 §5. */
static const char stun[20] = {0, 1, 0, 0, 0x21, 0x12, (char)0xa4, 0x42, 'b', 'i', 'n', 'd'};

static void box_start_turn(void)
{
    box.turn = true;
    box_start();
}

/* A guest on TLS that offers these protocols (wire format; NULL: none). */
static void guest_offer(struct guest *g, const char *alpn)
{
    SSL_CTX_set_alpn_protos(box.client_tls, (const unsigned char *)alpn, alpn ? (unsigned)strlen(alpn) : 0);
    guest_connect(g, true, "join.example.com");
    ck_assert(g->open);
}

static void guest_plain(struct guest *g)
{
    *g = (struct guest){0};
    buf_init(&g->in, GUEST_IN);
    g->stream = stream_connect(box.loop, &box.https, NULL, NULL, &guest_events, g, GUEST_IN, 0);
    RUN_UNTIL(g->open);
}

/* The turn worker's side of the last hand-over says this. */
static void turn_reads(int fd, const void *bytes, size_t n)
{
    char got[64];
    size_t have = 0;
    ck_assert_uint_le(n, sizeof got);
    while (have < n) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        RUN_UNTIL(poll(&p, 1, 0) > 0);
        ssize_t r = recv(fd, got + have, n - have, 0);
        ck_assert_int_gt(r, 0);
        have += (size_t)r;
    }
    ck_assert_mem_eq(got, bytes, n);
}

static void check_words(const struct guest *g, const char *kind)
{
    struct netaddr own = {0};
    char client[NETADDR_TEXT], server[NETADDR_TEXT], words[200];
    SSL *ssl = stream_ssl(g->stream);
    (void)own;
    if (ssl)
        ck_assert_int_eq(sock_local(SSL_get_fd(ssl), &own), ERR_OK);
    snprintf(words, sizeof words, "%s %s %s", ssl ? netaddr_print(&own, client) : "",
             netaddr_print(&box.https, server), kind);
    ck_assert_ptr_nonnull(strstr(box.handed_words, words));
}

START_TEST(test_plain)
{
    struct guest g;
    box_start_turn();
    guest_plain(&g);
    ck_assert_int_eq(stream_write(g.stream, stun, sizeof stun), ERR_OK);
    RUN_UNTIL(box.hands == 1);
    check_words(&g, "tcp");
    turn_reads(box.handed[0], stun, sizeof stun); /* the socket itself, nothing read from it */
    ck_assert_int_eq(send(box.handed[0], "answer", 6, 0), 6);
    RUN_UNTIL(guest_has(&g, "answer"));
    ck_assert_int_eq((int)box_count("connections"), 0);
    ck_assert_int_eq((int)box_count("turn_tcp"), 1);
    close(box.handed[0]);
    RUN_UNTIL(g.eof || g.closed);
    guest_close(&g);
    box_stop();
}
END_TEST

static void check_shuttle(const char *alpn)
{
    struct guest g;
    box_start_turn();
    guest_offer(&g, alpn);
    ck_assert_int_eq(stream_write(g.stream, stun, 7), ERR_OK); /* in two pieces */
    RUN_UNTIL(box.hands == 1);
    check_words(&g, "tls");
    ck_assert_int_eq(stream_write(g.stream, stun + 7, sizeof stun - 7), ERR_OK);
    turn_reads(box.handed[0], stun, sizeof stun);
    ck_assert_int_eq(send(box.handed[0], "answer", 6, 0), 6);
    RUN_UNTIL(guest_has(&g, "answer"));
    ck_assert_int_eq((int)box_count("connections"), 1); /* counted here as long as it lives */
    ck_assert_int_eq((int)box_count("turn_tls"), 1);
    guest_close(&g);
    char byte;
    struct pollfd p = {.fd = box.handed[0], .events = POLLIN};
    RUN_UNTIL(poll(&p, 1, 0) > 0);
    ck_assert_int_eq(recv(box.handed[0], &byte, 1, 0), 0); /* the guest's end is the pipe's */
    close(box.handed[0]);
    RUN_UNTIL(box_count("connections") == 0);
    box_stop();
}

START_TEST(test_tls_without_alpn)
{
    check_shuttle(NULL);
}
END_TEST

START_TEST(test_tls_with_alpn)
{
    check_shuttle("\x09stun.turn");
}
END_TEST

START_TEST(test_turn_worker_ends_it)
{
    struct guest g;
    box_start_turn();
    guest_offer(&g, NULL);
    ck_assert_int_eq(stream_write(g.stream, stun, sizeof stun), ERR_OK);
    RUN_UNTIL(box.hands == 1);
    ck_assert_int_eq(send(box.handed[0], "last words", 10, 0), 10);
    close(box.handed[0]);
    RUN_UNTIL(g.eof || g.closed);
    ck_assert(guest_has(&g, "last words"));
    guest_close(&g);
    RUN_UNTIL(box_count("connections") == 0);
    box_stop();
}
END_TEST

/* HTTP stays HTTP, whatever it offers. */
START_TEST(test_http_beside_it)
{
    static const char *const offers[] = {NULL, "\x08http/1.1", "\x08http/1.1\x09stun.turn"};
    box_start_turn();
    for (size_t i = 0; i < sizeof offers / sizeof *offers; i++) {
        struct guest g;
        guest_offer(&g, offers[i]);
        guest_send(&g, GET("/hello"));
        RUN_UNTIL(guest_ends_with(&g, "hello"));
        guest_close(&g);
    }
    ck_assert_uint_eq(box.hands, 0);
    box_stop();
}
END_TEST

/* Who said HTTP/1.1 in ALPN gets no TURN. */
START_TEST(test_stun_after_http_alpn)
{
    struct guest g;
    box_start_turn();
    guest_offer(&g, "\x08http/1.1");
    ck_assert_int_eq(stream_write(g.stream, stun, sizeof stun), ERR_OK);
    RUN_UNTIL(guest_has(&g, "HTTP/1.1 400"));
    ck_assert_uint_eq(box.hands, 0);
    guest_close(&g);
    box_stop();
}
END_TEST

START_TEST(test_switched_off)
{
    struct guest g;
    box_start();
    guest_plain(&g);
    ck_assert_int_eq(stream_write(g.stream, stun, sizeof stun), ERR_OK);
    RUN_UNTIL(g.closed || g.eof);
    guest_close(&g);
    guest_offer(&g, NULL);
    ck_assert_int_eq(stream_write(g.stream, stun, sizeof stun), ERR_OK);
    RUN_UNTIL(guest_has(&g, "HTTP/1.1 400"));
    ck_assert_uint_eq(box.hands, 0);
    ck_assert_int_eq((int)box_count("refused_protocol"), 1);
    guest_close(&g);
    box_stop();
}
END_TEST

/* Main takes its time: no more than 128 are on their way, the others are closed, and each word of main's
 * makes room for one. */
START_TEST(test_flood_does_not_reach_main)
{
    enum { SENT = 140, MOST = 128 };
    static struct guest guests[SENT];
    box_start_turn();
    for (int i = 0; i < SENT; i++) {
        guest_plain(&guests[i]);
        ck_assert_int_eq(stream_write(guests[i].stream, stun, sizeof stun), ERR_OK);
    }
    RUN_UNTIL(box_count("turn_tcp") + box_count("turn_refused") == SENT);
    ck_assert_uint_eq(box.hands, MOST);
    ck_assert_int_eq((int)box_count("turn_refused"), SENT - MOST);
    ipc_send(box.main_side, json_pack("{s:s}", "type", "handed"), NULL, 0);
    run_for(0.05);
    guest_close(&guests[0]);
    guest_plain(&guests[0]);
    ck_assert_int_eq(stream_write(guests[0].stream, stun, sizeof stun), ERR_OK);
    RUN_UNTIL(box.hands == MOST + 1);
    for (int i = 0; i < SENT; i++)
        guest_close(&guests[i]);
    for (unsigned i = 0; i < box.hands; i++)
        close(box.handed[i]);
    box_stop();
}
END_TEST

enum { PUSH_MOST = 3 * 1024 * 1024 };

/* Writes into the pipe until nothing goes for a while, or it was a lot; how much went. */
static size_t push(int fd)
{
    static const uint8_t data[4096];
    size_t sum = 0;
    for (int idle = 0; idle < 20 && sum < PUSH_MOST;) {
        ssize_t n = send(fd, data, sizeof data, MSG_DONTWAIT);
        sum += n > 0 ? (size_t)n : 0;
        idle = n > 0 ? 0 : idle + 1;
        if (n <= 0)
            run_for(0.01);
    }
    return sum;
}

START_TEST(test_slow_guest_stops_the_turn_worker)
{
    struct guest g;
    box_start_turn();
    guest_offer(&g, NULL);
    ck_assert_int_eq(stream_write(g.stream, stun, sizeof stun), ERR_OK);
    RUN_UNTIL(box.hands == 1);
    stream_pause(g.stream);
    size_t sent = push(box.handed[0]); /* what fits into sockets' and our buffers */
    ck_assert_int_lt((int)box_count("held"), 200 * 1024);
    stream_resume(g.stream);
    RUN_UNTIL(buf_len(&g.in) == sent);
    ck_assert_uint_ge(push(box.handed[0]), PUSH_MOST); /* as much as one likes */
    guest_close(&g);
    close(box.handed[0]);
    box_stop();
}
END_TEST

START_TEST(test_slow_turn_worker_stops_the_guest)
{
    static uint8_t data[1024 * 1024];
    struct guest g;
    size_t got = 0;
    box_start_turn();
    guest_offer(&g, NULL);
    ck_assert_int_eq(stream_write(g.stream, stun, sizeof stun), ERR_OK);
    RUN_UNTIL(box.hands == 1);
    for (int i = 0; i < 7; i++)
        ck_assert_int_eq(stream_write(g.stream, data, sizeof data), ERR_OK);
    run_for(0.3);
    ck_assert_uint_gt(stream_queued(g.stream), 0); /* nobody reads, so it does not all go */
    while (got < sizeof stun + 7 * sizeof data) {
        struct pollfd p = {.fd = box.handed[0], .events = POLLIN};
        RUN_UNTIL(poll(&p, 1, 0) > 0);
        ssize_t n = recv(box.handed[0], data, sizeof data, MSG_DONTWAIT);
        ck_assert_int_gt(n, 0);
        got += (size_t)n;
    }
    guest_close(&g);
    close(box.handed[0]);
    box_stop();
}
END_TEST

/* A call goes on while the edge drains, and ends with the time for it. */
START_TEST(test_drain)
{
    struct guest g;
    box_start_turn();
    guest_offer(&g, NULL);
    ck_assert_int_eq(stream_write(g.stream, stun, sizeof stun), ERR_OK);
    RUN_UNTIL(box.hands == 1);
    web_worker_drain(box.web, 60);
    char byte;
    turn_reads(box.handed[0], stun, sizeof stun);
    ck_assert_int_eq(stream_write(g.stream, stun, sizeof stun), ERR_OK);
    turn_reads(box.handed[0], stun, sizeof stun);
    ck_assert(!g.eof && !g.closed);
    web_worker_drain(box.web, 0);
    struct pollfd p = {.fd = box.handed[0], .events = POLLIN};
    RUN_UNTIL(poll(&p, 1, 0) > 0);
    ck_assert_int_eq(recv(box.handed[0], &byte, 1, 0), 0);
    RUN_UNTIL(g.eof || g.closed);
    guest_close(&g);
    close(box.handed[0]);
    box_stop();
}
END_TEST

UNIT_MAIN("conn_turn", test_plain, test_tls_without_alpn, test_tls_with_alpn, test_turn_worker_ends_it,
          test_http_beside_it, test_stun_after_http_alpn, test_switched_off, test_flood_does_not_reach_main,
          test_slow_guest_stops_the_turn_worker, test_slow_turn_worker_stops_the_guest, test_drain)
