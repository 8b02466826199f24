#include "core/bridge/targets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "common/text.h"
#include "core/bridge/probe.h"
#include "core/bridge/resolver.h"

enum { TARGETS_MAX = 64, TARGETS_NAMES_MAX = 64, BRIDGE_PORT = 443 };

static const double ttl_none = 5, dns_retry = 2, probe_active_every = 3, probe_failed_every = 1;

enum target_state { TARGET_UNKNOWN, TARGET_ACTIVE, TARGET_FAILED };
static const char *const state_names[] = {"unknown", "active", "failed"};

struct target {
    struct targets *owner;
    struct resolver_address at;
    size_t source; /* which name it came from */
    enum target_state state;
    char reason[256];
    time_t since;
    bool stale; /* while merging: not seen in the new answer */
    struct probe *probe;
    ev_timer next_probe;
};

/* One name to resolve: the join host, or one of the config's targets. */
struct target_source {
    struct targets *owner;
    char host[256], srv[300];
    uint16_t port;
    char error[256];
    time_t since;
    struct resolver_query *query;
    ev_timer next_query;
};

struct targets {
    struct ev_loop *loop;
    char join_host[256];
    SSL_CTX *ssl_ctx;
    const struct targets_events *events;
    void *ctx;
    struct resolver *resolver;
    struct target_source sources[TARGETS_NAMES_MAX];
    size_t n_sources;
    struct target *list[TARGETS_MAX];
    size_t n;
};

/* Probing ------------------------------------------------------------------------------------------------ */

static void target_probe_in(struct target *t, double seconds)
{
    ev_timer_stop(t->owner->loop, &t->next_probe);
    ev_timer_set(&t->next_probe, seconds, 0);
    ev_timer_start(t->owner->loop, &t->next_probe);
}

static void target_on_probed(void *ctx, const char *reason)
{
    struct target *t = ctx;
    enum target_state state = reason ? TARGET_FAILED : TARGET_ACTIVE;
    char at[NETADDR_TEXT], quoted[2 * sizeof t->reason];
    bool changed = state != t->state || strcmp(t->reason, reason ? reason : "") != 0;
    t->probe = NULL;
    if (state != t->state)
        t->since = time(NULL);
    t->state = state;
    text_copy(t->reason, sizeof t->reason, reason);
    target_probe_in(t, state == TARGET_ACTIVE ? probe_active_every : probe_failed_every);
    if (!changed)
        return;
    log_event(state == TARGET_ACTIVE ? LOG_NOTICE : LOG_WARNING,
              state == TARGET_ACTIVE ? "Target Active" : "Target Failed", "domain=%s name=%s address=%s%s%s",
              t->owner->join_host, t->at.name, netaddr_print(&t->at.addr, at), reason ? " reason=" : "",
              reason ? log_quote(reason, strlen(reason), quoted, sizeof quoted) : "");
    t->owner->events->on_change(t->owner->ctx);
}

static void target_probe(struct target *t)
{
    if (t->probe)
        return;
    t->probe =
        probe_start(t->owner->loop, &t->at.addr, t->owner->ssl_ctx, t->owner->join_host, target_on_probed, t);
    if (!t->probe)
        target_probe_in(t, probe_failed_every);
}

static void target_on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    target_probe(timer->data);
}

static void target_free(struct target *t)
{
    ev_timer_stop(t->owner->loop, &t->next_probe);
    if (t->probe)
        probe_cancel(t->probe);
    free(t);
}

/* Resolving ---------------------------------------------------------------------------------------------- */

static struct target *targets_find(struct targets *all, size_t source, const struct resolver_address *a)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->list[i]->source == source && netaddr_equal(&all->list[i]->at.addr, &a->addr))
            return all->list[i];
    return NULL;
}

static bool targets_add(struct targets *all, size_t source, const struct resolver_address *a)
{
    struct target *t = all->n < TARGETS_MAX ? calloc(1, sizeof *t) : NULL;
    if (!t)
        return false;
    t->owner = all;
    t->at = *a;
    t->source = source;
    t->since = time(NULL);
    ev_init(&t->next_probe, target_on_timer);
    t->next_probe.data = t;
    all->list[all->n++] = t;
    target_probe(t);
    return true;
}

/* Targets that the new answer still has keep their state; others go, unless the answer does not know of all;
 * new ones are probed. */
static bool targets_merge(struct targets *all, size_t source, const struct resolver_answer *answer)
{
    bool changed = false;
    for (size_t i = 0; i < all->n; i++)
        all->list[i]->stale = all->list[i]->source == source && !answer->partial;
    for (size_t i = 0; i < answer->n; i++) {
        struct target *t = targets_find(all, source, &answer->addresses[i]);
        if (!t) {
            changed |= targets_add(all, source, &answer->addresses[i]);
            continue;
        }
        changed |=
            t->at.priority != answer->addresses[i].priority || t->at.weight != answer->addresses[i].weight;
        t->at = answer->addresses[i];
        t->stale = false;
    }
    for (size_t i = 0; i < all->n;) {
        if (!all->list[i]->stale) {
            i++;
            continue;
        }
        target_free(all->list[i]);
        all->list[i] = all->list[--all->n];
        changed = true;
    }
    return changed;
}

