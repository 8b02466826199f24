#include "common/seal.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SALT = 16, NONCE = 12, TAG = 16, KEY = 32, TEXT_MAX = 64 * 1024 * 1024 };

static const char magic[] = "stile-seal-1:";

/* What scrypt costs: 2^15 × 8 × 128 bytes of memory. */
static bool derive(const char *passphrase, const uint8_t salt[SALT], uint8_t key[KEY])
{
    uint64_t n = 1 << 15;
    uint32_t r = 8, p = 1;
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *)(uintptr_t)passphrase,
                                          strlen(passphrase)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, SALT),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
        OSSL_PARAM_construct_end()};
    bool done = ctx && EVP_KDF_derive(ctx, key, KEY, params) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return done;
}

static char *put_hex(char *at, const uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        *at++ = "0123456789abcdef"[data[i] >> 4];
        *at++ = "0123456789abcdef"[data[i] & 15];
    }
    return at;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* n bytes of digits and what ends them; NULL when there is something else. */
static const char *get_hex(const char *at, uint8_t *out, size_t n, char end)
{
    for (size_t i = 0; i < n; i++, at += 2) {
        int high = hex_digit(at[0]), low = high < 0 ? -1 : hex_digit(at[1]);
        if (low < 0)
            return NULL;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return *at == end ? at + 1 : NULL;
}

/* One direction of AES-256-GCM; tag is written when encrypting, else compared. */
static bool crypt_with(bool encrypt, const char *passphrase, const uint8_t salt[SALT],
                       const uint8_t nonce[NONCE], const char *bound, const uint8_t *in, size_t n,
                       uint8_t *out, uint8_t tag[TAG])
{
    uint8_t key[KEY];
    int used;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    bool done = c && derive(passphrase, salt, key) &&
                EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce, encrypt) == 1 &&
                EVP_CipherUpdate(c, NULL, &used, (const uint8_t *)bound, (int)strlen(bound)) == 1 &&
                EVP_CipherUpdate(c, out, &used, in, (int)n) == 1;
    if (done && !encrypt)
        done = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1;
    done = done && EVP_CipherFinal_ex(c, out + used, &used) == 1;
    if (done && encrypt)
        done = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, tag) == 1;
    EVP_CIPHER_CTX_free(c);
    OPENSSL_cleanse(key, sizeof key);
    return done;
}

enum err seal_make(const char *passphrase, const char *bound, const char *text, char **out)
{
    uint8_t salt[SALT], nonce[NONCE], tag[TAG];
    size_t n = strlen(text);
    if (n > TEXT_MAX)
        return ERR_TOO_LONG;
    uint8_t *secret = malloc(n + 1);
    char *line = malloc(sizeof magic + 2 * (SALT + NONCE + TAG + n) + 4), *at = line;
    enum err e = secret && line ? ERR_OK : ERR_MEMORY;
    if (e == ERR_OK &&
        (RAND_bytes(salt, SALT) != 1 || RAND_bytes(nonce, NONCE) != 1 ||
         !crypt_with(true, passphrase, salt, nonce, bound, (const uint8_t *)text, n, secret, tag)))
        e = ERR_SYSTEM;
    if (e == ERR_OK) {
        at = (char *)memcpy(at, magic, sizeof magic - 1) + sizeof magic - 1;
        at = put_hex(at, salt, SALT);
        *at++ = ':';
        at = put_hex(at, nonce, NONCE);
        *at++ = ':';
        at = put_hex(at, tag, TAG);
        *at++ = ':';
        *put_hex(at, secret, n) = '\0';
        *out = line;
        line = NULL;
    }
    free(secret);
    free(line);
    return e;
}

enum err seal_open(const char *passphrase, const char *bound, const char *sealed, char **out)
{
    uint8_t salt[SALT], nonce[NONCE], tag[TAG], *secret = NULL;
    char *text = NULL;
    enum err e = ERR_MALFORMED;
    const char *at = strncmp(sealed, magic, sizeof magic - 1) == 0 ? sealed + sizeof magic - 1 : NULL;
    at = at ? get_hex(at, salt, SALT, ':') : NULL;
    at = at ? get_hex(at, nonce, NONCE, ':') : NULL;
    at = at ? get_hex(at, tag, TAG, ':') : NULL;
    size_t n = at ? strlen(at) / 2 : 0;
    if (!at || n > TEXT_MAX)
        return ERR_MALFORMED;
    secret = malloc(n + 1);
    text = calloc(1, n + 1);
    if (!secret || !text)
        e = ERR_MEMORY;
    else if (get_hex(at, secret, n, '\0'))
        e = crypt_with(false, passphrase, salt, nonce, bound, secret, n, (uint8_t *)text, tag)
                ? ERR_OK
                : ERR_UNAUTHORIZED;
    if (e == ERR_OK) {
        *out = text;
        text = NULL;
    }
    if (text)
        OPENSSL_cleanse(text, n);
    free(text);
    free(secret);
    return e;
}
