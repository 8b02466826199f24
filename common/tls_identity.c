#include "common/tls_identity.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/netaddr.h"
#include "common/tls.h"

/* PEM -------------------------------------------------------------------------------------------------- */

static int refuse_password(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return -1; /* a key with a passphrase is an error, never a prompt */
}

static bool read_chain(const char *pem, struct tls_identity *id)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *x;
    id->chain = sk_X509_new_null();
    id->leaf = bio ? PEM_read_bio_X509_AUX(bio, NULL, refuse_password, NULL) : NULL;
    bool ok = id->leaf && id->chain;
    while (ok && (x = PEM_read_bio_X509(bio, NULL, refuse_password, NULL)) != NULL)
        if (sk_X509_push(id->chain, x) <= 0) {
            X509_free(x);
            ok = false;
        }
    /* "No start line" marks the end of the text; any other error is a certificate that is damaged. */
    ok = ok && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (ok)
        ERR_clear_error();
    BIO_free(bio);
    return ok;
}

static bool read_key(const char *pem, struct tls_identity *id)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    id->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, refuse_password, NULL) : NULL;
    BIO_free(bio);
    if (!id->key)
        return false;
    ERR_clear_error(); /* kinds of keys that were tried before the right one */
    return X509_check_private_key(id->leaf, id->key) == 1;
}

enum err tls_identity_read(const char *cert_pem, const char *key_pem, struct tls_identity *out, char *why,
                           size_t why_size)
{
    struct tls_identity id = {0};
    char words[256];
    ERR_clear_error();
    bool certificate = read_chain(cert_pem, &id);
    if (certificate && (!key_pem || read_key(key_pem, &id))) {
        *out = id;
        return ERR_OK;
    }
    snprintf(why, why_size, "%s: %s", certificate ? "private key" : "certificate",
             tls_words(NULL, words, sizeof words));
    tls_identity_free(&id);
    return ERR_TLS;
}

void tls_identity_free(struct tls_identity *id)
{
    X509_free(id->leaf);
    sk_X509_pop_free(id->chain, X509_free);
    EVP_PKEY_free(id->key);
    *id = (struct tls_identity){0};
}

char *tls_identity_pem(const struct tls_identity *id)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    char *data, *text = NULL;
    bool ok = bio && PEM_write_bio_X509(bio, id->leaf) == 1;
    for (int i = 0; ok && i < sk_X509_num(id->chain); i++)
        ok = PEM_write_bio_X509(bio, sk_X509_value(id->chain, i)) == 1;
    ok = ok && PEM_write_bio_PKCS8PrivateKey(bio, id->key, NULL, NULL, 0, NULL, NULL) == 1;
    long n = ok ? BIO_get_mem_data(bio, &data) : 0;
    if (n > 0)
        text = strndup(data, (size_t)n);
    BIO_free(bio);
    return text;
}

/* Stapling --------------------------------------------------------------------------------------------- */

/* Belongs to the certificate, so that it is there whichever context uses that. */
struct staple {
    int64_t until;
    size_t n;
    uint8_t response[];
};

static int staple_index = -1;
static pthread_once_t staple_once = PTHREAD_ONCE_INIT;

static void staple_free(void *parent, void *staple, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
    (void)parent, (void)data, (void)index, (void)argl, (void)argp;
    free(staple);
}

static void staple_init(void)
{
    staple_index = X509_get_ex_new_index(0, NULL, NULL, NULL, staple_free);
}

enum err tls_identity_staple(struct tls_identity *id, const uint8_t *response, size_t n, int64_t until)
{
    struct staple *s = n ? malloc(sizeof *s + n) : NULL;
    pthread_once(&staple_once, staple_init);
    if (n && !s)
        return ERR_MEMORY;
    if (s) {
        s->until = until;
        s->n = n;
        memcpy(s->response, response, n);
    }
    free(X509_get_ex_data(id->leaf, staple_index));
    if (X509_set_ex_data(id->leaf, staple_index, s) == 1)
        return ERR_OK;
    free(s);
    return ERR_MEMORY;
}

/* A client asks (RFC 6066 §8): by now OpenSSL has chosen the certificate. What is stale by now is not given.
 */
static int on_status_request(SSL *ssl, void *arg)
{
    (void)arg;
    const struct staple *s = X509_get_ex_data(SSL_get_certificate(ssl), staple_index);
    unsigned char *copy = s && time(NULL) < s->until ? OPENSSL_memdup(s->response, s->n) : NULL;
    if (!copy)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)s->n); /* frees it */
    return SSL_TLSEXT_ERR_OK;
}

/* Using it --------------------------------------------------------------------------------------------- */

enum err tls_identity_use(const struct tls_identity *id, SSL_CTX *ctx)
{
    pthread_once(&staple_once, staple_init);
    SSL_CTX_set_tlsext_status_cb(ctx, on_status_request);
    return SSL_CTX_use_cert_and_key(ctx, id->leaf, id->key, id->chain, 1) == 1 ? ERR_OK : ERR_TLS;
}

bool tls_identity_covers(const struct tls_identity *id, const char *host)
{
    struct netaddr ip;
    if (netaddr_parse(host, 0, &ip) == ERR_OK)
        return X509_check_ip_asc(id->leaf, host, 0) == 1;
    return X509_check_host(id->leaf, host, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
}
