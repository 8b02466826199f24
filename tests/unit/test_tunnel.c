/*
 * A tunnel against a real sshd. The forced command is this program itself ("test_tunnel edge DIR"), playing
 * the edge: it greets on the control channel and echoes on data channels. core/egress is played as well: what
 * a data channel carries is not the matter here.
 */
#include <check.h>
#include <errno.h>
#include <ev.h>
#include <jansson.h>
#include <limits.h>
#include <time.h>

#include "common/json_frame.h"
#include "core/bridge/resolver.h"
#include "core/egress/egress.h"
#include "core/tunnel/tunnel.h"
#include "proto/ctl_msg.h"
#include "tests/unit/sshd_fixture.h"

/* The edge ----------------------------------------------------------------------------------------------- */

static bool edge_mode(const char *dir, const char *mode)
{
    char path[160];
    snprintf(path, sizeof path, "%s/mode-%s", dir, mode);
    return access(path, F_OK) == 0;
}

static void edge_send(json_t *msg)
{
    struct buf out;
    buf_init(&out, CTL_MESSAGE_MAX + 4);
    if (json_frame_encode(&out, msg, CTL_MESSAGE_MAX) != ERR_OK ||
        write(STDOUT_FILENO, buf_data(&out), buf_len(&out)) != (ssize_t)buf_len(&out))
        exit(1);
    buf_free(&out);
    json_decref(msg);
}

static void edge_answer(const char *dir, const json_t *msg)
{
    const char *type = json_frame_type(msg);
    if (strcmp(type, "hello") == 0)
        edge_send(json_pack("{ss ss si ss si si sI}", "type", "welcome", "version", "9.9", "protocol",
                            CTL_PROTOCOL, "edge", "edge1", "data_channels", 2, "revision", 0, "time",
                            (json_int_t)time(NULL) + 60));
    else if (strcmp(type, "policy") == 0)
        edge_send(json_pack("{ss sO}", "type", "policy_ack", "revision", json_object_get(msg, "revision")));
    else if (strcmp(type, "ping") == 0)
        edge_send(json_pack("{ss sO}", "type", "pong", "id", json_object_get(msg, "id")));
    if (strcmp(type, "policy") == 0 && edge_mode(dir, "bye"))
        edge_send(json_pack("{ss ss}", "type", "bye", "reason", "edge is stopping"));
}

static int edge_control(const char *dir)
{
    struct buf in;
    buf_init(&in, 2 * CTL_MESSAGE_MAX);
    for (;;) {
        uint8_t data[4096];
        size_t used;
        json_t *msg;
        ssize_t n = read(STDIN_FILENO, data, sizeof data);
        if (n <= 0 || buf_append(&in, data, (size_t)n) != ERR_OK)
            return 0;
        while (json_frame_decode(buf_data(&in), buf_len(&in), CTL_MESSAGE_MAX, &used, &msg) == ERR_OK) {
            buf_consume(&in, used);
            edge_answer(dir, msg);
            json_decref(msg);
        }
    }
}

static int edge_main(const char *dir)
{
    const char *wanted = getenv("SSH_ORIGINAL_COMMAND");
    if (edge_mode(dir, "down")) {
        fprintf(stderr, "stile-edge is not running\n");
        return 3;
    }
    if (wanted && strcmp(wanted, "control") == 0)
        return edge_control(dir);
    if (wanted && strncmp(wanted, "data ", 5) == 0) {
        char path[160];
        snprintf(path, sizeof path, "%s/pid-%s", dir, wanted + 5);
        FILE *f = fopen(path, "w");
        if (!f || fprintf(f, "%d", (int)getpid()) < 0 || fclose(f) != 0)
            return 1;
        return execlp("cat", "cat", (char *)NULL);
    }
    return 2;
}

/* core/egress -------------------------------------------------------------------------------------------- */

struct egress_session {
    const struct egress_session_events *events;
    void *ctx;
    bool sent, drained;
};

static unsigned sessions, echoes;
static size_t running, websockets;

struct egress_session *egress_session_new(struct egress *e, const struct egress_session_events *events,
                                          void *ctx)
{
    struct egress_session *s = calloc(1, sizeof *s);
    (void)e;
    ck_assert(s != NULL);
    s->events = events;
    s->ctx = ctx;
    sessions++;
    return s;
}

void egress_session_free(struct egress_session *s)
{
    sessions -= s != NULL;
    free(s);
}

enum err egress_session_receive(struct egress_session *s, const uint8_t *data, size_t n)
{
    (void)s;
    if (n == 5 && memcmp(data, "hello", 5) == 0)
        echoes++;
    return ERR_OK;
}

