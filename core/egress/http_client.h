/*
 * One HTTP/1.1 exchange with a web bridge over a connection of the pool: frames the request's body, judges
 * the response and takes the framing off its body; or, after a 101, bytes both ways.
 *
 * The owner embeds it. Nothing is buffered here but what the connection's stream holds: the owner says how
 * much of the body it takes (room), else reading stops.
 */
#ifndef CORE_EGRESS_HTTP_CLIENT_H
#define CORE_EGRESS_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "core/egress/pool.h"
#include "proto/http1_body.h"
#include "proto/http1_head.h"
#include "proto/http_message.h"

enum {
    HTTP_CLIENT_INTERIM_MAX = 32, /* 1xx responses to one request */
};

enum http_client_failure {
    HTTP_CLIENT_UNREACHABLE, /* no connection, or no TLS: nothing was sent */
    HTTP_CLIENT_STALE,       /* a kept connection was closed before a byte of the response */
    HTTP_CLIENT_CLOSED,      /* closed, or broken, before the response was complete */
    HTTP_CLIENT_MALFORMED,   /* the response cannot be trusted */
    HTTP_CLIENT_NO_MEMORY,
};

/* Callbacks may call anything here. on_end and on_failed come once and are the last call; the connection is
 * no longer the client's then. */
struct http_client_events {
    /* Connected: send the head. */
    void (*on_open)(void *ctx);
    /* A 1xx response other than 101. m may be changed. */
    void (*on_interim)(void *ctx, struct http_message *m);
    /* The final response, or the 101 that was asked for. m may be changed. end: no body follows, on_end is
     * next. */
    void (*on_head)(void *ctx, struct http_message *m, const struct http1_head *head, bool end);
    /* Body bytes that are welcome now. */
    size_t (*room)(void *ctx);
    void (*on_body)(void *ctx, const uint8_t *data, size_t n); /* n ≤ room */
    void (*on_end)(void *ctx, struct http_message *trailers);
    /* After 101: the bridge has finished sending; the other direction goes on. */
    void (*on_half_end)(void *ctx);
    /* The queue towards the bridge is low again. */
    void (*on_drained)(void *ctx);
    void (*on_failed)(void *ctx, enum http_client_failure why, const char *words);
};

enum http_client_state {
    HTTP_CLIENT_IDLE, /* no connection: not started, or over */
    HTTP_CLIENT_CONNECTING,
    HTTP_CLIENT_HEAD, /* a response head is awaited */
    HTTP_CLIENT_BODY,
    HTTP_CLIENT_SWITCHED, /* a WebSocket */
};

struct http_client {
    const struct http_client_events *events;
    void *ctx;
    struct connection *connection;
    struct target *target;        /* the connection's; still told to on_failed */
    struct http_message *scratch; /* the owner's: holds a head during its callback */
    enum http_client_state state;
    bool chunked;  /* how the request's body is framed */
    bool sent_end; /* the request is complete */
    bool expect_head, expect_upgrade;
    bool heard;      /* a byte of the response has come */
    bool read_ended; /* SWITCHED: on_half_end was called */
    bool waits_for_room;
    bool keep_alive;
    unsigned keep; /* seconds the bridge says it keeps the connection; 0: it did not say */
    unsigned interims;
    size_t scanned;
    uint64_t sent_before; /* bytes the connection had sent for earlier requests */
    struct http1_body body;
};

/* scratch is used during callbacks from the connection only, so that all clients of a loop can share one. */
void http_client_init(struct http_client *c, const struct http_client_events *events, void *ctx,
                      struct http_message *scratch);
/* Binds it to a kept connection to t (state HEAD: send the head), used at most max_idle seconds ago, or else
 * starts to connect (CONNECTING: on_open or on_failed follows). ERR_FULL: the pool gives none. */
enum err http_client_start(struct http_client *c, struct pool *p, struct target *t, double max_idle);
/* Ends the exchange without a call; the connection is closed. */
void http_client_abort(struct http_client *c);

/* The request's head as it goes on the wire; expect is what its response may look like. */
enum err http_client_send_head(struct http_client *c, const uint8_t *data, size_t n,
                               const struct http1_expect *expect, bool chunked);
/* Body bytes that may be sent now, when at most `most` shall wait in the connection's queue. */
size_t http_client_room(const struct http_client *c, size_t most);
enum err http_client_send_body(struct http_client *c, const uint8_t *data, size_t n);
/* The request is complete. For a WebSocket: our direction ends; when both have, on_end follows at once. */
enum err http_client_send_end(struct http_client *c, const struct http_message *trailers);
/* room has grown. */
void http_client_resume(struct http_client *c);

#endif
