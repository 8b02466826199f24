#include "core/core_change.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "common/alarms.h"
#include "common/config_text.h"
#include "common/diff.h"
#include "common/log.h"
#include "core/config_history.h"

struct change {
    struct core *core;
    struct request *request;
    struct core_change what;
    struct box fresh; /* as it was read */
    struct core_material material;
    struct core_edges *edges;
    const char *waiting; /* what of core's own a restart is needed for */
    const char *code;    /* of a refusal */
    bool committed;
    char summary[CONFIG_SUMMARY];
    char why[SCHEMA_WHY];
};

void core_change_free(struct change *r)
{
    if (!r)
        return;
    if (r->edges)
        core_edges_rollback(r->edges);
    r->core->change = NULL;
    if (r->what.ended)
        r->what.ended(r->what.ctx, r->committed);
    json_decref(r->what.extra);
    core_material_free(&r->material);
    box_close(&r->fresh);
    free(r->what.text);
    free(r);
}

void core_change_note(struct core *c, const char *by, const char *summary)
{
    char why[SCHEMA_WHY];
    if (config_history_add(c->box, by, summary, why) != ERR_OK)
        log_event(LOG_WARNING, "Config History Not Kept", "reason=\"%s\"", why);
}

/* Answers ------------------------------------------------------------------------------------------------ */

static void change_end(struct change *r, json_t *answer)
{
    struct request *request = r->request;
    bool dry = r->what.dry;
    core_change_free(r);
    if (!dry)
        sd_notify(0, "READY=1");
    request_answer(request, answer);
}

static void change_refuse(struct change *r)
{
    char quoted[2 * sizeof r->why];
    json_t *problem = config_problem_json(r->why), *answer;
    if (r->what.dry) {
        answer = json_pack("{ss sb so*}", "type", r->what.type, "ok", 0, "problem", problem);
    } else {
        log_event(LOG_WARNING, "Reload Refused", "by=\"%s\" reason=%s", r->what.by,
                  log_quote(r->why, strlen(r->why), quoted, sizeof quoted));
        if (!r->what.text) /* a text that was refused is not on the disk */
            alarm_raise(ALARM_CONFIG_REFUSED, BOX_CONFIG, r->why);
        answer = json_pack("{ss so ss}", "type", "error", "reason",
                           json_sprintf("%s; nothing was changed", r->why), "code", r->code);
        json_object_update_missing(answer, problem);
        json_decref(problem);
    }
    change_end(r, answer);
}

/* "edge1: turn.realm" for each key that an edge waits for its restart with; and core's own. */
static json_t *change_waits(const struct change *r, const json_t *rows)
{
    json_t *all = json_array(), *row, *key;
    size_t i, k;
    json_array_foreach ((json_t *)(uintptr_t)rows, i, row)
        json_array_foreach (json_object_get(row, "waits_for_restart"), k, key)
            json_array_append_new(all, json_sprintf("%s: %s", json_string_value(json_object_get(row, "edge")),
                                                    json_string_value(key)));
    if (*r->waiting)
        json_array_append_new(all, json_sprintf("%s: %s", r->core->box->name, r->waiting));
    return all;
}

static json_t *change_dry_answer(const struct change *r, json_t *rows)
{
    char running[64], path[PATH_MAX];
    snprintf(running, sizeof running, "running (revision %ld)", r->core->box->config.revision);
    char *diff = diff_unified(r->core->box->config.text, running, r->fresh.config.text,
                              box_file(&r->fresh, BOX_CONFIG, path));
    json_t *answer = json_pack("{ss sb sI ss* so sO}", "type", r->what.type, "ok", 1, "revision",
                               (json_int_t)r->fresh.config.revision, "diff", diff, "waits_for_restart",
                               change_waits(r, rows), "edges", rows);
    free(diff);
    return answer;
}

/* Reading and judging ------------------------------------------------------------------------------------ */

/* Edges tell configs apart by their revision, and take no other under one that they know. A text counts it
 * up by itself; in a file somebody has to. */
static enum err change_judge_revision(struct change *r)
{
    const struct config *now = &r->core->box->config, *next = &r->fresh.config;
    struct schema_source source = {.file = "", .text = next->text};
    char path[PATH_MAX];
    source.file = box_file(&r->fresh, BOX_CONFIG, path);
    if (next->revision < now->revision)
        return schema_problem(&source, "/revision", r->why,
                              "%ld is below %ld, which is in force; it must count up", next->revision,
                              now->revision);
    if (next->revision == now->revision && !json_equal(next->json, now->json))
        return schema_problem(&source, "/revision", r->why,
                              "%ld is in force already, but something has changed (%s); make it %ld",
                              next->revision, r->summary, now->revision + 1);
    return ERR_OK;
}

