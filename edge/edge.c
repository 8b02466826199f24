#include "edge/edge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/events_request.h"
#include "common/fatal.h"
#include "common/log.h"
#include "common/verb.h"

static const char run_help[] =
    "usage: stile-edge run [--dir DIR] [--run-dir DIR] [--state-dir DIR] [--user NAME] [--log-level LEVEL]\n"
    "\n"
    "Runs the edge in the foreground; logs go to stderr.\n"
    "\n"
    "  --dir DIR          what 'stile-edge join' made (default /etc/stile)\n"
    "  --run-dir DIR      sockets (default /run/stile for /etc/stile, else DIR/run)\n"
    "  --state-dir DIR    database (default /var/lib/stile for /etc/stile, else DIR/state)\n"
    "  --user NAME        whom to become when started as root (default stile)\n"
    "  --log-level LEVEL  error, warning, notice, info (default) or debug\n"
    "\n"
    "SIGTERM or Ctrl-C stops it; what runs has as long to end as drain.edge_seconds says. Once more: at once.\n"
    "SIGHUP reads the config and the secrets again, as 'stile-edge reload' does.\n";

static void edge_on_hangup(void *edge)
{
    struct edge *e = edge;
    if (e->requests && !e->stopping)
        requests_submit(e->requests, json_pack("{ss ss}", "type", "reload", "by", "SIGHUP"));
}

static void edge_on_files(void *edge)
{
    struct edge *e = edge;
    if (e->requests && !e->stopping)
        requests_submit(e->requests, json_pack("{ss ss}", "type", "reload", "by", "file"));
}

/* What our own tools may ask over the socket. */
static const struct request_verb edge_verbs[] = {{"status", edge_status_request, .alone = false},
                                                 {"metrics", edge_metrics_request, .alone = false},
                                                 {"history", edge_history_request, .alone = false},
                                                 {"user", edge_users_request, .alone = true},
                                                 {"ban", edge_bans_request, .alone = true},
                                                 {"relay", edge_relay_request, .alone = false},
                                                 {"config_show", edge_config_show_request, .alone = false},
                                                 {"config_carry", edge_carry_request, .alone = true},
                                                 {"reload", edge_reload_request, .alone = true},
                                                 {"hosts", edge_web_hosts_request, .alone = false},
                                                 {"admin", edge_admin_request, .alone = true},
                                                 EVENTS_VERBS,
                                                 {0}};

/* Starting ---------------------------------------------------------------------------------------------- */

static struct control_self edge_control_self(void *edge)
{
    const struct edge *e = edge;
    return (struct control_self){
        .edge = e->box->name,
        .data_channels = (unsigned)e->n_web,
        .revision = e->policy_revision,
        .config_revision = e->box->config.revision,
    };
}

static void edge_on_tunnel(void *edge, const char *core, unsigned tunnel, const char *reason)
{
    struct edge *e = edge;
    (void)tunnel;
    edge_tunnels_changed(e, core, reason);
    if (!reason) /* up: this core's address is exempt */
        edge_bans_configure(e);
}

static bool edge_key_counts(void *edge, const char *name, const char *key)
{
    const struct edge *e = edge;
    const struct config_core *core = config_core_find(&e->box->config, name);
    const char *keys[CORE_KEYS_MAX];
    size_t n = core ? core_keys_of(&e->core_keys, core, keys) : 0;
    while (n-- > 0)
        if (strcmp(keys[n], key) == 0)
            return true;
    return false;
}

static const struct attachments_events edge_attachment_events = {.uplink = edge_web_uplink,
                                                                 .uplink_close = edge_web_uplink_close,
                                                                 .policy = edge_web_policy,
                                                                 .config = edge_carry_begin,
                                                                 .config_end = edge_carry_end,
                                                                 .key_counts = edge_key_counts,
                                                                 .keys = edge_keys_heard,
                                                                 .tunnel_changed = edge_on_tunnel,
                                                                 .self = edge_control_self};

static enum err edge_find_self(struct edge *e, char *why)
{
    char path[PATH_MAX];
    e->self = config_edge_find(&e->box->config, e->box->name);
    if (e->self)
        return ERR_OK;
    snprintf(why, SCHEMA_WHY,
             "%s has no edge named \"%s\"; is this a core's folder, or was the edge renamed?",
             box_file(e->box, BOX_CONFIG, path), e->box->name);
    return ERR_CONFIG;
}

