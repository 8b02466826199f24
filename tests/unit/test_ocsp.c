/* OCSP responses: the one that may be stapled, and those that may not. */
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "common/ocsp.h"
#include "tests/unit/unit.h"

enum { HOUR = 3600 };

static struct tls_identity ca, other, leaf, responder;
static int64_t now;

static void sign(struct tls_identity *id, const char *name, const struct tls_identity *issuer,
                 const char *usage)
{
    X509V3_CTX v3;
    static long serial = 1;
    id->leaf = X509_new();
    id->chain = sk_X509_new_null();
    id->key = EVP_EC_gen("P-256");
    X509_set_version(id->leaf, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(id->leaf), serial++);
    X509_gmtime_adj(X509_getm_notBefore(id->leaf), -HOUR);
    X509_gmtime_adj(X509_getm_notAfter(id->leaf), 100 * HOUR);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(id->leaf), "CN", MBSTRING_UTF8,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(id->leaf, X509_get_subject_name(issuer->leaf));
    X509_set_pubkey(id->leaf, id->key);
    X509V3_set_ctx_nodb(&v3);
    X509V3_set_ctx(&v3, issuer->leaf, id->leaf, NULL, NULL, 0);
    X509_EXTENSION *basic =
        X509V3_EXT_conf_nid(NULL, &v3, NID_basic_constraints, issuer == id ? "critical,CA:TRUE" : "CA:FALSE");
    X509_add_ext(id->leaf, basic, -1);
    X509_EXTENSION_free(basic);
    if (usage) {
        X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &v3, NID_ext_key_usage, usage);
        X509_add_ext(id->leaf, ext, -1);
        X509_EXTENSION_free(ext);
    }
    ck_assert(X509_sign(id->leaf, issuer->key, EVP_sha256()) > 0);
}

static void setup(void)
{
    now = time(NULL);
    sign(&ca, "ca", &ca, NULL);
    sign(&other, "ca", &other, NULL);
    sign(&leaf, "leaf", &ca, NULL);
    sign(&responder, "responder", &ca, "OCSPSigning");
    X509_up_ref(ca.leaf);
    sk_X509_push(leaf.chain, ca.leaf);
}

static void teardown(void)
{
    struct tls_identity *all[] = {&ca, &other, &leaf, &responder};
    for (size_t i = 0; i < 4; i++)
        tls_identity_free(all[i]);
}

/* How a response is made. */
struct make {
    int status;
    int64_t from, until; /* until 0: absent */
    const struct tls_identity *about, *signer;
    const EVP_MD *hash;
};

static size_t response(const struct make *m, uint8_t **der)
{
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(m->hash, m->about->leaf, ca.leaf);
    ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)m->from),
              *until = m->until ? ASN1_TIME_set(NULL, (time_t)m->until) : NULL,
              *revoked = m->status == V_OCSP_CERTSTATUS_REVOKED ? ASN1_TIME_set(NULL, (time_t)m->from) : NULL;
    ck_assert_ptr_nonnull(OCSP_basic_add1_status(basic, id, m->status, 0, revoked, from, until));
    ck_assert(OCSP_basic_sign(basic, m->signer->leaf, m->signer->key, EVP_sha256(), NULL,
                              m->signer == &responder ? 0 : OCSP_NOCERTS) == 1);
    OCSP_RESPONSE *r = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    *der = NULL;
    int n = i2d_OCSP_RESPONSE(r, der);
    ck_assert_int_gt(n, 0);
    OCSP_RESPONSE_free(r);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    ASN1_TIME_free(revoked);
    return (size_t)n;
}

static struct ocsp judged(const struct make *m)
{
    uint8_t *der;
    struct ocsp o;
    size_t n = response(m, &der);
    ocsp_judge(&leaf, der, n, now, &o);
    OPENSSL_free(der);
    return o;
}

