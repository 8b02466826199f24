#include "core/tunnel/host_key.h"

#include <openssl/evp.h>
#include <stdio.h>
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
