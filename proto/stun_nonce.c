#include "proto/stun_nonce.h"

#include <openssl/crypto.h>
#include <string.h>

#include "common/fatal.h"
#include "proto/stun_crypto.h"

enum {
    TIME = 4,
    PORT = 2,
    MAC = 8,
    BYTES = TIME + PORT + MAC, /* behind the cookie */
    FEATURES = 3,
    DIGITS = 19, /* of BYTES in base64, without padding */
    SKEW = 30,   /* seconds that another server's clock may be ahead */
};

static const char cookie[] = "obMatJos2";
enum { COOKIE = sizeof cookie - 1 };

_Static_assert(COOKIE + 4 == STUN_NONCE_COOKIE && STUN_NONCE_COOKIE + DIGITS == STUN_NONCE_TEXT,
               "a nonce fills its characters");

/* base64, RFC 4648 §4, without padding: also what quoted-string allows unescaped. */
static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode(const uint8_t *bytes, size_t n, char *out, size_t n_out)
{
    for (size_t i = 0; i < n_out; i++) {
        size_t bit = 6 * i;
        unsigned pair = (unsigned)bytes[bit / 8] << 8 | (bit / 8 + 1 < n ? bytes[bit / 8 + 1] : 0);
        out[i] = digits[pair >> (10 - bit % 8) & 63];
    }
}

/* False where the characters are none, or bits that stand for nothing are set. */
static bool decode(const uint8_t *text, size_t n_text, uint8_t *bytes, size_t n)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t written = 0;
    for (size_t i = 0; i < n_text; i++) {
        const char *digit = memchr(digits, text[i], sizeof digits - 1);
        if (!digit)
            return false;
        bits = bits << 6 | (uint32_t)(digit - digits);
        held += 6;
        if (held >= 8) {
            held -= 8;
            bytes[written++] = (uint8_t)(bits >> held);
            bits &= (1U << held) - 1;
        }
    }
    return written == n && bits == 0;
}

void stun_offer_add(struct stun_offer *o, enum stun_algorithm a)
{
    REQUIRE(o->algorithms_len + 4U <= sizeof o->algorithms);
    o->algorithms[o->algorithms_len + 1] = (uint8_t)a;
    o->algorithms_len = (uint8_t)(o->algorithms_len + 4);
    o->features |= STUN_FEATURE_PASSWORD_ALGORITHMS;
}

/* bytes holds time and port; the rest of it is computed. */
static void seal(const uint8_t key[STUN_NONCE_KEY], const struct netaddr *client,
                 const uint8_t features[FEATURES], struct stun_bytes algorithms, uint8_t bytes[BYTES])
{
    uint8_t mac[STUN_SHA256_SIZE];
    struct stun_bytes parts[] = {{bytes, TIME + PORT},
                                 {features, FEATURES},
                                 {&client->family, 1},
                                 {client->ip, sizeof client->ip},
                                 algorithms};
    stun_hmac(STUN_DIGEST_SHA256, (struct stun_bytes){key, STUN_NONCE_KEY}, parts,
              sizeof parts / sizeof *parts, mac);
    memcpy(bytes + TIME + PORT, mac, MAC);
}

static void features_put(uint32_t features, uint8_t out[FEATURES])
{
    for (int i = 0; i < FEATURES; i++)
        out[i] = (uint8_t)(features >> (16 - 8 * i));
}

void stun_nonce_make(const uint8_t key[STUN_NONCE_KEY], uint32_t now, const struct netaddr *client,
                     const struct stun_offer *offer, char nonce[STUN_NONCE_TEXT])
{
    uint8_t features[FEATURES], bytes[BYTES];
    features_put(offer->features, features);
    for (int i = 0; i < TIME; i++)
        bytes[i] = (uint8_t)(now >> (24 - 8 * i));
    bytes[TIME] = (uint8_t)(client->port >> 8);
    bytes[TIME + 1] = (uint8_t)client->port;
    seal(key, client, features, (struct stun_bytes){offer->algorithms, offer->algorithms_len}, bytes);
    memcpy(nonce, cookie, COOKIE);
    encode(features, FEATURES, nonce + COOKIE, STUN_NONCE_COOKIE - COOKIE);
    encode(bytes, BYTES, nonce + STUN_NONCE_COOKIE, DIGITS);
}

static bool cookie_read(struct stun_value nonce, uint8_t features[FEATURES])
{
    return nonce.len >= STUN_NONCE_COOKIE && memcmp(nonce.at, cookie, COOKIE) == 0 &&
           decode(nonce.at + COOKIE, STUN_NONCE_COOKIE - COOKIE, features, FEATURES);
}

uint32_t stun_nonce_features(struct stun_value nonce)
{
    uint8_t f[FEATURES];
    return nonce.at && cookie_read(nonce, f) ? (uint32_t)f[0] << 16 | (uint32_t)f[1] << 8 | f[2] : 0;
}

enum err stun_nonce_check(const uint8_t key[STUN_NONCE_KEY], uint32_t now, uint32_t lifetime,
                          const struct netaddr *client, const struct stun_offer *offer,
                          struct stun_value algorithms, struct stun_value nonce)
{
    uint8_t features[FEATURES], got[BYTES], expected[BYTES];
    struct stun_bytes list = {offer->algorithms, offer->algorithms_len};
    if (algorithms.at)
        list = (struct stun_bytes){algorithms.at, algorithms.len};
    if (nonce.len != STUN_NONCE_TEXT || !cookie_read(nonce, features) ||
        !decode(nonce.at + STUN_NONCE_COOKIE, DIGITS, got, BYTES))
        return ERR_REFUSED;
    memcpy(expected, got, TIME + PORT);
    seal(key, client, features, list, expected);
    if (CRYPTO_memcmp(got, expected, BYTES) != 0)
        return ERR_REFUSED;
    bool as_offered = stun_nonce_features(nonce) == offer->features && list.len == offer->algorithms_len &&
                      memcmp(list.at, offer->algorithms, list.len) == 0;
    uint32_t made = (uint32_t)got[0] << 24 | (uint32_t)got[1] << 16 | (uint32_t)got[2] << 8 | got[3];
    return as_offered && now - made + SKEW <= lifetime + SKEW ? ERR_OK : ERR_TIMEOUT;
}
