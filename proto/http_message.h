/*
 * One HTTP message head, whatever version it came in or leaves in: RFC 9110 semantics, no framing.
 * Parsers fill it, policy judges it, serialisers write it anew; raw bytes are never forwarded.
 *
 * The message owns the text of everything in it. Spans point into the message and live until the next call
 * that adds to it, resets it or frees it. A message that was never filled holds no memory.
 *
 * What the fields never contain: Host (it is the authority), Content-Length and Transfer-Encoding (they are
 * content_length and no_body), and pseudo-fields of HTTP/2. The parsers take them out, the serialisers write
 * them.
 */
#ifndef PROTO_HTTP_MESSAGE_H
#define PROTO_HTTP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"

enum {
    HTTP_FIELDS_MAX = 128,       /* fields of one head */
    HTTP_HEAD_MAX = 64 * 1024,   /* bytes of one head as it came */
    HTTP_TARGET_MAX = 16 * 1024, /* bytes of a request target */
    HTTP_NO_LENGTH = -1,
};

struct span {
    const char *at;
    size_t len;
};
/* Exact. Inline, so that the length of a constant text is one. */
static inline bool span_is(struct span s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}
bool span_is_nocase(struct span s, const char *text); /* ASCII case folded */
struct span span_from(const char *text);
/* True when the comma-separated list s (RFC 9110 §5.6.1) has the token, ASCII case folded. */
bool span_list_has(struct span s, const char *token);
/* Walks a comma-separated list: takes the next non-empty element, without white space around it, off *rest.
 * False at the end. Quoted strings are not known: for lists of tokens only. */
bool span_list_next(struct span *rest, struct span *element);

/* A piece of the message's text. */
struct http_piece {
    uint32_t at, len;
};

struct http_field {
    struct http_piece name, value;
};

struct http_message {
    struct buf text;
    struct http_field *fields;
    size_t n_fields, fields_size;
    /* Request: method, scheme ("https"), authority (Host), path with query. Zero length: not set. */
    struct http_piece method, scheme, authority, path;
    /* A judged WebSocket opening: h1 Upgrade or h2 extended CONNECT (RFC 8441). The method is GET in both,
     * the body is the WebSocket's bytes, and no Sec-WebSocket-Key, -Accept, Upgrade or Connection is among
     * the fields. */
    bool websocket;
    /* Response: 100–599; 0 in a request. */
    unsigned status;
    /* Body: none when no_body; else content_length bytes, or HTTP_NO_LENGTH: until its end is signalled.
     * content_length may be set beside no_body: a response to HEAD, or an explicit length of zero. */
    bool no_body;
    int64_t content_length;
};

void http_message_init(struct http_message *m);
/* Empty again, memory kept for the next use. */
void http_message_reset(struct http_message *m);
/* Gives the memory back; empty and usable afterwards. */
void http_message_free(struct http_message *m);
/* *to becomes a copy that holds only what it needs; *to must be empty. ERR_MEMORY: *to stays empty. */
enum err http_message_copy(struct http_message *to, const struct http_message *from);

/* Setters and http_message_add copy; names are stored in lower case. ERR_FULL above HTTP_FIELDS_MAX or
 * the room for text, ERR_MEMORY. They do not judge characters: the parsers have done so. */
enum err http_message_set_method(struct http_message *m, const char *at, size_t len);
enum err http_message_set_scheme(struct http_message *m, const char *at, size_t len);
enum err http_message_set_authority(struct http_message *m, const char *at, size_t len);
enum err http_message_set_path(struct http_message *m, const char *at, size_t len);
enum err http_message_add(struct http_message *m, const char *name, size_t name_len, const char *value,
                          size_t value_len);
/* The same for text that ends in NUL: name is a constant, value may be NULL for "nothing to add". */
enum err http_message_add_str(struct http_message *m, const char *name, const char *value);
/* A field whose name and value already lie in the text (a parser's; name in lower case). */
enum err http_message_add_piece(struct http_message *m, struct http_piece name, struct http_piece value);

struct span http_message_span(const struct http_message *m, struct http_piece p);
struct span http_message_method(const struct http_message *m);
struct span http_message_scheme(const struct http_message *m);
struct span http_message_authority(const struct http_message *m);
struct span http_message_path(const struct http_message *m);
struct span http_message_name(const struct http_message *m, size_t i);
struct span http_message_value(const struct http_message *m, size_t i);
/* The first field of that (lower-case) name; a zero span (at == NULL) when there is none. */
struct span http_message_find(const struct http_message *m, const char *name);
size_t http_message_count(const struct http_message *m, const char *name);
/* Removes every field of that name; returns how many. */
size_t http_message_remove(struct http_message *m, const char *name);
/* Joins all Cookie fields into one with "; ", as RFC 9113 §8.2.3 wants it before HTTP/1. */
enum err http_message_join_cookies(struct http_message *m);

/* Removes what must not cross a hop (RFC 9110 §7.6.1): Connection and the fields it names, Keep-Alive,
 * every Proxy-*, TE (but "trailers" stays), Trailer, Transfer-Encoding, Upgrade, HTTP2-Settings. */
void http_message_strip_hop_by_hop(struct http_message *m);
/* Removes from trailers what RFC 9110 §6.5.1 forbids there: framing, routing, authentication, caching control
 * and what an address or a cookie could be smuggled in with; and hop-by-hop fields. */
void http_message_strip_trailers(struct http_message *m);

/* "Not Found" for 404; "" for a status without a registered phrase. */
const char *http_status_reason(unsigned status);

#endif
