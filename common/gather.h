/* Asks several workers at once (for their status, to prepare a change …) and hands over what they answered.
 */
#ifndef COMMON_GATHER_H
#define COMMON_GATHER_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>

#include "common/worker.h"

struct gather;

/* results: array of the workers' answers, borrowed. Called once; the gather is freed after it. */
typedef void gather_done(void *ctx, json_t *results);

/* Sends {"type":"status","id":…,"brief":…} to each running worker; brief: figures alone, no lists. Calls done
 * from the loop, never from inside. NULL: out of memory. */
struct gather *gather_start(struct ev_loop *loop, struct worker *const *workers, size_t n, bool brief,
                            gather_done *done, void *ctx);
/* The same with any message: make gives it (a new object; NULL: this one is not asked), "id" is added. done
 * is called at the latest after patience seconds. */
typedef json_t *gather_make(void *ctx, struct worker *w);
struct gather *gather_ask(struct ev_loop *loop, struct worker *const *workers, size_t n, gather_make *make,
                          double patience, gather_done *done, void *ctx);
/* Passes on an answer of a worker, with its name in "worker"; it finds its gather by the "id" of the question.
 * Only the first answer of a worker that was asked counts. */
void gather_message(struct worker *w, json_t *msg);
/* Gives up: done is not called. */
void gather_cancel(struct gather *g);

#endif
