/*
 * Memory for TLS records. OpenSSL takes a buffer of 17 KB for each record and gives it back; among the small
 * things that a connection keeps, such buffers leave holes in the heap which never close: 12 KB for every
 * idle WebSocket. So they come from slots of their own.
 *
 * For processes with one thread. In builds with AddressSanitizer nothing is changed.
 */
#ifndef COMMON_TLS_MEMORY_H
#define COMMON_TLS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Before anything of OpenSSL is used; false when it is too late, or address space is out: then all stays as
 * it was. */
bool tls_memory_init(void);
/* How many slots one call gives back: each takes the kernel up to 50 us, and requests wait meanwhile. */
enum { TLS_MEMORY_TRIM_MOST = 32 };
/* Gives back the memory of slots that nobody took since the last call that returned false; true: there are
 * more of these, to be called again in a moment. For a timer: after a rush of handshakes the memory goes
 * back, and while one lasts no call is wasted on it. */
bool tls_memory_trim(void);
/* Slots in use now. */
size_t tls_memory_used(void);

#endif
