#include "common/tls_memory.h"

#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/fatal.h"

#if defined(__SANITIZE_ADDRESS__)
#define TLS_MEMORY_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TLS_MEMORY_SANITIZED 1
#endif
#endif

#ifdef TLS_MEMORY_SANITIZED

bool tls_memory_init(void)
{
    return false;
}

bool tls_memory_trim(void)
{
    return false;
}

size_t tls_memory_used(void)
{
    return 0;
}

#else

enum {
    SLOT = 20 * 1024,   /* whole pages; a record with its overhead is 16 to 17.5 KB */
    SLOT_LEAST = 16384, /* smaller things are no record buffers */
    SLOTS = 48 * 1024,  /* address space; memory only as used */
};

static struct {
    uint8_t *base;         /* NULL: not in use */
    uint32_t fresh;        /* slots from here on were never used */
    uint32_t n_freed;      /* the stack's height */
    uint32_t n_cold;       /* of its lowest, which have no memory */
    uint32_t n_idle;       /* of its lowest, which nobody took since the last look */
    uint32_t freed[SLOTS]; /* last in, first out: what is warm in the cache is used first */
} slots;

static bool is_slot(const void *p)
{
    return slots.base && (const uint8_t *)p >= slots.base &&
           (const uint8_t *)p < slots.base + (size_t)SLOTS * SLOT;
}

static void *slot_take(void)
{
    if (slots.n_freed == 0)
        return slots.fresh < SLOTS ? slots.base + (size_t)slots.fresh++ * SLOT : NULL;
    uint32_t slot = slots.freed[--slots.n_freed];
    if (slots.n_idle > slots.n_freed)
        slots.n_idle = slots.n_freed;
    if (slots.n_cold > slots.n_freed)
        slots.n_cold = slots.n_freed;
    return slots.base + (size_t)slot * SLOT;
}

static void slot_give(void *p)
{
    size_t at = (size_t)((uint8_t *)p - slots.base);
    REQUIRE(at % SLOT == 0 && slots.n_freed < slots.fresh);
    slots.freed[slots.n_freed++] = (uint32_t)(at / SLOT);
}

static void *record_malloc(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    void *p = n >= SLOT_LEAST && n <= SLOT ? slot_take() : NULL;
    return p ? p : malloc(n);
}

static void record_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    if (is_slot(p))
        slot_give(p);
    else
        free(p);
}

static void *record_realloc(void *p, size_t n, const char *file, int line)
{
    if (!is_slot(p))
        return realloc(p, n);
    if (n > 0 && n <= SLOT)
        return p;
    void *moved = n ? malloc(n) : NULL;
    if (moved)
        memcpy(moved, p, SLOT);
    if (moved || n == 0)
        record_free(p, file, line);
    return moved;
}

bool tls_memory_init(void)
{
    size_t size = (size_t)SLOTS * SLOT;
    if (slots.base)
        return true;
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return false;
    if (CRYPTO_set_mem_functions(record_malloc, record_realloc, record_free) != 1) {
        munmap(base, size);
        return false;
    }
    slots.base = base;
    return true;
}

bool tls_memory_trim(void)
{
    for (unsigned n = 0; slots.n_cold < slots.n_idle && n < TLS_MEMORY_TRIM_MOST; n++, slots.n_cold++)
        (void)madvise(slots.base + (size_t)slots.freed[slots.n_cold] * SLOT, SLOT, MADV_DONTNEED);
    if (slots.n_cold < slots.n_idle)
        return true;
    slots.n_idle = slots.n_freed;
    return false;
}

size_t tls_memory_used(void)
{
    return slots.fresh - slots.n_freed;
}

#endif
