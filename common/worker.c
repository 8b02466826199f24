#include "common/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alarms.h"
#include "common/clock.h"
#include "common/events.h"
#include "common/fatal.h"
#include "common/log.h"
#include "common/sock.h"
#include "common/syscall_filter.h"
#include "common/worker_process.h"

static const double backoff_first = 0.1, backoff_longest = 10, long_enough = 1;
static const double update_retry = 0.2; /* seconds, while its queue is full */
static const double steady_after = 15;  /* seconds that it has to live for its crash to be over */
static const double retire_end = 2;     /* seconds beyond those that it may drain */

struct worker {
    struct ev_loop *loop;
    char role[16], name[32];
    unsigned index, restarts;
    const struct worker_events *events;
    void *ctx;
    pid_t pid;
    struct ipc *ipc;
    int refused; /* says which system call its filter refused; -1: not running */
    ev_child child;
    ev_timer timer;  /* restart while dead, kill while stopping */
    ev_timer steady; /* until it counts as well again */
    ev_timer retry;  /* while there are updates that did not fit */
    json_t *updates; /* those, by what they are about; NULL: none */
    double started, backoff;
    bool stopping, behind;
    struct log_limit said, alarmed, raised; /* what it may tell main */
};

static void worker_start(struct worker *w);

static void worker_on_alarm(struct worker *w, const json_t *msg)
{
    unsigned dropped;
    if (log_limit_allow(&w->alarmed, (int64_t)clock_monotonic(), EVENTS_OF_WORKER, EVENTS_WORKER_SECONDS,
                        &dropped))
        alarms_from_worker(w->name, w->role, &w->raised, msg);
}

static void worker_on_message(void *ctx, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    struct worker *w = ctx;
    if (strcmp(type, "log") == 0)
        events_from_worker(w->name, &w->said, msg);
    else if (strcmp(type, "alarm") == 0)
        worker_on_alarm(w, msg);
    else
        w->events->on_message(w->ctx, w, type, msg, fds, n_fds);
}

/* A worker whose end of the socketpair is gone cannot be told anything any more: it has to go. */
static void worker_on_ipc_close(void *ctx)
{
    struct worker *w = ctx;
    ipc_free(w->ipc);
    w->ipc = NULL;
    if (w->pid)
        kill(w->pid, w->stopping ? SIGTERM : SIGKILL);
}

static const struct ipc_events worker_ipc_events = {worker_on_message, worker_on_ipc_close};

static void worker_on_timer(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct worker *w = t->data;
    if (w->pid)
        kill(w->pid, SIGKILL);
    else
        worker_start(w);
}

/* Its setup says all of it anew. */
static void worker_forget_updates(struct worker *w)
{
    ev_timer_stop(w->loop, &w->retry);
    json_decref(w->updates);
    w->updates = NULL;
    w->behind = false;
}

static void worker_on_retry(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct worker *w = t->data;
    json_t *updates = w->updates, *msg;
    const char *what;
    ev_timer_stop(w->loop, &w->retry);
    w->updates = NULL;
    json_object_foreach (updates, what, msg)
        worker_update(w, what, json_incref(msg));
    w->behind = w->updates != NULL;
    json_decref(updates);
}

void worker_update(struct worker *w, const char *what, json_t *msg)
{
    if (w->updates)
        json_object_del(w->updates, what); /* this one is newer */
    if (worker_send(w, json_incref(msg), NULL, 0) == ERR_FULL) {
        if (!w->behind)
            log_event(LOG_WARNING, "Worker Is Behind", "worker=%s what=%s", w->name, what);
        w->behind = true;
        if (!w->updates)
            w->updates = json_object();
        json_object_set(w->updates, what, msg);
        if (!ev_is_active(&w->retry))
            ev_timer_again(w->loop, &w->retry);
    }
    json_decref(msg);
}

