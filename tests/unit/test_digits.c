/* Numbers without printf are the numbers that printf writes. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/digits.h"
#include "tests/unit/unit.h"

START_TEST(test_decimal)
{
    static const uint64_t numbers[] = {0, 9, 10, 1024, 4294967295u, 9223372036854775807u, UINT64_MAX};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char text[DIGITS_MAX + 1], expected[32];
        memset(text, '!', sizeof text);
        *digits_put(text, numbers[i]) = '\0';
        snprintf(expected, sizeof expected, "%" PRIu64, numbers[i]);
        ck_assert_str_eq(text, expected);
    }
}
END_TEST

START_TEST(test_hexadecimal)
{
    char text[17] = "";
    ck_assert_ptr_eq(digits_put_hex(text, 0x0123456789abcdef, 16), text + 16);
    ck_assert_str_eq(text, "0123456789abcdef");
    digits_put_hex(text, 0x1fffffffe, 8);
    ck_assert_str_eq(text, "fffffffe89abcdef");
}
END_TEST

START_TEST(test_status)
{
    char text[4] = "";
    ck_assert_ptr_eq(digits_put_status(text, 204), text + 3);
    ck_assert_str_eq(text, "204");
    digits_put_status(text, 7);
    ck_assert_str_eq(text, "007");
}
END_TEST

UNIT_MAIN("digits", test_decimal, test_hexadecimal, test_status)
