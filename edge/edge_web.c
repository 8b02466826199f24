/* What web workers are told: certificate, allow-list, listening sockets, uplinks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "common/alarms.h"
#include "common/gather.h"
#include "common/log.h"
#include "edge/edge.h"
#include "proto/allowlist.h"
#include "proto/policy.h"

static void edge_web_on_start(void *edge, struct worker *w)
{
    struct edge *e = edge;
    const struct web_listeners *l = &e->web_listeners[worker_index(w)];
    int fds[2 * LISTENERS_WEB_MAX];
    memcpy(fds, l->https, l->n_https * sizeof fds[0]);
    memcpy(fds + l->n_https, l->http, l->n_http * sizeof fds[0]);
    char keys[TLS_TICKETS_HEX];
    json_t *msg = json_pack("{ss si si so ss sO sI si}", "type", "setup", "https", (int)l->n_https, "http",
                            (int)l->n_http, "tls", edge_certificate_json(e), "tickets",
                            tls_tickets_print(&e->certificate.tickets, keys), "allowlist", e->allowlist,
                            "revision", (json_int_t)e->policy_revision, "log_level", daemon_log_level());
    if (msg && e->box->config.turn.enabled && e->box->config.turn.tcp_443)
        json_object_set_new(msg, "turn", json_true());
    if (msg)
        json_object_set_new(msg, "load_balancers",
                            schema_strings_json(&e->box->config.web_proxy.load_balancers));
    if (msg)
        json_object_set_new(msg, "hsts", json_integer(e->box->config.web_proxy.hsts));
    if (msg)
        json_object_set_new(msg, "limits", web_limits_json(&e->box->config.web_limits));
    if (msg)
        json_object_set_new(msg, "exempt", schema_strings_json(&e->box->config.bans.exempt));
    if (msg)
        json_object_set_new(msg, "bans", edge_bans_json(e));
    if (msg && e->acme.answers)
        json_object_set(msg, "acme", e->acme.answers);
    if (worker_send(w, msg, fds, l->n_https + l->n_http) != ERR_OK)
        log_event(LOG_ERR, "Worker Not Set Up", "worker=%s", worker_name(w));
    OPENSSL_cleanse(keys, sizeof keys);
    edge_access_log_start(e, w);
}

static void edge_web_on_message(void *edge, struct worker *w, const char *type, json_t *msg, int *fds,
                                size_t n_fds)
{
    struct edge *e = edge;
    if (strcmp(type, "status") == 0)
        gather_message(w, msg);
    else if (strcmp(type, "hand") == 0)
        edge_turn_hand(e, worker_index(w), msg, n_fds == 1 ? fds[0] : -1);
    else if (strcmp(type, "offences") == 0)
        edge_bans_heard(e, msg);
    else if (strcmp(type, "uplink_closed") == 0)
        attachments_uplink_closed(e->attachments, worker_index(w),
                                  (long)json_integer_value(json_object_get(msg, "id")));
    else if (strcmp(type, "ready") == 0)
        log_event(LOG_INFO, "Worker Ready", "worker=%s pid=%d", worker_name(w), (int)worker_pid(w));
}

static const struct worker_events edge_web_events = {edge_web_on_start, edge_web_on_message,
                                                     edge_worker_exited};

bool edge_web_uplink(void *edge, unsigned channel, long id, const char *core, unsigned tunnel,
                     const int fds[2])
{
    struct edge *e = edge;
    json_t *msg = json_pack("{ss sI ss si si}", "type", "uplink", "id", (json_int_t)id, "core", core,
                            "tunnel", (int)tunnel, "channel", (int)channel);
    return worker_send(e->web[channel], msg, fds, 2) == ERR_OK;
}

void edge_web_uplink_close(void *edge, unsigned channel, long id)
{
    struct edge *e = edge;
    (void)worker_send(e->web[channel], json_pack("{sssI}", "type", "uplink_close", "id", (json_int_t)id),
                      NULL, 0);
}

/* Why a policy with these rules is not taken; NULL when it is. Revisions count up with every change, so that
 * two cores with different configs do not take turns. The edge's own config is only what it begins with: a
 * core may have other rules under the same number. */
