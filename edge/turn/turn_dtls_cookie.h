/* Cookies that show that a client has its address (RFC 6347 §4.2.1): an HMAC over the client's address and
 * the socket that it reached, under a key that is replaced again and again. Nothing is remembered per client.
 */
#ifndef EDGE_TURN_TURN_DTLS_COOKIE_H
#define EDGE_TURN_TURN_DTLS_COOKIE_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

#include "edge/turn/turn_client.h"

enum { TURN_DTLS_COOKIE_SIZE = 16, TURN_DTLS_COOKIE_KEY = 32 };

struct turn_dtls_cookie {
    EVP_MAC_CTX *hmac;
    uint8_t keys[2][TURN_DTLS_COOKIE_KEY]; /* the one in use, the one before */
    uint32_t since;                        /* second from which the first is in use */
};

/* Draws both keys; aborts when there are no random numbers. */
void turn_dtls_cookie_init(struct turn_dtls_cookie *c, uint32_t now);
void turn_dtls_cookie_wipe(struct turn_dtls_cookie *c);
void turn_dtls_cookie_make(const struct turn_dtls_cookie *c, const struct turn_key *client,
                           uint8_t out[TURN_DTLS_COOKIE_SIZE]);
/* True when it was made for this client with one of the two keys. */
bool turn_dtls_cookie_check(const struct turn_dtls_cookie *c, const struct turn_key *client,
                            const uint8_t cookie[TURN_DTLS_COOKIE_SIZE]);
/* Replaces the key that has been in use for so many seconds. */
void turn_dtls_cookie_tick(struct turn_dtls_cookie *c, uint32_t now, uint32_t seconds);

#endif
