/*
 * What libssh2 allocates for one session, kept in a list: what it forgets (1.10: the host key of every key
 * exchange but the last) goes when the session goes. And bounded: it keeps packets that nobody asked for as
 * long as the session lives, and the edge's sshd may send as many of them as it likes.
 */
#ifndef CORE_TUNNEL_SSH_MEMORY_H
#define CORE_TUNNEL_SSH_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

/* All blocks together. What is on its way through takes less than 1 MiB; a channel that is being closed may
 * hold its window of 2 MiB. */
#define SSH_MEMORY_MAX (64 * 1024 * 1024)

struct ssh_memory_block {
    LIST_ENTRY(ssh_memory_block) next;
    size_t size; /* with this head */
    _Alignas(max_align_t) char bytes[];
};
/* Starts zeroed. */
struct ssh_memory {
    LIST_HEAD(, ssh_memory_block) blocks;
    size_t total;
    bool overrun; /* a block was refused for the limit's sake */
};

/* NULL: memory is out, or SSH_MEMORY_MAX reached. */
void *ssh_memory_alloc(struct ssh_memory *m, size_t n);
void *ssh_memory_realloc(struct ssh_memory *m, void *p, size_t n);
/* NULL is fine. */
void ssh_memory_free(struct ssh_memory *m, void *p);
void ssh_memory_free_all(struct ssh_memory *m);

#endif
