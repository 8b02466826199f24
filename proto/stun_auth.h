/*
 * Who sent a STUN message: MESSAGE-INTEGRITY, FINGERPRINT, long-term keys and stateless nonces
 * (RFC 8489 §9.2, §14.5–14.7). Comparisons take the same time wherever the values differ.
 *
 * The HMAC contexts are made at the first use and kept for the life of the process; one thread only.
 */
#ifndef PROTO_STUN_AUTH_H
#define PROTO_STUN_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/netaddr.h"
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
    STUN_ALGORITHMS = 2,  /* rows of the table */
    STUN_NONCE_TEXT = 16, /* characters of a nonce, without a NUL */
    STUN_NONCE_KEY = 32,
};

/* What MESSAGE-INTEGRITY is computed with: bytes[0..len). */
struct stun_key {
    uint8_t bytes[STUN_KEY_MAX];
    uint8_t len;
};

/* "sha256"; NULL for a number without a row. */
const char *stun_algorithm_words(unsigned number);

/* The digest of name:realm:password, RFC 8489 §18.5.1. ERR_SYSTEM where the library has no MD5 (FIPS). */
enum err stun_long_term_key(enum stun_algorithm a, const char *name, const char *realm, const char *password,
                            struct stun_key *out);

/* True when the message has MESSAGE-INTEGRITY and it is right. */
bool stun_check_integrity(const struct stun_msg *m, const uint8_t *key, size_t key_len);
/* True when FINGERPRINT is absent or right. */
bool stun_check_fingerprint(const struct stun_msg *m);

/* Append to what has been written so far; nothing but FINGERPRINT may follow MESSAGE-INTEGRITY. */
void stun_put_integrity(struct stun_writer *w, const uint8_t *key, size_t key_len);
void stun_put_fingerprint(struct stun_writer *w);

/* A nonce is the second it was made in and an HMAC over that and the client's IP address: the server keeps
 * nothing, every server with the same key accepts it, and it is no use to another address. now: seconds of
 * the wall clock (servers share it). No NUL is written. */
void stun_nonce_make(const uint8_t key[STUN_NONCE_KEY], uint32_t now, const struct netaddr *client,
                     char nonce[STUN_NONCE_TEXT]);
/* ERR_OK; ERR_TIMEOUT: made here, but older than lifetime seconds (or too far in the future); ERR_REFUSED:
 * not made here. */
enum err stun_nonce_check(const uint8_t key[STUN_NONCE_KEY], uint32_t now, uint32_t lifetime,
                          const struct netaddr *client, struct stun_value nonce);

#endif
