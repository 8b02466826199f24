/* How a backup is encrypted: a key by scrypt from passphrase and salt, then chunks with AES-256-GCM. A
 * chunk's nonce is its number and whether it is the last, so that none can be left out, moved or cut off; the
 * key is the file's own, so numbers from 0 do not repeat. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/backup.h"
#include "common/wire.h"

enum {
    HEAD = 28, /* magic, cost, three zeros, salt */
    SALT = 16,
    KEY = 32,
    NONCE = 12,
    TAG = 16,
    CHUNK = 64 * 1024,
    COST = 17, /* scrypt N = 2^17, 128 MiB */
    COST_LEAST = 14,
    COST_MOST = 20, /* a file may not ask for more than 1 GiB */
    SCRYPT_R = 8
};

static const uint8_t magic[8] = {'S', 'T', 'I', 'L', 'E', 'B', 'K', '1'};

static enum err key_derive(const char *passphrase, const uint8_t salt[SALT], unsigned cost, uint8_t key[KEY])
{
    uint64_t n = UINT64_C(1) << cost, most = (n + 64) * 128 * SCRYPT_R;
    uint32_t r = SCRYPT_R, p = 1;
    OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *)(uintptr_t)passphrase, strlen(passphrase)),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, SALT),
        OSSL_PARAM_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
        OSSL_PARAM_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
        OSSL_PARAM_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
        OSSL_PARAM_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &most),
        OSSL_PARAM_END,
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    bool good = ctx && EVP_KDF_derive(ctx, key, KEY, params) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return good ? ERR_OK : ERR_SYSTEM;
}

static void chunk_nonce(uint64_t number, bool last, uint8_t nonce[NONCE])
{
    struct wire_writer w = wire_writer(nonce, NONCE);
    wire_put_zeros(&w, 3);
    wire_put_u64(&w, number);
    wire_put_u8(&w, last);
}

/* One chunk; the head is authenticated with each. */
static bool chunk_crypt(EVP_CIPHER_CTX *ctx, bool encrypt, const uint8_t *head, const uint8_t nonce[NONCE],
                        const uint8_t *in, size_t n, uint8_t *out, uint8_t tag[TAG])
{
    int got;
    return EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, encrypt) == 1 &&
           EVP_CipherUpdate(ctx, NULL, &got, head, HEAD) == 1 &&
           (n == 0 || EVP_CipherUpdate(ctx, out, &got, in, (int)n) == 1) &&
           (encrypt || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1) &&
           EVP_CipherFinal_ex(ctx, out + n, &got) == 1 &&
           (!encrypt || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG, tag) == 1);
}

static EVP_CIPHER_CTX *cipher_new(const uint8_t key[KEY], bool encrypt)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (ctx && EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, NULL, encrypt) == 1)
        return ctx;
    EVP_CIPHER_CTX_free(ctx);
    return NULL;
}

size_t backup_sealed_size(size_t n)
{
    return HEAD + n + (n / CHUNK + 1) * TAG;
}

/* Sealing --------------------------------------------------------------------------------------------------
 */

static enum err seal_head(uint8_t head[HEAD])
{
    struct wire_writer w = wire_writer(head, HEAD);
    uint8_t salt[SALT];
    if (RAND_bytes(salt, SALT) != 1)
        return ERR_SYSTEM;
    wire_put_bytes(&w, magic, sizeof magic);
    wire_put_u8(&w, COST);
    wire_put_zeros(&w, 3);
    wire_put_bytes(&w, salt, SALT);
    return ERR_OK;
}

/* Whole chunks, then a last one that is shorter, and may be empty. */
static enum err seal_chunks(EVP_CIPHER_CTX *ctx, const uint8_t head[HEAD], const uint8_t *text, size_t n,
                            struct buf *sealed)
{
    uint8_t nonce[NONCE], *out;
    for (uint64_t i = 0; i <= n / CHUNK; i++) {
        bool last = i == n / CHUNK;
        size_t size = last ? n % CHUNK : CHUNK;
        enum err e = buf_reserve(sealed, size + TAG, &out);
        chunk_nonce(i, last, nonce);
        if (e != ERR_OK)
            return e;
        if (!chunk_crypt(ctx, true, head, nonce, text + i * CHUNK, size, out, out + size))
            return ERR_SYSTEM;
        buf_commit(sealed, size + TAG);
    }
    return ERR_OK;
}

