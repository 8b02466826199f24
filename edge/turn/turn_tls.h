/* The certificates of a worker, ready for both kinds of TLS. Whoever has a connection holds the context that
 * it began with, so replacing touches no connection. */
#ifndef EDGE_TURN_TURN_TLS_H
#define EDGE_TURN_TURN_TLS_H

#include <jansson.h>
#include <openssl/ssl.h>

#include "common/err.h"

struct turn_tls {
    SSL_CTX *stream, *datagram; /* NULL: no certificate yet */
    unsigned generation;        /* counts replacements */
};

/* From main's words, see common/tls_choice.h. Both contexts are replaced or none; errors with words in why.
 */
enum err turn_tls_set(struct turn_tls *t, const json_t *json, char *why, size_t why_size);
/* The same with one, in PEM. */
enum err turn_tls_set_pem(struct turn_tls *t, const char *cert_pem, const char *key_pem, char *why,
                          size_t why_size);
void turn_tls_free(struct turn_tls *t);

#endif
