/*
 * What the graphs of the admin page begin with, and what `history` prints: figures of the box over the last
 * ten minutes, one step each five seconds, in memory of a fixed size. Counters become rates here: a worker
 * that was started anew begins to count anew, and one that did not answer is left out, without a jump in
 * either.
 */
#ifndef COMMON_HISTORY_H
#define COMMON_HISTORY_H

#include <jansson.h>
#include <stdint.h>

enum { HISTORY_STEP = 5, HISTORY_KEPT = 120, HISTORY_FIGURES_MAX = 8 };

enum history_kind { HISTORY_LEVEL, HISTORY_RATE };

struct history_figure {
    const char *name; /* in the answer */
    /* In what a worker says of itself (gather.h): "turn.counters.to_clients.*.bytes", "*" being every member.
     * All workers are added up; one that has no such member counts nothing. */
    const char *path;
    enum history_kind kind;
};

struct history;

/* figures: ended by a zero row; must outlive it. NULL: out of memory. */
struct history *history_new(const struct history_figure *figures);
void history_free(struct history *h);
/* One step: what the workers answered, each with its name in "worker". now: monotonic seconds. The first step
 * only begins: there is nothing yet to compare it with. */
void history_take(struct history *h, const json_t *results, double now);
/* {"type": "history", "step_s", "items": [{"time", "age", NAME: number...}]}, the oldest first; age in
 * seconds before now; of_day: now in seconds since 1970. NULL: out of memory. */
json_t *history_json(const struct history *h, double now, int64_t of_day);

#endif
