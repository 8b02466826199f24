/*
 * Turns for TLS handshakes. Answering a ClientHello costs us more than everything else that a guest does, and
 * him nothing. So a round of the loop takes as many as fit into a few milliseconds, the others wait, and who
 * is connected already is served in between. Among those that wait, addresses that ask for few go first; an
 * address that asks for more than limits.handshakes_per_address is closed before TLS knows of it.
 */
#ifndef EDGE_WEB_HANDSHAKES_H
#define EDGE_WEB_HANDSHAKES_H

#include "edge/web/web.h"

void handshakes_init(struct web *w);
/* Counts a handshake that is about to begin; false, with an event, when its address has had too many.
 * *patient: it is ahead of others already and goes behind them. */
bool handshakes_count(struct web *w, const struct netaddr *client, bool *patient);
/* The guest has said something: may it be answered in this round? When not, it is asked again later. */
bool handshakes_may_go_on(struct conn *c);
/* The connection needs no turn any more. */
void handshakes_leave(struct conn *c);
/* A round is over: those whose turn it may be in the next are listened to again, before the loop sleeps. */
void handshakes_round(struct web *w);

#endif
