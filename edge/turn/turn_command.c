#include "edge/turn/turn_command.h"

#include <errno.h>
#include <ev.h>
#include <ifaddrs.h>
#include <jansson.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/box.h"
#include "common/log.h"
#include "common/netaddr.h"
#include "common/sandbox.h"
#include "edge/turn/turn_config.h"
#include "edge/turn/turn_options.h"
#include "edge/turn/turn_shared.h"
#include "edge/turn/turn_worker.h"

enum { DESCRIPTORS_WANTED = 200000 /* per worker: an allocation takes one */ };

/* Sockets ----------------------------------------------------------------------------------------------- */

/* Every address of this box: none of them is a peer unless --allow-peer says so. */
static enum err add_own_addresses(struct turn_config *c)
{
    struct ifaddrs *all;
    enum err e = ERR_OK;
    if (getifaddrs(&all) != 0)
        return ERR_SYSTEM;
    for (struct ifaddrs *i = all; i && e == ERR_OK; i = i->ifa_next) {
        struct netaddr a;
        if (!i->ifa_addr || netaddr_from_sockaddr(i->ifa_addr, sizeof(struct sockaddr_in6), &a) != ERR_OK)
            continue;
        a.port = 0;
        e = turn_config_add_own(c, &a);
    }
    freeifaddrs(all);
    return e;
}

/* The sockets of all workers: two on each address, for each worker one after the other. */
static struct turn_socket *sockets_open(const struct turn_options *o, size_t *per_worker)
{
    char text[NETADDR_TEXT];
    size_t n = 0;
    *per_worker = o->n_listen * 2;
    struct turn_socket *sockets = calloc(o->workers * *per_worker, sizeof *sockets);
    for (unsigned w = 0; sockets && w < o->workers; w++)
        for (size_t i = 0; i < *per_worker; i++) {
            const struct turn_listen *l = &o->listen[i / 2];
            enum turn_socket_kind kind = l->tls ? (i % 2 ? TURN_SOCKET_TLS : TURN_SOCKET_DTLS)
                                                : (i % 2 ? TURN_SOCKET_TCP : TURN_SOCKET_UDP);
            if (turn_socket_open(kind, &l->at, &sockets[n]) == ERR_OK) {
                n++;
                continue;
            }
            log_event(LOG_ERR, "Cannot Listen", "address=%s service=\"%s\" reason=\"%s\"",
                      netaddr_print(&l->at, text), turn_socket_words(kind), strerror(errno));
            while (n > 0)
                close(sockets[--n].fd);
            free(sockets);
            return NULL;
        }
    return sockets;
}

/* A worker process -------------------------------------------------------------------------------------- */

struct process {
    struct turn_worker *worker;
    ev_signal stop, interrupt, print;
    ev_timer statistics;
};

