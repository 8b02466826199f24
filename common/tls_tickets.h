/*
 * Session tickets (RFC 5077, RFC 8446 §4.6.1) that every worker of a box can open: main makes the keys, keeps
 * them in memory only, and hands them out; the first one seals, older ones still open, and what they open is
 * sealed anew.
 */
#ifndef COMMON_TLS_TICKETS_H
#define COMMON_TLS_TICKETS_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum {
    TLS_TICKETS_KEPT = 2, /* the key in use and the one before it */
    TLS_TICKET_NAME = 16,
    TLS_TICKET_SECRET = 32,
    TLS_TICKETS_HEX = TLS_TICKETS_KEPT * (TLS_TICKET_NAME + 2 * TLS_TICKET_SECRET) * 2 + 1,
};

struct tls_ticket_key {
    uint8_t name[TLS_TICKET_NAME], aes[TLS_TICKET_SECRET], hmac[TLS_TICKET_SECRET];
};

struct tls_tickets {
    struct tls_ticket_key keys[TLS_TICKETS_KEPT]; /* newest first */
    size_t n;
};

/* A new key in front; the oldest goes. */
void tls_tickets_rotate(struct tls_tickets *t);
void tls_tickets_wipe(struct tls_tickets *t);
/* As hex digits, for messages to workers: out is a secret. Returns out. */
const char *tls_tickets_print(const struct tls_tickets *t, char out[TLS_TICKETS_HEX]);
/* ERR_MALFORMED; *t is set only on success. */
enum err tls_tickets_parse(const char *hex, struct tls_tickets *t);

/* Makes the context's connections use *t, which must outlive them all and may change meanwhile. ERR_TLS. */
enum err tls_tickets_use(SSL_CTX *ctx, const struct tls_tickets *t);

#endif
