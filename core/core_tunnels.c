/* Tunnel workers: which there are, and what they are told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/alarms.h"
#include "common/fatal.h"
#include "common/gather.h"
#include "common/log.h"
#include "common/text.h"
#include "core/core.h"

/* How long what runs in a tunnel that the config does not have any more may go on. */
static const double retire_seconds = 30;

/* What they are told ------------------------------------------------------------------------------------ */

static void tunnel_add_policy(const struct core *c, json_t *msg)
{
    const struct core_material *m = &c->material;
    json_object_set_new(msg, "revision", json_integer(c->box->config.revision));
    json_object_set_new(msg, "config", json_string(c->box->config.text));
    json_object_set(msg, "policy", m->told);
    json_object_set(msg, "allowlist", m->allowlist);
    json_object_set_new(msg, "domains", domains_policy(m->domains, &m->policy));
}

static void tunnel_on_start(void *tunnel, struct worker *w)
{
    struct core_tunnel *t = tunnel;
    struct core *c = t->owner;
    const struct config_edge *edge = config_edge_find(&c->box->config, t->edge);
    json_t *msg =
        json_pack("{ss ss s{ss ss si} si si}", "type", "setup", "core", c->box->name, "edge", "name", t->edge,
                  "host", t->host, "port", t->port, "index", (int)t->index, "log_level", daemon_log_level());
    tunnel_add_policy(c, msg);
    if (edge)
        core_keys_add(c, edge, msg);
    enum err err = worker_send(w, msg, NULL, 0);
    for (size_t i = 0; i < domains_count(c->material.domains) && err == ERR_OK; i++)
        err = worker_send(w, domains_targets(c->material.domains, i), NULL, 0);
    if (err != ERR_OK)
        log_event(LOG_ERR, "Worker Not Set Up", "worker=%s", worker_name(w));
}

static void tunnel_tell_policy(struct core_tunnel *t)
{
    json_t *msg = json_pack("{ss}", "type", "policy");
    tunnel_add_policy(t->owner, msg);
    worker_update(t->worker, "policy", msg);
}

void core_tunnels_tell_targets(struct core *c, size_t domain)
{
    struct core_tunnel *t;
    char what[300];
    snprintf(what, sizeof what, "targets of %s", config_domain_at(&c->box->config, domain).host);
    TAILQ_FOREACH (t, &c->tunnels, next)
        worker_update(t->worker, what, domains_targets(c->material.domains, domain));
}

static struct core_tunnel *tunnel_passing(const struct core *c, const char *edge);
static void tunnel_retire(struct core_tunnel *t);
static void tunnel_linger(struct core_tunnel *t);

/* What they say ------------------------------------------------------------------------------------------ */

static bool tunnel_is_active(const struct core_tunnel *t)
{
    return strcmp(t->state, "active") == 0;
}

static void tunnel_set_state(struct core_tunnel *t, const char *state, const char *reason)
{
    if (strcmp(t->state, state) != 0)
        t->since = ev_now(t->owner->loop);
    text_copy(t->state, sizeof t->state, state);
    text_copy(t->reason, sizeof t->reason, reason);
    if (tunnel_is_active(t))
        t->down[0] = '\0';
    else if (*t->reason) /* while it dials again there is none */
        memcpy(t->down, t->reason, sizeof t->down);
}

/* Every tunnel that is down, and every edge of which all are. */
static void tunnels_match_alarms(const struct core *c)
{
    json_t *down = json_object(), *unreachable = json_object(), *up = json_object();
    const struct core_tunnel *t;
    char subject[96];
    const char *edge;
    json_t *unused;
    TAILQ_FOREACH (t, &c->tunnels, next) {
        snprintf(subject, sizeof subject, "%s/%u", t->edge, t->index);
        if (t->leaving)
            continue;
        if (!*t->down) {
            json_object_set_new(up, t->edge, json_true());
        } else {
            json_object_set_new(down, subject, json_string(t->down));
            json_object_set_new(unreachable, t->edge, json_string(t->down));
        }
    }
    json_object_foreach (up, edge, unused)
        json_object_del(unreachable, edge);
    alarm_match(ALARM_TUNNEL_DOWN, down);
    alarm_match(ALARM_EDGE_UNREACHABLE, unreachable);
    json_decref(down);
    json_decref(unreachable);
    json_decref(up);
}

/* It takes the place of one that was waiting for that; the last one that comes up takes those of all that are
 * left. */
