/* Slots for TLS records: whose they are, that they hold what was written, and that their memory goes back. */
#include "common/tls_memory.h"

#include <openssl/crypto.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

enum { MANY = 1000, KEPT = 100, RECORD = 17000 };

static long resident_kb(void)
{
    long all, resident;
    FILE *f = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "%ld %ld", &all, &resident), 2);
    fclose(f);
    return resident * 4;
}

/* A whole look; returns how many parts it had. */
static int trim(void)
{
    int parts = 1;
    while (tls_memory_trim())
        parts++;
    return parts;
}

START_TEST(test_slots)
{
    static uint8_t *p[MANY];
    if (!tls_memory_init())
        return; /* with AddressSanitizer */
    ck_assert(tls_memory_init());
    ck_assert_uint_eq(tls_memory_used(), 0);
    for (int i = 0; i < MANY; i++) {
        p[i] = OPENSSL_malloc(RECORD);
        memset(p[i], i & 255, RECORD);
    }
    ck_assert_uint_eq(tls_memory_used(), MANY);
    long full = resident_kb();
    for (int i = 0; i < MANY; i++) {
        for (int k = 0; k < RECORD; k += 999)
            ck_assert_uint_eq(p[i][k], (uint8_t)i);
        OPENSSL_free(p[i]);
    }
    ck_assert_uint_eq(tls_memory_used(), 0);
    ck_assert_int_eq(trim(), 1); /* those were taken a moment ago */
    ck_assert_int_gt(resident_kb(), full - 100);
    /* The last one given back is the first one taken. */
    for (int i = 0; i < KEPT; i++)
        ck_assert_ptr_eq(OPENSSL_malloc(16384), p[MANY - 1 - i]);
    for (int i = KEPT; i-- > 0;)
        OPENSSL_free(p[MANY - 1 - i]);
    ck_assert(tls_memory_trim()); /* not all at once */
    ck_assert_int_gt(resident_kb(), full - TLS_MEMORY_TRIM_MOST * 20 - 100);
    ck_assert_int_ge(trim(), (MANY - KEPT) / TLS_MEMORY_TRIM_MOST - 1);
    ck_assert_int_lt(resident_kb(), full - (MANY - KEPT) * 16 + 100);
    for (int i = 0; i < KEPT; i++)
        ck_assert_uint_eq(p[MANY - 1 - i][RECORD - 1], (uint8_t)(MANY - 1 - i)); /* memory kept as it was */
    (void)trim();
    ck_assert_int_lt(resident_kb(), full - MANY * 16 + 100);
    uint8_t *cold = OPENSSL_malloc(RECORD);
    ck_assert_uint_eq(cold[RECORD - 1], 0);
    OPENSSL_free(cold);
}
END_TEST

START_TEST(test_sizes)
{
    if (!tls_memory_init())
        return;
    uint8_t *small = OPENSSL_malloc(16383), *large = OPENSSL_malloc(20 * 1024 + 1),
            *slot = OPENSSL_malloc(20 * 1024);
    ck_assert_uint_eq(tls_memory_used(), 1);
    memset(slot, 7, 20 * 1024);
    ck_assert_ptr_eq(OPENSSL_realloc(slot, 100), slot);
    slot = OPENSSL_realloc(slot, 100000);
    ck_assert_uint_eq(tls_memory_used(), 0);
    ck_assert(slot[0] == 7 && slot[20 * 1024 - 1] == 7);
    small = OPENSSL_realloc(small, 17000);
    ck_assert_uint_eq(tls_memory_used(), 0);
    OPENSSL_free(small);
    OPENSSL_free(large);
    OPENSSL_free(slot);
    OPENSSL_free(NULL);
}
END_TEST

UNIT_MAIN("tls_memory", test_slots, test_sizes)
