/*
 * TURN on the HTTPS port: connections that turn out to speak STUN are a turn worker's. Main passes their
 * descriptors on; so that a flood of them fills neither main's memory nor its descriptors, no more than
 * HANDOVERS_MOST of one web worker are on their way at once. What comes above that is closed.
 */
#ifndef EDGE_WEB_HANDOVER_H
#define EDGE_WEB_HANDOVER_H

#include <stdbool.h>

#include "common/netaddr.h"

struct web;

enum { HANDOVERS_MOST = 128 };

/* Sends a copy of fd off; tls: what comes out of fd was decrypted here. False, counted, when this port serves
 * no TURN or too many are under way. fd stays the caller's. */
bool handover_send(struct web *w, int fd, const struct netaddr *client, const struct netaddr *server,
                   bool tls);
/* One has arrived. */
void handover_done(struct web *w);

#endif