/* A hostile worker may write anything there: of that, this is the name of a call all the same. */
static void worker_describe_refusal(struct worker *w, char *out, size_t size)
{
    char name[64] = "a system call";
    int number;
    if (w->refused >= 0 && read(w->refused, &number, sizeof number) == (ssize_t)sizeof number)
        (void)syscall_name(number, name, sizeof name);
    snprintf(out, size, "killed: it tried %s, which this kind of worker never does", name);
}

static void worker_describe_end(struct worker *w, int status, char *out, size_t size)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        worker_describe_refusal(w, out, size);
    else if (WIFSIGNALED(status))
        snprintf(out, size, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(out, size, "exited with status %d", WEXITSTATUS(status));
}

static void worker_on_steady(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct worker *w = t->data;
    alarm_clear(ALARM_WORKER_CRASHING, w->name);
}

static void worker_close_refused(struct worker *w)
{
    if (w->refused >= 0)
        close(w->refused);
    w->refused = -1;
}

static void worker_start_in(struct worker *w, double seconds)
{
    ev_timer_set(&w->timer, seconds, 0);
    ev_timer_start(w->loop, &w->timer);
    w->backoff = w->backoff * 2 < backoff_longest ? w->backoff * 2 : backoff_longest;
}

static void worker_on_child(struct ev_loop *loop, ev_child *c, int revents)
{
    (void)revents;
    struct worker *w = c->data;
    char how[128];
    worker_describe_end(w, c->rstatus, how, sizeof how);
    worker_close_refused(w);
    ev_child_stop(loop, c);
    ev_timer_stop(loop, &w->timer);
    ipc_free(w->ipc);
    w->ipc = NULL;
    w->pid = 0;
    worker_forget_updates(w);
    alarms_worker_gone(w->name);
    ev_timer_stop(loop, &w->steady);
    if (!w->stopping) {
        if (clock_monotonic() - w->started >= long_enough)
            w->backoff = backoff_first;
        log_event(LOG_ERR, "Worker Crashed", "worker=%s reason=\"%s\" restart_in=%.1fs", w->name, how,
                  w->backoff);
        alarm_raise(ALARM_WORKER_CRASHING, w->name, how);
        worker_start_in(w, w->backoff);
        w->restarts++;
    } else {
        alarm_clear(ALARM_WORKER_CRASHING, w->name);
    }
    w->events->on_exit(w->ctx, w, how, w->stopping);
}

/* Not close-on-exec there, wherever it was. */
static bool worker_place(int fd, int place)
{
    return fd == place ? fcntl(fd, F_SETFD, 0) == 0 : dup2(fd, place) >= 0;
}

/* fds, both above WORKER_REFUSED_FD, are its ends of the socketpair and of the pipe. */
static _Noreturn void worker_exec(struct worker *w, const int fds[2], pid_t parent)
{
    char index[16], program[64];
    const char *base = strrchr(program_invocation_name, '/');
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (!worker_place(fds[0], WORKER_FD) || !worker_place(fds[1], WORKER_REFUSED_FD))
        _exit(1);
    snprintf(index, sizeof index, "%u", w->index);
    snprintf(program, sizeof program, "%s", base ? base + 1 : program_invocation_name);
    char *argv[] = {program, (char[]){"worker"}, w->role, index, NULL};
    execv("/proc/self/exe", argv);
    _exit(1);
}

/* errno says why. */
static void worker_not_started(struct worker *w)
{
    const char *reason = strerror(errno);
    log_event(LOG_ERR, "Worker Not Started", "worker=%s reason=\"%s\" restart_in=%.1fs", w->name, reason,
              w->backoff);
    alarm_raise(ALARM_WORKER_CRASHING, w->name, reason);
    worker_start_in(w, w->backoff);
}

/* Descriptors for both sides: first the socketpair, then the pipe, ours first of each. Those of the worker
 * are out of the way of the places that they go to. */
