/*
 * One HTTP message head, whatever version it came in or leaves in: RFC 9110 semantics, no framing.
 * Parsers fill it, policy judges it, serialisers write it anew; raw bytes are never forwarded.
 *
 * The message owns the text of everything in it. Spans point into the message and live until the next call
 * that adds to it or frees it.
 */
#ifndef PROTO_HTTP_MESSAGE_H
#define PROTO_HTTP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

enum {
    HTTP_FIELDS_MAX = 128,      /* fields of one head */
    HTTP_HEAD_MAX = 64 * 1024,  /* bytes of one head */
    HTTP_NO_LENGTH = -1,
};

struct span {
    const char *at;
    size_t len;
};
bool span_is(struct span s, const char *text);          /* exact */
bool span_is_nocase(struct span s, const char *text);   /* ASCII case folded */

struct http_field {
    uint32_t name, value; /* offsets into text */
    uint32_t name_len, value_len;
};

struct http_message {
    struct buf text;
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t n_fields;
    /* Request: method, scheme ("https"), authority (Host), path with query. Zero length: not set. */
    struct http_field method_scheme, authority_path; /* name = first, value = second */
    bool websocket; /* a judged WebSocket opening: h1 Upgrade or h2 extended CONNECT (RFC 8441) */
    /* Response: 100–599; 0 in a request. */
    unsigned status;
    /* Body: none when no_body; else content_length bytes, or HTTP_NO_LENGTH: until its end is signalled. */
    bool no_body;
    int64_t content_length;
};

void http_message_init(struct http_message *m);
void http_message_free(struct http_message *m);

/* Setters and http_message_add copy; names are stored in lower case. ERR_FULL above HTTP_FIELDS_MAX or
 * HTTP_HEAD_MAX, ERR_MEMORY. They do not judge characters: the parsers have done so. */
enum err http_message_set_method(struct http_message *m, const char *at, size_t len);
enum err http_message_set_scheme(struct http_message *m, const char *at, size_t len);
enum err http_message_set_authority(struct http_message *m, const char *at, size_t len);
enum err http_message_set_path(struct http_message *m, const char *at, size_t len);
enum err http_message_add(struct http_message *m, const char *name, size_t name_len, const char *value,
                          size_t value_len);
struct span http_message_method(const struct http_message *m);
struct span http_message_scheme(const struct http_message *m);
struct span http_message_authority(const struct http_message *m);
struct span http_message_path(const struct http_message *m);
struct span http_message_name(const struct http_message *m, size_t i);
struct span http_message_value(const struct http_message *m, size_t i);
/* The first field of that (lower-case) name; a zero span (at == NULL) when there is none. */
struct span http_message_find(const struct http_message *m, const char *name);
/* Removes every field of that name. */
void http_message_remove(struct http_message *m, const char *name);

/* Removes what must not cross a hop (RFC 9110 §7.6.1): Connection and the fields it names, Keep-Alive,
 * Proxy-Connection, Proxy-Authenticate, Proxy-Authorization, TE (but "trailers"), Trailer, Transfer-Encoding, Upgrade. */
void http_message_strip_hop_by_hop(struct http_message *m);

#endif
