/* Web bridges on loopback: found, probed with TLS, said to be Active or Failed and why; a small DNS server of
 * our own (as root, in a network and a mount namespace of our own) says where they are. */
#include <arpa/nameser.h>
#include <check.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/sock.h"
#include "common/stream.h"
#include "common/tls.h"
#include "common/wire.h"
#include "core/bridge/targets.h"
#include "tests/unit/unit.h"

static struct {
    struct ev_loop *loop;
    SSL_CTX *server_ctx, *client_ctx;
    char *cert, *key;
    ev_io accepter;
    struct netaddr at;
    int fd;
    unsigned changes;
} bridge;

/* What HEAD is answered with; NULL: nothing. */
static const char *answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n";
static char request_seen[512];

static size_t on_data(void *ctx, const uint8_t *data, size_t n)
{
    struct stream **s = ctx;
    if (n < 4 || memcmp(data + n - 4, "\r\n\r\n", 4) != 0)
        return 0;
    snprintf(request_seen, sizeof request_seen, "%.*s", (int)n, (const char *)data);
    if (answer && *answer)
        ck_assert_int_eq(stream_write(*s, answer, strlen(answer)), ERR_OK);
    else if (answer)
        stream_shutdown(*s);
    return n;
}

static void on_close(void *ctx, enum err why, const char *words)
{
    (void)why, (void)words;
    struct stream **s = ctx;
    stream_free(*s);
    free(s);
}

static const struct stream_events stream_events = {.on_data = on_data, .on_close = on_close};

static void on_connection(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)revents;
    int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct stream **s = calloc(1, sizeof(struct stream *));
    if (fd >= 0)
        *s = stream_new_tls_server(loop, fd, bridge.server_ctx, &stream_events, s, 4096, 4096);
}

static void bridge_start(const char *name, const char *address)
{
    char why[256];
    bridge.loop = ev_default_loop(0);
    signal(SIGPIPE, SIG_IGN); /* as the daemons do */
    ck_assert_int_eq(tls_self_signed(name, 10, &bridge.cert, &bridge.key), ERR_OK);
    ck_assert_int_eq(tls_server_ctx(bridge.cert, bridge.key, NULL, &bridge.server_ctx, why, sizeof why),
                     ERR_OK);
    ck_assert_int_eq(tls_client_ctx(bridge.cert, &bridge.client_ctx, why, sizeof why), ERR_OK);
    ck_assert_int_eq(netaddr_parse(address, 0, &bridge.at), ERR_OK);
    ck_assert_int_ge(bridge.fd = sock_listen_tcp(&bridge.at, false), 0);
    ck_assert_int_eq(sock_local(bridge.fd, &bridge.at), ERR_OK);
    ev_io_init(&bridge.accepter, on_connection, bridge.fd, EV_READ);
    ev_io_start(bridge.loop, &bridge.accepter);
}

static void bridge_stop(void)
{
    ev_io_stop(bridge.loop, &bridge.accepter);
    close(bridge.fd);
    for (int i = 0; i < 20; i++) {
        ev_run(bridge.loop, EVRUN_NOWAIT); /* connections of probes that ended */
        usleep(1000);
    }
    SSL_CTX_free(bridge.server_ctx);
    SSL_CTX_free(bridge.client_ctx);
    free(bridge.cert);
    file_wipe(bridge.key);
}

static void on_change(void *ctx)
{
    (void)ctx;
    bridge.changes++;
}

static const struct targets_events events = {on_change};

/* Row i of the list, once it has that state. Borrowed until the next call. */
static const json_t *wait_row(struct targets *t, size_t i, const char *state)
{
    static json_t *status;
    double until = ev_time() + 20;
    for (;;) {
        json_decref(status);
        status = targets_status(t);
        const json_t *row = json_array_get(status, i);
        const char *is = json_string_value(json_object_get(row, "state"));
        if (is && strcmp(is, state) == 0)
            return row;
        ck_assert_msg(ev_time() < until, "row %zu is %s: %s", i, is ? is : "not there",
                      json_dumps(status, 0));
        ev_run(bridge.loop, EVRUN_ONCE);
    }
}

