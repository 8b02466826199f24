/* What conn.c (a connection's life and deadlines) and the protocols spoken on it (conn_h1.c, conn_h2.c)
 * share; nobody else includes it. */
#ifndef EDGE_WEB_CONN_INTERNAL_H
#define EDGE_WEB_CONN_INTERNAL_H

#include "common/stream.h"
#include "edge/web/conn.h"
#include "edge/web/request.h"
#include "proto/http1_body.h"
#include "proto/http1_head.h"
#include "proto/websocket.h"
#include "proto/websocket_frames.h"

enum conn_state {
    CONN_HANDSHAKE,
    CONN_IDLE,   /* waiting for a head, or within one */
    CONN_BODY,   /* the exchange runs; the request's body is still coming */
    CONN_ANSWER, /* the exchange runs; the request is complete */
    CONN_WEBSOCKET,
    CONN_HTTP2,  /* its streams have states of their own: conn_h2_stream.c */
    CONN_TURN,   /* a turn worker's: conn_turn.c */
    CONN_LINGER, /* our side is shut; waiting for the guest's */
    CONN_DEAD,
};

enum {
    /* An answer's bytes wait here until the guest has read them: one stream window, which is all that core
     * may send before we give window back, and room for heads and chunk sizes. */
    CONN_QUEUE_MAX = 512 * 1024,
    CONN_QUEUE_LOW = 32 * 1024,
    CONN_LINGER_BYTES_MAX = 1024 * 1024,
};

/* What is spoken on a connection, from the end of its TLS handshake on. conn.c never asks which it is. */
struct conn_protocol {
    const struct stream_events *events;
    /* The handshake is over; the stream has these events already. False: the connection cannot be served. */
    bool (*start)(struct conn *c);
    /* Once a second; may be NULL. */
    void (*sweep)(struct conn *c, double now);
    /* c->deadline has passed. */
    void (*expired)(struct conn *c);
    /* The worker stops: what is idle is closed, the rest as soon as it is over. */
    void (*drain)(struct conn *c);
    /* The time to drain is over: says goodbye where the protocol has words for it. NULL: it has not, and the
     * connection is closed. */
    void (*leave)(struct conn *c);
    /* The connection is being closed: everything that runs on it is given up. */
    void (*end)(struct conn *c);
    /* Bytes that wait beside the stream's queue; may be NULL. */
    size_t (*held)(const struct conn *c);
    /* Bytes of requests that wait for core, in the uplinks' queues; may be NULL. Asked only when memory is
     * short. */
    size_t (*passing)(const struct conn *c);
};

struct conn_h2;

struct conn {
    LIST_ENTRY(conn) link;
    TAILQ_ENTRY(conn) hello; /* handshakes.c */
    struct web *web;
    struct stream *stream;
    const struct conn_protocol *protocol;
    struct conn_h2 *h2;  /* NULL: HTTP/1; the members from here to the address are HTTP/1's then */
    struct stream *turn; /* to the turn worker; NULL: not TURN */
    struct request *request;
    struct http1_body body; /* the request's */
    size_t scanned;         /* of the head that is coming */
    size_t unconsumed;      /* answer bytes queued, whose window is not given back */
    size_t accounted;       /* bytes of web->held that are this one's */
    uint64_t sent_mark;     /* bytes out at the last look: does the reader read? */
    double sent_since;      /* 0: nothing waits */
    double deadline;        /* 0: none */
    struct netaddr client;
    enum conn_state state;
    unsigned lingered;
    uint8_t minor; /* HTTP/1.minor of the request */
    bool tls;
    bool patient, waits_for_turn; /* handshakes.c */
    bool keep_alive;
    bool head_begun; /* some of the head has come */
    bool expects_continue;
    bool head_request; /* HEAD */
    bool answer_begun, answer_chunked, answer_ended;
    bool websocket;  /* was one: counted */
    bool peer_ended; /* the guest has shut its side */
    bool draining;
    struct websocket_frames frames;         /* of a WebSocket, towards the guest */
    char accept[WEBSOCKET_ACCEPT_TEXT + 1]; /* of a WebSocket that is being opened; else "" */
};

/* conn.c: seconds from now; 0: none. */
void conn_set_deadline(struct conn *c, long seconds);
/* Says no more, and waits for the guest's close: a reset would take the last answer from under the reader. */
void conn_linger(struct conn *c);

/* The guest still talks although we have said all: dropped, up to a point. */
void conn_swallow(struct conn *c, size_t n);
/* Call when bytes were queued for the guest or for core: keeps the worker's total. */
void conn_account(struct conn *c);
/* What is spoken from now on. The connection may be dead afterwards. */
void conn_speak(struct conn *c, const struct conn_protocol *protocol);
/* SNI, or NULL. */
const char *conn_server_name(const struct conn *c);
/* What a guest whose connection broke off had on it: for stream_events.on_close of every protocol. */
void conn_on_stream_close(void *ctx, enum err why, const char *words);

extern const struct conn_protocol conn_h1, conn_h2, conn_turn, conn_first;

#endif
