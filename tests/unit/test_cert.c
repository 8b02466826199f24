/* Certificates as people see them, what is wrong with them, and requests for new ones. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cert.h"
#include "common/tls.h"
#include "tests/unit/unit.h"

enum { DAY = 86400 };

static char *cert_pem, *key_pem, why[256];
static struct cert cert;

/* Looks at a certificate and its key for one host. */
static enum err look(const char *pem, const char *key, const char *host, int64_t now)
{
    const struct cert_question question = {.hosts = &host, .n_hosts = 1, .now = now};
    struct tls_identity id;
    enum err e = tls_identity_read(pem, key, &id, why, sizeof why);
    if (e != ERR_OK)
        return e;
    e = cert_look(&id, &question, &cert);
    tls_identity_free(&id);
    return e;
}

static bool alarmed(enum cert_alarm_kind kind, enum cert_severity severity, const char *reason)
{
    for (size_t i = 0; i < cert.n_alarms; i++)
        if (cert.alarms[i].kind == kind)
            return cert.alarms[i].severity == severity && strstr(cert.alarms[i].reason, reason) != NULL;
    return false;
}

static X509 *x509_of(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    ck_assert_ptr_nonnull(x);
    return x;
}

static EVP_PKEY *key_of(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    ck_assert_ptr_nonnull(key);
    return key;
}

static char *text_of(BIO *bio)
{
    char *data;
    long n = BIO_get_mem_data(bio, &data);
    char *text = strndup(data, (size_t)n);
    BIO_free(bio);
    return text;
}

/* The request's public key and names, signed by a certificate. */
static char *request_sign(const char *request_pem, const char *issuer_pem, const char *issuer_key, int days)
{
    BIO *in = BIO_new_mem_buf(request_pem, -1), *out = BIO_new(BIO_s_mem());
    X509_REQ *r = PEM_read_bio_X509_REQ(in, NULL, NULL, NULL);
    X509 *x = X509_new(), *issuer = x509_of(issuer_pem);
    EVP_PKEY *key = key_of(issuer_key);
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(r);
    ck_assert(X509_REQ_verify(r, X509_REQ_get0_pubkey(r)) == 1);
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 2);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), (long)DAY * days);
    X509_set_subject_name(x, X509_REQ_get_subject_name(r));
    X509_set_issuer_name(x, X509_get_subject_name(issuer));
    X509_set_pubkey(x, X509_REQ_get0_pubkey(r));
    for (int i = 0; i < sk_X509_EXTENSION_num(extensions); i++)
        X509_add_ext(x, sk_X509_EXTENSION_value(extensions, i), -1);
    ck_assert(X509_sign(x, key, EVP_sha256()) > 0 && PEM_write_bio_X509(out, x) == 1);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_free(x);
    X509_free(issuer);
    X509_REQ_free(r);
    EVP_PKEY_free(key);
    BIO_free(in);
    return text_of(out);
}

static char *joined(const char *a, const char *b)
{
    char *text = malloc(strlen(a) + strlen(b) + 1);
    strcpy(text, a);
    return strcat(text, b);
}

START_TEST(test_self_signed)
{
    int64_t now = time(NULL);
    ck_assert_int_eq(tls_self_signed("join.example.com", 30, &cert_pem, &key_pem), ERR_OK);
    ck_assert_int_eq(look(cert_pem, key_pem, "join.example.com", now), ERR_OK);
    ck_assert_str_eq(cert.subject, "CN = join.example.com");
    ck_assert_str_eq(cert.key, "ECDSA P-256");
    ck_assert(cert.self_signed && cert.chain == 0 && !cert.must_staple && cert.n_alarms == 1);
    ck_assert_str_eq(json_string_value(json_array_get(cert.names, 0)), "join.example.com");
    ck_assert_uint_eq(json_array_size(cert.hosts), 1);
    ck_assert(alarmed(CERT_ALARM_self_signed, CERT_NOTICE, "self-signed: browsers warn"));
    ck_assert_uint_eq(strlen(cert.fingerprint), 95);
    json_t *json = cert_json(&cert);
    ck_assert(json_integer_value(json_object_get(json, "until")) == cert.until);
    ck_assert_uint_eq(json_array_size(json_object_get(json, "alarms")), 1);
    json_decref(json);
    cert_free(&cert);
    ck_assert_int_eq(look(cert_pem, NULL, "other.example.com", now), ERR_OK);
    ck_assert_uint_eq(json_array_size(cert.hosts), 0);
    cert_free(&cert);
    free(cert_pem);
    free(key_pem);
}
END_TEST