static void tunnel_succeeds(const struct core_tunnel *t)
{
    const struct core_tunnel *other;
    struct core_tunnel *old;
    bool last = true;
    TAILQ_FOREACH (other, &t->owner->tunnels, next)
        last &=
            other->leaving || other->passing || tunnel_is_active(other) || strcmp(other->edge, t->edge) != 0;
    while ((old = tunnel_passing(t->owner, t->edge)) != NULL) {
        tunnel_linger(old);
        if (!last)
            return;
    }
}

static void tunnel_on_state(struct core_tunnel *t, const json_t *msg)
{
    const char *state = json_string_value(json_object_get(msg, "state"));
    const char *reason = json_string_value(json_object_get(msg, "reason"));
    bool was_active = tunnel_is_active(t), active = state && strcmp(state, "active") == 0;
    char before[sizeof t->reason], quoted[2 * sizeof t->reason];
    if (!state || t->leaving)
        return;
    memcpy(before, t->reason, sizeof before);
    tunnel_set_state(t, state, reason);
    if (active)
        text_copy(t->edge_version, sizeof t->edge_version,
                  json_string_value(json_object_get(msg, "edge_version")));
    if (active && !was_active && !t->passing)
        tunnel_succeeds(t);
    if (active && !was_active)
        log_event(LOG_NOTICE, "Tunnel Up", "edge=%s tunnel=%u target=%s", t->edge, t->index, t->target);
    else if (!active && *t->reason && (was_active || strcmp(before, t->reason) != 0))
        log_event(LOG_WARNING, "Tunnel Down", "edge=%s tunnel=%u target=%s reason=%s", t->edge, t->index,
                  t->target, log_quote(t->reason, strlen(t->reason), quoted, sizeof quoted));
    tunnels_match_alarms(t->owner);
}

static void tunnel_on_policy_ack(const struct core_tunnel *t, const json_t *msg)
{
    const char *error = json_string_value(json_object_get(msg, "error"));
    if (error)
        alarm_raise(ALARM_POLICY_REFUSED, t->edge, error);
    else
        alarm_clear(ALARM_POLICY_REFUSED, t->edge);
}

static void tunnel_on_target_failed(struct core *c, const json_t *msg)
{
    struct netaddr addr;
    const char *address = json_string_value(json_object_get(msg, "address"));
    const char *domain = json_string_value(json_object_get(msg, "domain"));
    if (!domain || !address || netaddr_parse(address, 0, &addr) != ERR_OK)
        return;
    addr.port = (uint16_t)json_integer_value(json_object_get(msg, "port"));
    domains_hint_failed(c->material.domains, domain, &addr);
}

/* What they ask ------------------------------------------------------------------------------------------ */

static void tunnel_on_resolved(void *tunnel, const struct resolver_answer *answer)
{
    struct core_tunnel *t = tunnel;
    json_t *texts = json_array();
    char ip[NETADDR_TEXT];
    t->question = NULL;
    for (size_t i = 0; i < answer->n; i++)
        json_array_append_new(texts, json_string(netaddr_print_ip(&answer->addresses[i].addr, ip)));
    worker_update(t->worker, "answer",
                  json_pack("{ss so ss?}", "type", "answer", "addresses", texts, "error", answer->error));
}

/* Of a worker that has died since: the next one has the answer to its own question from the one that runs. */
static void tunnel_on_question(struct core_tunnel *t)
{
    if (!t->question)
        t->question = resolver_ask(t->owner->resolver, t->host, t->port, NULL, tunnel_on_resolved, t);
    if (!t->question)
        worker_update(t->worker, "answer",
                      json_pack("{ss s[] ss}", "type", "answer", "addresses", "error", "out of memory"));
}

static void tunnel_on_message(void *tunnel, struct worker *w, const char *type, json_t *msg, int *fds,
                              size_t n_fds)
{
    struct core_tunnel *t = tunnel;
    (void)fds, (void)n_fds;
    if (strcmp(type, "status") == 0 || strcmp(type, "config") == 0)
        gather_message(w, msg);
    else if (strcmp(type, "state") == 0)
        tunnel_on_state(t, msg);
    else if (strcmp(type, "policy_ack") == 0)
        tunnel_on_policy_ack(t, msg);
    else if (strcmp(type, "question") == 0)
        tunnel_on_question(t);
    else if (strcmp(type, "keys_ack") == 0)
        core_keys_heard(t, msg);
    else if (strcmp(type, "target_failed") == 0)
        tunnel_on_target_failed(t->owner, msg);
}

/* Coming and going --------------------------------------------------------------------------------------- */

