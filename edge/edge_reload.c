/*
 * Changes while calls go on: stile.json and secrets.json are read anew, or a core brings its stile.json over
 * the tunnel, and judged as a whole; every turn worker prepares its part; only if all of them can, all of
 * them commit, and main with them. Otherwise nothing has changed and the answer says why. A worker that is
 * started again in between gets what is in force by then. What a core brings waits, prepared, for its word:
 * it asks all edges before one of them commits (core/core_change.h); the end of the tunnel, or silence, is a
 * no.
 *
 *   main                              worker
 *   users (parts), prepare  ------->  judges, keeps it aside
 *                           <-------  changed, or changed with a reason
 *   commit, or rollback     ------->  takes it over, or forgets it
 *                           <-------  changed
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "common/alarms.h"
#include "common/ask.h"
#include "common/fatal.h"
#include "common/gather.h"
#include "common/log.h"
#include "common/print_json.h"
#include "common/verb.h"
#include "edge/edge.h"

enum { RELOAD_PATIENCE_MS = 60000 };

static const double reload_patience = 15; /* seconds for workers to prepare, and to commit */
static const double word_patience = 30;   /* seconds for core to say how it ended: longer than core waits */

struct edge_reload {
    struct edge *edge;
    struct request *request;
    struct gather *gather;
    struct box fresh;     /* as it was read */
    struct config merged; /* what will be in force */
    char waiting[512];    /* keys that a restart is needed for */
    char why[SCHEMA_WHY];
    bool failed;                        /* in main itself, why says how */
    pid_t asked[LISTENERS_WORKERS_MAX]; /* the processes that were asked to prepare */
    /* From a core: */
    long carrier;  /* the control channel; 0: from the files */
    long revision; /* as core says */
    char core[64];
    bool same;     /* it is in force */
    bool prepared; /* core has been told so: it has the word */
    ev_timer word;
};

void edge_reload_free(struct edge_reload *r)
{
    if (!r)
        return;
    if (r->gather)
        gather_cancel(r->gather);
    r->edge->reload = NULL;
    ev_timer_stop(r->edge->loop, &r->word);
    box_close(&r->fresh);
    config_free(&r->merged);
    free(r);
}

/* The end of both ways; systemd is told that we are ready again. */
static void reload_end(struct edge_reload *r, json_t *answer)
{
    struct request *request = r->request;
    r->gather = NULL; /* frees itself after it has called us */
    edge_reload_free(r);
    sd_notify(0, "READY=1");
    request_answer(request, answer);
}

/* Why may quote keys and values of the text, which a core may have brought. */
static void reload_refuse(struct edge_reload *r)
{
    char quoted[2 * sizeof r->why];
    log_quote(r->why, strlen(r->why), quoted, sizeof quoted);
    if (r->carrier) {
        log_event(LOG_WARNING, "Config Refused", "core=%s revision=%ld reason=%s", r->core, r->revision,
                  quoted);
        if (!r->prepared)
            attachments_config_answer(r->edge->attachments, r->carrier, false, r->revision, r->why, "");
    } else {
        log_event(LOG_WARNING, "Reload Refused", "reason=%s", quoted);
        alarm_raise(ALARM_CONFIG_REFUSED, BOX_CONFIG, r->why);
    }
    reload_end(
        r, json_pack("{ss so}", "type", "error", "reason", json_sprintf("%s; nothing was changed", r->why)));
}

/* Committing --------------------------------------------------------------------------------------------- */

static json_t *reload_prepare_message(const struct edge *e, const struct config *c,
                                      const struct secrets *secrets, struct worker *w, char *why)
{
    json_t *config = edge_turn_config(e, c, secrets, worker_index(w), why);
    if (!config)
        return NULL;
    edge_users_send(e, secrets, w);
    return json_pack("{ss so}", "type", "prepare", "config", config);
}

