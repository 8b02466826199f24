#include "edge/tunnel/core_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/file.h"

enum { FILE_MAX = 1024 * 1024, REPLACED_MAX = 16 };

/* Reading -------------------------------------------------------------------------------------------------
 */

/* For judging what is read. */
struct core_entry {
    char *name;
    struct schema_strings keys, replaced;
};

#define ENTRY(member) offsetof(struct core_entry, member)
static const struct schema_row entry_rows[] = {
    {"name", SCHEMA_STRING, ENTRY(name), .required = true, .check = config_check_name, .help = "the core"},
    {"keys", SCHEMA_STRINGS, ENTRY(keys), .required = true, .min = 1, .max = CORE_KEYS_MAX,
     .check = config_check_key, .help = "keys that it may log in with"},
    {"replaced", SCHEMA_STRINGS, ENTRY(replaced), .max = REPLACED_MAX, .check = config_check_key,
     .help = "keys that it had"},
    SCHEMA_END};

struct document {
    struct schema_objects cores;
};

static const struct schema_row document_rows[] = {{"cores", SCHEMA_OBJECTS, offsetof(struct document, cores),
                                                   .max = 100, .rows = entry_rows,
                                                   .size = sizeof(struct core_entry), .help = "cores"},
                                                  SCHEMA_END};

enum err core_keys_load(const struct box *box, struct core_keys *out, char *why)
{
    char path[PATH_MAX], *text;
    json_t *json = NULL;
    enum err e = file_read(box_file(box, BOX_KEYS, path), FILE_MAX, &text, NULL, why, SCHEMA_WHY);
    if (e == ERR_NOT_FOUND) {
        json = json_pack("{s[]}", "cores");
        e = json ? ERR_OK : ERR_MEMORY;
    } else if (e == ERR_OK) {
        e = schema_document(path, text, document_rows, sizeof(struct document), &json, why);
        free(text);
    }
    if (e == ERR_OK)
        out->json = json;
    return e;
}

void core_keys_free(struct core_keys *k)
{
    json_decref(k->json);
    k->json = NULL;
}

static json_t *entry_of(const json_t *document, const char *core)
{
    size_t i;
    json_t *entry;
    json_array_foreach (json_object_get(document, "cores"), i, entry)
        if (strcasecmp(json_string_value(json_object_get(entry, "name")), core) == 0)
            return entry;
    return NULL;
}

static bool has(const json_t *list, const char *key)
{
    size_t i;
    json_t *item;
    json_array_foreach ((json_t *)(uintptr_t)list, i, item)
        if (strcmp(json_string_value(item), key) == 0)
            return true;
    return false;
}

size_t core_keys_of(const struct core_keys *k, const struct config_core *core, const char *out[CORE_KEYS_MAX])
{
    const json_t *entry = entry_of(k->json, core->name), *keys = json_object_get(entry, "keys");
    size_t n = 0, i;
    json_t *key;
    if (!has(keys, core->key) && !has(json_object_get(entry, "replaced"), core->key)) {
        out[0] = core->key;
        return 1;
    }
    json_array_foreach ((json_t *)(uintptr_t)keys, i, key)
        if (n < CORE_KEYS_MAX)
            out[n++] = json_string_value(key);
    return n;
}

/* Changing ------------------------------------------------------------------------------------------------
 */

/* The document with this entry in place of the core's old one. */
static json_t *with_entry(const json_t *document, const char *core, json_t *entry)
{
    json_t *copy = json_pack("{s[]}", "cores"), *list = json_object_get(copy, "cores"), *old;
    size_t i;
    bool done = copy && entry;
    json_array_foreach (json_object_get(document, "cores"), i, old)
        if (done && strcasecmp(json_string_value(json_object_get(old, "name")), core) != 0)
            done = json_array_append(list, old) == 0;
    if (done)
        done = json_array_append(list, entry) == 0;
    json_decref(entry);
    if (done)
        return copy;
    json_decref(copy);
    return NULL;
}

enum err core_keys_set(struct core_keys *k, const struct box *box, const char *core, const json_t *keys,
                       const json_t *replaced, bool *changed, char *why)
{
    json_t *entry = json_pack("{ss sO sO*}", "name", core, "keys", keys, "replaced", replaced),
           *judged = NULL;
    snprintf(why, SCHEMA_WHY, "out of memory, or no keys");
    *changed = entry && !json_equal(entry, entry_of(k->json, core));
    if (!*changed) {
        json_decref(entry);
        return entry ? ERR_OK : ERR_MALFORMED;
    }
    json_t *fresh = with_entry(k->json, core, entry);
    char *text = fresh ? json_dumps(fresh, JSON_INDENT(1)) : NULL;
    enum err e = text ? schema_document("the keys that core sent", text, document_rows,
                                        sizeof(struct document), &judged, why)
                      : ERR_MEMORY;
    if (e == ERR_OK)
        e = box_write(box, BOX_KEYS, text, strlen(text), 0600, BOX_USER, why);
    if (e == ERR_OK) {
        json_decref(k->json);
        k->json = json_incref(fresh);
    } else if (e == ERR_CONFIG) {
        e = ERR_MALFORMED;
    }
    json_decref(judged);
    json_decref(fresh);
    free(text);
    return e;
}
