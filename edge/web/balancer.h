/*
 * Connections from load balancers (web_proxy.load_balancers): they begin with a PROXY protocol header, and
 * whoever it names is the client from there on, in limits, logs and what the bridge is told. Nobody else's
 * header is looked at.
 */
#ifndef EDGE_WEB_BALANCER_H
#define EDGE_WEB_BALANCER_H

#include "edge/web/web.h"

bool balancer_is(const struct web *w, const struct netaddr *address);
/* Takes over an accepted descriptor from a balancer, counted already by the balancer's address. Behind the
 * header it goes the way of its port. */
void balancer_new(struct web *w, int fd, const struct netaddr *balancer, bool https);
/* Once a second: closes those whose header has not come in time. */
void balancer_sweep(struct web *w);
void balancer_free_all(struct web *w);

#endif
