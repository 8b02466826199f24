/*
 * What clients did that may get them banned (common/ban_categories.h): counted here, told to main once a
 * second in one message, in memory of a fixed size. Noted are only clients whose TCP connection was complete:
 * their address is their own, or that of the load balancer's client.
 */
#ifndef EDGE_WEB_OFFENCES_H
#define EDGE_WEB_OFFENCES_H

#include "common/ban_categories.h"
#include "common/netaddr.h"

struct web;
struct offences;

/* NULL when memory is out. */
struct offences *offences_new(void);
/* NULL is fine. */
void offences_free(struct offences *o);
/* Of more clients than there is room for, some go unnoticed until the next second. */
void offence_note(struct web *w, const struct netaddr *client, enum ban_category category);
/* Once a second: tells main, and forgets. */
void offences_tell(struct web *w);

#endif