static enum err edge_start(struct edge *e, char *why)
{
    char path[PATH_MAX];
    edge_users_open(e);
    enum err err = edge_bans_start(e, why);
    if (err == ERR_OK)
        err = edge_web_start(e, why);
    if (err == ERR_OK && e->box->config.turn.enabled)
        err = edge_turn_start(e, why);
    if (err == ERR_OK)
        err = attachments_new(e->loop, e->box, &edge_attachment_events, e, &e->attachments, why);
    if (err == ERR_OK)
        edge_tunnels_start(e);
    if (err == ERR_OK)
        err = edge_keys_start(e, why);
    if (err == ERR_OK)
        err = sshd_start(e->loop, e->box, e->self, &e->core_keys, &e->sshd, why);
    if (err == ERR_OK)
        err = requests_new(e->loop, box_run_file(e->box, BOX_EDGE_SOCKET, path), edge_verbs, e, &e->requests,
                           why);
    if (err == ERR_OK)
        config_watch_start(&e->watch, e->loop, e->box, edge_on_files, e);
    /* A tool that found nobody here may have changed the database since it was read. */
    if (err == ERR_OK && edge_users_refresh(e))
        requests_submit(e->requests, json_pack("{ss}", "type", "reload"));
    if (err == ERR_OK) {
        edge_history_start(e);
        edge_admin_start(e);
    }
    return err;
}

static void edge_free(struct edge *e)
{
    if (e->attachments) {
        attachments_say_bye(e->attachments, "the edge is stopping");
        ev_run(e->loop,
               EVRUN_NOWAIT); /* lets the goodbyes out; the last round, while everything is still there */
    }
    e->stopping = true; /* the end of the tunnels is no alarm now */
    edge_stop_end(e);
    edge_tunnels_stop(e);
    attachments_free(e->attachments);
    sshd_stop(e->sshd);
    edge_keys_stop(e);
    edge_reload_free(e->reload);
    config_watch_stop(&e->watch);
    requests_free(e->requests);
    admin_free(e->admin);
    history_keeper_stop(e->history);
    for (size_t i = 0; i < e->n_web; i++)
        worker_free(e->web[i]);
    for (size_t i = 0; i < e->n_turn; i++)
        worker_free(e->turn[i]);
    web_listeners_close(e->web_listeners, e->n_web);
    turn_listeners_close(e->turn_listeners, e->n_turn);
    edge_addresses_stop(e);
    if (e->turn_shared >= 0)
        close(e->turn_shared);
    for (size_t i = 0; i < e->n_turn; i++)
        for (int end = 0; end < 2; end++)
            if (e->turn_mailboxes[i][end] > 0)
                close(e->turn_mailboxes[i][end]);
    json_decref(e->allowlist);
    json_decref(e->join_hosts);
    users_close(e->users);
    edge_bans_stop(e);
    edge_certificate_stop(e);
    edge_acme_stop(e);
    daemon_end(&e->daemon);
    free(e);
}

static enum err edge_run(struct edge *e, const struct daemon_options *options, char *why)
{
    enum err err = daemon_begin(&e->daemon, options, why);
    e->loop = e->daemon.loop;
    e->box = &e->daemon.box;
    if (err == ERR_OK)
        err = edge_find_self(e, why);
    if (err == ERR_OK)
        err = edge_start(e, why);
    if (err != ERR_OK)
        return err;
    log_event(LOG_NOTICE, "Edge Started",
              "name=%s version=%s revision=%ld https_port=%ld ssh_port=%ld web_workers=%zu "
              "turn_workers=%zu",
              e->box->name, STILE_VERSION, e->policy_revision, e->self->https_port, e->self->ssh_port,
              e->n_web, e->n_turn);
    sd_notify(0, "READY=1");
    ev_run(e->loop, 0);
    log_event(LOG_NOTICE, "Edge Stopped", "name=%s", e->box->name);
    return ERR_OK;
}

int edge_run_command(int argc, char **argv)
{
    struct daemon_options options;
    char why[SCHEMA_WHY] = "out of memory";
    int status;
    log_set_process("edge");
    if (!daemon_parse(argc, argv, run_help, &options, &status))
        return status;
    struct edge *e = xcalloc(1, sizeof *e);
    e->turn_shared = -1;
    e->daemon.keep_low_ports = true;
    e->daemon.on_stop = edge_stop;
    e->daemon.on_reload = edge_on_hangup;
    e->daemon.ctx = e;
    enum err err = edge_run(e, &options, why);
    if (err != ERR_OK)
        fprintf(stderr, "stile-edge run: %s\n", why);
    edge_free(e);
    return err == ERR_OK ? EXIT_OK : EXIT_FAILED;
}