static void tunnel_free(struct core_tunnel *t)
{
    TAILQ_REMOVE(&t->owner->tunnels, t, next);
    t->owner->n_tunnels--;
    if (t->question)
        resolver_cancel(t->question);
    worker_free(t->worker);
    free(t->host_key);
    free(t);
}

size_t core_tunnels_running(const struct core *c)
{
    const struct core_tunnel *t;
    size_t n = 0;
    TAILQ_FOREACH (t, &c->tunnels, next)
        n += worker_running(t->worker);
    return n;
}

static void tunnel_on_exit(void *tunnel, struct worker *w, const char *how, bool stopped)
{
    struct core_tunnel *t = tunnel;
    struct core *c = t->owner;
    char reason[160];
    (void)w;
    snprintf(reason, sizeof reason, "its worker process was %s", how);
    if (!stopped) {
        tunnel_set_state(t, "failed", reason);
        tunnels_match_alarms(c);
    }
    if (t->leaving) {
        log_event(LOG_NOTICE, "Tunnel Ended", "edge=%s tunnel=%u target=%s", t->edge, t->index, t->target);
        tunnel_free(t);
        core_rotation_step(c);
    }
    if (c->stopping && core_tunnels_running(c) == 0)
        ev_break(c->loop, EVBREAK_ALL);
}

static const struct worker_events tunnel_events = {tunnel_on_start, tunnel_on_message, tunnel_on_exit};

/* The lowest numbers that are free: of the worker, and of the tunnel among those of its edge. The edge knows
 * a tunnel by that number, so one that leaves keeps it until it is gone. */
static unsigned tunnels_free_number(const struct core *c, const char *edge)
{
    const struct core_tunnel *t;
    unsigned number = 0;
    bool taken = true;
    while (taken) {
        taken = false;
        TAILQ_FOREACH (t, &c->tunnels, next)
            taken |= edge ? t->index == number && strcasecmp(t->edge, edge) == 0
                          : worker_index(t->worker) == number;
        number += taken;
    }
    return number;
}

static void tunnel_start(struct core *c, const struct config_edge *edge)
{
    struct core_tunnel *t = xcalloc(1, sizeof *t);
    t->owner = c;
    text_copy(t->edge, sizeof t->edge, edge->name);
    text_copy(t->target, sizeof t->target, edge->ssh);
    text_copy(t->host, sizeof t->host, edge->ssh_host);
    t->port = edge->ssh_target_port;
    t->host_key = xstrdup(edge->host_key);
    t->index = tunnels_free_number(c, edge->name);
    tunnel_set_state(t, "connecting", "");
    t->worker = worker_new(c->loop, "tunnel", tunnels_free_number(c, NULL), &tunnel_events, t);
    TAILQ_INSERT_TAIL(&c->tunnels, t, next);
    c->n_tunnels++;
}

static void tunnel_retire(struct core_tunnel *t)
{
    log_event(LOG_NOTICE, "Tunnel Retired", "edge=%s tunnel=%u target=%s", t->edge, t->index, t->target);
    t->leaving = true;
    alarm_clear(ALARM_POLICY_REFUSED, t->edge);
    tunnel_set_state(t, "leaving", "not in the config any more; what runs in it may end");
    if (worker_running(t->worker))
        worker_retire(t->worker, retire_seconds);
    else
        tunnel_free(t);
}

/* Another one is up in its place: what runs in it has all the time that it needs. */
static void tunnel_linger(struct core_tunnel *t)
{
    double seconds = t->owner->linger;
    log_event(LOG_NOTICE, "Tunnel Replaced", "edge=%s tunnel=%u target=%s", t->edge, t->index, t->target);
    t->leaving = true;
    tunnel_set_state(t, "leaving", "another one has taken its place; what runs in it may end");
    if (worker_running(t->worker)) {
        (void)worker_send(t->worker, json_pack("{ss}", "type", "linger"), NULL, 0);
        worker_retire(t->worker, seconds);
    } else {
        tunnel_free(t);
    }
}

static struct core_tunnel *tunnel_passing(const struct core *c, const char *edge)
{
    struct core_tunnel *t;
    TAILQ_FOREACH (t, &c->tunnels, next)
        if (t->passing && !t->leaving && strcmp(t->edge, edge) == 0)
            return t;
    return NULL;
}

bool core_tunnels_passing(const struct core *c)
{
    const struct core_tunnel *t;
    TAILQ_FOREACH (t, &c->tunnels, next)
        if (t->passing)
            return true;
    return false;
}

static bool tunnel_is_of(const struct core_tunnel *t, const struct config_edge *edge)
{
    return strcmp(t->edge, edge->name) == 0 && strcmp(t->host, edge->ssh_host) == 0 &&
           t->port == edge->ssh_target_port && strcmp(t->host_key, edge->host_key) == 0;
}

