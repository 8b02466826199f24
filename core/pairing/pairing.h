/*
 * What core knows of its edges' keys beside stile.json, which stays the administrator's: the file keys.json.
 * An edge's host key in stile.json is the first it ever had. From its first tunnel on the edge has one that
 * it made itself, `key rotate` makes further ones, and a bundle brings one for as long as nobody has used it.
 *
 *   {"edges": [{"name": "edge1", "host_keys": [lines], "replaced": [lines], "paired": Unix time,
 *               "bundle": {"id", "key": line, "created", "expires", "encrypted"},
 *               "bundle_keys": [lines of bundles that were used]}],
 *    "core_keys": [lines that core had before], "rotation": {…}, "last_rotation": {…}} (core/core_rotation.c)
 *
 * Where stile.json has a host key that is neither in host_keys nor replaced, somebody has put another one
 * there, and that one counts alone.
 */
#ifndef CORE_PAIRING_PAIRING_H
#define CORE_PAIRING_PAIRING_H

#include <jansson.h>
#include <stdbool.h>
#include <time.h>

#include "common/box.h"

enum { PAIRING_KEYS_MAX = 16 /* of those that an edge, or core, had before */ };

struct pairing {
    json_t *json; /* the document */
};

/* A missing file is an empty one. why[SCHEMA_WHY] names what is wrong. */
enum err pairing_load(const struct box *box, struct pairing *out, char *why);
/* As root for user. */
enum err pairing_save(const struct box *box, const struct pairing *p, const char *user, char *why);
void pairing_free(struct pairing *p);

/* What is known of an edge, borrowed; NULL when nothing is. */
json_t *pairing_edge(const struct pairing *p, const char *name);
/* False when memory is out. */
bool pairing_forget(struct pairing *p, const char *name);

/* A bundle for the edge, with that host key, was made: an earlier one that nobody has used counts no longer.
 * Until it is used, the keys that the edge has count as well. */
struct pairing_bundle {
    const char *id, *key;
    time_t created, expires;
    bool encrypted;
};
bool pairing_add_bundle(struct pairing *p, const struct config_edge *edge,
                        const struct pairing_bundle *bundle);

/* The box that has this host key has made `next` to use in its place: both count. OTHER: a box with the same
 * key has offered another one, so they are two boxes. */
enum pairing_offered { PAIRING_OFFER_NEW, PAIRING_OFFER_KNOWN, PAIRING_OFFER_OTHER, PAIRING_OFFER_NO_MEMORY };
enum pairing_offered pairing_offer(struct pairing *p, const struct config_edge *edge, const char *key,
                                   const char *next);
/* It has this key, and no other counts any more: those are replaced, and a bundle of this edge is used. */
bool pairing_settle(struct pairing *p, const struct config_edge *edge, const char *key, time_t now);

enum pairing_state { PAIRING_WAITING, PAIRING_EXPIRED, PAIRING_PAIRED };
/* Waiting: there is a bundle that nobody has used; expired: and it is too late for that. */
enum pairing_state pairing_state(const struct pairing *p, const char *edge, time_t now);
const char *pairing_state_str(enum pairing_state s);

/* The keys that this edge may show, for host_keys_parse (core/tunnel/host_key.h), with words for those that
 * it may not: a new array, NULL when memory is out. */
json_t *pairing_host_keys(const struct pairing *p, const struct config *config,
                          const struct config_edge *edge);
/* Whether a tunnel to the edge may begin with this key: it is in host_keys, or in stile.json. */
bool pairing_knows(const struct pairing *p, const struct config_edge *edge, const char *key);
/* The key that the edge has by the newest word. Borrowed. */
const char *pairing_host_key(const struct pairing *p, const struct config_edge *edge);

/* Unix time as RFC 3339 has it, in UTC. */
const char *pairing_time(time_t t, char out[32]);

#endif
