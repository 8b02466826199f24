/*
 * A data channel: HTTP/2 (RFC 9113) over one SSH channel, the edge as client, core as server. core/egress
 * serves what comes through; here bytes are carried, and nothing is interpreted.
 */
#ifndef CORE_TUNNEL_DATA_CHANNEL_H
#define CORE_TUNNEL_DATA_CHANNEL_H

#include <stdbool.h>

#include "core/egress/egress.h"
#include "core/tunnel/ssh_session.h"

struct data_channel;

struct data_channel_events {
    void (*on_open)(void *ctx);
    /* The channel has ended, with the requests on it; words say why. The owner calls data_channel_free, at
     * once or later. */
    void (*on_close)(void *ctx, const char *words);
};

/* Opens channel "data INDEX". NULL when memory is out. */
struct data_channel *data_channel_open(struct ssh_session *session, struct egress *egress, unsigned index,
                                       const struct data_channel_events *events, void *ctx);
/* Its requests are reset. Before its session is freed. NULL is fine. */
void data_channel_free(struct data_channel *d);
/* Tells the edge to send no new request (GOAWAY). */
void data_channel_drain(struct data_channel *d);
bool data_channel_is_open(const struct data_channel *d);

#endif