static const char *edge_web_judge_revision(struct edge *e, const char *core, long revision,
                                           const json_t *allowlist, const json_t *hosts)
{
    bool other = !json_equal(allowlist, e->allowlist) || !json_equal(hosts, e->join_hosts);
    if (revision < 1 || revision < e->policy_revision)
        snprintf(e->policy_problem, sizeof e->policy_problem,
                 "revision %ld is older than %ld, which is in force%s%s", revision, e->policy_revision,
                 *e->policy_from ? " from " : "", e->policy_from);
    else if (revision == e->policy_revision && other && *e->policy_from)
        snprintf(e->policy_problem, sizeof e->policy_problem,
                 "revision %ld is in force from %s with other rules; give %s's config a higher one", revision,
                 e->policy_from, core);
    else
        return NULL;
    return e->policy_problem;
}

/* The rules of a message in the form that workers get; NULL: e->policy_problem says why. */
static json_t *edge_web_judge_rules(struct edge *e, const json_t *msg)
{
    struct allowlist judged;
    json_t *rules = NULL;
    const json_t *list = json_object_get(msg, "allowlist");
    if (!json_is_array(list)) {
        snprintf(e->policy_problem, sizeof e->policy_problem, "the policy has no allow-list");
        return NULL;
    }
    if (policy_check_join_urls(json_object_get(msg, "join_urls"), e->policy_problem,
                               sizeof e->policy_problem) != ERR_OK)
        return NULL;
    allowlist_init(&judged);
    snprintf(e->policy_problem, sizeof e->policy_problem, "out of memory");
    if (allowlist_from_json(list, &judged, e->policy_problem, sizeof e->policy_problem) == ERR_OK)
        rules = allowlist_to_json(&judged);
    allowlist_free(&judged);
    return rules;
}

/* The join hosts of a policy that was judged; an older core's has none, and leaves those in force. */
static json_t *edge_web_policy_hosts(struct edge *e, const json_t *msg)
{
    const json_t *urls = json_object_get(msg, "join_urls");
    json_t *hosts = urls ? policy_join_hosts(urls) : json_incref(e->join_hosts);
    if (!hosts)
        snprintf(e->policy_problem, sizeof e->policy_problem, "out of memory");
    return hosts;
}

static void edge_web_commit_policy(struct edge *e, const char *core, long revision, json_t *rules,
                                   json_t *hosts)
{
    bool other_hosts = !json_equal(hosts, e->join_hosts);
    json_decref(e->allowlist);
    json_decref(e->join_hosts);
    e->allowlist = rules;
    e->join_hosts = hosts;
    e->policy_revision = revision;
    snprintf(e->policy_from, sizeof e->policy_from, "%s", core);
    log_event(LOG_NOTICE, "Policy Committed", "core=%s revision=%ld rules=%zu", core, revision,
              json_array_size(rules));
    for (size_t i = 0; i < e->n_web; i++)
        worker_update(e->web[i], "policy",
                      json_pack("{ss sI sO}", "type", "policy", "revision", (json_int_t)revision, "allowlist",
                                rules)); /* one that is down gets it in its setup */
    if (other_hosts)
        edge_certificate_hosts(e);
}

