/* What an authority says of a certificate (an OCSP response, RFC 6960, in DER), judged before a server
 * staples it: clients refuse a server whose staple is not right. */
#ifndef COMMON_OCSP_H
#define COMMON_OCSP_H

#include "common/tls_identity.h"

/* Name, as programs see it; what it means. */
#define OCSP_STATES(X)                                                                                       \
    X(none, "there is no response")                                                                          \
    X(good, "stapled")                                                                                       \
    X(stale, "its time is over: it is not stapled")                                                          \
    X(wrong, "it is not stapled")                                                                            \
    X(revoked, "the authority has withdrawn the certificate")

enum ocsp_state {
#define X(name, words) OCSP_##name,
    OCSP_STATES(X)
#undef X
};

struct ocsp {
    enum ocsp_state state;
    int64_t from, until; /* thisUpdate, nextUpdate, UNIX times; 0: not known */
    char why[160];       /* for wrong, stale and revoked */
};

enum { OCSP_RESPONSE_MAX = 16 * 1024 };

/* Judges a response for an identity with its issuer's certificate behind it, at a time: its form, whose it
 * is, the authority's signature (the issuer's, or one whom the issuer has delegated), and its time. */
void ocsp_judge(const struct tls_identity *id, const uint8_t *response, size_t n, int64_t now,
                struct ocsp *out);
const char *ocsp_state_name(enum ocsp_state state);
const char *ocsp_state_words(enum ocsp_state state);

#endif
