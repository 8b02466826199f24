/* Real worker processes, which this program is itself when it is executed as "worker ROLE INDEX": setup,
 * death and restart with back-off, orderly end, and status gathered from several. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/gather.h"
#include "common/worker.h"
#include "common/worker_process.h"
#include "tests/unit/unit.h"

/* Inside a worker -------------------------------------------------------------------------------------- */

struct inside {
    struct ev_loop *loop;
    struct ipc *main;
};

static void *inside_make(struct ev_loop *loop, struct ipc *main)
{
    struct inside *w = calloc(1, sizeof *w);
    w->loop = loop;
    w->main = main;
    return w;
}

static void inside_message(void *worker, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    struct inside *w = worker;
    if (strcmp(type, "hang_up") == 0)
        ev_break(w->loop, EVBREAK_ALL);
    if (strcmp(type, "spy") == 0)
        _exit(socket(AF_PACKET, SOCK_RAW, 0) < 0 ? 5 : 6);
    if (strcmp(type, "write") == 0 && n_fds == 1) /* no ck_assert here: this is another program */
        _exit(write(fds[0], "hi", 2) == 2 ? 3 : 4);
    if (strcmp(type, "status") == 0 || strcmp(type, "news") == 0)
        ipc_send(w->main, json_incref(msg), NULL, 0);
    if (strcmp(type, "setup") == 0)
        ipc_send(w->main, json_pack("{sssi}", "type", "ready", "pid", (int)getpid()), NULL, 0);
}

static void inside_drain(void *worker, double seconds)
{
    (void)seconds;
    ev_break(((struct inside *)worker)->loop, EVBREAK_ALL);
}

/* A worker that takes no notice of being asked to end. */
static void stubborn_drain(void *worker, double seconds)
{
    (void)worker, (void)seconds;
}

/* One that says how long it may take, and ends when it is asked again. */
static void slow_drain(void *worker, double seconds)
{
    struct inside *w = worker;
    static bool asked;
    ipc_send(w->main, json_pack("{ss sf}", "type", "draining", "seconds", seconds), NULL, 0);
    if (asked)
        ev_break(w->loop, EVBREAK_ALL);
    asked = true;
}

static const struct worker_role roles[] = {
    {"good", inside_make, inside_message, inside_drain, free, 0, NULL},
    {"slow", inside_make, inside_message, slow_drain, free, 0, NULL},
    {"stubborn", inside_make, inside_message, stubborn_drain, free, 0, NULL},
    {0}};

/* Main's side ------------------------------------------------------------------------------------------ */

static struct {
    struct ev_loop *loop;
    unsigned started, ready, exits, stopped, draining, news;
    double seconds;
    json_int_t last_news;
    char how[128];
} seen;

static json_int_t last_id; /* of a question to a worker */

static void on_start(void *ctx, struct worker *w)
{
    (void)ctx;
    seen.started++;
    ck_assert_int_eq(worker_send(w, json_pack("{ss}", "type", "setup"), NULL, 0), ERR_OK);
}

static void on_message(void *ctx, struct worker *w, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    (void)ctx, (void)fds, (void)n_fds;
    if (strcmp(type, "status") == 0) {
        last_id = json_integer_value(json_object_get(msg, "id"));
        gather_message(w, msg);
    }
    if (strcmp(type, "draining") == 0) {
        seen.draining++;
        seen.seconds = json_number_value(json_object_get(msg, "seconds"));
    }
    if (strcmp(type, "news") == 0) {
        seen.news++;
        seen.last_news = json_integer_value(json_object_get(msg, "number"));
    }
    if (strcmp(type, "ready") != 0)
        return;
    ck_assert_int_eq(json_integer_value(json_object_get(msg, "pid")), worker_pid(w));
    seen.ready++;
}

static void on_exit_seen(void *ctx, struct worker *w, const char *how, bool stopped)
{
    (void)ctx, (void)w;
    snprintf(seen.how, sizeof seen.how, "%s", how);
    seen.exits++;
    seen.stopped += stopped;
}

static const struct worker_events events = {on_start, on_message, on_exit_seen};

static void wait_for(const unsigned *count, unsigned n)
{
    double until = ev_time() + 20;
    while (*count < n && ev_time() < until)
        ev_run(seen.loop, EVRUN_ONCE);
    ck_assert_uint_ge(*count, n);
}

