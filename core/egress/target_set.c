#include "core/egress/target_set.h"

#include <stdlib.h>
#include <string.h>

void target_set_init(struct target_set *s, struct domain *domain)
{
    s->domain = domain;
    TAILQ_INIT(&s->all);
    s->last_id = 0;
}

static void target_destroy(struct target_set *s, struct target *t)
{
    TAILQ_REMOVE(&s->all, t, next);
    SSL_SESSION_free(t->session);
    free(t);
}

void target_set_free(struct target_set *s)
{
    while (!TAILQ_EMPTY(&s->all))
        target_destroy(s, TAILQ_FIRST(&s->all));
}

void target_set_prune(struct target_set *s)
{
    struct target *t = TAILQ_FIRST(&s->all);
    while (t) {
        struct target *next = TAILQ_NEXT(t, next);
        if (!t->listed && t->n_connections == 0)
            target_destroy(s, t);
        t = next;
    }
}

void target_set_drop_sessions(struct target_set *s)
{
    struct target *t;
    TAILQ_FOREACH (t, &s->all, next) {
        SSL_SESSION_free(t->session);
        t->session = NULL;
    }
}

/* Updating ----------------------------------------------------------------------------------------------- */

static struct target *target_find(struct target_set *s, const struct netaddr *addr)
{
    struct target *t;
    TAILQ_FOREACH (t, &s->all, next) {
        if (netaddr_equal(&t->addr, addr))
            return t;
    }
    return NULL;
}

static struct target *target_add(struct target_set *s, const struct netaddr *addr)
{
    struct target *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->domain = s->domain;
    t->addr = *addr;
    t->id = ++s->last_id;
    t->told = -TARGET_TELL_SECONDS;
    netaddr_print(addr, t->text);
    TAILQ_INIT(&t->idle);
    TAILQ_INSERT_TAIL(&s->all, t, next);
    return t;
}

static int64_t row_number(const json_t *row, const char *key, int64_t most)
{
    int64_t v = json_integer_value(json_object_get(row, key));
    return v < 0 ? 0 : v > most ? most : v;
}

static void target_set_row(struct target_set *s, const json_t *row)
{
    const char *address = json_string_value(json_object_get(row, "address"));
    const char *state = json_string_value(json_object_get(row, "state"));
    struct netaddr addr;
    if (!address || !state ||
        netaddr_parse(address, (uint16_t)row_number(row, "port", UINT16_MAX), &addr) != ERR_OK ||
        addr.port == 0)
        return;
    struct target *t = target_find(s, &addr);
    unsigned priority = (unsigned)row_number(row, "priority", UINT16_MAX);
    bool active = strcmp(state, "active") == 0;
    if (t && t->listed && t->priority <= priority) /* two names for one address: the better one counts */
        return;
    if (!t)
        t = target_add(s, &addr);
    if (!t)
        return;
    if (active && !t->active)
        t->suspect_until = 0;
    t->listed = true;
    t->active = active;
    t->priority = priority;
    /* RFC 2782: weight 0 gets a very small share beside others. */
    t->weight = row_number(row, "weight", UINT16_MAX) * 100 + 1;
}

void target_set_update(struct target_set *s, const json_t *rows)
{
    struct target *t;
    const json_t *row;
    size_t i;
    TAILQ_FOREACH (t, &s->all, next) {
        t->listed = t->active = false;
        t->current = 0;
    }
    json_array_foreach (rows, i, row) {
        target_set_row(s, row);
    }
}

/* Choosing ----------------------------------------------------------------------------------------------- */

static bool was_tried(const struct target *t, const uint32_t *tried, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (tried[i] == t->id)
            return true;
    return false;
}

bool target_set_has(const struct target_set *s, const uint32_t *tried, size_t n)
{
    const struct target *t;
    TAILQ_FOREACH (t, &s->all, next)
        if (t->active && !was_tried(t, tried, n))
            return true;
    return false;
}

/* What decides before weights do: nobody suspect while there is somebody else, then priority. */
static uint64_t target_rank(const struct target *t, double now)
{
    return (uint64_t)(t->suspect_until > now) << 32 | t->priority;
}

/* Smooth weighted round robin: everybody of the best rank earns its weight, the richest is chosen and pays
 * the sum. */
struct target *target_set_choose(struct target_set *s, const uint32_t *tried, size_t n, double now)
{
    uint64_t best = UINT64_MAX;
    struct target *t, *chosen = NULL;
    int64_t sum = 0;
    TAILQ_FOREACH (t, &s->all, next) {
        if (t->active && !was_tried(t, tried, n) && target_rank(t, now) < best)
            best = target_rank(t, now);
    }
    TAILQ_FOREACH (t, &s->all, next) {
        if (!t->active || was_tried(t, tried, n) || target_rank(t, now) != best)
            continue;
        t->current += t->weight;
        sum += t->weight;
        if (!chosen || t->current > chosen->current)
            chosen = t;
    }
    if (chosen)
        chosen->current -= sum;
    return chosen;
}
