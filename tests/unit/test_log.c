/* What strangers chose, quoted for the log: never more than there is room for, wherever it is cut. */
#include <check.h>
#include <string.h>

#include "common/log.h"
#include "tests/unit/unit.h"

START_TEST(test_quote)
{
    char out[32];
    ck_assert_str_eq(log_quote("a b", 3, out, sizeof out), "\"a b\"");
    ck_assert_str_eq(log_quote("\"\\\n\x80", 4, out, sizeof out), "\"\\\"\\\\\\x0a\\x80\"");
    ck_assert_str_eq(log_quote("", 0, out, sizeof out), "\"\"");
    ck_assert_str_eq(log_quote("0123456789012345678901234567890", 31, out, sizeof out), "\"01234567890123456789012...\"");
}
END_TEST

/* Bytes that take one, two and four places, in each order, into each size. */
START_TEST(test_quote_stays_within)
{
    static const char kinds[] = {'a', '"', '\n'};
    enum { LONG = 24, MOST = 48 };
    for (unsigned mix = 0; mix < 27 * 27; mix++) {
        char value[LONG], out[MOST + 1];
        for (unsigned i = 0, left = mix; i < LONG; i++, left = left / 3 ? left / 3 : mix)
            value[i] = kinds[left % 3];
        for (size_t size = 0; size <= MOST; size++) {
            memset(out, '#', sizeof out);
            log_quote(value, sizeof value, out, size);
            ck_assert_msg(out[size] == '#', "mix %u: written behind %zu bytes", mix, size);
            ck_assert(size == 0 || memchr(out, '\0', size) != NULL);
        }
    }
}
END_TEST

UNIT_MAIN("log", test_quote, test_quote_stays_within)
