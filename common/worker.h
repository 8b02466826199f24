/*
 * A worker process as its main process sees it: started, spoken to over a socketpair, started again with
 * back-off when it dies. The worker is this program, executed anew ("stile-edge worker web 0"), so that it
 * shares neither memory nor address layout with main.
 *
 * Uses ev_child, so the loop must be libev's default loop.
 */
#ifndef COMMON_WORKER_H
#define COMMON_WORKER_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/ipc.h"

struct worker;

struct worker_events {
    /* The process was started (again): send it its setup. */
    void (*on_start)(void *ctx, struct worker *w);
    /* As in ipc.h. */
    void (*on_message)(void *ctx, struct worker *w, const char *type, json_t *msg, int *fds, size_t n_fds);
    /* It ended; how in words ("killed by signal 11"). It will be started again unless it was stopped: w may
     * be freed from inside then. */
    void (*on_exit)(void *ctx, struct worker *w, const char *how, bool stopped);
};

/* role and index name it: "web", 0. events and ctx must outlive it. Starts it at once; aborts only when
 * memory is out. */
struct worker *worker_new(struct ev_loop *loop, const char *role, unsigned index,
                          const struct worker_events *events, void *ctx);
/* Kills the process (SIGKILL) without waiting and frees. NULL is fine. */
void worker_free(struct worker *w);
/* Asks it to end: what runs in it has so many seconds to do so, and it two more to leave; then it is killed.
 * on_exit follows with stopped true. May be asked again, with other seconds. */
void worker_retire(struct worker *w, double seconds);
/* ERR_CLOSED when it is not running, ERR_FULL when it does not read. msg is stolen. */
enum err worker_send(struct worker *w, json_t *msg, const int *fds, size_t n_fds);
/* The same for a message that the setup says as well, and of which only the newest about `what` matters: one
 * that does not fit into the queue now is sent later. */
void worker_update(struct worker *w, const char *what, json_t *msg);

const char *worker_role(const struct worker *w);
unsigned worker_index(const struct worker *w);
const char *worker_name(const struct worker *w); /* "web0" */
pid_t worker_pid(const struct worker *w);        /* 0 when it is not running */
unsigned worker_restarts(const struct worker *w);
bool worker_running(const struct worker *w);

#endif
