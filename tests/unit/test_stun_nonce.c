#include <string.h>

#include "proto/stun_nonce.h"
#include "tests/unit/stun_vectors.h"
#include "tests/unit/unit.h"

static const uint8_t key[STUN_NONCE_KEY] = {1}, other_key[STUN_NONCE_KEY] = {2};
static const struct stun_value none;
static struct netaddr client;
static struct stun_offer offer;
static char nonce[STUN_NONCE_TEXT];

static struct stun_value value(const void *at, size_t n)
{
    return (struct stun_value){at, n};
}

static struct netaddr address(const char *text)
{
    struct netaddr a;
    ck_assert_int_eq(netaddr_parse(text, 0, &a), ERR_OK);
    return a;
}

/* A nonce of second 5000 for 192.0.2.1:1000, both algorithms offered. */
static void make(void)
{
    client = address("192.0.2.1:1000");
    offer = (struct stun_offer){0};
    stun_offer_add(&offer, STUN_ALGORITHM_SHA256);
    stun_offer_add(&offer, STUN_ALGORITHM_MD5);
    stun_nonce_make(key, 5000, &client, &offer, nonce);
}

static enum err check_at(uint32_t now)
{
    return stun_nonce_check(key, now, 600, &client, &offer, none, value(nonce, sizeof nonce));
}

START_TEST(test_lifetime)
{
    make();
    ck_assert_int_eq(check_at(5000), ERR_OK);
    ck_assert_int_eq(check_at(5600), ERR_OK);
    ck_assert_int_eq(check_at(5601), ERR_TIMEOUT);
    ck_assert_int_eq(check_at(4990), ERR_OK); /* another server's clock */
    ck_assert_int_eq(check_at(4900), ERR_TIMEOUT);
}
END_TEST

START_TEST(test_whose)
{
    char again[STUN_NONCE_TEXT];
    make();
    ck_assert_int_eq(
        stun_nonce_check(other_key, 5000, 600, &client, &offer, none, value(nonce, sizeof nonce)),
        ERR_REFUSED);
    client.port = 2000; /* a client may use it for its next socket, … */
    ck_assert_int_eq(check_at(5000), ERR_OK);
    stun_nonce_make(key, 5000, &client, &offer, again);
    ck_assert_mem_ne(nonce, again, sizeof nonce); /* … but no two get the same, RFC 8489 §9.2.4 */
    client = address("192.0.2.2:1000");
    ck_assert_int_eq(check_at(5000), ERR_REFUSED);
    client = address("[2001:db8::1]:1000");
    ck_assert_int_eq(check_at(5000), ERR_REFUSED);
    stun_nonce_make(key, 5000, &client, &offer, nonce);
    ck_assert_int_eq(check_at(5000), ERR_OK);
}
END_TEST

START_TEST(test_form)
{
    struct stun_offer nothing = {0}, both = {.features = 3};
    make();
    ck_assert_mem_eq(nonce, "obMatJos2AAAB", 13);
    ck_assert_uint_eq(stun_nonce_features(value(nonce, sizeof nonce)), STUN_FEATURE_PASSWORD_ALGORITHMS);
    ck_assert_mem_eq(offer.algorithms, "\0\2\0\0\0\1\0\0", 8);
    ck_assert_uint_eq(offer.algorithms_len, 8);
    for (size_t i = 0; i < sizeof nonce; i++) /* quoted-string allows all of them unescaped */
        ck_assert(nonce[i] > 0x20 && nonce[i] < 0x7f && nonce[i] != '"' && nonce[i] != '\\');
    stun_nonce_make(key, 5000, &client, &nothing, nonce);
    ck_assert_mem_eq(nonce, "obMatJos2AAAA", 13); /* the cookie is there without features too, §9.2 */
    stun_nonce_make(key, 5000, &client, &both, nonce);
    ck_assert_mem_eq(nonce, "obMatJos2AAAD", 13);
}
END_TEST

/* Bit 1 in the example of appendix B.1 is username anonymity: it carries a USERHASH. Erratum 6290. */
START_TEST(test_features_of_others)
{
    struct stun_msg m;
    ck_assert_int_eq(stun_parse(rfc8489_userhash, sizeof rfc8489_userhash, &m), ERR_OK);
    ck_assert_uint_eq(stun_nonce_features(stun_get(&m, STUN_NONCE)), STUN_FEATURE_USERNAME_ANONYMITY);
    ck_assert_uint_eq(stun_nonce_features(none), 0);
    ck_assert_uint_eq(stun_nonce_features(value("obMatJos2AAA", 12)), 0);
    ck_assert_uint_eq(stun_nonce_features(value("obMatJos2AAAD", 13)), 3);
    ck_assert_uint_eq(stun_nonce_features(value("obMatJos2////", 13)), 0xffffff);
    ck_assert_uint_eq(stun_nonce_features(value("obMatJos2AA-D", 13)), 0);
    ck_assert_uint_eq(stun_nonce_features(value("obMatJos3AAAD", 13)), 0);
    ck_assert_uint_eq(stun_nonce_features(value("f//499k954d6OL34oL9FSTvy64sA", 28)), 0);
}
END_TEST

/* What was offered with it is part of it: §9.2.1. */
START_TEST(test_offer)
{
    struct stun_offer md5 = {0};
    make();
    stun_offer_add(&md5, STUN_ALGORITHM_MD5);
    struct stun_value as_sent = value(offer.algorithms, offer.algorithms_len),
                      text = value(nonce, sizeof nonce);
    ck_assert_int_eq(stun_nonce_check(key, 5000, 600, &client, &offer, as_sent, text), ERR_OK);
    /* somebody on the way took SHA-256 out */
    ck_assert_int_eq(stun_nonce_check(key, 5000, 600, &client, &offer, value(md5.algorithms, 4), text),
                     ERR_REFUSED);
    ck_assert_int_eq(stun_nonce_check(key, 5000, 600, &client, &offer, value(offer.algorithms, 4), text),
                     ERR_REFUSED);
    /* the offer has changed since: what was sent is known all the same, but it is stale */
    ck_assert_int_eq(stun_nonce_check(key, 5000, 600, &client, &md5, as_sent, text), ERR_TIMEOUT);
    ck_assert_int_eq(stun_nonce_check(key, 5000, 600, &client, &md5, none, text), ERR_REFUSED);
    offer.features |= STUN_FEATURE_USERNAME_ANONYMITY;
    ck_assert_int_eq(stun_nonce_check(key, 5000, 600, &client, &offer, none, text), ERR_TIMEOUT);
}
END_TEST

START_TEST(test_forged)
{
    char forged[STUN_NONCE_TEXT + 1];
    make();
    for (size_t i = 0; i < sizeof nonce; i++) {
        for (int c = 0; c < 256; c++) {
            memcpy(forged, nonce, sizeof nonce);
            forged[i] = (char)c;
            if (forged[i] != nonce[i])
                ck_assert_int_eq(
                    stun_nonce_check(key, 5000, 600, &client, &offer, none, value(forged, sizeof nonce)),
                    ERR_REFUSED);
        }
    }
    memcpy(forged, nonce, sizeof nonce);
    for (size_t n = 0; n <= sizeof forged; n++)
        ck_assert_int_eq(stun_nonce_check(key, 5000, 600, &client, &offer, none, value(forged, n)),
                         n == sizeof nonce ? ERR_OK : ERR_REFUSED);
}
END_TEST

UNIT_MAIN("stun_nonce", test_lifetime, test_whose, test_form, test_features_of_others, test_offer,
          test_forged)
