/*
 * An edge's certificates as they lie in its folder: any number of cert-NAME.pem, each with its chain and its
 * key in one file, so that no crash and no reader ever sees a certificate with another one's key; and
 * cert.pem with key.pem, as `join`, people and ACME clients write them. Beside each may lie an OCSP response
 * in DER: NAME.ocsp for NAME.pem.
 */
#ifndef EDGE_CERTIFICATES_H
#define EDGE_CERTIFICATES_H

#include <jansson.h>

#include "common/box.h"
#include "common/cert.h"
#include "common/tls_choice.h"

enum {
    CERTIFICATE_FILE = 256,
    CERTIFICATE_PEM_MAX = 64 * 1024, /* all of them, with their responses, fit into a message to a worker */
};

struct certificate {
    char file[CERTIFICATE_FILE]; /* "cert.pem", in the box's folder */
    char *pem;                   /* certificate, chain and key; secret */
    uint8_t *staple;             /* NULL: none */
    size_t n_staple;
    struct tls_identity id;
    struct cert info;
};

/* In the order of preference: those that are valid now, of these the ones that were issued last. */
struct certificates {
    struct certificate *all; /* room for TLS_IDENTITIES_MAX */
    size_t n;
    json_t *refused; /* [{ "of": file, "kind": "refused", "severity", "reason" }] */
};

/* The texts of a list of join hosts, which is theirs; the number. */
size_t certificates_hosts(const json_t *hosts, const char *out[CONFIG_DOMAINS_MAX]);
/* Reads them all for the join hosts (a list of texts, here and below), at a time. One that is not right is refused, and goes on as it is in
 * `before` (NULL: none); so is one that has expired, where before has one under that name that has not.
 * ERR_MEMORY. The caller frees. */
enum err certificates_load(const struct box *box, const json_t *hosts, int64_t now,
                           const struct certificates *before, struct certificates *out);
void certificates_free(struct certificates *c);
/* Looks at them once more, at another time or for other hosts. */
void certificates_look_again(struct certificates *c, const json_t *hosts, int64_t now);
/* True when servers would show the same. */
bool certificates_same(const struct certificates *a, const struct certificates *b);
/* The first one for a host; NULL: none names it. */
const struct certificate *certificates_find(const struct certificates *c, const char *host);
const struct certificate *certificates_named(const struct certificates *c, const char *file);
/* For tls_choice_ctx_json. A secret. */
json_t *certificates_json(const struct certificates *c, const char *host);
/* [cert_json + "file"], for people and programs. */
json_t *certificates_status(const struct certificates *c);
/* Everything that is wrong with them, for these hosts: [{ "of": file or host, "kind", "severity", "reason" }]
 */
json_t *certificates_alarms(const struct certificates *c, const json_t *hosts);
/* "cert.ocsp" for "cert.pem" */
void certificate_ocsp_file(const char *file, char out[CERTIFICATE_FILE]);
/* True for the names of files that hold a certificate. */
bool certificate_is_file(const char *name);

#endif
