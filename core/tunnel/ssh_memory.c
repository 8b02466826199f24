#include "core/tunnel/ssh_memory.h"

#include <stdlib.h>

static struct ssh_memory_block *block_of(void *p)
{
    return (struct ssh_memory_block *)(void *)((char *)p - offsetof(struct ssh_memory_block, bytes));
}

void *ssh_memory_alloc(struct ssh_memory *m, size_t n)
{
    struct ssh_memory_block *b = malloc(sizeof *b + n);
    if (!b)
        return NULL;
    LIST_INSERT_HEAD(m, b, next);
    return b->bytes;
}

void *ssh_memory_realloc(struct ssh_memory *m, void *p, size_t n)
{
    if (!p)
        return ssh_memory_alloc(m, n);
    struct ssh_memory_block *old = block_of(p);
    LIST_REMOVE(old, next);
    struct ssh_memory_block *b = realloc(old, sizeof *b + n);
    if (b)
        LIST_INSERT_HEAD(m, b, next);
    else
        LIST_INSERT_HEAD(m, block_of(p), next);
    return b ? b->bytes : NULL;
}

void ssh_memory_free(struct ssh_memory *m, void *p)
{
    (void)m;
    if (!p)
        return;
    LIST_REMOVE(block_of(p), next);
    free(block_of(p));
}

void ssh_memory_free_all(struct ssh_memory *m)
{
    while (!LIST_EMPTY(m))
        ssh_memory_free(m, LIST_FIRST(m)->bytes);
}
