/* The web worker from inside: what its parts share. Only edge/web includes this. */
#ifndef EDGE_WEB_WEB_H
#define EDGE_WEB_WEB_H

#include <ev.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/address_rate.h"
#include "common/address_table.h"
#include "common/buf.h"
#include "common/hashmap.h"
#include "common/histogram.h"
#include "common/ipc.h"
#include "common/log.h"
#include "common/tls_tickets.h"
#include "common/web_limits.h"
#include "edge/web/access_log.h"
#include "edge/web/acme.h"
#include "edge/web/offences.h"
#include "edge/web/waiting.h"
#include "edge/web/web_worker.h"
#include "proto/allowlist.h"
#include "proto/h2_session.h"
#include "proto/http_message.h"

struct conn;
struct h2_exchange;
struct uplink;
struct listener;
struct pending;
struct proxied;

/* What is counted, as status shows it. */
#define WEB_COUNTERS(X)                                                                                      \
    X(accepted)           /* connections */                                                                  \
    X(refused_address)    /* connections closed: too many from one address */                                \
    X(refused_banned)     /* connections closed: the address is banned */                                    \
    X(refused_streams)    /* HTTP/2 requests refused: too many from one address */                           \
    X(refused_rate)       /* requests answered 429: too many of one address in a short time */               \
    X(refused_full)       /* connections closed: too many altogether */                                      \
    X(refused_handshakes) /* connections closed: too many TLS handshakes from one address */                 \
    X(refused_protocol)   /* connections closed: first byte of nothing that is served here */                \
    X(delayed_handshakes) /* they had to wait for a later round */                                           \
    X(handshake_failed)                                                                                      \
    X(http1_connections) /* HTTP/1 spoken on them, and */                                                    \
    X(http2_connections) /* HTTP/2 */                                                                        \
    X(http1_requests)                                                                                        \
    X(http2_requests)                                                                                        \
    X(http2_errors)          /* HTTP/2 connections ended for breaking its rules */                           \
    X(http2_stalled)         /* streams whose reader gave no window */                                       \
    X(http2_websockets)      /* of websockets */                                                             \
    X(shed)                  /* connections closed: all together had too much waiting */                     \
    X(requests)              /* judged, well-formed or not */                                                \
    X(malformed)             /* 4xx by the parser or the canonical form */                                   \
    X(refused_host)          /* 421 */                                                                       \
    X(refused_rule)          /* 403 */                                                                       \
    X(redirected)            /* port 80 to 443 */                                                            \
    X(no_uplink)             /* 502, 503 of our own */                                                       \
    X(retried)               /* sent once more on another uplink */                                          \
    X(waited)                /* for an uplink, when there was none */                                        \
    X(resets_deferred)       /* requests given up by guests, told to core later: there were very many */     \
    X(aborted)               /* answers that could not be completed */                                       \
    X(timed_out)             /* deadlines of guests and answers */                                           \
    X(websockets)            /* opened */                                                                    \
    X(refused_header)        /* connections closed: a load balancer's, without a right PROXY header */       \
    X(turn_tcp)              /* connections handed to turn workers */                                        \
    X(turn_tls)              /* the same, with TLS kept here */                                              \
    X(turn_refused)          /* connections closed: TURN is off, or too many are on their way */             \
    X(bytes_in) X(bytes_out) /* of connections that are closed */

struct web_counters {
#define X(name) uint64_t name;
    WEB_COUNTERS(X)
#undef X
    uint64_t statuses[600]; /* answers by their status, 100 to 599 */
};

/* How long a request took: from its head to the end of its answer (WebSockets are left out: they last as long
 * as a meeting), and from sending it to core to the head of the answer. */
struct web_latency {
    struct histogram edge, tunnel;
};

enum { WEB_LISTENERS_MAX = 32, WEB_HELLO_QUEUES = 2 };

struct web {
    struct ev_loop *loop;
    struct ipc *main;
    struct web_limits limits;
    struct allowlist allowlist;
    int64_t revision;
    char hsts[32];              /* Strict-Transport-Security (RFC 6797), "": not sent */
    bool turn;                  /* the HTTPS port takes TURN as well */
    unsigned handing;           /* connections on their way to turn workers */
    SSL_CTX *tls;               /* NULL before setup */
    struct tls_tickets tickets; /* the box's, from main */
    struct acme acme;
    struct listener *listeners[WEB_LISTENERS_MAX];
    size_t n_listeners;
    struct address_table *addresses, *streams; /* of connections, and of what runs on them over HTTP/2 */
    struct address_rate *requests;             /* request.c */
    struct address_rate *handshakes, *handshakes_first; /* handshakes.c */
    TAILQ_HEAD(, conn) hellos[WEB_HELLO_QUEUES];        /* ClientHellos that wait: handshakes.c */
    unsigned hellos_answered;                           /* in this round */
    struct netcidr *balancers; /* who must say in front of a connection whose it is */
    size_t n_balancers;
    struct netcidr *exempt; /* from bans, request_rate and handshakes_per_address */
    size_t n_exempt;
    struct hashmap banned;         /* banned.c */
    struct offences *offences;     /* NULL: memory was out at the start */
    size_t n_connections;          /* accepted and not yet closed */
    LIST_HEAD(, pending) pending;  /* first byte not seen yet */
    LIST_HEAD(, proxied) proxied;  /* from load balancers, header not seen yet */
    LIST_HEAD(, conn) conns, dead; /* dead: closed in this round of the loop */
    LIST_HEAD(, h2_exchange) dead_exchanges;
    LIST_HEAD(, uplink) uplinks;
    struct waiting waiting;
    size_t n_websockets;
    size_t held; /* bytes that wait for guests, and for cores, in all connections; not below the truth */
    struct web_counters counters;
    struct web_latency latency;
    struct access_log access_log;
    double now;     /* monotonic seconds, as of the beginning of this round: for durations */
    ev_check clock; /* reads it */
    uint64_t http2_abuses[H2_ABUSE_NONE];
    struct log_limit refused_log, malformed_log, core_log, limit_log, abuse_log;
    ev_timer sweep;  /* once a second, for every deadline */
    ev_prepare bury; /* at the end of a round */
    struct http_message
        parsed;     /* the head being parsed: judged and forwarded before the next one is looked at */
    struct buf out; /* the head being written */
    uint64_t id_high, id_low; /* of requests: random start, counter */
    bool draining;
    ev_timer leave; /* while it drains: when what still runs is told goodbye, then when it ends */
    bool leaving;
};

/* Counts a connection from an address; false, with an event, when it has too many (most). */
bool web_connection_count(struct web *w, const struct netaddr *client, size_t most);
/* A connection is gone: its share of the limits is free again. */
void web_connection_closed(struct web *w, const struct netaddr *client);
/* Tells main what an administrator may want to see; rate-limited by l. fields is stolen; a text that a
 * stranger chose must be printable already. */
void web_event(struct web *w, struct log_limit *l, const char *event, json_t *fields);
/* In bans.exempt: limits of what one address may ask for are not its. */
bool web_is_exempt(const struct web *w, const struct netaddr *client);
/* True when half of limits.queue_memory is in use: nobody gets more than is needed. */
bool web_memory_is_short(const struct web *w);
/* Breaks the loop once a draining worker has nothing left to do. */
void web_check_drained(struct web *w);

#endif
