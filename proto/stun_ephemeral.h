/*
 * Credentials that end, made by whoever shares a secret with the server, as coturn and the web's "TURN REST
 * API" (draft-uberti-behave-turn-rest) have them: the user name is "SECONDS:NAME" or "SECONDS" (Unix time
 * until which they are good), the password base64(HMAC-SHA1(secret, user name)).
 */
#ifndef PROTO_STUN_EPHEMERAL_H
#define PROTO_STUN_EPHEMERAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STUN_EPHEMERAL_PASSWORD = 28 }; /* characters */

struct stun_ephemeral {
    uint64_t ends;        /* Unix time */
    const uint8_t *whose; /* ":NAME", or all of the user name where no name is in it; points into it */
    size_t whose_len;
};

/* n bytes of user name, from the wire. False when it has not this form: digits without a zero in front (one
 * way to write each time), and behind a colon anything but control characters. */
bool stun_ephemeral_parse(const uint8_t *username, size_t n, struct stun_ephemeral *out);

/* The password with a NUL behind it; the caller overwrites it after use. */
void stun_ephemeral_password(const char *secret, const void *username, size_t n,
                             char password[STUN_EPHEMERAL_PASSWORD + 1]);

#endif
