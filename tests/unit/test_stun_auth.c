#include <stdlib.h>
#include <string.h>

#include "proto/stun_auth.h"
#include "proto/stun_crypto.h"
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

START_TEST(test_rfc8489_vector)
{
    struct stun_msg m;
    struct stun_key key;
    uint8_t userhash[STUN_USERHASH_SIZE];
    ck_assert_int_eq(stun_parse(rfc8489_userhash, sizeof rfc8489_userhash, &m), ERR_OK);
    ck_assert(!m.wrong_size && m.n_unknown == 0);
    stun_userhash(RFC5769_LONG_TERM_USER, "example.org", userhash);
    ck_assert_uint_eq(stun_get(&m, STUN_USERHASH).len, sizeof userhash);
    ck_assert_mem_eq(stun_get(&m, STUN_USERHASH).at, userhash, sizeof userhash);
    ck_assert_mem_eq(stun_get(&m, STUN_PASSWORD_ALGORITHM).at, "\0\2\0\0", 4);
    ck_assert_int_eq(
        stun_long_term_key(STUN_ALGORITHM_SHA256, RFC5769_LONG_TERM_USER, "example.org", "TheMatrIX", &key),
        ERR_OK);
    ck_assert_uint_eq(key.len, 32);
    ck_assert(stun_check_integrity_sha256(&m, key.bytes, key.len, 32));
    ck_assert(!stun_check_integrity(&m, key.bytes, key.len)); /* there is none of that kind */
    key.bytes[31] ^= 1;
    ck_assert(!stun_check_integrity_sha256(&m, key.bytes, key.len, 32));
    ck_assert_int_eq(stun_parse(rfc8489_as_printed, sizeof rfc8489_as_printed, &m), ERR_MALFORMED);
}
END_TEST

/* A message whose SHA-256 integrity has so many bytes, all of them right. */
static void cut_message(struct stun_msg *m, uint8_t *memory, size_t size, size_t value)
{
    static const uint8_t transaction[STUN_TRANSACTION] = "transaction";
    uint8_t whole[200];
    struct stun_writer w;
    size_t n;
    stun_begin(&w, whole, sizeof whole, STUN_METHOD_REFRESH, STUN_REQUEST, transaction);
    stun_put_u32(&w, STUN_LIFETIME, 600);
    w.wire.start[3] = (uint8_t)(8 + 4 + value); /* what the HMAC sees: up to the end of the cut value */
    uint8_t mac[32];
    struct stun_bytes part = {whole, wire_written(&w.wire)};
    stun_hmac(STUN_DIGEST_SHA256, (struct stun_bytes){password, password_len}, &part, 1, mac);
    memcpy(memory, whole, wire_written(&w.wire));
    stun_begin(&w, memory, size, STUN_METHOD_REFRESH, STUN_REQUEST, transaction);
    stun_put_u32(&w, STUN_LIFETIME, 600);
    stun_put(&w, STUN_MESSAGE_INTEGRITY_SHA256, mac, value);
    ck_assert_int_eq(stun_end(&w, &n), ERR_OK);
    ck_assert_int_eq(stun_parse(memory, n, m), ERR_OK);
}

/* RFC 8489 §14.6: 16 to 32 bytes, multiples of 4, and fewer than 32 only for usages that allow it. */
START_TEST(test_integrity_cut_off)
{
    uint8_t memory[200];
    struct stun_msg m;
    for (size_t value = 16; value <= 32; value++) {
        cut_message(&m, memory, sizeof memory, value);
        ck_assert(stun_check_integrity_sha256(&m, password, password_len, 16) == (value % 4 == 0));
        ck_assert(stun_check_integrity_sha256(&m, password, password_len, 32) == (value == 32));
    }
    cut_message(&m, memory, sizeof memory, 12);
    ck_assert(m.wrong_size && !stun_check_integrity_sha256(&m, password, password_len, 0));
    cut_message(&m, memory, sizeof memory, 20);
    memory[STUN_HEADER + 8 + 4 + 19] ^= 1; /* its last byte counts */
    ck_assert(!stun_check_integrity_sha256(&m, password, password_len, 16));
}
END_TEST

START_TEST(test_both_integrities)
{
    static const uint8_t transaction[STUN_TRANSACTION] = "transaction";
    uint8_t memory[200];
    struct stun_writer w;
    struct stun_msg m;
    size_t n;
    stun_begin(&w, memory, sizeof memory, STUN_METHOD_REFRESH, STUN_SUCCESS, transaction);
    stun_put_u32(&w, STUN_LIFETIME, 600);
    stun_put_integrity(&w, password, password_len);
    stun_put_integrity_sha256(&w, password, password_len);
    stun_put_fingerprint(&w);
    ck_assert_int_eq(stun_end(&w, &n), ERR_OK);
    ck_assert_int_eq(stun_parse(memory, n, &m), ERR_OK);
    ck_assert(stun_check_integrity(&m, password, password_len));
    ck_assert(stun_check_integrity_sha256(&m, password, password_len, 32));
    ck_assert(stun_has(&m, STUN_FINGERPRINT) && stun_check_fingerprint(&m));
    memory[STUN_HEADER + 8 + 4] ^= 1; /* the first integrity is covered by the second */
    ck_assert(!stun_check_integrity_sha256(&m, password, password_len, 32));
}
END_TEST

UNIT_MAIN("stun_auth", test_rfc5769_vectors, test_rfc5769_long_term, test_rfc8489_vector,
          test_any_flipped_bit_is_noticed, test_written_is_accepted, test_integrity_cut_off,
          test_both_integrities)
