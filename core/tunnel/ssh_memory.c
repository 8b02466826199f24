#include "core/tunnel/ssh_memory.h"

#include <stdlib.h>

static struct ssh_memory_block *block_of(void *p)
{
    return (struct ssh_memory_block *)(void *)((char *)p - offsetof(struct ssh_memory_block, bytes));
}

/* False when n bytes and their head, in place of `before`, would be too much. */
static bool memory_allows(struct ssh_memory *m, size_t n, size_t before)
{
    if (n <= SSH_MEMORY_MAX && m->total - before + n + sizeof(struct ssh_memory_block) <= SSH_MEMORY_MAX)
        return true;
    m->overrun = true;
    return false;
}

static void *block_insert(struct ssh_memory *m, struct ssh_memory_block *b, size_t size)
{
    b->size = size;
    m->total += size;
    LIST_INSERT_HEAD(&m->blocks, b, next);
    return b->bytes;
}

static void block_remove(struct ssh_memory *m, struct ssh_memory_block *b)
{
    LIST_REMOVE(b, next);
    m->total -= b->size;
}

void *ssh_memory_alloc(struct ssh_memory *m, size_t n)
{
    struct ssh_memory_block *b = memory_allows(m, n, 0) ? malloc(sizeof *b + n) : NULL;
    return b ? block_insert(m, b, sizeof *b + n) : NULL;
}

void *ssh_memory_realloc(struct ssh_memory *m, void *p, size_t n)
{
    if (!p)
        return ssh_memory_alloc(m, n);
    struct ssh_memory_block *old = block_of(p);
    size_t before = old->size;
    if (!memory_allows(m, n, before))
        return NULL;
    block_remove(m, old);
    struct ssh_memory_block *b = realloc(old, sizeof *b + n);
    if (b)
        return block_insert(m, b, sizeof *b + n);
    block_insert(m, block_of(p), before);
    return NULL;
}

void ssh_memory_free(struct ssh_memory *m, void *p)
{
    if (!p)
        return;
    block_remove(m, block_of(p));
    free(block_of(p));
}

void ssh_memory_free_all(struct ssh_memory *m)
{
    while (!LIST_EMPTY(&m->blocks))
        ssh_memory_free(m, LIST_FIRST(&m->blocks)->bytes);
}
