/* What one web worker allows its guests. One row per limit: name, default, least, most. Seconds and bytes. */
#ifndef EDGE_WEB_WEB_LIMITS_H
#define EDGE_WEB_WEB_LIMITS_H

#include <jansson.h>
#include <stddef.h>

#include "common/err.h"

#define WEB_LIMITS(X)                                                                                        \
    X(connections, 20000, 1, 1000000)           /* open at once */                                           \
    X(connections_per_address, 1000, 1, 100000) /* IPv4 address or IPv6 /64 */                               \
    X(streams_per_address, 2500, 1,                                                                          \
      1000000)                       /* the same, over HTTP/2: requests that run; core takes 10000 */        \
    X(handshake_seconds, 10, 1, 600) /* from accepting to the end of the TLS handshake */                    \
    X(head_seconds, 15, 1, 600)      /* from the first byte of a head (or accepting) to its end */           \
    X(idle_seconds, 75, 1, 86400)    /* between requests on one connection */                                \
    X(body_seconds, 30, 1, 3600)     /* how long a sender may stay behind body_rate */                       \
    X(body_rate, 500, 1, 1000000)    /* bytes per second of a request body in the long run */                \
    X(answer_seconds, 300, 1, 86400) /* from the end of a request to the head of its answer */               \
    X(send_seconds, 60, 1, 3600)     /* a reader that takes nothing at all */                                \
    X(queue_memory, 256L << 20, 1L << 20, 1L << 40) /* bytes waiting for slow readers, of all together */    \
    X(reset_burst, 10000, 1, 20000)                 /* requests given up: told to one core at once, */       \
    X(reset_rate, 2500, 1, 5000) /* and per second; core takes twice that (h2_limits_tunnel) */              \
    X(linger_seconds, 3, 1, 60)  /* for the guest's close behind our last answer */

struct web_limits {
#define X(name, normal, least, most) long name;
    WEB_LIMITS(X)
#undef X
};

void web_limits_default(struct web_limits *l);
/* Values from a JSON object (NULL: none) over the defaults. ERR_CONFIG with words; *l unchanged then. */
enum err web_limits_from_json(const json_t *o, struct web_limits *l, char *why, size_t why_size);

#endif
