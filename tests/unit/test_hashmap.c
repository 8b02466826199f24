#include <stdlib.h>
#include <string.h>

#include "common/hashmap.h"
#include "tests/unit/unit.h"

struct thing {
    struct hashmap_node node;
    uint64_t key;
};

static struct thing *thing_find(const struct hashmap *m, uint64_t key)
{
    uint32_t hash = hashmap_hash(m, &key, sizeof key);
    for (struct hashmap_node *at = hashmap_find(m, hash); at; at = hashmap_find_next(at)) {
        struct thing *t = hashmap_entry(at, struct thing, node);
        if (t->key == key)
            return t;
    }
    return NULL;
}

START_TEST(test_insert_find_remove)
{
    enum { N = 5000 };
    struct hashmap m;
    struct thing *things = calloc(N, sizeof(*things));
    hashmap_init(&m);
    for (uint64_t i = 0; i < N; i++) {
        things[i].key = i * 7919;
        ck_assert_ptr_null(thing_find(&m, things[i].key));
        hashmap_insert(&m, &things[i].node, hashmap_hash(&m, &things[i].key, sizeof things[i].key));
    }
    ck_assert_uint_eq(m.count, N);
    for (uint64_t i = 0; i < N; i += 2)
        hashmap_remove(&m, &things[i].node);
    for (uint64_t i = 0; i < N; i++)
        ck_assert_ptr_eq(thing_find(&m, things[i].key), i % 2 ? &things[i] : NULL);
    for (uint64_t i = 1; i < N; i += 2)
        hashmap_remove(&m, &things[i].node);
    ck_assert_uint_eq(m.count, 0);
    ck_assert_uint_lt(m.mask, 64); /* the memory went back */
    hashmap_free(&m);
    free(things);
}
END_TEST

START_TEST(test_walk_visits_each_once_and_survives_removal)
{
    enum { N = 1000 };
    struct hashmap m;
    struct thing *things = calloc(N, sizeof(*things));
    unsigned char seen[N] = {0};
    hashmap_init(&m);
    ck_assert_ptr_null(hashmap_walk(&m, NULL));
    for (uint64_t i = 0; i < N; i++) {
        things[i].key = i;
        hashmap_insert(&m, &things[i].node, hashmap_hash(&m, &i, sizeof i));
    }
    struct hashmap_node *next, *at = hashmap_walk(&m, NULL);
    for (; at; at = next) {
        next = hashmap_walk(&m, at);
        seen[hashmap_entry(at, struct thing, node)->key]++;
        hashmap_remove(&m, at);
    }
    for (int i = 0; i < N; i++)
        ck_assert_uint_eq(seen[i], 1);
    ck_assert_uint_eq(m.count, 0);
    hashmap_free(&m);
    free(things);
}
END_TEST

START_TEST(test_seed_differs_per_table)
{
    struct hashmap a, b;
    int same = 0;
    hashmap_init(&a);
    hashmap_init(&b);
    for (uint64_t i = 0; i < 64; i++) {
        same += hashmap_hash(&a, &i, sizeof i) == hashmap_hash(&b, &i, sizeof i);
        same += hashmap_hash_words(&a, &i, 1) == hashmap_hash_words(&b, &i, 1);
    }
    ck_assert_int_le(same, 1);
    hashmap_free(&a);
    hashmap_free(&b);
}
END_TEST

/* Keys that differ only in length or in their last byte must not meet. */
START_TEST(test_hash_covers_every_byte)
{
    struct hashmap m;
    uint8_t key[40] = {0};
    hashmap_init(&m);
    for (size_t n = 0; n < sizeof key; n++) {
        uint32_t before = hashmap_hash(&m, key, n);
        ck_assert_uint_ne(before, hashmap_hash(&m, key, n + 1));
        if (n == 0)
            continue;
        key[n - 1] = 1;
        ck_assert_uint_ne(before, hashmap_hash(&m, key, n));
        key[n - 1] = 0;
    }
    hashmap_free(&m);
}
END_TEST

UNIT_MAIN("hashmap", test_insert_find_remove, test_walk_visits_each_once_and_survives_removal,
          test_seed_differs_per_table, test_hash_covers_every_byte)
