/*
 * HTTP/1.x message heads (RFC 9112): strict parser of requests and responses, and the serialisers.
 *
 * The parser looks at a byte span that starts at the first byte of a message and either has the whole head,
 * needs more, or has found something that no two implementations need agree on: then it refuses. It is strict
 * on purpose (bare CR or LF, obs-fold, white space before the colon, two lengths, ...: http1_head.c cites
 * each rule), since what it lets through is judged and then written anew for another parser.
 *
 * Time is linear in the bytes offered, however small the pieces they come in: the caller keeps `scanned`
 * between calls.
 */
#ifndef PROTO_HTTP1_HEAD_H
#define PROTO_HTTP1_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "proto/http_message.h"

/* What the head says about the connection and the body, beyond the message itself. */
struct http1_head {
    unsigned minor;  /* HTTP/1.minor: 0 or 1 */
    bool keep_alive; /* the peer will take, or send, another message on this connection */
    bool chunked; /* the body is chunked; else content_length counts, else it lasts until the end (responses)
                   */
    bool upgrade; /* Connection: upgrade, with at least one Upgrade field */
    bool expect_continue; /* Expect: 100-continue (requests, HTTP/1.1) */
};

struct http1_failure {
    unsigned
        status; /* what a server answers: 400, 414, 431, 501, 505; a gateway answers 502 for a response */
    const char *words; /* static; what was wrong, for the log and the error page */
};

/* What the request was decides what its response looks like. */
struct http1_expect {
    bool head;    /* the request was HEAD: the response has no body */
    bool upgrade; /* the request asked for a WebSocket: 101 is allowed */
};

/*
 * Parses the head at data[0..n). *scanned is 0 for a new message and is kept by the caller while ERR_AGAIN
 * comes. ERR_OK: m (emptied first) and *out are set, *used is the length of the head. ERR_AGAIN: no end yet;
 * offer the same bytes again with more behind them. ERR_MALFORMED: *why says what to answer; the connection
 * must be closed. ERR_MEMORY. Fields in m are end-to-end and hop-by-hop ones as they came, but for Host,
 * Content-Length and Transfer-Encoding. m->scheme is set only by an absolute-form target. One empty line
 * before a request is skipped.
 */
enum err http1_parse_request(const uint8_t *data, size_t n, size_t *scanned, struct http_message *m,
                             struct http1_head *out, size_t *used, struct http1_failure *why);
/* The same for a response; interim ones (1xx) are messages of their own. */
enum err http1_parse_response(const uint8_t *data, size_t n, size_t *scanned,
                              const struct http1_expect *expect, struct http_message *m,
                              struct http1_head *out, size_t *used, struct http1_failure *why);

/* One trailer line, without its CRLF, appended to the fields of m; nothing is taken out. ERR_MALFORMED,
 * ERR_MEMORY. */
enum err http1_parse_trailer(struct span line, struct http_message *m);

/*
 * Appends the head of a request in origin form: request line, Host, the fields in order, and the framing that
 * m->no_body and m->content_length ask for (chunked where the length is unknown). With m->websocket it adds
 * Connection and Upgrade; the caller adds Sec-WebSocket-Key and -Version. ERR_MALFORMED when a value could
 * not cross (CR, LF, NUL): the message came from a parser that let it through, and nothing was appended.
 */
enum err http1_write_request(struct buf *out, const struct http_message *m);

struct http1_response_form {
    unsigned minor; /* the version of the request: 1.0 knows no chunks */
    bool head;      /* the answer to HEAD */
    bool close;     /* say that this is the last response on the connection */
};
/* Appends a response head. *chunked, unless NULL, says whether the body that follows must be chunked; when it
 * is false and the length is unknown, the body ends with the connection (and "close" is said). With
 * m->websocket the status must be 101. */
enum err http1_write_response(struct buf *out, const struct http_message *m,
                              const struct http1_response_form *form, bool *chunked);

/* Appends the fields alone, without the empty line: trailers. */
enum err http1_write_fields(struct buf *out, const struct http_message *m);

#endif
