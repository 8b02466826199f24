#include "common/gather.h"

#include <stdlib.h>
#include <sys/queue.h>

static const double gather_patience = 1.0;

struct gather {
    struct ev_loop *loop;
    json_int_t id;
    size_t awaited;
    json_t *results;
    gather_done *done;
    void *ctx;
    ev_timer timer;
    LIST_ENTRY(gather) next;
    size_t n_asked;
    const struct worker *asked[]; /* NULL: has answered */
};

static LIST_HEAD(, gather) gathers = LIST_HEAD_INITIALIZER(gathers);
static json_int_t last_id;

void gather_cancel(struct gather *g)
{
    LIST_REMOVE(g, next);
    ev_timer_stop(g->loop, &g->timer);
    json_decref(g->results);
    free(g);
}

static void gather_finish(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct gather *g = t->data;
    g->done(g->ctx, g->results);
    gather_cancel(g);
}

struct gather *gather_ask(struct ev_loop *loop, struct worker *const *workers, size_t n, gather_make *make,
                          double patience, gather_done *done, void *ctx)
{
    struct gather *g = calloc(1, sizeof *g + n * sizeof g->asked[0]);
    if (!g)
        return NULL;
    g->loop = loop;
    g->id = ++last_id;
    g->done = done;
    g->ctx = ctx;
    g->results = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *msg = workers[i] ? make(ctx, workers[i]) : NULL;
        if (!msg)
            continue;
        json_object_set_new(msg, "id", json_integer(g->id));
        if (worker_send(workers[i], msg, NULL, 0) == ERR_OK)
            g->asked[g->n_asked++] = workers[i];
    }
    g->awaited = g->n_asked;
    ev_timer_init(&g->timer, gather_finish, g->awaited ? patience : 0, 0);
    g->timer.data = g;
    ev_timer_start(loop, &g->timer);
    LIST_INSERT_HEAD(&gathers, g, next);
    return g;
}

static json_t *gather_status(void *ctx, struct worker *w)
{
    (void)ctx, (void)w;
    return json_pack("{ss}", "type", "status");
}

static json_t *gather_brief(void *ctx, struct worker *w)
{
    (void)ctx, (void)w;
    return json_pack("{ss sb}", "type", "status", "brief", 1);
}

struct gather *gather_start(struct ev_loop *loop, struct worker *const *workers, size_t n, bool brief,
                            gather_done *done, void *ctx)
{
    return gather_ask(loop, workers, n, brief ? gather_brief : gather_status, gather_patience, done, ctx);
}

/* Once for each that was asked: numbers of questions can be guessed, and a worker that was taken over neither
 * answers for others nor ends their time to answer. */
static bool gather_awaits(struct gather *g, const struct worker *w)
{
    for (size_t i = 0; i < g->n_asked; i++)
        if (g->asked[i] == w) {
            g->asked[i] = NULL;
            return true;
        }
    return false;
}

void gather_message(struct worker *w, json_t *msg)
{
    json_int_t id = json_integer_value(json_object_get(msg, "id"));
    struct gather *g;
    LIST_FOREACH (g, &gathers, next) {
        if (g->id != id)
            continue;
        if (!gather_awaits(g, w))
            return;
        json_object_set_new(msg, "worker", json_string(worker_name(w)));
        json_array_append(g->results, msg);
        if (g->awaited > 0 && --g->awaited == 0) {
            ev_timer_stop(g->loop, &g->timer);
            gather_finish(g->loop, &g->timer, 0);
        }
        return;
    }
}
