/* Questions over a daemon's socket: changes one at a time and to their end, questions at once. */
#include <check.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/ipc.h"
#include "common/requests.h"
#include "common/schema.h"
#include "common/sock.h"
#include "tests/unit/unit.h"

static struct {
    struct ev_loop *loop;
    struct requests *server;
    struct request *slow[8], *query;
    unsigned n_slow, n_gone;
    char order[128], dir[64], path[96], why[SCHEMA_WHY];
} seen;

static void on_quick(void *ctx, struct request *r, const json_t *msg)
{
    (void)ctx;
    strcat(seen.order, json_string_value(json_object_get(msg, "name")));
    request_answer(r, json_pack("{ss}", "type", "quick"));
}

static void on_slow(void *ctx, struct request *r, const json_t *msg)
{
    (void)ctx;
    strcat(seen.order, json_string_value(json_object_get(msg, "name")));
    seen.slow[seen.n_slow++] = r;
}

static void query_gone(void *data)
{
    ck_assert_ptr_eq(data, &seen);
    seen.n_gone++;
}

static void on_query(void *ctx, struct request *r, const json_t *msg)
{
    (void)ctx, (void)msg;
    strcat(seen.order, "?");
    seen.query = r;
    request_on_gone(r, query_gone, &seen);
}

static const struct request_verb verbs[] = {{"quick", on_quick, .alone = true},
                                            {"slow", on_slow, .alone = true},
                                            {"query", on_query, .alone = false},
                                            {0}};

static void setup(void)
{
    seen.loop = ev_default_loop(0);
    snprintf(seen.dir, sizeof seen.dir, "/tmp/stile-requests-XXXXXX");
    ck_assert(mkdtemp(seen.dir) != NULL);
    snprintf(seen.path, sizeof seen.path, "%s/sock", seen.dir);
    ck_assert_int_eq(requests_new(seen.loop, seen.path, verbs, NULL, &seen.server, seen.why), ERR_OK);
}

static void teardown(void)
{
    requests_free(seen.server);
    ck_assert_int_eq(rmdir(seen.dir), 0);
}

static void turn_loop(void)
{
    for (int i = 0; i < 10; i++)
        ev_run(seen.loop, EVRUN_NOWAIT);
}

static int send_request(const char *type, const char *name)
{
    int fd = sock_connect_unix(seen.path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ipc_send_fd(fd, json_pack("{ssss}", "type", type, "name", name), NULL, 0), ERR_OK);
    turn_loop();
    return fd;
}

static bool answered(int fd, const char *type)
{
    json_t *msg;
    if (ipc_receive_fd(fd, 20, &msg) != ERR_OK)
        return false;
    bool same = strcmp(json_string_value(json_object_get(msg, "type")), type) == 0;
    json_decref(msg);
    return same;
}

START_TEST(test_one_change_at_a_time)
{
    setup();
    int a = send_request("slow", "a"), b = send_request("quick", "b"), c = send_request("slow", "c"),
        d = send_request("quick", "d"), q = send_request("query", "");
    ck_assert_str_eq(seen.order, "a?"); /* a question waits for nobody */
    ck_assert(!answered(b, "quick"));
    request_answer(seen.slow[0], json_pack("{ss}", "type", "done"));
    turn_loop();
    ck_assert_str_eq(seen.order, "a?bc");
    ck_assert(answered(a, "done") && answered(b, "quick") && !answered(d, "quick"));
    requests_submit(seen.server, json_pack("{ssss}", "type", "quick", "name", "e")); /* a signal's */
    request_refuse(seen.slow[1], "because");
    turn_loop();
    ck_assert_str_eq(seen.order, "a?bcde");
    ck_assert(answered(c, "error") && answered(d, "quick"));
    request_answer(seen.query, json_pack("{ss}", "type", "yes"));
    turn_loop();
    ck_assert(answered(q, "yes"));
    int again[] = {a, b, c, d, q};
    for (size_t i = 0; i < 5; i++)
        close(again[i]);
    turn_loop();
    ck_assert_uint_eq(seen.n_gone, 0);
    teardown();
}
END_TEST

START_TEST(test_who_does_not_wait)
{
    setup();
    int a = send_request("slow", "a"), b = send_request("quick", "b"), q = send_request("query", "");
    close(a);
    close(b);
    close(q);
    turn_loop();
    ck_assert_uint_eq(seen.n_gone, 1); /* the question is forgotten, */
    ck_assert_str_eq(seen.order, "a?");
    request_answer(seen.slow[0], json_pack("{ss}", "type", "done")); /* changes are not */
    turn_loop();
    ck_assert_str_eq(seen.order, "a?b");
    int u = send_request("nonsense", "");
    ck_assert(answered(u, "error"));
    close(u);
    int s = send_request("slow", "s"), w = send_request("quick", "w"), p = send_request("query", "");
    teardown(); /* with one running, one waiting, one asking */
    ck_assert_uint_eq(seen.n_gone, 2);
    ck_assert_str_eq(seen.order, "a?bs?");
    close(s);
    close(w);
    close(p);
}
END_TEST

