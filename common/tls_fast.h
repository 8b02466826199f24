/*
 * Larger read buffers for TLS connections that bring much: one system call then brings four full records
 * instead of one. A buffer lives as long as a part of a record lies in it, and that is up to the peer; so
 * only TLS_FAST_MOST connections of the process have such buffers at once (4.3 MB of them), however many
 * there are. When all are taken the others read as usual, a record at a time (17 KB).
 *
 * For processes with one thread.
 */
#ifndef COMMON_TLS_FAST_H
#define COMMON_TLS_FAST_H

#include <openssl/ssl.h>
#include <stdbool.h>

enum { TLS_FAST_MOST = 64 };

/* Part of a connection; all zero at first. */
struct tls_fast {
    SSL *ssl;
    struct tls_fast **place; /* NULL: reads as usual */
    bool idle;               /* OpenSSL has no read buffer now: kept up to date by the owner */
};

/* The connection's next buffer is large, if there is a place: a free one, or that of one that is idle, which
 * reads as usual from then on. Fine when it is so already. */
void tls_fast_begin(struct tls_fast *f, SSL *ssl);
/* Reads as usual from its next buffer on. To be called when OpenSSL has no read buffer, or before SSL_free.
 */
void tls_fast_end(struct tls_fast *f);

#endif
