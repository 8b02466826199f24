#include "common/history_keeper.h"

#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/gather.h"

struct history_keeper {
    struct ev_loop *loop;
    struct history *history;
    history_workers *workers;
    void *ctx;
    ev_timer timer;
    struct gather *gather; /* while workers are asked */
};

static void keeper_heard(void *keeper, json_t *results)
{
    struct history_keeper *k = keeper;
    k->gather = NULL;
    history_take(k->history, results, clock_monotonic());
}

static void keeper_on_step(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)revents;
    struct history_keeper *k = t->data;
    struct worker *all[HISTORY_WORKERS_MAX];
    if (!k->gather)
        k->gather = gather_start(loop, all, k->workers(k->ctx, all), true, keeper_heard, k);
}

struct history_keeper *history_keeper_start(struct ev_loop *loop, const struct history_figure *figures,
                                            history_workers *workers, void *ctx)
{
    struct history_keeper *k = calloc(1, sizeof *k);
    struct history *history = history_new(figures);
    if (!k || !history) {
        free(k);
        history_free(history);
        return NULL;
    }
    *k = (struct history_keeper){.loop = loop, .history = history, .workers = workers, .ctx = ctx};
    ev_timer_init(&k->timer, keeper_on_step, 1, HISTORY_STEP); /* workers are up soon */
    k->timer.data = k;
    ev_timer_start(loop, &k->timer);
    return k;
}

void history_keeper_stop(struct history_keeper *k)
{
    if (!k)
        return;
    ev_timer_stop(k->loop, &k->timer);
    if (k->gather)
        gather_cancel(k->gather);
    history_free(k->history);
    free(k);
}

void history_keeper_request(const struct history_keeper *k, struct request *r)
{
    json_t *answer = k ? history_json(k->history, clock_monotonic(), time(NULL)) : NULL;
    if (answer)
        request_answer(r, answer);
    else
        request_refuse(r, "out of memory");
}
