/* What a running edge takes over of a changed config, and what of it waits for a restart. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/config.h"

static json_t *edge_named(const json_t *edges, const char *name)
{
    json_t *edge;
    size_t i;
    json_array_foreach ((json_t *)(uintptr_t)edges, i, edge)
        if (strcasecmp(json_string_value(json_object_get(edge, "name")), name) == 0)
            return edge;
    return NULL;
}

/* The edges as fresh has them, but self as it runs: what of that changes is judged key by key. */
static json_t *edges_live(const json_t *running, const json_t *fresh, const char *self)
{
    json_t *list = json_array(), *edge;
    size_t i;
    bool good = list != NULL;
    json_array_foreach ((json_t *)(uintptr_t)fresh, i, edge) {
        const char *name = json_string_value(json_object_get(edge, "name"));
        json_t *own = strcasecmp(name, self) == 0 ? edge_named(running, self) : NULL;
        good = good && json_array_append_new(list, json_deep_copy(own ? own : edge)) == 0;
    }
    if (good)
        return list;
    json_decref(list);
    return NULL;
}

/* The realm of TURN is the join host where it is not given: keys of users are made with it, so that a running
 * edge stays with the one that it has. */
static enum err keep_realm(const struct config *running, struct config *merged, char *waiting, size_t size)
{
    size_t n = strlen(waiting);
    if (strcmp(running->turn.realm, merged->turn.realm) == 0)
        return ERR_OK;
    char *realm = strdup(running->turn.realm);
    if (!realm)
        return ERR_MEMORY;
    free(merged->turn.realm);
    merged->turn.realm = realm;
    snprintf(waiting + n, size - n, "%sturn.realm", n ? ", " : "");
    return ERR_OK;
}

static enum err merged_parse(const json_t *json, const struct config *fresh, struct config *merged, char *why)
{
    char *text = json_dumps(json, 0), *fresh_text = strdup(fresh->text);
    enum err e = text && fresh_text
                     ? config_parse("the config with what changed", text, merged, why)
                     : ERR_MEMORY;
    free(text);
    if (e != ERR_OK) {
        free(fresh_text);
        return e;
    }
    free(merged->text);
    merged->text = fresh_text;
    return ERR_OK;
}

enum err config_merge(const struct config *running, const struct config *fresh, const char *self,
                      bool from_core, struct config *merged, char *waiting, size_t size, char *why)
{
    json_t *base = json_deep_copy(running->json), *json = NULL;
    json_t *edges = edges_live(json_object_get(running->json, "edges"), json_object_get(fresh->json, "edges"), self);
    enum err e = ERR_MEMORY;
    snprintf(why, SCHEMA_WHY, "out of memory");
    if (base && edges && json_object_set(base, "edges", edges) == 0)
        json = schema_merge(config_rows, base, fresh->json, from_core, waiting, size);
    if (json)
        e = merged_parse(json, fresh, merged, why);
    json_decref(base);
    json_decref(edges);
    json_decref(json);
    if (e != ERR_OK)
        return e;
    e = keep_realm(running, merged, waiting, size);
    if (e != ERR_OK)
        config_free(merged);
    return e;
}
