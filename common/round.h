/*
 * Work put off within one round of the loop: to its end, before the loop sleeps (so that many small writes
 * leave as one), or to the next round, after everybody else has had a turn. One loop per process.
 */
#ifndef COMMON_ROUND_H
#define COMMON_ROUND_H

#include <ev.h>
#include <stdbool.h>
#include <sys/queue.h>

/* The owner embeds it, zeroed but for run. run may put off this or any other task again, and may free this
 * one. */
struct round_task {
    void (*run)(struct round_task *task);
    bool queued;
    bool at_end; /* which queue */
    TAILQ_ENTRY(round_task) next;
};

/* At the end of this round: tasks run until none is left, also ones that were added meanwhile. */
void round_at_end(struct ev_loop *loop, struct round_task *task);
/* In the next round; what is added meanwhile runs in the one after it. */
void round_next(struct ev_loop *loop, struct round_task *task);
/* Takes it back; nothing happens when it is not queued. */
void round_cancel(struct round_task *task);

#endif
