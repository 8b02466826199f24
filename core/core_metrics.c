/* `stile-core metrics`: what main knows and what its tunnel workers say, as Prometheus reads it. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/metrics.h"
#include "common/status.h"
#include "common/tunnel_figures.h"
#include "core/core.h"

static const struct metrics_row egress_rows[] = {
    {"stile_egress_running_requests", METRICS_GAUGE, "egress.running", NULL, NULL,
     "requests that are served"},
    {"stile_egress_waiting_requests", METRICS_GAUGE, "egress.waiting", NULL, NULL,
     "requests that wait for a connection to the bridge"},
    {"stile_egress_requests_total", METRICS_COUNTER, "egress.requests", NULL, NULL, "requests from edges"},
    {"stile_domain_requests_total", METRICS_COUNTER, "egress.domains.*", "domain", NULL,
     "requests for the bridges of a domain"},
    {"stile_egress_websockets_total", METRICS_COUNTER, "egress.websockets", NULL, NULL,
     "WebSockets among them"},
    {"stile_egress_retries_total", METRICS_COUNTER, "egress.retries", NULL, NULL,
     "requests sent to the bridge once more"},
    {"stile_egress_unreachable_total", METRICS_COUNTER, "egress.unreachable", NULL, NULL,
     "connections to the bridge that failed"},
    {"stile_egress_failed_requests_total", METRICS_COUNTER, "egress.failed.*", "reason", NULL,
     "requests refused or failed, by reason"},
    {"stile_egress_received_bytes_total", METRICS_COUNTER, "egress.bytes_in", NULL, NULL,
     "bytes from the bridge"},
    {"stile_egress_sent_bytes_total", METRICS_COUNTER, "egress.bytes_out", NULL, NULL, "bytes to the bridge"},
    {"stile_egress_connections", METRICS_GAUGE, "egress.pool.*", "state", NULL, "connections to the bridge"},
    {"stile_web_request_seconds", METRICS_HISTOGRAM, "egress.seconds.*", "stage", NULL,
     "how long requests took: bridge: from the head that came from an edge to the head of the bridge's "
     "answer"},
    {0},
};

static const char *text_of(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

static bool is_active(const json_t *row)
{
    return strcmp(text_of(row, "state"), "active") == 0;
}

/* rows: as in the status. */
static void tunnels(struct metrics *m, const json_t *rows)
{
    size_t i, up = 0;
    json_t *row;
    char index[24];
    json_array_foreach ((json_t *)(uintptr_t)rows, i, row)
        up += is_active(row);
    metrics_family(m, "stile_tunnels_up", METRICS_GAUGE, "tunnels between this box and others that are up");
    metrics_value(m, (double)up, NULL);
    metrics_family(m, "stile_tunnel_up", METRICS_GAUGE, "1 while a tunnel of the config is up");
    json_array_foreach ((json_t *)(uintptr_t)rows, i, row) {
        snprintf(index, sizeof index, "%lld", (long long)json_integer_value(json_object_get(row, "index")));
        metrics_value(m, is_active(row), "edge", text_of(row, "edge"), "tunnel", index, NULL);
    }
    metrics_family(m, "stile_tunnel_rtt_seconds", METRICS_GAUGE, "round trip through a tunnel");
    json_array_foreach ((json_t *)(uintptr_t)rows, i, row) {
        double rtt = json_number_value(json_object_get(row, "rtt_ms"));
        snprintf(index, sizeof index, "%lld", (long long)json_integer_value(json_object_get(row, "index")));
        if (rtt > 0)
            metrics_value(m, rtt / 1000, "edge", text_of(row, "edge"), "tunnel", index, NULL);
    }
    tunnel_figures_metrics(m, &core_tunnel_names, rows);
}

/* Names and addresses come from our DNS and our config. A name that does not resolve has no address. */
static void target(struct metrics *m, const char *domain, const json_t *row)
{
    char address[80];
    json_int_t port = json_integer_value(json_object_get(row, "port"));
    const char *ip = text_of(row, "address");
    snprintf(address, sizeof address,
             strchr(ip, ':') ? "[%s]:%lld"
             : *ip           ? "%s:%lld"
                             : "%s",
             ip, (long long)port);
    metrics_value(m, is_active(row), "domain", domain, "target", text_of(row, "name"), "address", address,
                  NULL);
}

static void targets(struct metrics *m, const struct core *c)
{
    json_t *domains = domains_status(c->material.domains), *domain, *row;
    size_t i, k;
    metrics_family(m, "stile_targets", METRICS_GAUGE, "bridge targets of a domain that are known");
    json_array_foreach (domains, i, domain)
        metrics_value(m, (double)json_array_size(json_object_get(domain, "targets")), "domain",
                      text_of(domain, "domain"), NULL);
    metrics_family(m, "stile_targets_active", METRICS_GAUGE, "bridge targets of a domain that answer");
    json_array_foreach (domains, i, domain) {
        size_t active = 0;
        json_array_foreach (json_object_get(domain, "targets"), k, row)
            active += is_active(row);
        metrics_value(m, (double)active, "domain", text_of(domain, "domain"), NULL);
    }
    metrics_family(m, "stile_target_active", METRICS_GAUGE, "1 while a bridge target answers");
    json_array_foreach (domains, i, domain)
        json_array_foreach (json_object_get(domain, "targets"), k, row)
            target(m, text_of(domain, "domain"), row);
    json_decref(domains);
}

char *core_metrics_text(const struct core *c, const json_t *rows, const json_t *results)
{
    struct worker *all[CORE_TUNNELS_MAX];
    json_t *sources = json_array(), *result;
    size_t i;
    struct metrics *m = metrics_new();
    if (!m) {
        json_decref(sources);
        return NULL;
    }
    status_metrics(m, "core", c->box->name, c->daemon.started, c->box->config.revision, all,
                   core_tunnels_workers(c, all));
    tunnels(m, rows);
    targets(m, c);
    json_array_foreach ((json_t *)(uintptr_t)results, i, result) {
        json_t *status = json_object_get(result, "tunnel");
        json_object_set(status, "worker", json_object_get(result, "worker"));
        json_array_append(sources, status);
    }
    metrics_rows(m, egress_rows, sources, "worker");
    json_decref(sources);
    return metrics_end(m);
}
