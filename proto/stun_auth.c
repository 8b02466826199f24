#include "proto/stun_auth.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "common/fatal.h"

enum { HMAC_SHA1_SIZE = 20, HMAC_SHA256_SIZE = 32, ATTR_HEADER = 4 };

/* HMAC -----------------------------------------------------------------------------------------------------
 */

enum hmac_digest { HMAC_SHA1, HMAC_SHA256, HMAC_DIGESTS };

struct bytes {
    const void *at;
    size_t len;
};

/* Looking an algorithm up takes OpenSSL 3 longer than using it. */
static EVP_MAC_CTX *hmac_context(enum hmac_digest digest)
{
    static const char *const names[HMAC_DIGESTS] = {"SHA1", "SHA256"};
    static EVP_MAC_CTX *contexts[HMAC_DIGESTS];
    if (contexts[digest])
        return contexts[digest];
    char name[8];
    strcpy(name, names[digest]);
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                           OSSL_PARAM_construct_end()};
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    if (!context || !EVP_MAC_CTX_set_params(context, params))
        fatal("OpenSSL has no HMAC-%s", names[digest]);
    EVP_MAC_free(hmac);
    contexts[digest] = context;
    return context;
}

static void hmac(enum hmac_digest digest, struct bytes key, const struct bytes *parts, size_t n, uint8_t *out,
                 size_t out_size)
{
    EVP_MAC_CTX *c = hmac_context(digest);
    size_t len;
    int ok = EVP_MAC_init(c, key.at, key.len, NULL);
    for (size_t i = 0; i < n; i++)
        ok = ok && EVP_MAC_update(c, parts[i].at, parts[i].len);
    if (!ok || !EVP_MAC_final(c, out, &len, out_size) || len != out_size)
        fatal("HMAC failed");
}

/* Long-term keys -------------------------------------------------------------------------------------------
 */

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

/* As with HMAC, looking it up takes longer than using it. NULL where the library has it not. */
static const EVP_MD *digest_algorithm(enum stun_algorithm a)
{
    static EVP_MD *md5, *sha256;
    if (a == STUN_ALGORITHM_MD5)
        return md5 ? md5 : (md5 = EVP_MD_fetch(NULL, "MD5", NULL));
    return sha256 ? sha256 : (sha256 = EVP_MD_fetch(NULL, "SHA256", NULL));
}

static EVP_MD_CTX *digest_context(void)
{
    static EVP_MD_CTX *context;
    if (!context)
        context = EVP_MD_CTX_new();
    return context;
}

/* ERR_SYSTEM when the library cannot. */
static enum err digest(enum stun_algorithm a, const struct bytes *parts, size_t n, uint8_t *out,
                       unsigned size)
{
    const EVP_MD *md = digest_algorithm(a);
    EVP_MD_CTX *c = digest_context();
    unsigned len = 0;
    if (!c)
        return ERR_MEMORY;
    int ok = md && EVP_DigestInit_ex(c, md, NULL);
    for (size_t i = 0; i < n; i++)
        ok = ok && EVP_DigestUpdate(c, parts[i].at, parts[i].len);
    return ok && EVP_DigestFinal_ex(c, out, &len) && len == size ? ERR_OK : ERR_SYSTEM;
}

static struct bytes text_bytes(const char *text)
{
    return (struct bytes){text, strlen(text)};
}

enum err stun_long_term_key(enum stun_algorithm a, const char *name, const char *realm, const char *password,
                            struct stun_key *out)
{
    struct bytes colon = text_bytes(":");
    struct bytes parts[] = {text_bytes(name), colon, text_bytes(realm), colon, text_bytes(password)};
    struct stun_key key = {.len = a == STUN_ALGORITHM_MD5 ? STUN_KEY_MD5 : STUN_KEY_SHA256};
    enum err e = digest(a, parts, sizeof parts / sizeof *parts, key.bytes, key.len);
    if (e == ERR_OK)
        *out = key;
    OPENSSL_cleanse(&key, sizeof key);
    return e;
}

/* MESSAGE-INTEGRITY ----------------------------------------------------------------------------------------
 */

/* The HMAC covers the message up to the attribute, with the header's length counting up to the attribute's
 * end. */
