/* Strangers' words: whole characters, no control characters, always UTF-8. */
#include <check.h>
#include <jansson.h>
#include <string.h>

#include "common/text.h"
#include "tests/unit/unit.h"

START_TEST(test_copy)
{
    static const struct {
        const char *in, *out;
        size_t size;
    } rows[] = {
        {"plain", "plain", 16},
        {"plain", "pla", 4},
        {"plain", "", 1},
        {NULL, "", 4},
        {"a\nb\033[2Jc\x7f", "a?b?[2Jc?", 32},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", 8},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc", 6}, /* cut between characters */
        {"\xc2\x9b"
         "31m",
         "?31m", 16}, /* C1: CSI */
        {"\xe2\x82\xac\xf0\x9f\x98\x80", "\xe2\x82\xac\xf0\x9f\x98\x80", 16},
        {"\xc0\xaf\xe0\x80\x80", "?????", 16}, /* overlong */
        {"\xed\xa0\x80", "???", 16},           /* surrogate */
        {"\xf4\x90\x80\x80", "????", 16},      /* above U+10FFFF */
        {"\xc3", "?", 16},
        {"\xe2\x82", "??", 16},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[64];
        memset(out, 'x', sizeof out);
        ck_assert_str_eq(text_copy(out, rows[i].size, rows[i].in), rows[i].out);
        json_t *json = json_string(out);
        ck_assert_msg(json != NULL, "row %zu is not UTF-8", i);
        json_decref(json);
    }
}
END_TEST

START_TEST(test_disarm)
{
    char s[] = "one\ntwo\x1b\x7f\xc3\xbc";
    text_disarm(s, strlen(s));
    ck_assert_str_eq(s, "one?two??\xc3\xbc");
}
END_TEST

UNIT_MAIN("text", test_copy, test_disarm)
