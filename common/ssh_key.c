#include "common/ssh_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/wire.h"

enum { KEY_BYTES = 32, KEY_BLOB_MAX = 512, PEM_LINE = 70 };

static const char key_type[] = "ssh-ed25519", comment[] = "stile";

static void put_string(struct wire_writer *w, const void *data, size_t n)
{
    wire_put_u32(w, (uint32_t)n);
    wire_put_bytes(w, data, n);
}

/* RFC 8709 §4 */
static size_t encode_public(const uint8_t public[KEY_BYTES], uint8_t out[KEY_BLOB_MAX])
{
    struct wire_writer w = wire_writer(out, KEY_BLOB_MAX);
    put_string(&w, key_type, sizeof key_type - 1);
    put_string(&w, public, KEY_BYTES);
    return wire_written(&w);
}

/* PROTOCOL.key, section 3: the part that a passphrase would encrypt. check is any number, twice. */
static size_t encode_secret(const uint8_t private[KEY_BYTES], const uint8_t public[KEY_BYTES], uint32_t check,
                            uint8_t out[KEY_BLOB_MAX])
{
    struct wire_writer w = wire_writer(out, KEY_BLOB_MAX);
    wire_put_u32(&w, check);
    wire_put_u32(&w, check);
    put_string(&w, key_type, sizeof key_type - 1);
    put_string(&w, public, KEY_BYTES);
    wire_put_u32(&w, 2 * KEY_BYTES);
    wire_put_bytes(&w, private, KEY_BYTES);
    wire_put_bytes(&w, public, KEY_BYTES);
    put_string(&w, comment, sizeof comment - 1);
    for (uint8_t pad = 1; wire_written(&w) % 8; pad++)
        wire_put_u8(&w, pad);
    return wire_written(&w);
}

static char *print_public(const uint8_t *blob, size_t n)
{
    char text[KEY_BLOB_MAX * 2], *line;
    EVP_EncodeBlock((unsigned char *)text, blob, (int)n);
    return asprintf(&line, "%s %s", key_type, text) < 0 ? NULL : line;
}

static char *print_private(const uint8_t *blob, size_t n)
{
    static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----\n",
                      end[] = "-----END OPENSSH PRIVATE KEY-----\n";
    char text[KEY_BLOB_MAX * 2],
        *pem = malloc(sizeof begin + sizeof text + sizeof text / PEM_LINE + sizeof end);
    size_t used = sizeof begin - 1;
    int length = EVP_EncodeBlock((unsigned char *)text, blob, (int)n);
    if (pem) {
        memcpy(pem, begin, used);
        for (int i = 0; i < length; i += PEM_LINE)
            used += (size_t)sprintf(pem + used, "%.*s\n", PEM_LINE, text + i);
        memcpy(pem + used, end, sizeof end);
    }
    OPENSSL_cleanse(text, sizeof text);
    return pem;
}

/* PROTOCOL.key, section 1: cipher and key derivation "none", one key. */
static enum err ssh_key_print(const uint8_t private[KEY_BYTES], const uint8_t public[KEY_BYTES],
                              uint32_t check, struct ssh_key *out)
{
    uint8_t public_blob[KEY_BLOB_MAX], secret[KEY_BLOB_MAX], all[KEY_BLOB_MAX];
    size_t n_public = encode_public(public, public_blob),
           n_secret = encode_secret(private, public, check, secret);
    struct wire_writer w = wire_writer(all, sizeof all);
    wire_put_bytes(&w, "openssh-key-v1", sizeof "openssh-key-v1"); /* with its NUL */
    put_string(&w, "none", 4);
    put_string(&w, "none", 4);
    put_string(&w, "", 0);
    wire_put_u32(&w, 1);
    put_string(&w, public_blob, n_public);
    put_string(&w, secret, n_secret);
    struct ssh_key k = {.private_pem = print_private(all, wire_written(&w)),
                        .public_line = print_public(public_blob, n_public)};
    OPENSSL_cleanse(secret, sizeof secret);
    OPENSSL_cleanse(all, sizeof all);
    if (!k.private_pem || !k.public_line) {
        ssh_key_free(&k);
        return ERR_MEMORY;
    }
    *out = k;
    return ERR_OK;
}

enum err ssh_key_make(struct ssh_key *out)
{
    uint8_t private[KEY_BYTES], public[KEY_BYTES];
    size_t n_private = sizeof private, n_public = sizeof public;
    uint32_t check;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    enum err e = ERR_SYSTEM;
    if (key && EVP_PKEY_get_raw_private_key(key, private, &n_private) == 1 &&
        EVP_PKEY_get_raw_public_key(key, public, &n_public) == 1 &&
        RAND_bytes((unsigned char *)&check, sizeof check) == 1)
        e = ssh_key_print(private, public, check, out);
    OPENSSL_cleanse(private, sizeof private);
    EVP_PKEY_free(key);
    return e;
}

/* PROTOCOL.key, section 1: behind the magic come the names of cipher and key derivation, its options, how
 * many keys there are, and the first one's public half. */
static char *read_public(const uint8_t *blob, size_t n)
{
    static const char magic[] = "openssh-key-v1"; /* with its NUL */
    struct wire_reader r = wire_reader(blob, n);
    const uint8_t *head = wire_get_bytes(&r, sizeof magic), *key;
    if (!head || memcmp(head, magic, sizeof magic) != 0)
        return NULL;
    for (int i = 0; i < 3; i++)
        wire_get_bytes(&r, wire_get_u32(&r));
    wire_get_u32(&r);
    uint32_t length = wire_get_u32(&r);
    key = wire_get_bytes(&r, length);
    return key && length <= KEY_BLOB_MAX ? print_public(key, length) : NULL;
}

char *ssh_key_public_of(const char *private_pem)
{
    static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
    char text[KEY_BLOB_MAX * 2] = "";
    uint8_t blob[KEY_BLOB_MAX * 2];
    size_t n = 0;
    if (strncmp(private_pem, begin, sizeof begin - 1) != 0)
        return NULL;
    for (const char *p = private_pem + sizeof begin - 1; *p && *p != '-' && n < sizeof text - 1; p++)
        if (*p != '\n' && *p != '\r')
            text[n++] = *p;
    int decoded = n > 0 && n % 4 == 0 ? EVP_DecodeBlock(blob, (const uint8_t *)text, (int)n) : -1;
    char *line = decoded > 0 ? read_public(blob, (size_t)decoded) : NULL;
    OPENSSL_cleanse(text, sizeof text);
    OPENSSL_cleanse(blob, sizeof blob);
    return line;
}

void ssh_key_free(struct ssh_key *k)
{
    file_wipe(k->private_pem);
    free(k->public_line);
    *k = (struct ssh_key){0};
}
