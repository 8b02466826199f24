/* The byte queue against a model, and the cursors at their ends. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/wire.h"

START_TEST(test_queue)
{
    struct buf b;
    uint8_t chunk[700];
    size_t put = 0, got = 0;
    unsigned random = 12345;
    buf_init(&b, 5000);
    for (int i = 0; i < 5000; i++) {
        random = random * 1103515245 + 12345;
        size_t n = random >> 16 & 511;
        if (random & 1) {
            for (size_t k = 0; k < n; k++)
                chunk[k] = (uint8_t)(put + k);
            enum err e = buf_append(&b, chunk, n);
            ck_assert_int_eq(e, put - got + n > 5000 ? ERR_FULL : ERR_OK);
            put += e == ERR_OK ? n : 0;
        } else {
            n = n < buf_len(&b) ? n : buf_len(&b);
            bool right = true;
            for (size_t k = 0; k < n; k++)
                right &= buf_data(&b)[k] == (uint8_t)(got + k);
            ck_assert(right);
            buf_consume(&b, n);
            got += n;
        }
        ck_assert_uint_eq(buf_len(&b), put - got);
    }
    buf_free(&b);
    ck_assert_uint_eq(buf_len(&b), 0);
    ck_assert_int_eq(buf_printf(&b, "%s-%d", "x", 5), ERR_OK);
    ck_assert_mem_eq(buf_data(&b), "x-5", 3);
    buf_wipe(&b);
}
END_TEST

START_TEST(test_cursors)
{
    uint8_t memory[15];
    struct wire_writer w = wire_writer(memory, sizeof memory);
    wire_put_u8(&w, 1);
    wire_put_u16(&w, 0x0203);
    wire_put_u32(&w, 0x04050607);
    wire_put_u64(&w, 0x08090a0b0c0d0e0f);
    ck_assert_int_eq(w.err, ERR_OK);
    ck_assert_uint_eq(wire_written(&w), 15);
    wire_put_u8(&w, 0);
    ck_assert_int_eq(w.err, ERR_FULL);
    for (unsigned i = 0; i < sizeof memory; i++)
        ck_assert_uint_eq(memory[i], i + 1);
    struct wire_reader r = wire_reader(memory, sizeof memory);
    ck_assert_uint_eq(wire_get_u8(&r), 1);
    ck_assert_uint_eq(wire_get_u16(&r), 0x0203);
    ck_assert_uint_eq(wire_get_u32(&r), 0x04050607);
    ck_assert_uint_eq(wire_left(&r), 8);
    ck_assert_ptr_null(wire_get_bytes(&r, 9));
    ck_assert_int_eq(r.err, ERR_TRUNCATED);
    ck_assert_uint_eq(wire_get_u64(&r), 0);
    ck_assert_uint_eq(wire_left(&r), 0);
}
END_TEST

START_TEST(test_quote)
{
    char out[64];
    ck_assert_str_eq(log_quote("a\"b\\c\n\x7f", 7, out, sizeof out), "\"a\\\"b\\\\c\\x0a\\x7f\"");
    char small[16];
    log_quote("aaaaaaaaaaaaaaaaaaaaaaaa", 24, small, sizeof small);
    ck_assert_uint_lt(strlen(small), sizeof small);
    ck_assert_ptr_nonnull(strstr(small, "...\""));
}
END_TEST

START_TEST(test_limit)
{
    struct log_limit l = {0};
    unsigned dropped, allowed = 0;
    for (int i = 0; i < 100; i++)
        allowed += log_limit_allow(&l, 1000, 5, 10, &dropped);
    ck_assert_uint_eq(allowed, 5);
    ck_assert(log_limit_allow(&l, 1010, 5, 10, &dropped));
    ck_assert_uint_eq(dropped, 95);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buf");
    TCase *tc = tcase_create("buf");
    tcase_add_test(tc, test_queue);
    tcase_add_test(tc, test_cursors);
    tcase_add_test(tc, test_quote);
    tcase_add_test(tc, test_limit);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