enum err egress_session_send(struct egress_session *s, struct buf *out, size_t most)
{
    (void)most;
    if (s->sent)
        return ERR_OK;
    s->sent = true;
    return buf_append(out, "hello", 5);
}

void egress_session_drain(struct egress_session *s)
{
    s->drained = true;
}

size_t egress_running(const struct egress *e)
{
    (void)e;
    return running + websockets;
}

size_t egress_unfinished(const struct egress *e)
{
    (void)e;
    return running;
}

/* ------------------------------------------------------------------------------------------------------- */

static struct sshd_fixture sshd;
static struct ev_loop *loop;
static struct tunnel *tunnel;
static struct resolver *resolver;
static const char *asked_host;
static const char *program;

static struct {
    enum tunnel_state state;
    char reason[TUNNEL_WORDS];
    unsigned changes, acks;
    int64_t acked;
    bool drained;
} seen;

static void on_state(void *ctx, enum tunnel_state state, const char *reason)
{
    (void)ctx;
    seen.changes++;
    seen.state = state;
    snprintf(seen.reason, sizeof seen.reason, "%s", reason);
}

static void on_policy_ack(void *ctx, int64_t revision, const char *error)
{
    (void)ctx;
    ck_assert_msg(!error, "%s", error);
    seen.acks++;
    seen.acked = revision;
}

static void on_config(void *ctx, const char *state, const char *reason, const char *waiting)
{
    (void)ctx, (void)state, (void)reason, (void)waiting;
}

static void on_keys_ack(void *ctx, const json_t *msg)
{
    (void)ctx, (void)msg;
}

static void on_drained(void *ctx)
{
    (void)ctx;
    seen.drained = true;
}

/* As core's main answers. */
static void on_resolved(void *ctx, const struct resolver_answer *answer)
{
    struct netaddr addrs[RESOLVER_ADDRESSES_MAX];
    (void)ctx;
    for (size_t i = 0; i < answer->n; i++)
        addrs[i] = answer->addresses[i].addr;
    tunnel_answer(tunnel, addrs, answer->n, answer->error);
}

static void on_question(void *ctx)
{
    (void)ctx;
    ck_assert_ptr_nonnull(resolver_ask(resolver, asked_host, 0, NULL, on_resolved, NULL));
}

static const struct tunnel_events events = {on_state,    on_policy_ack, on_config,
                                            on_keys_ack, on_drained,    on_question};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_poll(struct ev_loop *l, ev_timer *t, int revents)
{
    (void)t, (void)revents;
    ev_break(l, EVBREAK_ALL);
}

static void run_for(double seconds)
{
    double end = now() + seconds;
    ev_timer poll;
    ev_timer_init(&poll, on_poll, 0.01, 0.01);
    ev_timer_start(loop, &poll);
    while (now() < end)
        ev_run(loop, 0);
    ev_timer_stop(loop, &poll);
}

