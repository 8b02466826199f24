/*
 * The worker process behind one tunnel: dials its edge, keeps the SSH session, the control channel and the
 * data channels up, and serves the requests that come out of them (core/egress). One per edge and tunnel
 * index.
 *
 * Messages with main (common/ipc.h), beside those of common/worker_process.h:
 *
 *   from main
 *     setup         {core, edge: {name, host, port}, index, and the members of keys and policy}
 *     keys          {host_keys: [as pairing_host_keys has them], client_key: PEM text, told: what the edge is
 *                   to do with its keys, sent to it as it is; null: nothing}
 *     refuse        {reason}: the connection is to end
 *     linger        {}: the drain that follows waits for WebSockets
 *     policy        {revision, policy: {..., sent to the edge as it is}, allowlist: [rules], domains:
 *                   [{host, hosts: [texts], bridge_ca: PEM text or null}], config: text of stile.json}
 *     config_prepare {id, revision, text}: the edge shall prepare this config; answered by config
 *     config_commit, config_rollback {revision}: how it ended
 *     targets       {domain: join host, targets: [{name, address, port, priority, weight, state}]}: what
 *                   targets_status makes
 *     answer        {addresses: [texts], error: words or null}: what main found for question
 *     status        {id}
 *
 *   to main
 *     state         {state: "connecting"|"active"|"failed", reason, since, edge_version}: at every change;
 *                   since is Unix time
 *     question      {}: which addresses has the edge's host? The worker itself has neither DNS nor files
 *     status        {id, tunnel: {edge, index, target, state, reason, since, rtt_ms, ...}}
 *     target_failed {domain: join host, address, port, reason}: a request could not use it
 *     config        {id, state: "prepared"|"refused"|"away"|"older version", reason, waits_for_restart}
 *     keys_ack      {host_key, …}: the edge's answer, with `proved`: the host key of this connection
 *     policy_ack    {revision, error}: the edge's answer; error is null when it took it
 */
#ifndef CORE_TUNNEL_TUNNEL_WORKER_H
#define CORE_TUNNEL_TUNNEL_WORKER_H

#include <ev.h>
#include <jansson.h>
#include <stddef.h>

#include "common/ipc.h"

struct tunnel_worker;

/* NULL: out of memory. It waits for "setup". */
struct tunnel_worker *tunnel_worker_new(struct ev_loop *loop, struct ipc *main);
void tunnel_worker_message(struct tunnel_worker *w, const char *type, json_t *msg, int *fds, size_t n_fds);
/* No new request is taken; when the running ones are done, at the latest after `seconds`, the edge is told
 * goodbye and the loop is broken. A second call may shorten that. */
void tunnel_worker_drain(struct tunnel_worker *w, double seconds);
void tunnel_worker_free(struct tunnel_worker *w);

#endif
