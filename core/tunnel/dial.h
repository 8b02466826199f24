/* A TCP connection to the first of several addresses that answers, one after another. */
#ifndef CORE_TUNNEL_DIAL_H
#define CORE_TUNNEL_DIAL_H

#include <ev.h>
#include <stddef.h>

#include "common/netaddr.h"

struct dial;

enum { DIAL_ADDRESSES_MAX = 8 };

/* One of the two is called once, from the loop; the dial is gone by then. */
struct dial_events {
    /* fd is connected, non-blocking, the callee's. */
    void (*on_connected)(void *ctx, int fd, const struct netaddr *addr);
    /* words: "203.0.113.10:2222: connection refused", of the last address. */
    void (*on_failed)(void *ctx, const char *words);
};

/* n of 1 to DIAL_ADDRESSES_MAX addresses (copied; more are left out); patience is seconds for each. NULL when
 * memory is out. */
struct dial *dial_start(struct ev_loop *loop, const struct netaddr *addrs, size_t n, double patience,
                        const struct dial_events *events, void *ctx);
/* Ends it without a call. NULL is fine. */
void dial_cancel(struct dial *d);

#endif