/* A name that was cut in the middle of a character is refused all the same, not passed over in silence. */
START_TEST(test_a_refusal_always_comes)
{
    setup();
    int s = send_request("slow", "s");
    request_refuse(seen.slow[0], "there is no user \xc3");
    turn_loop();
    ck_assert(answered(s, "error"));
    close(s);
    teardown();
}
END_TEST

/* Calls of the daemon itself ------------------------------------------------------------------------------
 */

static struct {
    char order[128];
    json_int_t status, retry;
} heard;

static void on_answer(void *data, json_t *answer)
{
    strcat(heard.order, data);
    heard.status = json_integer_value(json_object_get(answer, "status"));
    heard.retry = json_integer_value(json_object_get(answer, "retry_after"));
}

static void call(const char *by, const char *name)
{
    ck_assert(requests_call(seen.server, json_pack("{ss ss ss}", "type", "quick", "name", name, "by", by),
                            on_answer, (void *)(uintptr_t)name));
}

START_TEST(test_calls_bounded)
{
    memset(&heard, 0, sizeof heard);
    setup();
    int a = send_request("slow", "a");
    call("ann", "1"), call("ann", "2"), call("ann", "3"), call("ann", "4");
    ck_assert_str_eq(heard.order, "");
    call("ann", "5"); /* one too many of hers, */
    ck_assert_str_eq(heard.order, "5");
    ck_assert_int_eq(heard.status, 503);
    ck_assert_int_gt(heard.retry, 0);
    call("bob", "b"); /* not of his */
    ck_assert_str_eq(heard.order, "5");
    static char names[40][4];
    for (unsigned i = 0; i < 40; i++) {
        snprintf(names[i], sizeof names[i], "u%u", i % 100);
        call(names[i], ",");
    }
    ck_assert_str_eq(heard.order, "5,,,,,,,,,,,,,"); /* 32 wait */
    request_answer(seen.slow[0], json_pack("{ss}", "type", "done"));
    turn_loop();
    ck_assert_str_eq(seen.order, "a1234b,,,,,,,,,,,,,,,,,,,,,,,,,,,"); /* what was refused does not run */
    close(a);
    turn_loop();
    teardown();
}
END_TEST

START_TEST(test_calls_withdrawn)
{
    memset(&heard, 0, sizeof heard);
    setup();
    char one[] = "1", two[] = "2";
    int a = send_request("slow", "a");
    call("ann", one);
    call("ann", two);
    ck_assert(requests_withdraw(seen.server, one));
    ck_assert(!requests_withdraw(seen.server, one));
    request_answer(seen.slow[0], json_pack("{ss}", "type", "done"));
    turn_loop();
    ck_assert_str_eq(seen.order, "a2");
    ck_assert_str_eq(heard.order, "2");
    ck_assert(!requests_withdraw(seen.server, two));
    close(a);
    turn_loop();
    teardown();
}
END_TEST

/* Who was told that it was not done can rely on it. */
START_TEST(test_calls_impatient)
{
    memset(&heard, 0, sizeof heard);
    setup();
    int a = send_request("slow", "a");
    requests_set_patience(seen.server, 0.001);
    call("ann", "1");
    while (!*heard.order)
        ev_run(seen.loop, EVRUN_ONCE);
    ck_assert_str_eq(heard.order, "1");
    ck_assert_int_eq(heard.status, 503);
    request_answer(seen.slow[0], json_pack("{ss}", "type", "done"));
    turn_loop();
    ck_assert_str_eq(seen.order, "a");
    close(a);
    turn_loop();
    teardown();
}
END_TEST

START_TEST(test_tools_bounded)
{
    setup();
    int fds[72], a = send_request("slow", "a");
    unsigned refused = 0;
    for (unsigned i = 0; i < 72; i++)
        fds[i] = send_request("quick", "");
    for (unsigned i = 64; i < 72; i++)
        refused += answered(fds[i], "error");
    ck_assert_uint_eq(refused, 8);
    request_answer(seen.slow[0], json_pack("{ss}", "type", "done"));
    turn_loop();
    for (unsigned i = 0; i < 64; i++)
        ck_assert(answered(fds[i], "quick"));
    for (unsigned i = 0; i < 72; i++)
        close(fds[i]);
    close(a);
    turn_loop();
    teardown();
}
END_TEST

/* Whom the audit hears of. */
static void on_watched(void *ctx, const json_t *msg, const char *by, const json_t *answer)
{
    (void)msg, (void)answer;
    strcat(strcat(ctx, by ? by : "-"), " ");
}

START_TEST(test_watched)
{
    char log[200] = "", wanted[200];
    setup();
    requests_watch(seen.server, on_watched, log);
    close(send_request("quick", "a"));
    requests_submit(seen.server, json_pack("{ss ss ss}", "type", "quick", "name", "b", "by", "SIGHUP"));
    requests_submit(seen.server, json_pack("{ss ss}", "type", "quick", "name", "c"));
    snprintf(wanted, sizeof wanted, "%s SIGHUP - ", getpwuid(geteuid())->pw_name);
    ck_assert_str_eq(log, wanted);
    turn_loop();
    teardown();
}
END_TEST

UNIT_MAIN("requests", test_one_change_at_a_time, test_who_does_not_wait, test_a_refusal_always_comes,
          test_calls_bounded, test_calls_withdrawn, test_calls_impatient, test_tools_bounded, test_watched)
