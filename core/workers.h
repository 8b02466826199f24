/* `stile-core worker ROLE INDEX`: the worker processes of a core. */
#ifndef CORE_WORKERS_H
#define CORE_WORKERS_H

#include "common/worker_process.h"

/* One row for each kind of worker, with what it may do; the last is zero. */
extern const struct worker_role core_worker_roles[];

int core_workers_command(int argc, char **argv);

#endif