static void tell(struct worker *w, const char *type)
{
    ck_assert_int_eq(worker_send(w, json_pack("{ss}", "type", type), NULL, 0), ERR_OK);
}

START_TEST(test_death_and_restart)
{
    int fds[2];
    char text[3] = "";
    seen.loop = ev_default_loop(0);
    struct worker *w = worker_new(seen.loop, "good", 7, &events, NULL);
    ck_assert_str_eq(worker_name(w), "good7");
    wait_for(&seen.ready, 1);
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(worker_send(w, json_pack("{ss}", "type", "write"), &fds[1], 1), ERR_OK);
    close(fds[1]);
    wait_for(&seen.exits, 1);
    ck_assert_int_eq(read(fds[0], text, 3), 2);
    close(fds[0]);
    ck_assert_str_eq(seen.how, "exited with status 3");
    ck_assert(!worker_running(w));
    ck_assert_int_eq(worker_send(w, json_pack("{ss}", "type", "setup"), NULL, 0), ERR_CLOSED);
    double gone = ev_time();
    wait_for(&seen.ready, 2);
    ck_assert(ev_time() - gone > 0.05);
    kill(worker_pid(w), SIGKILL);
    wait_for(&seen.exits, 2);
    ck_assert_str_eq(seen.how, "killed by signal 9 (Killed)");
    gone = ev_time();
    wait_for(&seen.ready, 3);
    ck_assert(ev_time() - gone > 0.15); /* longer than the first time */
    tell(w, "hang_up");
    wait_for(&seen.ready, 4);
    ck_assert_uint_eq(worker_restarts(w), 3);
    ck_assert_uint_eq(seen.stopped, 0);
    worker_retire(w, 60);
    wait_for(&seen.stopped, 1);
    ck_assert_str_eq(seen.how, "exited with status 0");
    worker_free(w);
}
END_TEST

START_TEST(test_refused_call_is_named)
{
    seen.loop = ev_default_loop(0);
    struct worker *w = worker_new(seen.loop, "good", 0, &events, NULL);
    wait_for(&seen.ready, 1);
    tell(w, "spy");
    wait_for(&seen.exits, 1);
    ck_assert_str_eq(seen.how, "killed: it tried socket, which this kind of worker never does");
    worker_free(w);
}
END_TEST

START_TEST(test_stubborn_worker_is_killed)
{
    seen.loop = ev_default_loop(0);
    struct worker *w = worker_new(seen.loop, "stubborn", 0, &events, NULL);
    wait_for(&seen.ready, 1);
    worker_retire(w, -1.8);
    wait_for(&seen.stopped, 1);
    ck_assert_ptr_nonnull(strstr(seen.how, "signal 9"));
    worker_free(w);
    w = worker_new(seen.loop, "stubborn", 0, &events, NULL);
    wait_for(&seen.ready, 2);
    pid_t pid = worker_pid(w);
    worker_free(w);
    for (int i = 0; i < 200 && kill(pid, 0) == 0; i++) {
        ev_run(seen.loop, EVRUN_NOWAIT); /* libev reaps what nobody watches any more */
        usleep(10000);
    }
    ck_assert_int_lt(kill(pid, 0), 0);
}
END_TEST

START_TEST(test_retire)
{
    seen.loop = ev_default_loop(0);
    struct worker *w = worker_new(seen.loop, "slow", 0, &events, NULL);
    wait_for(&seen.ready, 1);
    worker_retire(w, 60);
    wait_for(&seen.draining, 1);
    ck_assert_double_eq(seen.seconds, 60);
    ck_assert(worker_running(w));
    worker_retire(w, 0); /* in a hurry now */
    wait_for(&seen.stopped, 1);
    ck_assert_str_eq(seen.how, "exited with status 0");
    worker_free(w);
}
END_TEST

