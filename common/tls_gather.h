/*
 * What OpenSSL writes, caught in memory for the time of a few calls: records then leave in one system call,
 * and none can overtake those that wait for the socket already. One connection at a time in the process.
 */
#ifndef COMMON_TLS_GATHER_H
#define COMMON_TLS_GATHER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TLS_RECORD_MAX = 16 * 1024,                   /* what a record carries (RFC 8446 §5.1), and */
    TLS_RECORD_SEALED = TLS_RECORD_MAX + 256 + 5, /* its bytes on the wire at most */
    TLS_GATHER_MAX = 8 * TLS_RECORD_SEALED,
};

/* From here on ssl writes into memory. False without memory for it; nothing has changed then. */
bool tls_gather_begin(SSL *ssl);
/* True while another record has room. */
bool tls_gather_has_room(void);
/* ssl writes where it reads from again. The n bytes that it wrote are borrowed until the next begin. */
const uint8_t *tls_gather_end(SSL *ssl, size_t *n);

#endif
