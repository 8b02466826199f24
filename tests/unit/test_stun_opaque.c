#include <string.h>

#include "proto/stun_opaque.h"
#include "tests/unit/unit.h"

START_TEST(test_what_stays)
{
    static const char *const texts[] = {
        "apple", "with space", "p\u00e4ssw\u00f6rt", "\u30DE\u30C8\u30EA", "\U0001F511", ":", "\"quoted\""};
    char out[64];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ck_assert_int_eq(stun_opaque(texts[i], out, sizeof out), ERR_OK);
        ck_assert_str_eq(out, texts[i]);
    }
}
END_TEST

/* RFC 8265 §4.2.2: non-ASCII space is mapped to ASCII space. */
START_TEST(test_spaces)
{
    char out[64];
    ck_assert_int_eq(stun_opaque("a\u00a0b\u3000c\u2003d\u202fe\u1680f\u205fg", out, sizeof out), ERR_OK);
    ck_assert_str_eq(out, "a b c d e f g");
}
END_TEST

START_TEST(test_what_is_refused)
{
    static const char *const texts[] = {
        "",
        "tab\there",
        "line\n",
        "\x7f",
        "\xc2\x85", /* C1 */
        "\xc0\x80",         /* longer than need be */
        "\xed\xa0\x80",     /* surrogate */
        "\xf4\x90\x80\x80", /* behind the last one */
        "\xff",
        "cut\xe3\x83",
        "\x80",
        "\xef\xbf\xbf", /* U+FFFF */
        "\xef\xb7\x90", /* U+FDD0 */
    };
    char out[64] = "as it was";
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ck_assert_msg(stun_opaque(texts[i], out, sizeof out) == ERR_CONFIG, "%zu", i);
}
END_TEST

START_TEST(test_length)
{
    char out[5];
    ck_assert_int_eq(stun_opaque("four", out, sizeof out), ERR_OK);
    ck_assert_int_eq(stun_opaque("fives", out, sizeof out), ERR_TOO_LONG);
    ck_assert_int_eq(stun_opaque("\u30DE\u30C8", out, sizeof out), ERR_TOO_LONG);
    ck_assert_int_eq(stun_opaque("a\u3000b\u3000", out, sizeof out), ERR_OK); /* spaces get shorter */
    ck_assert_str_eq(out, "a b ");
}
END_TEST

UNIT_MAIN("stun_opaque", test_what_stays, test_spaces, test_what_is_refused, test_length)
