/*
 * One data channel to a core: an HTTP/2 client session over a pair of descriptors. Several uplinks of several
 * tunnels and cores stand side by side; uplink_choose says which one a request takes.
 */
#ifndef EDGE_WEB_UPLINK_H
#define EDGE_WEB_UPLINK_H

#include <jansson.h>

#include "edge/web/web.h"
#include "proto/h2_session.h"

/* Owns both descriptors, also on error. NULL when memory is out. The names are copied. */
struct uplink *uplink_new(struct web *w, int64_t id, const char *core, int tunnel, int channel, int fd_in,
                          int fd_out);
/* Tells main why, ends every request on it, frees. */
void uplink_close(struct uplink *u, const char *reason);
/* Without telling anyone. */
void uplink_free(struct uplink *u);
struct uplink *uplink_find(struct web *w, int64_t id);

/* The uplink for the next request: of the core with the fewest streams, the first tunnel that has less than
 * 64 of this worker's; above, or when a tunnel has gone silent, and for WebSockets, the tunnel with the
 * fewest. avoid (or NULL) is taken only when there is no other. NULL when there is none: *busy then says
 * whether one is there, but full. */
struct uplink *uplink_choose(struct web *w, bool websocket, const struct uplink *avoid, bool *busy);
/* The uplink that a stream runs on. */
const struct uplink *uplink_of(const struct h2_stream *st);
/* For one request more; again: another uplink has failed it. */
struct h2_session *uplink_take(struct uplink *u, bool again);
const char *uplink_core(const struct uplink *u);
int uplink_tunnel(const struct uplink *u);
/* The guest has given up what runs on this stream of an uplink: nothing more of it is told. Core hears of it
 * at once, or a little later when guests give up very much: above a rate core would end the whole channel,
 * which guests must not bring about. */
void uplink_give_up(struct h2_stream *st, uint32_t code);
/* No new requests; closed once the running ones are done. */
void uplink_drain(struct uplink *u);
/* Bytes of guests that wait for cores, in all of them. */
size_t uplinks_queued(const struct web *w);
/* Once a second. */
void uplinks_sweep(struct web *w);
/* [{id, core, tunnel, channel, state, streams, requests, bytes_in, bytes_out, retries, rate_in, rate_out,
 * queue}] */
json_t *uplinks_status(const struct web *w);

#endif
