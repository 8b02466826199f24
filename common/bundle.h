/*
 * A bundle: everything one edge needs to join, in one file that core's `init` writes and `stile-edge join`
 * installs: the shared config, the shared secrets, and the edge's SSH host key. It is secret: whoever has it
 * can pose as the edge. It expires.
 */
#ifndef COMMON_BUNDLE_H
#define COMMON_BUNDLE_H

#include <jansson.h>
#include <time.h>

#include "common/err.h"

enum { BUNDLE_VERSION = 1, BUNDLE_DAYS = 7 };

struct bundle {
    char *edge;
    char *config;   /* text of stile.json */
    char *secrets;  /* text of secrets.json */
    char *host_key; /* OpenSSH private key, PEM text */
    time_t created, expires;
};

/* Text of the bundle, malloc'd (wipe it with file_wipe); NULL when memory is out. */
char *bundle_encode(const struct bundle *b);
/* why[SCHEMA_WHY] names what is wrong. The caller frees with bundle_free. */
enum err bundle_decode(const char *name, const char *text, time_t now, struct bundle *out, char *why);
void bundle_free(struct bundle *b);

#endif