/* One that was started since it would have been asked had its setup from what was in force then. */
static json_t *reload_commit_message(void *reload, struct worker *w)
{
    struct edge_reload *r = reload;
    const struct box *box = r->edge->box;
    if (r->asked[worker_index(w)] != worker_pid(w)) {
        json_t *prepare = reload_prepare_message(r->edge, &box->config, &box->secrets, w, r->why);
        if (prepare)
            (void)worker_send(w, prepare, NULL, 0);
    }
    return json_pack("{ss}", "type", "commit");
}

static void reload_committed(void *reload, json_t *results)
{
    struct edge_reload *r = reload;
    const struct edge *e = r->edge;
    size_t i, taken = 0;
    json_t *result;
    json_array_foreach (results, i, result) {
        const char *reason = json_string_value(json_object_get(result, "reason"));
        if (reason) /* memory ran out: what it has is between the old and the new */
            log_event(LOG_ERR, "Config Not Taken Over", "worker=%s reason=\"%s\"",
                      json_string_value(json_object_get(result, "worker")), reason);
        else
            taken++;
    }
    alarm_clear(ALARM_CONFIG_REFUSED, BOX_CONFIG);
    log_event(LOG_NOTICE, "Config Reloaded", "revision=%ld from=\"%s\" turn_workers=%zu needs_restart=\"%s\"",
              e->box->config.revision, r->carrier ? r->core : "file", taken, r->waiting);
    if (r->carrier)
        attachments_config_answer(e->attachments, r->carrier, true, r->revision, NULL, r->waiting);
    reload_end(r, json_pack("{ss sI sI sI ss ss}", "type", "reload", "revision",
                            (json_int_t)e->box->config.revision, "turn_workers", (json_int_t)e->n_turn,
                            "taken", (json_int_t)taken, "needs_restart", r->waiting, "database_problem",
                            e->users ? "" : e->users_problem));
}

/* What a core brought is this box's stile.json from now on; where it cannot be written, it is brought again
 * after the next start. */
static void reload_save(struct edge_reload *r)
{
    struct edge *e = r->edge;
    *e->config_unsaved = '\0';
    if (r->carrier && box_replace_config(e->box, r->fresh.config.text, e->config_unsaved) != ERR_OK)
        log_event(LOG_WARNING, "Config Not Saved", "core=%s reason=\"%s\"", r->core, e->config_unsaved);
    if (r->carrier)
        config_watch_seen(&e->watch);
    if (r->carrier || !*e->config_from || e->box->config.revision != r->fresh.config.revision)
        snprintf(e->config_from, sizeof e->config_from, "%s", r->core);
    snprintf(e->config_waiting, sizeof e->config_waiting, "%s", r->waiting);
}

/* Which cores may come in. */
static void reload_cores(struct edge *e)
{
    char why[SCHEMA_WHY];
    if (sshd_update_keys(e->sshd, why) != ERR_OK)
        log_event(LOG_ERR, "Keys Of Cores Not Taken Over", "reason=\"%s\"", why);
    attachments_drop_cores(e->attachments);
}

static void reload_commit(struct edge_reload *r)
{
    struct edge *e = r->edge;
    struct box *box = &e->daemon.box;
    struct config old = box->config;
    struct secrets old_secrets = box->secrets;
    bool other_cores =
        !json_equal(json_object_get(box->config.json, "cores"), json_object_get(r->merged.json, "cores"));
    reload_save(r);
    box->config = r->merged;
    r->merged = old;
    box->secrets = r->fresh.secrets;
    r->fresh.secrets = old_secrets;
    e->self = config_edge_find(&box->config, box->name);
    REQUIRE(e->self);
    daemon_open_syslog(&e->daemon);
    edge_admin_configure(e);
    if (other_cores)
        reload_cores(e);
    edge_bans_configure(e);
    edge_access_log_reopen(e);
    edge_web_limits(e);
    r->gather =
        gather_ask(e->loop, e->turn, e->n_turn, reload_commit_message, reload_patience, reload_committed, r);
    if (r->gather)
        return;
    reload_committed(r, NULL); /* out of memory: said as "0 of N" */
}

/* Preparing ---------------------------------------------------------------------------------------------- */

