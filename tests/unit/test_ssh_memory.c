/* What libssh2 may hold for one session: everything goes with it, and never more than the limit. */
#include "core/tunnel/ssh_memory.h"

#include <stdint.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct ssh_memory memory;

START_TEST(test_all_freed)
{
    void *p[10];
    memset(&memory, 0, sizeof memory);
    for (size_t i = 0; i < 10; i++)
        p[i] = ssh_memory_alloc(&memory, 100 * (i + 1));
    ssh_memory_free(&memory, p[3]);
    ssh_memory_free(&memory, NULL);
    memset(p[4], 'x', 500);
    p[4] = ssh_memory_realloc(&memory, p[4], 100000);
    ck_assert_int_eq(((char *)p[4])[499], 'x');
    ck_assert_ptr_nonnull(ssh_memory_realloc(&memory, NULL, 7));
    ssh_memory_free_all(&memory);
    ck_assert_uint_eq(memory.total, 0);
    ck_assert(!memory.overrun);
}
END_TEST

START_TEST(test_limit)
{
    size_t n = 0;
    memset(&memory, 0, sizeof memory);
    void *first = ssh_memory_alloc(&memory, 1000), *p = first;
    for (; p; n++)
        p = ssh_memory_alloc(&memory, 1024 * 1024);
    ck_assert_uint_eq(n, 64); /* 63, and one refused */
    ck_assert(memory.overrun && memory.total <= SSH_MEMORY_MAX);
    ck_assert_ptr_null(ssh_memory_realloc(&memory, first, 2 * 1024 * 1024));
    ck_assert_ptr_null(ssh_memory_alloc(&memory, SIZE_MAX));
    ck_assert_ptr_nonnull(ssh_memory_realloc(&memory, first, 2000)); /* it is still there */
    ssh_memory_free_all(&memory);
    ck_assert_uint_eq(memory.total, 0);
}
END_TEST

UNIT_MAIN("ssh_memory", test_all_freed, test_limit)
