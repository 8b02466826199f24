/*
 * One probe of one target: TCP, TLS with chain and name, then HTTP: HEAD / must be answered as a bridge does
 * that can serve. The answer is a state and a reason in words.
 */
#ifndef CORE_BRIDGE_PROBE_H
#define CORE_BRIDGE_PROBE_H

#include <ev.h>
#include <openssl/ssl.h>

#include "common/netaddr.h"

struct probe;

/* reason is NULL when the target is well. Called once, from the loop; the probe is gone when it has returned.
 */
typedef void probe_done(void *ctx, const char *reason);

/* name is what the certificate must name, and the Host that is asked for. NULL: out of memory. */
struct probe *probe_start(struct ev_loop *loop, const struct netaddr *addr, SSL_CTX *ssl_ctx,
                          const char *name, probe_done *done, void *ctx);
void probe_cancel(struct probe *p);

#endif
