/*
 * What a peer may say in TLS itself, beside the bytes that it carries: updates of keys (RFC 8446 §4.6.3),
 * attempts to renegotiate. Each costs us far more than the 27 bytes that it costs the peer, and OpenSSL reads
 * on until there is something for us or the socket is empty: one guest would keep a whole process busy. So a
 * peer has a few for nothing, and further ones for the bytes that both sides carry.
 *
 * Also whether it said that it ends (close_notify): a socket that ends without it is nothing that OpenSSL
 * answers, with an alert for which nobody is there: thousands may leave at once.
 */
#ifndef COMMON_TLS_GUARD_H
#define COMMON_TLS_GUARD_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    TLS_GUARD_MESSAGES = 64,       /* of a handshake's kind, those of the handshake itself among them */
    TLS_GUARD_EARNS = 1024 * 1024, /* one more for so many bytes of records */
};

struct tls_guard {
    uint64_t messages, bytes;
    bool ended;  /* it has said close_notify (RFC 8446 §6.1) */
    bool broken; /* the peer said too much: nothing is read or written any more, SSL_read fails */
};

/* ssl has its socket (SSL_set_fd). guard, all zeros, must live until SSL_free is done. */
void tls_guard_watch(SSL *ssl, struct tls_guard *guard);

#endif
