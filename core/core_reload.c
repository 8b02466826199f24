/*
 * Changes while requests run: the files are read and judged as a whole, as at the start; only if all of it is
 * right, all of it is taken over, and with it the workers. Otherwise nothing has changed and the answer says
 * why. What workers and edges are told was judged here by the same code as theirs, so they have nothing left
 * to refuse; a worker that lacks memory for it is started again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "common/ask.h"
#include "common/file.h"
#include "common/log.h"
#include "common/verb.h"
#include "core/core.h"

enum { CONFIG_MAX = 4 * 1024 * 1024, RELOAD_PATIENCE_MS = 60000 };

struct reload {
    struct core *core;
    struct box fresh; /* as it was read */
    struct core_material material;
    const char *waiting; /* what a restart is needed for */
    char why[SCHEMA_WHY];
};

/* Reading and judging ------------------------------------------------------------------------------------ */

/* The answer for a revision that should have been higher, with its line. */
static enum err reload_wrong_revision(struct reload *r, const char *words)
{
    char path[PATH_MAX], *text;
    struct schema_source source = {box_file(&r->fresh, BOX_CONFIG, path), ""};
    enum err e = file_read(path, CONFIG_MAX, &text, NULL, r->why, sizeof r->why);
    if (e != ERR_OK)
        return e;
    source.text = text;
    e = schema_problem(&source, "/revision", r->why, "%s", words);
    free(text);
    return e;
}

/* Edges tell policies apart by their revision, and take no other under one that they know. */
static enum err reload_judge_revision(struct reload *r)
{
    const struct core *c = r->core;
    long now = c->box->config.revision, next = r->fresh.config.revision;
    char words[160];
    if (next < now) {
        snprintf(words, sizeof words, "%ld is below %ld, which is in force; it must count up", next, now);
        return reload_wrong_revision(r, words);
    }
    if (next > now || json_equal(c->material.told, r->material.told))
        return ERR_OK;
    snprintf(words, sizeof words,
             "%ld is in force already, but what guests may ask for has changed; make it %ld", now, now + 1);
    return reload_wrong_revision(r, words);
}

static enum err reload_read(struct reload *r)
{
    const struct box *box = r->core->box;
    enum err e = box_load_again(box, &r->fresh, r->why);
    if (e == ERR_OK)
        e = core_material_load(r->core, &r->fresh, &r->material, r->why);
    if (e == ERR_OK)
        e = reload_judge_revision(r);
    if (e == ERR_OK && strcmp(r->fresh.name, box->name) != 0)
        r->waiting = "the file identity";
    return e;
}

/* Taking over -------------------------------------------------------------------------------------------- */

static json_t *reload_commit(struct reload *r)
{
    struct core *c = r->core;
    struct box *box = &c->daemon.box;
    struct box old = *box;
    struct core_material before = c->material;
    bool fresh_key = strcmp(before.client_key, r->material.client_key) != 0;
    box->config = r->fresh.config;
    box->secrets = r->fresh.secrets;
    r->fresh.config = old.config;
    r->fresh.secrets = old.secrets;
    c->material = r->material;
    r->material = before;
    struct core_tunnels_change change = core_tunnels_match(c, fresh_key);
    core_targets_replace(c, before.domains);
    log_event(LOG_NOTICE, "Config Reloaded",
              "revision=%ld tunnels_started=%zu tunnels_retired=%zu needs_restart=\"%s\"",
              box->config.revision, change.started, change.retired, r->waiting);
    return json_pack("{ss sI sI sI sI ss}", "type", "reload", "revision", (json_int_t)box->config.revision,
                     "kept", (json_int_t)change.kept, "started", (json_int_t)change.started, "retired",
                     (json_int_t)change.retired, "needs_restart", r->waiting);
}

static json_t *reload_refuse(const struct reload *r)
{
    log_event(LOG_WARNING, "Reload Refused", "reason=\"%s\"", r->why);
    return json_pack("{ss so}", "type", "error", "reason", json_sprintf("%s; nothing was changed", r->why));
}

void core_reload_request(void *core, struct request *request, const json_t *msg)
{
    struct reload *r = calloc(1, sizeof *r);
    (void)msg;
    if (!r) {
        request_refuse(request, "out of memory; nothing was changed");
        return;
    }
    daemon_tell_reloading();
    r->core = core;
    r->waiting = "";
    snprintf(r->why, sizeof r->why, "out of memory");
    json_t *answer = reload_read(r) == ERR_OK ? reload_commit(r) : reload_refuse(r);
    core_material_free(&r->material);
    box_close(&r->fresh);
    free(r);
    sd_notify(0, "READY=1");
    request_answer(request, answer);
}

/* The command -------------------------------------------------------------------------------------------- */

static const char reload_help[] =
    "reload [--dir DIR] [--run-dir DIR]\n"
    "\n"
    "The running core reads its files again and takes over what has changed, all of it or nothing, without\n"
    "touching requests that are going on. Edges are told a policy with a higher revision; tunnels to edges\n"
    "that were added are started, those to edges that were taken out end with what runs in them.\n"
    "\n"
    "  --dir DIR      the box's folder (default /etc/stile)\n"
    "  --run-dir DIR  its sockets (default /run/stile for /etc/stile, else DIR/run)\n";

int core_reload_command(int argc, char **argv)
{
    struct ask a = {
        .verb = "reload", .help = reload_help, .socket = BOX_CORE_SOCKET, .patience_ms = RELOAD_PATIENCE_MS};
    int status;
    json_t *answer = ask_daemon(argc, argv, &a, &status);
    if (!answer)
        return status;
    const char *waiting = json_string_value(json_object_get(answer, "needs_restart"));
    printf("reloaded: revision %lld; tunnels: %lld go on, %lld started, %lld end\n",
           (long long)json_integer_value(json_object_get(answer, "revision")),
           (long long)json_integer_value(json_object_get(answer, "kept")),
           (long long)json_integer_value(json_object_get(answer, "started")),
           (long long)json_integer_value(json_object_get(answer, "retired")));
    if (waiting && *waiting)
        printf("waiting for a restart: %s\n", waiting);
    json_decref(answer);
    return EXIT_OK;
}
