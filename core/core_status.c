/* `stile-core status`: asked over a Unix socket, gathered from the tunnel workers, shown as text or JSON. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/gather.h"
#include "common/status.h"
#include "common/table.h"
#include "common/tunnel_figures.h"
#include "core/core.h"
#include "core/pairing/edges.h"

const struct tunnel_names core_tunnel_names = {"Edge", "edge", "index"};

/* The asker may go before the workers have answered. */
struct core_status_request {
    struct core *core;
    struct request *request;
    struct gather *gather;
};

/* A worker has one tunnel: what it serves came through that. */
static void core_status_add_load(json_t *row, const json_t *egress)
{
    json_object_set(row, "streams", json_object_get(egress, "running"));
    json_object_set(row, "requests", json_object_get(egress, "requests"));
    json_object_set(row, "retries", json_object_get(egress, "retries"));
}

/* What the worker says of itself in front of what main knows: a worker that is down says nothing, and one
 * that leaves does not know it. */
static json_t *core_status_tunnel(const struct core *c, const struct core_tunnel *t, const json_t *results)
{
    const char *hosts[CONFIG_DOMAINS_MAX];
    char domains[CONFIG_DOMAINS_TEXT];
    config_hosts_print(hosts, config_join_hosts(&c->box->config, hosts), domains, sizeof domains);
    json_t *row =
        json_pack("{ss ss si ss ss ss sf}", "edge", t->edge, "target", t->target, "index", (int)t->index,
                  "domain", domains, "state", t->state, "reason", t->reason, "since", t->since);
    size_t i;
    json_t *result;
    json_array_foreach ((json_t *)(uintptr_t)results, i, result) {
        const char *worker = json_string_value(json_object_get(result, "worker"));
        if (!worker || strcmp(worker, worker_name(t->worker)) != 0)
            continue;
        json_object_update(row, json_object_get(result, "tunnel"));
        core_status_add_load(row, json_object_get(json_object_get(result, "tunnel"), "egress"));
        if (t->leaving)
            json_object_set_new(row, "state", json_string(t->state));
    }
    return row;
}

static json_t *core_status_tunnels(const struct core *c, const json_t *results)
{
    json_t *tunnels = json_array();
    const struct core_tunnel *t;
    TAILQ_FOREACH (t, &c->tunnels, next)
        json_array_append_new(tunnels, core_status_tunnel(c, t, results));
    return tunnels;
}

static void core_status_answer(struct core_status_request *r, json_t *answer)
{
    request_answer(r->request, answer);
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
    struct worker *all[CORE_TUNNELS_MAX];
    json_t *tunnels = core_status_tunnels(c, results), *workers = json_array(),
           *domains = domains_status(c->material.domains);
    status_add_workers(workers, all, core_tunnels_workers(c, all));
    status_add_workers(workers, (struct worker *[]){admin_worker(c->admin)}, 1);
    json_t *answer =
        json_pack("{ss ss ss ss sf ss sI so so so sO so}", "type", "status", "box", "core", "name",
                  c->box->name, "version", STILE_VERSION, "uptime_s", ev_now(c->loop) - c->daemon.started,
                  "join_url", c->box->config.join_url, "revision", (json_int_t)c->box->config.revision,
                  "tunnels", tunnels, "domains", domains, "targets", core_status_targets(domains),
                  "allowlist", c->material.allowlist, "workers", workers);
    status_add_alarms(answer);
    json_object_set_new(answer, "admin", admin_status(c->admin));
    if (answer) {
        size_t i;
        json_t *row, *edges = edges_list(c->box, &c->pairing, time(NULL));
        json_array_foreach (edges, i, row)
            json_object_del(row, "bundle");
        json_object_set_new(answer, "edges", edges);
        json_object_set_new(answer, "key_rotation", core_rotation_status(c));
    }
    core_status_answer(r, answer);
}

static void core_status_gone(void *status)
{
    struct core_status_request *r = status;
    gather_cancel(r->gather);
    free(r);
}

static void core_status_ask(struct core *c, struct request *request, bool brief, gather_done *done)
{
    struct worker *all[CORE_TUNNELS_MAX];
    size_t n = core_tunnels_workers(c, all);
    struct core_status_request *r = calloc(1, sizeof *r);
    if (r)
        *r = (struct core_status_request){c, request, gather_start(c->loop, all, n, brief, done, r)};
    if (!r || !r->gather) {
        free(r);
        request_refuse(request, "out of memory");
        return;
    }
    request_on_gone(request, core_status_gone, r);
}

void core_status_request(void *core, struct request *r, const json_t *msg)
{
    (void)msg;
    core_status_ask(core, r, false, core_status_done);
}

void core_metrics_request(void *core, struct request *r, const json_t *msg)
{
    (void)msg;
    core_status_ask(core, r, true, core_metrics_done);
}

/* Text --------------------------------------------------------------------------------------------------- */

static void core_status_text(const json_t *status)
{
    static const struct table_column tunnels[] = {
        {"Target", "target", TABLE_TEXT}, {"Edge", "edge", TABLE_TEXT},
        {"Tunnel", "index", TABLE_TEXT},  {"Domain", "domain", TABLE_TEXT},
        {"State", "state", TABLE_STATE},  {"Since", "since", TABLE_TIME},
        {"Reason", "reason", TABLE_TEXT}, {0}};
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
    tunnel_figures_print(stdout, &core_tunnel_names, json_object_get(status, "tunnels"));
    json_array_foreach (json_object_get(status, "domains"), i, domain) {
        char title[400];
        snprintf(title, sizeof title, "%s is resolved to these targets",
                 json_string_value(json_object_get(domain, "join_url")));
        table_print(stdout, title, targets, json_object_get(domain, "targets"), "not resolved yet");
    }
    status_print_allowlist(status);
    status_print_workers(status);
    if (json_object_get(json_object_get(status, "key_rotation"), "waiting_for"))
        core_rotation_print(json_object_get(status, "key_rotation"));
}

int core_status_command(int argc, char **argv)
{
    return status_command(argc, argv, BOX_CORE_SOCKET, core_status_text);
}

int core_metrics_command(int argc, char **argv)
{
    return status_metrics_command(argc, argv, BOX_CORE_SOCKET);
}