static void stun_integrity(const uint8_t *data, size_t attr_at, const uint8_t *key, size_t key_len,
                           uint8_t out[HMAC_SHA1_SIZE])
{
    size_t len = attr_at + ATTR_HEADER + HMAC_SHA1_SIZE - STUN_HEADER;
    uint8_t head[4] = {data[0], data[1], (uint8_t)(len >> 8), (uint8_t)len};
    struct bytes parts[] = {{head, sizeof head}, {data + sizeof head, attr_at - sizeof head}};
    hmac(HMAC_SHA1, (struct bytes){key, key_len}, parts, 2, out, HMAC_SHA1_SIZE);
}

bool stun_check_integrity(const struct stun_msg *m, const uint8_t *key, size_t key_len)
{
    uint8_t expected[HMAC_SHA1_SIZE];
    struct stun_value v = stun_get(m, STUN_MESSAGE_INTEGRITY);
    if (!v.at)
        return false;
    stun_integrity(m->data, (size_t)(v.at - m->data) - ATTR_HEADER, key, key_len, expected);
    return CRYPTO_memcmp(expected, v.at, sizeof expected) == 0;
}

void stun_put_integrity(struct stun_writer *w, const uint8_t *key, size_t key_len)
{
    uint8_t mac[HMAC_SHA1_SIZE];
    if (w->wire.err != ERR_OK)
        return;
    stun_integrity(w->wire.start, wire_written(&w->wire), key, key_len, mac);
    stun_put(w, STUN_MESSAGE_INTEGRITY, mac, sizeof mac);
}

/* FINGERPRINT ----------------------------------------------------------------------------------------------
 */

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

/* Nonces ---------------------------------------------------------------------------------------------------
 */

enum {
    NONCE_TIME = 4,
    NONCE_MAC = 8,
    NONCE_BYTES = NONCE_TIME + NONCE_MAC,
    NONCE_SKEW = 30, /* seconds that another server's clock may be ahead */
};

/* base64 without padding: the bytes are a multiple of three. Also what quoted-string allows unescaped. */
static const char nonce_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void nonce_bytes(const uint8_t key[STUN_NONCE_KEY], uint32_t time, const struct netaddr *client,
                        uint8_t out[NONCE_BYTES])
{
    uint8_t mac[HMAC_SHA256_SIZE];
    for (int i = 0; i < NONCE_TIME; i++)
        out[i] = (uint8_t)(time >> (24 - 8 * i));
    struct bytes parts[] = {{out, NONCE_TIME}, {&client->family, 1}, {client->ip, sizeof client->ip}};
    hmac(HMAC_SHA256, (struct bytes){key, STUN_NONCE_KEY}, parts, 3, mac, sizeof mac);
    memcpy(out + NONCE_TIME, mac, NONCE_MAC);
}

void stun_nonce_make(const uint8_t key[STUN_NONCE_KEY], uint32_t now, const struct netaddr *client,
                     char nonce[STUN_NONCE_TEXT])
{
    uint8_t bytes[NONCE_BYTES];
    nonce_bytes(key, now, client, bytes);
    for (size_t i = 0; i < NONCE_BYTES; i += 3) {
        uint32_t v = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];
        for (unsigned k = 0; k < 4; k++)
            *nonce++ = nonce_digits[v >> (18 - 6 * k) & 63];
    }
}

static bool nonce_decode(struct stun_value text, uint8_t bytes[NONCE_BYTES])
{
    if (text.len != STUN_NONCE_TEXT)
        return false;
    for (size_t i = 0; i < STUN_NONCE_TEXT; i += 4) {
        uint32_t v = 0;
        for (size_t k = 0; k < 4; k++) {
            const char *digit = memchr(nonce_digits, text.at[i + k], sizeof nonce_digits - 1);
            if (!digit)
                return false;
            v = v << 6 | (uint32_t)(digit - nonce_digits);
        }
        for (size_t k = 0; k < 3; k++)
            *bytes++ = (uint8_t)(v >> (16 - 8 * k));
    }
    return true;
}

enum err stun_nonce_check(const uint8_t key[STUN_NONCE_KEY], uint32_t now, uint32_t lifetime,
                          const struct netaddr *client, struct stun_value nonce)
{
    uint8_t got[NONCE_BYTES], expected[NONCE_BYTES];
    if (!nonce_decode(nonce, got))
        return ERR_REFUSED;
    uint32_t made = (uint32_t)got[0] << 24 | (uint32_t)got[1] << 16 | (uint32_t)got[2] << 8 | got[3];
    nonce_bytes(key, made, client, expected);
    if (CRYPTO_memcmp(got, expected, NONCE_BYTES) != 0)
        return ERR_REFUSED;
    return now - made + NONCE_SKEW <= lifetime + NONCE_SKEW ? ERR_OK : ERR_TIMEOUT;
}
