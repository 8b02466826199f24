#include "proto/policy.h"

#include <stdio.h>

#include "proto/allowlist.h"

static enum err policy_methods(const struct config *c, unsigned *methods, char *why, size_t why_size)
{
    json_t *names = json_array();
    for (size_t i = 0; i < c->web_proxy.methods.n; i++)
        json_array_append_new(names, json_string(c->web_proxy.methods.items[i]));
    enum err e = allowlist_methods_from_json(names, methods, why, why_size);
    json_decref(names);
    return e;
}

enum err policy_allowlist(const struct config *c, json_t **out, char *why, size_t why_size)
{
    struct allowlist list, extra;
    unsigned methods = 0;
    allowlist_init(&list);
    allowlist_init(&extra);
    enum err e = ERR_OK;
    if (c->web_proxy.enabled)
        e = policy_methods(c, &methods, why, why_size);
    if (e == ERR_OK && c->web_proxy.enabled)
        e = allowlist_add_join_url(&list, c->join_host, c->join_port, methods, why, why_size);
    if (e == ERR_OK && c->web_proxy.extra_rules)
        e = allowlist_from_json(c->web_proxy.extra_rules, &extra, why, why_size);
    for (size_t i = 0; i < extra.n && e == ERR_OK; i++)
        e = allowlist_add(&list, &extra.rules[i], why, why_size);
    json_t *json = e == ERR_OK ? allowlist_to_json(&list) : NULL;
    if (e == ERR_OK && !json) {
        snprintf(why, why_size, "out of memory");
        e = ERR_MEMORY;
    }
    allowlist_free(&list);
    allowlist_free(&extra);
    if (e == ERR_OK)
        *out = json;
    return e;
}
