/*
 * A guest's connection: TLS (or port 80's plain text), HTTP/2 or HTTP/1.1 on it, and once upgraded the
 * bytes of a WebSocket. An idle one holds this struct, its stream and its TLS state, and nothing else.
 */
#ifndef EDGE_WEB_CONN_H
#define EDGE_WEB_CONN_H

#include "common/netaddr.h"
#include "edge/web/web.h"

/* Takes over an accepted descriptor whose client is counted already; on failure both are given back. */
void conn_new(struct web *w, int fd, const struct netaddr *client);
/* The same, beginning with TLS. patient: handshakes.h. */
void conn_new_tls(struct web *w, int fd, const struct netaddr *client, bool patient);
/* Closes at once. */
void conn_kill(struct conn *c);

/* Looks at every deadline: once a second. */
void conns_sweep(struct web *w);
/* Closes what is idle, the others as soon as their exchange is over. */
void conns_drain(struct web *w);
/* What still runs then is told goodbye, or cut. */
void conns_leave(struct web *w);
/* The same for connections of some clients; calls (WebSockets of HTTP/1, TURN) go on. */
void conns_drain_those(struct web *w, bool (*chosen)(const struct web *w, const struct netaddr *client));
/* Makes web->held exact. */
void conns_account(struct web *w);
/* Closes the greediest, when all of them together hold more than limits.queue_memory. */
void conns_shed(struct web *w);
/* Frees those that were closed in this round of the loop. */
void conns_bury(struct web *w);
/* Closes all of them. */
void conns_free(struct web *w);

#endif
