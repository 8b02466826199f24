#include "common/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/netaddr.h"
#include "common/tls_identity.h"
#include "common/tls_tickets.h"
#include "common/tls_verify.h"

/* RFC 9325 §4.2 without the CBC and RSA suites it only tolerates. */
static const char tls12_suites[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                   "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                   "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

/* AES-128 first, whatever the client likes best: as safe (RFC 9325 §4.2 recommends no other), and SHA-256
 * makes the key schedule of a handshake cheaper than SHA-384 does. */
static const char tls13_suites[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

const char *tls_words(SSL *ssl, char *out, size_t size)
{
    unsigned long code = ERR_peek_last_error();
    const char *verify = ssl ? tls_verify_words(ssl) : NULL;
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    if (verify)
        snprintf(out, size, "%s", verify);
    else
        snprintf(out, size, "TLS failed: %s", reason ? reason : "no reason given");
    ERR_clear_error();
    return out;
}

static int tls_refuse_password(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return -1; /* a key with a passphrase is an error, never a prompt */
}

/* What we ask for comes in many records at once: four of them for one system call. The buffer is there only
 * while something of a record is in it. Guests get one for a single record: there are thousands of them. */
enum { TLS_CLIENT_READ = 68 * 1024 };

static SSL_CTX *tls_ctx(const SSL_METHOD *method, int least)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (!ctx)
        return NULL;
    SSL_CTX_set_min_proto_version(ctx, least);
    SSL_CTX_set_cipher_list(ctx, tls12_suites);
    SSL_CTX_set_ciphersuites(ctx, tls13_suites);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* The chain is the one of the file, never searched for in each handshake. */
    SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1); /* one system call for a record instead of two; common/stream.c knows */
    return ctx;
}

static BIO *tls_bio(const char *pem)
{
    return BIO_new_mem_buf(pem, -1);
}

static int tls_select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned int in_len, void *arg)
{
    (void)ssl;
    const unsigned char *ours = arg;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_len, ours, (unsigned int)strlen(arg), in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 §3.2 */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* RFC 9325 §4.2: nothing with SHA-1, no group but those that everybody has and nobody doubts. */
static bool tls_use_strong(SSL_CTX *ctx)
{
    SSL_CTX_set_security_level(ctx, 2); /* whatever openssl.cnf says: RSA of 2048 bits */
    return SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") == 1 &&
           SSL_CTX_set1_sigalgs_list(ctx, "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:"
                                          "rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:"
                                          "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"
                                          "RSA+SHA256:RSA+SHA384:RSA+SHA512") == 1;
}

static bool tls_serve(SSL_CTX *ctx, const struct tls_server *server)
{
    static const unsigned char session_context[] = "stile";
    bool ok = tls_use_strong(ctx) &&
              SSL_CTX_set_session_id_context(ctx, session_context, sizeof session_context - 1) == 1;
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets only: no memory per session */
    SSL_CTX_set_num_tickets(ctx, 0);    /* TLS 1.3: common/stream.c gives one when it is worth it */
    SSL_CTX_set_max_early_data(ctx, 0); /* RFC 8446 §8: what comes early can be sent twice */
    /* Nobody is asked for a certificate. Over DTLS this is also how long any message of a handshake may say
     * it is, with room made for ten of them ahead: OpenSSL takes no less than 16 KB then, instead of 100. */
    SSL_CTX_set_max_cert_list(ctx, 0);
    if (server->datagram)
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_QUERY_MTU);
    if (server->alpn)
        SSL_CTX_set_alpn_select_cb(ctx, tls_select_alpn, (void *)(uintptr_t)server->alpn);
    return ok && (!server->tickets || tls_tickets_use(ctx, server->tickets) == ERR_OK);
}

enum err tls_server_make(const struct tls_server *server, const struct tls_identity *const *ids, size_t n,
                         SSL_CTX **out, char *why, size_t why_size)
{
    char words[256];
    ERR_clear_error();
    SSL_CTX *ctx = server->datagram ? tls_ctx(DTLS_server_method(), DTLS1_2_VERSION)
                                    : tls_ctx(TLS_server_method(), TLS1_2_VERSION);
    bool ok = ctx && tls_serve(ctx, server);
    for (size_t i = 0; i < n && ok; i++)
        ok = tls_identity_use(ids[i], ctx) == ERR_OK;
    if (ok) {
        *out = ctx;
        return ERR_OK;
    }
    snprintf(why, why_size, "certificate: %s", tls_words(NULL, words, sizeof words));
    SSL_CTX_free(ctx);
    return ERR_TLS;
}

