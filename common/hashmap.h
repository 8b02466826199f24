/*
 * An intrusive hash table: the entry embeds a hashmap_node, the table owns nothing but its buckets. The hash
 * is SipHash-1-3 under a key drawn at random per table, so that a stranger who chooses the keys cannot aim at
 * one bucket. Keys belong to the caller, who compares them while walking the chain:
 *
 *   uint32_t hash = hashmap_hash(&map, key, n);
 *   for (struct hashmap_node *at = hashmap_find(&map, hash); at; at = hashmap_find_next(at)) {
 *       struct thing *t = hashmap_entry(at, struct thing, node);
 *       if (thing_has_key(t, key)) ...
 *   }
 *
 * Inserting never fails: when memory for more buckets is out, chains get longer.
 */
#ifndef COMMON_HASHMAP_H
#define COMMON_HASHMAP_H

#include <stddef.h>
#include <stdint.h>

struct hashmap_node {
    struct hashmap_node *next;
    uint32_t hash;
};

struct hashmap {
    struct hashmap_node **buckets;
    size_t mask;  /* number of buckets - 1; a power of two of them */
    size_t count; /* entries */
    uint64_t seed[2];
};

#define hashmap_entry(node_pointer, type, member)                                                            \
    ((type *)(void *)((char *)(node_pointer)-offsetof(type, member)))

/* Draws the seed. Aborts when memory is out: tables are made at start-up. */
void hashmap_init(struct hashmap *m);
/* Frees the buckets. The entries are the caller's. */
void hashmap_free(struct hashmap *m);

uint32_t hashmap_hash(const struct hashmap *m, const void *key, size_t n);
/* The same for keys that are whole 64-bit words; quicker, and a different value than hashmap_hash gives. */
uint32_t hashmap_hash_words(const struct hashmap *m, const uint64_t *words, size_t n);

/* The entry must not be in a table. Equal keys are the caller's affair: none, or several. */
void hashmap_insert(struct hashmap *m, struct hashmap_node *node, uint32_t hash);
/* The entry must be in this table. */
void hashmap_remove(struct hashmap *m, struct hashmap_node *node);

/* First entry with this hash, and the next one with the same; NULL at the end. */
struct hashmap_node *hashmap_find(const struct hashmap *m, uint32_t hash);
struct hashmap_node *hashmap_find_next(const struct hashmap_node *node);

/* Walks over everything, in no order: start with NULL; NULL at the end. Between two calls only the entry just
 * returned may be removed, and only by a caller who asked for the next one first. */
struct hashmap_node *hashmap_walk(const struct hashmap *m, const struct hashmap_node *node);

#endif
