#include <string.h>

#include "proto/stun_ephemeral.h"
#include "tests/unit/unit.h"

static bool parse(const char *name, struct stun_ephemeral *e)
{
    return stun_ephemeral_parse((const uint8_t *)name, strlen(name), e);
}

/* Computed with openssl dgst -sha1 -hmac, and base64. */
START_TEST(test_password)
{
    char password[STUN_EPHEMERAL_PASSWORD + 1];
    stun_ephemeral_password("north", "1700000000:alice", 16, password);
    ck_assert_str_eq(password, "Cd/49soE35ICqcJF/bCTn8Z4OyE=");
    stun_ephemeral_password("north", "1700000000:alice:and more", 16, password);
    ck_assert_str_eq(password, "Cd/49soE35ICqcJF/bCTn8Z4OyE=");
    stun_ephemeral_password("south", "1700000000:alice", 16, password);
    ck_assert_str_eq(password, "FJeNoC0yJtNekwCa5JT/sW/1Ls4=");
}
END_TEST

START_TEST(test_names)
{
    static const struct {
        const char *name;
        uint64_t ends;
        const char *whose;
    } rows[] = {
        {"1700000000:alice", 1700000000, ":alice"},
        {"1700000000:alice:phone", 1700000000, ":alice:phone"},
        {"1700000000::", 1700000000, "::"},
        {"1700000000", 1700000000, "1700000000"},
        {"1700000000:", 1700000000, "1700000000:"},
        {"1:\u00fc", 1, ":\u00fc"},
        {"999999999999999999:a", 999999999999999999, ":a"},
    };
    struct stun_ephemeral e;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert_msg(parse(rows[i].name, &e), "%s", rows[i].name);
        ck_assert_uint_eq(e.ends, rows[i].ends);
        ck_assert_uint_eq(e.whose_len, strlen(rows[i].whose));
        ck_assert_mem_eq(e.whose, rows[i].whose, e.whose_len);
    }
}
END_TEST

START_TEST(test_names_that_are_none)
{
    static const char *const names[] = {
        "",
        "alice",
        ":alice",
        "1700000000alice",
        "alice:1700000000",
        "-1:alice",
        "+1:alice",
        " 1:alice",
        "0:alice",
        "01700000000:alice" /* another way to write the same time */,
        "1000000000000000000:a" /* too long */,
        "99999999999999999999999999:a",
        "1700000000:a\nb",
        "1700000000:\x7f",
    };
    struct stun_ephemeral e;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ck_assert_msg(!parse(names[i], &e), "%s", names[i]);
    ck_assert(!stun_ephemeral_parse((const uint8_t *)"1700000000:a\0b", 14, &e));
}
END_TEST

UNIT_MAIN("stun_ephemeral", test_password, test_names, test_names_that_are_none)
