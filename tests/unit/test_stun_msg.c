#include <stdlib.h>
#include <string.h>

#include "proto/stun_msg.h"
#include "tests/unit/stun_vectors.h"
#include "tests/unit/unit.h"

static struct netaddr address(const char *text)
{
    struct netaddr a;
    ck_assert_int_eq(netaddr_parse(text, 0, &a), ERR_OK);
    return a;
}

START_TEST(test_rfc5769_request)
{
    struct stun_msg m;
    ck_assert_int_eq(stun_parse(rfc5769_request, sizeof rfc5769_request, &m), ERR_OK);
    ck_assert_uint_eq(m.method, STUN_METHOD_BINDING);
    ck_assert_uint_eq(m.class, STUN_REQUEST);
    struct stun_value v = stun_get(&m, STUN_USERNAME);
    ck_assert_uint_eq(v.len, 9);
    ck_assert_mem_eq(v.at, "evtj:h6vY", 9);
    v = stun_get(&m, STUN_SOFTWARE);
    ck_assert_mem_eq(v.at, "STUN test client", v.len);
    /* PRIORITY is none of ours and comprehension-required; ICE-CONTROLLED is optional. */
    ck_assert_uint_eq(m.n_unknown, 1);
    ck_assert_uint_eq(m.unknown[0], 0x0024);
    ck_assert(!m.wrong_size);
}
END_TEST

START_TEST(test_rfc5769_responses)
{
    struct stun_msg m;
    struct netaddr a, expected = address("192.0.2.1:32853");
    ck_assert_int_eq(stun_parse(rfc5769_response4, sizeof rfc5769_response4, &m), ERR_OK);
    ck_assert_uint_eq(m.class, STUN_SUCCESS);
    ck_assert_int_eq(stun_get_xor_address(&m, STUN_XOR_MAPPED_ADDRESS, &a), ERR_OK);
    ck_assert(netaddr_equal(&a, &expected));

    expected = address("[2001:db8:1234:5678:11:2233:4455:6677]:32853");
    ck_assert_int_eq(stun_parse(rfc5769_response6, sizeof rfc5769_response6, &m), ERR_OK);
    ck_assert_int_eq(stun_get_xor_address(&m, STUN_XOR_MAPPED_ADDRESS, &a), ERR_OK);
    ck_assert(netaddr_equal(&a, &expected));
    ck_assert_int_eq(stun_get_xor_address(&m, STUN_XOR_PEER_ADDRESS, &a), ERR_NOT_FOUND);
}
END_TEST

START_TEST(test_written_is_read_back)
{
    static const uint8_t transaction[STUN_TRANSACTION] = "0123456789a";
    uint8_t memory[512];
    struct stun_writer w;
    struct stun_msg m;
    struct netaddr got, four = address("203.0.113.7:49152"), six = address("[2001:db8::7]:9");
    uint16_t types[] = {0x7001, 0x7002, 0x7003};
    size_t n;
    int code;
    stun_begin(&w, memory, sizeof memory, STUN_METHOD_CHANNEL_BIND, STUN_ERROR, transaction);
    stun_put_error(&w, STUN_ERROR_CODE, 420, "Unknown Attribute");
    stun_put_unknown(&w, types, 3);
    stun_put_xor_address(&w, STUN_XOR_PEER_ADDRESS, &four);
    stun_put_xor_address(&w, STUN_XOR_RELAYED_ADDRESS, &six);
    stun_put_u32(&w, STUN_LIFETIME, 600);
    stun_put(&w, STUN_DATA, "abcde", 5);
    ck_assert_int_eq(stun_end(&w, &n), ERR_OK);

    ck_assert_int_eq(stun_parse(memory, n, &m), ERR_OK);
    ck_assert_uint_eq(m.method, STUN_METHOD_CHANNEL_BIND);
    ck_assert_uint_eq(m.class, STUN_ERROR);
    ck_assert_mem_eq(m.transaction, transaction, STUN_TRANSACTION);
    ck_assert_int_eq(stun_get_error(&m, &code), ERR_OK);
    ck_assert_int_eq(code, 420);
    /* The length counts no padding: 4 + 17. */
    ck_assert_uint_eq(stun_get(&m, STUN_ERROR_CODE).len, 21);
    ck_assert_uint_eq(stun_get(&m, STUN_UNKNOWN_ATTRIBUTES).len, 6);
    ck_assert_int_eq(stun_get_xor_address(&m, STUN_XOR_PEER_ADDRESS, &got), ERR_OK);
    ck_assert(netaddr_equal(&got, &four));
    ck_assert_int_eq(stun_get_xor_address(&m, STUN_XOR_RELAYED_ADDRESS, &got), ERR_OK);
    ck_assert(netaddr_equal(&got, &six));
    uint32_t lifetime;
    ck_assert_int_eq(stun_get_u32(&m, STUN_LIFETIME, &lifetime), ERR_OK);
    ck_assert_uint_eq(lifetime, 600);
    ck_assert_uint_eq(stun_get(&m, STUN_DATA).len, 5);
}
END_TEST

