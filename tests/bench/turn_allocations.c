/*
 * Makes allocations on a TURN server, gives each a channel, refreshes all, releases all, and prints what each
 * step took. Every 5-tuple does what a fresh client does: it is challenged first. 64 requests are under way
 * at a time in each of the processes that the 5-tuples are spread over.
 *
 *   turn_allocations client_ns=NS server=IP:PORT peer=IP:PORT count=N pids=P,P... [processes=N]
 * [hold=COMMAND]
 *
 * hold: run while all allocations are there, with one channel each. One line per step; `us` is the server's
 * CPU time per allocation, `kib` its resident private memory, above what it was before, per allocation at the
 * steps with allocations, as a whole after the release; `fds` its descriptors above what they were before.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/turn_client.h"

enum {
    UNDER_WAY = 64,
    EVENTS = 64,
    RESEND_MS = 500,
    PROCESSES = 32,
    RELEASE_SECONDS = 60, /* for the server to give everything back */
    /* Every client has an address of its own in 198.18.0.0/16, as guests have: servers bound what they do for
       one. */
    HOSTS = 65536,
};

struct child {
    pid_t pid;
    int order, report; /* pipes */
};

/* In a child: its 5-tuples
 * -----------------------------------------------------------------------------------
 */

static struct client *clients;
static bool *done;
static size_t n_clients;
static struct netaddr peer;

static void ask(size_t i, enum client_ask what)
{
    uint8_t memory[CLIENT_MESSAGE];
    size_t n = client_request(&clients[i], what, &peer, memory);
    send(clients[i].fd, memory, n, 0);
}

/* True when this one is through. */
static bool answer(size_t i, enum client_ask what)
{
    uint8_t packet[2000];
    ssize_t n = recv(clients[i].fd, packet, sizeof packet, MSG_DONTWAIT);
    if (n <= 0 || done[i])
        return false;
    switch (client_take(&clients[i], packet, (size_t)n)) {
    case CLIENT_SUCCESS:
        done[i] = true;
        return true;
    case CLIENT_AGAIN:
        ask(i, what);
        return false;
    case CLIENT_REFUSED:
        break;
    }
    bench_fail("the server refused request %d of 5-tuple %zu", (int)what, i);
}

static void step(int epoll, enum client_ask what)
{
    struct epoll_event events[EVENTS];
    size_t started = 0, finished = 0;
    memset(done, 0, n_clients * sizeof *done);
    while (finished < n_clients) {
        while (started < n_clients && started - finished < UNDER_WAY)
            ask(started++, what);
        int n = epoll_wait(epoll, events, EVENTS, RESEND_MS);
        for (int k = 0; k < n; k++)
            finished += answer(events[k].data.u64, what);
        for (size_t i = 0; n == 0 && i < started; i++)
            if (!done[i])
                ask(i, what);
    }
}

static void child_open(size_t first, const struct netaddr *server, int epoll)
{
    struct netaddr local = bench_address("198.18.0.0");
    clients = calloc(n_clients, sizeof *clients);
    done = calloc(n_clients, sizeof *done);
    if (!clients || !done || epoll < 0)
        bench_fail("out of memory");
    for (size_t i = 0; i < n_clients; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.u64 = i};
        local.ip[2] = (uint8_t)((first + i) % HOSTS >> 8);
        local.ip[3] = (uint8_t)(first + i);
        clients[i].fd = bench_socket(&local, server);
        epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &e);
    }
}

/* Each byte of order is a step; each is answered by one byte when it is over. */
static _Noreturn void child_run(size_t first, const struct netaddr *server, int order, int report)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    char what = 0;
    child_open(first, server, epoll);
    while (write(report, &what, 1) == 1 && read(order, &what, 1) == 1)
        step(epoll, (enum client_ask)what);
    _exit(0);
}

/* The parent
 * -------------------------------------------------------------------------------------------------
 */

static struct child children[PROCESSES];
static size_t n_children;