/* Seconds until the condition held, at most `limit`. */
#define RUN_UNTIL(limit, condition)                                                                          \
    ({                                                                                                       \
        double t0_ = now();                                                                                  \
        while (!(condition) && now() - t0_ < (limit))                                                        \
            run_for(0.01);                                                                                   \
        ck_assert_msg(condition, "%s: state %d reason \"%s\"", #condition, seen.state, seen.reason);         \
        now() - t0_;                                                                                         \
    })

static void setup(void)
{
    char script[400];
    memset(&seen, 0, sizeof seen);
    sessions = echoes = 0;
    running = websockets = 0;
    loop = ev_loop_new(EVFLAG_AUTO);
    resolver = resolver_new(loop);
    ck_assert_ptr_nonnull(resolver);
    snprintf(script, sizeof script, "exec %s edge \"$(dirname \"$0\")\"", program);
    sshd_fixture_setup(&sshd, script, "");
    fixture_run("printf 'VersionAddendum user=%s\\n' >> %s/sshd_config", sshd.user, sshd.dir);
    sshd_fixture_stop(&sshd);
    sshd_fixture_start(&sshd);
}

static void start_with(const char *host, const char *host_key)
{
    json_t *host_keys = json_pack("[s]", host_key);
    struct tunnel_config config = {.core = "core1",
                                   .edge = "edge1",
                                   .host = host,
                                   .port = sshd.addr.port,
                                   .host_keys = host_keys,
                                   .client_key = sshd.client_key,
                                   .index = 1};
    char why[256];
    asked_host = host;
    ck_assert_msg(tunnel_new(loop, &config, NULL, &events, NULL, &tunnel, why, sizeof why) == ERR_OK, "%s",
                  why);
    json_decref(host_keys);
    json_t *policy = json_pack("{ss}", "join_url", "https://join.example.com");
    tunnel_set_policy(tunnel, 7, policy, NULL);
    json_decref(policy);
}

static void start(void)
{
    start_with("127.0.0.1", sshd.host_key);
}

static void teardown(void)
{
    tunnel_free(tunnel);
    resolver_free(resolver);
    ck_assert_uint_eq(sessions, 0);
    sshd_fixture_teardown(&sshd);
    ev_run(loop, EVRUN_NOWAIT);
    ev_loop_destroy(loop);
}

static double status_number(const char *member)
{
    json_t *status = tunnel_status(tunnel);
    double number = json_number_value(json_object_get(status, member));
    json_decref(status);
    return number;
}

START_TEST(comes_up_and_tells_of_itself)
{
    start_with("localhost", sshd.host_key);
    RUN_UNTIL(5, seen.state == TUNNEL_ACTIVE && seen.acks == 1 && echoes == 2);
    ck_assert_int_eq(seen.acked, 7);
    ck_assert_uint_eq(sessions, 2);
    json_t *status = tunnel_status(tunnel);
    char target[64];
    snprintf(target, sizeof target, "localhost:%u", sshd.addr.port);
    ck_assert_str_eq(json_string_value(json_object_get(status, "target")), target);
    ck_assert_str_eq(json_string_value(json_object_get(status, "state")), "active");
    ck_assert_str_eq(json_string_value(json_object_get(status, "edge")), "edge1");
    ck_assert_str_eq(json_string_value(json_object_get(status, "edge_version")), "9.9");
    ck_assert_int_eq(json_integer_value(json_object_get(status, "index")), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(status, "channels")), 2);
    ck_assert_int_eq(json_integer_value(json_object_get(status, "revision_acked")), 7);
    ck_assert(json_integer_value(json_object_get(status, "clock_skew_s")) >= 59);
    ck_assert(json_real_value(json_object_get(status, "rtt_ms")) > 0);
    ck_assert(json_integer_value(json_object_get(status, "tunnel_bytes_in")) > 500);
    json_decref(status);
    RUN_UNTIL(5, status_number("rate_in") > 0 && status_number("rate_out") > 0);
    json_t *policy = json_object();
    tunnel_set_policy(tunnel, 8, policy, NULL);
    json_decref(policy);
    RUN_UNTIL(2, seen.acks == 2 && seen.acked == 8);
}
END_TEST

START_TEST(a_cut_connection_is_replaced_within_a_second)
{
    start();
    RUN_UNTIL(5, seen.state == TUNNEL_ACTIVE);
    for (int i = 0; i < 5; i++) {
        fixture_run("pkill -KILL -P %d", sshd.pid);
        RUN_UNTIL(2, seen.state == TUNNEL_FAILED);
        ck_assert_msg(strstr(seen.reason, "closed") || strstr(seen.reason, "reset"), "%s", seen.reason);
        double took = RUN_UNTIL(3, seen.state == TUNNEL_ACTIVE);
        ck_assert_msg(took < 2, "%.2f s", took);
    }
}
END_TEST

START_TEST(an_edge_that_is_away_for_long_is_back_within_two_seconds)
{
    start();
    RUN_UNTIL(5, seen.state == TUNNEL_ACTIVE);
    sshd_fixture_stop(&sshd);
    fixture_run("for p in $(ss -Htnp 'sport = :%u' | grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -u); do kill "
                "-KILL $p; done",
                sshd.addr.port);
    RUN_UNTIL(3, seen.state == TUNNEL_FAILED && strstr(seen.reason, "onnection refused"));
    run_for(8); /* the back-off has grown beyond 2 s by now */
    sshd_fixture_start(&sshd);
    double took = RUN_UNTIL(5, seen.state == TUNNEL_ACTIVE);
    ck_assert_msg(took < 2, "%.2f s", took);
}
END_TEST

START_TEST(a_closed_data_channel_is_opened_again)
{
    start();
    RUN_UNTIL(5, seen.state == TUNNEL_ACTIVE && echoes == 2);
    unsigned changes = seen.changes;
    fixture_run("kill -KILL $(cat %s/pid-1)", sshd.dir);
    RUN_UNTIL(2, echoes == 3);
    ck_assert_uint_eq(sessions, 2);
    ck_assert_uint_eq(seen.changes, changes); /* the other one served on */
    /* One that does not stay open is waited for longer and longer: 0.1, 0.2, 0.4 s. */
    double took = 0;
    for (unsigned n = 4; n <= 5; n++) {
        fixture_run("kill -KILL $(cat %s/pid-1)", sshd.dir);
        took = RUN_UNTIL(3, echoes == n);
    }
    ck_assert_msg(took > 0.35, "%.2f s", took);
}
END_TEST

