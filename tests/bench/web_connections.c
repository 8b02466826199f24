/*
 * New TLS connections, each for one request: connect, handshake, GET with "Connection: close", the whole
 * answer, close. A fixed number of them is under way at any time, spread over two threads.
 *
 *   web_connections server=IP:PORT name=HOST path=/PATH [version=1.3|1.2] [resume=1] [connections=N]
 *                   [seconds=N]
 *
 * Without resume every handshake is a full one; with it each continues the session of the connection that was
 * in its place before. Which of the two a server is asked for, and in which version of TLS, makes a factor of
 * three in what a connection costs: a comparison has to fix both, and this one fails when a server does not
 * follow.
 *
 * Prints one line: connections in all, connections a second, the median and the 99th percentile of their
 * duration in milliseconds.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/sock.h"
#include "tests/bench/bench.h"

enum { THREADS = 2, EVENTS = 64, DURATIONS = 1 << 20, ANSWER = 16 * 1024 };

/* One of those under way, again and again. */
struct place {
    int fd;
    SSL *ssl;
    SSL_SESSION *session; /* of the connection before */
    uint64_t begun;
    size_t read;
    char start[16]; /* of the answer */
    bool resuming, asked;
};

struct load {
    pthread_t thread;
    int epoll;
    struct place *places;
    uint32_t *durations; /* microseconds */
    size_t n;
};

static struct netaddr server;
static SSL_CTX *ctx;
static const char *name;
static char request[512];
static bool resume;
static size_t n_places;
static uint64_t end;

static void place_start(struct load *l, struct place *p)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = p};
    p->begun = bench_now();
    p->fd = sock_connect_tcp(&server);
    p->ssl = SSL_new(ctx);
    p->asked = false;
    p->read = 0;
    if (p->fd < 0 || !p->ssl || SSL_set_fd(p->ssl, p->fd) != 1 ||
        SSL_set_tlsext_host_name(p->ssl, name) != 1 || SSL_set_ex_data(p->ssl, 0, p) != 1 ||
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, p->fd, &ev) < 0)
        bench_fail("a connection cannot be made: %s", strerror(errno));
    p->resuming = p->session != NULL;
    if (p->resuming && SSL_set_session(p->ssl, p->session) != 1)
        bench_fail("a session cannot be continued");
    SSL_set_connect_state(p->ssl);
}

static void place_stop(struct place *p)
{
    SSL_free(p->ssl);
    close(p->fd);
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct place *p = SSL_get_ex_data(ssl, 0);
    SSL_SESSION_free(p->session);
    p->session = session;
    return 1; /* it is ours now */
}

static void place_over(struct load *l, struct place *p)
{
    if (p->read < sizeof p->start || memcmp(p->start, "HTTP/1.1 200", 12) != 0)
        bench_fail("a connection ended without a 200: \"%.*s\"", (int)p->read, p->start);
    if (l->n < DURATIONS)
        l->durations[l->n++] = (uint32_t)((bench_now() - p->begun) / 1000);
    SSL_shutdown(p->ssl); /* or its session would count as broken */
    place_stop(p);
    place_start(l, p);
}

/* False when it has to wait. */
static bool place_went_on(const struct place *p, int result)
{
    if (result > 0)
        return true;
    int error = SSL_get_error(p->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return false;
    bench_fail("a connection broke: %s, %s", strerror(errno), ERR_error_string(ERR_peek_error(), NULL));
}

static bool place_ask(struct place *p)
{
    if (!place_went_on(p, SSL_do_handshake(p->ssl)))
        return false;
    if (SSL_session_reused(p->ssl) != p->resuming)
        bench_fail("the server does not continue sessions");
    if (!place_went_on(p, SSL_write(p->ssl, request, (int)strlen(request))))
        return false;
    p->asked = true;
    return true;
}

static void place_advance(struct load *l, struct place *p)
{
    static _Thread_local char answer[ANSWER];
    int n;
    ERR_clear_error();
    errno = 0;
    if (!p->asked && !place_ask(p))
        return;
    while ((n = SSL_read(p->ssl, answer, sizeof answer)) > 0) {
        for (int i = 0; i < n && p->read + (size_t)i < sizeof p->start; i++)
            p->start[p->read + (size_t)i] = answer[i];
        p->read += (size_t)n;
    }
    if (SSL_get_error(p->ssl, n) == SSL_ERROR_ZERO_RETURN)
        place_over(l, p);
    else
        (void)place_went_on(p, n);
}

static void *load_run(void *argument)
{
    struct load *l = argument;
    struct epoll_event events[EVENTS];
    for (size_t i = 0; i < n_places; i++)
        place_start(l, &l->places[i]);
    while (bench_now() < end) {
        int n = epoll_wait(l->epoll, events, EVENTS, 100);
        for (int i = 0; i < n; i++)
            place_advance(l, events[i].data.ptr);
    }
    for (size_t i = 0; i < n_places; i++) {
        place_stop(&l->places[i]);
        SSL_SESSION_free(l->places[i].session);
    }
    return NULL;
}

static void load_start(struct load *l)
{
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->places = calloc(n_places, sizeof *l->places);
    l->durations = calloc(DURATIONS, sizeof *l->durations);
    if (l->epoll < 0 || !l->places || !l->durations || pthread_create(&l->thread, NULL, load_run, l) != 0)
        bench_fail("cannot start: %s", strerror(errno));
}

static void set_up(char **argv)
{
    const char *version = bench_option(argv, "version", "1.3");
    int number = strcmp(version, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    server = bench_address(bench_option(argv, "server", NULL));
    name = bench_option(argv, "name", NULL);
    resume = bench_number(argv, "resume", "0") != 0;
    n_places = bench_number(argv, "connections", "64") / THREADS;
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s:%u\r\nConnection: close\r\n\r\n",
             bench_option(argv, "path", NULL), name, server.port);
    ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx || SSL_CTX_set_min_proto_version(ctx, number) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, number) != 1)
        bench_fail("no TLS %s", version);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    if (resume)
        SSL_CTX_sess_set_new_cb(ctx, on_session);
    end = bench_now() + bench_number(argv, "seconds", "4") * 1000000000U;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    static struct load loads[THREADS];
    static uint32_t all[THREADS * DURATIONS];
    size_t n = 0;
    (void)argc;
    set_up(argv);
    uint64_t begun = bench_now();
    for (size_t i = 0; i < THREADS; i++)
        load_start(&loads[i]);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(loads[i].thread, NULL);
        memcpy(all + n, loads[i].durations, loads[i].n * sizeof *all);
        n += loads[i].n;
        free(loads[i].durations);
        free(loads[i].places);
        close(loads[i].epoll);
    }
    double seconds = (double)(bench_now() - begun) / 1e9;
    if (n == 0)
        bench_fail("no connection was answered");
    qsort(all, n, sizeof *all, by_size);
    printf("%zu %.1f %.2f %.2f\n", n, (double)n / seconds, all[n / 2] / 1e3, all[n * 99 / 100] / 1e3);
    SSL_CTX_free(ctx);
    return 0;
}
