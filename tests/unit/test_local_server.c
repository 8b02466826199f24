/* A daemon's socket: who asks is answered, also when several ask, hang up early, or send nonsense. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/ipc.h"
#include "common/local_server.h"
#include "common/schema.h"
#include "common/sock.h"
#include "tests/unit/unit.h"

static struct {
    struct ev_loop *loop;
    struct local_server *server;
    unsigned messages, closes;
    char dir[64], path[96], why[SCHEMA_WHY];
} seen;

static void on_message(void *ctx, struct local_connection *c, const char *type, json_t *msg, int *fds,
                       size_t n_fds)
{
    (void)ctx, (void)msg, (void)fds, (void)n_fds;
    seen.messages++;
    if (strcmp(type, "close") == 0) {
        local_connection_send(c, json_pack("{ss}", "type", "last"));
        local_connection_close(c);
    } else if (strcmp(type, "ask") == 0) {
        local_connection_set_data(c, &seen);
        local_connection_send(c, json_pack("{ss}", "type", "answer"));
    }
}

static void on_close(void *ctx, struct local_connection *c)
{
    (void)ctx;
    ck_assert(local_connection_data(c) == NULL || local_connection_data(c) == &seen);
    seen.closes++;
}

static const struct local_events events = {on_message, on_close};

static void setup(void)
{
    seen.loop = ev_loop_new(0); /* the default one would take the exit status of our child */
    snprintf(seen.dir, sizeof seen.dir, "/tmp/stile-local-XXXXXX");
    ck_assert(mkdtemp(seen.dir) != NULL);
    snprintf(seen.path, sizeof seen.path, "%s/sock", seen.dir);
    ck_assert_int_eq(local_server_new(seen.loop, seen.path, &events, NULL, &seen.server, seen.why), ERR_OK);
}

static void teardown(void)
{
    local_server_free(seen.server);
    ck_assert_int_eq(rmdir(seen.dir), 0); /* the socket is gone */
}

static void turn_loop(void)
{
    for (int i = 0; i < 10; i++)
        ev_run(seen.loop, EVRUN_NOWAIT);
}

START_TEST(test_request)
{
    struct stat st;
    int status = -1;
    setup();
    ck_assert_int_eq(stat(seen.path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    pid_t pid = fork();
    if (pid == 0) {
        json_t *answer;
        enum err e = local_request(seen.path, json_pack("{ss}", "type", "ask"), 5000, &answer, seen.why);
        _exit(e == ERR_OK && strcmp(json_string_value(json_object_get(answer, "type")), "answer") == 0 ? 0
                                                                                                       : 1);
    }
    while (seen.closes == 0)
        ev_run(seen.loop, EVRUN_ONCE);
    waitpid(pid, &status, 0);
    ck_assert_int_eq(status, 0);
    teardown();
}
END_TEST

START_TEST(test_no_daemon)
{
    json_t *answer;
    char why[SCHEMA_WHY];
    ck_assert_int_ne(
        local_request("/tmp/stile-nobody.sock", json_pack("{ss}", "type", "ask"), 100, &answer, why), ERR_OK);
    ck_assert_ptr_nonnull(strstr(why, "is it running"));
    setup();
    ck_assert_int_eq(local_request(seen.path, json_pack("{ss}", "type", "ask"), 50, &answer, why),
                     ERR_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(why, "did not answer"));
    turn_loop();
    teardown();
}
END_TEST

START_TEST(test_ends)
{
    json_t *msg;
    int fds[5];
    setup();
    for (int i = 0; i < 5; i++)
        ck_assert_int_ge(fds[i] = sock_connect_unix(seen.path), 0);
    ck_assert_int_eq(ipc_send_fd(fds[0], json_pack("{ss}", "type", "close"), NULL, 0), ERR_OK);
    ck_assert_int_eq(ipc_send_fd(fds[0], json_pack("{ss}", "type", "ask"), NULL, 0),
                     ERR_OK); /* too late: not delivered */
    ck_assert_int_eq(ipc_send_fd(fds[1], json_pack("{ss}", "type", "ask"), NULL, 0), ERR_OK);
    close(fds[1]); /* does not wait for the answer */
    ck_assert_int_eq(write(fds[2], "\0\0\0\4{]{]", 8), 8);
    ck_assert_int_eq(ipc_send_fd(fds[3], json_pack("{sssi}", "type", "ask", "fds", 3), NULL, 0),
                     ERR_OK); /* none came with it */
    turn_loop();
    ck_assert_uint_eq(seen.messages, 2);
    ck_assert_uint_eq(seen.closes, 3); /* not of the one that we closed */
    ck_assert_int_eq(ipc_receive_fd(fds[0], 1000, &msg), ERR_OK);
    ck_assert_str_eq(json_string_value(json_object_get(msg, "type")), "last");
    json_decref(msg);
    ck_assert_int_eq(ipc_receive_fd(fds[0], 1000, &msg), ERR_EOF);
    teardown(); /* with fds[4] still there */
    ck_assert_int_eq(ipc_receive_fd(fds[4], 1000, &msg), ERR_EOF);
    close(fds[0]);
    close(fds[2]);
    close(fds[3]);
    close(fds[4]);
}
END_TEST

/* Its mode keeps others out; should that be changed, they are not listened to. */
START_TEST(test_another_account)
{
    int status = -1;
    if (geteuid() != 0)
        return;
    setup();
    ck_assert_int_eq(chmod(seen.dir, 0755), 0);
    ck_assert_int_eq(chmod(seen.path, 0666), 0);
    pid_t pid = fork();
    if (pid == 0) {
        json_t *answer;
        int fd = setgid(61234) == 0 && setuid(61234) == 0 ? sock_connect_unix(seen.path) : -1;
        if (fd < 0)
            _exit(2);
        (void)ipc_send_fd(fd, json_pack("{ss}", "type", "ask"), NULL, 0); /* perhaps it is closed by now */
        _exit(ipc_receive_fd(fd, 10000, &answer) == ERR_OK ? 1 : 0);      /* the end of it is no answer */
    }
    while (waitpid(pid, &status, WNOHANG) == 0)
        ev_run(seen.loop, EVRUN_NOWAIT);
    ck_assert_int_eq(status, 0);
    ck_assert_uint_eq(seen.messages, 0);
    teardown();
}
END_TEST

static unsigned busy_rounds;

static void on_round(struct ev_loop *loop)
{
    busy_rounds += ev_pending_count(loop) > 0;
    ev_invoke_pending(loop);
}

/* Without a descriptor for who waits, the loop rests, and accepts later. */
START_TEST(test_no_descriptors)
{
    struct rlimit before, none;
    setup();
    turn_loop();
    int fd = sock_connect_unix(seen.path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ipc_send_fd(fd, json_pack("{ss}", "type", "ask"), NULL, 0), ERR_OK);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    ev_set_invoke_pending_cb(seen.loop, on_round);
    for (int i = 0; i < 1000; i++)
        ev_run(seen.loop, EVRUN_NOWAIT);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert_uint_ge(busy_rounds, 1);
    ck_assert_uint_lt(busy_rounds, 500);
    while (seen.messages == 0)
        ev_run(seen.loop, EVRUN_ONCE);
    close(fd);
    turn_loop();
    teardown();
}
END_TEST

UNIT_MAIN("local_server", test_request, test_no_daemon, test_ends, test_another_account, test_no_descriptors)
