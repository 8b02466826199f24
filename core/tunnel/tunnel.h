/*
 * The whole of one tunnel, from DNS to data channels, and what happens when any of it fails.
 *
 *   resolve -> dial -> SSH session -> control channel (hello, welcome) -> data channels -> ACTIVE
 *      ^___________________ wait (reconnect.h) <___________ any failure ____________|
 *
 * While the edge's port does not even answer, the wait is spent knocking on it twice a second (one SYN each):
 * the tunnel is back within about a second of the network being back. Where something answers and refuses
 * (key, host key, no daemon), nothing is tried before the wait is over.
 */
#ifndef CORE_TUNNEL_TUNNEL_H
#define CORE_TUNNEL_TUNNEL_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/netaddr.h"
#include "core/egress/egress.h"

enum { TUNNEL_WORDS = 400 };

struct tunnel;

#define TUNNEL_STATES(X)                                                                                     \
    X(CONNECTING, "connecting") /* nothing has failed yet */                                                 \
    X(ACTIVE, "active")         /* requests can come in */                                                   \
    X(FAILED, "failed")         /* it is tried again and again */

enum tunnel_state {
#define X(name, text) TUNNEL_##name,
    TUNNEL_STATES(X)
#undef X
};

struct tunnel_config {
    const char *core; /* our name */
    const char *edge; /* its name in the config */
    const char *host; /* name or address */
    uint16_t port;
    const json_t *host_keys; /* for host_keys_parse */
    const char *client_key;  /* PEM text */
    unsigned index;          /* of this tunnel to this edge */
};

struct tunnel_events {
    /* State or reason has changed. */
    void (*on_state)(void *ctx, enum tunnel_state state, const char *reason);
    /* The edge's answer to a policy; error is NULL when it took it. */
    void (*on_policy_ack)(void *ctx, int64_t revision, const char *error);
    /* The edge's answer to tunnel_config_prepare: state "prepared", "refused" with its reason, or "away" when
     * the tunnel went down before. waiting names keys that count from the edge's next start. */
    void (*on_config)(void *ctx, const char *state, const char *reason, const char *waiting);
    /* The edge's answer to keys, judged; borrowed. */
    void (*on_keys_ack)(void *ctx, const json_t *msg);
    /* tunnel_drain is done. */
    void (*on_drained)(void *ctx);
    /* The addresses of the host are wanted, which is a name: tunnel_answer follows, from the loop. */
    void (*on_question)(void *ctx);
};

/* Texts are copied; starts at once. Callbacks come from the loop only, and may call anything but tunnel_free.
 * ERR_CONFIG, ERR_MEMORY: why says what is wrong. */
enum err tunnel_new(struct ev_loop *loop, const struct tunnel_config *config, struct egress *egress,
                    const struct tunnel_events *events, void *ctx, struct tunnel **out, char *why,
                    size_t why_size);
/* At once, without a goodbye. NULL is fine. */
void tunnel_free(struct tunnel *t);
/* What the edge gets at every welcome, and now if the tunnel is up. A reference is taken of policy; config is
 * the text of stile.json, copied, which an edge with a lower revision is brought by the way. */
void tunnel_set_policy(struct tunnel *t, int64_t revision, json_t *policy, const char *config);
/* Asks the edge to prepare another config. NULL: on_config follows; else its state at once: "away", or "older
 * version" for one that takes none. */
const char *tunnel_config_prepare(struct tunnel *t, int64_t revision, const char *text);
/* How it ended for everybody. */
void tunnel_config_decide(struct tunnel *t, int64_t revision, bool commit);
/* The answer to on_question; without addresses, error says why. One that comes too late is forgotten. */
void tunnel_answer(struct tunnel *t, const struct netaddr *addrs, size_t n, const char *error);
/* Other keys: the edge's and ours count from the next connection on; told (a reference is taken; NULL:
 * nothing) goes to the edge now, if the tunnel is up, and at every welcome. ERR_MALFORMED: as it was. */
enum err tunnel_set_keys(struct tunnel *t, const json_t *host_keys, const char *client_key, json_t *told);
/* Ends the connection, with these words for the edge and for status; it is dialled again as after any
 * failure. */
void tunnel_refuse(struct tunnel *t, const char *words);
/* A tunnel_drain to come waits for open WebSockets, too. */
void tunnel_linger(struct tunnel *t);
/* No new requests; when those that run are done, or after `seconds`, the edge is told goodbye and on_drained
 * is called. A second call may shorten that. */
void tunnel_drain(struct tunnel *t, double seconds);
/* A new object: edge, index, target, state, reason, since (Unix time), and figures. */
json_t *tunnel_status(const struct tunnel *t);
/* What the edge of this connection proved and said; "" while there is none. */
const char *tunnel_host_key(const struct tunnel *t);
const char *tunnel_edge_version(const struct tunnel *t);
const char *tunnel_state_str(enum tunnel_state s);

#endif
