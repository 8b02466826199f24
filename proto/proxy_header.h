/*
 * The PROXY protocol's header, versions 1 and 2 (haproxy's doc/proxy-protocol.txt): what a load balancer says
 * in front of a connection about who is at its other end. To be believed from listed load balancers only.
 */
#ifndef PROTO_PROXY_HEADER_H
#define PROTO_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/netaddr.h"

enum {
    PROXY_HEADER_V1_MAX = 107, /* with its CRLF */
    PROXY_HEADER_MAX = 2048,   /* the longest taken: 16 bytes, addresses, and what a balancer adds to them */
};

struct proxy_header {
    /* The balancer speaks for itself (LOCAL, a health check) or does not know (UNKNOWN, UNSPEC, Unix
     * sockets): the connection's own addresses count. */
    bool local;
    struct netaddr client, server; /* unless local: both ends as the balancer sees them, of one family */
};

/* A cheap first look: could these n > 0 bytes be the beginning of a header? */
bool proxy_header_begins(const uint8_t *data, size_t n);
/* Reads the header at the beginning of n bytes. ERR_OK: *out is set, *used is its length. ERR_AGAIN: more
 * bytes are needed, of at most PROXY_HEADER_MAX. ERR_MALFORMED: it is none, or not a TCP one; *why has static
 * words. */
enum err proxy_header_parse(const uint8_t *data, size_t n, struct proxy_header *out, size_t *used,
                            const char **why);

#endif