enum err tls_server_ctx(const char *cert_pem, const char *key_pem, const char *alpn, SSL_CTX **out, char *why,
                        size_t why_size)
{
    const struct tls_server server = {.alpn = alpn};
    struct tls_identity id;
    enum err e = tls_identity_read(cert_pem, key_pem, &id, why, why_size);
    if (e != ERR_OK)
        return e;
    const struct tls_identity *one = &id;
    e = tls_server_make(&server, &one, 1, out, why, why_size);
    tls_identity_free(&id);
    return e;
}

static bool tls_trust(SSL_CTX *ctx, const char *pem)
{
    BIO *bio = tls_bio(pem);
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    X509 *x;
    size_t n = 0;
    while (bio && (x = PEM_read_bio_X509(bio, NULL, tls_refuse_password, NULL)) != NULL) {
        n += X509_STORE_add_cert(store, x) == 1;
        X509_free(x);
    }
    BIO_free(bio);
    /* A self-signed bridge certificate given as the CA is trusted as it is. */
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    return n > 0;
}

/* The session key has been derived; nothing of OpenSSL reads these again, but only SSL_free frees them. Another
 * type takes the key's material away (freed by its provider, which wipes it), and leaves the shell. */
static void empty_key(EVP_PKEY *key)
{
    (void)EVP_PKEY_set_type(key, EVP_PKEY_X25519);
    EVP_PKEY_free(key);
}

void tls_forget_ephemeral(SSL *ssl)
{
    EVP_PKEY *key;
    if (SSL_get_tmp_key(ssl, &key) == 1)
        empty_key(key);
    if (SSL_get_peer_tmp_key(ssl, &key) == 1)
        empty_key(key);
}

enum err tls_client_ctx(const char *ca_pem, SSL_CTX **out, char *why, size_t why_size)
{
    char words[256];
    ERR_clear_error();
    SSL_CTX *ctx = tls_ctx(TLS_client_method(), TLS1_2_VERSION);
    if (ctx)
        SSL_CTX_set_default_read_buffer_len(ctx, TLS_CLIENT_READ);
    if (ctx && (ca_pem ? tls_trust(ctx, ca_pem) : SSL_CTX_set_default_verify_paths(ctx) == 1)) {
        tls_verify_install(ctx);
        ERR_clear_error();
        *out = ctx;
        return ERR_OK;
    }
    snprintf(why, why_size, "%s: %s", ca_pem ? "CA certificate" : "system CA store",
             tls_words(NULL, words, sizeof words));
    SSL_CTX_free(ctx);
    return ERR_TLS;
}

/* Self-signed certificate ------------------------------------------------------------------------------ */

static bool tls_add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX v3;
    X509V3_set_ctx_nodb(&v3);
    X509V3_set_ctx(&v3, x, x, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &v3, nid, value);
    bool ok = ext && X509_add_ext(x, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

static bool tls_fill_certificate(X509 *x, EVP_PKEY *key, const char *host, int days)
{
    struct netaddr ip;
    char san[300];
    BIGNUM *serial = BN_new();
    snprintf(san, sizeof san, "%s:%s", netaddr_parse(host, 0, &ip) == ERR_OK ? "IP" : "DNS", host);
    bool ok = serial && BN_rand(serial, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
              BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x)) &&
              X509_set_version(x, X509_VERSION_3) == 1 && X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
              X509_gmtime_adj(X509_getm_notAfter(x), 86400L * days) && X509_set_pubkey(x, key) == 1 &&
              X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                                         (const unsigned char *)host, -1, -1, 0) == 1 &&
              X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
              tls_add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
              tls_add_extension(x, NID_key_usage, "critical,digitalSignature") &&
              tls_add_extension(x, NID_ext_key_usage, "serverAuth") &&
              tls_add_extension(x, NID_subject_alt_name, san) && X509_sign(x, key, EVP_sha256()) > 0;
    BN_free(serial);
    return ok;
}

static char *tls_bio_text(BIO *bio)
{
    char *data;
    long n = BIO_get_mem_data(bio, &data);
    return n > 0 ? strndup(data, (size_t)n) : NULL;
}

enum err tls_self_signed(const char *host, int days, char **cert_pem, char **key_pem)
{
    enum err e = ERR_TLS;
    char *cert = NULL, *private_key = NULL;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    BIO *cert_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());
    if (!key || !x || !cert_bio || !key_bio || strlen(host) > 255 ||
        !tls_fill_certificate(x, key, host, days))
        goto out;
    if (PEM_write_bio_X509(cert_bio, x) != 1 ||
        PEM_write_bio_PKCS8PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        goto out;
    cert = tls_bio_text(cert_bio);
    private_key = tls_bio_text(key_bio);
    if (!cert || !private_key) {
        free(cert);
        free(private_key);
        e = ERR_MEMORY;
        goto out;
    }
    *cert_pem = cert;
    *key_pem = private_key;
    e = ERR_OK;
out:
    BIO_free(cert_bio);
    BIO_free(key_bio);
    X509_free(x);
    EVP_PKEY_free(key);
    return e;
}
