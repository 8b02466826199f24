/* Dialling several addresses over the loopback. */
#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/sock.h"
#include "core/tunnel/dial.h"
#include "tests/unit/unit.h"

static struct ev_loop *loop;
static int connected = -1;
static struct netaddr connected_to;
static char words[200];

static void on_connected(void *ctx, int fd, const struct netaddr *addr)
{
    (void)ctx;
    connected = fd;
    connected_to = *addr;
    ev_break(loop, EVBREAK_ALL);
}

static void on_failed(void *ctx, const char *why)
{
    (void)ctx;
    snprintf(words, sizeof words, "%s", why);
    ev_break(loop, EVBREAK_ALL);
}

static const struct dial_events events = {on_connected, on_failed};

static struct netaddr address(const char *text, uint16_t port)
{
    struct netaddr a;
    ck_assert(netaddr_parse(text, port, &a) == ERR_OK);
    return a;
}

/* A listener, and an address at which nobody listens. */
static int listener(struct netaddr *open, struct netaddr *closed)
{
    struct netaddr any = address("127.0.0.1", 0);
    int fd = sock_listen_tcp(&any, false), other = sock_listen_tcp(&any, false);
    ck_assert(fd >= 0 && other >= 0);
    ck_assert(sock_local(fd, open) == ERR_OK && sock_local(other, closed) == ERR_OK);
    close(other);
    return fd;
}

START_TEST(test_connects)
{
    struct netaddr open, closed;
    loop = ev_loop_new(0);
    int fd = listener(&open, &closed);
    ck_assert(dial_start(loop, &open, 1, 5, &events, NULL) != NULL);
    ck_assert_int_eq(connected, -1); /* never from inside */
    ev_run(loop, 0);
    ck_assert(connected >= 0 && netaddr_equal(&connected_to, &open));
    close(connected);
    close(fd);
    ev_loop_destroy(loop);
}
END_TEST

START_TEST(test_next_address_is_tried)
{
    struct netaddr addrs[3];
    loop = ev_loop_new(0);
    int fd = listener(&addrs[2], &addrs[0]);
    addrs[1] = address("255.255.255.255", 1); /* connect() itself fails */
    ck_assert(dial_start(loop, addrs, 3, 5, &events, NULL) != NULL);
    ev_run(loop, 0);
    ck_assert_msg(connected >= 0 && netaddr_equal(&connected_to, &addrs[2]), "%s", words);
    close(connected);
    close(fd);
    ev_loop_destroy(loop);
}
END_TEST

START_TEST(test_refused_in_words)
{
    struct netaddr open, closed;
    char expected[100], text[NETADDR_TEXT];
    loop = ev_loop_new(0);
    close(listener(&open, &closed));
    dial_start(loop, &closed, 1, 5, &events, NULL);
    ev_run(loop, 0);
    snprintf(expected, sizeof expected, "%s: connection refused", netaddr_print(&closed, text));
    ck_assert_str_eq(words, expected);
    ev_loop_destroy(loop);
}
END_TEST

START_TEST(test_silence_has_a_limit)
{
    struct netaddr open, closed;
    loop = ev_loop_new(0);
    int fd = listener(&open, &closed), filler[8];
    /* A full accept queue drops SYNs: the nearest thing to a silent host that needs no privilege. */
    ck_assert(listen(fd, 0) == 0);
    for (size_t i = 0; i < 8; i++)
        filler[i] = sock_connect_tcp(&open);
    usleep(20000);
    dial_start(loop, &open, 1, 0.2, &events, NULL);
    ev_run(loop, 0);
    ck_assert_msg(strstr(words, "no answer within") != NULL, "%s", words);
    for (size_t i = 0; i < 8; i++)
        close(filler[i]);
    close(fd);
    ev_loop_destroy(loop);
}
END_TEST

START_TEST(test_cancelled)
{
    struct netaddr open, closed;
    loop = ev_loop_new(0);
    int fd = listener(&open, &closed);
    dial_cancel(dial_start(loop, &open, 1, 5, &events, NULL));
    ev_run(loop, EVRUN_NOWAIT);
    struct dial *d = dial_start(loop, &open, 1, 5, &events, NULL);
    ev_run(loop, EVRUN_NOWAIT);
    dial_cancel(d);
    ev_run(loop, EVRUN_NOWAIT);
    ck_assert(connected < 0 && !words[0]);
    close(fd);
    ev_loop_destroy(loop);
}
END_TEST

UNIT_MAIN("dial", test_connects, test_next_address_is_tried, test_refused_in_words, test_silence_has_a_limit,
          test_cancelled)