static bool worker_connect(int ours[2], int theirs[2])
{
    int pair[2], ends[2];
    ours[0] = ours[1] = theirs[0] = theirs[1] = -1;
    if (sock_pair(pair, false) == 0) {
        ours[0] = pair[0];
        theirs[0] = fcntl(pair[1], F_DUPFD_CLOEXEC, WORKER_REFUSED_FD + 1);
        close(pair[1]);
    }
    if (ours[0] >= 0 && theirs[0] >= 0 && pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) {
        ours[1] = ends[0];
        theirs[1] = fcntl(ends[1], F_DUPFD_CLOEXEC, WORKER_REFUSED_FD + 1);
        close(ends[1]);
    }
    return theirs[1] >= 0;
}

static void worker_close_pair(const int fds[2])
{
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static void worker_start(struct worker *w)
{
    int ours[2], theirs[2];
    pid_t parent = getpid();
    w->started = clock_monotonic();
    pid_t pid = worker_connect(ours, theirs) ? fork() : -1;
    if (pid == 0)
        worker_exec(w, theirs, parent);
    if (pid < 0)
        worker_not_started(w);
    worker_close_pair(theirs);
    if (pid < 0) {
        worker_close_pair(ours);
        return;
    }
    w->pid = pid;
    w->refused = ours[1];
    w->ipc = ipc_new(w->loop, ours[0], &worker_ipc_events, w);
    if (!w->ipc)
        kill(pid, SIGKILL); /* out of memory: once more, later */
    ev_child_set(&w->child, pid, 0);
    ev_child_start(w->loop, &w->child);
    ev_timer_set(&w->steady, steady_after, 0);
    ev_timer_start(w->loop, &w->steady);
    w->events->on_start(w->ctx, w);
}

struct worker *worker_new(struct ev_loop *loop, const char *role, unsigned index,
                          const struct worker_events *events, void *ctx)
{
    struct worker *w = xcalloc(1, sizeof *w);
    w->loop = loop;
    w->index = index;
    w->events = events;
    w->ctx = ctx;
    w->backoff = backoff_first;
    w->refused = -1;
    snprintf(w->role, sizeof w->role, "%s", role);
    snprintf(w->name, sizeof w->name, "%s%u", role, index);
    ev_child_init(&w->child, worker_on_child, 0, 0);
    ev_timer_init(&w->timer, worker_on_timer, 0, 0);
    ev_timer_init(&w->retry, worker_on_retry, 0, update_retry);
    ev_timer_init(&w->steady, worker_on_steady, 0, 0);
    w->child.data = w->timer.data = w->retry.data = w->steady.data = w;
    worker_start(w);
    return w;
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    ev_child_stop(w->loop, &w->child);
    ev_timer_stop(w->loop, &w->timer);
    ev_timer_stop(w->loop, &w->steady);
    worker_forget_updates(w);
    if (w->pid)
        kill(w->pid, SIGKILL);
    worker_close_refused(w);
    ipc_free(w->ipc);
    free(w);
}

void worker_retire(struct worker *w, double seconds)
{
    w->stopping = true;
    ev_timer_stop(w->loop, &w->timer);
    if (!w->pid)
        return;
    ev_timer_set(&w->timer, seconds + retire_end, 0);
    ev_timer_start(w->loop, &w->timer);
    if (worker_send(w, json_pack("{ss sf}", "type", "drain", "seconds", seconds), NULL, 0) != ERR_OK)
        kill(w->pid, SIGTERM);
}

enum err worker_send(struct worker *w, json_t *msg, const int *fds, size_t n_fds)
{
    if (!w->ipc) {
        json_decref(msg);
        return ERR_CLOSED;
    }
    return ipc_send(w->ipc, msg, fds, n_fds);
}

const char *worker_role(const struct worker *w)
{
    return w->role;
}

unsigned worker_index(const struct worker *w)
{
    return w->index;
}

const char *worker_name(const struct worker *w)
{
    return w->name;
}

pid_t worker_pid(const struct worker *w)
{
    return w->pid;
}

unsigned worker_restarts(const struct worker *w)
{
    return w->restarts;
}

bool worker_running(const struct worker *w)
{
    return w->pid != 0;
}
