/* `stile-edge status`: asked over a Unix socket, gathered from the workers, shown as text or JSON. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/gather.h"
#include "common/log.h"
#include "common/status.h"
#include "common/table.h"
#include "common/tunnel_figures.h"
#include "edge/edge.h"
#include "edge/edge_usage.h"

const struct tunnel_names edge_tunnel_names = {"Core", "core", "tunnel"};

/* The asker may go before the workers have answered. */
struct edge_status_request {
    struct edge *edge;
    struct request *request;
    struct gather *gather;
};

/* One figure of a tunnel over all of its data channels: each web worker has one. */
static double edge_tunnel_sum(const json_t *tunnel, const json_t *web, const char *figure)
{
    double sum = 0;
    const json_t *worker, *uplink;
    size_t i, k;
    json_array_foreach ((json_t *)(uintptr_t)web, i, worker) {
        json_array_foreach (json_object_get(worker, "uplinks"), k, uplink) {
            if (json_equal(json_object_get(uplink, "core"), json_object_get(tunnel, "core")) &&
                json_equal(json_object_get(uplink, "tunnel"), json_object_get(tunnel, "tunnel")))
                sum += json_number_value(json_object_get(uplink, figure));
        }
    }
    return sum;
}

void edge_tunnels_add_load(json_t *tunnels, const json_t *web)
{
    json_t *row;
    size_t i;
    json_array_foreach (tunnels, i, row) {
#define X(member, column, kind, metric, help)                                                                \
    json_object_set_new(row, #member, json_integer((json_int_t)edge_tunnel_sum(row, web, #member)));
        TUNNEL_FIGURES(X)
#undef X
    }
}

/* A core of the config without a control channel is a failed tunnel too. */
static void edge_status_add_missing(const struct edge *e, json_t *tunnels)
{
    for (size_t i = 0; i < e->box->config.cores.n; i++) {
        const char *name = config_core_at(&e->box->config, i)->name;
        bool there = false;
        size_t k;
        json_t *row;
        json_array_foreach (tunnels, k, row)
            there = there || strcmp(json_string_value(json_object_get(row, "core")), name) == 0;
        if (there)
            continue;
        const char *reason = e->sshd && !sshd_pid(e->sshd) ? sshd_reason(e->sshd)
                             : strcmp(e->last_tunnel_core, name) == 0 && *e->last_tunnel_reason
                                 ? e->last_tunnel_reason
                                 : "this core has not connected yet";
        json_array_append_new(tunnels,
                              json_pack("{ss ss ss}", "core", name, "state", "failed", "reason", reason));
    }
}

static json_t *edge_status_tunnels(const struct edge *e, const json_t *web)
{
    json_t *tunnels = attachments_status(e->attachments), *row;
    size_t i;
    edge_tunnels_add_load(tunnels, web);
    edge_status_add_missing(e, tunnels);
    const char *hosts[CONFIG_DOMAINS_MAX];
    char domains[CONFIG_DOMAINS_TEXT];
    config_hosts_print(hosts, certificates_hosts(e->join_hosts, hosts), domains, sizeof domains);
    json_array_foreach (tunnels, i, row)
        json_object_set_new(row, "domain", json_string(domains));
    return tunnels;
}

static void edge_status_answer(struct edge_status_request *r, json_t *answer)
{
    request_answer(r->request, answer);
    free(r);
}

/* What listens where. */
static json_t *edge_status_services(const struct edge *e)
{
    const struct config_edge *self = e->self;
    bool turn = e->box->config.turn.enabled, turn_443 = turn && e->box->config.turn.tcp_443,
         tls = turn && self->turn_tls_port;
    const struct {
        bool there;
        long port;
        const char *protocol, *words;
    } rows[] = {
        {true, self->https_port, "tcp", turn_443 ? "HTTPS, WSS, TURN over TCP and TLS" : "HTTPS, WSS"},
        {self->http_port != 0, self->http_port, "tcp", "redirects to HTTPS"},
        {true, self->ssh_port, "tcp", "SSH, from core"},
        {turn, self->turn_udp_port, "udp", "TURN over UDP and DTLS"},
        {turn, self->turn_tcp_port, "tcp", "TURN over TCP and TLS"},
        {tls && self->turn_tls_port != self->turn_udp_port, self->turn_tls_port, "udp", "TURN over DTLS"},
        {e->box->config.admin.enabled, self->admin.port, "tcp", "admin page, API, metrics"},
        {tls && self->turn_tls_port != self->turn_tcp_port, self->turn_tls_port, "tcp", "TURN over TLS"},
    };
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].there)
            json_array_append_new(list, json_pack("{sI ss ss}", "port", (json_int_t)rows[i].port, "protocol",
                                                  rows[i].protocol, "service", rows[i].words));
    return list;
}

