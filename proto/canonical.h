/*
 * The one form in which a URL is judged and then forwarded, on both boxes. Everything that two parsers could
 * read differently is either refused here or written in one way only.
 *
 * Host: lower case, no trailing dot, IPv6 in its shortest text in brackets; user information refused.
 * Path: dot segments resolved, unreserved characters not encoded, other encodings in upper-case hex. Refused:
 * encoded slash, backslash or control characters (also when encoded twice), raw backslash, "..;" (which Java
 * servers read as
 * ".."), segments that climb above the root, invalid percent-encoding, bytes outside printable ASCII.
 * Query: its characters are checked, its text is left alone.
 */
#ifndef PROTO_CANONICAL_H
#define PROTO_CANONICAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "proto/http_message.h"

enum { CANONICAL_HOST_MAX = 255, CANONICAL_PATH_MAX = 8 * 1024 };

struct canonical_authority {
    char host[CANONICAL_HOST_MAX + 1];
    uint16_t port; /* default_port when none was given */
};

struct canonical {
    bool websocket; /* wss rather than https */
    struct canonical_authority authority;
    char path[CANONICAL_PATH_MAX + 1]; /* without the query */
    size_t path_len;
    struct span query; /* with its "?", or empty; lies in the message that was judged */
};

/* ERR_MALFORMED with *why (static words). */
enum err canonical_authority(struct span text, uint16_t default_port, struct canonical_authority *out,
                             const char **why);
/* A path with or without query (origin form). *query borrows from text. */
enum err canonical_path(struct span text, char path[CANONICAL_PATH_MAX + 1], size_t *path_len,
                        struct span *query, const char **why);
/* The URL of a request that came over TLS (default port 443). m->scheme must be https, or not set. */
enum err canonical_from_message(const struct http_message *m, struct canonical *out, const char **why);
/* Puts the judged authority's and path's text into the message, so that what was judged is what is sent. */
enum err canonical_to_message(const struct canonical *c, struct http_message *m);
/* "https://host[:port]/path" (no query: it may hold secrets), cut to size; returns out. */
const char *canonical_print(const struct canonical *c, char *out, size_t size);

#endif
