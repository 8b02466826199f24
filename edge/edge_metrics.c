/* `stile-edge metrics`: what main knows and what its workers say, as Prometheus reads it. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/metrics.h"
#include "common/status.h"
#include "common/tunnel_figures.h"
#include "edge/edge.h"
#include "edge/turn/turn_metrics.h"

static const struct metrics_row web_rows[] = {
    {"stile_web_connections", METRICS_GAUGE, "connections", NULL, NULL, "guests' connections"},
    {"stile_web_open_websockets", METRICS_GAUGE, "open_websockets", NULL, NULL, "guests' WebSockets"},
    {"stile_web_connections_accepted_total", METRICS_COUNTER, "accepted", NULL, NULL, "connections accepted"},
    {"stile_web_connections_refused_total", METRICS_COUNTER, "refused_address", NULL, "reason=\"address\"",
     "connections closed at once: too many from one address, too many altogether, no protocol of ours"},
    {"stile_web_connections_refused_total", METRICS_COUNTER, "refused_full", NULL, "reason=\"full\"", NULL},
    {"stile_web_connections_refused_total", METRICS_COUNTER, "refused_handshakes", NULL,
     "reason=\"handshakes\"", NULL},
    {"stile_web_connections_refused_total", METRICS_COUNTER, "refused_banned", NULL, "reason=\"banned\"",
     NULL},
    {"stile_web_connections_refused_total", METRICS_COUNTER, "refused_protocol", NULL, "reason=\"protocol\"",
     NULL},
    {"stile_web_handshakes_failed_total", METRICS_COUNTER, "handshake_failed", NULL, NULL,
     "TLS handshakes that failed"},
    {"stile_web_requests_total", METRICS_COUNTER, "requests", NULL, NULL,
     "requests judged, well-formed or not"},
    {"stile_web_requests_refused_total", METRICS_COUNTER, "malformed", NULL, "reason=\"malformed\"",
     "requests refused: malformed, another host (421), no rule (403), too many of one address (429; over "
     "HTTP/2 at once: REFUSED_STREAM), no uplink (502, 503)"},
    {"stile_web_requests_refused_total", METRICS_COUNTER, "refused_host", NULL, "reason=\"host\"", NULL},
    {"stile_web_requests_refused_total", METRICS_COUNTER, "refused_rule", NULL, "reason=\"rule\"", NULL},
    {"stile_web_requests_refused_total", METRICS_COUNTER, "refused_rate", NULL, "reason=\"rate\"", NULL},
    {"stile_web_requests_refused_total", METRICS_COUNTER, "no_uplink", NULL, "reason=\"no_uplink\"", NULL},
    {"stile_web_requests_refused_total", METRICS_COUNTER, "refused_streams", NULL, "reason=\"streams\"",
     NULL},
    {"stile_web_redirects_total", METRICS_COUNTER, "redirected", NULL, NULL, "requests redirected to HTTPS"},
    {"stile_web_retries_total", METRICS_COUNTER, "retried", NULL, NULL,
     "requests sent once more on another uplink"},
    {"stile_web_waited_total", METRICS_COUNTER, "waited", NULL, NULL,
     "requests that waited for an uplink when the last one was lost"},
    {"stile_web_aborted_total", METRICS_COUNTER, "aborted", NULL, NULL,
     "answers that could not be completed"},
    {"stile_web_timeouts_total", METRICS_COUNTER, "timed_out", NULL, NULL, "deadlines of guests and answers"},
    {"stile_web_websockets_total", METRICS_COUNTER, "websockets", NULL, NULL, "WebSockets opened"},
    {"stile_web_protocol_connections_total", METRICS_COUNTER, "http1_connections", NULL, "protocol=\"http1\"",
     "connections by what was spoken on them"},
    {"stile_web_protocol_connections_total", METRICS_COUNTER, "http2_connections", NULL, "protocol=\"http2\"",
     NULL},
    {"stile_web_protocol_requests_total", METRICS_COUNTER, "http1_requests", NULL, "protocol=\"http1\"",
     "requests by what they came over"},
    {"stile_web_protocol_requests_total", METRICS_COUNTER, "http2_requests", NULL, "protocol=\"http2\"",
     NULL},
    {"stile_web_http2_errors_total", METRICS_COUNTER, "http2_errors", NULL, NULL,
     "HTTP/2 connections ended for breaking its rules"},
    {"stile_web_http2_abuses_total", METRICS_COUNTER, "http2_abuses.*", "kind", NULL,
     "HTTP/2 connections ended for what they cost"},
    {"stile_web_http2_stalled_total", METRICS_COUNTER, "http2_stalled", NULL, NULL,
     "HTTP/2 streams whose reader gave no window"},
    {"stile_web_shed_total", METRICS_COUNTER, "shed", NULL, NULL,
     "connections closed because slow readers held too much memory"},
    {"stile_web_held_bytes", METRICS_GAUGE, "held", NULL, NULL, "bytes that wait for slow readers"},
    {"stile_web_received_bytes_total", METRICS_COUNTER, "bytes_in", NULL, NULL,
     "bytes from guests, on connections that have ended"},
    {"stile_web_sent_bytes_total", METRICS_COUNTER, "bytes_out", NULL, NULL,
     "bytes to guests, on connections that have ended"},
    {"stile_web_responses_total", METRICS_COUNTER, "codes.*", "class", NULL,
     "answers, by class of their status"},
    {"stile_web_responses_by_code_total", METRICS_COUNTER, "statuses.*", "code", NULL,
     "answers, by their status"},
    {"stile_web_access_log_lines_total", METRICS_COUNTER, "access_log.lines", NULL, NULL,
     "lines of the access log"},
    {"stile_web_access_log_dropped_total", METRICS_COUNTER, "access_log.dropped", NULL, NULL,
     "lines lost because the file did not take them"},
    {"stile_web_request_seconds", METRICS_HISTOGRAM, "seconds.*", "stage", NULL,
     "how long requests took: edge: from head to the end of the answer; tunnel: from there to core, the "
     "bridge and back, up to the head of the answer"},
    {0},
};

static const struct metrics_row bans_rows[] = {
    {"stile_bans", METRICS_GAUGE, "active", NULL, NULL, "addresses that are banned now"},
    {"stile_bans_total", METRICS_COUNTER, "banned.*", "category", NULL, "bans, by what they were for"},
    {"stile_bans_ended_total", METRICS_COUNTER, "ended", NULL, NULL, "bans whose time was over"},
    {"stile_bans_removed_total", METRICS_COUNTER, "removed", NULL, NULL,
     "bans that were taken back, by hand or by the config"},
    {"stile_bans_full_total", METRICS_COUNTER, "full", NULL, NULL,
     "offenders who were not banned because there are too many bans"},
    {0},
};

/* web: the status of every web worker. */
static void tunnels(struct metrics *m, const struct edge *e, const json_t *web)
{
    json_t *list = attachments_status(e->attachments), *row;
    size_t i, up = 0;
    json_array_foreach (list, i, row)
        up += strcmp(json_string_value(json_object_get(row, "state")), "active") == 0;
    metrics_family(m, "stile_tunnels_up", METRICS_GAUGE, "tunnels between this box and others that are up");
    metrics_value(m, (double)up, NULL);
    metrics_family(m, "stile_tunnel_rtt_seconds", METRICS_GAUGE, "round trip through a tunnel");
    json_array_foreach (list, i, row) {
        char tunnel[24];
        double rtt = json_number_value(json_object_get(row, "rtt_ms"));
        snprintf(tunnel, sizeof tunnel, "%lld",
                 (long long)json_integer_value(json_object_get(row, "tunnel")));
        if (rtt > 0)
            metrics_value(m, rtt / 1000, "core", json_string_value(json_object_get(row, "core")), "tunnel",
                          tunnel, NULL);
    }
    edge_tunnels_add_load(list, web);
    tunnel_figures_metrics(m, &edge_tunnel_names, list);
    json_decref(list);
    metrics_family(m, "stile_sshd_up", METRICS_GAUGE, "1 while the SSH server for cores runs");
    metrics_value(m, sshd_pid(e->sshd) != 0, NULL);
}

