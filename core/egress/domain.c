#include "core/egress/domain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/tls.h"

void domain_free(struct domain *d)
{
    target_set_free(&d->targets);
    json_decref(d->hosts);
    SSL_CTX_free(d->tls);
    free(d->ca);
    free(d);
}

void domain_list_free(struct domain_list *all)
{
    struct domain *d;
    while ((d = TAILQ_FIRST(all)) != NULL) {
        TAILQ_REMOVE(all, d, next);
        domain_free(d);
    }
}

void domain_list_prune(struct domain_list *all)
{
    struct domain *d = TAILQ_FIRST(all);
    while (d) {
        struct domain *next = TAILQ_NEXT(d, next);
        target_set_prune(&d->targets);
        if (!d->listed && TAILQ_EMPTY(&d->targets.all)) {
            TAILQ_REMOVE(all, d, next);
            domain_free(d);
        }
        d = next;
    }
}

/* Looking up --------------------------------------------------------------------------------------------- */

struct domain *domain_find(const struct domain_list *all, const char *host)
{
    struct domain *d;
    TAILQ_FOREACH (d, all, next) {
        if (strcmp(d->host, host) == 0)
            return d;
    }
    return NULL;
}

struct domain *domain_serving(const struct domain_list *all, const char *host)
{
    struct domain *d;
    size_t i;
    const json_t *one;
    TAILQ_FOREACH (d, all, next) {
        json_array_foreach (d->hosts, i, one) {
            if (d->listed && strcmp(json_string_value(one), host) == 0)
                return d;
        }
    }
    return NULL;
}

/* Reading ------------------------------------------------------------------------------------------------ */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Domains with the same CA share a context: what it verifies against is the same, and names and sessions are
 * each connection's own. */
static enum err domain_make_tls(struct domain *d, const struct domain_list *others,
                                int (*on_session)(SSL *, SSL_SESSION *), char *why, size_t why_size)
{
    static const unsigned char alpn[] = "\x08http/1.1";
    const struct domain *other;
    TAILQ_FOREACH (other, others, next) {
        if (same_text(other->ca, d->ca)) {
            SSL_CTX_up_ref(other->tls);
            d->tls = other->tls;
            return ERR_OK;
        }
    }
    enum err e = tls_client_ctx(d->ca, &d->tls, why, why_size);
    if (e != ERR_OK)
        return e == ERR_MEMORY ? e : ERR_CONFIG;
    SSL_CTX_set_alpn_protos(d->tls, alpn, sizeof alpn - 1);
    SSL_CTX_set_session_cache_mode(d->tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(d->tls, on_session);
    return ERR_OK;
}

static bool is_host_list(const json_t *hosts)
{
    size_t i;
    const json_t *host;
    json_array_foreach (hosts, i, host) {
        if (!json_is_string(host))
            return false;
    }
    return json_is_array(hosts);
}

static enum err domain_read(const json_t *row, struct domain_list *fresh,
                            int (*on_session)(SSL *, SSL_SESSION *), char *why, size_t why_size)
{
    const char *host = json_string_value(json_object_get(row, "host"));
    const char *ca = json_string_value(json_object_get(row, "bridge_ca"));
    json_t *hosts = json_object_get(row, "hosts");
    struct domain *d;
    if (!host || !*host || strlen(host) >= sizeof d->host || domain_find(fresh, host)) {
        snprintf(why, why_size, "domains: host: missing, too long, or there twice");
        return ERR_CONFIG;
    }
    if (!is_host_list(hosts)) {
        snprintf(why, why_size, "domains: %s: hosts: a list of texts is wanted", host);
        return ERR_CONFIG;
    }
    snprintf(why, why_size, "out of memory");
    d = calloc(1, sizeof *d);
    if (!d)
        return ERR_MEMORY;
    snprintf(d->host, sizeof d->host, "%s", host);
    d->hosts = json_incref(hosts);
    d->listed = true;
    target_set_init(&d->targets, d);
    d->ca = ca ? strdup(ca) : NULL;
    enum err e = ca && !d->ca ? ERR_MEMORY : domain_make_tls(d, fresh, on_session, why, why_size);
    if (e != ERR_OK) {
        domain_free(d);
        return e;
    }
    TAILQ_INSERT_TAIL(fresh, d, next);
    return ERR_OK;
}

enum err domain_list_read(const json_t *rows, struct domain_list *fresh,
                          int (*on_session)(SSL *, SSL_SESSION *), char *why, size_t why_size)
{
    enum err e = ERR_OK;
    if (!json_is_array(rows) || json_array_size(rows) == 0) {
        snprintf(why, why_size, "domains: a list with at least one domain is wanted");
        return ERR_CONFIG;
    }
    for (size_t i = 0; i < json_array_size(rows) && e == ERR_OK; i++)
        e = domain_read(json_array_get(rows, i), fresh, on_session, why, why_size);
    if (e != ERR_OK)
        domain_list_free(fresh);
    return e;
}

bool domain_update(struct domain *d, struct domain *fresh)
{
    json_t *hosts = d->hosts;
    bool changed = !same_text(d->ca, fresh->ca);
    d->listed = true;
    d->hosts = fresh->hosts;
    fresh->hosts = hosts;
    if (!changed)
        return false;
    SSL_CTX *tls = d->tls;
    char *ca = d->ca;
    d->tls = fresh->tls;
    d->ca = fresh->ca;
    fresh->tls = tls;
    fresh->ca = ca;
    d->generation++;
    target_set_drop_sessions(&d->targets);
    return true;
}
