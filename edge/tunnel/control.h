/*
 * Edge's end of one control channel: one core's tunnel as the edge sees it. Judges every message by the table
 * of proto/ctl_msg.h; a violation ends the channel, and with it the tunnel.
 */
#ifndef EDGE_TUNNEL_CONTROL_H
#define EDGE_TUNNEL_CONTROL_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"

struct control;

struct control_events {
    /* hello was right, welcome has been sent. */
    void (*on_up)(void *ctx, struct control *c);
    /* core sent a policy: prepare, commit, and return NULL; or return what is wrong with it (static or living
     * until the next call), nothing changed. */
    const char *(*on_policy)(void *ctx, struct control *c, long revision, const json_t *msg);
    /* core asks to prepare a config (the text of stile.json): control_config_prepared follows for each. Then
     * it says how it ended: control_config_committed follows for a commit. */
    void (*on_config)(void *ctx, struct control *c, long revision, const char *text);
    void (*on_config_end)(void *ctx, struct control *c, long revision, bool commit);
    /* core says what is to be done with keys: do it, and return the members of keys_ack, all but its type and
     * id, as a new object; NULL when memory is out. */
    json_t *(*on_keys)(void *ctx, struct control *c, const json_t *msg);
    /* Over; reason in words. The owner frees it, at once or later. */
    void (*on_close)(void *ctx, struct control *c, const char *reason);
};

struct control_self {
    const char *edge;
    unsigned data_channels;
    long revision, config_revision;
};

/* Owns both descriptors. core is the name that its key stands for. self is copied but for the name. NULL: out
 * of memory. */
struct control *control_new(struct ev_loop *loop, int fd_in, int fd_out, const char *core,
                            const struct control_self *self, const struct control_events *events, void *ctx);
/* The answers about a config: error is NULL when it can be, or was, taken over; waiting names the keys that
 * wait for the next start. */
void control_config_prepared(struct control *c, long revision, const char *error, const char *waiting);
void control_config_committed(struct control *c, long revision, const char *error, const char *waiting);
/* Leaves at the end of the loop's round: free the control after that, not before. */
void control_say_bye(struct control *c, const char *reason);
/* Drops what has not left yet. NULL is fine. */
void control_free(struct control *c);

const char *control_core(const struct control *c);
unsigned control_tunnel(const struct control *c); /* index that core gave it */
bool control_is_up(const struct control *c);
/* {core, tunnel, state, since, rtt_ms, core_version, revision, clock_skew_s} */
json_t *control_status(const struct control *c);

#endif
