/* Pinned host keys: the line, the comparison, the fingerprint that ssh-keygen shows. */
#include <string.h>

#include "core/tunnel/host_key.h"
#include "tests/unit/unit.h"

#define KEY "AAAAC3NzaC1lZDI1NTE5AAAAIMwrrzXgvBbHHJMxT0oo8pyOSPbIRSfYg5WtnU+tNqTs"

START_TEST(test_parse_and_compare)
{
    struct host_key a, b;
    ck_assert_int_eq(host_key_parse("ssh-ed25519 " KEY, &a), ERR_OK);
    ck_assert_uint_eq(a.len, 51);
    ck_assert_int_eq(host_key_parse("ssh-ed25519 " KEY " root@edge1\n", &b), ERR_OK);
    ck_assert(host_key_equal(&a, b.blob, b.len));
    b.blob[50] ^= 1;
    ck_assert(!host_key_equal(&a, b.blob, b.len));
    ck_assert(!host_key_equal(&a, a.blob, a.len - 1));
}
END_TEST

START_TEST(test_fingerprint)
{
    struct host_key k;
    char text[HOST_KEY_FINGERPRINT];
    ck_assert_int_eq(host_key_parse("ssh-ed25519 " KEY, &k), ERR_OK);
    ck_assert_str_eq(host_key_fingerprint(k.blob, k.len, text),
                     "SHA256:+HoGvnBolEJoXU4wRLTMGg7z/Zm8j9LrXx6QhArZD6c");
}
END_TEST

START_TEST(test_refused)
{
    static const char *const bad[] = {
        "",
        "ssh-ed25519",
        "ssh-ed25519 ",
        KEY,
        "ssh-rsa " KEY,
        "ssh-ed25519 not*base64==",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMwrrzXgvBbHHJMxT0oo8pyOSPbIRSfYg5WtnU+tNqT",
        /* a name of another type inside */
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE4AAAAIMwrrzXgvBbHHJMxT0oo8pyOSPbIRSfYg5WtnU+tNqTs",
        /* much too long */
        "ssh-ed25519 " KEY KEY KEY KEY,
    };
    struct host_key k = {.len = 7};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(host_key_parse(bad[i], &k) == ERR_MALFORMED, "%s", bad[i]);
        ck_assert_uint_eq(k.len, 7);
    }
}
END_TEST

UNIT_MAIN("host_key", test_parse_and_compare, test_fingerprint, test_refused)
