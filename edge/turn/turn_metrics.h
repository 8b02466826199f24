/* The metrics of turn workers, from what turn_worker_status says. */
#ifndef EDGE_TURN_TURN_METRICS_H
#define EDGE_TURN_TURN_METRICS_H

#include <jansson.h>

#include "common/metrics.h"

/* workers: array of status objects, each with the name of its worker in "worker". */
void turn_metrics(struct metrics *m, const json_t *workers);

#endif
