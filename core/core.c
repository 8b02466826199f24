#include "core/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "common/fatal.h"
#include "common/file.h"
#include "common/gather.h"
#include "common/log.h"
#include "common/text.h"
#include "common/verb.h"
#include "proto/policy.h"

static const double stop_grace = 3;

static const char run_help[] =
    "usage: stile-core run [--dir DIR] [--run-dir DIR] [--user NAME] [--log-level LEVEL]\n"
    "\n"
    "Runs core in the foreground; logs go to stderr.\n"
    "\n"
    "  --dir DIR          what 'stile-core init' made (default /etc/stile)\n"
    "  --run-dir DIR      sockets (default /run/stile for /etc/stile, else DIR/run)\n"
    "  --user NAME        whom to become when started as root (default stile)\n"
    "  --log-level LEVEL  error, warning, notice, info (default) or debug\n"
    "\n"
    "SIGTERM or Ctrl-C stops it, giving requests 3 seconds to end.\n";

/* Tunnel workers ----------------------------------------------------------------------------------------- */

static struct core_tunnel *core_tunnel_of(struct core *c, const struct worker *w)
{
    return &c->tunnels[worker_index(w)];
}

static json_t *core_policy(const struct core *c)
{
    return json_pack("{sI ss so sO}", "revision", (json_int_t)c->box->config.revision, "join_url",
                     c->box->config.join_url, "join_urls", policy_join_urls(&c->box->config), "allowlist",
                     c->allowlist);
}

static void core_tunnel_on_start(void *core, struct worker *w)
{
    struct core *c = core;
    const struct core_tunnel *t = core_tunnel_of(c, w);
    const struct config_edge *edge = config_edge_at(&c->box->config, t->edge);
    json_t *msg =
        json_pack("{ss ss s{ss ss si ss} si ss sI so sO so si}", "type", "setup", "core", c->box->name,
                  "edge", "name", edge->name, "host", edge->ssh_host, "port", edge->ssh_target_port,
                  "host_key", edge->host_key, "index", (int)t->index, "client_key", c->client_key, "revision",
                  (json_int_t)c->box->config.revision, "policy", core_policy(c), "allowlist", c->allowlist,
                  "domains", domains_policy(c->domains, &c->policy), "log_level", daemon_log_level());
    enum err err = worker_send(w, msg, NULL, 0);
    for (size_t i = 0; i < domains_count(c->domains) && err == ERR_OK; i++)
        err = worker_send(w, domains_targets(c->domains, i), NULL, 0);
    if (err != ERR_OK)
        log_event(LOG_ERR, "Worker Not Set Up", "worker=%s", worker_name(w));
}

static void core_tunnel_set_state(struct core_tunnel *t, const char *state, const char *reason, double now)
{
    if (strcmp(t->state, state) != 0)
        t->since = now;
    snprintf(t->state, sizeof t->state, "%s", state);
    text_copy(t->reason, sizeof t->reason, reason);
}

static void core_tunnel_on_state(struct core *c, struct core_tunnel *t, const json_t *msg)
{
    const char *state = json_string_value(json_object_get(msg, "state"));
    const char *reason = json_string_value(json_object_get(msg, "reason"));
    const struct config_edge *edge = config_edge_at(&c->box->config, t->edge);
    bool was_active = strcmp(t->state, "active") == 0, active = state && strcmp(state, "active") == 0;
    char before[sizeof t->reason];
    if (!state)
        return;
    memcpy(before, t->reason, sizeof before);
    core_tunnel_set_state(t, state, reason, ev_now(c->loop));
    reason = t->reason;
    if (active && !was_active)
        log_event(LOG_NOTICE, "Tunnel Up", "edge=%s tunnel=%u target=%s", edge->name, t->index, edge->ssh);
    else if (!active && *reason && (was_active || strcmp(before, reason) != 0))
        log_event(LOG_WARNING, "Tunnel Down", "edge=%s tunnel=%u target=%s reason=\"%s\"", edge->name,
                  t->index, edge->ssh, reason);
}

static void core_tunnel_on_target_failed(struct core *c, const json_t *msg)
{
    struct netaddr addr;
    const char *address = json_string_value(json_object_get(msg, "address"));
    const char *domain = json_string_value(json_object_get(msg, "domain"));
    if (!domain || !address || netaddr_parse(address, 0, &addr) != ERR_OK)
        return;
    addr.port = (uint16_t)json_integer_value(json_object_get(msg, "port"));
    domains_hint_failed(c->domains, domain, &addr);
}

static void core_tunnel_on_message(void *core, struct worker *w, const char *type, json_t *msg, int *fds,
                                   size_t n_fds)
{
    struct core *c = core;
    (void)fds, (void)n_fds;
    if (strcmp(type, "status") == 0)
        gather_message(w, msg);
    else if (strcmp(type, "state") == 0)
        core_tunnel_on_state(c, core_tunnel_of(c, w), msg);
    else if (strcmp(type, "target_failed") == 0)
        core_tunnel_on_target_failed(c, msg);
}

static bool core_any_worker(const struct core *c)
{
    for (size_t i = 0; i < c->n_tunnels; i++)
        if (c->tunnels[i].worker && worker_running(c->tunnels[i].worker))
            return true;
    return false;
}

