/*
 * Who sent a STUN message: long-term keys, user hashes, MESSAGE-INTEGRITY and its SHA-256 form, FINGERPRINT
 * (RFC 8489 §9.2, §14.4–14.7). Comparisons take the same time wherever the values differ. Nonces are in
 * stun_nonce.h. One thread only, see stun_crypto.h.
 */
#ifndef PROTO_STUN_AUTH_H
#define PROTO_STUN_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "proto/stun_msg.h"

/* The password algorithms of RFC 8489 §18.5: what a key is the digest of "name:realm:password" by. */
/*    name     number key bytes  as our config calls it */
#define STUN_ALGORITHM_TABLE(X)                                                                              \
    X(MD5, 1, 16, "md5")                                                                                     \
    X(SHA256, 2, 32, "sha256")

enum stun_algorithm {
#define X(name, number, size, words) STUN_ALGORITHM_##name = number,
    STUN_ALGORITHM_TABLE(X)
#undef X
};

enum {
    STUN_KEY_MAX = 32,
    STUN_KEY_MD5 = 16,
    STUN_KEY_SHA256 = 32,
    STUN_ALGORITHMS = 2, /* rows of the table */
    STUN_USERHASH_SIZE = 32,
    STUN_INTEGRITY_SHA256 = 32, /* bytes of MESSAGE-INTEGRITY-SHA256 when nothing is cut off */
};

/* What MESSAGE-INTEGRITY is computed with: bytes[0..len). */
struct stun_key {
    uint8_t bytes[STUN_KEY_MAX];
    uint8_t len;
};

/* "sha256"; NULL for a number without a row. */
const char *stun_algorithm_words(unsigned number);

/* The digest of name:realm:password, RFC 8489 §9.2.2, §18.5.1. ERR_SYSTEM where the library has no MD5
 * (FIPS). */
enum err stun_long_term_key(enum stun_algorithm a, const char *name, const char *realm, const char *password,
                            struct stun_key *out);

/* The same for a name of n bytes, from the wire. */
enum err stun_long_term_key_of(enum stun_algorithm a, const void *name, size_t n, const char *realm,
                               const char *password, struct stun_key *out);

/* SHA-256(name:realm), RFC 8489 §14.4. */
void stun_userhash(const char *name, const char *realm, uint8_t out[STUN_USERHASH_SIZE]);

/* True when the message has MESSAGE-INTEGRITY and it is right. */
bool stun_check_integrity(const struct stun_msg *m, const uint8_t *key, size_t key_len);
/* The same for MESSAGE-INTEGRITY-SHA256, of at least so many bytes: STUN_INTEGRITY_SHA256 for TURN, and for
 * every usage that does not say that it may be cut off (§14.6). */
bool stun_check_integrity_sha256(const struct stun_msg *m, const uint8_t *key, size_t key_len, size_t least);
/* True when FINGERPRINT is absent or right. */
bool stun_check_fingerprint(const struct stun_msg *m);

/* Append to what has been written so far; nothing but FINGERPRINT may follow the SHA-256 form, nothing but
 * these two the other. */
void stun_put_integrity(struct stun_writer *w, const uint8_t *key, size_t key_len);
void stun_put_integrity_sha256(struct stun_writer *w, const uint8_t *key, size_t key_len);
void stun_put_fingerprint(struct stun_writer *w);

#endif
