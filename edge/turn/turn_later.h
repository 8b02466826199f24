/* A request that is answered later: Connect, until the peer has answered; ConnectionBind, until the worker
 * that has the peer's connection has handed it over. */
#ifndef EDGE_TURN_TURN_LATER_H
#define EDGE_TURN_TURN_LATER_H

#include "edge/turn/turn_request.h"

struct turn_later;

/* A copy of the request with its message; holds its account. The client must outlive it: that of a stream
 * does, until its connection ends. NULL when memory is out. */
struct turn_later *turn_later_keep(const struct turn_request *r);
/* NULL is fine. */
void turn_later_free(struct turn_later *l);
/* Both answer, and free. connection_id 0: the success carries none. */
void turn_later_succeed(struct turn_later *l, uint32_t connection_id);
void turn_later_fail(struct turn_later *l, int code);

#endif
