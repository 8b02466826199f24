/* Who a server says it is: a certificate, the chain behind it, its private key, and what its authority last
 * said of it (OCSP). */
#ifndef COMMON_TLS_IDENTITY_H
#define COMMON_TLS_IDENTITY_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct tls_identity {
    X509 *leaf;
    STACK_OF(X509) * chain; /* as it was given; never NULL */
    EVP_PKEY *key;          /* NULL: not given */
};

/* From PEM text: the first certificate is the server's own, the rest its chain. key_pem is the text with the
 * key, which may be cert_pem itself; NULL: to look at the certificate only. ERR_TLS with why: unreadable, or
 * the key belongs to another certificate. The caller frees. */
enum err tls_identity_read(const char *cert_pem, const char *key_pem, struct tls_identity *out, char *why,
                           size_t why_size);
void tls_identity_free(struct tls_identity *id);
/* Certificate, chain and key as one PEM text without anything else, malloc'd (wipe it); NULL when memory is
 * out. */
char *tls_identity_pem(const struct tls_identity *id);
/* Servers with this identity give guests who ask for it a copy of this OCSP response (DER, RFC 6066 §8) until
 * a UNIX time. n = 0: none. Before tls_identity_use. ERR_MEMORY. */
enum err tls_identity_staple(struct tls_identity *id, const uint8_t *response, size_t n, int64_t until);
/* Lets a server's context use it, beside identities with other kinds of keys. ERR_TLS: OpenSSL's queue has
 * the reason. */
enum err tls_identity_use(const struct tls_identity *id, SSL_CTX *ctx);
/* True when a subject alternative name is for host (name or address). */
bool tls_identity_covers(const struct tls_identity *id, const char *host);

#endif
