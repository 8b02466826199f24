#include "common/hashmap.h"

#include <stdlib.h>
#include <sys/random.h>

#include "common/fatal.h"
#include "common/siphash.h"

enum { HASHMAP_SMALLEST = 16 };

static uint32_t fold(uint64_t h)
{
    return (uint32_t)(h ^ h >> 32);
}

uint32_t hashmap_hash(const struct hashmap *m, const void *key, size_t n)
{
    return fold(siphash(m->seed, key, n));
}

uint32_t hashmap_hash_words(const struct hashmap *m, const uint64_t *words, size_t n)
{
    struct siphash s = siphash_begin(m->seed);
    for (size_t i = 0; i < n; i++)
        siphash_word(&s, words[i]);
    return fold(siphash_end(&s));
}

void hashmap_init(struct hashmap *m)
{
    *m = (struct hashmap){.mask = HASHMAP_SMALLEST - 1};
    m->buckets = xcalloc(HASHMAP_SMALLEST, sizeof(*m->buckets));
    if (getrandom(m->seed, sizeof m->seed, 0) != (ssize_t)sizeof m->seed)
        fatal("no random numbers for a hash table");
}

void hashmap_free(struct hashmap *m)
{
    free(m->buckets);
    *m = (struct hashmap){0};
}

static void hashmap_resize(struct hashmap *m, size_t size)
{
    struct hashmap_node **buckets = calloc(size, sizeof(*buckets));
    if (!buckets)
        return;
    for (size_t i = 0; i <= m->mask; i++) {
        struct hashmap_node *node = m->buckets[i], *next;
        for (; node; node = next) {
            next = node->next;
            node->next = buckets[node->hash & (size - 1)];
            buckets[node->hash & (size - 1)] = node;
        }
    }
    free(m->buckets);
    m->buckets = buckets;
    m->mask = size - 1;
}

void hashmap_insert(struct hashmap *m, struct hashmap_node *node, uint32_t hash)
{
    if (m->count > m->mask)
        hashmap_resize(m, (m->mask + 1) * 2);
    node->hash = hash;
    node->next = m->buckets[hash & m->mask];
    m->buckets[hash & m->mask] = node;
    m->count++;
}

void hashmap_remove(struct hashmap *m, struct hashmap_node *node)
{
    struct hashmap_node **at = &m->buckets[node->hash & m->mask];
    while (*at && *at != node)
        at = &(*at)->next;
    REQUIRE(*at == node);
    *at = node->next;
    node->next = NULL;
    m->count--;
    /* Shrinking waits until a walk cannot be under way over a table of any size that matters. */
    if (m->count == 0 && m->mask >= HASHMAP_SMALLEST)
        hashmap_resize(m, HASHMAP_SMALLEST);
}

struct hashmap_node *hashmap_find(const struct hashmap *m, uint32_t hash)
{
    struct hashmap_node *node = m->buckets[hash & m->mask];
    while (node && node->hash != hash)
        node = node->next;
    return node;
}

struct hashmap_node *hashmap_find_next(const struct hashmap_node *node)
{
    uint32_t hash = node->hash;
    struct hashmap_node *next = node->next;
    while (next && next->hash != hash)
        next = next->next;
    return next;
}

struct hashmap_node *hashmap_walk(const struct hashmap *m, const struct hashmap_node *node)
{
    if (node && node->next)
        return node->next;
    for (size_t i = node ? (node->hash & m->mask) + 1 : 0; i <= m->mask; i++)
        if (m->buckets[i])
            return m->buckets[i];
    return NULL;
}
