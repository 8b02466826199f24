/*
 * DNS for targets (c-ares, the box's own resolv.conf and hosts file): SRV, then addresses, with their time to
 * live.
 */
#ifndef CORE_BRIDGE_RESOLVER_H
#define CORE_BRIDGE_RESOLVER_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/netaddr.h"

enum {
    RESOLVER_ADDRESSES_MAX = 64,
    /* What a target without SRV record is shown with, after the modelled appliance. */
    RESOLVER_NO_SRV_PRIORITY = 65536,
};

struct resolver;
struct resolver_query;

struct resolver_address {
    char name[256];      /* the host name it came from */
    struct netaddr addr; /* with port */
    unsigned priority, weight;
};

struct resolver_answer {
    const struct resolver_address *addresses;
    size_t n;
    unsigned ttl;      /* seconds, the smallest of all records that led to them */
    bool partial;      /* of some names nobody could say anything: there may be more */
    const char *error; /* why there are none, or not all, in words; else NULL */
};

typedef void resolver_done(void *ctx, const struct resolver_answer *answer);

/* NULL: c-ares cannot start (out of memory, or /etc/resolv.conf unreadable). */
struct resolver *resolver_new(struct ev_loop *loop);
/* Queries still running end without a call. NULL is fine. */
void resolver_free(struct resolver *r);

/* Addresses of host, with `port`. With srv_name ("_cms-web._tls.join.example.com") that SRV record is asked
 * first and, where there is one, decides names, ports, priorities and weights, or that there are none (target
 * "."). An IP address answers itself.
 * done comes later, from the loop, once; NULL when memory is out. The query is gone when done has returned.
 */
struct resolver_query *resolver_ask(struct resolver *r, const char *host, uint16_t port, const char *srv_name,
                                    resolver_done *done, void *ctx);
/* Ends a query without a call. */
void resolver_cancel(struct resolver_query *q);

#endif