START_TEST(test_times)
{
    int64_t now = time(NULL);
    ck_assert_int_eq(tls_self_signed("join.example.com", 30, &cert_pem, &key_pem), ERR_OK);
    static const struct {
        int days;
        enum cert_alarm_kind kind;
        enum cert_severity severity;
        const char *reason;
        bool in_time;
    } rows[] = {
        {-1, CERT_ALARM_not_yet_valid, CERT_SEVERE, "not valid yet; is this box's clock right?", false},
        {10, CERT_ALARM_expiring, CERT_WARNING, "expires in 19 days; renew it", true},
        {23, CERT_ALARM_expiring, CERT_SEVERE, "expires in 6 days; renew it", true},
        {33, CERT_ALARM_expired, CERT_SEVERE, "expired 3 days ago; install a new one", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t then = now + rows[i].days * DAY + 3600;
        ck_assert_int_eq(look(cert_pem, key_pem, "join.example.com", then), ERR_OK);
        ck_assert_msg(alarmed(rows[i].kind, rows[i].severity, rows[i].reason), "%s", cert.alarms[0].reason);
        ck_assert_int_eq(cert_in_time(&cert, then), rows[i].in_time);
        cert_free(&cert);
    }
    ck_assert_int_eq(look(cert_pem, key_pem, "join.example.com", now + 8 * DAY + 3600), ERR_OK);
    ck_assert_uint_eq(cert.n_alarms, 1); /* 21 days and more */
    cert_free(&cert);
    free(cert_pem);
    free(key_pem);
}
END_TEST

START_TEST(test_request)
{
    static const char *const names[] = {"join.example.com", "*.example.org", "192.0.2.7", "2001:db8::1"};
    char *request, *key, *leaf, *chain, *wrong, *other_cert, *other_key;
    int64_t now = time(NULL);
    ck_assert_int_eq(tls_self_signed("ca.example.com", 300, &cert_pem, &key_pem), ERR_OK);
    ck_assert_int_eq(tls_self_signed("ca.example.net", 300, &other_cert, &other_key), ERR_OK);
    ck_assert_int_eq(cert_request(names, 4, NULL, &request, &key, why, sizeof why), ERR_OK);
    leaf = request_sign(request, cert_pem, key_pem, 30);
    ck_assert_int_eq(look(leaf, key, "2001:db8::1", now), ERR_OK);
    ck_assert(json_array_size(cert.hosts) == 1 && !cert.self_signed);
    ck_assert_uint_eq(json_array_size(cert.names), 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert_str_eq(json_string_value(json_array_get(cert.names, i)), names[i]);
    ck_assert(alarmed(CERT_ALARM_chain, CERT_WARNING, "comes without its issuer's certificate"));
    cert_free(&cert);
    chain = joined(leaf, cert_pem);
    wrong = joined(leaf, other_cert);
    ck_assert_int_eq(look(wrong, key, "join.example.com", now), ERR_OK);
    ck_assert(alarmed(CERT_ALARM_chain, CERT_WARNING, "its chain is not in order"));
    cert_free(&cert);
    /* Another key than the certificate's. */
    ck_assert_int_eq(look(chain, key_pem, "join.example.com", now), ERR_TLS);
    ck_assert_ptr_nonnull(strstr(why, "private key"));
    free(chain);
    chain = joined(leaf, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    ck_assert_int_eq(look(chain, key, "join.example.com", now), ERR_TLS);
    ck_assert_ptr_nonnull(strstr(why, "certificate: "));
    free(chain);
    free(wrong);
    free(leaf);
    free(request);
    free(key);
    free(other_cert);
    free(other_key);
    free(cert_pem);
    free(key_pem);
}
END_TEST

START_TEST(test_request_for_the_same_key)
{
    static const char *const name = "join.example.com";
    char *request, *leaf;
    ck_assert_int_eq(tls_self_signed(name, 300, &cert_pem, &key_pem), ERR_OK);
    ck_assert_int_eq(cert_request(&name, 1, key_pem, &request, NULL, why, sizeof why), ERR_OK);
    leaf = request_sign(request, cert_pem, key_pem, 10);
    ck_assert_int_eq(look(leaf, key_pem, name, time(NULL)), ERR_OK);
    cert_free(&cert);
    free(request);
    free(leaf);
    free(cert_pem);
    free(key_pem);
}
END_TEST

/* There is no intermediate to add; the root itself ends the alarm. */
START_TEST(test_signed_by_a_root)
{
    static const char *const root_name = "ca.example.com", *const name = "join.example.com";
    char *root_request, *root, *request, *key, *leaf, *chain;
    int64_t now = time(NULL);
    ck_assert_int_eq(tls_self_signed(root_name, 300, &cert_pem, &key_pem), ERR_OK);
    ck_assert_int_eq(cert_request(&root_name, 1, key_pem, &root_request, NULL, why, sizeof why), ERR_OK);
    root = request_sign(root_request, cert_pem, key_pem, 300);
    ck_assert_int_eq(cert_request(&name, 1, NULL, &request, &key, why, sizeof why), ERR_OK);
    leaf = request_sign(request, root, key_pem, 30);
    ck_assert_int_eq(look(leaf, key, name, now), ERR_OK);
    ck_assert(alarmed(CERT_ALARM_chain, CERT_WARNING, "or the root's where that signed it itself"));
    cert_free(&cert);
    chain = joined(leaf, root);
    ck_assert_int_eq(look(chain, key, name, now), ERR_OK);
    ck_assert_uint_eq(cert.n_alarms, 0);
    cert_free(&cert);
    char *texts[] = {root_request, root, request, key, leaf, chain, cert_pem, key_pem};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
}
END_TEST

START_TEST(test_names_refused)
{
    static const char *const names[] = {"", "a,DNS:b", "a b", "a;b", "email:x", "1.2.3.4:5", "[::1]", "a\nb"};
    char *request, *key;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ck_assert_msg(cert_request(&names[i], 1, NULL, &request, &key, why, sizeof why) == ERR_TLS, "%s",
                      names[i]);
}
END_TEST

UNIT_MAIN("cert", test_self_signed, test_times, test_request, test_request_for_the_same_key,
          test_signed_by_a_root, test_names_refused)