static void wait_for_all(void)
{
    char byte;
    for (size_t i = 0; i < n_children; i++)
        if (read(children[i].report, &byte, 1) != 1)
            bench_fail("a load process ended");
}

static void order_all(enum client_ask what)
{
    char byte = (char)what;
    for (size_t i = 0; i < n_children; i++)
        if (write(children[i].order, &byte, 1) != 1)
            bench_fail("a load process ended");
    wait_for_all();
}

static void children_start(const struct netaddr *server, size_t count)
{
    for (size_t i = 0; i < n_children; i++) {
        int order[2], report[2];
        if (pipe(order) != 0 || pipe(report) != 0)
            bench_fail("no pipe");
        children[i] = (struct child){.order = order[1], .report = report[0]};
        children[i].pid = fork();
        if (children[i].pid == 0) {
            n_clients = count / n_children + (i < count % n_children);
            for (size_t k = 0; k <= i; k++) {
                close(children[k].order);
                close(children[k].report);
            }
            child_run(i * (count / n_children), server, order[0], report[1]);
        }
        close(order[0]);
        close(report[1]);
    }
    wait_for_all();
}

struct usage {
    uint64_t ns, cpu, kib, descriptors;
};

static struct usage usage_now(const struct bench_pids *p)
{
    return (struct usage){bench_now(), bench_cpu(p), bench_private_kib(p), bench_descriptors(p)};
}

static double above(uint64_t now, uint64_t before)
{
    return (double)now - (double)before;
}

static void measure(const char *name, enum client_ask what, const struct bench_pids *pids, size_t count,
                    const struct usage *start)
{
    uint64_t ns = bench_now(), cpu = bench_cpu(pids);
    order_all(what);
    ns = bench_now() - ns;
    struct usage u = usage_now(pids);
    double n = (double)count;
    printf("step=%s per_second=%.0f us=%.2f kib=%.3f fds=%.0f\n", name, n * 1e9 / (double)ns,
           (double)(u.cpu - cpu) / 1e3 / n, above(u.kib, start->kib) / n,
           above(u.descriptors, start->descriptors));
    fflush(stdout);
}

/* Until its descriptors are as many as before, and one tick longer. */
static void print_released(const struct bench_pids *pids, const struct usage *start)
{
    uint64_t end = bench_now() + RELEASE_SECONDS * (uint64_t)1000000000U;
    while (bench_descriptors(pids) > start->descriptors && bench_now() < end)
        usleep(100000);
    usleep(1500000);
    struct usage u = usage_now(pids);
    printf("step=released kib=%.0f fds=%.0f\n", above(u.kib, start->kib),
           above(u.descriptors, start->descriptors));
}

int main(int argc, char **argv)
{
    (void)argc;
    struct netaddr server = bench_address(bench_option(argv, "server", NULL));
    struct bench_pids pids = bench_pids(bench_option(argv, "pids", NULL));
    const char *hold = bench_option(argv, "hold", "");
    size_t count = bench_number(argv, "count", NULL);
    peer = bench_address(bench_option(argv, "peer", NULL));
    n_children = bench_number(argv, "processes", "1");
    if (n_children < 1 || n_children > PROCESSES || count < n_children)
        bench_fail("count or processes is out of range");
    bench_enter(bench_option(argv, "client_ns", NULL));
    bench_raise_descriptors();
    children_start(&server, count);
    struct usage start = usage_now(&pids);
    measure("allocate", CLIENT_ALLOCATE, &pids, count, &start);
    measure("bind", CLIENT_BIND, &pids, count, &start);
    if (*hold && system(hold) != 0)
        bench_fail("%s failed", hold);
    measure("refresh", CLIENT_REFRESH, &pids, count, &start);
    measure("release", CLIENT_RELEASE, &pids, count, &start);
    print_released(&pids, &start);
    for (size_t i = 0; i < n_children; i++) {
        close(children[i].order);
        waitpid(children[i].pid, NULL, 0);
    }
    return 0;
}
