/* Why a peer's certificate was not accepted, in the words of somebody who has to mend it: what was expected,
 * and what came. */
#ifndef COMMON_TLS_VERIFY_H
#define COMMON_TLS_VERIFY_H

#include <openssl/ssl.h>

/* Makes connections of the context verify their peer and remember why they refused it. */
void tls_verify_install(SSL_CTX *ctx);
/* "name mismatch: expected join.example.com, certificate names bridge.lan"; NULL when the certificate was not
 * the reason. Lives as long as ssl. */
const char *tls_verify_words(const SSL *ssl);

#endif
