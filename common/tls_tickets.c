#include "common/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <string.h>

#include "common/fatal.h"

enum { KEY_BYTES = TLS_TICKET_NAME + 2 * TLS_TICKET_SECRET };

_Static_assert(sizeof(struct tls_ticket_key) == KEY_BYTES, "a key is its bytes");

void tls_tickets_rotate(struct tls_tickets *t)
{
    memmove(&t->keys[1], &t->keys[0], (TLS_TICKETS_KEPT - 1) * sizeof t->keys[0]);
    REQUIRE(RAND_bytes((unsigned char *)&t->keys[0], KEY_BYTES) == 1);
    t->n += t->n < TLS_TICKETS_KEPT;
}

void tls_tickets_wipe(struct tls_tickets *t)
{
    OPENSSL_cleanse(t, sizeof *t);
}

const char *tls_tickets_print(const struct tls_tickets *t, char out[TLS_TICKETS_HEX])
{
    size_t n = 0;
    *out = '\0';
    if (t->n)
        REQUIRE(OPENSSL_buf2hexstr_ex(out, TLS_TICKETS_HEX, &n, (const unsigned char *)t->keys,
                                      t->n * KEY_BYTES, '\0') == 1);
    return out;
}

enum err tls_tickets_parse(const char *hex, struct tls_tickets *t)
{
    struct tls_tickets read = {0};
    size_t n = 0;
    if (strlen(hex) % (2 * KEY_BYTES) != 0 || strlen(hex) >= TLS_TICKETS_HEX || !*hex ||
        OPENSSL_hexstr2buf_ex((unsigned char *)read.keys, sizeof read.keys, &n, hex, '\0') != 1)
        return ERR_MALFORMED;
    read.n = n / KEY_BYTES;
    *t = read;
    tls_tickets_wipe(&read);
    return ERR_OK;
}

/* OpenSSL asks ------------------------------------------------------------------------------------------ */

enum {
    TICKET_FAILED = -1,
    TICKET_UNKNOWN = 0,
    TICKET_USED = 1,
    TICKET_RENEW = 2
}; /* as it wants the answers */

static int ctx_index(void)
{
    static int index = -1;
    if (index < 0)
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    return index;
}

static bool key_apply(const struct tls_ticket_key *k, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      EVP_MAC_CTX *mac, int seal)
{
    char digest[] = "sha256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)k->hmac, sizeof k->hmac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
    return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->aes, iv, seal) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int seal)
{
    const struct tls_tickets *t = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), ctx_index());
    if (seal) {
        if (t->n == 0)
            return TICKET_UNKNOWN; /* goes without one */
        memcpy(name, t->keys[0].name, TLS_TICKET_NAME);
        return RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 &&
                       key_apply(&t->keys[0], iv, cipher, mac, 1)
                   ? TICKET_USED
                   : TICKET_FAILED;
    }
    for (size_t i = 0; i < t->n; i++)
        if (memcmp(name, t->keys[i].name, TLS_TICKET_NAME) == 0)
            return !key_apply(&t->keys[i], iv, cipher, mac, 0) ? TICKET_FAILED
                   : i == 0                                    ? TICKET_USED
                                                               : TICKET_RENEW;
    return TICKET_UNKNOWN;
}

enum err tls_tickets_use(SSL_CTX *ctx, const struct tls_tickets *t)
{
    return SSL_CTX_set_ex_data(ctx, ctx_index(), (void *)(uintptr_t)t) == 1 &&
                   SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) == 1
               ? ERR_OK
               : ERR_TLS;
}
