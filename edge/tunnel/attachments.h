/*
 * What `stile-edge attach` hands to the daemon: control channels, kept here, and data channels, passed on to
 * web workers as uplinks. A data channel is only taken from an SSH connection whose control channel is up.
 */
#ifndef EDGE_TUNNEL_ATTACHMENTS_H
#define EDGE_TUNNEL_ATTACHMENTS_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>

#include "common/box.h"
#include "common/netaddr.h"
#include "edge/tunnel/control.h"

struct attachments;

struct attachments_events {
    /* Give the two descriptors of uplink id to web worker `channel` (copies; the caller closes them). False:
     * it is not running. */
    bool (*uplink)(void *ctx, unsigned channel, long id, const char *core, unsigned tunnel, const int fds[2]);
    /* The other side of uplink id is gone. */
    void (*uplink_close)(void *ctx, unsigned channel, long id);
    const char *(*policy)(void *ctx, const char *core, long revision, const json_t *msg);
    /* Core asks, through control channel `id`, to prepare a config; attachments_config_prepared answers. Then
     * it says how it ended; a channel that goes says rollback, of any revision (0). */
    void (*config)(void *ctx, long id, const char *core, long revision, const char *text);
    void (*config_end)(void *ctx, long id, long revision, bool commit);
    /* Whether a core may be here that has logged in with this key (a line of authorized_keys). */
    bool (*key_counts)(void *ctx, const char *core, const char *key);
    /* As control_events' on_keys. */
    json_t *(*keys)(void *ctx, const char *core, const json_t *msg);
    /* A tunnel came up or went down: reason is NULL or in words. */
    void (*tunnel_changed)(void *ctx, const char *core, unsigned tunnel, const char *reason);
    /* What welcome shall say. */
    struct control_self (*self)(void *ctx);
};

enum err attachments_new(struct ev_loop *loop, const struct box *box, const struct attachments_events *events,
                         void *ctx, struct attachments **out, char *why);
/* As in control.h, through channel id; nothing where it has gone. committed: the answer to a commit. */
void attachments_config_answer(struct attachments *a, long id, bool committed, long revision,
                               const char *error, const char *waiting);
bool attachments_has(const struct attachments *a, long id);
/* Ends the tunnels of cores that are not in the config any more, or have logged in with a key that does not
 * count any more; in the loop's next round: it may be one of them that has asked for it. */
void attachments_drop_cores(struct attachments *a);
/* Says goodbye to every core; it leaves at the end of the loop's round. */
void attachments_say_bye(struct attachments *a, const char *reason);
/* Closes every channel. NULL is fine. */
void attachments_free(struct attachments *a);
/* Web worker `channel` has closed its uplink id, or died (then for each of its uplinks): ends its SSH
 * channel. */
void attachments_uplink_closed(struct attachments *a, unsigned channel, long id);
void attachments_worker_gone(struct attachments *a, unsigned channel);
/* Array of control_status objects, each with the number of its data channels. */
json_t *attachments_status(const struct attachments *a);
/* Where the cores' SSH connections that are up come from, at most `most`; how many there are in out. */
size_t attachments_cores(const struct attachments *a, struct netaddr *out, size_t most);

#endif
