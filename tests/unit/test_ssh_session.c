/* ssh_session and ssh_channel against a real sshd on the loopback. */
#include <check.h>
#include <ev.h>
#include <time.h>

#include "core/tunnel/host_key.h"
#include "core/tunnel/ssh_channel.h"
#include "core/tunnel/ssh_session.h"
#include "tests/unit/sshd_fixture.h"

static const char script[] = "case \"$SSH_ORIGINAL_COMMAND\" in\n"
                             "cat) exec cat ;;\n"
                             "zeros) exec head -c 400000000 /dev/zero ;;\n"
                             "sink) wc -c | tr -d '\\n' ;;\n"
                             "echo*) echo \"$SSH_ORIGINAL_COMMAND\" ;;\n"
                             "fail) echo 'stile-edge is not running' >&2; exit 3 ;;\n"
                             "esac";

static struct sshd_fixture sshd;
static struct host_keys pinned;
static struct ev_loop *loop;

struct seen {
    bool session_open, session_closed;
    enum err why;
    char words[400];
};

static void on_open(void *ctx)
{
    struct seen *seen = ctx;
    seen->session_open = true;
    ev_break(loop, EVBREAK_ALL);
}

static void on_close(void *ctx, enum err why, const char *words)
{
    struct seen *seen = ctx;
    seen->session_closed = true;
    seen->why = why;
    snprintf(seen->words, sizeof seen->words, "%s", words);
    ev_break(loop, EVBREAK_ALL);
}

static const struct ssh_session_events session_events = {on_open, on_close};

static void on_guard(struct ev_loop *l, ev_timer *w, int revents)
{
    (void)w, (void)revents;
    ev_break(l, EVBREAK_ALL);
}

/* Runs the loop until somebody breaks it or the seconds have passed. */
static void run_for(double seconds)
{
    ev_timer guard;
    ev_now_update(loop);
    ev_timer_init(&guard, on_guard, seconds, 0);
    ev_timer_start(loop, &guard);
    ev_run(loop, 0);
    ev_timer_stop(loop, &guard);
}

static void setup_with(const char *options)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    sshd_fixture_setup(&sshd, script, options);
}

static void setup(void)
{
    setup_with("");
}

static void teardown(void)
{
    sshd_fixture_teardown(&sshd);
    host_keys_free(&pinned);
    ev_loop_destroy(loop);
}

static void pin(const char *line)
{
    json_t *list = json_pack("[s]", line);
    ck_assert(host_keys_parse(list, &pinned) == ERR_OK);
    json_decref(list);
}

static struct ssh_session *start(struct seen *seen, const char *host_key, const char *client_key)
{
    pin(host_key);
    struct ssh_session_config config = {.user = sshd.user, .host_keys = &pinned, .client_key = client_key};
    *seen = (struct seen){.why = ERR_OK};
    int fd = sock_connect_tcp(&sshd.addr);
    ck_assert(fd >= 0);
    struct ssh_session *s = ssh_session_new(loop, fd, &config, &session_events, seen);
    ck_assert(s != NULL);
    run_for(10);
    return s;
}

static struct ssh_session *start_open(struct seen *seen)
{
    struct ssh_session *s = start(seen, sshd.host_key, sshd.client_key);
    ck_assert_msg(seen->session_open && !seen->session_closed, "%s", seen->words);
    return s;
}

/* A channel that counts and compares what it gets */
struct pipe {
    struct ssh_channel *ch;
    bool open, closed;
    uint64_t to_send, sent, got;
    bool compare; /* what comes back must be the pattern that was sent */
    bool wrong;
    uint64_t stop_at; /* break the loop when that much was received */
    char text[64], words[400];
    int *order;
    int opened_as;
};

static uint8_t pattern(uint64_t at)
{
    return (uint8_t)((at * 2654435761U) >> 13);
}

static void pipe_on_open(void *ctx)
{
    struct pipe *p = ctx;
    p->open = true;
    if (p->order)
        p->opened_as = (*p->order)++;
    if (p->to_send)
        ssh_channel_want_output(p->ch);
}

static void pipe_on_data(void *ctx, const uint8_t *data, size_t n)
{
    struct pipe *p = ctx;
    if (p->compare)
        for (size_t i = 0; i < n; i++)
            p->wrong |= data[i] != pattern(p->got + i);
    if (p->got < sizeof p->text - 1)
        memcpy(p->text + p->got, data, n < sizeof p->text - 1 - p->got ? n : sizeof p->text - 1 - p->got);
    p->got += n;
    if (p->stop_at && p->got >= p->stop_at)
        ev_break(loop, EVBREAK_ALL);
}

static void pipe_on_output(void *ctx, struct buf *out)
{
    struct pipe *p = ctx;
    uint8_t *at;
    uint64_t left = p->to_send - p->sent;
    size_t n = left < SSH_CHANNEL_FILL ? (size_t)left : SSH_CHANNEL_FILL;
    ck_assert(buf_reserve(out, n, &at) == ERR_OK);
    if (p->compare)
        for (size_t i = 0; i < n; i++)
            at[i] = pattern(p->sent + i);
    buf_commit(out, n);
    p->sent += n;
    if (p->sent < p->to_send)
        ssh_channel_want_output(p->ch);
}

