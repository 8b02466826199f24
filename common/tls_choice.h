/*
 * A server with several identities: the one is shown whose certificate names whom the client asks for (SNI,
 * RFC 6066 §3), of identities with different kinds of keys the one that the client can verify.
 */
#ifndef COMMON_TLS_CHOICE_H
#define COMMON_TLS_CHOICE_H

#include <jansson.h>

#include "common/tls.h"
#include "common/tls_identity.h"

enum { TLS_IDENTITIES_MAX = 64 };

/* n > 0 identities, the one to prefer first: of those that name a host, the first of each kind of key counts.
 * Who asks for a name that none of them has, or for none, is shown what is for `host`, or else the first one.
 * The context keeps what it needs: the identities are still the caller's. ERR_TLS, ERR_MEMORY with why. */
enum err tls_choice_ctx(const struct tls_server *server, const struct tls_identity *ids, size_t n,
                        const char *host, SSL_CTX **out, char *why, size_t why_size);

/* The same from the form in which processes tell each other: { "host": TEXT, "identities": [{ "pem":
 * certificate, chain and key, "key": the key where it is not there, "staple": hex digits, or absent,
 * "staple_until": UNIX time }, ...] }. ERR_CONFIG
 * for another form. */
enum err tls_choice_ctx_json(const struct tls_server *server, const json_t *json, SSL_CTX **out, char *why,
                             size_t why_size);

#endif
