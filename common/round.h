/*
 * Work put off within one round of the loop: to its end, before the loop sleeps (so that many small writes
 * leave as one), to the next round, after everybody else has had a turn, or to a later one, when strangers
 * have made a thousand times the same work at once. One loop per process.
 */
#ifndef COMMON_ROUND_H
#define COMMON_ROUND_H

#include <ev.h>
#include <stdbool.h>
#include <sys/queue.h>

/* Closing a connection over TLS takes 40 us and more: a millisecond or two, then everybody else. */
enum { ROUND_TURNS = 32 };

/* The owner embeds it, zeroed but for run. run may put off this or any other task again, and may free this
 * one. */
struct round_task {
    void (*run)(struct round_task *task);
    bool queued;
    enum { ROUND_END, ROUND_NEXT, ROUND_TURN } queue;
    TAILQ_ENTRY(round_task) next;
};

/* At the end of this round: tasks run until none is left, also ones that were added meanwhile. */
void round_at_end(struct ev_loop *loop, struct round_task *task);
/* In the next round; what is added meanwhile runs in the one after it. */
void round_next(struct ev_loop *loop, struct round_task *task);
/* At once while this round has done less than ROUND_TURNS of these and none waits; otherwise in one of the
 * next rounds, ROUND_TURNS in each. */
void round_in_turn(struct ev_loop *loop, struct round_task *task);
/* Takes it back; nothing happens when it is not queued. */
void round_cancel(struct round_task *task);

#endif
