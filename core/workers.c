#include "core/workers.h"

#include "common/admin/admin_worker.h"
#include "common/syscall_filter.h"
#include "core/tunnel/tunnel_worker.h"

static void *tunnel_make(struct ev_loop *loop, struct ipc *main)
{
    return tunnel_worker_new(loop, main);
}

static void tunnel_message(void *worker, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    tunnel_worker_message(worker, type, msg, fds, n_fds);
}

static void tunnel_drain(void *worker, double seconds)
{
    tunnel_worker_drain(worker, seconds);
}

static void tunnel_free(void *worker)
{
    tunnel_worker_free(worker);
}

/* The authorities of a domain that names none of its own: Debian's, and where its links lead. */
static const char *const authorities[] = {"/etc/ssl", "/usr/lib/ssl", "/usr/share/ca-certificates",
                                          "/usr/local/share/ca-certificates", NULL};

const struct worker_role core_worker_roles[] = {
    {"tunnel", tunnel_make, tunnel_message, tunnel_drain, tunnel_free, RIGHT_DIAL | RIGHT_READ_FILES,
     authorities},
    ADMIN_WORKER_ROLE,
    {0},
};

int core_workers_command(int argc, char **argv)
{
    return worker_process_run(core_worker_roles, argc, argv);
}
