/*
 * Which SSH keys an edge accepts of its cores: that of stile.json is the first a core ever had; later ones
 * the core has told over its tunnel, and they are in keys.json:
 *
 *   {"cores": [{"name": "core1", "keys": [lines], "replaced": [lines]}]}
 *
 * Where stile.json has a key that is in neither list, somebody has put another one there, and that one counts
 * alone.
 */
#ifndef EDGE_TUNNEL_CORE_KEYS_H
#define EDGE_TUNNEL_CORE_KEYS_H

#include <jansson.h>

#include "common/box.h"

enum { CORE_KEYS_MAX = 4 };

struct core_keys {
    json_t *json; /* the document */
};

/* A missing file is an empty one. why[SCHEMA_WHY] names what is wrong. */
enum err core_keys_load(const struct box *box, struct core_keys *out, char *why);
void core_keys_free(struct core_keys *k);
/* The lines that this core may log in with, at most CORE_KEYS_MAX, borrowed; how many. */
size_t core_keys_of(const struct core_keys *k, const struct config_core *core,
                    const char *out[CORE_KEYS_MAX]);
/* The core says that these are its keys (1 to CORE_KEYS_MAX lines), and that it had the others before. Writes
 * the file if that is new: *changed. ERR_MALFORMED, with the reason in why, changes nothing, nor does any
 * other error. */
enum err core_keys_set(struct core_keys *k, const struct box *box, const char *core, const json_t *keys,
                       const json_t *replaced, bool *changed, char *why);

#endif