static void wait_rows(struct targets *t, size_t wanted)
{
    for (double until = ev_time() + 20;;) {
        json_t *status = targets_status(t);
        size_t n = json_array_size(status);
        json_decref(status);
        if (n == wanted)
            return;
        ck_assert_msg(ev_time() < until, "%zu rows, wanted %zu", n, wanted);
        ev_run(bridge.loop, EVRUN_ONCE);
    }
}

static const char *text_of(const json_t *row, const char *key)
{
    return json_string_value(json_object_get(row, key));
}

START_TEST(test_active_failed_and_back)
{
    char target[64];
    bridge_start("join.test", "127.0.0.1");
    snprintf(target, sizeof target, "127.0.0.1:%u", bridge.at.port);
    struct schema_strings explicit = {(char *[]){target, (char[]){"127.0.0.1:1"}}, 2};
    struct targets *t = targets_new(bridge.loop, "join.test", &explicit, bridge.client_ctx, &events, NULL);
    targets_flush(t);
    ck_assert_str_eq(text_of(wait_row(t, 0, "active"), "reason"), "");
    ck_assert_ptr_nonnull(strstr(text_of(wait_row(t, 1, "failed"), "reason"), "refused"));
    unsigned changes = bridge.changes;
    ck_assert_uint_ge(changes, 2);
    ev_io_stop(bridge.loop, &bridge.accepter);
    close(bridge.fd);
    targets_hint_failed(t, &bridge.at); /* a request failed: looked at now, not in 10 s */
    wait_row(t, 0, "failed");
    ck_assert_uint_gt(bridge.changes, changes);
    ck_assert_int_ge(bridge.fd = sock_listen_tcp(&bridge.at, false), 0);
    ev_io_set(&bridge.accepter, bridge.fd, EV_READ);
    ev_io_start(bridge.loop, &bridge.accepter);
    wait_row(t, 0, "active");
    targets_hint_failed(t, &bridge.at);
    targets_free(t); /* while a probe runs */
    bridge_stop();
}
END_TEST

START_TEST(test_certificate_of_another)
{
    char target[64];
    bridge_start("other.test", "127.0.0.1");
    snprintf(target, sizeof target, "127.0.0.1:%u", bridge.at.port);
    struct schema_strings explicit = {(char *[]){target}, 1};
    struct targets *t = targets_new(bridge.loop, "join.test", &explicit, bridge.client_ctx, &events, NULL);
    targets_flush(t);
    const char *reason = text_of(wait_row(t, 0, "failed"), "reason");
    ck_assert_msg(strstr(reason, "expected join.test") != NULL, "%s", reason);
    targets_free(t);
    bridge_stop();
}
END_TEST

/* DNS --------------------------------------------------------------------------------------------------- */

static void put_name(struct wire_writer *w, const char *name)
{
    for (size_t n; *name; name += n + (name[n] == '.')) {
        n = strcspn(name, ".");
        wire_put_u8(w, (uint8_t)n);
        wire_put_bytes(w, name, n);
    }
    wire_put_u8(w, 0);
}

/* What the name server knows of gone.test. */
static enum { GONE, GONE_HAS_ADDRESS, GONE_NOBODY_KNOWS } dns_gone;

/* SRV for _cms-web._tls.join.test: two names, one that exists and one that may not; for that of bridge.test:
 * not available. A for bridge.test. NXDOMAIN else. */
