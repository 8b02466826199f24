#include "common/tls_verify.h"

#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/netaddr.h"

enum { VERIFY_WORDS = 400, VERIFY_NAMES = 160 };

static int words_index = -1;
static pthread_once_t words_once = PTHREAD_ONCE_INIT;

static void words_free(void *parent, void *words, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
    (void)parent, (void)data, (void)index, (void)argl, (void)argp;
    free(words);
}

static void words_init(void)
{
    words_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, words_free);
}

static const char *name_text(const GENERAL_NAME *name, char *out, size_t size)
{
    char quoted[VERIFY_NAMES];
    const ASN1_STRING *s = name->type == GEN_DNS     ? name->d.dNSName
                           : name->type == GEN_IPADD ? name->d.iPAddress
                                                     : NULL;
    size_t n = s ? (size_t)ASN1_STRING_length(s) : 0;
    struct netaddr ip = {.family = n == 4 ? AF_INET : AF_INET6};
    if (!s || (name->type == GEN_IPADD && n != 4 && n != 16))
        return NULL;
    if (name->type == GEN_IPADD) {
        memcpy(ip.ip, ASN1_STRING_get0_data(s), n);
        snprintf(out, size, "%s", netaddr_print_ip(&ip, quoted));
        return out;
    }
    log_quote(ASN1_STRING_get0_data(s), n, quoted, sizeof quoted); /* the peer chose it */
    quoted[strlen(quoted) - 1] = '\0';
    snprintf(out, size, "%s", quoted + 1);
    return out;
}

/* The names that the certificate is good for, as many as fit. */
static void certificate_names(X509 *x, char *out, size_t size)
{
    char text[VERIFY_NAMES];
    size_t used = 0;
    GENERAL_NAMES *names = x ? X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL) : NULL;
    snprintf(out, size, "no host at all");
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const char *name = name_text(sk_GENERAL_NAME_value(names, i), text, sizeof text);
        if (!name || used + strlen(name) + 8 > size)
            continue;
        used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", name);
    }
    sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
}

static void expected_name(SSL *ssl, char *out, size_t size)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    const char *host = X509_VERIFY_PARAM_get0_host(param, 0);
    char *ip = host ? NULL : X509_VERIFY_PARAM_get1_ip_asc(param);
    snprintf(out, size, "%s", host ? host : ip ? ip : "no name");
    OPENSSL_free(ip);
}

static void explain(SSL *ssl, int error, X509 *x, char *out, size_t size)
{
    char expected[256], names[VERIFY_NAMES];
    expected_name(ssl, expected, sizeof expected);
    switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        certificate_names(x, names, sizeof names);
        snprintf(out, size, "name mismatch: expected %s, certificate names %s", expected, names);
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        snprintf(out, size,
                 "certificate verify failed: %s; the trusted CAs do not cover it (expected name %s)",
                 X509_verify_cert_error_string(error), expected);
        break;
    default:
        snprintf(out, size, "certificate verify failed: %s (expected name %s)",
                 X509_verify_cert_error_string(error), expected);
    }
}

static int judge(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    char *words = ok || !ssl ? NULL : malloc(VERIFY_WORDS);
    if (!words)
        return ok;
    explain(ssl, X509_STORE_CTX_get_error(store), X509_STORE_CTX_get_current_cert(store), words,
            VERIFY_WORDS);
    free(SSL_get_ex_data(ssl, words_index));
    if (SSL_set_ex_data(ssl, words_index, words) != 1) {
        free(words);
        (void)SSL_set_ex_data(ssl, words_index, NULL);
    }
    return ok;
}

void tls_verify_install(SSL_CTX *ctx)
{
    pthread_once(&words_once, words_init);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, judge);
}

const char *tls_verify_words(const SSL *ssl)
{
    return words_index < 0 ? NULL : SSL_get_ex_data(ssl, words_index);
}