/* What a worker has to know reaches it even when its queue is full at the time; of two the newer one. */
START_TEST(test_update_of_a_worker_that_is_behind)
{
    seen.loop = ev_default_loop(0);
    struct worker *w = worker_new(seen.loop, "good", 0, &events, NULL);
    wait_for(&seen.ready, 1);
    kill(worker_pid(w), SIGSTOP);
    size_t size = 4 * 1024 * 1024;
    char *text = malloc(size + 1);
    memset(text, 'x', size);
    text[size] = '\0';
    while (worker_send(w, json_pack("{ss ss}", "type", "padding", "text", text), NULL, 0) == ERR_OK)
        continue;
    for (int i = 1; i <= 2; i++)
        worker_update(w, "news", json_pack("{ss si ss}", "type", "news", "number", i, "text", text));
    kill(worker_pid(w), SIGCONT);
    wait_for(&seen.news, 1);
    ck_assert_int_eq(seen.last_news, 2);
    worker_update(w, "news", json_pack("{ss si}", "type", "news", "number", 3));
    wait_for(&seen.news, 2);
    ck_assert_int_eq(seen.last_news, 3);
    free(text);
    worker_free(w);
}
END_TEST

static unsigned gathered, results_seen;

static void on_gathered(void *ctx, json_t *results)
{
    (void)ctx;
    gathered++;
    results_seen = (unsigned)json_array_size(results);
}

START_TEST(test_gather)
{
    struct worker *all[3] = {0};
    seen.loop = ev_default_loop(0);
    all[0] = worker_new(seen.loop, "good", 0, &events, NULL);
    all[2] = worker_new(seen.loop, "good", 2, &events, NULL);
    wait_for(&seen.ready, 2);
    ck_assert_ptr_nonnull(gather_start(seen.loop, all, 3, false, on_gathered, NULL));
    wait_for(&gathered, 1);
    ck_assert_uint_eq(results_seen, 2);
    /* One that says nothing costs a second, not the answer. */
    kill(worker_pid(all[2]), SIGSTOP);
    ck_assert_ptr_nonnull(gather_start(seen.loop, all, 3, false, on_gathered, NULL));
    wait_for(&gathered, 2);
    ck_assert_uint_eq(results_seen, 1);
    kill(worker_pid(all[2]), SIGCONT);
    struct gather *g = gather_start(seen.loop, all, 3, false, on_gathered, NULL);
    gather_cancel(g);
    ck_assert_ptr_nonnull(gather_start(seen.loop, all, 0, false, on_gathered, NULL)); /* nobody to ask */
    wait_for(&gathered, 3);
    ck_assert_uint_eq(results_seen, 0);
    json_t *stray = json_pack("{sssi}", "type", "status", "id", 12345);
    gather_message(all[0], stray); /* an answer that came too late, or was never asked for */
    json_decref(stray);
    worker_free(all[0]);
    worker_free(all[2]);
}
END_TEST

/* A worker that was taken over knows the numbers of others' questions, or guesses them. */
START_TEST(test_gather_hears_each_once)
{
    struct worker *asked[2] = {0}, *stranger;
    seen.loop = ev_default_loop(0);
    for (unsigned i = 0; i < 2; i++)
        asked[i] = worker_new(seen.loop, "good", i, &events, NULL);
    stranger = worker_new(seen.loop, "good", 2, &events, NULL);
    wait_for(&seen.ready, 3);
    ck_assert_ptr_nonnull(gather_start(seen.loop, asked, 2, false, on_gathered, NULL));
    wait_for(&gathered, 1);
    ck_assert_ptr_nonnull(gather_start(seen.loop, asked, 2, false, on_gathered, NULL));
    json_t *answer = json_pack("{sssI}", "type", "status", "id", last_id + 1);
    for (int i = 0; i < 3; i++) {
        gather_message(stranger, answer);
        gather_message(asked[0], answer);
    }
    json_decref(answer);
    ck_assert_uint_eq(gathered, 1);
    wait_for(&gathered, 2);
    ck_assert_uint_eq(results_seen, 2);
    for (unsigned i = 0; i < 2; i++)
        worker_free(asked[i]);
    worker_free(stranger);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_death_and_restart,
                                  test_refused_call_is_named,
                                  test_stubborn_worker_is_killed,
                                  test_gather,
                                  test_retire,
                                  test_update_of_a_worker_that_is_behind,
                                  test_gather_hears_each_once};
    if (argc > 1 && strcmp(argv[1], "worker") == 0)
        return worker_process_run(roles, argc - 1, argv + 1);
    return unit_run("worker", tests, sizeof tests / sizeof *tests);
}