START_TEST(test_judged)
{
    const EVP_MD *sha1 = EVP_sha1();
    setup();
    const int good = V_OCSP_CERTSTATUS_GOOD;
    const struct {
        struct make make;
        enum ocsp_state state;
        const char *why;
    } rows[] = {
        {{good, now - HOUR, now + HOUR, &leaf, &ca, sha1}, OCSP_good, ""},
        {{good, now - HOUR, now + HOUR, &leaf, &ca, EVP_sha256()}, OCSP_good, ""},
        {{good, now - HOUR, now + HOUR, &leaf, &responder, sha1}, OCSP_good, ""},
        {{good, now - 2 * HOUR, now - HOUR, &leaf, &ca, sha1}, OCSP_stale, "nextUpdate has passed"},
        {{good, now - HOUR, now, &leaf, &ca, sha1}, OCSP_stale, "nextUpdate has passed"},
        {{good, now + HOUR, now + 2 * HOUR, &leaf, &ca, sha1}, OCSP_wrong, "from the future"},
        {{good, now - HOUR, 0, &leaf, &ca, sha1}, OCSP_wrong, "does not say until when"},
        {{good, now - HOUR, now + HOUR, &responder, &ca, sha1}, OCSP_wrong, "about another certificate"},
        {{good, now - HOUR, now + HOUR, &leaf, &other, sha1}, OCSP_wrong, "not signed by"},
        {{good, now - HOUR, now + HOUR, &leaf, &leaf, sha1}, OCSP_wrong, "not signed by"},
        {{V_OCSP_CERTSTATUS_REVOKED, now - HOUR, now + HOUR, &leaf, &ca, sha1}, OCSP_revoked, "withdrawn"},
        {{V_OCSP_CERTSTATUS_UNKNOWN, now - HOUR, now + HOUR, &leaf, &ca, sha1}, OCSP_wrong, "does not know"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ocsp o = judged(&rows[i].make);
        ck_assert_msg(o.state == rows[i].state && strstr(o.why, rows[i].why), "row %zu: %s: %s", i,
                      ocsp_state_name(o.state), o.why);
        if (o.state == OCSP_good)
            ck_assert(o.from == rows[i].make.from && o.until == rows[i].make.until);
    }
    teardown();
}
END_TEST

START_TEST(test_form)
{
    setup();
    const struct make make = {V_OCSP_CERTSTATUS_GOOD, now - HOUR, now + HOUR, &leaf, &ca, EVP_sha1()};
    static const uint8_t try_later[] = {0x30, 0x03, 0x0a, 0x01, 0x03};
    uint8_t *der, longer[4096];
    struct ocsp o;
    size_t n = response(&make, &der);
    for (size_t cut = 0; cut < n; cut++) {
        ocsp_judge(&leaf, der, cut, now, &o);
        ck_assert_int_eq(o.state, OCSP_wrong);
    }
    ck_assert_uint_lt(n, sizeof longer);
    memcpy(longer, der, n);
    longer[n] = 0;
    ocsp_judge(&leaf, longer, n + 1, now, &o);
    ck_assert_int_eq(o.state, OCSP_wrong);
    ocsp_judge(&leaf, try_later, sizeof try_later, now, &o);
    ck_assert(o.state == OCSP_wrong && strstr(o.why, "answered with an error"));
    der[n - 1] ^= 1; /* the signature */
    ocsp_judge(&leaf, der, n, now, &o);
    ck_assert_int_eq(o.state, OCSP_wrong);
    der[n - 1] ^= 1;
    X509_free(sk_X509_pop(leaf.chain));
    ocsp_judge(&leaf, der, n, now, &o);
    ck_assert(o.state == OCSP_wrong && strstr(o.why, "without its issuer's"));
    ck_assert_str_eq(ocsp_state_words(OCSP_good), "stapled");
    OPENSSL_free(der);
    teardown();
}
END_TEST

UNIT_MAIN("ocsp", test_judged, test_form)