static void source_query_in(struct target_source *s, double seconds)
{
    ev_timer_stop(s->owner->loop, &s->next_query);
    ev_timer_set(&s->next_query, seconds, 0);
    ev_timer_start(s->owner->loop, &s->next_query);
}

/* A name that stops resolving keeps its targets: a broken DNS server shall not end what works. */
static void source_on_answer(void *ctx, const struct resolver_answer *answer)
{
    struct target_source *s = ctx;
    struct targets *all = s->owner;
    size_t index = (size_t)(s - all->sources);
    char quoted[2 * sizeof s->error];
    bool changed = strcmp(s->error, answer->error ? answer->error : "") != 0;
    s->query = NULL;
    if (changed)
        s->since = time(NULL);
    text_copy(s->error, sizeof s->error, answer->error);
    if (answer->error) {
        source_query_in(s, dns_retry);
        if (changed)
            log_event(LOG_WARNING, "Target Not Resolved", "domain=%s name=%s reason=%s", all->join_host,
                      s->host, log_quote(answer->error, strlen(answer->error), quoted, sizeof quoted));
    } else {
        source_query_in(s, answer->ttl > 0 ? answer->ttl : ttl_none);
    }
    if (answer->n > 0)
        changed |= targets_merge(all, index, answer);
    if (changed)
        all->events->on_change(all->ctx);
}

static void source_query(struct target_source *s)
{
    if (s->query)
        return;
    s->query =
        resolver_ask(s->owner->resolver, s->host, s->port, *s->srv ? s->srv : NULL, source_on_answer, s);
    if (!s->query)
        source_query_in(s, dns_retry);
}

static void source_on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    source_query(timer->data);
}

static struct target_source *targets_add_source(struct targets *all)
{
    struct target_source *s = &all->sources[all->n_sources++];
    s->owner = all;
    s->since = time(NULL);
    ev_init(&s->next_query, source_on_timer);
    s->next_query.data = s;
    return s;
}

/* -------------------------------------------------------------------------------------------------------- */

struct targets *targets_new(struct ev_loop *loop, const char *join_host,
                            const struct schema_strings *explicit, SSL_CTX *ssl_ctx,
                            const struct targets_events *events, void *ctx)
{
    struct targets *all = calloc(1, sizeof *all);
    if (!all)
        return NULL;
    all->loop = loop;
    all->ssl_ctx = ssl_ctx;
    all->events = events;
    all->ctx = ctx;
    snprintf(all->join_host, sizeof all->join_host, "%s", join_host);
    all->resolver = resolver_new(loop);
    if (!all->resolver) {
        free(all);
        return NULL;
    }
    for (size_t i = 0; i < explicit->n && i < TARGETS_NAMES_MAX; i++) {
        struct target_source *s = targets_add_source(all);
        (void)hostport_parse(explicit->items[i], BRIDGE_PORT, s->host, &s->port); /* judged by the config */
    }
    if (explicit->n == 0) {
        struct target_source *s = targets_add_source(all);
        snprintf(s->host, sizeof s->host, "%s", join_host);
        snprintf(s->srv, sizeof s->srv, "_cms-web._tls.%s", join_host);
        s->port = BRIDGE_PORT;
    }
    return all;
}

void targets_free(struct targets *all)
{
    if (!all)
        return;
    for (size_t i = 0; i < all->n_sources; i++) {
        ev_timer_stop(all->loop, &all->sources[i].next_query);
        if (all->sources[i].query)
            resolver_cancel(all->sources[i].query);
    }
    for (size_t i = 0; i < all->n; i++)
        target_free(all->list[i]);
    resolver_free(all->resolver);
    free(all);
}

void targets_flush(struct targets *all)
{
    for (size_t i = 0; i < all->n_sources; i++)
        source_query(&all->sources[i]);
}

json_t *targets_names(const struct targets *all)
{
    json_t *list = json_array();
    for (size_t i = 0; i < all->n_sources; i++) {
        const struct target_source *s = &all->sources[i];
        json_array_append_new(list, *s->srv ? json_sprintf("%s (SRV %s, else its addresses)", s->host, s->srv)
                                            : json_sprintf("%s (addresses)", s->host));
    }
    return list;
}

void targets_hint_failed(struct targets *all, const struct netaddr *addr)
{
    for (size_t i = 0; i < all->n; i++)
        if (netaddr_equal(&all->list[i]->at.addr, addr))
            target_probe(all->list[i]);
}

json_t *targets_status(const struct targets *all)
{
    json_t *list = json_array();
    char ip[NETADDR_TEXT];
    for (size_t i = 0; i < all->n; i++) {
        const struct target *t = all->list[i];
        json_array_append_new(list, json_pack("{ss ss si si si ss ss sI}", "name", t->at.name, "address",
                                              netaddr_print_ip(&t->at.addr, ip), "port", t->at.addr.port,
                                              "priority", (int)t->at.priority, "weight", (int)t->at.weight,
                                              "state", state_names[t->state], "reason", t->reason, "since",
                                              (json_int_t)t->since));
    }
    for (size_t i = 0; i < all->n_sources; i++) {
        const struct target_source *s = &all->sources[i];
        if (*s->error)
            json_array_append_new(list, json_pack("{ss ss si ss ss sI}", "name", s->host, "address", "",
                                                  "port", s->port, "state", "failed", "reason", s->error,
                                                  "since", (json_int_t)s->since));
    }
    return list;
}