static void reload_roll_back(const struct edge_reload *r)
{
    const struct edge *e = r->edge;
    for (size_t i = 0; i < e->n_turn; i++)
        if (e->turn[i] && worker_running(e->turn[i]))
            (void)worker_send(e->turn[i], json_pack("{ss}", "type", "rollback"), NULL, 0);
}

static bool reload_has_answer(const json_t *results, const char *worker)
{
    size_t i;
    json_t *result;
    json_array_foreach (results, i, result)
        if (strcmp(json_string_value(json_object_get(result, "worker")), worker) == 0)
            return true;
    return false;
}

/* False when a worker that still runs said no, or nothing. */
static bool reload_all_agree(struct edge_reload *r, const json_t *results)
{
    const struct edge *e = r->edge;
    size_t i;
    json_t *result;
    json_array_foreach (results, i, result) {
        const char *reason = json_string_value(json_object_get(result, "reason"));
        if (!reason)
            continue;
        snprintf(r->why, sizeof r->why, "turn: %s", reason);
        return false;
    }
    for (i = 0; i < e->n_turn; i++) {
        const struct worker *w = e->turn[i];
        if (!w || !r->asked[i] || worker_pid(w) != r->asked[i] || reload_has_answer(results, worker_name(w)))
            continue;
        snprintf(r->why, sizeof r->why, "worker %s does not answer", worker_name(w));
        return false;
    }
    return true;
}

/* What a core brings, once it is prepared ---------------------------------------------------------------- */

static void reload_give_up(struct edge_reload *r, const char *words)
{
    snprintf(r->why, sizeof r->why, "%s", words);
    if (!r->same)
        reload_roll_back(r);
    reload_refuse(r);
}

static void reload_on_silence(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    reload_give_up(t->data, "core did not say how it ended");
}

static void reload_await_word(struct edge_reload *r)
{
    struct edge *e = r->edge;
    if (!attachments_has(e->attachments, r->carrier)) {
        reload_give_up(r, "the tunnel that brought it is gone");
        return;
    }
    r->prepared = true;
    ev_timer_set(&r->word, word_patience, 0);
    ev_timer_start(e->loop, &r->word);
    attachments_config_answer(e->attachments, r->carrier, false, r->revision, NULL, r->waiting);
}

void edge_carry_end(void *edge, long id, long revision, bool commit)
{
    struct edge *e = edge;
    struct edge_reload *r = e->reload;
    bool ours = r && r->carrier == id && r->prepared && !r->gather;
    if (ours && commit && revision == r->revision) {
        ev_timer_stop(e->loop, &r->word);
        if (!r->same) {
            reload_commit(r);
            return;
        }
        attachments_config_answer(e->attachments, id, true, revision, NULL, r->waiting);
        reload_end(r, NULL);
    } else if (ours && !commit) {
        reload_give_up(r, "core took it back: another box refused it, or the tunnel is gone");
    } else if (commit) {
        attachments_config_answer(e->attachments, id, true, revision, "no such config is prepared", "");
    }
}

static void reload_prepared(void *reload, json_t *results)
{
    struct edge_reload *r = reload;
    r->gather = NULL;
    if (r->failed || !reload_all_agree(r, results)) {
        reload_roll_back(r);
        reload_refuse(r);
    } else if (r->carrier) {
        reload_await_word(r);
    } else {
        reload_commit(r);
    }
}

static json_t *reload_ask(void *reload, struct worker *w)
{
    struct edge_reload *r = reload;
    if (!worker_running(w))
        return NULL;
    json_t *msg = reload_prepare_message(r->edge, &r->merged, &r->fresh.secrets, w, r->why);
    r->asked[worker_index(w)] = msg ? worker_pid(w) : 0;
    r->failed |= !msg;
    return msg;
}

static enum err reload_judge(struct edge_reload *r)
{
    struct turn_config judged;
    enum err err = edge_turn_judge(r->edge, &r->merged, &r->fresh.secrets, &judged, r->why);
    if (err == ERR_OK)
        turn_config_free(&judged);
    return err;
}