START_TEST(test_writer_error_sticks)
{
    static const uint8_t transaction[STUN_TRANSACTION];
    uint8_t memory[40];
    struct stun_writer w;
    size_t n = 77;
    stun_begin(&w, memory, sizeof memory, STUN_METHOD_BINDING, STUN_REQUEST, transaction);
    stun_put(&w, STUN_SOFTWARE, "twenty bytes of text", 20);
    stun_put_u32(&w, STUN_LIFETIME, 1);
    ck_assert_int_eq(stun_end(&w, &n), ERR_FULL);
    ck_assert_uint_eq(n, 77);
}
END_TEST

START_TEST(test_every_class_and_method_survives)
{
    static const uint8_t transaction[STUN_TRANSACTION];
    uint8_t memory[64];
    for (unsigned method = 0; method < 0x1000; method++)
        for (enum stun_class class = STUN_REQUEST; class <= STUN_ERROR; class ++) {
            struct stun_writer w;
            struct stun_msg m;
            size_t n;
            stun_begin(&w, memory, sizeof memory, (uint16_t)method, class, transaction);
            ck_assert_int_eq(stun_end(&w, &n), ERR_OK);
            ck_assert_int_eq(stun_parse(memory, n, &m), ERR_OK);
            ck_assert_uint_eq(m.method, method);
            ck_assert_uint_eq(m.class, class);
        }
}
END_TEST

/* Every shortening of a good message, and every length field that lies, is refused. */
START_TEST(test_truncated_and_lying)
{
    uint8_t copy[sizeof rfc5769_request];
    struct stun_msg m;
    for (size_t n = 0; n < sizeof copy; n++)
        ck_assert_int_ne(stun_parse(rfc5769_request, n, &m), ERR_OK);
    memcpy(copy, rfc5769_request, sizeof copy);
    for (unsigned len = 0; len < 0x200; len++) {
        copy[2] = (uint8_t)(len >> 8);
        copy[3] = (uint8_t)len;
        ck_assert_int_eq(stun_parse(copy, sizeof copy, &m),
                         len == sizeof copy - STUN_HEADER ? ERR_OK : ERR_MALFORMED);
    }
    memcpy(copy, rfc5769_request, sizeof copy);
    copy[4] ^= 1; /* cookie */
    ck_assert_int_eq(stun_parse(copy, sizeof copy, &m), ERR_MALFORMED);
    memcpy(copy, rfc5769_request, sizeof copy);
    copy[22] = 0xff; /* SOFTWARE reaches behind the end */
    ck_assert_int_eq(stun_parse(copy, sizeof copy, &m), ERR_MALFORMED);
}
END_TEST

static size_t begin_with(uint8_t *memory, size_t size, const uint8_t *attrs, size_t n_attrs)
{
    static const uint8_t transaction[STUN_TRANSACTION];
    struct stun_writer w;
    size_t n;
    stun_begin(&w, memory, size, STUN_METHOD_ALLOCATE, STUN_REQUEST, transaction);
    wire_put_bytes(&w.wire, attrs, n_attrs);
    ck_assert_int_eq(stun_end(&w, &n), ERR_OK);
    return n;
}

START_TEST(test_first_of_repeated_counts)
{
    static const uint8_t attrs[] = {0, 0x0d, 0, 4, 0, 0, 0, 1, 0, 0x0d, 0, 4, 0, 0, 0, 2};
    uint8_t memory[64];
    struct stun_msg m;
    uint32_t lifetime;
    size_t n = begin_with(memory, sizeof memory, attrs, sizeof attrs);
    ck_assert_int_eq(stun_parse(memory, n, &m), ERR_OK);
    ck_assert_int_eq(stun_get_u32(&m, STUN_LIFETIME, &lifetime), ERR_OK);
    ck_assert_uint_eq(lifetime, 1);
}
END_TEST

