/* Bundles and secrets: what goes in comes out, and what is refused says why without telling a secret. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bundle.h"
#include "common/file.h"
#include "common/json_frame.h"
#include "common/seal.h"
#include "common/secrets.h"
#include "tests/unit/unit.h"

static char why[SCHEMA_WHY];

static struct bundle example(void)
{
    struct bundle b = {.id = "0123456789abcdef0123456789abcdef",
                       .edge = strdup("edge1"),
                       .config = strdup("{\"a\": \"\\u00fc\"}\n"),
                       .secrets = strdup("{\"s\": 5318008}"),
                       .host_key = strdup("-----BEGIN OPENSSH PRIVATE KEY-----\n"),
                       .created = 1000000,
                       .expires = 2000000,
                       .protocol = 7,
                       .version = "1.2.3"};
    return b;
}

static char *encode(const char *passphrase)
{
    struct bundle b = example();
    char *text = bundle_encode(&b, passphrase);
    ck_assert_ptr_nonnull(text);
    bundle_free(&b);
    return text;
}

static void is_example(const struct bundle *back)
{
    struct bundle b = example();
    ck_assert_str_eq(back->id, b.id);
    ck_assert_str_eq(back->edge, b.edge);
    ck_assert_str_eq(back->config, b.config);
    ck_assert_str_eq(back->secrets, b.secrets);
    ck_assert_str_eq(back->host_key, b.host_key);
    ck_assert_int_eq(back->protocol, 7);
    ck_assert_str_eq(back->version, "1.2.3");
    ck_assert(back->created == b.created && back->expires == b.expires);
    bundle_free(&b);
}

/* It is refused, with these words. */
static void refused(const char *text, const char *passphrase, time_t now, const char *words)
{
    struct bundle b;
    ck_assert_int_ne(bundle_decode("b", text, passphrase, now, &b, why), ERR_OK);
    ck_assert_msg(strstr(why, words) != NULL, "%s", why);
    ck_assert_msg(strstr(why, "5318008") == NULL, "it tells the secret: %s", why);
}

START_TEST(test_round_trip)
{
    struct bundle back;
    char *text = encode(NULL);
    ck_assert(!bundle_is_encrypted(text));
    ck_assert_msg(bundle_decode("b", text, NULL, 1500000, &back, why) == ERR_OK, "%s", why);
    is_example(&back);
    bundle_free(&back);
    refused(text, NULL, 2000000,
            "expired at 1970-01-24 03:33 UTC, and this box's clock says 1970-01-24 03:33 UTC");
    refused(text, NULL, 2000000, "stile-core edge renew edge1");
    refused(text, NULL, 999399, "made in the future");
    refused(text, NULL, 999399, "the clocks of the two boxes differ");
    for (size_t i = 0; i < strlen(text); i += 7) { /* one byte is another one */
        char was = text[i];
        text[i] = was == 'x' ? 'y' : 'x';
        ck_assert_int_ne(bundle_decode("b", text, NULL, 1500000, &back, why), ERR_OK);
        text[i] = was;
    }
    text[strlen(text) / 2] = '\0'; /* cut on its way */
    refused(text, NULL, 1500000, "copy it again");
    file_wipe(text);
}
END_TEST

START_TEST(test_encrypted)
{
    struct bundle back;
    char *text = encode("open sesame");
    ck_assert(bundle_is_encrypted(text));
    ck_assert_ptr_null(strstr(text, "5318008"));
    ck_assert_ptr_null(strstr(text, "PRIVATE KEY"));
    ck_assert_msg(bundle_decode("b", text, "open sesame", 1500000, &back, why) == ERR_OK, "%s", why);
    is_example(&back);
    bundle_free(&back);
    refused(text, "open barley", 1500000, "not its passphrase");
    refused(text, NULL, 1500000, "its passphrase is needed");
    refused(text, "open sesame", 2000000, "expired");
    char *expires = strstr(text, "2000000"); /* a longer life for it */
    ck_assert_ptr_nonnull(expires);
    *expires = '9';
    refused(text, "open sesame", 1500000, "damaged");
    file_wipe(text);
}
END_TEST

START_TEST(test_refused)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "not a Stile bundle"},
        {"[]", "not a Stile bundle"},
        {"{\"stile_bundle\":\"2\"}", "not a Stile bundle"},
        {"{\"stile_bundle\":1}", "update core, then make a new one"},
        {"{\"stile_bundle\":3}", "update this edge, then make a new one"},
        {"{\"stile_bundle\":2}", "damaged"},
        {"{\"stile_bundle\":2,\"check\":\"\"}", "damaged"},
        {"{\"stile_bundle\":2,\"check\":5}", "damaged"},
        {"{\"stile_bundle\":2,\"sealed\":\"stile-seal-1:00\"}", "its passphrase is needed"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        refused(rows[i].text, NULL, 1500000, rows[i].words);
    refused("{\"stile_bundle\":2,\"sealed\":\"stile-seal-1:00\"}", "a passphrase", 1500000, "damaged");
}
END_TEST

/* Anybody can write a bundle without a passphrase. */
START_TEST(test_of_a_stranger)
{
    struct bundle b = example();
    free(b.edge);
    b.edge = strdup("e\033]0;owned\a");
    char *text = bundle_encode(&b, NULL);
    refused(text, NULL, 2000000, "not a Stile bundle");
    ck_assert_msg(!strpbrk(why, "\033\a"), "%s", why);
    file_wipe(text);
    bundle_free(&b);
    enum { VALUES = 100000 };
    static char many[3 * VALUES + 64] = "{\"stile_bundle\":2,\"sealed\":\"x\",\"a\":[[]";
    size_t n = strlen(many);
    for (int i = 0; i < VALUES - 10; i++, n += 3)
        memcpy(many + n, ",[]", 3);
    strcpy(many + n, "]}");
    ck_assert(!bundle_is_encrypted(many));
    refused(many, "a passphrase", 1500000, "not a Stile bundle");
}
END_TEST

