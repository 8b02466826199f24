/*
 * What a worker may ask the kernel for: an allow-list of system calls (seccomp), made of rights. A worker
 * that asks for anything else is a worker that somebody has taken over, or a mistake of ours: it dies of
 * SIGSYS before the call has done anything, and main learns which call it was.
 */
#ifndef COMMON_SYSCALL_FILTER_H
#define COMMON_SYSCALL_FILTER_H

#include <stddef.h>
#include <sys/types.h>

/* Every worker has memory, time, randomness, a loop, and the descriptors that it was handed. Beyond that: */
enum right {
    RIGHT_ACCEPT = 1 << 0,    /* connections on a socket that it was handed */
    RIGHT_PAIR = 1 << 1,      /* pairs of connected Unix sockets */
    RIGHT_DIAL = 1 << 2,      /* TCP connections to IPv4 and IPv6 addresses */
    RIGHT_DATAGRAM = 1 << 3,  /* UDP sockets */
    RIGHT_BIND = 1 << 4,      /* its sockets at an address and port of its choice, also to listen */
    RIGHT_READ_FILES = 1 << 5 /* opening files to read them; which: common/landlock.h */
};

/* From here on the process is confined to rights (of enum right), for ever. `tell` is a descriptor to which
 * the number of a refused call is written, as an int, before the process dies; -1: nowhere. Aborts where the
 * kernel has no seccomp. */
void syscall_filter_enter(unsigned rights, int tell);
/* The name of a call by its number, "system call 425" where it has none here. */
const char *syscall_name(int number, char *out, size_t size);

#endif
