#include "common/ocsp.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Clocks differ: a response may come from this many seconds ahead of ours. */
static const int64_t clock_slack = 300;

static void say(struct ocsp *o, enum ocsp_state state, const char *why)
{
    o->state = state;
    snprintf(o->why, sizeof o->why, "%s", why);
}

static int64_t time_of(const ASN1_GENERALIZEDTIME *t)
{
    struct tm tm;
    return t && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/* RFC 6960 §4.2.2.2: signed by the issuer, or by somebody whom the issuer has certified for this. */
static bool signature_right(OCSP_BASICRESP *basic, const struct tls_identity *id, X509 *issuer, int64_t now)
{
    X509_STORE *store = X509_STORE_new();
    bool ok = store && X509_STORE_add_cert(store, issuer) == 1 &&
              X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1;
    if (ok)
        X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), (time_t)now);
    ok = ok && OCSP_basic_verify(basic, id->chain, store, 0) == 1;
    X509_STORE_free(store);
    ERR_clear_error();
    return ok;
}

/* True when the answer is about the certificate: its id is made with the hash that the authority chose. */
static bool is_about(OCSP_SINGLERESP *single, X509 *leaf, X509 *issuer)
{
    const OCSP_CERTID *given = OCSP_SINGLERESP_get0_id(single);
    ASN1_OBJECT *hash;
    if (OCSP_id_get0_info(NULL, &hash, NULL, NULL, (OCSP_CERTID *)(uintptr_t)given) != 1)
        return false;
    const EVP_MD *digest = EVP_get_digestbyobj(hash);
    OCSP_CERTID *ours = digest ? OCSP_cert_to_id(digest, leaf, issuer) : NULL;
    bool same = ours && OCSP_id_cmp(ours, given) == 0;
    OCSP_CERTID_free(ours);
    return same;
}

static void judge_time(struct ocsp *o, int64_t now)
{
    if (o->from > now + clock_slack)
        say(o, OCSP_wrong, "it is from the future; is this box's clock right?");
    else if (o->until == 0) /* RFC 6960 §4.2.2.1: there is newer information all the time */
        say(o, OCSP_wrong, "it does not say until when it holds (nextUpdate)");
    else if (now >= o->until)
        say(o, OCSP_stale, "its nextUpdate has passed; fetch a new one");
    else
        o->state = OCSP_good;
}

static void judge_answers(OCSP_BASICRESP *basic, const struct tls_identity *id, X509 *issuer, int64_t now,
                          struct ocsp *o)
{
    ASN1_GENERALIZEDTIME *from, *until;
    OCSP_SINGLERESP *single = NULL;
    for (int i = 0; i < OCSP_resp_count(basic); i++)
        if (is_about(OCSP_resp_get0(basic, i), id->leaf, issuer))
            single = OCSP_resp_get0(basic, i);
    ERR_clear_error();
    if (!single) {
        say(o, OCSP_wrong, "it is about another certificate");
        return;
    }
    int status = OCSP_single_get0_status(single, NULL, NULL, &from, &until);
    o->from = time_of(from);
    o->until = time_of(until);
    if (!signature_right(basic, id, issuer, now))
        say(o, OCSP_wrong, "it is not signed by the certificate's issuer");
    else if (status == V_OCSP_CERTSTATUS_REVOKED)
        say(o, OCSP_revoked, "the authority has withdrawn the certificate; order a new one");
    else if (status != V_OCSP_CERTSTATUS_GOOD)
        say(o, OCSP_wrong, "the authority does not know the certificate");
    else
        judge_time(o, now);
}

static X509 *issuer_of(const struct tls_identity *id)
{
    for (int i = 0; i < sk_X509_num(id->chain); i++)
        if (X509_check_issued(sk_X509_value(id->chain, i), id->leaf) == X509_V_OK)
            return sk_X509_value(id->chain, i);
    return NULL;
}

void ocsp_judge(const struct tls_identity *id, const uint8_t *response, size_t n, int64_t now,
                struct ocsp *out)
{
    const uint8_t *at = response;
    OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &at, (long)n);
    OCSP_BASICRESP *basic = NULL;
    X509 *issuer = issuer_of(id);
    *out = (struct ocsp){0};
    if (!r || at != response + n)
        say(out, OCSP_wrong, "it is no OCSP response in DER");
    else if (OCSP_response_status(r) != OCSP_RESPONSE_STATUS_SUCCESSFUL ||
             (basic = OCSP_response_get1_basic(r)) == NULL)
        say(out, OCSP_wrong, "the authority's server answered with an error");
    else if (!issuer)
        say(out, OCSP_wrong, "it cannot be checked: the certificate comes without its issuer's");
    else
        judge_answers(basic, id, issuer, now, out);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(r);
    ERR_clear_error();
}

const char *ocsp_state_name(enum ocsp_state state)
{
    static const char *const names[] = {
#define X(name, words) #name,
        OCSP_STATES(X)
#undef X
    };
    return names[state];
}

const char *ocsp_state_words(enum ocsp_state state)
{
    static const char *const all[] = {
#define X(name, words) words,
        OCSP_STATES(X)
#undef X
    };
    return all[state];
}
