#include "common/round.h"

#include "common/fatal.h"

TAILQ_HEAD(round_list, round_task);

/* A prepare watcher runs the tasks of the round's end; an idle watcher keeps the loop from sleeping before it
 * has. A timer of zero runs those of the next round, and those that take turns. All are active only while
 * there are tasks. */
static struct {
    struct ev_loop *loop;
    ev_prepare prepare;
    ev_idle idle;
    ev_timer timer;
    struct round_list end, next, turns;
    unsigned turns_taken, turns_round; /* in that iteration of the loop */
    bool ready;
} rounds;

static struct round_task *round_take(struct round_list *list)
{
    struct round_task *task = TAILQ_FIRST(list);
    if (task) {
        TAILQ_REMOVE(list, task, next);
        task->queued = false;
    }
    return task;
}

static void rounds_on_end(struct ev_loop *loop, ev_prepare *w, int revents)
{
    (void)w, (void)revents;
    struct round_task *task;
    while ((task = round_take(&rounds.end)) != NULL)
        task->run(task);
    ev_prepare_stop(loop, &rounds.prepare);
    ev_idle_stop(loop, &rounds.idle);
}

static void rounds_on_idle(struct ev_loop *loop, ev_idle *w, int revents)
{
    (void)loop, (void)w, (void)revents;
}

static void rounds_run(struct round_list *list, size_t most)
{
    struct round_task *task;
    while (most-- > 0 && (task = round_take(list)) != NULL)
        task->run(task);
}

/* How many tasks that take turns this round still has room for. */
static unsigned rounds_turns_left(void)
{
    if (rounds.turns_round != ev_iteration(rounds.loop))
        rounds.turns_taken = 0;
    rounds.turns_round = ev_iteration(rounds.loop);
    return ROUND_TURNS - rounds.turns_taken;
}

static bool rounds_have_more(void)
{
    return !TAILQ_EMPTY(&rounds.next) || !TAILQ_EMPTY(&rounds.turns);
}

static void rounds_on_next(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)w, (void)revents;
    struct round_task *task;
    size_t n = 0;
    unsigned turns = rounds_turns_left();
    TAILQ_FOREACH (task, &rounds.next, next) {
        n++;
    }
    rounds.turns_taken = ROUND_TURNS; /* what comes in this round waits behind those that do already */
    rounds_run(&rounds.next, n);
    rounds_run(&rounds.turns, turns);
    if (rounds_have_more())
        ev_timer_start(loop, &rounds.timer);
}

static void rounds_use(struct ev_loop *loop)
{
    if (!rounds.ready) {
        TAILQ_INIT(&rounds.end);
        TAILQ_INIT(&rounds.next);
        TAILQ_INIT(&rounds.turns);
        ev_prepare_init(&rounds.prepare, rounds_on_end);
        ev_idle_init(&rounds.idle, rounds_on_idle);
        ev_timer_init(&rounds.timer, rounds_on_next, 0, 0);
        rounds.ready = true;
    }
    if (TAILQ_EMPTY(&rounds.end) && !rounds_have_more())
        rounds.loop = loop;
    REQUIRE(rounds.loop == loop);
}

void round_at_end(struct ev_loop *loop, struct round_task *task)
{
    rounds_use(loop);
    if (task->queued)
        return;
    ev_prepare_start(loop, &rounds.prepare);
    ev_idle_start(loop, &rounds.idle);
    task->queued = true;
    task->queue = ROUND_END;
    TAILQ_INSERT_TAIL(&rounds.end, task, next);
}

void round_next(struct ev_loop *loop, struct round_task *task)
{
    rounds_use(loop);
    if (task->queued)
        return;
    ev_timer_start(loop, &rounds.timer);
    task->queued = true;
    task->queue = ROUND_NEXT;
    TAILQ_INSERT_TAIL(&rounds.next, task, next);
}

void round_in_turn(struct ev_loop *loop, struct round_task *task)
{
    rounds_use(loop);
    if (task->queued)
        return;
    if (TAILQ_EMPTY(&rounds.turns) && rounds_turns_left() > 0) {
        rounds.turns_taken++;
        task->run(task);
        return;
    }
    ev_timer_start(loop, &rounds.timer);
    task->queued = true;
    task->queue = ROUND_TURN;
    TAILQ_INSERT_TAIL(&rounds.turns, task, next);
}

void round_cancel(struct round_task *task)
{
    if (!task->queued)
        return;
    task->queued = false;
    if (task->queue == ROUND_END)
        TAILQ_REMOVE(&rounds.end, task, next);
    else if (task->queue == ROUND_NEXT)
        TAILQ_REMOVE(&rounds.next, task, next);
    else
        TAILQ_REMOVE(&rounds.turns, task, next);
    if (!rounds_have_more())
        ev_timer_stop(rounds.loop, &rounds.timer);
}
