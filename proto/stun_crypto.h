/*
 * The HMACs and digests that STUN needs. OpenSSL's contexts are made at the first use and kept for the life
 * of the process: looking an algorithm up takes longer than using it. One thread only.
 */
#ifndef PROTO_STUN_CRYPTO_H
#define PROTO_STUN_CRYPTO_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/err.h"

/*    name    as OpenSSL calls it  bytes */
#define STUN_DIGEST_TABLE(X)                                                                                 \
    X(MD5, "MD5", 16)                                                                                        \
    X(SHA1, "SHA1", 20)                                                                                      \
    X(SHA256, "SHA256", 32)

enum stun_digest {
#define X(name, words, size) STUN_DIGEST_##name,
    STUN_DIGEST_TABLE(X)
#undef X
        STUN_DIGESTS
};

enum {
#define X(name, words, size) STUN_##name##_SIZE = size,
    STUN_DIGEST_TABLE(X)
#undef X
};

/* Input in pieces; nothing is copied. */
struct stun_bytes {
    const void *at;
    size_t len;
};

static inline struct stun_bytes stun_bytes_of(const char *text)
{
    return (struct stun_bytes){text, strlen(text)};
}

/* Writes as many bytes as the digest has. Aborts where the library has no such HMAC (SHA-1 and SHA-256 are
 * everywhere). */
void stun_hmac(enum stun_digest d, struct stun_bytes key, const struct stun_bytes *parts, size_t n,
               uint8_t *out);
/* ERR_SYSTEM where the library has no such digest (MD5 under FIPS). */
enum err stun_digest(enum stun_digest d, const struct stun_bytes *parts, size_t n, uint8_t *out);

#endif