static void pipe_on_close(void *ctx, const char *words)
{
    struct pipe *p = ctx;
    p->closed = true;
    snprintf(p->words, sizeof p->words, "%s", words);
    ev_break(loop, EVBREAK_ALL);
}

static const struct ssh_channel_events pipe_events = {pipe_on_open, pipe_on_data, pipe_on_output,
                                                      pipe_on_close};

static void pipe_open(struct pipe *p, struct ssh_session *s, const char *command)
{
    p->ch = ssh_channel_open(s, command, &pipe_events, p);
    ck_assert(p->ch != NULL);
}

START_TEST(commands_arrive_and_answer)
{
    struct seen seen;
    struct ssh_session *s = start_open(&seen);
    struct pipe p = {.got = 0};
    pipe_open(&p, s, "echo 7");
    run_for(5);
    ck_assert(p.open && p.closed);
    ck_assert_str_eq(p.text, "echo 7\n");
    ssh_channel_free(p.ch);
    ssh_session_free(s);
}
END_TEST

START_TEST(a_failing_command_says_why)
{
    struct seen seen;
    struct ssh_session *s = start_open(&seen);
    struct pipe p = {.got = 0};
    pipe_open(&p, s, "fail");
    run_for(5);
    ck_assert(p.closed);
    ck_assert_str_eq(p.words,
                     "forced command failed: \"fail\" ended with exit code 3: stile-edge is not running");
    ssh_channel_free(p.ch);
    run_for(0.2);
    ck_assert(!seen.session_closed);
    ssh_session_free(s);
}
END_TEST

static void echo_all(uint64_t bytes, int channels)
{
    struct seen seen;
    struct ssh_session *s = start_open(&seen);
    struct pipe pipes[8] = {{.got = 0}};
    int order = 0, done = 0;
    for (int i = 0; i < channels; i++) {
        pipes[i] = (struct pipe){.to_send = bytes, .stop_at = bytes, .compare = true, .order = &order};
        pipe_open(&pipes[i], s, "cat");
    }
    for (int tries = 0; done < channels && tries < 100; tries++) {
        run_for(20);
        ck_assert_msg(!seen.session_closed, "%s", seen.words);
        done = 0;
        for (int i = 0; i < channels; i++)
            done += pipes[i].got >= bytes;
    }
    for (int i = 0; i < channels; i++) {
        ck_assert_msg(!pipes[i].closed, "%s", pipes[i].words);
        ck_assert(pipes[i].got == bytes && !pipes[i].wrong);
        ck_assert_int_eq(pipes[i].opened_as, i);
    }
    ssh_session_free(s);
}

START_TEST(bytes_come_back_in_order)
{
    echo_all(20000000, 1);
}
END_TEST

START_TEST(many_channels_at_once)
{
    echo_all(3000000, 8);
}
END_TEST

START_TEST(rekeying_under_load_loses_nothing)
{
    echo_all(12000000, 3);
}
END_TEST

START_TEST(a_wrong_host_key_is_refused_with_both_fingerprints)
{
    struct seen seen;
    struct ssh_session *s =
        start(&seen, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMwrrzXgvBbHHJMxT0oo8pyOSPbIRSfYg5WtnU+tNqTs x",
              sshd.client_key);
    ck_assert(seen.session_closed && !seen.session_open);
    ck_assert_int_eq(seen.why, ERR_UNAUTHORIZED);
    ck_assert_msg(strncmp(seen.words, "host key changed: expected SHA256:", 34) == 0 &&
                      strstr(seen.words, ", got SHA256:"),
                  "%s", seen.words);
    ssh_session_free(s);
}
END_TEST

START_TEST(an_unknown_client_key_is_told)
{
    struct seen seen;
    char *other = fixture_read(sshd.dir, "host_key");
    struct ssh_session *s = start(&seen, sshd.host_key, other);
    ck_assert(seen.session_closed && !seen.session_open);
    ck_assert_int_eq(seen.why, ERR_UNAUTHORIZED);
    ck_assert_msg(strncmp(seen.words, "key not authorised", 18) == 0, "%s", seen.words);
    ssh_session_free(s);
    s = start(&seen, sshd.host_key, "not a key");
    ck_assert_msg(seen.why == ERR_CONFIG, "%d %s", seen.why, seen.words);
    ssh_session_free(s);
    free(other);
}
END_TEST

START_TEST(a_dead_sshd_is_noticed)
{
    struct seen seen;
    struct ssh_session *s = start_open(&seen);
    struct pipe p = {.got = 0};
    pipe_open(&p, s, "cat");
    run_for(0.3);
    ck_assert(p.open);
    fixture_run("pkill -KILL -P %d", sshd.pid);
    run_for(5);
    ck_assert(seen.session_closed);
    ck_assert_msg(seen.why == ERR_CLOSED, "%s", seen.words);
    ssh_session_free(s);
}
END_TEST

