/* `stile-edge worker ROLE INDEX`: the worker processes of an edge. */
#ifndef EDGE_WORKERS_H
#define EDGE_WORKERS_H

#include "common/worker_process.h"

/* One row for each kind of worker, with what it may do; the last is zero. */
extern const struct worker_role edge_worker_roles[];

int edge_workers_command(int argc, char **argv);

#endif
