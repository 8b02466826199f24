/*
 * A client's data connection and its peer's as one stream, RFC 6062 §5.4, §5.5: bytes are passed on as they
 * are, with back-pressure (a side is not read while the other takes nothing), half a connection closes by
 * itself, and when one side is gone the other is closed as soon as it has got everything. An idle one holds
 * no buffers.
 */
#ifndef EDGE_TURN_TURN_SPLICE_H
#define EDGE_TURN_TURN_SPLICE_H

#include <ev.h>

#include "common/stream.h"
#include "edge/turn/turn_server.h"
#include "edge/turn/turn_stream_net.h"

struct turn_splice;
struct turn_splices;

enum { TURN_SPLICE_HIGH = 64 * 1024 /* bytes waiting for a side while the other is not read */ };

/* NULL when memory is out. */
struct turn_splices *turn_splices_new(struct ev_loop *loop, struct turn_server *server);
/* Ends all of them. */
void turn_splices_free(struct turn_splices *all);
/* Joins the client's stream, as soon as it is given away, with j->fd. Whatever happens, j's connection ends
 * with it: turn_peer_connection_ended, or for another worker's its row is released and the worker told. */
void turn_splice_join(struct turn_splices *all, struct turn_client *client, const struct turn_join *j);
/* Closes both ends at once, calls nobody. */
void turn_splice_close(struct turn_splice *s);
/* Once a second, and when another worker says so: those end that have no row any more, or nothing left to
 * pass on. */
void turn_splices_sweep(struct turn_splices *all);
size_t turn_splices_count(const struct turn_splices *all);

#endif
