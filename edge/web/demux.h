/*
 * What a connection to the HTTPS port is, by its first byte (RFC 7983), which is looked at and left where it
 * is: TLS goes to conn, STUN (TURN over TCP) to a turn worker, anything else is closed.
 */
#ifndef EDGE_WEB_DEMUX_H
#define EDGE_WEB_DEMUX_H

#include "common/netaddr.h"
#include "edge/web/web.h"

/* Takes over an accepted descriptor whose client is counted already. */
void demux_new(struct web *w, int fd, const struct netaddr *client);
/* Once a second: closes those whose first byte has not come in time. */
void demux_sweep(struct web *w);
void demux_free_all(struct web *w);

#endif
