/*
 * HTTP/2 towards a guest, from inside: conn_h2.c is the connection (session, deadlines, what a peer may not
 * do), conn_h2_stream.c one stream, which is one request. Nobody else includes this.
 */
#ifndef EDGE_WEB_CONN_H2_H
#define EDGE_WEB_CONN_H2_H

#include "edge/web/conn_internal.h"
#include "proto/h2_session.h"

struct h2_exchange;

struct conn_h2 {
    struct conn *conn;
    struct h2_session *session;
    LIST_HEAD(, h2_exchange) exchanges;
    size_t held;       /* bytes of requests' bodies that core does not take yet */
    size_t grown;      /* bytes by which streams' receive windows were raised */
    double head_since; /* a head began then and has not ended; 0: none */
    double settle_by;  /* our SETTINGS are to be acknowledged; 0: they are */
};

enum {
    H2_WINDOW_MOST = 2 * 1024 * 1024,  /* of a stream whose body core takes as fast as it comes */
    H2_GROWN_MOST = 4 * 1024 * 1024,   /* of a connection's streams together */
    H2_INTERIM_MOST = 8,               /* 1xx answers of one request that are passed on */
    H2_HELD_MOST = H2_WINDOW_MOST * 4, /* more than a peer may send: never reached */
};

/* conn_h2_stream.c */
extern const struct h2_events conn_h2_session_events;
/* Looks at a stream's deadlines. */
void h2_exchange_sweep(struct h2_exchange *x, double now);
struct h2_exchange *h2_exchange_next(const struct h2_exchange *x);
size_t h2_exchange_passing(const struct h2_exchange *x);
/* The time to drain is over: WebSockets are told so. */
void h2_exchanges_leave(struct conn_h2 *h2);
/* Gives up what runs on every stream; the streams themselves end with the session. */
void h2_exchanges_give_up(struct conn_h2 *h2);
/* Frees those that ended in this round of the loop. */
void h2_exchanges_bury(struct web *w);

#endif
