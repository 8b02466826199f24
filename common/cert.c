#include "common/cert.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/netaddr.h"
#include "common/text.h"
#include "common/tls.h"

enum { SECONDS_PER_DAY = 86400 };

/* Reading ---------------------------------------------------------------------------------------------- */

static void name_print(const X509_NAME *name, char out[CERT_TEXT])
{
    char raw[CERT_TEXT] = "";
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
        int n = BIO_read(bio, raw, sizeof raw - 1);
        raw[n > 0 ? n : 0] = '\0';
    }
    BIO_free(bio);
    text_copy(out, CERT_TEXT, raw);
}

static int64_t time_of(const ASN1_TIME *t)
{
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void address_name(const ASN1_OCTET_STRING *ip, char out[CERT_TEXT])
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct netaddr a = {0};
    int n = ASN1_STRING_length(ip);
    if (n == 4) {
        memcpy(&four.sin_addr, ASN1_STRING_get0_data(ip), 4);
        (void)netaddr_from_sockaddr((struct sockaddr *)&four, sizeof four, &a);
    } else if (n == 16) {
        memcpy(&six.sin6_addr, ASN1_STRING_get0_data(ip), 16);
        (void)netaddr_from_sockaddr((struct sockaddr *)&six, sizeof six, &a);
    }
    if (a.family)
        netaddr_print_ip(&a, out);
    else
        snprintf(out, CERT_TEXT, "?");
}

/* Subject alternative names of hosts and addresses, the first CERT_NAMES_MAX of them. */
static json_t *names_read(X509 *x)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    json_t *list = json_array();
    for (int i = 0; list && i < sk_GENERAL_NAME_num(all) && json_array_size(list) < CERT_NAMES_MAX; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
        char raw[CERT_TEXT], text[CERT_TEXT];
        if (g->type == GEN_DNS) {
            snprintf(raw, sizeof raw, "%.*s", ASN1_STRING_length(g->d.dNSName),
                     ASN1_STRING_get0_data(g->d.dNSName));
            text_copy(text, sizeof text, raw);
        } else if (g->type == GEN_IPADD) {
            address_name(g->d.iPAddress, text);
        } else {
            continue;
        }
        json_array_append_new(list, json_string(text));
    }
    GENERAL_NAMES_free(all);
    return list;
}

static void key_print(X509 *x, char out[64])
{
    EVP_PKEY *key = X509_get0_pubkey(x);
    char group[32] = "";
    size_t n;
    if (key && EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, &n) == 1)
        snprintf(out, 64, "ECDSA %s", strcmp(group, "prime256v1") == 0 ? "P-256" : group);
    else
        snprintf(out, 64, "%s %d", key ? EVP_PKEY_get0_type_name(key) : "unknown",
                 key ? EVP_PKEY_get_bits(key) : 0);
}

static void fingerprint_print(X509 *x, char out[96])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char *at = out;
    *out = '\0';
    if (X509_digest(x, EVP_sha256(), digest, &n) != 1 || n != 32)
        return;
    for (unsigned i = 0; i < n; i++)
        at += sprintf(at, "%s%02X", i ? ":" : "", digest[i]);
}

/* Each certificate must have been issued by the next one; the root itself need not be there. */
static bool chain_in_order(X509 *x, STACK_OF(X509) * chain)
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *next = sk_X509_value(chain, i);
        if (X509_check_issued(next, x) != X509_V_OK)
            return false;
        x = next;
    }
    return true;
}

/* The worst thing first: guests see one at a time as well. */
static void problem_find(struct cert *c, bool in_order, const char *host, int64_t now)
{
    char *out = c->problem;
    size_t size = sizeof c->problem;
    int64_t days = (c->until - now) / SECONDS_PER_DAY;
    if (now >= c->until)
        snprintf(out, size, "expired %lld days ago; install a new one with 'stile-edge cert install'",
                 (long long)-days);
    else if (now < c->from)
        snprintf(out, size, "not valid yet; is this box's clock right?");
    else if (!c->covers)
        snprintf(out, size,
                 "does not name %s (no subject alternative name does); order one that does with "
                 "'stile-edge cert csr'",
                 host);
    else if (c->self_signed)
        snprintf(out, size, "self-signed: browsers warn; order one with 'stile-edge cert csr'");
    else if (!in_order)
        snprintf(out, size,
                 "its chain is not in order: behind the certificate must come its issuer's, then that "
                 "one's issuer's");
    else if (c->chain == 0)
        snprintf(out, size,
                 "comes without its issuer's certificate: some browsers and most telephones will not "
                 "trust it; put the intermediate certificates behind it");
    c->soon = !*out && days < CERT_EXPIRES_SOON_DAYS;
}

static void cert_fill(struct cert *c, SSL_CTX *ctx, const char *host, int64_t now)
{
    X509 *x = SSL_CTX_get0_certificate(ctx);
    STACK_OF(X509) *chain = NULL;
    SSL_CTX_get0_chain_certs(ctx, &chain);
    name_print(X509_get_subject_name(x), c->subject);
    name_print(X509_get_issuer_name(x), c->issuer);
    c->names = names_read(x);
    c->from = time_of(X509_get0_notBefore(x));
    c->until = time_of(X509_get0_notAfter(x));
    key_print(x, c->key);
    fingerprint_print(x, c->fingerprint);
    c->chain = chain ? (size_t)sk_X509_num(chain) : 0;
    c->self_signed = X509_self_signed(x, 0) == 1;
    c->covers = tls_ctx_covers(ctx, host);
    problem_find(c, chain_in_order(x, chain), host, now);
}

