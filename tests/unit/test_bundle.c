/* Bundles and secrets: what goes in comes out, and what is refused says why without telling a secret. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bundle.h"
#include "common/file.h"
#include "common/json_frame.h"
#include "common/secrets.h"
#include "tests/unit/unit.h"

static char why[SCHEMA_WHY];

START_TEST(test_round_trip)
{
    struct bundle b = {.edge = strdup("edge1"),
                       .config = strdup("{\"a\": \"\\u00fc\"}\n"),
                       .secrets = strdup("{}"),
                       .host_key = strdup("-----BEGIN OPENSSH PRIVATE KEY-----\n"),
                       .created = 1000,
                       .expires = 2000},
                  back;
    char *text = bundle_encode(&b);
    ck_assert_ptr_nonnull(text);
    ck_assert_msg(bundle_decode("b", text, 1500, &back, why) == ERR_OK, "%s", why);
    ck_assert_str_eq(back.edge, b.edge);
    ck_assert_str_eq(back.config, b.config);
    ck_assert_str_eq(back.secrets, b.secrets);
    ck_assert_str_eq(back.host_key, b.host_key);
    bundle_free(&back);
    ck_assert_int_eq(bundle_decode("b", text, 2000, &back, why), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(why, "expired"));
    ck_assert_int_eq(bundle_decode("b", text, 399, &back, why), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(why, "future"));
    text[strlen(text) / 2] = '\0'; /* cut on its way */
    ck_assert_int_eq(bundle_decode("b", text, 1500, &back, why), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(why, "copy it again"));
    file_wipe(text);
    bundle_free(&b);
}
END_TEST

START_TEST(test_refused)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "not a Stile bundle"},
        {"[]", "not a Stile bundle"},
        {"{\"stile_bundle\":2}", "update the older"},
        {"{\"stile_bundle\":1}", "expired"},
        {"{\"stile_bundle\":1,\"expires\":9999}", "missing"},
        {"{\"stile_bundle\":1,\"expires\":9999,\"edge\":\"e\",\"config\":\"{}\",\"secrets\":\"{}\"}",
         "missing"},
        {"{\"stile_bundle\":1,\"expires\":9999,\"edge\":\"e\",\"config\":\"{}\",\"secrets\":\"{}\",\"host_"
         "key\":\"x\"}",
         "missing"},
        {"{\"stile_bundle\":1,\"expires\":9999,\"edge\":5,\"config\":\"{}\",\"secrets\":\"{}\",\"host_key\":"
         "\"-----BEGIN \"}",
         "missing"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bundle b;
        ck_assert_int_eq(bundle_decode("b", rows[i].text, 1500, &b, why), ERR_CONFIG);
        ck_assert_msg(strstr(why, rows[i].words) != NULL, "row %zu: %s", i, why);
    }
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
        {"{\"turn_users\":[{\"name\":\"u\",\"pasword\":\"5318008\"}],\"turn_nonce_key\":\"" NONCE "\"}",
         "unknown key"},
        {"{\"turn_shared_secrets\":[\"5318008\"],\"turn_nonce_key\":\"" NONCE "\"}", "turn_shared_secrets[0]"},
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

UNIT_MAIN("bundle", test_round_trip, test_refused, test_secrets, test_frames_of_many_values)
