/* What a running edge takes over of a changed config, and what of it waits for a restart. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"

static size_t edge_number(const struct config *c, const char *name)
{
    size_t i = 0;
    while (i < c->edges.n && strcmp(config_edge_at(c, i)->name, name) != 0)
        i++;
    return i;
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
    size_t own = edge_number(running, self);
    json_t *base = json_deep_copy(running->json), *json = NULL;
    json_t *edges = json_object_get(base, "edges"), *theirs = json_object_get(fresh->json, "edges");
    enum err e = ERR_MEMORY;
    snprintf(why, SCHEMA_WHY, "out of memory");
    if (base && (json_array_size(edges) != json_array_size(theirs) ||
                 schema_copy_own(config_edge_rows, edges, theirs, own)))
        json = schema_merge(config_rows, base, fresh->json, from_core, waiting, size);
    if (json)
        e = merged_parse(json, fresh, merged, why);
    json_decref(base);
    json_decref(json);
    if (e != ERR_OK)
        return e;
    e = keep_realm(running, merged, waiting, size);
    if (e != ERR_OK)
        config_free(merged);
    return e;
}

void config_swap_live(struct config *running, struct config *merged)
{
    struct config old = *running;
    struct schema_objects edges = merged->edges;
    *running = *merged;
    running->edges = old.edges;
    *merged = old;
    merged->edges = edges;
}
