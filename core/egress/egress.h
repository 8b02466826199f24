/*
 * Requests out of the tunnel, served from the web bridge. Everything that comes in here was sent by the DMZ
 * and is hostile: parsed by proto/h2_session, judged by the allow-list (core is the authority), serialised
 * anew.
 *
 * One egress per tunnel worker: policy, targets, and the pool of connections to the bridges. One
 * egress_session per data channel: an HTTP/2 server whose bytes the owner carries.
 *
 * What core answers by itself has no body and says why in the field "stile-reason" (EGRESS_REASONS): the edge
 * shows its own page, logs the reason, and takes the field out. A bridge's own fields of that name never
 * pass.
 */
#ifndef CORE_EGRESS_EGRESS_H
#define CORE_EGRESS_EGRESS_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/netaddr.h"

struct egress;
struct egress_session;

/* X(NAME, status, value of stile-reason) */
#define EGRESS_REASONS(X)                                                                                    \
    X(MALFORMED, 400,                                                                                        \
      "malformed") /* the URL cannot be brought into canonical form, or the head cannot be sent */           \
    X(NOT_ALLOWED, 403, "not-allowed") /* the host is known, no rule allows this path, method or scheme */   \
    X(WRONG_HOST, 421, "wrong-host")   /* no rule for this host and port */                                  \
    X(NO_TARGET, 502, "no-target")     /* no bridge is Active */                                             \
    X(CONNECT_FAILED, 502, "connect-failed") /* no bridge took the connection */                             \
    X(BRIDGE_CLOSED, 502, "bridge-closed")   /* the bridge ended the connection before its response */       \
    X(BAD_RESPONSE, 502, "bad-response")     /* what the bridge answered cannot be trusted */                \
    X(BUSY, 503, "busy")                     /* too much at once, or out of memory */                        \
    X(TIMEOUT, 504, "timeout")               /* the bridge did not answer in time */

enum egress_reason {
#define X(name, status, words) EGRESS_##name,
    EGRESS_REASONS(X)
#undef X
        EGRESS_REASON_COUNT
};
#define EGRESS_REASON_FIELD "stile-reason"

/* A refused request, for main's records. Texts are printable, and valid during the call. */
struct egress_refusal {
    unsigned status;
    const char *client;       /* X-Forwarded-For as the edge gave it, quoted */
    const char *method, *url; /* quoted; without the query */
    const char *why;
    unsigned dropped; /* refusals before this one that were kept back */
};

struct egress_events {
    /* A request could not use this target of the domain of host (connect, TLS), or had no answer from it: it
     * should be probed. reason in words. Once a second and target at most. Must not free the egress. */
    void (*on_target_failed)(void *ctx, const char *host, const struct netaddr *addr, const char *reason);
    /* Rate-limited; already logged. May be NULL. */
    void (*on_refused)(void *ctx, const struct egress_refusal *refusal);
};

/* Deadlines, in seconds; a request is looked at every `sweep` seconds. */
struct egress_limits {
    double sweep;
    double connect;     /* TCP and TLS */
    double head;        /* the response's head, from the last byte that the bridge took */
    double body;        /* between two pieces of a response's body, while the guest takes them */
    double upload;      /* between two pieces of a request's body */
    double half_closed; /* a WebSocket of which one side has finished */
    double lingering;   /* a request whose body goes on after its response is complete */
    size_t running;     /* most requests and WebSockets at once: 503 above */
    size_t
        waiting; /* most bytes of theirs held in memory: above a quarter of it their queues are kept short, */
                 /* above all of it, at a sweep, those with most are ended */
};
extern const struct egress_limits egress_limits_default;

/* events must outlive it. NULL: out of memory. Until policy and targets are set every request is refused
 * (421, 502). */
struct egress *egress_new(struct ev_loop *loop, const struct egress_events *events, void *ctx);
/* Its sessions must have been freed. NULL is fine. */
void egress_free(struct egress *e);
/* Other limits than the default ones; for tests. limits must outlive the egress. */
void egress_set_limits(struct egress *e, const struct egress_limits *limits);

/* Replaces policy: allowlist as proto/allowlist reads it; domains as core/egress/domain.h reads them, which
 * must know every host of the allow-list. Prepared, then committed: on ERR_CONFIG nothing changed and why
 * says why. Running requests go on as they were judged; idle connections of domains that have gone, or have
 * another CA now, are closed. */
enum err egress_set_policy(struct egress *e, const json_t *allowlist, const json_t *domains, char *why,
                           size_t why_size);
/* What targets_status makes, for the domain with join host `host`: [{name, address, port, priority, weight,
 * state}]. Requests go to "active" ones of the best (lowest) priority, by weight or in turn. Nothing happens
 * when the policy has no such domain. */
void egress_set_targets(struct egress *e, const char *host, const json_t *targets);
/* A new object: {running, waiting (bytes), requests, websockets, retries, unreachable, refused, failed: {…by
 * stile-reason}, bytes_in, bytes_out, seconds: {bridge: histogram}, pool: {idle, busy}, domains: {join host:
 * requests}}. NULL: out of memory. */
json_t *egress_status(const struct egress *e);
/* Requests and WebSockets running now, over all sessions. */
size_t egress_running(const struct egress *e);
/* Those of them that end by themselves, sooner or later: all but open WebSockets. */
size_t egress_unfinished(const struct egress *e);

struct egress_session_events {
    /* There is output to fetch with egress_session_send; once until it has been fetched. It comes from inside
     * any function of this file or from the loop: only make a note of it. */
    void (*on_output)(void *ctx);
};

/* events must outlive it. The first output waits at once; on_output is not called for it. NULL: out of
 * memory. */
struct egress_session *egress_session_new(struct egress *e, const struct egress_session_events *events,
                                          void *ctx);
/* Ends every request of it. NULL is fine. */
void egress_session_free(struct egress_session *s);
/* Feeds bytes of the data channel. ERR_PROTOCOL: fetch the last output, then free the session and close the
 * channel. */
enum err egress_session_receive(struct egress_session *s, const uint8_t *data, size_t n);
/* As h2_session_send: appends output to out until there is no more or out holds `most` bytes (a frame more at
 * the utmost). */
enum err egress_session_send(struct egress_session *s, struct buf *out, size_t most);
/* GOAWAY: takes no new request. */
void egress_session_drain(struct egress_session *s);
/* Drained or failed, and all output fetched. */
bool egress_session_finished(const struct egress_session *s);

#endif