START_TEST(test_wrong_sizes_are_noticed)
{
    static const uint8_t empty_peer[] = {0, 0x12, 0, 0};
    static const uint8_t short_lifetime[] = {0, 0x0d, 0, 2, 0, 0, 0, 0};
    static const uint8_t odd_peer[] = {0, 0x12, 0, 12, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t no_family[] = {0, 0x12, 0, 8, 0, 3, 0, 0, 0, 0, 0, 0};
    uint8_t memory[64];
    struct stun_msg m;
    struct netaddr a;
    ck_assert_int_eq(stun_parse(memory, begin_with(memory, sizeof memory, empty_peer, sizeof empty_peer), &m),
                     ERR_OK);
    ck_assert(m.wrong_size);
    ck_assert_int_eq(stun_get_xor_address(&m, STUN_XOR_PEER_ADDRESS, &a), ERR_NOT_FOUND);
    ck_assert_int_eq(
        stun_parse(memory, begin_with(memory, sizeof memory, short_lifetime, sizeof short_lifetime), &m),
        ERR_OK);
    ck_assert(m.wrong_size);
    ck_assert_int_eq(stun_parse(memory, begin_with(memory, sizeof memory, odd_peer, sizeof odd_peer), &m),
                     ERR_OK);
    ck_assert_int_eq(stun_get_xor_address(&m, STUN_XOR_PEER_ADDRESS, &a), ERR_MALFORMED);
    ck_assert_int_eq(stun_parse(memory, begin_with(memory, sizeof memory, no_family, sizeof no_family), &m),
                     ERR_OK);
    ck_assert_int_eq(stun_get_xor_address(&m, STUN_XOR_PEER_ADDRESS, &a), ERR_UNSUPPORTED);
}
END_TEST

/* RFC 8489 §14.5: what follows MESSAGE-INTEGRITY does not count; nothing may follow FINGERPRINT. */
START_TEST(test_after_integrity_and_fingerprint)
{
    uint8_t attrs[64] = {0, 0x08, 0, 20}, memory[128];
    struct stun_msg m;
    memcpy(attrs + 24, "\0\x0d\0\4\0\0\0\1", 8);   /* LIFETIME */
    memcpy(attrs + 32, "\x70\x01\0\0", 4);         /* unknown, required */
    memcpy(attrs + 36, "\x80\x28\0\4\0\0\0\0", 8); /* FINGERPRINT */
    ck_assert_int_eq(stun_parse(memory, begin_with(memory, sizeof memory, attrs, 44), &m), ERR_OK);
    ck_assert(!stun_has(&m, STUN_LIFETIME));
    ck_assert_uint_eq(m.n_unknown, 0);
    ck_assert(stun_has(&m, STUN_FINGERPRINT));
    memcpy(attrs + 44, "\0\x0d\0\4\0\0\0\1", 8);
    ck_assert_int_eq(stun_parse(memory, begin_with(memory, sizeof memory, attrs, 52), &m), ERR_MALFORMED);
}
END_TEST

START_TEST(test_next_finds_all_before_integrity)
{
    static const uint8_t transaction[STUN_TRANSACTION];
    uint8_t memory[256], zeros[20] = {0};
    struct stun_writer w;
    struct stun_msg m;
    struct netaddr got, a = address("198.51.100.1:1"), b = address("[2001:db8::2]:2");
    size_t n;
    stun_begin(&w, memory, sizeof memory, STUN_METHOD_CREATE_PERMISSION, STUN_REQUEST, transaction);
    stun_put(&w, STUN_SOFTWARE, "x", 1);
    stun_put_xor_address(&w, STUN_XOR_PEER_ADDRESS, &a);
    stun_put(&w, STUN_USERNAME, "abc", 3);
    stun_put_xor_address(&w, STUN_XOR_PEER_ADDRESS, &b);
    stun_put(&w, STUN_MESSAGE_INTEGRITY, zeros, sizeof zeros);
    stun_put_xor_address(&w, STUN_XOR_PEER_ADDRESS, &a);
    ck_assert_int_eq(stun_end(&w, &n), ERR_OK);
    ck_assert_int_eq(stun_parse(memory, n, &m), ERR_OK);
    struct stun_value v = {0};
    ck_assert(stun_next(&m, STUN_XOR_PEER_ADDRESS, &v));
    ck_assert_int_eq(stun_xor_address(&m, v, &got), ERR_OK);
    ck_assert(netaddr_equal(&got, &a));
    ck_assert(stun_next(&m, STUN_XOR_PEER_ADDRESS, &v));
    ck_assert_int_eq(stun_xor_address(&m, v, &got), ERR_OK);
    ck_assert(netaddr_equal(&got, &b));
    ck_assert(!stun_next(&m, STUN_XOR_PEER_ADDRESS, &v));
}
END_TEST

START_TEST(test_list_of_unknown_is_bounded)
{
    uint8_t attrs[4 * 40], memory[256];
    struct stun_msg m;
    for (unsigned i = 0; i < 40; i++)
        memcpy(attrs + 4 * i, (uint8_t[]){0x70, (uint8_t)i, 0, 0}, 4);
    ck_assert_int_eq(stun_parse(memory, begin_with(memory, sizeof memory, attrs, sizeof attrs), &m), ERR_OK);
    ck_assert_uint_eq(m.n_unknown, STUN_UNKNOWN_MAX);
}
END_TEST

/* RFC 8489 §14.8 */
START_TEST(test_error_code_bounds)
{
    static const struct {
        uint8_t value[4];
        int code; /* 0: malformed */
    } rows[] = {{{0, 0, 3, 0}, 300}, {{0, 0, 6, 99}, 699}, {{0, 0, 2, 99}, 0},       {{0, 0, 7, 0}, 0},
                {{0, 0, 4, 100}, 0}, {{0, 0, 4, 255}, 0},  {{255, 255, 252, 1}, 401}};
    uint8_t attrs[8] = {0, 9, 0, 4}, memory[64];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stun_msg m;
        int code = -1;
        memcpy(attrs + 4, rows[i].value, 4);
        ck_assert_int_eq(stun_parse(memory, begin_with(memory, sizeof memory, attrs, sizeof attrs), &m),
                         ERR_OK);
        ck_assert_int_eq(stun_get_error(&m, &code), rows[i].code ? ERR_OK : ERR_MALFORMED);
        if (rows[i].code)
            ck_assert_int_eq(code, rows[i].code);
    }
    for (int code = 300; code < 700; code++)
        ck_assert_uint_lt(strlen(stun_error_reason(code)), 128);
}
END_TEST

