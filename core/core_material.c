/* What core's files say: its key, the policy, and the bridges with their CAs. */
#include <stdio.h>

#include "common/file.h"
#include "core/core.h"

enum { KEY_MAX = 16384 };

static enum err material_find_self(const struct core *c, const struct box *box, char *why)
{
    char path[PATH_MAX];
    if (config_core_find(&box->config, c->box->name))
        return ERR_OK;
    snprintf(why, SCHEMA_WHY,
             "%s has no core named \"%s\"; is this an edge's folder, or was the core renamed?",
             box_file(box, BOX_CONFIG, path), c->box->name);
    return ERR_CONFIG;
}

static enum err material_make_policy(const struct config *config, struct core_material *m, char *why)
{
    enum err err = policy_make(config, &m->policy, why, SCHEMA_WHY);
    if (err != ERR_OK)
        return err;
    snprintf(why, SCHEMA_WHY, "out of memory");
    m->allowlist = allowlist_to_json(&m->policy.list);
    m->told = json_pack("{ss so sO*}", "join_url", config->join_url, "join_urls", policy_join_urls(config),
                        "allowlist", m->allowlist);
    return m->allowlist && m->told ? ERR_OK : ERR_MEMORY;
}

enum err core_material_load(struct core *c, const struct box *box, struct core_material *out, char *why)
{
    struct core_material m = {0};
    char path[PATH_MAX];
    enum err err = material_find_self(c, box, why);
    if (err == ERR_OK)
        err = core_tunnels_judge(c, &box->config, why);
    if (err == ERR_OK)
        err = material_make_policy(&box->config, &m, why);
    if (err == ERR_OK)
        err = file_read_secret(box_file(box, BOX_CORE_KEY, path), KEY_MAX, &m.client_key, NULL, why,
                               SCHEMA_WHY);
    if (err == ERR_OK)
        err = domains_new(c->loop, box, &box->config, &core_domains_events, c, &m.domains, why);
    if (err == ERR_OK)
        *out = m;
    else
        core_material_free(&m);
    return err;
}

void core_material_free(struct core_material *m)
{
    domains_free(m->domains);
    json_decref(m->told);
    json_decref(m->allowlist);
    policy_free(&m->policy);
    file_wipe(m->client_key);
    *m = (struct core_material){0};
}