/* Prepared (judged as a whole) first, committed to every worker then. */
const char *edge_web_policy(void *edge, const char *core, long revision, const json_t *msg)
{
    struct edge *e = edge;
    json_t *rules = edge_web_judge_rules(e, msg), *hosts = rules ? edge_web_policy_hosts(e, msg) : NULL;
    const char *problem =
        hosts ? edge_web_judge_revision(e, core, revision, rules, hosts) : e->policy_problem;
    if (problem) {
        char quoted[2 * sizeof e->policy_problem];
        log_event(LOG_WARNING, "Policy Refused", "core=%s revision=%ld reason=%s", core, revision,
                  log_quote(problem, strlen(problem), quoted, sizeof quoted));
        alarm_raise(ALARM_POLICY_REFUSED, core, problem);
        json_decref(rules);
        json_decref(hosts);
        return problem;
    }
    alarm_clear(ALARM_POLICY_REFUSED, core);
    if (e->policy_revision != revision || !json_equal(rules, e->allowlist) ||
        !json_equal(hosts, e->join_hosts)) {
        edge_web_commit_policy(e, core, revision, rules, hosts);
        return NULL;
    }
    if (!*e->policy_from)
        snprintf(e->policy_from, sizeof e->policy_from, "%s", core);
    json_decref(rules);
    json_decref(hosts);
    return NULL;
}

void edge_web_hosts_request(void *edge, struct request *r, const json_t *msg)
{
    struct edge *e = edge;
    (void)msg;
    request_answer(r, json_pack("{ss sO}", "type", "hosts", "hosts", e->join_hosts));
}

void edge_web_limits(struct edge *e)
{
    const struct config *c = &e->box->config;
    for (size_t i = 0; i < e->n_web; i++)
        worker_update(e->web[i], "limits",
                      json_pack("{ss so so so sI}", "type", "limits", "limits",
                                web_limits_json(&c->web_limits), "exempt",
                                schema_strings_json(&c->bans.exempt), "load_balancers",
                                schema_strings_json(&c->web_proxy.load_balancers), "hsts",
                                (json_int_t)c->web_proxy.hsts));
}

void edge_web_acme(struct edge *e)
{
    for (size_t i = 0; i < e->n_web; i++)
        if (e->web[i])
            worker_update(e->web[i], "acme",
                          json_pack("{ss sO}", "type", "acme", "answers", e->acme.answers));
}

void edge_web_tickets(struct edge *e)
{
    char keys[TLS_TICKETS_HEX];
    tls_tickets_print(&e->certificate.tickets, keys);
    for (size_t i = 0; i < e->n_web; i++)
        worker_update(e->web[i], "tickets", json_pack("{ss ss}", "type", "tickets", "tickets", keys));
    OPENSSL_cleanse(keys, sizeof keys);
}

void edge_web_certificate(struct edge *e)
{
    for (size_t i = 0; i < e->n_web; i++)
        worker_update(e->web[i], "tls", json_pack("{ss so}", "type", "tls", "tls", edge_certificate_json(e)));
}

static enum err edge_web_own_hosts(struct edge *e, char *why)
{
    json_t *urls = policy_join_urls(&e->box->config);
    e->join_hosts = urls ? policy_join_hosts(urls) : NULL;
    json_decref(urls);
    if (e->join_hosts)
        return ERR_OK;
    snprintf(why, SCHEMA_WHY, "out of memory");
    return ERR_MEMORY;
}

enum err edge_web_start(struct edge *e, char *why)
{
    long n = e->self->web_workers ? e->self->web_workers : sysconf(_SC_NPROCESSORS_ONLN);
    e->n_web = n < 1 ? 1 : n > LISTENERS_WORKERS_MAX ? LISTENERS_WORKERS_MAX : (size_t)n;
    e->policy_revision = e->box->config.revision;
    enum err err = policy_allowlist(&e->box->config, &e->allowlist, why, SCHEMA_WHY);
    if (err == ERR_OK)
        err = edge_web_own_hosts(e, why);
    if (err == ERR_OK)
        err = edge_certificate_start(e, why);
    if (err == ERR_OK && e->self->http_port)
        edge_acme_start(e);
    if (err == ERR_OK)
        err = web_listeners_open(e->self, e->web_listeners, e->n_web, why);
    for (size_t i = 0; i < e->n_web && err == ERR_OK; i++)
        e->web[i] = worker_new(e->loop, "web", (unsigned)i, &edge_web_events, e);
    return err;
}
