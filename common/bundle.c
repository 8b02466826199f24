#include "common/bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/schema.h"

char *bundle_encode(const struct bundle *b)
{
    json_t *json = json_pack("{si ss sI sI ss ss ss}", "stile_bundle", BUNDLE_VERSION, "edge", b->edge,
                             "created", (json_int_t)b->created, "expires", (json_int_t)b->expires, "config",
                             b->config, "secrets", b->secrets, "host_key", b->host_key);
    char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    json_decref(json);
    return text;
}

static const char *bundle_string(const json_t *json, const char *key)
{
    const char *s = json_string_value(json_object_get(json, key));
    return s ? s : "";
}

enum err bundle_decode(const char *name, const char *text, time_t now, struct bundle *out, char *why)
{
    struct bundle b = {0};
    enum err e = ERR_CONFIG;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    json_int_t version = json_integer_value(json_object_get(json, "stile_bundle"));
    if (!json || version == 0) {
        snprintf(why, SCHEMA_WHY, "%s: not a Stile bundle, or damaged on its way; copy it again from core",
                 name);
        goto out;
    }
    if (version != BUNDLE_VERSION) {
        snprintf(why, SCHEMA_WHY,
                 "%s: bundle of version %lld, this program reads %d; update the older of the two boxes", name,
                 (long long)version, BUNDLE_VERSION);
        goto out;
    }
    b.created = (time_t)json_integer_value(json_object_get(json, "created"));
    b.expires = (time_t)json_integer_value(json_object_get(json, "expires"));
    if (now >= b.expires) {
        snprintf(why, SCHEMA_WHY,
                 "%s: expired (a bundle lives %d days); make a new one on core. "
                 "If it is new, compare the clocks of both boxes",
                 name, BUNDLE_DAYS);
        goto out;
    }
    if (now + 600 < b.created) {
        snprintf(why, SCHEMA_WHY, "%s: made in the future; the clocks of the two boxes differ", name);
        goto out;
    }
    b.edge = strdup(bundle_string(json, "edge"));
    b.config = strdup(bundle_string(json, "config"));
    b.secrets = strdup(bundle_string(json, "secrets"));
    b.host_key = strdup(bundle_string(json, "host_key"));
    if (!b.edge || !b.config || !b.secrets || !b.host_key) {
        snprintf(why, SCHEMA_WHY, "%s: out of memory", name);
        e = ERR_MEMORY;
        goto out;
    }
    if (!*b.edge || !*b.config || !*b.secrets || strncmp(b.host_key, "-----BEGIN ", 11) != 0) {
        snprintf(why, SCHEMA_WHY, "%s: a part of the bundle is missing; make it anew on core", name);
        goto out;
    }
    *out = b;
    b = (struct bundle){0};
    e = ERR_OK;
out:
    bundle_free(&b);
    json_decref(json);
    return e;
}

void bundle_free(struct bundle *b)
{
    free(b->edge);
    free(b->config);
    file_wipe(b->secrets);
    file_wipe(b->host_key);
    *b = (struct bundle){0};
}
