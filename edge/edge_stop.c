/* An edge that stops: nothing new is taken, what runs has as long to end as drain.edge_seconds says. */
#include <stdio.h>
#include <string.h>

#include "common/gather.h"
#include "common/log.h"
#include "edge/edge.h"

static bool any_runs(struct worker *const *workers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (workers[i] && worker_running(workers[i]))
            return true;
    return false;
}

static bool edge_any_worker(const struct edge *e)
{
    return any_runs(e->web, e->n_web) || any_runs(e->turn, e->n_turn);
}

/* What is left ------------------------------------------------------------------------------------------- */

static json_int_t sum_of(json_t *results, const char *what, const char *figure)
{
    json_int_t sum = 0;
    size_t i;
    json_t *one;
    json_array_foreach (results, i, one)
        sum += json_integer_value(json_object_get(json_object_get(one, what), figure));
    return sum;
}

static void left_known(void *edge, json_t *results)
{
    struct edge *e = edge;
    char left[160];
    e->leaving = NULL;
    snprintf(left, sizeof left, "%lld connections (%lld WebSockets), %lld relays",
             (long long)sum_of(results, "web", "connections"), (long long)sum_of(results, "web", "open_websockets"),
             (long long)sum_of(results, "turn", "allocations"));
    daemon_tell_left(&e->daemon, left);
}

static json_t *left_question(void *edge, struct worker *w)
{
    (void)edge;
    return worker_running(w) ? json_pack("{ss sb}", "type", "status", "brief", 1) : NULL;
}

static void edge_on_stopping(void *edge)
{
    struct edge *e = edge;
    struct worker *all[2 * LISTENERS_WORKERS_MAX];
    memcpy(all, e->web, e->n_web * sizeof all[0]);
    memcpy(all + e->n_web, e->turn, e->n_turn * sizeof all[0]);
    if (!e->leaving)
        e->leaving = gather_ask(e->loop, all, e->n_web + e->n_turn, left_question, 1, left_known, e);
}

void edge_stop_end(struct edge *e)
{
    if (e->leaving)
        gather_cancel(e->leaving);
    e->leaving = NULL;
}

/* Its course --------------------------------------------------------------------------------------------- */

/* Workers that run no more took nobody: with their sockets here, guests would wait for what never comes. */
static void edge_close_doors(struct edge *e)
{
    web_listeners_close(e->web_listeners, e->n_web);
    turn_listeners_close(e->turn_listeners, e->n_turn);
}

void edge_stop(void *edge)
{
    struct edge *e = edge;
    double seconds = (double)e->box->config.drain.edge_seconds;
    if (e->stopping) {
        ev_break(e->loop, EVBREAK_ALL); /* asked twice: at once */
        return;
    }
    e->stopping = true;
    log_event(LOG_NOTICE, "Edge Stopping", "name=%s drain_seconds=%.0f", e->box->name, seconds);
    for (size_t i = 0; i < e->n_web; i++)
        if (e->web[i])
            worker_retire(e->web[i], seconds);
    for (size_t i = 0; i < e->n_turn; i++)
        if (e->turn[i])
            worker_retire(e->turn[i], seconds);
    edge_close_doors(e);
    daemon_tell_stopping(&e->daemon, seconds, edge_on_stopping);
    if (!edge_any_worker(e))
        ev_break(e->loop, EVBREAK_ALL);
}

void edge_worker_exited(void *edge, struct worker *w, const char *how, bool stopped)
{
    struct edge *e = edge;
    (void)how;
    edge_turn_worker_gone(e, w);
    if (!stopped && strcmp(worker_role(w), "web") == 0)
        attachments_worker_gone(e->attachments, worker_index(w));
    if (e->stopping && !edge_any_worker(e))
        ev_break(e->loop, EVBREAK_ALL);
}