enum err backup_seal(const uint8_t *text, size_t n, const char *passphrase, struct buf *sealed)
{
    uint8_t head[HEAD], key[KEY];
    EVP_CIPHER_CTX *ctx = NULL;
    enum err e = seal_head(head);
    if (e == ERR_OK)
        e = key_derive(passphrase, head + HEAD - SALT, COST, key);
    if (e == ERR_OK && !(ctx = cipher_new(key, true)))
        e = ERR_MEMORY;
    if (e == ERR_OK)
        e = buf_append(sealed, head, HEAD);
    if (e == ERR_OK)
        e = seal_chunks(ctx, head, text, n, sealed);
    EVP_CIPHER_CTX_free(ctx);
    OPENSSL_cleanse(key, sizeof key);
    return e;
}

/* Unsealing ------------------------------------------------------------------------------------------------
 */

static enum err unseal_head(const uint8_t *sealed, size_t n, unsigned *cost, char *why)
{
    static const uint8_t zeros[3];
    if (n < HEAD + TAG || memcmp(sealed, magic, sizeof magic - 1) != 0) {
        snprintf(why, BACKUP_WHY, "this is no backup of Stile, or only the beginning of one");
        return ERR_MALFORMED;
    }
    *cost = sealed[sizeof magic];
    if (sealed[sizeof magic - 1] == magic[sizeof magic - 1] && *cost >= COST_LEAST && *cost <= COST_MOST &&
        memcmp(sealed + sizeof magic + 1, zeros, sizeof zeros) == 0)
        return ERR_OK;
    snprintf(why, BACKUP_WHY, "a backup of another version of Stile; restore it with that one");
    return ERR_UNSUPPORTED;
}

static enum err unseal_chunks(EVP_CIPHER_CTX *ctx, const uint8_t *sealed, size_t n, struct buf *text,
                              char *why)
{
    uint8_t nonce[NONCE], tag[TAG], *out;
    const uint8_t *at = sealed + HEAD, *end = sealed + n;
    for (uint64_t i = 0; at < end; i++) {
        size_t left = (size_t)(end - at), whole = left < CHUNK + TAG ? left : CHUNK + TAG;
        bool last = whole == left;
        enum err e = whole < TAG ? ERR_TRUNCATED : buf_reserve(text, whole - TAG + 1, &out);
        chunk_nonce(i, last, nonce);
        if (e == ERR_OK) {
            memcpy(tag, at + whole - TAG, TAG);
            if (!chunk_crypt(ctx, false, sealed, nonce, at, whole - TAG, out, tag))
                e = ERR_UNAUTHORIZED;
        }
        if (e != ERR_OK) {
            snprintf(why, BACKUP_WHY, "%s",
                     i == 0          ? "the passphrase is wrong, or the file is damaged"
                     : e == ERR_FULL ? "larger than any backup of Stile"
                                     : "the file is damaged, or its end is missing");
            return e == ERR_TRUNCATED ? ERR_MALFORMED : e;
        }
        buf_commit(text, whole - TAG);
        at += whole;
    }
    return ERR_OK;
}

enum err backup_unseal(const uint8_t *sealed, size_t n, const char *passphrase, struct buf *text, char *why)
{
    uint8_t key[KEY];
    unsigned cost;
    EVP_CIPHER_CTX *ctx = NULL;
    enum err e = unseal_head(sealed, n, &cost, why);
    if (e != ERR_OK)
        return e;
    snprintf(why, BACKUP_WHY, "out of memory: the passphrase's key takes %u MiB", 1u << (cost - 10));
    e = key_derive(passphrase, sealed + HEAD - SALT, cost, key);
    if (e == ERR_OK && !(ctx = cipher_new(key, false)))
        e = ERR_MEMORY;
    if (e == ERR_OK)
        e = unseal_chunks(ctx, sealed, n, text, why);
    if (e != ERR_OK)
        buf_wipe(text);
    EVP_CIPHER_CTX_free(ctx);
    OPENSSL_cleanse(key, sizeof key);
    return e;
}
