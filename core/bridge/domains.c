#include "core/bridge/domains.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/tls.h"
#include "core/bridge/targets.h"

/* What all CAs together may have: tunnel workers get them in one message. */
enum { CA_MAX = 4 * 1024 * 1024, CA_TOTAL_MAX = 8 * 1024 * 1024 };

struct domain {
    struct domains *owner;
    size_t index;
    char *join_url, *host;
    char *ca; /* PEM text; NULL: the system's */
    SSL_CTX *tls;
    struct targets *targets;
    json_t *configured; /* the targets of the config, to see whether they have changed */
    bool started;
    bool used; /* as of domains_first_use */
};

struct domains {
    struct ev_loop *loop;
    const struct domains_events *events;
    void *ctx;
    struct domain *list[CONFIG_DOMAINS_MAX];
    size_t n;
    size_t ca_total;
};

static void domain_on_change(void *ctx)
{
    struct domain *d = ctx;
    d->owner->events->on_change(d->owner->ctx, d->index);
}

static const struct targets_events domain_events = {domain_on_change};

/* Making ------------------------------------------------------------------------------------------------- */

static void domain_free(struct domain *d)
{
    if (!d)
        return;
    targets_free(d->targets);
    SSL_CTX_free(d->tls);
    json_decref(d->configured);
    free(d->ca);
    free(d->host);
    free(d->join_url);
    free(d);
}

/* Domains with the same CA share a context: the name to verify is each probe's own. */
static enum err domain_make_tls(struct domain *d, char *problem, size_t size)
{
    static const unsigned char alpn[] = "\x08http/1.1";
    const struct domains *all = d->owner;
    for (size_t i = 0; i < all->n; i++) {
        const struct domain *other = all->list[i];
        if (d->ca ? !other->ca || strcmp(d->ca, other->ca) != 0 : other->ca != NULL)
            continue;
        SSL_CTX_up_ref(other->tls);
        d->tls = other->tls;
        return ERR_OK;
    }
    enum err e = tls_client_ctx(d->ca, &d->tls, problem, size);
    if (e == ERR_OK)
        SSL_CTX_set_alpn_protos(d->tls, alpn, sizeof alpn - 1); /* as requests will have it */
    return e;
}

static enum err domain_read_ca(struct domain *d, const struct box *box, const char *file, char *why)
{
    char path[PATH_MAX] = "the system's CAs", key[64], problem[256] = "";
    size_t n = 0;
    enum err e = ERR_OK;
    config_domain_key(d->index, key, sizeof key);
    if (file)
        e = file_read(box_file(box, file, path), CA_MAX, &d->ca, &n, problem, sizeof problem);
    if (e != ERR_OK) {
        snprintf(why, SCHEMA_WHY, "%s.bridge_ca: %s", key, problem);
        return e;
    }
    d->owner->ca_total += n;
    if (d->owner->ca_total > CA_TOTAL_MAX) {
        snprintf(why, SCHEMA_WHY, "%s.bridge_ca: %s: the CA files of all domains together are above %d MiB",
                 key, path, CA_TOTAL_MAX / 1024 / 1024);
        return ERR_CONFIG;
    }
    e = domain_make_tls(d, problem, sizeof problem);
    if (e != ERR_OK)
        snprintf(why, SCHEMA_WHY, "%s.bridge_ca: %s: %s", key, path, problem);
    return e;
}

static enum err domain_fill(struct domain *d, const struct box *box, const struct config_domain *config,
                            char *why)
{
    snprintf(why, SCHEMA_WHY, "out of memory");
    d->join_url = strdup(config->join_url);
    d->host = strdup(config->host);
    d->configured = schema_strings_json(config->targets);
    enum err e = d->join_url && d->host && d->configured ? ERR_OK : ERR_MEMORY;
    if (e == ERR_OK)
        e = domain_read_ca(d, box, config->bridge_ca, why);
    if (e != ERR_OK)
        return e;
    d->targets = targets_new(d->owner->loop, d->host, config->targets, d->tls, &domain_events, d);
    if (d->targets)
        return ERR_OK;
    snprintf(why, SCHEMA_WHY, "the DNS resolver cannot start; is /etc/resolv.conf readable?");
    return ERR_SYSTEM;
}

