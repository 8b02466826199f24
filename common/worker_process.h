/* A worker process from inside: hardened, a loop, and the socketpair to main on descriptor WORKER_FD. */
#ifndef COMMON_WORKER_PROCESS_H
#define COMMON_WORKER_PROCESS_H

#include <ev.h>
#include <jansson.h>

#include "common/ipc.h"

enum { WORKER_FD = 3, WORKER_REFUSED_FD = 4 /* where main learns of a refused system call */ };

/* What running work has to end after SIGTERM by hand, in seconds; main says how many. */
#define WORKER_DRAIN_SECONDS 2.0

/* One row per role. make returns what the others are called with; NULL ends the process. */
struct worker_role {
    const char *name;
    void *(*make)(struct ev_loop *loop, struct ipc *main);
    void (*message)(void *worker, const char *type, json_t *msg, int *fds, size_t n_fds);
    /* SIGTERM, or main said "drain" (perhaps again, with other seconds): take nothing new, end the process
     * with ev_break when the rest is done, at the latest after so many seconds. NULL: end at once. */
    void (*drain)(void *worker, double seconds);
    void (*free)(void *worker);
    unsigned rights;             /* what it may ask the kernel for: common/syscall_filter.h */
    const char *const *readable; /* files and folders that it may read, ended by NULL; NULL: none */
};

/* The verb "worker ROLE INDEX". roles ends with a zero row. Returns the exit status. */
int worker_process_run(const struct worker_role *roles, int argc, char **argv);

#endif
