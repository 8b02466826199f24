/* The opening of a WebSocket over HTTP/1.1 (RFC 6455 §4), from both sides, and over HTTP/2 (RFC 8441). Of
 * the frames after it websocket_frames.h alone knows. */
#ifndef PROTO_WEBSOCKET_H
#define PROTO_WEBSOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "proto/http1_head.h"
#include "proto/http_message.h"

enum {
    WEBSOCKET_KEY_TEXT = 24,    /* 16 bytes in base64 */
    WEBSOCKET_ACCEPT_TEXT = 28, /* 20 bytes in base64 */
};

/* True when a request asks for an upgrade to WebSocket, well or badly. */
bool websocket_wanted(const struct http_message *m, const struct http1_head *head);
/*
 * Server: checks an opening (RFC 6455 §4.2.1: GET, HTTP/1.1, no body, version 13, a key of 16 bytes). On
 * ERR_OK m is turned into the form that http_message.h describes (websocket set, the handshake's own fields
 * taken out) and the value of Sec-WebSocket-Accept is in accept. ERR_MALFORMED: why says what to answer (400,
 * or 426 for a version other than 13: then Sec-WebSocket-Version: 13 belongs in the answer).
 */
enum err websocket_check_request(struct http_message *m, const struct http1_head *head,
                                 char accept[WEBSOCKET_ACCEPT_TEXT + 1], struct http1_failure *why);
/* The same for HTTP/2, whose m->websocket is set already (RFC 8441 §5: neither key nor accept). */
enum err websocket_check_extended(struct http_message *m, struct http1_failure *why);
/* The Accept value that belongs to a key. */
void websocket_accept(const char key[WEBSOCKET_KEY_TEXT], char accept[WEBSOCKET_ACCEPT_TEXT + 1]);
/* Client: the key made of 16 random bytes. */
void websocket_key(const uint8_t random[16], char key[WEBSOCKET_KEY_TEXT + 1]);
/* Client: adds Sec-WebSocket-Key and -Version to a request with m->websocket. */
enum err websocket_add_key(struct http_message *m, const char key[WEBSOCKET_KEY_TEXT + 1]);
/* Client: checks a 101 answer against the key; on ERR_OK its handshake fields are taken out. */
enum err websocket_check_response(struct http_message *m, const struct http1_head *head,
                                  const char key[WEBSOCKET_KEY_TEXT + 1], struct http1_failure *why);

#endif