enum err domains_new(struct ev_loop *loop, const struct box *box, const struct config *config,
                     const struct domains_events *events, void *ctx, struct domains **out, char *why)
{
    struct domains *all = calloc(1, sizeof *all);
    enum err e = all ? ERR_OK : ERR_MEMORY;
    if (all)
        *all = (struct domains){.loop = loop, .events = events, .ctx = ctx};
    for (size_t i = 0; i < config_domains(config) && e == ERR_OK; i++) {
        struct config_domain given = config_domain_at(config, i);
        struct domain *d = calloc(1, sizeof *d);
        if (!d) {
            e = ERR_MEMORY;
            break;
        }
        d->owner = all;
        d->index = i;
        e = domain_fill(d, box, &given, why);
        if (e == ERR_OK)
            all->list[all->n++] = d;
        else
            domain_free(d);
    }
    if (e == ERR_OK) {
        *out = all;
        return ERR_OK;
    }
    domains_free(all);
    if (e == ERR_MEMORY)
        snprintf(why, SCHEMA_WHY, "out of memory");
    return e;
}

void domains_free(struct domains *all)
{
    if (!all)
        return;
    for (size_t i = 0; i < all->n; i++)
        domain_free(all->list[i]);
    free(all);
}

/* A new config ------------------------------------------------------------------------------------------- */

static bool domain_same(const struct domain *a, const struct domain *b)
{
    bool same_ca = a->ca ? b->ca && strcmp(a->ca, b->ca) == 0 : !b->ca;
    return same_ca && strcmp(a->host, b->host) == 0 && json_equal(a->configured, b->configured);
}

/* Each keeps its place and its URL, which may have another port now; they change all the rest. */
static void domain_swap(struct domains *fresh, size_t i, struct domains *old, size_t k)
{
    struct domain *was = old->list[k], *is = fresh->list[i];
    char *url = was->join_url;
    was->join_url = is->join_url;
    is->join_url = url;
    was->owner = fresh;
    was->index = i;
    is->owner = old;
    is->index = k;
    fresh->list[i] = was;
    old->list[k] = is;
}

void domains_take_over(struct domains *fresh, struct domains *old)
{
    for (size_t i = 0; i < fresh->n; i++)
        for (size_t k = 0; k < old->n; k++)
            if (domain_same(fresh->list[i], old->list[k])) {
                domain_swap(fresh, i, old, k);
                break;
            }
}

bool domains_first_use(struct domains *all, size_t i)
{
    bool first = !all->list[i]->used;
    all->list[i]->used = true;
    return first;
}

void domains_start(struct domains *all)
{
    for (size_t i = 0; i < all->n; i++) {
        struct domain *d = all->list[i];
        if (!d->started)
            targets_flush(d->targets);
        d->started = true;
    }
}

/* -------------------------------------------------------------------------------------------------------- */

size_t domains_count(const struct domains *all)
{
    return all->n;
}

void domains_flush(struct domains *all)
{
    for (size_t i = 0; i < all->n; i++)
        targets_flush(all->list[i]->targets);
}

json_t *domains_names(const struct domains *all)
{
    json_t *list = json_array();
    for (size_t i = 0; i < all->n; i++) {
        json_t *names = targets_names(all->list[i]->targets);
        json_array_extend(list, names);
        json_decref(names);
    }
    return list;
}

void domains_hint_failed(struct domains *all, const char *host, const struct netaddr *addr)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->list[i]->host, host) == 0)
            targets_hint_failed(all->list[i]->targets, addr);
}

json_t *domains_policy(const struct domains *all, const struct policy *policy)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < all->n; i++) {
        const struct domain *d = all->list[i];
        json_t *row =
            json_pack("{ss so ss?}", "host", d->host, "hosts", policy_hosts(policy, i), "bridge_ca", d->ca);
        if (!row || json_array_append_new(list, row) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

json_t *domains_targets(const struct domains *all, size_t i)
{
    const struct domain *d = all->list[i];
    return json_pack("{ss ss so}", "type", "targets", "domain", d->host, "targets",
                     targets_status(d->targets));
}

json_t *domains_status(const struct domains *all)
{
    json_t *list = json_array();
    for (size_t i = 0; i < all->n; i++) {
        const struct domain *d = all->list[i];
        json_array_append_new(list, json_pack("{ss ss so}", "join_url", d->join_url, "domain", d->host,
                                              "targets", targets_status(d->targets)));
    }
    return list;
}
