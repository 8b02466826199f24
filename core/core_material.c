/* What core's files say: its key, the policy, and the bridges with their CAs. */
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "core/core.h"

enum { KEY_MAX = 16384 };

static enum err material_find_self(const struct core *c, const struct box *box, char *why)
{
    if (config_core_find(&box->config, c->box->name))
        return ERR_OK;
    snprintf(why, SCHEMA_WHY,
             "cores: there is no core named \"%s\"; is this an edge's folder, or was the core renamed?",
             c->box->name);
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

/* A key that cannot be used would end the tunnels one by one: it is none of them that finds out. */
static enum err material_read_key(const struct box *box, struct core_material *m, char *why)
{
    static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU",
                      end[] = "-----END OPENSSH PRIVATE KEY-----";
    char path[PATH_MAX];
    enum err err =
        file_read_secret(box_file(box, BOX_CORE_KEY, path), KEY_MAX, &m->client_key, NULL, why, SCHEMA_WHY);
    if (err != ERR_OK)
        return err;
    /* "openssh-key-v1", and the cipher "none" (OpenSSH's PROTOCOL.key) */
    if (strncmp(m->client_key, begin, sizeof begin - 1) == 0 && strstr(m->client_key, end))
        return ERR_OK;
    snprintf(why, SCHEMA_WHY,
             "%s: is no SSH key in OpenSSH's format without a passphrase, as 'stile-core init' makes it",
             path);
    return ERR_CONFIG;
}

enum err core_material_load(struct core *c, const struct box *box, struct core_material *out, char *why)
{
    struct core_material m = {0};
    enum err err = material_find_self(c, box, why);
    if (err == ERR_OK)
        err = core_tunnels_judge(c, &box->config, why);
    if (err == ERR_OK)
        err = material_make_policy(&box->config, &m, why);
    if (err == ERR_OK)
        err = material_read_key(box, &m, why);
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
