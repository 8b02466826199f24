/*
 * The data channels of one tunnel, as many as the edge has web workers: opened when the tunnel is up, and
 * each again when it has ended, after a wait that doubles as long as it does not last.
 */
#ifndef CORE_TUNNEL_DATA_CHANNELS_H
#define CORE_TUNNEL_DATA_CHANNELS_H

#include <ev.h>

#include "core/tunnel/core_control.h"
#include "core/tunnel/data_channel.h"

struct data_channels;

struct data_channels_events {
    /* One is open. */
    void (*on_open)(void *ctx);
    /* One has ended, and is opened again unless they drain; `open`: those that are left. */
    void (*on_close)(void *ctx, size_t open, const char *words);
};

struct data_slot {
    struct data_channels *all;
    unsigned index;
    struct data_channel *channel; /* NULL: to be opened when the timer says so */
    double wait;
    double open_since; /* 0: not open */
    ev_timer reopen;
};

/* All zero: none. */
struct data_channels {
    struct ev_loop *loop;
    struct ssh_session *session;
    struct egress *egress;
    const char *edge; /* for messages */
    const struct data_channels_events *events;
    void *ctx;
    bool draining;
    struct data_slot slots[CORE_CONTROL_DATA_CHANNELS_MAX];
    size_t n;
};

/* c has everything up to ctx; n at most CORE_CONTROL_DATA_CHANNELS_MAX. */
void data_channels_open(struct data_channels *c, size_t n);
/* Those that are open now. */
size_t data_channels_count(const struct data_channels *c);
/* No new requests (data_channel_drain), and none is opened again. */
void data_channels_drain(struct data_channels *c);
/* Ends all, before their session is freed. */
void data_channels_close(struct data_channels *c);

#endif
