#include "core/egress/egress.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/fatal.h"
#include "core/egress/egress_internal.h"
#include "core/egress/exchange.h"

const struct egress_limits egress_limits_default = {
    .sweep = 0.5,
    .connect = 5,
    .head = 60,
    .body = 300,
    .upload = 120,
    .half_closed = 30,
    .lingering = 5,
    .running = 16384,
    .waiting = 256 * 1024 * 1024,
};

/* Reasons ------------------------------------------------------------------------------------------------ */

unsigned egress_reason_status(enum egress_reason r)
{
    static const unsigned table[] = {
#define X(name, status, words) status,
        EGRESS_REASONS(X)
#undef X
    };
    return table[r];
}

const char *egress_reason_words(enum egress_reason r)
{
    static const char *const table[] = {
#define X(name, status, words) words,
        EGRESS_REASONS(X)
#undef X
    };
    return table[r];
}

/* Memory ------------------------------------------------------------------------------------------------- */

static void egress_weigh(struct egress *e)
{
    struct exchange *x;
    e->waiting = e->grown = 0;
    TAILQ_FOREACH (x, &e->exchanges, next)
        e->waiting += exchange_waiting(x);
    e->crowded = e->waiting > e->limits->waiting / 4;
}

/* Most of what comes in soon goes out again: the scales are asked only now and then. */
void egress_note_growth(struct egress *e, size_t n)
{
    e->grown += n;
    if (e->grown > e->limits->waiting / 16)
        egress_weigh(e);
}

/* Each request's share is small, but an edge that reads nothing can make core hold all of them at once. */
static void egress_shed(struct egress *e)
{
    struct exchange *x;
    size_t share = e->running ? e->limits->waiting / e->running / 2 : 0;
    egress_weigh(e);
    if (e->waiting <= e->limits->waiting)
        return;
    TAILQ_FOREACH (x, &e->exchanges, next)
        if (exchange_waiting(x) > share)
            exchange_shed(x);
}

/* The sweep ---------------------------------------------------------------------------------------------- */

static void egress_on_sweep(struct ev_loop *loop, ev_timer *t, int revents)
{
    struct egress *e = t->data;
    (void)loop, (void)revents;
    e->now = e->pool.now = clock_monotonic();
    struct exchange *x = TAILQ_FIRST(&e->exchanges);
    while (x) {
        struct exchange *next = TAILQ_NEXT(x, next);
        exchange_sweep(x);
        x = next;
    }
    egress_shed(e);
    pool_sweep(&e->pool);
}

static void egress_on_round(struct ev_loop *loop, ev_check *check, int revents)
{
    struct egress *e = check->data;
    (void)loop, (void)revents;
    e->round = clock_monotonic();
}

void egress_set_limits(struct egress *e, const struct egress_limits *limits)
{
    e->limits = limits;
    ev_timer_stop(e->loop, &e->sweep);
    ev_timer_set(&e->sweep, limits->sweep, limits->sweep);
    ev_timer_start(e->loop, &e->sweep);
}

/* Life --------------------------------------------------------------------------------------------------- */

struct egress *egress_new(struct ev_loop *loop, const struct egress_events *events, void *ctx)
{
    struct egress *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->loop = loop;
    e->events = events;
    e->ctx = ctx;
    allowlist_init(&e->allowlist);
    pool_init(&e->pool, loop);
    e->now = e->pool.now = e->round = clock_monotonic();
    ev_check_init(&e->clock, egress_on_round);
    ev_set_priority(&e->clock, EV_MAXPRI); /* before anything else of the round */
    e->clock.data = e;
    ev_check_start(loop, &e->clock);
    TAILQ_INIT(&e->exchanges);
    http_message_init(&e->response);
    http_message_init(&e->answer);
    ev_init(&e->sweep, egress_on_sweep);
    e->sweep.data = e;
    egress_set_limits(e, &egress_limits_default);
    return e;
}

void egress_free(struct egress *e)
{
    if (!e)
        return;
    REQUIRE(e->running == 0);
    ev_timer_stop(e->loop, &e->sweep);
    ev_check_stop(e->loop, &e->clock);
    pool_free(&e->pool);
    allowlist_free(&e->allowlist);
    free(e->rule_domains);
    http_message_free(&e->response);
    http_message_free(&e->answer);
    free(e);
}

/* From main ---------------------------------------------------------------------------------------------- */

