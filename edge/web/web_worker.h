/*
 * The web worker: guests' HTTPS on one side, data channels to the cores on the other. One process, one loop.
 *
 * Messages from main:
 *   setup        {https: k, http: m, tls, allowlist, revision, limits?, exempt?, turn?, bans?, hsts?}, with
 *                k + m listening descriptors, https first; limits: see common/web_limits.h; with turn true
 *                the https sockets take TURN as well
 *   tls          {tls}: the certificates (common/tls_choice.h) for new connections; old ones keep theirs
 *   tickets      {tickets}: the keys of session tickets (common/tls_tickets.h)
 *   policy       {revision, allowlist}
 *   limits       {limits, exempt, hsts}; exempt: networks, from request_rate
 *   bans         {add, remove}: addresses (IPv6: /64s) that are banned, and that are not any more
 *   acme         {answers}: to challenges on port 80
 *   uplink       {id, core, tunnel, channel} with two descriptors [read end, write end]: a data channel
 *   uplink_close {id}
 *   access_log   {json, query} with one descriptor, or without any: off
 *   handed       {}: a `hand` has arrived at a turn worker, or is lost
 *   status       {id}: answered by status {id, web}
 *
 * And to main:
 *   ready         {}
 *   refused       {message, reason}: a message of main's that could not be obeyed
 *   uplink_closed {id, reason}
 *   hand          {client, server, tls} with one descriptor: a TURN connection, for a turn worker
 *   offences      {list: [[address, category, n], ...]} of the last second, see common/ban_categories.h
 *   event         {event, ...}: what an administrator may want to see, rate-limited
 *   status        {id, web: {...}}
 */
#ifndef EDGE_WEB_WEB_WORKER_H
#define EDGE_WEB_WEB_WORKER_H

#include <ev.h>
#include <jansson.h>
#include <stddef.h>

#include "common/ipc.h"

struct web;

/* The loop and the connection to main must outlive it. Aborts only when memory is out at start. */
struct web *web_worker_new(struct ev_loop *loop, struct ipc *main);
/* Taken descriptors become -1 in fds. */
void web_worker_message(struct web *w, const char *type, json_t *msg, int *fds, size_t n_fds);
/* Accepts nothing new and lets running exchanges end, for so many seconds from now; then WebSockets are closed
 * with 1001. Breaks the loop when there is no connection left, at the latest a second after that. */
void web_worker_drain(struct web *w, double seconds);
void web_worker_free(struct web *w);

#endif
