#include "proto/stun_ephemeral.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "proto/stun_crypto.h"

enum { DIGITS_MAX = 18 }; /* fits into 64 bits, and lasts longer than the universe has */

bool stun_ephemeral_parse(const uint8_t *username, size_t n, struct stun_ephemeral *out)
{
    struct stun_ephemeral e = {.whose = username, .whose_len = n};
    size_t i = 0;
    for (; i < n && i < DIGITS_MAX && username[i] >= '0' && username[i] <= '9'; i++)
        e.ends = e.ends * 10 + (uint64_t)(username[i] - '0');
    if (i == 0 || username[0] == '0')
        return false;
    if (i < n && username[i] != ':')
        return false;
    if (i + 1 < n) {
        e.whose = username + i;
        e.whose_len = n - i;
    }
    for (; i < n; i++)
        if (username[i] < 0x20 || username[i] == 0x7f)
            return false;
    *out = e;
    return true;
}

void stun_ephemeral_password(const char *secret, const void *username, size_t n,
                             char password[STUN_EPHEMERAL_PASSWORD + 1])
{
    uint8_t mac[STUN_SHA1_SIZE];
    struct stun_bytes name = {username, n};
    stun_hmac(STUN_DIGEST_SHA1, stun_bytes_of(secret), &name, 1, mac);
    EVP_EncodeBlock((unsigned char *)password, mac, sizeof mac);
    OPENSSL_cleanse(mac, sizeof mac);
}
