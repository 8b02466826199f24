/* The domains of a config: join_url with web_proxy, and web_proxy.domains behind it, seen as one list. */
#include <stdio.h>
#include <string.h>

#include "common/config.h"

static const struct config_further_domain *further_at(const struct config *c, size_t i)
{
    return (const struct config_further_domain *)c->web_proxy.domains.items + i;
}

size_t config_domains(const struct config *c)
{
    return 1 + c->web_proxy.domains.n;
}

struct config_domain config_domain_at(const struct config *c, size_t i)
{
    if (i == 0)
        return (struct config_domain){.join_url = c->join_url,
                                      .host = c->join_host,
                                      .port = c->join_port,
                                      .targets = &c->web_proxy.targets,
                                      .bridge_ca = c->web_proxy.bridge_ca,
                                      .extra_rules = c->web_proxy.extra_rules};
    const struct config_further_domain *d = further_at(c, i - 1);
    return (struct config_domain){.join_url = d->join_url,
                                  .host = d->host,
                                  .port = d->port,
                                  .targets = &d->targets,
                                  .bridge_ca = d->bridge_ca,
                                  .extra_rules = d->extra_rules};
}

const char *config_domain_key(size_t i, char *out, size_t size)
{
    if (i == 0)
        snprintf(out, size, "web_proxy");
    else
        snprintf(out, size, "web_proxy.domains[%zu]", i - 1);
    return out;
}

size_t config_join_hosts(const struct config *c, const char *hosts[CONFIG_DOMAINS_MAX])
{
    size_t n = config_domains(c);
    for (size_t i = 0; i < n; i++)
        hosts[i] = config_domain_at(c, i).host;
    return n;
}

const char *config_hosts_print(const char *const hosts[], size_t n, char *out, size_t size)
{
    size_t shown = n <= 3 ? n : 2;
    int used = 0;
    for (size_t i = 0; i < shown && used >= 0 && (size_t)used < size; i++)
        used += snprintf(out + used, size - (size_t)used, "%s%s", i ? ", " : "", hosts[i]);
    if (shown < n && (size_t)used < size)
        snprintf(out + used, size - (size_t)used, " and %zu more", n - shown);
    return out;
}

enum err config_derive_domains(const struct schema_source *source, struct config *c, char *why)
{
    char at[64];
    for (size_t i = 0; i < c->web_proxy.domains.n; i++) {
        struct config_further_domain *d = (struct config_further_domain *)c->web_proxy.domains.items + i;
        enum err e = config_split_url(d->join_url, d->host, &d->port);
        if (e != ERR_OK)
            return e;
        snprintf(at, sizeof at, "/web_proxy/domains/%zu/join_url", i);
        for (size_t k = 0; k <= i; k++) { /* i + 1 is the number that this one has among all domains */
            struct config_domain other = config_domain_at(c, k);
            if (strcmp(other.host, d->host) == 0)
                return schema_problem(source, at, why,
                                      "\"%s\" has the host of \"%s\"; every domain needs a host of its own",
                                      d->join_url, other.join_url);
        }
    }
    return ERR_OK;
}