enum err cert_read(const char *cert_pem, const char *key_pem, const char *host, int64_t now, struct cert *out,
                   char *why, size_t why_size)
{
    SSL_CTX *ctx;
    struct cert c = {0};
    enum err e = key_pem ? tls_server_ctx(cert_pem, key_pem, NULL, &ctx, why, why_size)
                         : tls_certificate_ctx(cert_pem, &ctx, why, why_size);
    if (e != ERR_OK)
        return e;
    cert_fill(&c, ctx, host, now);
    SSL_CTX_free(ctx);
    if (!c.names) {
        snprintf(why, why_size, "out of memory");
        return ERR_MEMORY;
    }
    *out = c;
    return ERR_OK;
}

void cert_free(struct cert *c)
{
    json_decref(c->names);
    *c = (struct cert){0};
}

json_t *cert_json(const struct cert *c)
{
    return json_pack("{ss ss sO sI sI ss ss sI sb ss sb}", "subject", c->subject, "issuer", c->issuer,
                     "names", c->names, "from", (json_int_t)c->from, "until", (json_int_t)c->until, "key",
                     c->key, "fingerprint", c->fingerprint, "chain", (json_int_t)c->chain, "self_signed",
                     c->self_signed, "problem", c->problem, "soon", c->soon);
}

/* Signing requests ------------------------------------------------------------------------------------- */

/* Only characters that mean nothing to the text form of extensions. */
static bool name_right(const char *name, bool address)
{
    size_t n = strspn(name, address ? "0123456789abcdefABCDEF.:"
                                    : "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.*");
    return n > 0 && n <= 253 && name[n] == '\0';
}

/* "DNS:a,IP:b,…"; NULL when one of them is no name, or memory is out. */
static char *request_names(const char *const *names, size_t n)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    bool right = out != NULL;
    for (size_t i = 0; right && i < n; i++) {
        struct netaddr ip;
        bool address = netaddr_parse(names[i], 0, &ip) == ERR_OK;
        right = name_right(names[i], address);
        fprintf(out, "%s%s:%s", i ? "," : "", address ? "IP" : "DNS", names[i]);
    }
    if (out && fclose(out) == 0 && right)
        return text;
    free(text);
    return NULL;
}

static bool request_fill(X509_REQ *request, const char *common_name, const char *names)
{
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
    bool ok = extensions && san && sk_X509_EXTENSION_push(extensions, san) > 0;
    /* X.520 has 64 characters for a CN at most; the name that counts is the SAN. */
    if (ok && strlen(common_name) <= 64)
        ok = X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_UTF8,
                                        (const unsigned char *)common_name, -1, -1, 0) == 1;
    ok = ok && X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
         X509_REQ_add_extensions(request, extensions) == 1;
    X509_EXTENSION_free(san);
    sk_X509_EXTENSION_free(extensions);
    return ok;
}

static int refuse_password(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return -1;
}

static EVP_PKEY *key_read(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, refuse_password, NULL) : NULL;
    BIO_free(bio);
    return key;
}

/* What was written into a BIO as malloc'd text; NULL when memory is out. */
static char *bio_text(BIO *bio)
{
    char *data;
    long n = BIO_get_mem_data(bio, &data);
    return n > 0 ? strndup(data, (size_t)n) : NULL;
}

static char *request_text(X509_REQ *request)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = bio && PEM_write_bio_X509_REQ(bio, request) == 1 ? bio_text(bio) : NULL;
    BIO_free(bio);
    return text;
}

static char *key_text(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    char *text =
        bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1 ? bio_text(bio) : NULL;
    BIO_free(bio);
    return text;
}

enum err cert_request(const char *const *names, size_t n, const char *key_pem, char **request, char **new_key,
                      char *why, size_t why_size)
{
    char words[CERT_TEXT], *made = NULL, *private_key = NULL, *all = request_names(names, n);
    if (!all) {
        snprintf(why, why_size, "a name is neither a host name nor an address");
        return ERR_TLS;
    }
    EVP_PKEY *key = key_pem ? key_read(key_pem) : EVP_EC_gen("P-256");
    X509_REQ *r = X509_REQ_new();
    if (key && r && request_fill(r, names[0], all) && X509_REQ_set_pubkey(r, key) == 1 &&
        X509_REQ_sign(r, key, EVP_sha256()) > 0)
        made = request_text(r);
    if (made && !key_pem)
        private_key = key_text(key);
    EVP_PKEY_free(key);
    X509_REQ_free(r);
    free(all);
    if (!made || (!key_pem && !private_key)) {
        snprintf(why, why_size, "%s", tls_words(NULL, words, sizeof words));
        free(made);
        return ERR_TLS;
    }
    *request = made;
    if (!key_pem)
        *new_key = private_key;
    return ERR_OK;
}
