/* Times to live in DNS messages, whole and cut. */
#include "core/bridge/dns_answer.h"
#include "tests/unit/unit.h"

/* _cms-web._tls.a SRV: 10 5 443 b1.a with 300 s, 20 5 443 b2.a with 60 s; names compressed. */
static const uint8_t message[] = {
    0x12, 0x34, 0x81, 0x80, 0,   1,   0,   2,   0,    0,    0,   0,                        /* header */
    8,    '_',  'c',  'm',  's', '-', 'w', 'e', 'b',  4,    '_', 't', 'l', 's', 1, 'a', 0, /* question */
    0,    33,   0,    1,                                                                   /* SRV, IN */
    0xc0, 12,   0,    33,   0,   1,   0,   0,   0x01, 0x2c, 0,   12,  0,   10,  0, 5,   0x01,
    0xbb, 2,    'b',  '1',  1,   'a', 0, /* 300 s */
    0xc0, 12,   0,    33,   0,   1,   0,   0,   0,    60,   0,   12,  0,   20,  0, 5,   0x01,
    0xbb, 2,    'b',  '2',  1,   'a', 0, /* 60 s */
};

START_TEST(test_smallest)
{
    ck_assert_uint_eq(dns_answer_ttl(message, sizeof message, 3600), 60);
    ck_assert_uint_eq(dns_answer_ttl(message, sizeof message, 7), 60);
}
END_TEST

START_TEST(test_cut_anywhere)
{
    for (size_t n = 0; n < sizeof message; n++)
        ck_assert_uint_eq(dns_answer_ttl(message, n, 3600), 3600);
}
END_TEST

START_TEST(test_no_answer)
{
    static const uint8_t none[] = {0, 0, 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 33, 0, 1};
    static const uint8_t bad_label[] = {0, 0, 0x81, 0x80, 0, 0, 0, 1, 0, 0, 0, 0, 0x80, 1, 2, 3};
    ck_assert_uint_eq(dns_answer_ttl(none, sizeof none, 3600), 3600);
    ck_assert_uint_eq(dns_answer_ttl(bad_label, sizeof bad_label, 3600), 3600);
}
END_TEST

UNIT_MAIN("dns_answer", test_smallest, test_cut_anywhere, test_no_answer)
