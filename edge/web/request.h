/*
 * One exchange between a guest and a bridge, whatever HTTP version the guest speaks: judged, sent up an
 * uplink, its answer brought back with back-pressure. The guest's connection is the owner; it is told what to
 * do through struct request_guest and never asks which way the bytes go.
 *
 * The answer is over with on_head(end), on_end or on_abort; the owner then frees the request, from inside the
 * callback or later. It may free it from any callback, but what ctx points to must stay until the round of
 * the loop is over: callbacks that belong together (the pieces of an answer of our own) still come, and must
 * then do nothing.
 */
#ifndef EDGE_WEB_REQUEST_H
#define EDGE_WEB_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "edge/web/web.h"
#include "proto/http1_head.h"
#include "proto/http_message.h"

struct request;

struct request_guest {
    /* The final head of the answer; end: no body follows. m is the caller's: it may be changed, not kept.
     * m->websocket: the opening was accepted, both directions are bytes now. */
    void (*on_head)(void *guest, struct http_message *m, bool end);
    /* 1xx but 101. May be NULL. */
    void (*on_interim)(void *guest, struct http_message *m);
    /* Must be taken; what has left towards the guest is given back with request_consumed. */
    void (*on_data)(void *guest, const uint8_t *data, size_t n);
    void (*on_end)(void *guest, const struct http_message *trailers);
    /* request_room has grown again. */
    void (*on_room)(void *guest);
    /* The answer cannot be completed: the connection must show that. */
    void (*on_abort)(void *guest);
};

struct request_origin {
    const struct netaddr *client;
    const char *server_name; /* SNI; NULL when the client sent none */
    const char *received;    /* "1.1", "1.0", "2.0" */
    bool tls;                /* false: port 80, answered with a redirect */
};

/* NULL when memory is out. */
struct request *request_new(struct web *w, const struct request_guest *guest, void *ctx);
/* Judges m and sends it on, or answers by itself: callbacks may come from inside. end: no body follows. m may
 * be changed or emptied. origin and m need to live during the call only. */
void request_start(struct request *r, const struct request_origin *origin, struct http_message *m, bool end);
/* Answers a request that the parser refused. */
void request_start_malformed(struct request *r, const struct request_origin *origin,
                             const struct http1_failure *why);
/* Gives up whatever is still running. NULL is fine. */
void request_free(struct request *r);

/* The guest's body. Room is none while the request waits for a tunnel. With nowhere to go it is unlimited,
 * and bytes are dropped. */
size_t request_room(const struct request *r);
void request_write(struct request *r, const uint8_t *data, size_t n);
void request_end(struct request *r, const struct http_message *trailers);
/* Bytes of the body that were taken and wait for core. NULL is fine. */
size_t request_queued(const struct request *r);
/* n bytes of the answer have left towards the guest. */
void request_consumed(struct request *r, size_t n);
/* The answer's head has not come in time: answers 504. */
void request_timed_out(struct request *r);
/* True once on_head was called. */
bool request_answered(const struct request *r);
const char *request_id(const struct request *r);

/* For waiting.c: an uplink is there; or none has come in time. */
void request_go(struct request *r);
void request_waited(struct request *r);

/* For uplink.c: what comes back on the stream. dead: the whole uplink is gone. */
void request_answer_head(struct request *r, struct http_message *m, bool end);
void request_answer_interim(struct request *r, struct http_message *m);
void request_answer_data(struct request *r, const uint8_t *data, size_t n);
void request_answer_end(struct request *r, struct http_message *trailers);
void request_answer_room(struct request *r);
void request_answer_closed(struct request *r, uint32_t code, bool dead);

#endif