/* Numbers that others have swapped or made up: RFC 8489 §18.3, RFC 8656 §18. */
START_TEST(test_types_on_the_wire)
{
    ck_assert_uint_eq(stun_attr_row(STUN_ADDITIONAL_ADDRESS_FAMILY)->type, 0x8000);
    ck_assert_uint_eq(stun_attr_row(STUN_ADDRESS_ERROR_CODE)->type, 0x8001);
    ck_assert_uint_eq(stun_attr_row(STUN_ICMP)->type, 0x8004);
    ck_assert_uint_eq(stun_attr_row(STUN_REQUESTED_ADDRESS_FAMILY)->type, 0x0017);
    ck_assert_uint_eq(stun_attr_row(STUN_RESERVATION_TOKEN)->type, 0x0022);
    ck_assert_uint_eq(stun_type(STUN_METHOD_ALLOCATE, STUN_REQUEST), 0x0003);
    ck_assert_uint_eq(stun_type(STUN_METHOD_ALLOCATE, STUN_ERROR), 0x0113);
    ck_assert_uint_eq(stun_type(STUN_METHOD_DATA_INDICATION, STUN_INDICATION), 0x0017);
    ck_assert_uint_eq(stun_type(STUN_METHOD_CHANNEL_BIND, STUN_SUCCESS), 0x0109);
}
END_TEST

UNIT_MAIN("stun_msg", test_error_code_bounds, test_types_on_the_wire, test_rfc5769_request,
          test_rfc5769_responses, test_written_is_read_back, test_writer_error_sticks,
          test_every_class_and_method_survives, test_truncated_and_lying, test_first_of_repeated_counts,
          test_wrong_sizes_are_noticed, test_after_integrity_and_fingerprint,
          test_next_finds_all_before_integrity, test_list_of_unknown_is_bounded)
