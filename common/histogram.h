/*
 * How long things took, counted in fixed buckets (X-macro: upper bound in seconds), as Prometheus wants them.
 * Adding one is a short walk over a table: no allocation, no clock. A zeroed struct is an empty histogram.
 */
#ifndef COMMON_HISTOGRAM_H
#define COMMON_HISTOGRAM_H

#include <jansson.h>
#include <stdint.h>

#define HISTOGRAM_BOUNDS(X)                                                                                  \
    X(0.001)                                                                                                 \
    X(0.0025) X(0.005) X(0.01) X(0.025) X(0.05) X(0.1) X(0.25) X(0.5) X(1) X(2.5) X(5) X(10) X(30) X(60)

enum {
#define X(bound) +1
    HISTOGRAM_BOUNDS_N = HISTOGRAM_BOUNDS(X)
#undef X
};

struct histogram {
    uint64_t counts[HISTOGRAM_BOUNDS_N + 1]; /* each bucket's own; the last one: above every bound */
    double sum;
};

/* Seconds; what is below 0 (a clock that was set back) counts as 0. */
void histogram_add(struct histogram *h, double seconds);
/* {counts: [each bucket's own, as above], sum}: what a row of type METRICS_HISTOGRAM reads. NULL: no memory.
 */
json_t *histogram_json(const struct histogram *h);

/* Bound i as in the table, "0.0025"; "+Inf" for the last bucket. */
const char *histogram_bound_text(size_t i);

#endif
