/* A worker process from inside: hardened, a loop, and the socketpair to main on descriptor WORKER_FD. */
#ifndef COMMON_WORKER_PROCESS_H
#define COMMON_WORKER_PROCESS_H

#include <ev.h>
#include <jansson.h>

#include "common/ipc.h"

enum { WORKER_FD = 3 };

/* One row per role. make returns what the others are called with; NULL ends the process. */
struct worker_role {
    const char *name;
    void *(*make)(struct ev_loop *loop, struct ipc *main);
    void (*message)(void *worker, const char *type, json_t *msg, int *fds, size_t n_fds);
    /* SIGTERM or main said "drain": take nothing new, end the process with ev_break when the rest is done.
     * NULL: end at once. */
    void (*drain)(void *worker);
    void (*free)(void *worker);
};

/* The verb "worker ROLE INDEX". roles ends with a zero row. Returns the exit status. */
int worker_process_run(const struct worker_role *roles, int argc, char **argv);

#endif
