#include "core/tunnel/tunnel_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "core/egress/egress.h"
#include "core/tunnel/dial.h"
#include "core/tunnel/tunnel.h"

struct tunnel_worker {
    struct ev_loop *loop;
    struct ipc *main;
    struct egress *egress;
    struct tunnel *tunnel; /* NULL until setup */
    json_t *config_id;     /* of main's question, while the edge is asked to prepare a config */
};

/* To main ------------------------------------------------------------------------------------------------ */

static void worker_tell(struct tunnel_worker *w, json_t *msg)
{
    enum err e = ipc_send(w->main, msg, NULL, 0);
    if (e != ERR_OK)
        log_event(LOG_ERR, "Message To Main Lost", "reason=\"%s\"", err_str(e));
}

static void worker_on_state(void *ctx, enum tunnel_state state, const char *reason)
{
    struct tunnel_worker *w = ctx;
    worker_tell(w, json_pack("{ss ss ss sI ss}", "type", "state", "state", tunnel_state_str(state), "reason",
                             reason, "since", (json_int_t)time(NULL), "edge_version",
                             w->tunnel ? tunnel_edge_version(w->tunnel) : ""));
}

static void worker_on_policy_ack(void *ctx, int64_t revision, const char *error)
{
    worker_tell(ctx, json_pack("{ss sI ss?}", "type", "policy_ack", "revision", (json_int_t)revision, "error",
                               error));
}

static void worker_on_config(void *ctx, const char *state, const char *reason, const char *waiting)
{
    struct tunnel_worker *w = ctx;
    worker_tell(w, json_pack("{ss so* ss ss ss}", "type", "config", "id", w->config_id, "state", state,
                             "reason", reason, "waits_for_restart", waiting));
    w->config_id = NULL;
}

static void worker_on_keys_ack(void *ctx, const json_t *msg)
{
    struct tunnel_worker *w = ctx;
    json_t *copy = json_deep_copy(msg); /* its type is keys_ack */
    if (json_object_set_new(copy, "proved", json_string(tunnel_host_key(w->tunnel))) == 0)
        worker_tell(w, copy);
    else
        json_decref(copy); /* out of memory: core asks again */
}

static void worker_on_drained(void *ctx)
{
    struct tunnel_worker *w = ctx;
    ev_break(w->loop, EVBREAK_ALL);
}

static void worker_on_question(void *ctx)
{
    worker_tell(ctx, json_pack("{ss}", "type", "question"));
}

static const struct tunnel_events worker_tunnel_events = {worker_on_state,   worker_on_policy_ack,
                                                          worker_on_config,  worker_on_keys_ack,
                                                          worker_on_drained, worker_on_question};

static void worker_on_target_failed(void *ctx, const char *host, const struct netaddr *addr,
                                    const char *reason)
{
    char ip[NETADDR_TEXT];
    worker_tell(ctx, json_pack("{ss ss ss si ss}", "type", "target_failed", "domain", host, "address",
                               netaddr_print_ip(addr, ip), "port", (int)addr->port, "reason", reason));
}

static void worker_on_refused(void *ctx, const struct egress_refusal *r)
{
    worker_tell(ctx, json_pack("{ss ss ss ss ss si ss si}", "type", "event", "event", "Request Refused",
                               "client", r->client, "method", r->method, "url", r->url, "status",
                               (int)r->status, "reason", r->why, "dropped", (int)r->dropped));
}

static const struct egress_events worker_egress_events = {worker_on_target_failed, worker_on_refused};

/* From main ---------------------------------------------------------------------------------------------- */

/* main has judged all of it; what fails here is a bug or a lack of memory, and the process is better started
 * again. */
static void worker_fail(struct tunnel_worker *w, const char *words)
{
    log_event(LOG_ERR, "Tunnel Not Set Up", "reason=\"%s\"", words);
    worker_on_state(w, TUNNEL_FAILED, words);
}

static bool worker_policy(struct tunnel_worker *w, const json_t *msg)
{
    char why[512];
    json_t *policy = json_object_get(msg, "policy");
    enum err e = egress_set_policy(w->egress, json_object_get(msg, "allowlist"),
                                   json_object_get(msg, "domains"), why, sizeof why);
    if (e == ERR_OK && w->tunnel && json_is_object(policy))
        tunnel_set_policy(w->tunnel, json_integer_value(json_object_get(msg, "revision")), policy,
                          json_string_value(json_object_get(msg, "config")));
    else if (e != ERR_OK)
        worker_fail(w, why);
    return e == ERR_OK;
}

