#include "common/secrets.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"

static const char *check_user(const char *name)
{
    return *name && strlen(name) <= 500 && !strchr(name, ':') ? NULL
                                                              : "a user name: 1 to 500 bytes, no colon";
}

static const char *check_password(const char *password)
{
    return *password && strlen(password) <= 500 ? NULL : "a password of 1 to 500 bytes";
}

static const char *check_nonce_key(const char *key)
{
    return strlen(key) == 64 && strspn(key, "0123456789abcdef") == 64 ? NULL : "64 hex digits";
}

static const char *check_shared_secret(const char *secret)
{
    return strlen(secret) >= 8 && strlen(secret) <= 1024 ? NULL : "a secret of 8 to 1024 bytes";
}

static const struct schema_row user_rows[] = {
    {"name", SCHEMA_STRING, offsetof(struct secret_user, name), .required = true, .check = check_user,
     .help = "TURN user name"},
    {"password", SCHEMA_STRING, offsetof(struct secret_user, password), .required = true, .secret = true,
     .check = check_password, .help = "its password"},
    SCHEMA_END};

static const struct schema_row rows[] = {
    {"turn_users", SCHEMA_OBJECTS, offsetof(struct secrets, turn_users), .max = 100000, .rows = user_rows,
     .size = sizeof(struct secret_user), .help = "long-term TURN credentials"},
    {"turn_shared_secrets", SCHEMA_STRINGS, offsetof(struct secrets, turn_shared_secrets), .max = 8,
     .secret = true, .check = check_shared_secret,
     .help = "secrets of TURN credentials that end, the newest first"},
    {"turn_nonce_key", SCHEMA_STRING, offsetof(struct secrets, turn_nonce_key), .required = true,
     .secret = true, .check = check_nonce_key, .help = "key of the TURN nonces"},
    SCHEMA_END};

enum err secrets_parse(const char *name, const char *text, struct secrets *out, char *why)
{
    struct schema_source source = {.file = name, .text = text, .secret = true};
    struct secrets s = {0};
    json_error_t error;
    s.json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!s.json)
        return schema_not_json(&source, &error, why);
    enum err e = schema_read(&source, s.json, rows, &s, why);
    if (e != ERR_OK) {
        secrets_free(&s);
        return e;
    }
    *out = s;
    return ERR_OK;
}

enum err secrets_load(const char *path, struct secrets *out, char *why)
{
    char *text;
    enum err e = file_read_secret(path, 64 * 1024 * 1024, &text, NULL, why, SCHEMA_WHY);
    if (e != ERR_OK)
        return e;
    e = secrets_parse(path, text, out, why);
    file_wipe(text);
    return e;
}

void secrets_free(struct secrets *s)
{
    struct secret_user *users = s->turn_users.items;
    for (size_t i = 0; i < s->turn_users.n; i++)
        if (users[i].password)
            OPENSSL_cleanse(users[i].password, strlen(users[i].password));
    for (size_t i = 0; i < s->turn_shared_secrets.n; i++)
        if (s->turn_shared_secrets.items[i])
            OPENSSL_cleanse(s->turn_shared_secrets.items[i], strlen(s->turn_shared_secrets.items[i]));
    if (s->turn_nonce_key)
        OPENSSL_cleanse(s->turn_nonce_key, strlen(s->turn_nonce_key));
    schema_free(rows, s);
    json_decref(s->json);
    *s = (struct secrets){0};
}

bool secrets_digest_json(const json_t *shared_secrets, const json_t *nonce_key, char out[SECRETS_DIGEST])
{
    unsigned char digest[32];
    json_t *both = json_pack("[O,O]", shared_secrets, nonce_key);
    char *text = both ? json_dumps(both, JSON_COMPACT) : NULL;
    bool done = text && EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; i < sizeof digest && done; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    file_wipe(text);
    json_decref(both);
    return done;
}

bool secrets_digest(const struct secrets *s, char out[SECRETS_DIGEST])
{
    json_t *shared = schema_strings_json(&s->turn_shared_secrets),
           *nonce_key = json_string(s->turn_nonce_key ? s->turn_nonce_key : "");
    bool done = shared && nonce_key && secrets_digest_json(shared, nonce_key, out);
    json_decref(shared);
    json_decref(nonce_key);
    return done;
}