static void on_stop(struct ev_loop *loop, ev_signal *w, int revents)
{
    (void)w;
    (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

static void print_statistics(const struct process *p)
{
    json_t *status = turn_worker_status(p->worker, 1000);
    char *text = status ? json_dumps(status, JSON_COMPACT) : NULL;
    if (text)
        fprintf(stderr, "%s\n", text);
    free(text);
    json_decref(status);
}

static void on_print(struct ev_loop *loop, ev_signal *w, int revents)
{
    (void)loop;
    (void)revents;
    print_statistics(w->data);
}

static void on_statistics(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    print_statistics(w->data);
}

/* What the workers share. */
struct between {
    int shared_fd;
    int mailboxes[TURN_WORKERS_MAX][2];
};

static bool between_make(struct between *b, const struct turn_config *c)
{
    b->shared_fd = turn_shared_create(c);
    bool good = b->shared_fd >= 0;
    for (uint32_t i = 0; i < c->worker_count && good; i++)
        good = turn_worker_mailbox(b->mailboxes[i]) == 0;
    return good;
}

/* In the worker: what it does not need is closed. */
static void between_take(const struct between *b, struct turn_worker *w, uint32_t index, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        turn_worker_add_mailbox(w, i, b->mailboxes[i][i == index ? 0 : 1]);
        close(b->mailboxes[i][i == index ? 1 : 0]);
    }
}

/* Serves until a signal says stop. The exit status. */
static int process_run(const struct turn_options *o, struct turn_config *config,
                       const struct turn_socket *sockets, size_t n, const struct between *between)
{
    char name[32], why[200];
    struct process p = {0};
    struct ev_loop *loop = ev_default_loop(0);
    snprintf(name, sizeof name, "turn%u", (unsigned)config->worker_index);
    log_set_process(name);
    uint32_t index = config->worker_index, count = config->worker_count;
    p.worker = loop ? turn_worker_start(loop, config, sockets, n, between->shared_fd, why, sizeof why) : NULL;
    if (p.worker && o->cert_pem &&
        turn_worker_certificate(p.worker, o->cert_pem, o->key_pem, why, sizeof why) != ERR_OK) {
        turn_worker_stop(p.worker);
        p.worker = NULL;
    }
    if (!p.worker) {
        log_event(LOG_ERR, "Cannot Start", "reason=\"%s\"", loop ? why : "no event loop");
        return 1;
    }
    between_take(between, p.worker, index, count);
    ev_signal_init(&p.stop, on_stop, SIGTERM);
    ev_signal_init(&p.interrupt, on_stop, SIGINT);
    ev_signal_init(&p.print, on_print, SIGUSR1);
    p.print.data = &p;
    ev_signal_start(loop, &p.stop);
    ev_signal_start(loop, &p.interrupt);
    ev_signal_start(loop, &p.print);
    ev_timer_init(&p.statistics, on_statistics, o->statistics, o->statistics);
    p.statistics.data = &p;
    if (o->statistics > 0)
        ev_timer_start(loop, &p.statistics);
    ev_run(loop, 0);
    turn_worker_stop(p.worker);
    ev_loop_destroy(loop);
    return 0;
}

/* The child's part of a fork: the process that gets only its own sockets. */
static _Noreturn void worker_process(const struct turn_options *o, struct turn_config *config,
                                     struct turn_socket *sockets, size_t per_worker, unsigned index,
                                     const struct between *between)
{
    for (size_t i = 0; i < o->workers * per_worker; i++)
        if (i / per_worker != index)
            close(sockets[i].fd);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    config->worker_index = index;
    int status = process_run(o, config, sockets + index * per_worker, per_worker, between);
    turn_config_free(config);
    free(sockets);
    _exit(status);
}

/* The foreground process
 * ------------------------------------------------------------------------------------- */

static volatile sig_atomic_t stopping, printing;

static void on_signal(int signal)
{
    if (signal == SIGUSR1)
        printing = 1;
    else
        stopping = 1;
}

static void catch_signals(void)
{
    struct sigaction act = {.sa_handler = on_signal};
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGUSR1, &act, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void kill_workers(const pid_t *pids, unsigned n, int signal)
{
    for (unsigned i = 0; i < n; i++)
        if (pids[i] > 0)
            kill(pids[i], signal);
}

/* Waits for the end. A worker that dies by itself takes all with it: this is a foreground tool. */
static int watch(pid_t *pids, unsigned n)
{
    int result = 0;
    for (unsigned left = n; left > 0;) {
        int status;
        if (stopping)
            kill_workers(pids, n, SIGTERM);
        if (printing)
            kill_workers(pids, n, SIGUSR1);
        printing = 0;
        pid_t pid = waitpid(-1, &status, 0);
        if (pid < 0)
            continue;
        for (unsigned i = 0; i < n; i++)
            if (pids[i] == pid)
                pids[i] = 0;
        left--;
        if (stopping && WIFEXITED(status) && WEXITSTATUS(status) == 0)
            continue;
        result = 1;
        if (!stopping)
            log_event(LOG_ERR, "Worker Died", "pid=%d %s=%d", (int)pid,
                      WIFSIGNALED(status) ? "signal" : "status",
                      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        stopping = 1;
        kill_workers(pids, n, SIGTERM);
    }
    return result;
}

static int serve(const struct turn_options *o, struct turn_config *config, struct turn_socket *sockets,
                 size_t per_worker, const struct between *between)
{
    char text[NETADDR_TEXT];
    pid_t pids[TURN_WORKERS_MAX] = {0};
    unsigned started = 0;
    sigset_t block, before;
    catch_signals();
    /* A child must not take a signal before it has its own handlers. */
    sigemptyset(&block);
    sigaddset(&block, SIGTERM);
    sigaddset(&block, SIGINT);
    sigaddset(&block, SIGUSR1);
    sigprocmask(SIG_BLOCK, &block, &before);
    for (; started < o->workers; started++) {
        pids[started] = fork();
        if (pids[started] == 0) {
            signal(SIGTERM, SIG_DFL);
            signal(SIGINT, SIG_DFL);
            signal(SIGUSR1, SIG_IGN);
            sigprocmask(SIG_SETMASK, &before, NULL);
            worker_process(o, config, sockets, per_worker, started, between);
        }
        if (pids[started] < 0)
            break;
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    for (size_t i = 0; i < o->workers * per_worker; i++)
        close(sockets[i].fd);
    if (started < o->workers) {
        log_event(LOG_ERR, "Cannot Start", "reason=\"%s\"", strerror(errno));
        stopping = 1;
    }
    for (size_t i = 0; i < o->n_listen; i++)
        log_event(LOG_NOTICE, "Serving TURN", "address=%s protocols=%s realm=%s workers=%u",
                  netaddr_print(&o->listen[i].at, text),
                  o->listen[i].tls ? "DTLS,TLS"
                  : o->cert_pem    ? "UDP,TCP,DTLS,TLS"
                                   : "UDP,TCP",
                  config->realm, o->workers);
    int status = watch(pids, started);
    return started < o->workers ? 1 : status;
}

/* As far as this user may: root may more than the hard limit. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit, wanted = {DESCRIPTORS_WANTED, DESCRIPTORS_WANTED};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max >= DESCRIPTORS_WANTED || setrlimit(RLIMIT_NOFILE, &wanted) != 0)
        setrlimit(RLIMIT_NOFILE, &limit);
}

/* What reads strangers' packets is not root, and leaves no core with keys in it. */
static enum err give_up_privileges(char *why, size_t why_size)
{
    enum err e = sandbox_become(getpwnam(BOX_USER) ? BOX_USER : "nobody", why, why_size);
    if (e == ERR_OK)
        sandbox_harden();
    return e;
}

int turn_command(int argc, char **argv)
{
    struct turn_options o;
    struct turn_config config;
    struct turn_socket *sockets = NULL;
    char why[300];
    size_t per_worker;
    int status = 1;
    struct between between = {.shared_fd = -1};
    turn_config_init(&config);
    log_set_process("turn");
    enum turn_options_result parsed = turn_options_parse(argc, argv, &o, &config);
    if (parsed != TURN_OPTIONS_OK) {
        status = parsed == TURN_OPTIONS_HELP ? 0 : 2;
        goto out;
    }
    config.worker_count = o.workers;
    if (add_own_addresses(&config) != ERR_OK) {
        log_event(LOG_ERR, "Cannot Start", "reason=\"reading the addresses of this box: %s\"",
                  strerror(errno));
        goto out;
    }
    if (turn_config_check(&config, why, sizeof why) != ERR_OK) {
        fprintf(stderr, "stile-edge turn: %s\n", why);
        status = 2;
        goto out;
    }
    raise_descriptor_limit();
    sockets = between_make(&between, &config) ? sockets_open(&o, &per_worker) : NULL;
    if (sockets && give_up_privileges(why, sizeof why) != ERR_OK)
        log_event(LOG_ERR, "Cannot Start", "reason=\"%s\"", why);
    else if (sockets)
        status = serve(&o, &config, sockets, per_worker, &between);
out:
    if (between.shared_fd >= 0)
        close(between.shared_fd);
    free(sockets);
    turn_config_free(&config);
    turn_options_free(&o);
    return status;
}
