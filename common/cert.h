/*
 * A certificate as an administrator sees it: whom it names, until when, whether its key and chain are right;
 * and signing requests for the next one. PEM texts in, values out; no file is touched.
 */
#ifndef COMMON_CERT_H
#define COMMON_CERT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum { CERT_TEXT = 256, CERT_NAMES_MAX = 100, CERT_EXPIRES_SOON_DAYS = 21 };

struct cert {
    char subject[CERT_TEXT], issuer[CERT_TEXT]; /* printable, "CN=…, O=…" */
    char key[64];                               /* "ECDSA P-256", "RSA 2048" */
    char fingerprint[96];                       /* SHA-256, "AB:CD:…" */
    json_t *names;                              /* subject alternative names, as texts */
    int64_t from, until;                        /* UNIX times */
    size_t chain;                               /* certificates behind it */
    bool self_signed;
    bool covers; /* names the host that it was looked at for */
    char
        problem[2 * CERT_TEXT]; /* what keeps guests from trusting it, and the remedy; "" = nothing is seen */
    bool soon;                  /* no problem but that it expires within CERT_EXPIRES_SOON_DAYS */
};

/* Looks at a certificate with its chain, and at its key unless that is NULL, for a host (name or address), at
 * a time. ERR_OK also with a problem in *out, which the caller frees with cert_free; ERR_TLS with why: not
 * readable, or the key is not its own. */
enum err cert_read(const char *cert_pem, const char *key_pem, const char *host, int64_t now, struct cert *out,
                   char *why, size_t why_size);
void cert_free(struct cert *c);
/* { "subject", "issuer", "names", "from", "until", "key", "fingerprint", "chain", "self_signed", "problem",
 * "soon" }; NULL when memory is out. */
json_t *cert_json(const struct cert *c);

/* A signing request (PKCS #10) for n > 0 names (hosts or addresses, the first one also the CN), with the key
 * of key_pem, or with a new ECDSA P-256 key when that is NULL, which then is put into *new_key. PEM texts,
 * malloc'd. ERR_TLS with why. */
enum err cert_request(const char *const *names, size_t n, const char *key_pem, char **request, char **new_key,
                      char *why, size_t why_size);

#endif
