/* What the `status` commands of both boxes share: asking the daemon, and the parts they print alike. */
#ifndef COMMON_STATUS_H
#define COMMON_STATUS_H

#include <jansson.h>
#include <stddef.h>

#include "common/metrics.h"
#include "common/worker.h"

/* The command itself: options --dir, --run-dir, --json; asks socket_name in the run folder, then prints JSON
 * or calls text. */
int status_command(int argc, char **argv, const char *socket_name, void (*text)(const json_t *status));

/* The `metrics` command: options --dir, --run-dir; asks socket_name, prints the text. */
int status_metrics_command(int argc, char **argv, const char *socket_name);

/* What both boxes have: version, start, revision, workers and processes. started: as ev_now. */
void status_metrics(struct metrics *m, const char *box, const char *name, double started, long revision,
                    struct worker *const *workers, size_t n);
/* {worker, pid, state, restarts} for each, appended to list. */
void status_add_workers(json_t *list, struct worker *const *workers, size_t n);
/* Sets "alarms": the items of the verb alarms. */
void status_add_alarms(json_t *status);
/* "edge edge1, Stile 0.1.0, up 3m 12s, policy revision 1", and the alarms. */
void status_print_head(const json_t *status);
void status_print_allowlist(const json_t *status);
void status_print_workers(const json_t *status);

#endif
