/*
 * Nonces that the server need not remember (RFC 8489 §9.2), and what a challenge offers beside them.
 *
 * A nonce is the "nonce cookie" (obMatJos2 and the 24 security feature bits in base64), then in base64 the
 * second it was made in, the client's port, and an HMAC over all of that, the client's IP address and the
 * password algorithms that were offered with it. So every server with the same key and clock accepts it, it
 * is of no use at another address, and nobody on the way can take features or algorithms away from the offer
 * (§9.2.1). The port is in it because no two ports may get the same nonce (§9.2.4); it is not compared, since
 * a client may well use a nonce for its next socket.
 */
#ifndef PROTO_STUN_NONCE_H
#define PROTO_STUN_NONCE_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/netaddr.h"
#include "proto/stun_auth.h"
#include "proto/stun_msg.h"

enum {
    STUN_NONCE_COOKIE = 13, /* characters of the nonce cookie */
    STUN_NONCE_TEXT = 32,   /* characters of a nonce, without a NUL; no padding on the wire */
    STUN_NONCE_KEY = 32,
};

/* Security features, RFC 8489 §18.1. Bits count from the least significant one of the 24, as the example in
 * appendix B.1 has it and erratum 6290 says. */
enum stun_feature {
    STUN_FEATURE_PASSWORD_ALGORITHMS = 1 << 0,
    STUN_FEATURE_USERNAME_ANONYMITY = 1 << 1,
};

/* What a challenge offers: security features, and the value of PASSWORD-ALGORITHMS (length 0: none). */
struct stun_offer {
    uint32_t features;
    uint8_t algorithms[4 * STUN_ALGORITHMS];
    uint8_t algorithms_len;
};

/* One entry of PASSWORD-ALGORITHMS, also the value of PASSWORD-ALGORITHM: number, no parameters. */
void stun_offer_add(struct stun_offer *o, enum stun_algorithm a);

/* now: seconds of the wall clock. No NUL is written. */
void stun_nonce_make(const uint8_t key[STUN_NONCE_KEY], uint32_t now, const struct netaddr *client,
                     const struct stun_offer *offer, char nonce[STUN_NONCE_TEXT]);

/* algorithms: the list that came with the nonce, to be judged with it; at NULL: none came, the offer's is
 * meant. ERR_OK; ERR_TIMEOUT: made here with this list, but older than lifetime seconds (or too far in the
 * future), or the offer has changed since; ERR_REFUSED: not made here, or not with this list. */
enum err stun_nonce_check(const uint8_t key[STUN_NONCE_KEY], uint32_t now, uint32_t lifetime,
                          const struct netaddr *client, const struct stun_offer *offer,
                          struct stun_value algorithms, struct stun_value nonce);

/* The bits that a nonce from anywhere announces; 0 without a cookie. */
uint32_t stun_nonce_features(struct stun_value nonce);

#endif
