#include "proto/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err policy_methods(const struct config *c, unsigned *methods, char *why, size_t why_size)
{
    json_t *names = schema_strings_json(&c->web_proxy.methods);
    enum err e = allowlist_methods_from_json(names, methods, why, why_size);
    json_decref(names);
    return e;
}

/* Notes that the rules from the one at `from` on are those of domain i. */
static void policy_note(struct policy *p, size_t from, size_t i)
{
    for (size_t k = from; k < p->list.n; k++)
        p->domains[k] = (uint8_t)i;
}

static enum err policy_automatic(struct policy *p, const struct config *c, char *why, size_t why_size)
{
    unsigned methods = 0;
    enum err e = policy_methods(c, &methods, why, why_size);
    for (size_t i = 0; i < config_domains(c) && e == ERR_OK; i++) {
        struct config_domain d = config_domain_at(c, i);
        size_t from = p->list.n;
        e = allowlist_add_join_url(&p->list, d.host, d.port, methods, why, why_size);
        policy_note(p, from, i);
    }
    p->automatic = p->list.n;
    return e;
}

/* A host is served by one domain's bridges: no two may name it. */
static enum err policy_check_host(const struct policy *p, const struct config *c, size_t i, size_t rule,
                                  const char *host, char *why, size_t why_size)
{
    char key[64];
    for (size_t k = 0; k < p->list.n; k++) {
        if (p->domains[k] == i || strcmp(p->list.rules[k].host, host) != 0)
            continue;
        snprintf(why, why_size, "%s.extra_rules: rule %zu: host \"%s\" belongs to the domain of %s",
                 config_domain_key(i, key, sizeof key), rule + 1, host,
                 config_domain_at(c, p->domains[k]).join_url);
        return ERR_CONFIG;
    }
    return ERR_OK;
}

static enum err policy_extra(struct policy *p, const struct config *c, size_t i, char *why, size_t why_size)
{
    struct config_domain d = config_domain_at(c, i);
    struct allowlist extra;
    char key[64], problem[ALLOWLIST_WHY] = "out of memory";
    size_t from = p->list.n;
    allowlist_init(&extra);
    if (!d.extra_rules)
        return ERR_OK;
    enum err e = allowlist_from_json(d.extra_rules, &extra, problem, sizeof problem);
    if (e != ERR_OK)
        snprintf(why, why_size, "%s.extra_rules: %s", config_domain_key(i, key, sizeof key), problem);
    for (size_t k = 0; k < extra.n && e == ERR_OK; k++) {
        e = policy_check_host(p, c, i, k, extra.rules[k].host, why, why_size);
        if (e == ERR_OK)
            e = allowlist_add(&p->list, &extra.rules[k], why, why_size);
        policy_note(p, from, i);
    }
    allowlist_free(&extra);
    return e;
}

enum err policy_make(const struct config *c, struct policy *out, char *why, size_t why_size)
{
    struct policy p = {.domains = calloc(ALLOWLIST_RULES_MAX, sizeof *p.domains)};
    allowlist_init(&p.list);
    snprintf(why, why_size, "out of memory");
    enum err e = p.domains ? ERR_OK : ERR_MEMORY;
    if (e == ERR_OK && c->web_proxy.enabled)
        e = policy_automatic(&p, c, why, why_size);
    for (size_t i = 0; i < config_domains(c) && e == ERR_OK; i++)
        e = policy_extra(&p, c, i, why, why_size);
    if (e == ERR_OK)
        *out = p;
    else
        policy_free(&p);
    return e;
}

void policy_free(struct policy *p)
{
    allowlist_free(&p->list);
    free(p->domains);
    p->domains = NULL;
}

size_t policy_domain_of(const struct policy *p, const struct config *c, const char *host)
{
    for (size_t i = 0; i < config_domains(c); i++)
        if (strcmp(config_domain_at(c, i).host, host) == 0)
            return i;
    for (size_t k = 0; k < p->list.n; k++)
        if (strcmp(p->list.rules[k].host, host) == 0)
            return p->domains[k];
    return 0;
}

static bool array_has(const json_t *array, const char *text)
{
    size_t i;
    const json_t *item;
    json_array_foreach (array, i, item)
        if (strcmp(json_string_value(item), text) == 0)
            return true;
    return false;
}

json_t *policy_hosts(const struct policy *p, size_t i)
{
    json_t *hosts = json_array();
    for (size_t k = 0; hosts && k < p->list.n; k++) {
        const char *host = p->list.rules[k].host;
        if (p->domains[k] != i || array_has(hosts, host))
            continue;
        if (json_array_append_new(hosts, json_string(host)) < 0) {
            json_decref(hosts);
            return NULL;
        }
    }
    return hosts;
}

enum err policy_allowlist(const struct config *c, json_t **out, char *why, size_t why_size)
{
    struct policy p;
    enum err e = policy_make(c, &p, why, why_size);
    if (e != ERR_OK)
        return e;
    json_t *json = allowlist_to_json(&p.list);
    policy_free(&p);
    if (!json) {
        snprintf(why, why_size, "out of memory");
        return ERR_MEMORY;
    }
    *out = json;
    return ERR_OK;
}

json_t *policy_join_urls(const struct config *c)
{
    json_t *urls = json_array();
    for (size_t i = 0; urls && i < config_domains(c); i++)
        if (json_array_append_new(urls, json_string(config_domain_at(c, i).join_url)) < 0) {
            json_decref(urls);
            return NULL;
        }
    return urls;
}

enum err policy_check_join_urls(const json_t *urls, char *why, size_t why_size)
{
    size_t i;
    const json_t *url;
    char host[256];
    uint16_t port;
    bool right = !urls || (json_is_array(urls) && json_array_size(urls) > 0 &&
                           json_array_size(urls) <= CONFIG_DOMAINS_MAX);
    json_array_foreach (urls, i, url)
        right =
            right && json_is_string(url) && config_split_url(json_string_value(url), host, &port) == ERR_OK;
    if (right)
        return ERR_OK;
    snprintf(why, why_size, "join_urls is not a list of 1 to %d URLs of the form https://HOST[:PORT]",
             CONFIG_DOMAINS_MAX);
    return ERR_CONFIG;
}

json_t *policy_join_hosts(const json_t *urls)
{
    json_t *hosts = json_array();
    for (size_t i = 0; hosts && i < json_array_size(urls); i++) {
        char host[256];
        uint16_t port;
        if (config_split_url(json_string_value(json_array_get(urls, i)), host, &port) != ERR_OK ||
            json_array_append_new(hosts, json_string(host)) < 0) {
            json_decref(hosts);
            return NULL;
        }
    }
    return hosts;
}
