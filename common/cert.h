/*
 * A certificate as an administrator sees it: whom it names, until when, whether its chain is right, what its
 * authority says; and signing requests for the next one. Values in, values out; no file is touched.
 */
#ifndef COMMON_CERT_H
#define COMMON_CERT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/ocsp.h"
#include "common/tls_identity.h"

enum { CERT_TEXT = 256, CERT_NAMES_MAX = 100, CERT_EXPIRING_DAYS = 21, CERT_EXPIRING_NOW_DAYS = 7 };

enum cert_severity { CERT_NOTICE, CERT_WARNING, CERT_SEVERE };

/* What can be wrong, worst first. host_missing and refused are not of a certificate in use. */
#define CERT_ALARMS(X)                                                                                       \
    X(expired)                                                                                               \
    X(not_yet_valid)                                                                                         \
    X(revoked)                                                                                               \
    X(host_missing)                                                                                          \
    X(expiring)                                                                                              \
    X(chain)                                                                                                 \
    X(refused)                                                                                               \
    X(ocsp)                                                                                                  \
    X(self_signed)

enum cert_alarm_kind {
#define X(name) CERT_ALARM_##name,
    CERT_ALARMS(X)
#undef X
        CERT_ALARM_KINDS
};

struct cert_alarm {
    enum cert_alarm_kind kind;
    enum cert_severity severity;
    char reason[CERT_TEXT]; /* what it means and what to do */
};

struct cert {
    char subject[CERT_TEXT], issuer[CERT_TEXT]; /* printable, "CN=…, O=…" */
    char key[64];                               /* "ECDSA P-256", "RSA 2048" */
    char fingerprint[96];                       /* SHA-256, "AB:CD:…" */
    json_t *names;                              /* subject alternative names, as texts */
    json_t *hosts;                              /* of those it was looked at for, the ones that it names */
    int64_t from, until;                        /* UNIX times */
    size_t chain;                               /* certificates behind it */
    bool self_signed;
    bool must_staple; /* browsers refuse it without a stapled OCSP response (RFC 7633) */
    struct ocsp ocsp;
    struct cert_alarm alarms[CERT_ALARM_KINDS]; /* worst first */
    size_t n_alarms;
};

/* What it is looked at for. */
struct cert_question {
    const char *const *hosts; /* names or addresses */
    size_t n_hosts;
    int64_t now;
    const uint8_t *staple; /* OCSP response beside it, n_staple bytes; NULL: none */
    size_t n_staple;
};

/* ERR_MEMORY. The caller frees. */
enum err cert_look(const struct tls_identity *id, const struct cert_question *question, struct cert *out);
void cert_free(struct cert *c);
/* NULL when memory is out. */
json_t *cert_json(const struct cert *c);
/* { "kind", "severity", "reason" }; NULL when memory is out. */
json_t *cert_alarm_json(const struct cert_alarm *alarm);
/* That no certificate names this host; that what lies in a file is not taken. */
struct cert_alarm cert_alarm_host_missing(const char *host);
struct cert_alarm cert_alarm_refused(const char *why);
/* "notice", "warning", "severe" */
const char *cert_severity_name(enum cert_severity severity);
bool cert_in_time(const struct cert *c, int64_t now);

/* A signing request (PKCS #10) for n > 0 names (hosts or addresses, the first one also the CN), with the key
 * of key_pem, or with a new ECDSA P-256 key when that is NULL, which then is put into *new_key. PEM texts,
 * malloc'd. ERR_TLS with why. */
enum err cert_request(const char *const *names, size_t n, const char *key_pem, char **request, char **new_key,
                      char *why, size_t why_size);

#endif
