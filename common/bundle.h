/*
 * A bundle: everything one edge needs to join, in one file that core makes and `stile-edge join` installs:
 * the shared config, the shared secrets, and the SSH host key that the edge has until its first tunnel is up.
 * It is secret: whoever has it can pose as the edge until then, and knows the secrets of TURN. It expires,
 * and it can be used once: with the first tunnel the edge makes a host key of its own, and core knows the
 * bundle's no longer (core/pairing/pairing.h).
 */
#ifndef COMMON_BUNDLE_H
#define COMMON_BUNDLE_H

#include <jansson.h>
#include <stdbool.h>
#include <time.h>

#include "common/err.h"

enum { BUNDLE_VERSION = 2, BUNDLE_DAYS = 7, BUNDLE_ID = 33 };

struct bundle {
    char id[BUNDLE_ID]; /* 32 hex digits */
    char *edge;
    char *config;   /* text of stile.json */
    char *secrets;  /* text of secrets.json */
    char *host_key; /* OpenSSH private key, PEM text */
    time_t created, expires;
    int protocol;     /* CTL_PROTOCOL of the core that made it */
    char version[32]; /* of that core, for people */
};

/* Gives it an id. False when there are no random bytes. */
bool bundle_make_id(struct bundle *b);
/* Text of the bundle, malloc'd (wipe it with file_wipe), its secrets under passphrase where one is given;
 * NULL when memory is out. */
char *bundle_encode(const struct bundle *b, const char *passphrase);
/* Whether this text is a bundle whose secrets are under a passphrase. */
bool bundle_is_encrypted(const char *text);
/* passphrase: NULL for none. why[SCHEMA_WHY] names what is wrong. The caller frees with bundle_free. */
enum err bundle_decode(const char *name, const char *text, const char *passphrase, time_t now,
                       struct bundle *out, char *why);
void bundle_free(struct bundle *b);

#endif
