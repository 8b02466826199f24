/*
 * HTTP/1.x message bodies (RFC 9112 §6, §7): takes the framing off without copying, and puts chunks on.
 *
 *   while ((e = http1_body_decode(&body, data, n, room, &piece)) == ERR_OK) {
 *       ... piece.data[0..piece.n) is body; piece.used bytes of data are done with ...
 *       data += piece.used, n -= piece.used;
 *       if (http1_body_done(&body) || piece.used == 0) break;
 *   }
 *
 * What was not used must be offered again, with more bytes behind it: a chunk-size or trailer line is looked
 * at only when it is whole.
 */
#ifndef PROTO_HTTP1_BODY_H
#define PROTO_HTTP1_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "proto/http1_head.h"
#include "proto/http_message.h"

enum http1_body_state {
    HTTP1_BODY_DONE,
    HTTP1_BODY_LENGTH,      /* left bytes to go */
    HTTP1_BODY_UNTIL_CLOSE, /* http1_body_eof ends it */
    HTTP1_BODY_CHUNK_SIZE,  /* at a chunk-size line */
    HTTP1_BODY_CHUNK,       /* left bytes of this chunk to go */
    HTTP1_BODY_CHUNK_END,   /* at the CRLF behind a chunk */
    HTTP1_BODY_TRAILERS,    /* at a trailer line or the empty line that ends everything */
    HTTP1_BODY_FAILED,
};

enum {
    HTTP1_CHUNK_LINE_MAX = 256,    /* chunk size with its extensions */
    HTTP1_TRAILERS_MAX = 8 * 1024, /* all trailer lines together */
};

struct http1_body {
    enum http1_body_state state;
    uint32_t trailer_bytes;
    uint64_t left;
    struct http_message *trailers; /* NULL until the first trailer field; owned */
};

struct http1_piece {
    const uint8_t *data; /* inside what was offered */
    size_t n;            /* body bytes; ≤ room */
    size_t used;         /* offered bytes that are done with, body and framing */
};

/* For the message and its head as http1_parse_… gave them. */
void http1_body_init(struct http1_body *b, const struct http_message *m, const struct http1_head *head);
void http1_body_free(struct http1_body *b);

/* Takes the next piece off data[0..n), with at most room bytes of body in it. ERR_OK with used == 0: more
 * bytes, or more room, is needed. ERR_MALFORMED: the connection must be closed. ERR_MEMORY. */
enum err http1_body_decode(struct http1_body *b, const uint8_t *data, size_t n, size_t room,
                           struct http1_piece *out);
static inline bool http1_body_done(const struct http1_body *b)
{
    return b->state == HTTP1_BODY_DONE;
}
/* The peer has ended its side: ERR_OK when that completes the body, else ERR_TRUNCATED. */
enum err http1_body_eof(struct http1_body *b);
/* The trailers once done, with forbidden fields taken out; NULL when there were none. Still owned by b. */
struct http_message *http1_body_trailers(struct http1_body *b);

enum { HTTP1_CHUNK_HEAD_MAX = 20 };
/* Writes the line before a chunk of n > 0 bytes; returns its length. The chunk is followed by "\r\n". */
size_t http1_chunk_head(char out[HTTP1_CHUNK_HEAD_MAX], size_t n);
/* Appends a whole chunk; nothing for n == 0 (which would be the last chunk). Unchanged on error. */
enum err http1_write_chunk(struct buf *out, const uint8_t *data, size_t n);
/* Appends the last chunk, with trailers when not NULL. */
enum err http1_write_last_chunk(struct buf *out, const struct http_message *trailers);

#endif