/* Going on by the old rules is no choice: main starts the process again, with the new ones. */
static void worker_new_policy(struct tunnel_worker *w, const json_t *msg)
{
    if (!worker_policy(w, msg))
        ev_break(w->loop, EVBREAK_ALL);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* Main has judged them as well; what is in force stays. */
static void worker_keys(struct tunnel_worker *w, const json_t *msg)
{
    json_t *told = json_object_get(msg, "told");
    if (w->tunnel && tunnel_set_keys(w->tunnel, json_object_get(msg, "host_keys"), text_of(msg, "client_key"),
                                     json_is_object(told) ? told : NULL) != ERR_OK)
        log_event(LOG_ERR, "Keys Not Taken Over", "reason=\"malformed, or out of memory\"");
}

static void worker_setup(struct tunnel_worker *w, const json_t *msg)
{
    char why[256], name[64];
    const json_t *edge = json_object_get(msg, "edge"), *level = json_object_get(msg, "log_level");
    struct tunnel_config config = {
        .core = text_of(msg, "core"),
        .edge = text_of(edge, "name"),
        .host = text_of(edge, "host"),
        .port = (uint16_t)json_integer_value(json_object_get(edge, "port")),
        .host_keys = json_object_get(msg, "host_keys"),
        .client_key = text_of(msg, "client_key"),
        .index = (unsigned)json_integer_value(json_object_get(msg, "index")),
    };
    if (json_is_integer(level))
        log_set_level((int)json_integer_value(level));
    snprintf(name, sizeof name, "tunnel:%s:%u", config.edge, config.index);
    log_set_process(name);
    if (w->tunnel) {
        worker_fail(w, "set up twice");
        return;
    }
    if (tunnel_new(w->loop, &config, w->egress, &worker_tunnel_events, w, &w->tunnel, why, sizeof why) !=
        ERR_OK) {
        worker_fail(w, why);
        return;
    }
    worker_keys(w, msg);
    if (!worker_policy(w, msg)) {
        tunnel_free(w->tunnel);
        w->tunnel = NULL;
    }
}

static void worker_answer(struct tunnel_worker *w, const json_t *msg)
{
    const json_t *texts = json_object_get(msg, "addresses");
    struct netaddr addrs[DIAL_ADDRESSES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(texts) && n < DIAL_ADDRESSES_MAX; i++)
        if (netaddr_parse(json_string_value(json_array_get(texts, i)), 0, &addrs[n]) == ERR_OK)
            n++;
    if (w->tunnel)
        tunnel_answer(w->tunnel, addrs, n, json_string_value(json_object_get(msg, "error")));
}

static void worker_status(struct tunnel_worker *w, const json_t *msg)
{
    json_t *status = w->tunnel ? tunnel_status(w->tunnel) : json_object();
    json_object_set_new(status, "egress", egress_status(w->egress));
    worker_tell(
        w, json_pack("{ss sO* so}", "type", "status", "id", json_object_get(msg, "id"), "tunnel", status));
}

static void worker_config_prepare(struct tunnel_worker *w, const json_t *msg)
{
    json_decref(w->config_id);
    w->config_id = json_incref(json_object_get(msg, "id"));
    const char *state =
        w->tunnel ? tunnel_config_prepare(w->tunnel, json_integer_value(json_object_get(msg, "revision")),
                                          text_of(msg, "text"))
                  : "away";
    if (state)
        worker_on_config(w, state, "", "");
}

static void worker_config_decide(struct tunnel_worker *w, const json_t *msg, bool commit)
{
    if (w->tunnel)
        tunnel_config_decide(w->tunnel, json_integer_value(json_object_get(msg, "revision")), commit);
}

void tunnel_worker_message(struct tunnel_worker *w, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    (void)fds, (void)n_fds;
    if (strcmp(type, "setup") == 0)
        worker_setup(w, msg);
    else if (strcmp(type, "policy") == 0)
        worker_new_policy(w, msg);
    else if (strcmp(type, "targets") == 0)
        egress_set_targets(w->egress, text_of(msg, "domain"), json_object_get(msg, "targets"));
    else if (strcmp(type, "answer") == 0)
        worker_answer(w, msg);
    else if (strcmp(type, "keys") == 0)
        worker_keys(w, msg);
    else if (strcmp(type, "refuse") == 0 && w->tunnel)
        tunnel_refuse(w->tunnel, text_of(msg, "reason"));
    else if (strcmp(type, "linger") == 0 && w->tunnel)
        tunnel_linger(w->tunnel);
    else if (strcmp(type, "status") == 0)
        worker_status(w, msg);
    else if (strcmp(type, "config_prepare") == 0)
        worker_config_prepare(w, msg);
    else if (strcmp(type, "config_commit") == 0 || strcmp(type, "config_rollback") == 0)
        worker_config_decide(w, msg, strcmp(type, "config_commit") == 0);
    else
        log_event(LOG_ERR, "Unknown Message", "type=%s", type);
}

void tunnel_worker_drain(struct tunnel_worker *w, double seconds)
{
    if (w->tunnel)
        tunnel_drain(w->tunnel, seconds);
    else
        ev_break(w->loop, EVBREAK_ALL);
}

struct tunnel_worker *tunnel_worker_new(struct ev_loop *loop, struct ipc *main)
{
    struct tunnel_worker *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->loop = loop;
    w->main = main;
    w->egress = egress_new(loop, &worker_egress_events, w);
    if (w->egress)
        return w;
    free(w);
    return NULL;
}

void tunnel_worker_free(struct tunnel_worker *w)
{
    if (!w)
        return;
    tunnel_free(w->tunnel);
    json_decref(w->config_id);
    egress_free(w->egress);
    free(w);
}
