/*
 * Core's main process: config, targets, tunnel workers. `stile-core run` makes one and runs it.
 * Its parts: core.c (start, tunnels, stop), core_status.c.
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include <ev.h>
#include <stdbool.h>

#include "common/daemon.h"
#include "common/local_server.h"
#include "common/worker.h"
#include "core/bridge/domains.h"

enum { CORE_TUNNELS_MAX = 256 };

struct core;

/* One tunnel worker: one SSH connection to one edge. */
struct core_tunnel {
    struct core *owner;
    size_t edge;    /* index in the config */
    unsigned index; /* of tunnels_per_edge */
    struct worker *worker;
    char state[16], reason[256]; /* as the worker said last */
    double since;
};

struct core {
    struct daemon daemon;
    struct ev_loop *loop;  /* the daemon's */
    const struct box *box; /* the daemon's */
    const struct config_core *self;
    char *client_key; /* PEM text */
    struct policy policy;
    json_t *allowlist; /* the policy's */
    struct domains *domains;
    struct core_tunnel tunnels[CORE_TUNNELS_MAX];
    size_t n_tunnels;
    struct local_server *status;
    bool stopping;
};

/* core_status.c: answers `stile-core status` and is its command. why has SCHEMA_WHY bytes. */
enum err core_status_start(struct core *c, char *why);
int core_status_command(int argc, char **argv);
int core_metrics_command(int argc, char **argv);
/* core_metrics.c: the text, from the status' tunnels and what workers answered (gather.h); the caller's to
 * free, NULL when memory is out. */
char *core_metrics_text(const struct core *c, const json_t *tunnels, const json_t *results);

int core_run_command(int argc, char **argv);
/* allow.c: `stile-core allow` */
int core_allow_command(int argc, char **argv);

#endif
