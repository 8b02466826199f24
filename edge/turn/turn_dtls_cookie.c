#include "edge/turn/turn_dtls_cookie.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/random.h>

#include "common/fatal.h"

enum { SHA256_SIZE = 32 };

static void draw(uint8_t key[TURN_DTLS_COOKIE_KEY])
{
    if (getrandom(key, TURN_DTLS_COOKIE_KEY, 0) != TURN_DTLS_COOKIE_KEY)
        fatal("no random numbers for the cookie key");
}

void turn_dtls_cookie_init(struct turn_dtls_cookie *c, uint32_t now)
{
    char name[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                           OSSL_PARAM_construct_end()};
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    c->hmac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    EVP_MAC_free(hmac);
    if (!c->hmac || EVP_MAC_CTX_set_params(c->hmac, params) != 1)
        fatal("OpenSSL has no HMAC-SHA256");
    draw(c->keys[0]);
    draw(c->keys[1]);
    c->since = now;
}

void turn_dtls_cookie_wipe(struct turn_dtls_cookie *c)
{
    EVP_MAC_CTX_free(c->hmac);
    OPENSSL_cleanse(c, sizeof *c);
}

static void compute(const struct turn_dtls_cookie *c, unsigned which, const struct turn_key *client,
                    uint8_t out[TURN_DTLS_COOKIE_SIZE])
{
    uint8_t mac[SHA256_SIZE];
    size_t n;
    if (EVP_MAC_init(c->hmac, c->keys[which], TURN_DTLS_COOKIE_KEY, NULL) != 1 ||
        EVP_MAC_update(c->hmac, (const uint8_t *)client->word, sizeof client->word) != 1 ||
        EVP_MAC_final(c->hmac, mac, &n, sizeof mac) != 1 || n != sizeof mac)
        fatal("HMAC failed");
    memcpy(out, mac, TURN_DTLS_COOKIE_SIZE);
}

void turn_dtls_cookie_make(const struct turn_dtls_cookie *c, const struct turn_key *client,
                           uint8_t out[TURN_DTLS_COOKIE_SIZE])
{
    compute(c, 0, client, out);
}

bool turn_dtls_cookie_check(const struct turn_dtls_cookie *c, const struct turn_key *client,
                            const uint8_t cookie[TURN_DTLS_COOKIE_SIZE])
{
    bool good = false;
    for (unsigned i = 0; i < 2; i++) {
        uint8_t expected[TURN_DTLS_COOKIE_SIZE];
        compute(c, i, client, expected);
        good |= CRYPTO_memcmp(expected, cookie, sizeof expected) == 0;
    }
    return good;
}

void turn_dtls_cookie_tick(struct turn_dtls_cookie *c, uint32_t now, uint32_t seconds)
{
    if (now - c->since < seconds)
        return;
    memcpy(c->keys[1], c->keys[0], TURN_DTLS_COOKIE_KEY);
    draw(c->keys[0]);
    c->since = now;
}
