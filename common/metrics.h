/*
 * Metrics as Prometheus reads them (text format 0.0.4), made from rows: one row per metric, with its name,
 * unit in the name, type and help. Values are found in the JSON that workers answer status with, so a counter
 * is written once, where it is counted.
 *
 * Each worker's counters are series of their own (worker="turn0"). A worker that was started again begins at
 * 0: rate() and increase() take that for the reset it is, which they could not if main added workers up.
 *
 * Label values come from this program's tables and the config only, never from a stranger.
 */
#ifndef COMMON_METRICS_H
#define COMMON_METRICS_H

#include <jansson.h>
#include <stddef.h>
#include <sys/types.h>

enum { METRICS_MAX = 4 * 1024 * 1024 /* bytes of text */ };

/* A histogram's value in the JSON is what histogram_json makes. */
enum metrics_type { METRICS_GAUGE, METRICS_COUNTER, METRICS_HISTOGRAM };

struct metrics_row {
    const char *name; /* rows of the same name follow each other; the first one's type and help count */
    enum metrics_type type;
    const char *path;  /* in the JSON: "counters.requests.*"; '*' stands for every member */
    const char *label; /* named by what '*' was; NULL: there is none */
    const char *fixed; /* one more label: "direction=\"from_client\"", or NULL */
    const char *help;
};

struct metrics;

/* NULL when memory is out. */
struct metrics *metrics_new(void);
/* The text (the caller's to free), NULL when it was too long or memory was out. Frees m. */
char *metrics_end(struct metrics *m);

/* Begins a metric: what follows until the next one are its values. */
void metrics_family(struct metrics *m, const char *name, enum metrics_type type, const char *help);
/* One value; labels are pairs of name and value, ended by NULL. */
void metrics_value(struct metrics *m, double value, ...) __attribute__((sentinel));
/* All rows (ended by a zero row) for every object of the array `sources`; what is absent there is left out.
 * Each object's member named by source_label becomes a label (NULL: none). */
void metrics_rows(struct metrics *m, const struct metrics_row *rows, const json_t *sources,
                  const char *source_label);

/* Memory and processor time of processes, and descriptors of this one; pids of 0 are left out. */
struct metrics_process {
    const char *name;
    pid_t pid;
};
void metrics_processes(struct metrics *m, const struct metrics_process *processes, size_t n);

#endif
