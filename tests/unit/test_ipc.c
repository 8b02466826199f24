/* Messages with descriptors between two ends in one loop; a broken peer; freeing from inside a callback. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/ipc.h"
#include "common/sock.h"

struct side {
    struct ipc *ipc;
    unsigned got, closed, free_at;
    int read_fd;
    size_t text_len;
    bool none; /* no descriptor may come */
};

static void on_message(void *ctx, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    struct side *s = ctx;
    s->got++;
    ck_assert(!s->none || n_fds == 0);
    if (strcmp(type, "pipe") == 0) {
        ck_assert_uint_eq(n_fds, 2);
        s->read_fd = fds[0];
        fds[0] = -1;
    }
    s->text_len += json_string_length(json_object_get(msg, "text"));
    if (s->free_at == s->got) {
        ipc_free(s->ipc);
        s->ipc = NULL;
    }
}

static void on_close(void *ctx)
{
    ((struct side *)ctx)->closed++;
}

static const struct ipc_events events = {on_message, on_close};

START_TEST(test_messages_and_descriptors)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct side a = {0}, b = {.read_fd = -1};
    int fds[2], pipe_fds[2];
    static char big[100000];
    char text[3] = "";
    memset(big, 'x', sizeof big - 1);
    ck_assert_int_eq(sock_pair(fds, true), 0);
    a.ipc = ipc_new(loop, fds[0], &events, &a);
    b.ipc = ipc_new(loop, fds[1], &events, &b);
    ck_assert_int_eq(pipe(pipe_fds), 0);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(ipc_send(a.ipc, json_pack("{ssss}", "type", "text", "text", big), NULL, 0), ERR_OK);
    ck_assert_int_eq(ipc_send(a.ipc, json_pack("{ss}", "type", "pipe"), pipe_fds, 2), ERR_OK);
    ck_assert_int_eq(ipc_send(a.ipc, json_pack("{ssss}", "type", "text", "text", "end"), NULL, 0), ERR_OK);
    close(pipe_fds[0]);
    while (b.got < 22)
        ev_run(loop, EVRUN_ONCE);
    ck_assert_uint_eq(b.text_len, 20 * (sizeof big - 1) + 3);
    ck_assert_int_eq(write(pipe_fds[1], "hi", 2), 2);
    ck_assert_int_eq(read(b.read_fd, text, 2), 2);
    ck_assert_str_eq(text, "hi");
    ipc_free(a.ipc);
    while (!b.closed)
        ev_run(loop, EVRUN_ONCE);
    ipc_free(b.ipc);
    close(b.read_fd);
    close(pipe_fds[1]);
    ev_loop_destroy(loop);
}
END_TEST

START_TEST(test_free_inside_callback)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct side b = {.free_at = 2};
    int fds[2];
    ck_assert_int_eq(sock_pair(fds, true), 0);
    b.ipc = ipc_new(loop, fds[1], &events, &b);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(ipc_send_fd(fds[0], json_pack("{ss}", "type", "x"), NULL, 0), ERR_OK);
    while (b.ipc)
        ev_run(loop, EVRUN_ONCE);
    ck_assert_uint_eq(b.got, 2);
    ck_assert_uint_eq(b.closed, 0);
    close(fds[0]);
    ev_loop_destroy(loop);
}
END_TEST

/* A process without a number left for a descriptor loses the message's descriptors, all of them, and nothing
 * else: neither later ones nor the connection. */
START_TEST(test_no_descriptor_left)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct side b = {.read_fd = -1};
    struct rlimit before, few;
    int fds[2], pipe_fds[2], filler[64], n = 0;
    ck_assert_int_eq(sock_pair(fds, true), 0);
    b.ipc = ipc_new(loop, fds[1], &events, &b);
    ck_assert_int_eq(pipe(pipe_fds), 0);
    ck_assert_int_eq(ipc_send_fd(fds[0], json_pack("{ss}", "type", "lost"), pipe_fds, 2), ERR_OK);
    ck_assert_int_eq(ipc_send_fd(fds[0], json_pack("{ss}", "type", "lost"), pipe_fds, 2), ERR_OK);
    ck_assert_int_eq(ipc_send_fd(fds[0], json_pack("{ss}", "type", "pipe"), pipe_fds, 2), ERR_OK);
    getrlimit(RLIMIT_NOFILE, &before);
    few = (struct rlimit){.rlim_cur = (rlim_t)pipe_fds[1] + 9, .rlim_max = before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (n < 64 && (filler[n] = dup(pipe_fds[0])) >= 0)
        n++;
    ck_assert_int_gt(n, 0);
    b.none = true;
    while (b.got < 1 && !b.closed)
        ev_run(loop, EVRUN_ONCE); /* not one is left */
    close(filler[--n]);
    while (b.got < 2 && !b.closed)
        ev_run(loop, EVRUN_ONCE); /* one is left, two are wanted */
    b.none = false;
    while (n > 0)
        close(filler[--n]);
    setrlimit(RLIMIT_NOFILE, &before);
    while (b.got < 3 && !b.closed)
        ev_run(loop, EVRUN_ONCE);
    ck_assert_uint_eq(b.closed, 0);
    ck_assert_int_ge(b.read_fd, 0);
    close(b.read_fd);
    ipc_free(b.ipc);
    close(fds[0]);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    ev_loop_destroy(loop);
}
END_TEST

struct bad_bytes {
    const char *bytes;
    size_t n;
};
static const struct bad_bytes bad[] = {
    {"\xff\xff\xff\xff", 4},                       /* length above the limit */
    {"\0\0\0\x04nope", 8},                         /* no JSON */
    {"\0\0\0\x02[]", 6},                           /* no object */
    {"\0\0\0\x02{}", 6},                           /* no type */
    {"\0\0\0\x15{\"type\":\"x\",\"fds\":99}", 25}, /* more descriptors than there can be */
    {"\0\0\0\x14{\"type\":\"x\",\"fds\":2}", 24},  /* descriptors that did not come */
};

START_TEST(test_broken_peer)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct side b = {0};
    int fds[2];
    ck_assert_int_eq(sock_pair(fds, true), 0);
    b.ipc = ipc_new(loop, fds[1], &events, &b);
    ck_assert_int_eq(write(fds[0], bad[_i].bytes, bad[_i].n), (ssize_t)bad[_i].n);
    while (!b.closed)
        ev_run(loop, EVRUN_ONCE);
    ck_assert_uint_eq(b.got, 0);
    ipc_free(b.ipc);
    close(fds[0]);
    ev_loop_destroy(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ipc");
    TCase *tc = tcase_create("ipc");
    tcase_add_test(tc, test_messages_and_descriptors);
    tcase_add_test(tc, test_free_inside_callback);
    tcase_add_test(tc, test_no_descriptor_left);
    tcase_add_loop_test(tc, test_broken_peer, 0, (int)(sizeof bad / sizeof bad[0]));
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
