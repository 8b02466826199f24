#include "core/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "common/config_text.h"
#include "common/events_request.h"
#include "common/fatal.h"
#include "common/log.h"
#include "common/verb.h"
#include "core/core_change.h"

static const char run_help[] =
    "usage: stile-core run [--dir DIR] [--run-dir DIR] [--state-dir DIR] [--user NAME] [--log-level LEVEL]\n"
    "\n"
    "Runs core in the foreground; logs go to stderr.\n"
    "\n"
    "  --dir DIR          what 'stile-core init' made (default /etc/stile)\n"
    "  --run-dir DIR      sockets (default /run/stile for /etc/stile, else DIR/run)\n"
    "  --state-dir DIR    database (default /var/lib/stile for /etc/stile, else DIR/state)\n"
    "  --user NAME        whom to become when started as root (default stile)\n"
    "  --log-level LEVEL  error, warning, notice, info (default) or debug\n"
    "\n"
    "SIGTERM or Ctrl-C stops it; requests have as long to end as drain.core_seconds says. Once more: at once.\n"
    "SIGHUP reads the config and its files again, as 'stile-core reload' does.\n";

/* What our own tools may ask over the socket. */
static const struct request_verb core_verbs[] = {
    {"status", core_status_request, .alone = false},
    {"metrics", core_metrics_request, .alone = false},
    {"history", core_history_request, .alone = false},
    {"dns", core_dns_request, .alone = true},
    {"reload", core_reload_request, .alone = true},
    {"allow_list", core_allow_list_request, .alone = false},
    {"allow_test", core_allow_test_request, .alone = false},
    {"config_show", core_config_show_request, .alone = false},
    {"config_check", core_config_check_request, .alone = true},
    {"config_put", core_config_put_request, .alone = true},
    {"config_history", core_config_history_request, .alone = false},
    {"config_rollback", core_config_rollback_request, .alone = true},
    {"admin", core_admin_request, .alone = true},
    {"edge_list", core_edge_list_request, .alone = false},
    {"edge_add", core_edge_add_request, .alone = true},
    {"edge_remove", core_edge_remove_request, .alone = true},
    {"key_rotate", core_key_rotate_request, .alone = true},
    {"key_finish", core_key_finish_request, .alone = true},
    {"key_show", core_key_show_request, .alone = false},
    EVENTS_VERBS,
    {0}};

static void core_on_files(void *core)
{
    struct core *c = core;
    if (c->requests && !c->stopping)
        requests_submit(c->requests, json_pack("{ss ss}", "type", "reload", "by", "file"));
}

static enum err core_start(struct core *c, char *why)
{
    char path[PATH_MAX];
    enum err err = core_material_load(c, c->box, &c->material, why);
    if (err != ERR_OK) {
        struct schema_source source = {.file = box_file(c->box, BOX_CONFIG, path),
                                       .text = c->box->config.text};
        config_problem_place(&source, why);
        return err;
    }
    core_change_note(c, "file", "as it was at the start");
    config_watch_start(&c->watch, c->loop, c->box, core_on_files, c);
    c->resolver = resolver_new(c->loop);
    if (!c->resolver) {
        snprintf(why, SCHEMA_WHY, "the DNS resolver cannot start; is /etc/resolv.conf readable?");
        return ERR_SYSTEM;
    }
    err = core_keys_start(c, why);
    if (err == ERR_OK)
        err = core_rotation_start(c, why);
    if (err != ERR_OK)
        return err;
    core_targets_replace(c, NULL);
    (void)core_tunnels_match(c, false);
    err = requests_new(c->loop, box_run_file(c->box, BOX_CORE_SOCKET, path), core_verbs, c, &c->requests, why);
    if (err == ERR_OK) {
        core_history_start(c);
        core_admin_start(c);
    }
    return err;
}

static void core_on_hangup(void *core)
{
    struct core *c = core;
    if (c->requests && !c->stopping)
        requests_submit(c->requests, json_pack("{ss ss}", "type", "reload", "by", "SIGHUP"));
}

static void core_on_stopping(void *core)
{
    const struct core *c = core;
    char left[80];
    snprintf(left, sizeof left, "%zu tunnels with requests", core_tunnels_running(c));
    daemon_tell_left(&c->daemon, left);
}

static void core_stop(void *core)
{
    struct core *c = core;
    double seconds = (double)c->box->config.drain.core_seconds;
    if (c->stopping) {
        ev_break(c->loop, EVBREAK_ALL); /* asked twice: at once */
        return;
    }
    c->stopping = true;
    log_event(LOG_NOTICE, "Core Stopping", "name=%s drain_seconds=%.0f", c->box->name, seconds);
    daemon_tell_stopping(&c->daemon, seconds, core_on_stopping);
    core_tunnels_stop(c, seconds);
}

static void core_free(struct core *c)
{
    core_change_free(c->change);
    config_watch_stop(&c->watch);
    requests_free(c->requests);
    admin_free(c->admin);
    history_keeper_stop(c->history);
    core_tunnels_free(c);
    resolver_free(c->resolver);
    core_targets_stop(c);
    core_keys_stop(c);
    core_material_free(&c->material);
    daemon_end(&c->daemon);
    free(c);
}

static enum err core_run(struct core *c, const struct daemon_options *options, char *why)
{
    enum err err = daemon_begin(&c->daemon, options, why);
    c->loop = c->daemon.loop;
    c->box = &c->daemon.box;
    core_tunnels_init(c);
    core_targets_init(c);
    if (err == ERR_OK)
        err = core_start(c, why);
    if (err != ERR_OK)
        return err;
    log_event(LOG_NOTICE, "Core Started", "name=%s version=%s revision=%ld tunnels=%zu", c->box->name,
              STILE_VERSION, c->box->config.revision, c->n_tunnels);
    sd_notify(0, "READY=1");
    ev_run(c->loop, 0);
    log_event(LOG_NOTICE, "Core Stopped", "name=%s", c->box->name);
    return ERR_OK;
}

int core_run_command(int argc, char **argv)
{
    struct daemon_options options;
    char why[SCHEMA_WHY] = "out of memory";
    int status;
    log_set_process("core");
    if (!daemon_parse(argc, argv, run_help, &options, &status))
        return status;
    struct core *c = xcalloc(1, sizeof *c);
    c->daemon.keep_low_ports = true; /* the admin service's */
    c->daemon.on_stop = core_stop;
    c->daemon.on_reload = core_on_hangup;
    c->daemon.ctx = c;
    enum err err = core_run(c, &options, why);
    if (err != ERR_OK)
        fprintf(stderr, "stile-core run: %s\n", why);
    core_free(c);
    return err == ERR_OK ? EXIT_OK : EXIT_FAILED;
}
