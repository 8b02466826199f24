/* TLS contexts as Stile wants them: 1.2 and 1.3, DTLS 1.2, ECDHE with AEAD only (RFC 9325), compression and
 * renegotiation off. */
#ifndef COMMON_TLS_H
#define COMMON_TLS_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

struct tls_identity;
struct tls_tickets;

/* What a server's contexts have in common. */
struct tls_server {
    bool datagram; /* DTLS 1.2. No tickets: what a session holds is all that there is. Datagrams are as long
                    * as the owner says (SSL_set_mtu) */
    const char *alpn; /* wire format in our order of preference ("\x08http/1.1"), static, or NULL */
    const struct tls_tickets *tickets; /* outlives all connections; NULL: each context has a key of its own */
};

/* A context that shows one of these identities (n > 0, each with another kind of key). why gets the reason in
 * words on ERR_TLS. The caller frees with SSL_CTX_free. */
enum err tls_server_make(const struct tls_server *server, const struct tls_identity *const *ids, size_t n,
                         SSL_CTX **out, char *why, size_t why_size);
/* The same for TLS with one identity, from PEM text: certificate with its chain, and key. */
enum err tls_server_ctx(const char *cert_pem, const char *key_pem, const char *alpn, SSL_CTX **out, char *why,
                        size_t why_size);
/* Client context that verifies: against the PEM text of CAs, or the system's store when ca_pem is NULL. */
enum err tls_client_ctx(const char *ca_pem, SSL_CTX **out, char *why, size_t why_size);
/* After a handshake: empties the ephemeral keys of both sides, which OpenSSL keeps as long as the connection, for
 * nothing. Forward secrecy counts from here on, and a connection takes 0.4 to 0.5 KiB less. */
void tls_forget_ephemeral(SSL *ssl);
/* Empties OpenSSL's queue of errors, as SSL_get_error wants it before each call. ERR_clear_error walks
 * through all of it even when it is empty, which it nearly always is. */
static inline void tls_forget_errors(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}
/* Words for the newest OpenSSL error of this thread, emptying its queue; ssl may be NULL, else certificate
 * verification results are put in words too (tls_verify.h). */
const char *tls_words(SSL *ssl, char *out, size_t size);
/* Self-signed certificate for host (name or address), ECDSA P-256, valid `days`; PEM text, both malloc'd. */
enum err tls_self_signed(const char *host, int days, char **cert_pem, char **key_pem);

#endif
