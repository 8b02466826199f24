/*
 * One request of a guest: an HTTP/2 stream of a data channel on one side, an exchange with a bridge on the
 * other.
 *
 * Bytes wait in three places, each bounded: towards the bridge in `upload` (at most the stream's window,
 * which is given back as bytes leave it) and in the connection's queue; towards the guest in the stream's
 * queue. A side that does not take them stops the other.
 *
 * It lives from the stream's on_head to its on_close. Either side may end first: the bridge's is taken out
 * (http_client IDLE), the guest's is ended or reset, before the other one is told.
 */
#ifndef CORE_EGRESS_EXCHANGE_H
#define CORE_EGRESS_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/egress/egress_internal.h"
#include "core/egress/http_client.h"
#include "core/egress/request.h"
#include "proto/h2_session.h"

enum {
    EXCHANGE_TARGETS_MAX = 3, /* tried before giving up */
    EXCHANGE_REPEATS_MAX = 2, /* of a bridge that dies, the kept connection closes, and then the fresh one */
    EXCHANGE_QUEUE = 64 * 1024,  /* bytes queued towards the bridge, and towards the guest */
    EXCHANGE_CROWDED = 4 * 1024, /* the same while all of them together hold too much */
};

struct exchange {
    TAILQ_ENTRY(exchange) next;
    struct egress *egress;
    struct h2_stream *stream;
    struct http_client client;
    struct request request;        /* its head is kept as long as it may have to be sent again */
    struct buf upload;             /* body bytes that the bridge has not been given yet */
    struct http_message *trailers; /* of the request, until sent; owned */
    double began;                  /* egress->round when its head came */
    double since;                  /* the last sign of life that counts: egress->now */
    uint32_t tried[EXCHANGE_TARGETS_MAX];
    uint8_t n_tried;
    uint8_t repeats;    /* how often it was sent again */
    bool head_sent;     /* towards the bridge, on the present connection */
    bool body_sent;     /* some of the body was given to a bridge: it cannot be sent again */
    bool request_ended; /* the edge has sent all of it */
    bool end_sent;      /* the bridge has been given all of it */
    bool websocket;     /* open: the bridge has said 101 */
    bool responded;     /* the final response head went to the edge */
    bool done;          /* nothing more goes to the edge; what still comes is thrown away */
};

/* A new request of the session; m may be changed. NULL: out of memory, the stream is to be reset. */
struct exchange *exchange_new(struct egress *e, struct h2_stream *stream, struct http_message *m, bool end);
void exchange_data(struct exchange *x, const uint8_t *data, size_t n);
void exchange_end(struct exchange *x, const struct http_message *trailers);
void exchange_drained(struct exchange *x);
/* The stream is gone. */
void exchange_free(struct exchange *x);
/* Checks its deadlines. */
void exchange_sweep(struct exchange *x);
/* Bytes it holds for somebody who does not take them, about. */
size_t exchange_waiting(const struct exchange *x);
/* Targets have changed. A request that waits for one that is Failed now might wait for long: while it is on
 * its way to a connection, or may be sent twice, it goes to another. */
void exchange_leave_failed(struct exchange *x);
/* Ends it, since core holds too much. */
void exchange_shed(struct exchange *x);

#endif
