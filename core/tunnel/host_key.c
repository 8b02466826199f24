#include "core/tunnel/host_key.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire.h"

static const char type_name[] = "ssh-ed25519";
enum { ED25519_KEY = 32, SHA256_BYTES = 32 };

static enum err host_key_decode(const char *text, size_t n, struct host_key *out)
{
    uint8_t raw[HOST_KEY_MAX + 8];
    size_t padding = 0;
    if (n == 0 || n % 4 || n / 4 * 3 > sizeof raw)
        return ERR_MALFORMED;
    while (padding < 2 && text[n - 1 - padding] == '=')
        padding++;
    int len = EVP_DecodeBlock(raw, (const uint8_t *)text, (int)n);
    if (len < 0 || (size_t)len < padding || (size_t)len - padding > HOST_KEY_MAX)
        return ERR_MALFORMED;
    out->len = (size_t)len - padding;
    memcpy(out->blob, raw, out->len);
    return ERR_OK;
}

static bool host_key_is_ed25519(const struct host_key *k)
{
    struct wire_reader r = wire_reader(k->blob, k->len);
    uint32_t n = wire_get_u32(&r);
    const uint8_t *name = wire_get_bytes(&r, n);
    if (!name || n != sizeof type_name - 1 || memcmp(name, type_name, n) != 0)
        return false;
    n = wire_get_u32(&r);
    return n == ED25519_KEY && wire_get_bytes(&r, n) && wire_left(&r) == 0;
}

enum err host_key_parse(const char *line, struct host_key *out)
{
    struct host_key k = {.len = 0};
    size_t name = sizeof type_name - 1;
    if (strncmp(line, type_name, name) != 0 || line[name] != ' ')
        return ERR_MALFORMED;
    line += name + 1;
    enum err e = host_key_decode(line, strcspn(line, " \t\r\n"), &k);
    if (e == ERR_OK && !host_key_is_ed25519(&k))
        e = ERR_MALFORMED;
    if (e == ERR_OK)
        *out = k;
    return e;
}

bool host_key_equal(const struct host_key *k, const uint8_t *blob, size_t len)
{
    return k->len == len && memcmp(k->blob, blob, len) == 0;
}

const char *host_key_fingerprint(const uint8_t *blob, size_t len, char *text)
{
    uint8_t digest[SHA256_BYTES];
    char base64[48];
    if (!EVP_Digest(blob, len, digest, NULL, EVP_sha256(), NULL)) {
        snprintf(text, HOST_KEY_FINGERPRINT, "SHA256:?");
        return text;
    }
    EVP_EncodeBlock((uint8_t *)base64, digest, sizeof digest);
    base64[strcspn(base64, "=")] = '\0';
    snprintf(text, HOST_KEY_FINGERPRINT, "SHA256:%s", base64);
    return text;
}

const char *host_key_line(const uint8_t *blob, size_t len, char *text)
{
    int n = snprintf(text, HOST_KEY_LINE, "%s ", type_name);
    if (len <= HOST_KEY_MAX)
        EVP_EncodeBlock((uint8_t *)text + n, blob, (int)len);
    return text;
}

/* Several of them -----------------------------------------------------------------------------------------
 */

static enum err rule_read(const json_t *json, struct host_key_rule *rule)
{
    const char *line = json_string_value(json_is_string(json) ? json : json_object_get(json, "key"));
    const char *words = json_string_value(json_object_get(json, "words"));
    if (!line || host_key_parse(line, &rule->key) != ERR_OK)
        return ERR_MALFORMED;
    rule->until = json_integer_value(json_object_get(json, "until"));
    rule->words = words ? strdup(words) : NULL;
    return words && !rule->words ? ERR_MEMORY : ERR_OK;
}

enum err host_keys_parse(const json_t *list, struct host_keys *out)
{
    struct host_keys k = {.n = json_array_size(list)};
    if (k.n == 0)
        return ERR_MALFORMED;
    k.rules = calloc(k.n, sizeof *k.rules);
    enum err e = k.rules ? ERR_OK : ERR_MEMORY;
    for (size_t i = 0; i < k.n && e == ERR_OK; i++)
        e = rule_read(json_array_get(list, i), &k.rules[i]);
    if (e != ERR_OK) {
        host_keys_free(&k);
        return e;
    }
    host_keys_free(out);
    *out = k;
    return ERR_OK;
}

void host_keys_free(struct host_keys *k)
{
    for (size_t i = 0; k->rules && i < k->n; i++)
        free(k->rules[i].words);
    free(k->rules);
    *k = (struct host_keys){0};
}

static bool rule_accepts(const struct host_key_rule *r, int64_t now)
{
    return !r->words || (r->until && now < r->until);
}

/* The first one that counts, for the message; NULL: there is none. */
static const struct host_key_rule *keys_expected(const struct host_keys *k, int64_t now)
{
    for (size_t i = 0; i < k->n; i++)
        if (rule_accepts(&k->rules[i], now))
            return &k->rules[i];
    return NULL;
}

bool host_keys_judge(const struct host_keys *k, const uint8_t *blob, size_t len, int64_t now, char *words)
{
    char expected[HOST_KEY_FINGERPRINT] = "none", got[HOST_KEY_FINGERPRINT];
    for (size_t i = 0; i < k->n; i++) {
        const struct host_key_rule *r = &k->rules[i];
        if (!host_key_equal(&r->key, blob, len))
            continue;
        if (rule_accepts(r, now))
            return true;
        snprintf(words, HOST_KEY_WORDS, "wrong host key: %s", r->words);
        return false;
    }
    const struct host_key_rule *right = keys_expected(k, now);
    if (right)
        host_key_fingerprint(right->key.blob, right->key.len, expected);
    host_key_fingerprint(blob, len, got);
    snprintf(words, HOST_KEY_WORDS, "host key changed: expected %s, got %s", expected, got);
    return false;
}
