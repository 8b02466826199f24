#include "common/cert.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
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

/* RFC 7633: the feature 5, status_request. */
static bool must_staple_read(X509 *x)
{
    TLS_FEATURE *features = X509_get_ext_d2i(x, NID_tlsfeature, NULL, NULL);
    bool found = false;
    for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++)
        found = found || ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == TLSEXT_TYPE_status_request;
    TLS_FEATURE_free(features);
    return found;
}

static json_t *hosts_covered(const struct tls_identity *id, const struct cert_question *q)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < q->n_hosts; i++)
        if (tls_identity_covers(id, q->hosts[i]))
            json_array_append_new(list, json_string(q->hosts[i]));
    return list;
}

/* Alarms ----------------------------------------------------------------------------------------------- */

static __attribute__((format(printf, 4, 5))) void
alarm_add(struct cert *c, enum cert_alarm_kind kind, enum cert_severity severity, const char *format, ...)
{
    struct cert_alarm *a = &c->alarms[c->n_alarms++];
    va_list args;
    a->kind = kind;
    a->severity = severity;
    va_start(args, format);
    vsnprintf(a->reason, sizeof a->reason, format, args);
    va_end(args);
}

static void alarms_of_time(struct cert *c, int64_t now)
{
    long long days = (c->until - now) / SECONDS_PER_DAY;
    if (now >= c->until)
        alarm_add(c, CERT_ALARM_expired, CERT_SEVERE,
                  "expired %lld days ago; install a new one with 'stile-edge cert install'", -days);
    else if (now < c->from)
        alarm_add(c, CERT_ALARM_not_yet_valid, CERT_SEVERE, "not valid yet; is this box's clock right?");
    else if (days < CERT_EXPIRING_DAYS)
        alarm_add(c, CERT_ALARM_expiring, days < CERT_EXPIRING_NOW_DAYS ? CERT_SEVERE : CERT_WARNING,
                  "expires in %lld days; renew it, then 'stile-edge cert install'", days);
}

static void alarms_of_chain(struct cert *c, bool in_order)
{
    if (c->self_signed)
        return;
    if (!in_order)
        alarm_add(c, CERT_ALARM_chain, CERT_WARNING,
                  "its chain is not in order: behind the certificate must come its issuer's, then that "
                  "one's issuer's");
    else if (c->chain == 0)
        alarm_add(c, CERT_ALARM_chain, CERT_WARNING,
                  "comes without its issuer's certificate: some browsers and most telephones will not "
                  "trust it; put the intermediate certificates behind it, or the root's where that signed it "
                  "itself");
}

static void alarms_of_ocsp(struct cert *c)
{
    if (c->ocsp.state == OCSP_stale || c->ocsp.state == OCSP_wrong)
        alarm_add(c, CERT_ALARM_ocsp, c->must_staple ? CERT_SEVERE : CERT_WARNING,
                  "its OCSP response is not stapled%s: %s", c->must_staple ? ", which it demands" : "",
                  c->ocsp.why);
    else if (c->must_staple && c->ocsp.state == OCSP_none)
        alarm_add(c, CERT_ALARM_ocsp, CERT_SEVERE,
                  "demands a stapled OCSP response (must-staple), and none is there; put one beside it");
}

static void alarms_find(struct cert *c, bool in_order, int64_t now)
{
    alarms_of_time(c, now);
    if (c->ocsp.state == OCSP_revoked)
        alarm_add(c, CERT_ALARM_revoked, CERT_SEVERE, "%s", c->ocsp.why);
    alarms_of_chain(c, in_order);
    alarms_of_ocsp(c);
    if (c->self_signed)
        alarm_add(c, CERT_ALARM_self_signed, CERT_NOTICE,
                  "self-signed: browsers warn; order one with 'stile-edge cert csr'");
}

struct cert_alarm cert_alarm_host_missing(const char *host)
{
    struct cert_alarm a = {.kind = CERT_ALARM_host_missing, .severity = CERT_SEVERE};
    snprintf(a.reason, sizeof a.reason,
             "no certificate names %.120s (no subject alternative name does); order one that does with "
             "'stile-edge cert csr'",
             host);
    return a;
}

struct cert_alarm cert_alarm_refused(const char *why)
{
    struct cert_alarm a = {.kind = CERT_ALARM_refused, .severity = CERT_WARNING};
    snprintf(a.reason, sizeof a.reason, "%s", why);
    return a;
}

const char *cert_severity_name(enum cert_severity severity)
{
    static const char *const names[] = {
        [CERT_NOTICE] = "notice", [CERT_WARNING] = "warning", [CERT_SEVERE] = "severe"};
    return names[severity];
}

bool cert_in_time(const struct cert *c, int64_t now)
{
    return now >= c->from && now < c->until;
}

/* The whole -------------------------------------------------------------------------------------------- */

enum err cert_look(const struct tls_identity *id, const struct cert_question *q, struct cert *out)
{
    X509 *x = id->leaf;
    struct cert c = {.names = names_read(x), .hosts = hosts_covered(id, q)};
    if (!c.names || !c.hosts) {
        cert_free(&c);
        return ERR_MEMORY;
    }
    name_print(X509_get_subject_name(x), c.subject);
    name_print(X509_get_issuer_name(x), c.issuer);
    c.from = time_of(X509_get0_notBefore(x));
    c.until = time_of(X509_get0_notAfter(x));
    key_print(x, c.key);
    fingerprint_print(x, c.fingerprint);
    c.chain = (size_t)sk_X509_num(id->chain);
    c.self_signed = X509_self_signed(x, 0) == 1;
    c.must_staple = must_staple_read(x);
    if (q->staple)
        ocsp_judge(id, q->staple, q->n_staple, q->now, &c.ocsp);
    alarms_find(&c, chain_in_order(x, id->chain), q->now);
    ERR_clear_error();
    *out = c;
    return ERR_OK;
}

void cert_free(struct cert *c)
{
    json_decref(c->names);
    json_decref(c->hosts);
    *c = (struct cert){0};
}

json_t *cert_alarm_json(const struct cert_alarm *alarm)
{
    static const char *const kinds[] = {
#define X(name) #name,
        CERT_ALARMS(X)
#undef X
    };
    return json_pack("{ss ss ss}", "kind", kinds[alarm->kind], "severity",
                     cert_severity_name(alarm->severity), "reason", alarm->reason);
}

json_t *cert_json(const struct cert *c)
{
    json_t *alarms = json_array();
    for (size_t i = 0; i < c->n_alarms; i++)
        json_array_append_new(alarms, cert_alarm_json(&c->alarms[i]));
    return json_pack("{ss ss sO sO sI sI ss ss sI sb sb s{ss sI sI ss} so}", "subject", c->subject, "issuer",
                     c->issuer, "names", c->names, "hosts", c->hosts, "from", (json_int_t)c->from, "until",
                     (json_int_t)c->until, "key", c->key, "fingerprint", c->fingerprint, "chain",
                     (json_int_t)c->chain, "self_signed", c->self_signed, "must_staple", c->must_staple,
                     "ocsp", "state", ocsp_state_name(c->ocsp.state), "from", (json_int_t)c->ocsp.from,
                     "until", (json_int_t)c->ocsp.until, "reason", c->ocsp.why, "alarms", alarms);
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
