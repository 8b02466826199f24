/*
 * What a tunnel carries, as both boxes show it: members of its row in the status, each of them a column of
 * the text and a metric. Without the member (a tunnel that is down) there is no value.
 */
#ifndef COMMON_TUNNEL_FIGURES_H
#define COMMON_TUNNEL_FIGURES_H

#include <jansson.h>
#include <stdio.h>

#include "common/metrics.h"

/* X(member, column, kind of column, metric, help). All are gauges: they begin anew with each connection. */
#define TUNNEL_FIGURES(X)                                                                                    \
    X(rate_in, "In", RATE, "stile_tunnel_in_bytes_per_second",                                               \
      "bytes a second that came through a tunnel, over the last five seconds")                               \
    X(rate_out, "Out", RATE, "stile_tunnel_out_bytes_per_second",                                            \
      "bytes a second that went into a tunnel, over the last five seconds")                                  \
    X(queue, "Queue", BYTES, "stile_tunnel_queue_bytes", "bytes that wait for a tunnel")                     \
    X(streams, "Streams", TEXT, "stile_tunnel_streams", "requests and WebSockets on a tunnel")               \
    X(requests, "Requests", TEXT, "stile_tunnel_requests",                                                   \
      "requests that a tunnel has carried since its channels, on core its worker, were started")             \
    X(retries, "Retries", TEXT, "stile_tunnel_retries",                                                      \
      "those among them that were sent once more: on an edge after another tunnel failed them, on core to "  \
      "a bridge")

/* Of one side: the row's members that name the other box and the tunnel. */
struct tunnel_names {
    const char *title, *peer, *tunnel; /* "Edge", "edge", "index" */
};

/* Nothing for no rows. */
void tunnel_figures_print(FILE *out, const struct tunnel_names *names, const json_t *rows);
void tunnel_figures_metrics(struct metrics *m, const struct tunnel_names *names, const json_t *rows);

#endif
