/*
 * Core's end of a control channel (docs/protocol.md): greets the edge, gives it the policy, and keeps asking
 * whether it is still there. Bytes in, bytes out, and the time of the loop as an argument: no descriptor, no
 * timer. Everything the edge says is checked against proto/ctl_msg.h and for its types; a violation ends the
 * tunnel with a reason.
 */
#ifndef CORE_TUNNEL_CORE_CONTROL_H
#define CORE_TUNNEL_CORE_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define CORE_CONTROL_PING_SECONDS  5.0
#define CORE_CONTROL_DEAD_SECONDS  15.0
#define CORE_CONTROL_GREET_SECONDS 10.0

enum { CORE_CONTROL_DATA_CHANNELS_MAX = 64, CORE_CONTROL_WORDS = 400 };

struct core_control;

struct core_control_self {
    const char *core; /* our name in the config; borrowed */
    const char *edge; /* whom we mean to speak to; borrowed */
    unsigned tunnel;  /* index of this tunnel to this edge */
};

/* What the edge said of itself. */
struct core_control_peer {
    char edge[64], version[32];
    unsigned data_channels;
    int64_t revision;   /* of the policy it has */
    int64_t config;     /* revision of the config it runs with; -1: an older version that takes none */
    int64_t clock_skew; /* its clock minus ours, seconds */
    int protocol;       /* that both speak */
};

/* Callbacks may call any function here but core_control_free; nothing is called from inside one of these but
 * core_control_receive and core_control_tick. */
struct core_control_events {
    /* Bytes for the channel; false ends the tunnel. */
    bool (*write)(void *ctx, const void *data, size_t n);
    /* The edge said welcome. */
    void (*on_up)(void *ctx, const struct core_control_peer *peer);
    /* error is NULL when the edge took the policy; printable. */
    void (*on_policy_ack)(void *ctx, int64_t revision, const char *error);
    /* The edge's answer to config_prepare, or to config_commit (committed). error is NULL when it can, or has
     * taken it; waiting names keys that count from its next start. Both printable. */
    void (*on_config)(void *ctx, bool committed, int64_t revision, const char *error, const char *waiting);
    /* The edge has done what keys asked for, or could not; a keys_ack that was judged, borrowed. */
    void (*on_keys_ack)(void *ctx, const json_t *msg);
    /* Violation, silence or goodbye: the tunnel is to be ended. Called at most once. */
    void (*on_over)(void *ctx, enum err why, const char *words);
};

/* clock_unix is the time of day, now the loop's clock, both in seconds. NULL when memory is out. */
struct core_control *core_control_new(const struct core_control_self *self,
                                      const struct core_control_events *events, void *ctx);
void core_control_free(struct core_control *c);
/* The channel is open: says hello. */
void core_control_start(struct core_control *c, double now, int64_t clock_unix);
void core_control_receive(struct core_control *c, const void *data, size_t n, double now, int64_t clock_unix);
/* To be called once a second. */
void core_control_tick(struct core_control *c, double now);
/* Sends the policy (an object, borrowed) under its revision; ERR_PROTOCOL before on_up. */
enum err core_control_send_policy(struct core_control *c, int64_t revision, const json_t *policy);
/* The same for a changed config: the text of stile.json, and how it ends. */
enum err core_control_prepare(struct core_control *c, int64_t revision, const char *text);
enum err core_control_decide(struct core_control *c, int64_t revision, bool commit);
/* Sends keys (an object, borrowed); ERR_UNSUPPORTED to an edge that is too old to know them. */
enum err core_control_send_keys(struct core_control *c, const json_t *keys);
void core_control_bye(struct core_control *c, const char *reason);

/* Smoothed round-trip time in seconds; negative when not known yet. */
double core_control_rtt(const struct core_control *c);
/* The edge's clock minus ours, seconds, as it said last. */
int64_t core_control_skew(const struct core_control *c);
/* Seconds since the edge was last heard. */
double core_control_silence(const struct core_control *c, double now);

#endif