static enum err reload_revision_problem(struct edge_reload *r, const char *words)
{
    char path[PATH_MAX];
    struct schema_source source = {.file = box_file(r->edge->box, BOX_CONFIG, path),
                                   .text = r->fresh.config.text};
    return schema_problem(&source, "/revision", r->why, "%s", words);
}

/* The config in force and the one that was read say the same. */
static bool reload_is_same(const struct edge_reload *r)
{
    json_t *running = json_loads(r->edge->box->config.text, 0, NULL);
    bool same = json_equal(running, r->fresh.config.json);
    json_decref(running);
    return same;
}

/* Revisions count up, so that an older core, or a file that was left behind, does not undo a change. */
static enum err reload_judge_revision(struct edge_reload *r)
{
    const struct edge *e = r->edge;
    long now = e->box->config.revision, next = r->fresh.config.revision;
    const char *from = *e->config_from ? e->config_from : "its own file";
    char words[200];
    if (r->carrier && next != r->revision) {
        snprintf(words, sizeof words, "%ld is not what core calls it, %ld", next, r->revision);
    } else if (next < now) {
        snprintf(words, sizeof words, "%ld is below %ld, which is in force from %s; it must count up", next,
                 now, from);
    } else if (r->carrier && next == now && !(r->same = reload_is_same(r))) {
        snprintf(words, sizeof words, "%ld is in force from %s with another config; give %s's a higher one",
                 now, from, r->core);
    } else {
        return ERR_OK;
    }
    return reload_revision_problem(r, words);
}

/* The files as they are now, or with core's text. A stile.json that could not be replaced by what a core
 * brought is not looked at, unless somebody has gone on from there. */
static enum err reload_load(struct edge_reload *r, const char *text)
{
    const struct edge *e = r->edge;
    enum err err = box_load_text(e->box, NULL, text, &r->fresh, r->why);
    if (err != ERR_OK || text || !*e->config_unsaved || r->fresh.config.revision >= e->box->config.revision)
        return err;
    box_close(&r->fresh);
    return box_load_text(e->box, NULL, e->box->config.text, &r->fresh, r->why);
}

/* Judged; and what of it can be taken over. */
static enum err reload_read(struct edge_reload *r, const char *text)
{
    const struct edge *e = r->edge;
    enum err err = reload_load(r, text);
    if (err == ERR_OK)
        err = reload_judge_revision(r);
    if (err != ERR_OK)
        return err;
    if (!config_edge_find(&r->fresh.config, e->box->name)) {
        char path[PATH_MAX];
        snprintf(r->why, sizeof r->why, "%s has no edge named \"%s\" any more",
                 box_file(e->box, BOX_CONFIG, path), e->box->name);
        return ERR_CONFIG;
    }
    bool from_core = r->carrier || *e->config_from;
    err = config_merge(&e->box->config, &r->fresh.config, e->box->name, from_core, &r->merged, r->waiting,
                       sizeof r->waiting, r->why);
    if (err == ERR_OK && e->n_turn > 0)
        err = reload_judge(r);
    if (err != ERR_OK || strcmp(r->fresh.name, e->box->name) == 0)
        return err;
    size_t n = strlen(r->waiting);
    snprintf(r->waiting + n, sizeof r->waiting - n, "%sthe file identity", n ? ", " : "");
    return ERR_OK;
}

static struct edge_reload *reload_new(struct edge *e, struct request *request)
{
    struct edge_reload *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->edge = e;
    r->request = request;
    ev_init(&r->word, reload_on_silence);
    r->word.data = r;
    e->reload = r;
    return r;
}

static void reload_begin(struct edge_reload *r, const char *text)
{
    struct edge *e = r->edge;
    (void)edge_users_refresh(e);
    if (reload_read(r, text) != ERR_OK) {
        reload_refuse(r);
        return;
    }
    if (r->same) {
        reload_await_word(r);
        return;
    }
    r->gather = gather_ask(e->loop, e->turn, e->n_turn, reload_ask, reload_patience, reload_prepared, r);
    if (!r->gather) {
        snprintf(r->why, sizeof r->why, "out of memory");
        reload_refuse(r);
    }
}

