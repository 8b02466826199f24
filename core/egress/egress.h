/*
 * Requests out of the tunnel, served from the web bridge. Everything that comes in here was sent by the DMZ and is
 * hostile: parsed by proto/h2_session, judged by the allow-list (core is the authority), serialised anew.
 *
 * One egress per tunnel worker: policy, targets, and the pool of connections to the bridges. One egress_session per data
 * channel: an HTTP/2 server whose bytes the owner carries.
 */
#ifndef CORE_EGRESS_EGRESS_H
#define CORE_EGRESS_EGRESS_H

#include <ev.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/netaddr.h"

struct egress;
struct egress_session;

struct egress_events {
    /* A request could not use this target (connect, TLS): it should be probed. reason in words. */
    void (*on_target_failed)(void *ctx, const struct netaddr *addr, const char *reason);
};

/* events must outlive it. NULL: out of memory. Until policy and targets are set every request is refused (403, 502). */
struct egress *egress_new(struct ev_loop *loop, const struct egress_events *events, void *ctx);
/* Its sessions must have been freed. NULL is fine. */
void egress_free(struct egress *e);

/* Replaces policy: allowlist as proto/allowlist reads it; bridge_ca PEM text or NULL for the system's; join_host is the name that
 * the bridge's certificate must bear (SNI too). Prepared, then committed: on ERR_CONFIG nothing changed and why says why. */
enum err egress_set_policy(struct egress *e, const json_t *allowlist, const char *join_host, const char *bridge_ca, char *why,
                           size_t why_size);
/* What targets_status makes: [{name, address, port, priority, weight, state}]. Requests go to "active" ones of the best (lowest)
 * priority, by weight or in turn. */
void egress_set_targets(struct egress *e, const json_t *targets);
/* {requests, refused: {…by status}, errors, websockets, bytes_in, bytes_out, pool: {idle, busy}, …} for status. */
json_t *egress_status(const struct egress *e);
/* Requests and WebSockets running now, over all sessions. */
size_t egress_running(const struct egress *e);

struct egress_session_events {
    /* There is output to fetch with egress_session_send; once until it has been fetched. */
    void (*on_output)(void *ctx);
};

struct egress_session *egress_session_new(struct egress *e, const struct egress_session_events *events, void *ctx);
/* Ends every request of it. NULL is fine. */
void egress_session_free(struct egress_session *s);
/* Feeds bytes of the data channel. ERR_PROTOCOL: fetch the last output, then free the session and close the channel. */
enum err egress_session_receive(struct egress_session *s, const uint8_t *data, size_t n);
/* As h2_session_send. */
enum err egress_session_send(struct egress_session *s, struct buf *out, size_t most);
/* GOAWAY: takes no new request. */
void egress_session_drain(struct egress_session *s);

#endif
