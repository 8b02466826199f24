/*
 * The web bridges behind the join host: resolved inside, probed, each Active or Failed with a reason. Tunnel
 * workers get the list whenever it changes and send requests to Active ones.
 */
#ifndef CORE_BRIDGE_TARGETS_H
#define CORE_BRIDGE_TARGETS_H

#include <ev.h>
#include <jansson.h>
#include <openssl/ssl.h>
#include <stdint.h>

#include "common/netaddr.h"
#include "common/schema.h"

struct targets;

struct targets_events {
    /* The list, or a state in it, has changed. */
    void (*on_change)(void *ctx);
};

/* explicit: HOST[:PORT] from the config (borrowed during the call); none: SRV _cms-web._tls.JOIN_HOST, then
 * JOIN_HOST itself on 443. ssl_ctx verifies the bridges; it must outlive the targets. Nobody is asked before
 * targets_flush. NULL: out of memory or no resolver. */
struct targets *targets_new(struct ev_loop *loop, const char *join_host,
                            const struct schema_strings *explicit, SSL_CTX *ssl_ctx,
                            const struct targets_events *events, void *ctx);
void targets_free(struct targets *t);
/* Asks DNS again now. */
void targets_flush(struct targets *t);
/* Array of the names that DNS is asked for, in words. */
json_t *targets_names(const struct targets *t);
/* A tunnel worker could not use this target: probe it now. */
void targets_hint_failed(struct targets *t, const struct netaddr *addr);
/* Array of {name, address, port, priority, weight, state: "active"|"failed"|"unknown", reason, since}; where
 * DNS fails for a name, a row with that name, state failed and the reason. */
json_t *targets_status(const struct targets *t);

#endif
