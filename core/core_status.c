/* `stile-core status`: asked over a Unix socket, gathered from the tunnel workers, shown as text or JSON. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/gather.h"
#include "common/status.h"
#include "common/table.h"
#include "core/core.h"

/* The asking connection may go before the workers have answered. */
struct core_status_request {
    struct core *core;
    struct local_connection *connection;
    struct gather *gather;
};

/* What the worker says of itself in front of what main knows: a worker that is down says nothing. */
static json_t *core_status_tunnel(const struct core *c, const struct core_tunnel *t, const json_t *results)
{
    const struct config_edge *edge = config_edge_at(&c->box->config, t->edge);
    char domains[CONFIG_DOMAINS_TEXT];
    json_t *row =
        json_pack("{ss ss si ss ss ss sf}", "edge", edge->name, "target", edge->ssh, "index", (int)t->index,
                  "domain", config_domains_print(&c->box->config, domains, sizeof domains), "state", t->state,
                  "reason", t->reason, "since", t->since);
    size_t i;
    json_t *result;
    json_array_foreach ((json_t *)(uintptr_t)results, i, result) {
        const json_t *said = json_object_get(result, "tunnel");
        const char *of = json_string_value(json_object_get(said, "edge"));
        if (of && strcmp(of, edge->name) == 0 &&
            json_integer_value(json_object_get(said, "index")) == (json_int_t)t->index)
            json_object_update(row, (json_t *)(uintptr_t)said);
    }
    return row;
}

static json_t *core_status_tunnels(const struct core *c, const json_t *results)
{
    json_t *tunnels = json_array();
    for (size_t i = 0; i < c->n_tunnels; i++)
        json_array_append_new(tunnels, core_status_tunnel(c, &c->tunnels[i], results));
    return tunnels;
}

static void core_status_answer(struct core_status_request *r, json_t *answer)
{
    local_connection_set_data(r->connection, NULL);
    local_connection_send(r->connection, answer);
    free(r);
}

static void core_metrics_done(void *ctx, json_t *results)
{
    struct core_status_request *r = ctx;
    json_t *tunnels = core_status_tunnels(r->core, results);
    char *text = core_metrics_text(r->core, tunnels, results);
    json_decref(tunnels);
    core_status_answer(r, json_pack("{ss ss*}", "type", "metrics", "text", text));
    free(text);
}

/* The targets of all domains, each row with its domain. */
static json_t *core_status_targets(const json_t *domains)
{
    json_t *all = json_array(), *domain, *row;
    size_t i, k;
    json_array_foreach ((json_t *)(uintptr_t)domains, i, domain) {
        json_array_foreach (json_object_get(domain, "targets"), k, row) {
            json_object_set(row, "domain", json_object_get(domain, "domain"));
            json_array_append(all, row);
        }
    }
    return all;
}

static void core_status_done(void *ctx, json_t *results)
{
    struct core_status_request *r = ctx;
    struct core *c = r->core;
    json_t *tunnels = core_status_tunnels(c, results), *workers = json_array(),
           *domains = domains_status(c->domains);
    for (size_t i = 0; i < c->n_tunnels; i++)
        status_add_workers(workers, &c->tunnels[i].worker, 1);
    json_t *answer =
        json_pack("{ss ss ss ss sf ss sI so so sO so}", "type", "status", "box", "core", "name", c->box->name,
                  "version", STILE_VERSION, "uptime_s", ev_now(c->loop) - c->daemon.started, "join_url",
                  c->box->config.join_url, "revision", (json_int_t)c->box->config.revision, "tunnels",
                  tunnels, "domains", domains, "targets", core_status_targets(domains), "allowlist",
                  c->allowlist, "workers", workers);
    core_status_answer(r, answer);
}

static void core_status_on_message(void *core, struct local_connection *connection, const char *type,
                                   json_t *msg, int *fds, size_t n_fds)
{
    struct core *c = core;
    struct worker *all[CORE_TUNNELS_MAX];
    (void)msg, (void)fds, (void)n_fds;
    bool metrics = strcmp(type, "metrics") == 0;
    if ((!metrics && strcmp(type, "status") != 0) || local_connection_data(connection))
        return;
    struct core_status_request *r = calloc(1, sizeof *r);
    if (!r)
        return;
    for (size_t i = 0; i < c->n_tunnels; i++)
        all[i] = c->tunnels[i].worker;
    r->core = c;
    r->connection = connection;
    r->gather =
        gather_start(c->loop, all, c->n_tunnels, metrics, metrics ? core_metrics_done : core_status_done, r);
    if (!r->gather) {
        free(r);
        return;
    }
    local_connection_set_data(connection, r);
}

static void core_status_on_close(void *core, struct local_connection *connection)
{
    struct core_status_request *r = local_connection_data(connection);
    (void)core;
    if (!r)
        return;
    gather_cancel(r->gather);
    free(r);
}

static const struct local_events core_status_events = {core_status_on_message, core_status_on_close};

enum err core_status_start(struct core *c, char *why)
{
    char path[PATH_MAX];
    return local_server_new(c->loop, box_run_file(c->box, BOX_CORE_SOCKET, path), &core_status_events, c,
                            &c->status, why);
}

/* Text --------------------------------------------------------------------------------------------------- */

static void core_status_text(const json_t *status)
{
    static const struct table_column tunnels[] = {
        {"Target", "target", TABLE_TEXT}, {"Edge", "edge", TABLE_TEXT},     {"Tunnel", "index", TABLE_TEXT},
        {"Domain", "domain", TABLE_TEXT}, {"State", "state", TABLE_STATE},  {"Since", "since", TABLE_TIME},
        {"RTT", "rtt_ms", TABLE_MS},      {"Reason", "reason", TABLE_TEXT}, {0}};
    static const struct table_column targets[] = {{"Name", "name", TABLE_TEXT},
                                                  {"Address", "address", TABLE_TEXT},
                                                  {"Port", "port", TABLE_TEXT},
                                                  {"Priority", "priority", TABLE_TEXT},
                                                  {"Weight", "weight", TABLE_TEXT},
                                                  {"State", "state", TABLE_STATE},
                                                  {"Since", "since", TABLE_TIME},
                                                  {"Reason", "reason", TABLE_TEXT},
                                                  {0}};
    const json_t *domain;
    size_t i;
    status_print_head(status);
    table_print(stdout, "Tunnels", tunnels, json_object_get(status, "tunnels"),
                "none: no edge in the config");
    json_array_foreach (json_object_get(status, "domains"), i, domain) {
        char title[400];
        snprintf(title, sizeof title, "%s is resolved to these targets",
                 json_string_value(json_object_get(domain, "join_url")));
        table_print(stdout, title, targets, json_object_get(domain, "targets"), "not resolved yet");
    }
    status_print_allowlist(status);
    status_print_workers(status);
}

int core_status_command(int argc, char **argv)
{
    return status_command(argc, argv, BOX_CORE_SOCKET, core_status_text);
}

int core_metrics_command(int argc, char **argv)
{
    return status_metrics_command(argc, argv, BOX_CORE_SOCKET);
}
