/*
 * Who may not come in, as main has said (edge/bans.h): a set of addresses (IPv6: /64s), asked for every
 * connection before anything else is done for it. As large as main's list, which is bounded.
 */
#ifndef EDGE_WEB_BANNED_H
#define EDGE_WEB_BANNED_H

#include <jansson.h>

#include "edge/web/web.h"

void banned_init(struct web *w);
void banned_free(struct web *w);
/* False, and no more said, for most; true is counted. Allocates nothing, logs nothing. */
bool banned_refuses(struct web *w, const struct netaddr *client);
/* Arrays of addresses as main writes them; NULL: none. What those who are added have open ends with what
 * runs on it: idle connections at once, others behind their answers; calls (WebSockets, TURN) go on. */
void banned_change(struct web *w, const json_t *add, const json_t *remove);

#endif
