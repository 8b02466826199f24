#include "edge/turn/turn_tls.h"

#include "common/tls.h"

/* RFC 7443. Clients that offer nothing, as browsers do, are served, too. */
static const char alpn[] = "\x09stun.turn\x12stun.nat-discovery";

enum err turn_tls_set(struct turn_tls *t, const char *cert_pem, const char *key_pem, char *why,
                      size_t why_size)
{
    SSL_CTX *stream, *datagram;
    enum err e = tls_server_ctx(cert_pem, key_pem, alpn, &stream, why, why_size);
    if (e != ERR_OK)
        return e;
    e = tls_dtls_server_ctx(cert_pem, key_pem, &datagram, why, why_size);
    if (e != ERR_OK) {
        SSL_CTX_free(stream);
        return e;
    }
    turn_tls_free(t);
    t->stream = stream;
    t->datagram = datagram;
    t->generation++;
    return ERR_OK;
}

void turn_tls_free(struct turn_tls *t)
{
    SSL_CTX_free(t->stream);
    SSL_CTX_free(t->datagram);
    t->stream = t->datagram = NULL;
}
