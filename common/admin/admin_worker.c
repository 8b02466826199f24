#include "common/admin/admin_worker.h"

#include "common/admin/admin_server.h"

void *admin_worker_make(struct ev_loop *loop, struct ipc *main)
{
    return admin_server_new(loop, main);
}

void admin_worker_message(void *worker, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    admin_server_message(worker, type, msg, fds, n_fds);
}

void admin_worker_free(void *worker)
{
    admin_server_free(worker);
}
