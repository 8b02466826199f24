/* The role "admin" of both programs' `worker` verb. */
#ifndef COMMON_ADMIN_WORKER_H
#define COMMON_ADMIN_WORKER_H

#include "common/syscall_filter.h"
#include "common/worker_process.h"

void *admin_worker_make(struct ev_loop *loop, struct ipc *main);
void admin_worker_message(void *worker, const char *type, json_t *msg, int *fds, size_t n_fds);
void admin_worker_free(void *worker);

#define ADMIN_WORKER_ROLE                                                                                    \
    {                                                                                                        \
        "admin", admin_worker_make, admin_worker_message, NULL, admin_worker_free, RIGHT_ACCEPT, NULL        \
    }

#endif