/* Which domain serves what a rule allows: looked up here, so that requests need not. */
static enum err egress_match_rules(const struct allowlist *rules, const struct domain_list *domains,
                                   char *why, size_t why_size)
{
    for (size_t i = 0; i < rules->n; i++)
        if (!domain_serving(domains, rules->rules[i].host)) {
            snprintf(why, why_size, "rule %zu: host %s is no domain's", i + 1, rules->rules[i].host);
            return ERR_CONFIG;
        }
    return ERR_OK;
}

static void egress_commit(struct egress *e, struct allowlist *rules, struct domain **rule_domains,
                          struct domain_list *domains)
{
    pool_commit(&e->pool, domains);
    allowlist_free(&e->allowlist);
    free(e->rule_domains);
    e->allowlist = *rules;
    e->rule_domains = rule_domains;
    for (size_t i = 0; i < rules->n; i++)
        rule_domains[i] = domain_serving(&e->pool.domains, rules->rules[i].host);
}

enum err egress_set_policy(struct egress *e, const json_t *allowlist, const json_t *domains, char *why,
                           size_t why_size)
{
    struct allowlist rules;
    struct domain_list fresh;
    struct domain **rule_domains = NULL;
    allowlist_init(&rules);
    TAILQ_INIT(&fresh);
    enum err err = allowlist_from_json(allowlist, &rules, why, why_size);
    if (err == ERR_OK)
        err = pool_prepare(domains, &fresh, why, why_size);
    if (err == ERR_OK)
        err = egress_match_rules(&rules, &fresh, why, why_size);
    if (err == ERR_OK) {
        rule_domains = calloc(rules.n + 1, sizeof *rule_domains);
        snprintf(why, why_size, "out of memory");
        err = rule_domains ? ERR_OK : ERR_MEMORY;
    }
    if (err == ERR_OK) {
        egress_commit(e, &rules, rule_domains, &fresh);
        return ERR_OK;
    }
    domain_list_free(&fresh);
    allowlist_free(&rules);
    return err;
}

void egress_set_targets(struct egress *e, const char *host, const json_t *targets)
{
    struct domain *d = domain_find(&e->pool.domains, host);
    struct exchange *x;
    if (!d || !d->listed)
        return;
    pool_set_targets(d, targets);
    TAILQ_FOREACH (x, &e->exchanges, next)
        if (!x->done && x->request.domain == d)
            exchange_leave_failed(x);
}

static json_t *egress_status_domains(const struct egress *e)
{
    const struct domain *d;
    json_t *domains = json_object();
    TAILQ_FOREACH (d, &e->pool.domains, next) {
        if (d->listed)
            json_object_set_new(domains, d->host, json_integer((json_int_t)d->requests));
    }
    return domains;
}

json_t *egress_status(const struct egress *e)
{
    const struct pool *p = &e->pool;
    json_t *failed = json_object();
    for (int r = 0; r < EGRESS_REASON_COUNT; r++)
        json_object_set_new(failed, egress_reason_words((enum egress_reason)r),
                            json_integer((json_int_t)e->count.by_reason[r]));
    uint64_t refused = e->count.by_reason[EGRESS_MALFORMED] + e->count.by_reason[EGRESS_NOT_ALLOWED] +
                       e->count.by_reason[EGRESS_WRONG_HOST];
    return json_pack("{sI sI sI sI sI sI sI sI so sI sI s{so} s{sI sI} so}", "running",
                     (json_int_t)e->running, "waiting", (json_int_t)e->waiting, "requests",
                     (json_int_t)e->count.requests, "open_websockets", (json_int_t)e->websockets,
                     "websockets", (json_int_t)e->count.websockets, "retries", (json_int_t)e->count.retries,
                     "unreachable", (json_int_t)e->count.unreachable, "refused", (json_int_t)refused,
                     "failed", failed, "bytes_in", (json_int_t)e->count.bytes_in, "bytes_out",
                     (json_int_t)e->count.bytes_out, "seconds", "bridge", histogram_json(&e->bridge), "pool",
                     "idle", (json_int_t)p->n_idle, "busy", (json_int_t)(p->n_connections - p->n_idle),
                     "domains", egress_status_domains(e));
}

size_t egress_running(const struct egress *e)
{
    return e->running;
}

size_t egress_unfinished(const struct egress *e)
{
    return e->running - e->websockets;
}