/* How many tunnels of an edge stay, those from `first` on left out. */
static size_t tunnels_of(const struct core *c, const struct config_edge *edge,
                         const struct core_tunnel *first)
{
    const struct core_tunnel *t;
    size_t n = 0;
    for (t = TAILQ_FIRST(&c->tunnels); t != first; t = TAILQ_NEXT(t, next))
        n += !t->leaving && !t->passing && tunnel_is_of(t, edge);
    return n;
}

static bool tunnel_stays(const struct core_tunnel *t)
{
    const struct config *config = &t->owner->box->config;
    const struct config_edge *edge = config_edge_find(config, t->edge);
    if (t->passing) /* it goes when its successor is up */
        return edge && tunnel_is_of(t, edge);
    return edge && tunnel_is_of(t, edge) &&
           tunnels_of(t->owner, edge, t) < (size_t)config->web_proxy.tunnels_per_edge;
}

struct core_tunnels_change core_tunnels_match(struct core *c, bool fresh)
{
    struct core_tunnels_change change = {0};
    const struct config *config = &c->box->config;
    struct core_tunnel *t, *after;
    for (t = TAILQ_FIRST(&c->tunnels); t; t = after) {
        after = TAILQ_NEXT(t, next);
        if (t->leaving)
            continue;
        if (!fresh && tunnel_stays(t)) {
            tunnel_tell_policy(t);
            change.kept++;
        } else {
            tunnel_retire(t);
            change.retired++;
        }
    }
    for (size_t i = 0; i < config->edges.n; i++) {
        const struct config_edge *edge = config_edge_at(config, i);
        for (size_t n = tunnels_of(c, edge, NULL); n < (size_t)config->web_proxy.tunnels_per_edge; n++) {
            tunnel_start(c, edge);
            change.started++;
        }
    }
    if (change.retired > 0) /* else a restart forgets what was wrong before it */
        tunnels_match_alarms(c);
    return change;
}

void core_tunnels_replace(struct core *c, double linger)
{
    struct core_tunnel *t;
    c->linger = linger;
    TAILQ_FOREACH (t, &c->tunnels, next)
        t->passing = true;
    (void)core_tunnels_match(c, false);
}

void core_tunnel_replace(struct core_tunnel *t, double linger)
{
    struct core *c = t->owner;
    if (t->passing || c->n_tunnels >= CORE_TUNNELS_MAX)
        return;
    c->linger = linger;
    t->passing = true;
    (void)core_tunnels_match(c, false);
}

/* All of them -------------------------------------------------------------------------------------------- */

void core_tunnels_init(struct core *c)
{
    TAILQ_INIT(&c->tunnels);
}

/* Half of the places are for those that leave while others take theirs. */
enum err core_tunnels_judge(const struct core *c, const struct config *config, char *why)
{
    size_t per_edge = (size_t)config->web_proxy.tunnels_per_edge, most = CORE_TUNNELS_MAX / 2;
    if (per_edge * config->edges.n > most) {
        snprintf(why, SCHEMA_WHY,
                 "%zu edges with %zu tunnels each are more than %zu tunnels; lower "
                 "web_proxy.tunnels_per_edge",
                 config->edges.n, per_edge, most);
        return ERR_CONFIG;
    }
    if (c->n_tunnels + per_edge * config->edges.n <= CORE_TUNNELS_MAX)
        return ERR_OK;
    snprintf(why, SCHEMA_WHY, "%zu tunnels of earlier reloads have not ended yet; try again in %.0f seconds",
             c->n_tunnels, retire_seconds);
    return ERR_AGAIN;
}

size_t core_tunnels_workers(const struct core *c, struct worker *all[CORE_TUNNELS_MAX])
{
    const struct core_tunnel *t;
    size_t n = 0;
    TAILQ_FOREACH (t, &c->tunnels, next)
        if (n < CORE_TUNNELS_MAX)
            all[n++] = t->worker;
    return n;
}

void core_tunnels_stop(struct core *c, double seconds)
{
    struct core_tunnel *t;
    TAILQ_FOREACH (t, &c->tunnels, next)
        worker_retire(t->worker, seconds);
    if (core_tunnels_running(c) == 0)
        ev_break(c->loop, EVBREAK_ALL);
}

void core_tunnels_free(struct core *c)
{
    while (!TAILQ_EMPTY(&c->tunnels))
        tunnel_free(TAILQ_FIRST(&c->tunnels));
}
