/* What one web worker allows its guests: web_limits in stile.json. One row per limit: name, default, least,
 * most, and in words. Seconds and bytes; plain numbers, since they become JSON. */
#ifndef COMMON_WEB_LIMITS_H
#define COMMON_WEB_LIMITS_H

#include <jansson.h>
#include <stddef.h>

#include "common/err.h"

#define WEB_LIMITS(X)                                                                                        \
    X(connections, 20000, 1, 1000000, "most connections open at once")                                       \
    X(connections_per_address, 1000, 1, 100000, "the same of one address (IPv6: one /64)")                   \
    X(streams_per_address, 2500, 1, 1000000,                                                                 \
      "requests of one address that run over HTTP/2; core takes 10000")                                      \
    X(request_rate, 20000, 1, 1000000, "requests a second of one address in the long run; 429 above")        \
    X(request_burst, 100000, 1, 10000000, "and at once, after a pause")                                      \
    X(handshakes_per_address, 1000, 1, 100000,                                                               \
      "TLS handshakes of one address a second in the long run, and eight times as many at once")             \
    X(handshake_seconds, 10, 1, 600, "from accepting a connection to the end of its TLS handshake")          \
    X(head_seconds, 15, 1, 600,                                                                              \
      "for a request head from its first byte on; for the first one from the handshake")                     \
    X(idle_seconds, 75, 1, 86400, "between requests on one connection")                                      \
    X(body_seconds, 30, 1, 3600, "how long a sender may stay behind body_rate")                              \
    X(body_rate, 500, 1, 1000000, "bytes a second of a request body in the long run")                        \
    X(answer_seconds, 300, 1, 86400, "from the end of a request to the head of its answer")                  \
    X(wait_seconds, 5, 0, 60,                                                                                \
      "how long requests wait for a tunnel when the last one is lost (0: not at all)")                       \
    X(waiting_requests, 1000, 0, 100000, "how many of them, at most; a tenth of it of one address")          \
    X(send_seconds, 60, 1, 3600, "how long a reader may take nothing at all")                                \
    X(queue_memory, 268435456, 1048576, 1099511627776,                                                       \
      "bytes that wait for slow readers and for core, of all together; above it the greediest is closed")    \
    X(reset_burst, 10000, 1, 20000, "requests given up by guests that one core is told of at once")          \
    X(reset_rate, 2500, 1, 5000, "and a second: core takes twice that")                                      \
    X(linger_seconds, 3, 1, 60, "how long to wait for the guest's close behind our last answer")

struct web_limits {
#define X(name, normal, least, most, words) long name;
    WEB_LIMITS(X)
#undef X
};

void web_limits_default(struct web_limits *l);
/* All of them; NULL when memory is out. */
json_t *web_limits_json(const struct web_limits *l);
/* Values from a JSON object (NULL: none) over the defaults. ERR_CONFIG with words; *l unchanged then. */
enum err web_limits_from_json(const json_t *o, struct web_limits *l, char *why, size_t why_size);

#endif
