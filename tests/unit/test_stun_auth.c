#include <stdlib.h>
#include <string.h>

#include "proto/stun_auth.h"
#include "tests/unit/stun_vectors.h"
#include "tests/unit/unit.h"

static const uint8_t password[] = RFC5769_PASSWORD;
static const size_t password_len = sizeof password - 1;

START_TEST(test_rfc5769_vectors)
{
    struct stun_msg m;
    ck_assert_int_eq(stun_parse(rfc5769_request, sizeof rfc5769_request, &m), ERR_OK);
    ck_assert(stun_check_integrity(&m, password, password_len));
    ck_assert(stun_check_fingerprint(&m));
    ck_assert_int_eq(stun_parse(rfc5769_response4, sizeof rfc5769_response4, &m), ERR_OK);
    ck_assert(stun_check_integrity(&m, password, password_len));
    ck_assert(stun_check_fingerprint(&m));
    ck_assert_int_eq(stun_parse(rfc5769_response6, sizeof rfc5769_response6, &m), ERR_OK);
    ck_assert(stun_check_integrity(&m, password, password_len));
    ck_assert(stun_check_fingerprint(&m));
}
END_TEST

START_TEST(test_rfc5769_long_term)
{
    struct stun_msg m;
    struct stun_key key;
    ck_assert_int_eq(
        stun_long_term_key(STUN_ALGORITHM_MD5, RFC5769_LONG_TERM_USER, "example.org", "TheMatrIX", &key),
        ERR_OK);
    ck_assert_int_eq(stun_parse(rfc5769_long_term, sizeof rfc5769_long_term, &m), ERR_OK);
    ck_assert(stun_check_integrity(&m, key.bytes, key.len));
    key.bytes[15] ^= 1;
    ck_assert(!stun_check_integrity(&m, key.bytes, key.len));
}
END_TEST

/* No single bit of a covered message may change unnoticed. */
START_TEST(test_any_flipped_bit_is_noticed)
{
    uint8_t copy[sizeof rfc5769_request];
    for (size_t bit = 0; bit < sizeof copy * 8; bit++) {
        struct stun_msg m;
        memcpy(copy, rfc5769_request, sizeof copy);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (stun_parse(copy, sizeof copy, &m) != ERR_OK)
            continue;
        ck_assert(!stun_has(&m, STUN_FINGERPRINT) || !stun_check_fingerprint(&m));
        if (bit / 8 < sizeof copy - 8)
            ck_assert(!stun_check_integrity(&m, password, password_len));
    }
}
END_TEST

START_TEST(test_written_is_accepted)
{
    static const uint8_t transaction[STUN_TRANSACTION] = "transaction";
    uint8_t memory[128];
    struct stun_writer w;
    struct stun_msg m;
    size_t n;
    stun_begin(&w, memory, sizeof memory, STUN_METHOD_REFRESH, STUN_SUCCESS, transaction);
    stun_put_u32(&w, STUN_LIFETIME, 600);
    stun_put_integrity(&w, password, password_len);
    stun_put_fingerprint(&w);
    ck_assert_int_eq(stun_end(&w, &n), ERR_OK);
    ck_assert_int_eq(stun_parse(memory, n, &m), ERR_OK);
    ck_assert(stun_check_integrity(&m, password, password_len));
    ck_assert(stun_check_fingerprint(&m));
    ck_assert(stun_has(&m, STUN_FINGERPRINT));
}
END_TEST

static struct stun_value text(const char *nonce)
{
    return (struct stun_value){(const uint8_t *)nonce, STUN_NONCE_TEXT};
}

START_TEST(test_nonce)
{
    static const uint8_t key[STUN_NONCE_KEY] = {1}, other[STUN_NONCE_KEY] = {2};
    struct netaddr a, b;
    char nonce[STUN_NONCE_TEXT], again[STUN_NONCE_TEXT];
    netaddr_parse("192.0.2.1:1000", 0, &a);
    netaddr_parse("192.0.2.2:1000", 0, &b);
    stun_nonce_make(key, 5000, &a, nonce);
    ck_assert_int_eq(stun_nonce_check(key, 5000, 600, &a, text(nonce)), ERR_OK);
    ck_assert_int_eq(stun_nonce_check(key, 5600, 600, &a, text(nonce)), ERR_OK);
    ck_assert_int_eq(stun_nonce_check(key, 5601, 600, &a, text(nonce)), ERR_TIMEOUT);
    ck_assert_int_eq(stun_nonce_check(key, 4990, 600, &a, text(nonce)), ERR_OK); /* another server's clock */
    ck_assert_int_eq(stun_nonce_check(key, 4900, 600, &a, text(nonce)), ERR_TIMEOUT);
    ck_assert_int_eq(stun_nonce_check(key, 5000, 600, &b, text(nonce)), ERR_REFUSED);
    ck_assert_int_eq(stun_nonce_check(other, 5000, 600, &a, text(nonce)), ERR_REFUSED);
    a.port = 2000; /* a NAT may give each socket of a client another port */
    ck_assert_int_eq(stun_nonce_check(key, 5000, 600, &a, text(nonce)), ERR_OK);
    stun_nonce_make(key, 5001, &a, again);
    ck_assert_mem_ne(nonce, again, sizeof nonce);
}
END_TEST

START_TEST(test_forged_nonce)
{
    static const uint8_t key[STUN_NONCE_KEY] = {1};
    struct netaddr a;
    char nonce[STUN_NONCE_TEXT];
    netaddr_parse("192.0.2.1:1000", 0, &a);
    stun_nonce_make(key, 5000, &a, nonce);
    for (size_t i = 0; i < sizeof nonce; i++) {
        char forged[STUN_NONCE_TEXT];
        memcpy(forged, nonce, sizeof forged);
        forged[i] = forged[i] == 'A' ? 'B' : 'A';
        ck_assert_int_eq(stun_nonce_check(key, 5000, 600, &a, text(forged)), ERR_REFUSED);
        forged[i] = '\0';
        ck_assert_int_eq(stun_nonce_check(key, 5000, 600, &a, text(forged)), ERR_REFUSED);
    }
    struct stun_value shorter = text(nonce);
    shorter.len--;
    ck_assert_int_eq(stun_nonce_check(key, 5000, 600, &a, shorter), ERR_REFUSED);
    shorter.len = 0;
    ck_assert_int_eq(stun_nonce_check(key, 5000, 600, &a, shorter), ERR_REFUSED);
}
END_TEST

UNIT_MAIN("stun_auth", test_rfc5769_vectors, test_rfc5769_long_term, test_any_flipped_bit_is_noticed,
          test_written_is_accepted, test_nonce, test_forged_nonce)