START_TEST(test_seal)
{
    char *sealed, *text;
    ck_assert_int_eq(seal_make("a passphrase", "bound", "", &sealed), ERR_OK);
    ck_assert_int_eq(seal_open("a passphrase", "bound", sealed, &text), ERR_OK);
    ck_assert_str_eq(text, "");
    file_wipe(text);
    free(sealed);
    ck_assert_int_eq(seal_make("a passphrase", "bound", "a secret", &sealed), ERR_OK);
    ck_assert_int_eq(seal_open("a passphrase", "other", sealed, &text), ERR_UNAUTHORIZED);
    ck_assert_int_eq(seal_open("a passphrases", "bound", sealed, &text), ERR_UNAUTHORIZED);
    for (size_t n = strlen(sealed); n-- > 0;) { /* cut anywhere */
        sealed[n] = '\0';
        if (n % 16 == 1)
            ck_assert_int_ne(seal_open("a passphrase", "bound", sealed, &text), ERR_OK);
    }
    free(sealed);
    ck_assert_int_eq(seal_open("p", "", "stile-seal-2:", &text), ERR_MALFORMED);
}
END_TEST

#define NONCE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

START_TEST(test_secrets)
{
    struct secrets s;
    const char *right =
        "{\"turn_users\":[{\"name\":\"u\",\"password\":\"p\"}],\"turn_nonce_key\":\"" NONCE "\"}";
    ck_assert_msg(secrets_parse("s", right, &s, why) == ERR_OK, "%s", why);
    ck_assert_uint_eq(s.turn_users.n, 1);
    ck_assert_str_eq(((struct secret_user *)s.turn_users.items)->password, "p");
    secrets_free(&s);
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"{\"turn_users\":[{\"name\":\"u\",\"password\":5318008}],\"turn_nonce_key\":\"" NONCE "\"}",
         "turn_users[0].password"},
        {"{\"turn_users\":[{\"name\":\"u\",\"password\":[\"5318008\"]}],\"turn_nonce_key\":\"" NONCE "\"}",
         "string"},
        {"{\"turn_users\":[{\"name\":\"u:v\",\"password\":\"5318008\"}],\"turn_nonce_key\":\"" NONCE "\"}",
         "no colon"},
        {"{\"turn_users\":{\"u\":\"5318008\"},\"turn_nonce_key\":\"" NONCE "\"}", "an array of objects"},
        {"{\"turn_users\":[\"u 5318008\"],\"turn_nonce_key\":\"" NONCE "\"}", "is not an object"},
        {"[\"5318008\"]", "is not an object"},
        {"{\"turn_users\":[{\"name\":\"u\",\"pasword\":\"5318008\"}],\"turn_nonce_key\":\"" NONCE "\"}",
         "unknown key"},
        {"{\"turn_shared_secrets\":[\"5318008\"],\"turn_nonce_key\":\"" NONCE "\"}",
         "turn_shared_secrets[0]"},
        {"{\"turn_shared_secrets\":\"5318008\",\"turn_nonce_key\":\"" NONCE "\"}", "an array of strings"},
        {"{\"turn_users\":[],\"turn_nonce_key\":\"5318008\"}", "64 hex digits"},
        {"{\"turn_users\":[],\"turn_nonce_key\":\"5318008}", "not valid JSON"},
        {"{\"turn_users\":[]}", "missing"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_assert_int_eq(secrets_parse("s", rows[i].text, &s, why), ERR_CONFIG);
        ck_assert_msg(strstr(why, rows[i].words) != NULL, "row %zu: %s", i, why);
        ck_assert_msg(strstr(why, "5318008") == NULL, "row %zu tells the secret: %s", i, why);
    }
}
END_TEST

/* Frames whose values would take far more memory than they have bytes. */
START_TEST(test_frames_of_many_values)
{
    enum { MOST = 65536 };
    static char text[MOST + 4];
    size_t n = 0, used;
    json_t *msg;
    n += (size_t)sprintf(text + 4, "{\"type\":\"x\",\"a\":[{}");
    while (n + 5 < MOST)
        n += (size_t)sprintf(text + 4 + n, ",{}");
    n += (size_t)sprintf(text + 4 + n, "]}");
    memcpy(text, ((uint8_t[]){0, 0, (uint8_t)(n >> 8), (uint8_t)n}), 4);
    ck_assert_int_eq(json_frame_decode((uint8_t *)text, n + 4, MOST, &used, &msg), ERR_MALFORMED);
    ck_assert_int_eq(json_frame_decode((uint8_t *)text, n + 4, 16 * MOST, &used, &msg), ERR_OK);
    json_decref(msg);
    n = (size_t)sprintf(text + 4, "{\"type\":\"x\",\"a\":\""); /* commas in a string are no values */
    memset(text + 4 + n, ',', 60000);
    n += 60000 + (size_t)sprintf(text + 4 + n + 60000, "\"}");
    memcpy(text, ((uint8_t[]){0, 0, (uint8_t)(n >> 8), (uint8_t)n}), 4);
    ck_assert_int_eq(json_frame_decode((uint8_t *)text, n + 4, MOST, &used, &msg), ERR_OK);
    json_decref(msg);
}
END_TEST

UNIT_MAIN("bundle", test_round_trip, test_encrypted, test_refused, test_of_a_stranger, test_seal, test_secrets,
          test_frames_of_many_values)
