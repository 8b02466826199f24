#include "common/worker_process.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/alarms.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "common/text.h"
#include "common/tls_memory.h"

/* Queues grow and go all the time; memory handed back to the kernel in between is faulted in again, page by
 * page, which took half of a web worker's time in an upload. Up to MEMORY_KEEP bytes stay with the process.
 */
enum { MEMORY_KEEP = 4 * 1024 * 1024, MEMORY_MAPPED = 2 * 1024 * 1024 };

static void keep_memory(void)
{
    mallopt(M_TRIM_THRESHOLD, MEMORY_KEEP);
    mallopt(M_MMAP_THRESHOLD, MEMORY_MAPPED);
}

struct worker_process {
    struct ev_loop *loop;
    const struct worker_role *role;
    struct ipc *main;
    void *worker;
    ev_signal term, interrupt;
    ev_timer trim;
};

static const double trim_look = 1, trim_pause = 0.01; /* seconds between two looks, between parts of one */

static void process_drain(struct worker_process *p, double seconds)
{
    if (p->role->drain)
        p->role->drain(p->worker, seconds);
    else
        ev_break(p->loop, EVBREAK_ALL);
}

static void process_on_message(void *ctx, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    struct worker_process *p = ctx;
    const json_t *level = json_object_get(msg, "log_level"); /* main's, in the setup */
    if (level)
        log_set_level((int)json_integer_value(level));
    const json_t *seconds = json_object_get(msg, "seconds");
    if (strcmp(type, "drain") == 0)
        process_drain(p, seconds ? json_number_value(seconds) : WORKER_DRAIN_SECONDS);
    else
        p->role->message(p->worker, type, msg, fds, n_fds);
}

static void process_say_to(struct ipc *main);

static void process_on_main_gone(void *ctx)
{
    struct worker_process *p = ctx;
    process_say_to(NULL);
    ev_break(p->loop, EVBREAK_ALL);
}

static const struct ipc_events process_ipc_events = {process_on_message, process_on_main_gone};

/* To main ------------------------------------------------------------------------------------------------ */

/* What it says and raises goes to main as well; a loop of mistakes must not fill the queue between them. */
enum { SAY_BURST = 50, SAY_SECONDS = 10 };

static struct {
    struct ipc *main; /* NULL: nobody is told */
    struct log_limit limit;
    unsigned dropped;
} say;

static void process_on_log(int level, const char *event, const char *fields)
{
    unsigned dropped;
    char clean[2048];
    if (!say.main ||
        !log_limit_allow(&say.limit, (int64_t)clock_monotonic(), SAY_BURST, SAY_SECONDS, &dropped))
        return;
    say.dropped += dropped;
    json_t *msg = json_pack("{ss si ss ss sI}", "type", "log", "level", level, "name", event, "fields",
                            text_copy(clean, sizeof clean, fields), "dropped", (json_int_t)say.dropped);
    if (ipc_send(say.main, msg, NULL, 0) == ERR_OK)
        say.dropped = 0;
    else
        say.dropped++;
}

static void process_on_alarm(void *ctx, json_t *msg)
{
    (void)ctx;
    if (say.main)
        (void)ipc_send(say.main, msg, NULL, 0);
    else
        json_decref(msg);
}

static void process_say_to(struct ipc *main)
{
    say.main = main;
    log_set_sink(main ? process_on_log : NULL);
    alarms_set_forward(main ? process_on_alarm : NULL, NULL);
}

static void process_on_term(struct ev_loop *loop, ev_signal *s, int revents)
{
    (void)loop, (void)revents;
    process_drain(s->data, WORKER_DRAIN_SECONDS);
}

/* Ctrl-C reaches the whole foreground group: main decides. */
static void process_on_interrupt(struct ev_loop *loop, ev_signal *s, int revents)
{
    (void)loop, (void)s, (void)revents;
}

static const struct worker_role *role_find(const struct worker_role *roles, const char *name)
{
    for (; roles->name; roles++)
        if (strcmp(roles->name, name) == 0)
            return roles;
    return NULL;
}

static void process_on_trim(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)revents;
    t->repeat = tls_memory_trim() ? trim_pause : trim_look;
    ev_timer_again(loop, t);
}

int worker_process_run(const struct worker_role *roles, int argc, char **argv)
{
    struct worker_process p = {.role = argc == 3 ? role_find(roles, argv[1]) : NULL};
    char name[48];
    if (!p.role || fcntl(WORKER_FD, F_GETFD) < 0) {
        fprintf(stderr, "%s: started by 'run', not by hand\n", program_invocation_short_name);
        return 2;
    }
    snprintf(name, sizeof name, "%s%.8s", p.role->name, argv[2]);
    log_set_process(name);
    log_open();
    prctl(PR_SET_NAME, name); /* else ps -o comm shows "exe" */
    sandbox_harden();
    keep_memory();
    (void)tls_memory_init(); /* where it cannot, a worker is merely larger */
    sandbox_confine(p.role->rights, p.role->readable, WORKER_REFUSED_FD);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    p.loop = ev_default_loop(0);
    p.main = p.loop ? ipc_new(p.loop, WORKER_FD, &process_ipc_events, &p) : NULL;
    process_say_to(p.main);
    p.worker = p.main ? p.role->make(p.loop, p.main) : NULL;
    if (!p.worker)
        return 1;
    ev_signal_init(&p.term, process_on_term, SIGTERM);
    ev_signal_init(&p.interrupt, process_on_interrupt, SIGINT);
    p.term.data = &p;
    ev_signal_start(p.loop, &p.term);
    ev_signal_start(p.loop, &p.interrupt);
    ev_timer_init(&p.trim, process_on_trim, trim_look, trim_look);
    ev_timer_start(p.loop, &p.trim);
    ev_run(p.loop, 0);
    ev_timer_stop(p.loop, &p.trim);
    ev_signal_stop(p.loop,
                   &p.term); /* main says SIGTERM again when it sees us go; nobody is there to drain */
    ev_signal_stop(p.loop, &p.interrupt);
    signal(SIGTERM, SIG_IGN);
    p.role->free(p.worker);
    process_say_to(NULL);
    ipc_free(p.main);
    ev_run(p.loop, EVRUN_NOWAIT); /* what the streams put off */
    return 0;
}
