/* Open addressing with linear probing; removal shifts the entries behind back, so that no grave is left. */
#include "common/address_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/fatal.h"

struct entry {
    uint8_t key[9]; /* family, then 4 or 8 bytes */
    uint32_t count; /* 0: free */
};

struct address_table {
    struct entry *entries;
    size_t mask, n, most;
    uint64_t seed;
};

/* Twice as many places as addresses, so that look-ups are short. */
static size_t places_for(size_t addresses)
{
    size_t size = 16;
    while (size < addresses * 2)
        size *= 2;
    return size;
}

struct address_table *address_table_new(size_t most)
{
    struct address_table *t = calloc(1, sizeof *t);
    size_t size = places_for(most);
    if (t)
        t->entries = calloc(size, sizeof *t->entries);
    if (!t || !t->entries || getrandom(&t->seed, sizeof t->seed, 0) != sizeof t->seed) {
        address_table_free(t);
        return NULL;
    }
    t->mask = size - 1;
    t->most = most;
    return t;
}

void address_table_free(struct address_table *t)
{
    if (!t)
        return;
    free(t->entries);
    free(t);
}

static void make_key(const struct netaddr *a, uint8_t key[9])
{
    memset(key, 0, 9);
    key[0] = a->family;
    memcpy(key + 1, a->ip, a->family == AF_INET ? 4 : 8);
}

/* Seeded multiply-and-fold: addresses are chosen by strangers, the seed is not. */
static size_t slot_of(const struct address_table *t, const uint8_t key[9])
{
    uint64_t word;
    memcpy(&word, key + 1, sizeof word);
    __uint128_t product = (__uint128_t)(word ^ t->seed ^ key[0]) * 0x9e3779b97f4a7c15u;
    product = (__uint128_t)((uint64_t)product ^ (uint64_t)(product >> 64) ^ t->seed) * 0xd6e8feb86659fd93u;
    return (size_t)((uint64_t)product ^ (uint64_t)(product >> 64)) & t->mask;
}

/* The entry with that key, or the free one where it belongs. There always is a free one. */
static struct entry *find(const struct address_table *t, const uint8_t key[9])
{
    size_t i = slot_of(t, key);
    while (t->entries[i].count && memcmp(t->entries[i].key, key, sizeof t->entries[i].key) != 0)
        i = (i + 1) & t->mask;
    return &t->entries[i];
}

enum err address_table_resize(struct address_table *t, size_t most)
{
    size_t old_size = t->mask + 1, size = places_for(most > t->n ? most : t->n);
    struct entry *old = t->entries, *entries = size == old_size ? NULL : calloc(size, sizeof *entries);
    if (size != old_size && !entries)
        return ERR_MEMORY;
    t->most = most;
    if (!entries)
        return ERR_OK;
    t->entries = entries;
    t->mask = size - 1;
    for (size_t i = 0; i < old_size; i++)
        if (old[i].count)
            *find(t, old[i].key) = old[i];
    free(old);
    return ERR_OK;
}

bool address_table_add(struct address_table *t, const struct netaddr *a, size_t per_address)
{
    uint8_t key[9];
    make_key(a, key);
    struct entry *e = find(t, key);
    if (e->count >= per_address || (e->count == 0 && t->n >= t->most))
        return false;
    if (e->count++ == 0) {
        memcpy(e->key, key, sizeof e->key);
        t->n++;
    }
    return true;
}

void address_table_remove(struct address_table *t, const struct netaddr *a)
{
    uint8_t key[9];
    make_key(a, key);
    struct entry *e = find(t, key);
    REQUIRE(e->count > 0);
    if (--e->count > 0)
        return;
    t->n--;
    size_t hole = (size_t)(e - t->entries);
    for (size_t i = (hole + 1) & t->mask; t->entries[i].count; i = (i + 1) & t->mask) {
        size_t home = slot_of(t, t->entries[i].key);
        if (((i - home) & t->mask) < ((i - hole) & t->mask))
            continue; /* it would move in front of its home */
        t->entries[hole] = t->entries[i];
        t->entries[i].count = 0;
        hole = i;
    }
}

size_t address_table_count(const struct address_table *t, const struct netaddr *a)
{
    uint8_t key[9];
    make_key(a, key);
    return find(t, key)->count;
}

size_t address_table_addresses(const struct address_table *t)
{
    return t->n;
}