static void edge_metrics_done(void *ctx, json_t *results)
{
    struct edge_status_request *r = ctx;
    char *text = edge_metrics_text(r->edge, results);
    edge_status_answer(r, json_pack("{ss ss*}", "type", "metrics", "text", text));
    free(text);
}

json_t *edge_status_part(const json_t *result, const char *role)
{
    const char *name = json_string_value(json_object_get(result, "worker"));
    return name && strncmp(name, role, strlen(role)) == 0 ? json_object_get(result, role) : NULL;
}

static void edge_status_done(void *ctx, json_t *results)
{
    struct edge_status_request *r = ctx;
    struct edge *e = r->edge;
    json_t *relays = json_array(), *turn = json_array(), *web = json_array(), *workers = json_array(),
           *result;
    size_t i;
    json_array_foreach (results, i, result) {
        json_t *t = edge_status_part(result, "turn"), *w = edge_status_part(result, "web");
        if (t) {
            json_array_extend(relays, json_object_get(t, "relays"));
            json_object_del(t, "relays");
            json_array_append(turn, t);
        }
        if (w)
            json_array_append(web, w);
    }
    status_add_workers(workers, e->web, e->n_web);
    status_add_workers(workers, e->turn, e->n_turn);
    status_add_workers(workers, (struct worker *[]){admin_worker(e->admin)}, 1);
    json_t *answer = json_pack(
        "{ss ss ss ss sf ss sI ss so sO so so so s{sb si ss} so}", "type", "status", "box", "edge", "name",
        e->box->name, "version", STILE_VERSION, "uptime_s", ev_now(e->loop) - e->daemon.started, "join_url",
        e->box->config.join_url, "revision", (json_int_t)e->policy_revision, "policy_from", e->policy_from,
        "tunnels", edge_status_tunnels(e, web), "allowlist", e->allowlist, "relays", relays, "turn", turn,
        "web", web, "sshd", "running", sshd_pid(e->sshd) != 0, "pid", (int)sshd_pid(e->sshd), "reason",
        sshd_reason(e->sshd), "workers", workers);
    status_add_alarms(answer);
    json_object_set_new(answer, "config_revision", json_integer(e->box->config.revision));
    json_object_set_new(answer, "config_from", json_string(e->config_from));
    json_object_set_new(answer, "waits_for_restart", edge_config_waiting(e));
    json_object_set_new(answer, "admin", admin_status(e->admin));
    json_object_set_new(answer, "usage", edge_usage(turn));
    json_object_set_new(answer, "bans", edge_bans_status(e));
    json_object_set_new(answer, "services", edge_status_services(e));
    json_object_set_new(answer, "database_problem", json_string(e->users ? "" : e->users_problem));
    json_object_set_new(answer, "certificates", certificates_status(&e->certificate.set));
    json_object_set(answer, "certificate_alarms", e->certificate.alarms);
    edge_status_answer(r, answer);
}

static void edge_status_gone(void *status)
{
    struct edge_status_request *r = status;
    gather_cancel(r->gather);
    free(r);
}

static void edge_status_ask(struct edge *e, struct request *request, bool brief, gather_done *done)
{
    struct worker *all[2 * LISTENERS_WORKERS_MAX];
    struct edge_status_request *r = calloc(1, sizeof *r);
    memcpy(all, e->web, e->n_web * sizeof all[0]);
    memcpy(all + e->n_web, e->turn, e->n_turn * sizeof all[0]);
    if (r)
        *r = (struct edge_status_request){e, request,
                                          gather_start(e->loop, all, e->n_web + e->n_turn, brief, done, r)};
    if (!r || !r->gather) {
        free(r);
        request_refuse(request, "out of memory");
        return;
    }
    request_on_gone(request, edge_status_gone, r);
}

void edge_status_request(void *edge, struct request *request, const json_t *msg)
{
    (void)msg;
    edge_status_ask(edge, request, false, edge_status_done);
}

void edge_metrics_request(void *edge, struct request *request, const json_t *msg)
{
    (void)msg;
    edge_status_ask(edge, request, true, edge_metrics_done);
}

/* Text -------------------------------------------------------------------------------------------------- */

/* "in 89 days", "12 days ago" */
static void status_certificates_age(json_t *list)
{
    size_t i;
    json_t *one;
    json_array_foreach (list, i, one) {
        double left = (double)json_integer_value(json_object_get(one, "until")) - (double)time(NULL);
        char age[32];
        table_age(left < 0 ? -left : left, age, sizeof age);
        json_object_set_new(one, "left", json_sprintf(left < 0 ? "%s ago" : "in %s", age));
        json_object_set_new(one, "staple",
                            json_incref(json_object_get(json_object_get(one, "ocsp"), "state")));
    }
}

