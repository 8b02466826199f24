/* What edges make of a changed config: asked through one tunnel worker for each edge (core_change.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/gather.h"
#include "common/text.h"
#include "core/core_change.h"

/* An edge answers when its own workers have; this is longer than it gives them. */
static const double edges_patience = 25;

struct asked_edge {
    char name[64];
    unsigned worker; /* index, and process: another one under that number knows nothing of it */
    pid_t pid;
    bool prepared;
};

struct core_edges {
    struct core *core;
    long revision;
    const char *text; /* the config's, while it is asked */
    struct gather *gather;
    core_edges_done *done;
    void *ctx;
    size_t n;
    struct asked_edge asked[];
};

/* Asking ------------------------------------------------------------------------------------------------- */

static const struct core_tunnel *edges_tunnel(const struct core *c, const char *edge)
{
    const struct core_tunnel *t;
    TAILQ_FOREACH (t, &c->tunnels, next)
        if (!t->leaving && strcasecmp(t->edge, edge) == 0 && strcmp(t->state, "active") == 0 &&
            worker_running(t->worker))
            return t;
    return NULL;
}

static json_t *edges_message(void *edges, struct worker *w)
{
    struct core_edges *e = edges;
    for (size_t i = 0; i < e->n; i++)
        if (e->asked[i].pid && e->asked[i].worker == worker_index(w))
            return json_pack("{ss sI ss}", "type", "config_prepare", "revision", (json_int_t)e->revision,
                             "text", e->text);
    return NULL;
}

/* Answers ------------------------------------------------------------------------------------------------ */

static json_t *edges_result(const json_t *results, const struct asked_edge *a)
{
    char name[32];
    size_t i;
    json_t *result;
    snprintf(name, sizeof name, "tunnel%u", a->worker);
    json_array_foreach ((json_t *)(uintptr_t)results, i, result)
        if (strcmp(json_string_value(json_object_get(result, "worker")), name) == 0)
            return result;
    return NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* "a, b" to a list. */
static json_t *words_list(const char *words)
{
    json_t *list = json_array();
    while (*words) {
        size_t n = strcspn(words, ",");
        json_array_append_new(list, json_stringn(words, n));
        words += n;
        words += strspn(words, ", ");
    }
    return list;
}

static bool edges_still_runs(const struct core *c, const struct asked_edge *a)
{
    const struct core_tunnel *t;
    TAILQ_FOREACH (t, &c->tunnels, next)
        if (worker_index(t->worker) == a->worker && worker_pid(t->worker) == a->pid)
            return strcmp(t->state, "active") == 0;
    return false;
}

static json_t *edges_row(struct core_edges *e, struct asked_edge *a, const json_t *results)
{
    const json_t *result = a->pid ? edges_result(results, a) : NULL;
    const char *state = result ? text_of(result, "state") : "away", *reason = text_of(result, "reason");
    if (!result && a->pid && edges_still_runs(e->core, a)) {
        state = "refused";
        reason = "it does not answer";
    }
    a->prepared = strcmp(state, "prepared") == 0;
    return json_pack("{ss ss ss so}", "edge", a->name, "state", state, "reason", reason, "waits_for_restart",
                     words_list(text_of(result, "waits_for_restart")));
}

static void edges_answered(void *edges, json_t *results)
{
    struct core_edges *e = edges;
    json_t *rows = json_array();
    e->gather = NULL;
    for (size_t i = 0; i < e->n; i++)
        json_array_append_new(rows, edges_row(e, &e->asked[i], results));
    e->done(e->ctx, rows);
}

struct core_edges *core_edges_prepare(struct core *c, const struct config *fresh, core_edges_done *done,
                                      void *ctx)
{
    struct worker *all[CORE_TUNNELS_MAX];
    const struct config *running = &c->box->config;
    struct core_edges *e = calloc(1, sizeof *e + running->edges.n * sizeof e->asked[0]);
    if (!e)
        return NULL;
    e->core = c;
    e->revision = fresh->revision;
    e->text = fresh->text;
    e->done = done;
    e->ctx = ctx;
    for (size_t i = 0; i < running->edges.n; i++) {
        const char *name = config_edge_at(running, i)->name;
        const struct core_tunnel *t = edges_tunnel(c, name);
        struct asked_edge *a = &e->asked[e->n];
        if (!config_edge_find(fresh, name))
            continue;
        text_copy(a->name, sizeof a->name, name);
        a->worker = t ? worker_index(t->worker) : 0;
        a->pid = t ? worker_pid(t->worker) : 0;
        e->n++;
    }
    e->gather = gather_ask(c->loop, all, core_tunnels_workers(c, all), edges_message, edges_patience,
                           edges_answered, e);
    if (e->gather)
        return e;
    free(e);
    return NULL;
}

/* The end ------------------------------------------------------------------------------------------------ */

static void edges_tell(struct core_edges *e, const char *type)
{
    const struct core_tunnel *t;
    for (size_t i = 0; i < e->n; i++)
        TAILQ_FOREACH (t, &e->core->tunnels, next)
            if (e->asked[i].prepared && worker_index(t->worker) == e->asked[i].worker &&
                worker_pid(t->worker) == e->asked[i].pid)
                (void)worker_send(t->worker,
                                  json_pack("{ss sI}", "type", type, "revision", (json_int_t)e->revision),
                                  NULL, 0);
    free(e);
}

void core_edges_commit(struct core_edges *e)
{
    edges_tell(e, "config_commit");
}

/* Those that have not answered yet find out by themselves: nobody tells them to commit. */
void core_edges_rollback(struct core_edges *e)
{
    if (e->gather)
        gather_cancel(e->gather);
    edges_tell(e, "config_rollback");
}
