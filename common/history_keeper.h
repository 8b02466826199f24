/* Keeps the history of a box (history.h): asks its workers each step, and answers the verb `history`. */
#ifndef COMMON_HISTORY_KEEPER_H
#define COMMON_HISTORY_KEEPER_H

#include <ev.h>

#include "common/history.h"
#include "common/requests.h"
#include "common/table.h"
#include "common/worker.h"

enum { HISTORY_WORKERS_MAX = 512 };

struct history_keeper;

/* The workers of the box as they are now, at most HISTORY_WORKERS_MAX; how many. */
typedef size_t history_workers(void *ctx, struct worker **all);

/* figures as in history_new; ctx must outlive it. NULL: out of memory. */
struct history_keeper *history_keeper_start(struct ev_loop *loop, const struct history_figure *figures,
                                            history_workers *workers, void *ctx);
/* Before the workers go. NULL is fine. */
void history_keeper_stop(struct history_keeper *k);
/* The verb: r is answered. k may be NULL: there was no memory for it. */
void history_keeper_request(const struct history_keeper *k, struct request *r);

/* The command `history` of both programs: columns are of one item. */
int history_command(int argc, char **argv, const char *socket, const struct table_column *columns);

#endif
