/* Opening a WebSocket at the bridge (RFC 6455 §4.1) for a guest whose extended CONNECT (RFC 8441) was
 * allowed: the key is core's own, and what the bridge chooses must have been offered. */
#ifndef CORE_EGRESS_WEBSOCKET_H
#define CORE_EGRESS_WEBSOCKET_H

#include "common/err.h"
#include "proto/http1_head.h"
#include "proto/http_message.h"

struct websocket_opening;

/* Draws a key and adds it to the request. ERR_MEMORY, ERR_FULL. */
enum err websocket_opening_new(struct http_message *request, struct websocket_opening **out);
void websocket_opening_free(struct websocket_opening *o);
/* Checks the bridge's 101 and turns it into the 200 that answers the extended CONNECT. ERR_MALFORMED with
 * *words. */
enum err websocket_opening_check(const struct websocket_opening *o, struct http_message *response,
                                 const struct http1_head *head, const char **words);

#endif