static size_t dns_answer(uint8_t *packet, size_t n, bool broken, uint16_t port)
{
    char name[256] = "";
    size_t at = 12, used = 0;
    while (at < n && packet[at] && used + packet[at] + 2 < sizeof name) {
        used += (size_t)sprintf(name + used, "%s%.*s", used ? "." : "", packet[at], packet + at + 1);
        at += packet[at] + 1u;
    }
    uint16_t type = (uint16_t)(packet[at + 1] << 8 | packet[at + 2]);
    bool none = type == ns_t_srv && strcmp(name, "_cms-web._tls.bridge.test") == 0;
    bool srv = none || (type == ns_t_srv && strcmp(name, "_cms-web._tls.join.test") == 0);
    bool gone = strcmp(name, "gone.test") == 0;
    bool host = strcmp(name, "bridge.test") == 0 || (gone && dns_gone == GONE_HAS_ADDRESS);
    bool a = host && type == ns_t_a;
    broken = broken || (gone && dns_gone == GONE_NOBODY_KNOWS);
    packet[2] = 0x84;
    packet[3] = (uint8_t)(broken ? ns_r_servfail : srv || host ? ns_r_noerror : ns_r_nxdomain);
    packet[7] = broken ? 0 : none ? 1 : srv ? 2 : a ? 1 : 0;
    packet[9] = packet[11] = 0;
    struct wire_writer w = wire_writer(packet + at + 5, 400);
    for (unsigned i = 0; i < packet[7]; i++) {
        wire_put_u16(&w, 0xc00c);
        wire_put_u16(&w, type);
        wire_put_u16(&w, ns_c_in);
        wire_put_u32(&w, 1);
        if (srv) {
            const char *to = none ? "" : i ? "gone.test" : "bridge.test";
            wire_put_u16(&w, (uint16_t)(6 + strlen(to) + (none ? 1 : 2)));
            wire_put_u16(&w, (uint16_t)(10 + i));
            wire_put_u16(&w, 20);
            wire_put_u16(&w, port);
            put_name(&w, to);
        } else {
            wire_put_u16(&w, 4);
            wire_put_bytes(&w, gone ? "\x7f\0\0\2" : "\x7f\0\0\1", 4);
        }
    }
    return at + 5 + wire_written(&w);
}

static ev_io dns;
static bool dns_broken;
static unsigned dns_asked;

static void on_dns(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop, (void)revents;
    uint8_t packet[1024];
    struct sockaddr_storage from;
    socklen_t len = sizeof from;
    ssize_t n = recvfrom(w->fd, packet, 512, 0, (struct sockaddr *)&from, &len);
    if (n < 17)
        return;
    dns_asked++;
    size_t m = dns_answer(packet, (size_t)n, dns_broken, bridge.at.port);
    ck_assert_int_eq(sendto(w->fd, packet, m, 0, (struct sockaddr *)&from, len), (ssize_t)m);
}

/* A network of our own with loopback alone, and a resolv.conf that names it. False: not root. */
static bool dns_start(void)
{
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    struct netaddr at;
    char path[] = "/tmp/stile-resolv-XXXXXX", why[256];
    if (geteuid() != 0 || unshare(CLONE_NEWNS | CLONE_NEWNET) < 0)
        return false;
    int fd = socket(AF_INET, SOCK_DGRAM, 0), file = mkstemp(path);
    ck_assert(ioctl(fd, SIOCSIFFLAGS, &lo) == 0);
    close(fd);
    close(file);
    ck_assert_int_eq(file_write(path, "nameserver 127.0.0.1\n", 21, 0644, why, sizeof why), ERR_OK);
    ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    ck_assert_int_eq(mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL), 0);
    unlink(path);
    ck_assert_int_eq(netaddr_parse("127.0.0.1:53", 0, &at), ERR_OK);
    ck_assert_int_ge(fd = sock_bind_udp(&at, false), 0);
    ev_io_init(&dns, on_dns, fd, EV_READ);
    ev_io_start(ev_default_loop(0), &dns);
    return true;
}