START_TEST(a_wrong_host_key_is_told_and_not_hammered)
{
    start_with("127.0.0.1",
               "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMwrrzXgvBbHHJMxT0oo8pyOSPbIRSfYg5WtnU+tNqTs");
    RUN_UNTIL(5, seen.state == TUNNEL_FAILED);
    ck_assert_msg(strncmp(seen.reason, "host key changed: expected SHA256:", 34) == 0, "%s", seen.reason);
    run_for(3);
    ck_assert_uint_eq(seen.changes, 1); /* the same reason is told once */
}
END_TEST

START_TEST(a_daemon_that_is_down_is_named)
{
    fixture_write(sshd.dir, "mode-down", 0600, "x");
    start();
    RUN_UNTIL(5, seen.state == TUNNEL_FAILED);
    ck_assert_msg(strstr(seen.reason, "exit code 3: stile-edge is not running") != NULL, "%s", seen.reason);
    fixture_run("rm %s/mode-down", sshd.dir);
    RUN_UNTIL(4, seen.state == TUNNEL_ACTIVE);
}
END_TEST

START_TEST(the_edges_goodbye_is_the_reason)
{
    fixture_write(sshd.dir, "mode-bye", 0600, "x");
    start();
    RUN_UNTIL(5, seen.state == TUNNEL_FAILED);
    ck_assert_msg(strstr(seen.reason, "the edge ended the tunnel: edge is stopping") != NULL, "%s",
                  seen.reason);
}
END_TEST

START_TEST(a_name_without_address_is_told)
{
    start_with("no-such-host.invalid", sshd.host_key);
    RUN_UNTIL(10, seen.state == TUNNEL_FAILED);
    ck_assert_msg(strstr(seen.reason, "DNS") != NULL && strstr(seen.reason, "no-such-host.invalid"), "%s",
                  seen.reason);
}
END_TEST

START_TEST(draining_waits_for_requests)
{
    start();
    RUN_UNTIL(5, seen.state == TUNNEL_ACTIVE);
    running = 1;
    tunnel_drain(tunnel, 5);
    run_for(0.5);
    ck_assert(!seen.drained);
    running = 0;
    RUN_UNTIL(2, seen.drained);
}
END_TEST

START_TEST(lingering_waits_for_websockets)
{
    start();
    RUN_UNTIL(5, seen.state == TUNNEL_ACTIVE);
    websockets = 1;
    tunnel_linger(tunnel);
    tunnel_drain(tunnel, 30);
    run_for(0.5);
    ck_assert(!seen.drained);
    websockets = 0;
    RUN_UNTIL(2, seen.drained);
}
END_TEST

START_TEST(draining_has_a_limit)
{
    start();
    RUN_UNTIL(5, seen.state == TUNNEL_ACTIVE);
    running = 1;
    tunnel_drain(tunnel, 0.3);
    RUN_UNTIL(3, seen.drained);
}
END_TEST

START_TEST(draining_while_it_is_down)
{
    sshd_fixture_stop(&sshd);
    start();
    RUN_UNTIL(3, seen.state == TUNNEL_FAILED);
    tunnel_drain(tunnel, 5);
    RUN_UNTIL(1, seen.drained);
    sshd_fixture_start(&sshd);
    run_for(1.5);
    ck_assert(seen.state == TUNNEL_FAILED);
}
END_TEST

START_TEST(freed_at_any_moment)
{
    tunnel = NULL;
    for (int i = 0; i < 40; i++) {
        start();
        run_for(i * 0.004);
        tunnel_free(tunnel);
    }
    tunnel = NULL;
}
END_TEST

int main(int argc, char **argv)
{
    char path[PATH_MAX];
    if (argc == 3 && strcmp(argv[1], "edge") == 0)
        return edge_main(argv[2]);
    program = realpath(argv[0], path);
    Suite *s = suite_create("tunnel");
    TCase *tc = tcase_create("sshd");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, comes_up_and_tells_of_itself);
    tcase_add_test(tc, a_cut_connection_is_replaced_within_a_second);
    tcase_add_test(tc, an_edge_that_is_away_for_long_is_back_within_two_seconds);
    tcase_add_test(tc, a_closed_data_channel_is_opened_again);
    tcase_add_test(tc, a_wrong_host_key_is_told_and_not_hammered);
    tcase_add_test(tc, a_daemon_that_is_down_is_named);
    tcase_add_test(tc, the_edges_goodbye_is_the_reason);
    tcase_add_test(tc, a_name_without_address_is_told);
    tcase_add_test(tc, draining_waits_for_requests);
    tcase_add_test(tc, lingering_waits_for_websockets);
    tcase_add_test(tc, draining_has_a_limit);
    tcase_add_test(tc, draining_while_it_is_down);
    tcase_add_test(tc, freed_at_any_moment);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
