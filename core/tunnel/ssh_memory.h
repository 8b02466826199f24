/*
 * What libssh2 allocates for one session, kept in a list: what it forgets (1.10: the host key of every key
 * exchange but the last) goes when the session goes.
 */
#ifndef CORE_TUNNEL_SSH_MEMORY_H
#define CORE_TUNNEL_SSH_MEMORY_H

#include <stddef.h>
#include <sys/queue.h>

struct ssh_memory_block {
    LIST_ENTRY(ssh_memory_block) next;
    _Alignas(max_align_t) char bytes[];
};
LIST_HEAD(ssh_memory, ssh_memory_block);

void *ssh_memory_alloc(struct ssh_memory *m, size_t n);
void *ssh_memory_realloc(struct ssh_memory *m, void *p, size_t n);
/* NULL is fine. */
void ssh_memory_free(struct ssh_memory *m, void *p);
void ssh_memory_free_all(struct ssh_memory *m);

#endif