static void edge_status_certificates(const json_t *status)
{
    static const struct table_column certificates[] = {{"File", "file", TABLE_TEXT},
                                                       {"Join hosts", "hosts", TABLE_TEXT},
                                                       {"Key", "key", TABLE_TEXT},
                                                       {"Issuer", "issuer", TABLE_TEXT},
                                                       {"Ends", "left", TABLE_TEXT},
                                                       {"OCSP", "staple", TABLE_TEXT},
                                                       {0}};
    json_t *list = json_object_get(status, "certificates");
    status_certificates_age(list);
    table_print(stdout, "Certificates", certificates, list, "none");
}

static json_int_t web_sum(const json_t *web, const char *name)
{
    json_int_t sum = 0;
    const json_t *one;
    size_t i;
    json_array_foreach (web, i, one)
        sum += json_integer_value(json_object_get(one, name));
    return sum;
}

/* One row per version of HTTP. */
static void edge_status_guests(const json_t *web)
{
    static const struct table_column columns[] = {{"Protocol", "protocol", TABLE_TEXT},
                                                  {"Connections", "connections", TABLE_TEXT},
                                                  {"Requests", "requests", TABLE_TEXT},
                                                  {"WebSockets", "websockets", TABLE_TEXT},
                                                  {0}};
    json_int_t websockets = web_sum(web, "http2_websockets");
    json_t *rows = json_pack("[{ss sI sI sI}, {ss sI sI sI}]", "protocol", "HTTP/1", "connections",
                             web_sum(web, "http1_connections"), "requests", web_sum(web, "http1_requests"),
                             "websockets", web_sum(web, "websockets") - websockets, "protocol", "HTTP/2",
                             "connections", web_sum(web, "http2_connections"), "requests",
                             web_sum(web, "http2_requests"), "websockets", websockets);
    table_print(stdout, "Guests since the start", columns, rows, "none");
    json_decref(rows);
}

static void edge_status_bans(const json_t *bans)
{
    json_int_t n = json_integer_value(json_object_get(bans, "active"));
    if (n)
        printf("Banned addresses: %lld; 'stile-edge ban list' shows them\n", (long long)n);
}

const struct table_column edge_relay_columns[] = {{"Client", "client", TABLE_TEXT},
                                                  {"Protocol", "protocol", TABLE_TEXT},
                                                  {"User", "user", TABLE_TEXT},
                                                  {"Relayed address", "relayed", TABLE_TEXT},
                                                  {"Peers", "peers", TABLE_COUNT},
                                                  {"Permissions", "permissions", TABLE_TEXT},
                                                  {"Channels", "channels", TABLE_COUNT},
                                                  {"From client", "from_client", TABLE_TRAFFIC},
                                                  {"To client", "to_client", TABLE_TRAFFIC},
                                                  {"Dropped", "dropped", TABLE_TEXT},
                                                  {"Age", "age", TABLE_AGE},
                                                  {0}};

static void edge_status_text(const json_t *status)
{
    static const struct table_column tunnels[] = {
        {"Core", "core", TABLE_TEXT},     {"Tunnel", "tunnel", TABLE_TEXT},
        {"Domain", "domain", TABLE_TEXT}, {"State", "state", TABLE_STATE},
        {"Since", "since", TABLE_TIME},   {"Channels", "data_channels", TABLE_TEXT},
        {"Reason", "reason", TABLE_TEXT}, {0}};
    static const struct table_column services[] = {
        {"Port", "port", TABLE_TEXT}, {"", "protocol", TABLE_TEXT}, {"Service", "service", TABLE_TEXT}, {0}};
    const json_t *sshd = json_object_get(status, "sshd"), *usage = json_object_get(status, "usage");
    status_print_head(status);
    const char *database = json_string_value(json_object_get(status, "database_problem"));
    if (database && *database)
        printf("Database of users: %s\n", database);
    if (!json_is_true(json_object_get(sshd, "running")))
        printf("SSH server down: %s\n", json_string_value(json_object_get(sshd, "reason")));
    table_print(stdout, "Tunnels", tunnels, json_object_get(status, "tunnels"),
                "none: no core in the config");
    tunnel_figures_print(stdout, &edge_tunnel_names, json_object_get(status, "tunnels"));
    status_print_allowlist(status);
    edge_status_guests(json_object_get(status, "web"));
    edge_status_bans(json_object_get(status, "bans"));
    edge_usage_print(usage);
    edge_status_certificates(status);
    table_print(stdout, "Services", services, json_object_get(status, "services"), "none");
    table_print(stdout, "TURN relay usage", edge_relay_columns, json_object_get(status, "relays"),
                "no relays");
    if (json_integer_value(json_object_get(usage, "relays_left_out")))
        printf("  and %lld more relays, not listed\n",
               (long long)json_integer_value(json_object_get(usage, "relays_left_out")));
    status_print_workers(status);
}

int edge_status_command(int argc, char **argv)
{
    return status_command(argc, argv, BOX_EDGE_SOCKET, edge_status_text);
}

int edge_metrics_command(int argc, char **argv)
{
    return status_metrics_command(argc, argv, BOX_EDGE_SOCKET);
}
