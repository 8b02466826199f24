#include "edge/turn/turn_tls.h"

#include <stdio.h>

#include "common/tls_choice.h"

/* RFC 7443. Clients that offer nothing, as browsers do, are served, too. */
static const char alpn[] = "\x09stun.turn\x12stun.nat-discovery";

enum err turn_tls_set(struct turn_tls *t, const json_t *json, char *why, size_t why_size)
{
    static const struct tls_server over_tcp = {.alpn = alpn}, over_udp = {.datagram = true};
    SSL_CTX *stream, *datagram;
    enum err e = tls_choice_ctx_json(&over_tcp, json, &stream, why, why_size);
    if (e != ERR_OK)
        return e;
    e = tls_choice_ctx_json(&over_udp, json, &datagram, why, why_size);
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

enum err turn_tls_set_pem(struct turn_tls *t, const char *cert_pem, const char *key_pem, char *why,
                          size_t why_size)
{
    json_t *one = json_pack("{ss s[{ss ss}]}", "host", "", "identities", "pem", cert_pem, "key", key_pem);
    if (!one) {
        snprintf(why, why_size,
                 "text beside the certificates is not UTF-8; remove what is not between BEGIN and END");
        return ERR_CONFIG;
    }
    enum err e = turn_tls_set(t, one, why, why_size);
    json_decref(one);
    return e;
}

void turn_tls_free(struct turn_tls *t)
{
    SSL_CTX_free(t->stream);
    SSL_CTX_free(t->datagram);
    t->stream = t->datagram = NULL;
}