void edge_reload_request(void *edge, struct request *request, const json_t *msg)
{
    struct edge_reload *r = reload_new(edge, request);
    (void)msg;
    if (!r) {
        request_refuse(request, "out of memory; nothing was changed");
        return;
    }
    daemon_tell_reloading();
    config_watch_seen(&r->edge->watch);
    reload_begin(r, NULL);
}

/* Behind reloads and the like that are under way: they run alone. */
void edge_carry_begin(void *edge, long id, const char *core, long revision, const char *text)
{
    struct edge *e = edge;
    if (e->requests && !e->stopping)
        requests_submit(e->requests,
                        json_pack("{ss sI ss sI ss}", "type", "config_carry", "id", (json_int_t)id, "core",
                                  core, "revision", (json_int_t)revision, "text", text));
    else
        attachments_config_answer(e->attachments, id, false, revision, "the edge is starting or stopping",
                                  "");
}

void edge_carry_request(void *edge, struct request *request, const json_t *msg)
{
    struct edge *e = edge;
    long id = (long)json_integer_value(json_object_get(msg, "id"));
    const char *core = json_string_value(json_object_get(msg, "core")),
               *text = json_string_value(json_object_get(msg, "text"));
    struct edge_reload *r =
        core && text && attachments_has(e->attachments, id) ? reload_new(e, request) : NULL;
    if (!r) {
        request_refuse(request, "no core waits for it, or out of memory");
        return;
    }
    r->carrier = id;
    r->revision = (long)json_integer_value(json_object_get(msg, "revision"));
    snprintf(r->core, sizeof r->core, "%s", core);
    reload_begin(r, text);
}

/* The command -------------------------------------------------------------------------------------------- */

static const char help[] =
    "reload [--dir DIR] [--run-dir DIR] [--json]\n"
    "\n"
    "The running edge reads stile.json and secrets.json again and takes over the settings of TURN, of bans,\n"
    "of web_limits, of HSTS and of load balancers, and the other edges, all of them or none, without "
    "touching\n"
    "calls that are going on. Keys that need a restart are named. The access log is opened anew.\n"
    "\n"
    "  --dir DIR      the box's folder (default /etc/stile)\n"
    "  --run-dir DIR  its sockets (default /run/stile for /etc/stile, else DIR/run)\n"
    "  --json         for programs\n";

static int reload_show(json_t *answer, bool as_json)
{
    const char *waiting = json_string_value(json_object_get(answer, "needs_restart"));
    const char *problem = json_string_value(json_object_get(answer, "database_problem"));
    json_int_t taken = json_integer_value(json_object_get(answer, "taken"));
    json_int_t workers = json_integer_value(json_object_get(answer, "turn_workers"));
    if (as_json) {
        int status = print_json(answer);
        return taken == workers ? status : EXIT_FAILED;
    }
    printf("reloaded: revision %lld, taken over by %lld of %lld TURN workers\n",
           (long long)json_integer_value(json_object_get(answer, "revision")), (long long)taken,
           (long long)workers);
    if (waiting && *waiting)
        printf("waiting for a restart: %s\n", waiting);
    if (problem && *problem)
        fprintf(stderr, "stile-edge reload: warning: the database of users does not work: %s\n", problem);
    return taken == workers ? EXIT_OK : EXIT_FAILED;
}

int edge_reload_command(int argc, char **argv)
{
    struct ask a = {.verb = "reload",
                    .help = help,
                    .socket = BOX_EDGE_SOCKET,
                    .patience_ms = RELOAD_PATIENCE_MS,
                    .has_json = true};
    int status;
    json_t *answer = ask_daemon(argc, argv, &a, &status);
    if (!answer)
        return status;
    status = reload_show(answer, a.as_json);
    json_decref(answer);
    return status;
}
