#include "proto/stun_crypto.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "common/fatal.h"

static const struct {
    const char *name;
    unsigned size;
} digests[] = {
#define X(name, words, size) {words, size},
    STUN_DIGEST_TABLE(X)
#undef X
};

static EVP_MAC_CTX *hmac_context(enum stun_digest d)
{
    static EVP_MAC_CTX *contexts[STUN_DIGESTS];
    if (contexts[d])
        return contexts[d];
    char name[8];
    strcpy(name, digests[d].name);
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                           OSSL_PARAM_construct_end()};
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    if (!context || !EVP_MAC_CTX_set_params(context, params))
        fatal("OpenSSL has no HMAC-%s", name);
    EVP_MAC_free(hmac);
    contexts[d] = context;
    return context;
}

void stun_hmac(enum stun_digest d, struct stun_bytes key, const struct stun_bytes *parts, size_t n,
               uint8_t *out)
{
    EVP_MAC_CTX *c = hmac_context(d);
    size_t len;
    int ok = EVP_MAC_init(c, key.at, key.len, NULL);
    for (size_t i = 0; i < n; i++)
        ok = ok && EVP_MAC_update(c, parts[i].at, parts[i].len);
    if (!ok || !EVP_MAC_final(c, out, &len, digests[d].size) || len != digests[d].size)
        fatal("HMAC failed");
}

enum err stun_digest(enum stun_digest d, const struct stun_bytes *parts, size_t n, uint8_t *out)
{
    static EVP_MD *algorithms[STUN_DIGESTS];
    static EVP_MD_CTX *context;
    unsigned len = 0;
    if (!algorithms[d])
        algorithms[d] = EVP_MD_fetch(NULL, digests[d].name, NULL);
    if (!context)
        context = EVP_MD_CTX_new();
    if (!algorithms[d] || !context)
        return ERR_SYSTEM;
    int ok = EVP_DigestInit_ex(context, algorithms[d], NULL);
    for (size_t i = 0; i < n; i++)
        ok = ok && EVP_DigestUpdate(context, parts[i].at, parts[i].len);
    return ok && EVP_DigestFinal_ex(context, out, &len) && len == digests[d].size ? ERR_OK : ERR_SYSTEM;
}
