#include "common/admin/admin_password.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/fatal.h"

enum { LOG2N = 15, R = 8, P = 1, SALT = 16, HASH = 32, MOST_MEMORY = 64 * 1024 * 1024 };

const char *admin_password_check(const char *password)
{
    size_t n = strlen(password);
    for (const char *p = password; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return "a password without control characters";
    return n >= ADMIN_PASSWORD_LEAST && n <= ADMIN_PASSWORD_MOST ? NULL : "a password of 10 to 500 bytes";
}

static bool password_derive(const char *password, const uint8_t *salt, unsigned log2n, unsigned r, unsigned p,
                            uint8_t hash[HASH])
{
    return EVP_PBE_scrypt(password, strlen(password), salt, SALT, 1ULL << log2n, r, p, MOST_MEMORY, hash,
                          HASH) == 1;
}

static void hex_print(const uint8_t *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static bool hex_read(const char *text, uint8_t *out, size_t n)
{
    size_t got = 0;
    return strlen(text) == 2 * n && OPENSSL_hexstr2buf_ex(out, n, &got, text, '\0') == 1 && got == n;
}

enum err admin_password_hash(const char *password, char record[ADMIN_RECORD_MAX])
{
    uint8_t salt[SALT], hash[HASH];
    char salt_text[2 * SALT + 1], hash_text[2 * HASH + 1];
    if (RAND_bytes(salt, sizeof salt) != 1 || !password_derive(password, salt, LOG2N, R, P, hash))
        return ERR_MEMORY;
    hex_print(salt, sizeof salt, salt_text);
    hex_print(hash, sizeof hash, hash_text);
    snprintf(record, ADMIN_RECORD_MAX, "scrypt$%d$%d$%d$%s$%s", LOG2N, R, P, salt_text, hash_text);
    OPENSSL_cleanse(hash, sizeof hash);
    OPENSSL_cleanse(hash_text, sizeof hash_text);
    return ERR_OK;
}

bool admin_password_matches(const char *password, const char *record)
{
    unsigned log2n = LOG2N, r = R, p = P;
    char salt_text[2 * SALT + 1] = "", hash_text[2 * HASH + 1] = "";
    uint8_t salt[SALT] = {0}, wanted[HASH] = {0}, hash[HASH];
    bool real = sscanf(record, "scrypt$%2u$%2u$%2u$%32[0-9a-f]$%64[0-9a-f]", &log2n, &r, &p, salt_text,
                       hash_text) == 5 &&
                log2n >= 10 && log2n <= 20 && r >= 1 && p >= 1 && hex_read(salt_text, salt, sizeof salt) &&
                hex_read(hash_text, wanted, sizeof wanted);
    if (!real)
        log2n = LOG2N, r = R, p = P;
    bool same = password_derive(password, salt, log2n, r, p, hash) && CRYPTO_memcmp(hash, wanted, HASH) == 0;
    OPENSSL_cleanse(hash, sizeof hash);
    return same && real;
}

void admin_password_make(char out[ADMIN_MADE_MAX])
{
    static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789ABC"; /* 34: rejected above 7 * 34 */
    size_t n = 0;
    while (n < 23) {
        uint8_t byte;
        if (n % 6 == 5) {
            out[n++] = '-';
            continue;
        }
        if (RAND_bytes(&byte, 1) != 1)
            fatal("no random bytes");
        if (byte < 7 * (sizeof letters - 1))
            out[n++] = letters[byte % (sizeof letters - 1)];
    }
    out[n] = '\0';
}