/* What the guests of each join host are shown, and what is wrong. */
static void certificates(struct metrics *m, const struct edge *e)
{
    const struct certificates *set = &e->certificate.set;
    const char *hosts[CONFIG_DOMAINS_MAX];
    size_t n = certificates_hosts(e->join_hosts, hosts);
    metrics_family(m, "stile_certificate_not_after_seconds", METRICS_GAUGE,
                   "when the certificates for a join host end, UNIX time");
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < set->n; k++)
            if (tls_identity_covers(&set->all[k].id, hosts[i]))
                metrics_value(m, (double)set->all[k].info.until, "host", hosts[i], "file", set->all[k].file,
                              "key", set->all[k].info.key, NULL);
    metrics_family(m, "stile_certificate_alarm", METRICS_GAUGE,
                   "1 for everything that is wrong with the certificates");
    for (size_t i = 0; i < json_array_size(e->certificate.alarms); i++) {
        const json_t *alarm = json_array_get(e->certificate.alarms, i);
        metrics_value(m, 1, "of", json_string_value(json_object_get(alarm, "of")), "kind",
                      json_string_value(json_object_get(alarm, "kind")), "severity",
                      json_string_value(json_object_get(alarm, "severity")), NULL);
    }
}

/* The statuses under `key`, each with the name of its worker. */
static json_t *sources(const json_t *results, const char *key)
{
    json_t *list = json_array(), *result, *status;
    size_t i;
    json_array_foreach ((json_t *)(uintptr_t)results, i, result) {
        status = edge_status_part(result, key);
        if (!status)
            continue;
        json_object_set(status, "worker", json_object_get(result, "worker"));
        json_array_append(list, status);
    }
    return list;
}

char *edge_metrics_text(const struct edge *e, const json_t *results)
{
    struct worker *all[2 * LISTENERS_WORKERS_MAX];
    struct metrics *m = metrics_new();
    if (!m)
        return NULL;
    memcpy(all, e->web, e->n_web * sizeof all[0]);
    memcpy(all + e->n_web, e->turn, e->n_turn * sizeof all[0]);
    status_metrics(m, "edge", e->box->name, e->daemon.started, e->policy_revision, all, e->n_web + e->n_turn);
    json_t *turn = sources(results, "turn"), *web = sources(results, "web");
    tunnels(m, e, web);
    certificates(m, e);
    if (e->n_turn)
        turn_metrics(m, turn);
    metrics_rows(m, web_rows, web, "worker");
    json_t *bans = json_pack("[o]", edge_bans_status(e));
    metrics_rows(m, bans_rows, bans, NULL);
    json_decref(bans);
    json_decref(turn);
    json_decref(web);
    return metrics_end(m);
}