START_TEST(an_ordered_end_is_flushed)
{
    struct seen seen;
    struct ssh_session *s = start_open(&seen);
    struct pipe p = {.got = 0};
    pipe_open(&p, s, "cat");
    run_for(0.3);
    ssh_session_end(s);
    ck_assert(!seen.session_closed);
    run_for(5);
    ck_assert(seen.session_closed);
    ck_assert_int_eq(seen.why, ERR_OK);
    ssh_session_free(s);
}
END_TEST

START_TEST(channels_can_be_freed_in_every_state)
{
    struct seen seen;
    struct ssh_session *s = start_open(&seen);
    for (int round = 0; round < 30; round++) {
        struct pipe a = {.to_send = 5000000}, b = {.got = 0}, c = {.got = 0};
        pipe_open(&a, s, "cat");
        pipe_open(&b, s, "zeros");
        pipe_open(&c, s, "echo c");
        run_for(round * 0.002);
        ssh_channel_free(a.ch);
        ssh_channel_free(b.ch);
        if (!c.closed)
            run_for(5);
        ck_assert_msg(c.closed && !seen.session_closed, "%s", seen.words);
        ssh_channel_free(c.ch);
    }
    ssh_session_free(s);
}
END_TEST

/* The connection is cut after every so many bytes: nothing may leak (ASan) or crash. */
START_TEST(cut_at_any_point)
{
    pin(sshd.host_key);
    struct ssh_session_config config = {
        .user = sshd.user, .host_keys = &pinned, .client_key = sshd.client_key};
    for (int i = 0; i < 60; i++) {
        struct seen seen = {.why = ERR_OK};
        struct pipe p = {.to_send = 100000};
        int fd = sock_connect_tcp(&sshd.addr);
        struct ssh_session *s = ssh_session_new(loop, fd, &config, &session_events, &seen);
        for (int round = 0; round < i; round++) {
            run_for(0.001);
            if (seen.session_open && !p.ch)
                pipe_open(&p, s, "cat");
        }
        ssh_session_free(s);
    }
}
END_TEST

static struct ssh_session *freed_inside;
static void free_on_data(void *ctx, const uint8_t *data, size_t n)
{
    (void)ctx, (void)data, (void)n;
    ssh_session_free(freed_inside);
    freed_inside = NULL;
    ev_break(loop, EVBREAK_ALL);
}

START_TEST(the_session_may_be_freed_inside_a_callback)
{
    static const struct ssh_channel_events events = {pipe_on_open, free_on_data, NULL, pipe_on_close};
    struct seen seen;
    struct pipe p = {.got = 0};
    freed_inside = start_open(&seen);
    p.ch = ssh_channel_open(freed_inside, "zeros", &events, &p);
    run_for(5);
    ck_assert(freed_inside == NULL && !seen.session_closed && !p.closed);
}
END_TEST

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A stall (of a window too large, of Nagle) shows as a few MB/s; the limit leaves room for sanitizers and
 * slow machines. */
START_TEST(throughput_has_no_stalls)
{
    struct seen seen;
    char cipher[64];
    struct ssh_session *s = start_open(&seen);
    struct pipe down = {.stop_at = 400000000}, up = {.to_send = 400000000, .stop_at = 1};
    double t0 = seconds();
    pipe_open(&down, s, "zeros");
    run_for(60);
    double t1 = seconds();
    ck_assert(down.got == 400000000);
    ssh_channel_free(down.ch);
    pipe_open(&up, s, "cat");
    up.stop_at = up.to_send;
    double t2 = seconds();
    run_for(60);
    double t3 = seconds();
    ck_assert(up.got == up.to_send);
    printf("%s: down %.0f MB/s, echoed %.0f MB/s\n", ssh_session_cipher(s, cipher, sizeof cipher),
           400 / (t1 - t0), 400 / (t3 - t2));
    ck_assert(400 / (t1 - t0) > 30);
    ssh_session_free(s);
}
END_TEST

static void setup_rekey(void)
{
    setup_with("RekeyLimit 1M");
}

int main(void)
{
    Suite *s = suite_create("ssh_session");
    TCase *tc = tcase_create("sshd");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, commands_arrive_and_answer);
    tcase_add_test(tc, a_failing_command_says_why);
    tcase_add_test(tc, bytes_come_back_in_order);
    suite_add_tcase(s, tc);
    tc = tcase_create("many");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, many_channels_at_once);
    tcase_add_test(tc, a_wrong_host_key_is_refused_with_both_fingerprints);
    tcase_add_test(tc, an_unknown_client_key_is_told);
    tcase_add_test(tc, a_dead_sshd_is_noticed);
    tcase_add_test(tc, an_ordered_end_is_flushed);
    tcase_add_test(tc, channels_can_be_freed_in_every_state);
    tcase_add_test(tc, cut_at_any_point);
    tcase_add_test(tc, the_session_may_be_freed_inside_a_callback);
    suite_add_tcase(s, tc);
    tc = tcase_create("speed");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 180);
    tcase_add_test(tc, throughput_has_no_stalls);
    suite_add_tcase(s, tc);
    tc = tcase_create("rekey");
    tcase_add_checked_fixture(tc, setup_rekey, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, rekeying_under_load_loses_nothing);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