static void core_tunnel_on_exit(void *core, struct worker *w, const char *how, bool stopped)
{
    struct core *c = core;
    char reason[160];
    snprintf(reason, sizeof reason, "its worker process was %s", how);
    if (!stopped)
        core_tunnel_set_state(core_tunnel_of(c, w), "failed", reason, ev_now(c->loop));
    if (c->stopping && !core_any_worker(c))
        ev_break(c->loop, EVBREAK_ALL);
}

static const struct worker_events core_tunnel_events = {core_tunnel_on_start, core_tunnel_on_message,
                                                        core_tunnel_on_exit};

static void core_on_targets(void *core, size_t domain)
{
    struct core *c = core;
    for (size_t i = 0; i < c->n_tunnels; i++)
        if (c->tunnels[i].worker)
            (void)worker_send(c->tunnels[i].worker, domains_targets(c->domains, domain), NULL,
                              0); /* one that is down gets them in its setup */
}

static const struct domains_events core_domains_events = {core_on_targets};

static enum err core_start_tunnels(struct core *c, char *why)
{
    size_t per_edge = (size_t)c->box->config.web_proxy.tunnels_per_edge,
           n = per_edge * c->box->config.edges.n;
    if (n > CORE_TUNNELS_MAX) {
        snprintf(why, SCHEMA_WHY,
                 "%zu edges with %zu tunnels each are more than %d tunnels; lower web_proxy.tunnels_per_edge",
                 c->box->config.edges.n, per_edge, CORE_TUNNELS_MAX);
        return ERR_CONFIG;
    }
    c->n_tunnels = n;
    for (size_t i = 0; i < n; i++) {
        c->tunnels[i] =
            (struct core_tunnel){.owner = c, .edge = i / per_edge, .index = (unsigned)(i % per_edge)};
        core_tunnel_set_state(&c->tunnels[i], "connecting", "", ev_now(c->loop));
        c->tunnels[i].worker = worker_new(c->loop, "tunnel", (unsigned)i, &core_tunnel_events, c);
    }
    return ERR_OK;
}

/* Start and stop ------------------------------------------------------------------------------------------
 */

static enum err core_load_key(struct core *c, char *why)
{
    char path[PATH_MAX];
    return file_read_secret(box_file(c->box, BOX_CORE_KEY, path), 16384, &c->client_key, NULL, why,
                            SCHEMA_WHY);
}

static enum err core_load_policy(struct core *c, char *why)
{
    enum err err = policy_make(&c->box->config, &c->policy, why, SCHEMA_WHY);
    if (err != ERR_OK)
        return err;
    c->allowlist = allowlist_to_json(&c->policy.list);
    snprintf(why, SCHEMA_WHY, "out of memory");
    return c->allowlist ? ERR_OK : ERR_MEMORY;
}

static enum err core_find_self(struct core *c, char *why)
{
    char path[PATH_MAX];
    c->self = config_core_find(&c->box->config, c->box->name);
    if (c->self)
        return ERR_OK;
    snprintf(why, SCHEMA_WHY,
             "%s has no core named \"%s\"; is this an edge's folder, or was the core renamed?",
             box_file(c->box, BOX_CONFIG, path), c->box->name);
    return ERR_CONFIG;
}

static enum err core_start(struct core *c, char *why)
{
    enum err err = core_find_self(c, why);
    if (err == ERR_OK)
        err = core_load_policy(c, why);
    if (err == ERR_OK)
        err = core_load_key(c, why);
    if (err == ERR_OK)
        err = domains_new(c->loop, c->box, &c->box->config, &core_domains_events, c, &c->domains, why);
    if (err != ERR_OK)
        return err;
    domains_start(c->domains);
    err = core_start_tunnels(c, why);
    return err == ERR_OK ? core_status_start(c, why) : err;
}

static void core_stop(void *core)
{
    struct core *c = core;
    if (c->stopping) {
        ev_break(c->loop, EVBREAK_ALL); /* asked twice: at once */
        return;
    }
    c->stopping = true;
    sd_notify(0, "STOPPING=1");
    log_event(LOG_NOTICE, "Core Stopping", "name=%s", c->box->name);
    for (size_t i = 0; i < c->n_tunnels; i++)
        if (c->tunnels[i].worker)
            worker_stop(c->tunnels[i].worker, stop_grace);
    if (!core_any_worker(c))
        ev_break(c->loop, EVBREAK_ALL);
}

static void core_free(struct core *c)
{
    local_server_free(c->status);
    for (size_t i = 0; i < c->n_tunnels; i++)
        worker_free(c->tunnels[i].worker);
    domains_free(c->domains);
    json_decref(c->allowlist);
    policy_free(&c->policy);
    file_wipe(c->client_key);
    daemon_end(&c->daemon);
    free(c);
}

static enum err core_run(struct core *c, const struct daemon_options *options, char *why)
{
    enum err err = daemon_begin(&c->daemon, options, why);
    c->loop = c->daemon.loop;
    c->box = &c->daemon.box;
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
    c->daemon.on_stop = core_stop;
    c->daemon.ctx = c;
    enum err err = core_run(c, &options, why);
    if (err != ERR_OK)
        fprintf(stderr, "stile-core run: %s\n", why);
    core_free(c);
    return err == ERR_OK ? EXIT_OK : EXIT_FAILED;
}
