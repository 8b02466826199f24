/*
 * Edges added to the shared config and taken out of it: files alone, the same whether core runs or not. The
 * config's text keeps its owner's formatting; its revision counts up. Bundles lie in the box's folder as
 * EDGE.bundle, and nowhere else: no answer holds what is in them.
 */
#ifndef CORE_PAIRING_EDGES_H
#define CORE_PAIRING_EDGES_H

#include "common/bundle.h"
#include "common/ssh_key.h"
#include "core/pairing/pairing.h"

enum { EDGES_BUNDLE_LONGEST = 90 * 86400 /* seconds */, EDGES_BUNDLE_SHORTEST = 60 };

/* A change of stile.json, so that it can be undone. With `text_only`, which the caller sets, only bundle and
 * keys.json are written (of a removal: nothing), and stile.json is the caller's to write. */
struct edges_change {
    bool text_only;
    char *before, *after; /* its text; after NULL: it stays as it is */
    long revision;        /* of after */
    json_t *keys_before;  /* keys.json */
    bool written;         /* files were */
    char bundle[80];      /* and this one */
};
void edges_change_free(struct edges_change *c);
/* Puts back what was there; a bundle that was made goes. */
enum err edges_undo(const struct box *box, struct pairing *p, struct edges_change *c, const char *user,
                    char *why);

struct edges_bundle {
    long seconds;           /* how long it is good */
    const char *passphrase; /* NULL: not encrypted */
    char path[PATH_MAX];    /* set: where it lies */
    time_t expires;         /* set */
};

/* Its bounds, and the passphrase's. */
enum err edges_judge_bundle(const struct edges_bundle *bundle, char *why);
/* edge: an object as in stile.json's edges, without host_key; a key is made. Judged as a whole, then written:
 * bundle, keys.json, stile.json last. why has SCHEMA_WHY bytes; on an error nothing has changed. */
enum err edges_add(const struct box *box, struct pairing *p, const json_t *edge, struct edges_bundle *bundle,
                   const char *user, struct edges_change *change, char *why);
/* A new bundle for an edge that is there: for a box that was set up anew. The keys that the edge has count
 * until it is used. */
enum err edges_renew(const struct box *box, struct pairing *p, const char *name, struct edges_bundle *bundle,
                     const char *user, struct edges_change *change, char *why);
/* The bundle goes as well. */
enum err edges_remove(const struct box *box, struct pairing *p, const char *name, const char *user,
                      struct edges_change *change, char *why);

/* The edge is not there any more: its keys and its bundle go. */
enum err edges_forget(const struct box *box, struct pairing *p, const char *name, const char *user,
                      char *why);

/* For init and the two above: the bundle of an edge of that config, with core's keys as they are now, and
 * what core keeps of it. The edge must be in config. */
enum err edges_write_bundle(const struct box *box, struct pairing *p, const struct config *config,
                            const char *name, const char *secrets, const struct ssh_key *key,
                            struct edges_bundle *bundle, const char *user, char *why);
/* Its file in the box's folder. */
const char *edges_bundle_file(const char *edge, char out[80]);
/* A new array of all edges with their pairing: {name, ssh, public_address, pairing, paired, host_key,
 * bundle}. */
json_t *edges_list(const struct box *box, const struct pairing *p, time_t now);
/* "90m", "24h", "7d" or seconds, up to a year; ERR_MALFORMED. */
enum err edges_parse_time(const char *text, long *seconds);

#endif
