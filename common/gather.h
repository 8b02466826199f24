/* Asks several workers for their status at once and hands over what they answered, at the latest after a
 * second. */
#ifndef COMMON_GATHER_H
#define COMMON_GATHER_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>

#include "common/worker.h"

struct gather;

/* results: array of the workers' "status" messages, borrowed. Called once; the gather is freed after it. */
typedef void gather_done(void *ctx, json_t *results);

/* Sends {"type":"status","id":…,"brief":…} to each running worker; brief: figures alone, no lists. Calls done
 * from the loop, never from inside. NULL: out of memory. */
struct gather *gather_start(struct ev_loop *loop, struct worker *const *workers, size_t n, bool brief,
                            gather_done *done, void *ctx);
/* Passes on a "status" message of a worker, with its name in "worker"; it finds its gather by its id. */
void gather_message(struct worker *w, json_t *msg);
/* Gives up: done is not called. */
void gather_cancel(struct gather *g);

#endif