static enum err change_read(struct change *r)
{
    struct core *c = r->core;
    enum err e = box_load_text(c->box, NULL, r->what.text, &r->fresh, r->why);
    if (e != ERR_OK)
        return e;
    config_changes(c->box->config.json, r->fresh.config.json, r->summary, sizeof r->summary);
    struct schema_source source = {.file = "", .text = r->fresh.config.text};
    char path[PATH_MAX];
    source.file = box_file(&r->fresh, BOX_CONFIG, path);
    e = core_material_load(c, &r->fresh, &r->material, r->why);
    if (e != ERR_OK)
        config_problem_place(&source, r->why);
    if (e == ERR_OK && strlen(r->fresh.config.text) > CONFIG_TEXT_MAX)
        e = schema_problem(&source, "", r->why,
                           "the file has %zu bytes; more than %d cannot be carried to edges",
                           strlen(r->fresh.config.text), CONFIG_TEXT_MAX);
    if (e == ERR_OK)
        e = change_judge_revision(r);
    if (e == ERR_OK && strcmp(r->fresh.name, c->box->name) != 0)
        r->waiting = "the file identity";
    return e;
}

/* Taking over -------------------------------------------------------------------------------------------- */

static struct core_tunnels_change change_swap(struct change *r)
{
    struct core *c = r->core;
    struct box *box = &c->daemon.box;
    struct config old = box->config;
    struct secrets old_secrets = box->secrets;
    struct core_material before = c->material;
    bool fresh_key = strcmp(before.client_key, r->material.client_key) != 0;
    box->config = r->fresh.config;
    box->secrets = r->fresh.secrets;
    r->fresh.config = old;
    r->fresh.secrets = old_secrets;
    c->material = r->material;
    r->material = before;
    struct core_tunnels_change change = core_tunnels_match(c, fresh_key);
    core_targets_replace(c, before.domains);
    core_admin_configure(c);
    return change;
}

static void change_commit(struct change *r, json_t *rows)
{
    struct core *c = r->core;
    size_t i;
    json_t *row;
    if (r->what.text && strcmp(r->what.text, c->box->config.text) != 0 &&
        box_replace_config(c->box, r->what.text, r->why) != ERR_OK) {
        r->code = "write";
        change_refuse(r);
        return;
    }
    if (r->what.text)
        config_watch_seen(&c->watch);
    if (r->edges)
        core_edges_commit(r->edges);
    r->edges = NULL;
    r->committed = true;
    struct core_tunnels_change change = change_swap(r);
    core_change_note(c, r->what.by, *r->summary ? r->summary : "how it is written");
    json_array_foreach (rows, i, row)
        if (strcmp(json_string_value(json_object_get(row, "state")), "prepared") == 0)
            json_object_set_new(row, "state", json_string("committed"));
    alarm_clear(ALARM_CONFIG_REFUSED, BOX_CONFIG);
    daemon_open_syslog(&c->daemon);
    log_event(LOG_NOTICE, "Config Reloaded",
              "revision=%ld by=\"%s\" tunnels_started=%zu tunnels_retired=%zu needs_restart=\"%s\"",
              c->box->config.revision, r->what.by, change.started, change.retired, r->waiting);
    json_t *answer =
        json_pack("{ss sI sI sI sI ss so sO}", "type", r->what.type, "revision",
                  (json_int_t)c->box->config.revision, "kept", (json_int_t)change.kept, "started",
                  (json_int_t)change.started, "retired", (json_int_t)change.retired, "needs_restart",
                  r->waiting, "waits_for_restart", change_waits(r, rows), "edges", rows);
    if (r->what.extra)
        json_object_update_missing(answer, r->what.extra);
    change_end(r, answer);
}

static bool change_edges_agree(struct change *r, const json_t *rows)
{
    size_t i;
    json_t *row;
    json_array_foreach (rows, i, row) {
        if (strcmp(json_string_value(json_object_get(row, "state")), "refused") != 0)
            continue;
        snprintf(r->why, sizeof r->why, "edge %s: %s", json_string_value(json_object_get(row, "edge")),
                 json_string_value(json_object_get(row, "reason")));
        r->code = "edge";
        return false;
    }
    return true;
}

static void change_prepared(void *change, json_t *rows)
{
    struct change *r = change;
    if (!change_edges_agree(r, rows))
        change_refuse(r);
    else if (r->what.dry)
        change_end(r, change_dry_answer(r, rows));
    else
        change_commit(r, rows);
    json_decref(rows);
}

void core_change_begin(struct core *c, struct request *request, struct core_change *what)
{
    struct change *r = calloc(1, sizeof *r);
    if (!r) {
        free(what->text);
        json_decref(what->extra);
        if (what->ended)
            what->ended(what->ctx, false);
        request_refuse(request, "out of memory; nothing was changed");
        return;
    }
    *r = (struct change){.core = c, .request = request, .what = *what, .waiting = "", .code = "invalid"};
    c->change = r;
    if (!what->text)
        config_watch_seen(&c->watch);
    if (!what->dry)
        daemon_tell_reloading();
    snprintf(r->why, sizeof r->why, "out of memory");
    if (change_read(r) != ERR_OK) {
        change_refuse(r);
    } else if (r->fresh.config.revision == c->box->config.revision) { /* the same config: no edge needs it */
        json_t *rows = json_array();
        change_prepared(r, rows);
    } else {
        r->edges = core_edges_prepare(c, &r->fresh.config, change_prepared, r);
        if (!r->edges)
            change_refuse(r);
    }
}
