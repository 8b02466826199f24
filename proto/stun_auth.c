#include "proto/stun_auth.h"

#include <openssl/crypto.h>
#include <string.h>

#include "common/fatal.h"
#include "proto/stun_crypto.h"

enum { ATTR_HEADER = 4 };

/* Long-term keys ---------------------------------------------------------------------------------------- */

const char *stun_algorithm_words(unsigned number)
{
    switch (number) {
#define X(name, number, size, words)                                                                         \
    case number:                                                                                             \
        return words;
        STUN_ALGORITHM_TABLE(X)
#undef X
    default:
        return NULL;
    }
}

enum err stun_long_term_key_of(enum stun_algorithm a, const void *name, size_t n, const char *realm,
                               const char *password, struct stun_key *out)
{
    struct stun_bytes colon = stun_bytes_of(":");
    struct stun_bytes parts[] = {{name, n}, colon, stun_bytes_of(realm), colon, stun_bytes_of(password)};
    bool md5 = a == STUN_ALGORITHM_MD5;
    struct stun_key key = {.len = md5 ? STUN_KEY_MD5 : STUN_KEY_SHA256};
    enum err e = stun_digest(md5 ? STUN_DIGEST_MD5 : STUN_DIGEST_SHA256, parts, sizeof parts / sizeof *parts,
                             key.bytes);
    if (e == ERR_OK)
        *out = key;
    OPENSSL_cleanse(&key, sizeof key);
    return e;
}

enum err stun_long_term_key(enum stun_algorithm a, const char *name, const char *realm, const char *password,
                            struct stun_key *out)
{
    return stun_long_term_key_of(a, name, strlen(name), realm, password, out);
}

void stun_userhash(const char *name, const char *realm, uint8_t out[STUN_USERHASH_SIZE])
{
    struct stun_bytes parts[] = {stun_bytes_of(name), stun_bytes_of(":"), stun_bytes_of(realm)};
    if (stun_digest(STUN_DIGEST_SHA256, parts, sizeof parts / sizeof *parts, out) != ERR_OK)
        fatal("OpenSSL has no SHA-256");
}

/* MESSAGE-INTEGRITY ------------------------------------------------------------------------------------- */

/* The HMAC covers the message up to the attribute, with the header's length counting up to the attribute's
 * end: value bytes behind its header. RFC 8489 §14.5, §14.6. */
static void stun_integrity(enum stun_digest d, const uint8_t *data, size_t attr_at, size_t value,
                           struct stun_bytes key, uint8_t *out)
{
    size_t len = attr_at + ATTR_HEADER + value - STUN_HEADER;
    uint8_t head[4] = {data[0], data[1], (uint8_t)(len >> 8), (uint8_t)len};
    struct stun_bytes parts[] = {{head, sizeof head}, {data + sizeof head, attr_at - sizeof head}};
    stun_hmac(d, key, parts, 2, out);
}

bool stun_check_integrity(const struct stun_msg *m, const uint8_t *key, size_t key_len)
{
    uint8_t expected[STUN_SHA1_SIZE];
    struct stun_value v = stun_get(m, STUN_MESSAGE_INTEGRITY);
    if (!v.at)
        return false;
    stun_integrity(STUN_DIGEST_SHA1, m->data, (size_t)(v.at - m->data) - ATTR_HEADER, v.len,
                   (struct stun_bytes){key, key_len}, expected);
    return CRYPTO_memcmp(expected, v.at, sizeof expected) == 0;
}

bool stun_check_integrity_sha256(const struct stun_msg *m, const uint8_t *key, size_t key_len, size_t least)
{
    uint8_t expected[STUN_SHA256_SIZE];
    struct stun_value v = stun_get(m, STUN_MESSAGE_INTEGRITY_SHA256);
    if (!v.at)
        return false;
    stun_integrity(STUN_DIGEST_SHA256, m->data, (size_t)(v.at - m->data) - ATTR_HEADER, v.len,
                   (struct stun_bytes){key, key_len}, expected);
    bool right = CRYPTO_memcmp(expected, v.at, v.len) == 0;
    return right && v.len >= least && v.len % 4 == 0;
}

void stun_put_integrity(struct stun_writer *w, const uint8_t *key, size_t key_len)
{
    uint8_t mac[STUN_SHA1_SIZE];
    if (w->wire.err != ERR_OK)
        return;
    stun_integrity(STUN_DIGEST_SHA1, w->wire.start, wire_written(&w->wire), sizeof mac,
                   (struct stun_bytes){key, key_len}, mac);
    stun_put(w, STUN_MESSAGE_INTEGRITY, mac, sizeof mac);
}

void stun_put_integrity_sha256(struct stun_writer *w, const uint8_t *key, size_t key_len)
{
    uint8_t mac[STUN_SHA256_SIZE];
    if (w->wire.err != ERR_OK)
        return;
    stun_integrity(STUN_DIGEST_SHA256, w->wire.start, wire_written(&w->wire), sizeof mac,
                   (struct stun_bytes){key, key_len}, mac);
    stun_put(w, STUN_MESSAGE_INTEGRITY_SHA256, mac, sizeof mac);
}

/* FINGERPRINT ------------------------------------------------------------------------------------------- */

static uint32_t crc32_add(uint32_t crc, const uint8_t *data, size_t n)
{
    static uint32_t table[256];
    if (!table[1])
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int bit = 0; bit < 8; bit++)
                c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
            table[i] = c;
        }
    for (size_t i = 0; i < n; i++)
        crc = table[(crc ^ data[i]) & 0xff] ^ crc >> 8;
    return crc;
}

/* Like the integrity: up to the attribute, length up to its end. RFC 8489 §14.7. */
static uint32_t stun_fingerprint(const uint8_t *data, size_t attr_at)
{
    size_t len = attr_at + ATTR_HEADER + 4 - STUN_HEADER;
    uint8_t head[4] = {data[0], data[1], (uint8_t)(len >> 8), (uint8_t)len};
    uint32_t crc = crc32_add(UINT32_MAX, head, sizeof head);
    return ~crc32_add(crc, data + sizeof head, attr_at - sizeof head) ^ 0x5354554e;
}

bool stun_check_fingerprint(const struct stun_msg *m)
{
    uint32_t got;
    if (stun_get_u32(m, STUN_FINGERPRINT, &got) != ERR_OK)
        return true;
    return got == stun_fingerprint(m->data, m->values[STUN_FINGERPRINT].at - (size_t)ATTR_HEADER);
}

void stun_put_fingerprint(struct stun_writer *w)
{
    if (w->wire.err == ERR_OK)
        stun_put_u32(w, STUN_FINGERPRINT, stun_fingerprint(w->wire.start, wire_written(&w->wire)));
}