/* The third thing that a target must do: answer HTTP. */
START_TEST(test_http)
{
    static const struct {
        const char *answer, *reason; /* NULL: Active */
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", NULL},
        {"HTTP/1.1 500 Oh\r\n\r\n", NULL},
        {"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.0 302 Found\r\nLocation: /x\r\n\r\n", NULL},
        {"HTTP/1.1 502 Bad Gateway\r\n\r\n", "HTTP: it answers 502 Bad Gateway"},
        {"HTTP/1.1 503 Nope\r\n\r\n", "HTTP: it answers 503 Service Unavailable"},
        {"220 mail.example ESMTP\r\n\r\n", "HTTP: "},
        {"", "HTTP: it closed the connection without an answer"},
        {NULL, "HTTP: no answer within 3 s"},
    };
    char target[64];
    bridge_start("join.test", "127.0.0.1");
    snprintf(target, sizeof target, "127.0.0.1:%u", bridge.at.port);
    struct schema_strings explicit = {(char *[]){target}, 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        answer = cases[i].answer;
        struct targets *t =
            targets_new(bridge.loop, "join.test", &explicit, bridge.client_ctx, &events, NULL);
        targets_flush(t);
        const char *reason = text_of(wait_row(t, 0, cases[i].reason ? "failed" : "active"), "reason");
        ck_assert_msg(strstr(reason, cases[i].reason ? cases[i].reason : ""), "%zu: %s", i, reason);
        targets_free(t);
    }
    ck_assert_str_eq(request_seen, "HEAD / HTTP/1.1\r\nHost: join.test\r\nUser-Agent: stile-core\r\n"
                                   "Connection: close\r\n\r\n");
    bridge_stop();
}
END_TEST

START_TEST(test_found_in_dns)
{
    struct schema_strings none = {0};
    if (!dns_start())
        return;
    bridge_start("join.test", "127.0.0.1");
    struct targets *t = targets_new(bridge.loop, "join.test", &none, bridge.client_ctx, &events, NULL);
    targets_flush(t);
    const json_t *row = wait_row(t, 0, "active");
    ck_assert_str_eq(text_of(row, "name"), "bridge.test");
    ck_assert_str_eq(text_of(row, "address"), "127.0.0.1");
    ck_assert_int_eq(json_integer_value(json_object_get(row, "priority")), 10);
    ck_assert_int_eq(json_integer_value(json_object_get(row, "port")), bridge.at.port);
    /* DNS breaks: what works stays, and the reason is shown beside it. */
    dns_broken = true;
    targets_flush(t);
    row = wait_row(t, 1, "failed");
    ck_assert_ptr_nonnull(strstr(text_of(row, "reason"), "DNS"));
    ck_assert_str_eq(text_of(wait_row(t, 0, "active"), "name"), "bridge.test");
    dns_broken = false;
    wait_rows(t, 1);
    /* Of two names one cannot be asked for any more: its target stays until it is said to be gone. */
    dns_gone = GONE_HAS_ADDRESS;
    targets_flush(t);
    wait_rows(t, 2);
    dns_gone = GONE_NOBODY_KNOWS;
    targets_flush(t);
    wait_rows(t, 3); /* and the reason */
    ck_assert_str_eq(text_of(wait_row(t, 1, "failed"), "address"), "127.0.0.2");
    ck_assert_ptr_nonnull(strstr(text_of(wait_row(t, 2, "failed"), "reason"), "gone.test"));
    dns_gone = GONE;
    wait_rows(t, 1);
    unsigned asked = dns_asked;
    targets_flush(t);
    targets_free(t); /* while a query runs */
    bridge_stop();
    ck_assert_uint_ge(dns_asked, asked);
    close(dns.fd);
}
END_TEST

START_TEST(test_no_srv_no_host)
{
    struct schema_strings none = {0};
    if (!dns_start())
        return;
    bridge_start("join.test", "127.0.0.1");
    struct targets *t = targets_new(bridge.loop, "nowhere.test", &none, bridge.client_ctx, &events, NULL);
    targets_flush(t);
    const json_t *row = wait_row(t, 0, "failed");
    ck_assert_str_eq(text_of(row, "name"), "nowhere.test");
    ck_assert_ptr_nonnull(strstr(text_of(row, "reason"), "nowhere.test"));
    targets_free(t);
    /* RFC 2782: who says that the service is not available is not asked for addresses. */
    t = targets_new(bridge.loop, "bridge.test", &none, bridge.client_ctx, &events, NULL);
    targets_flush(t);
    row = wait_row(t, 0, "failed");
    ck_assert_ptr_nonnull(strstr(text_of(row, "reason"), "_cms-web._tls.bridge.test says that there is no"));
    targets_free(t);
    bridge_stop();
    close(dns.fd);
}
END_TEST

UNIT_MAIN("targets", test_active_failed_and_back, test_certificate_of_another, test_http, test_found_in_dns,
          test_no_srv_no_host)
