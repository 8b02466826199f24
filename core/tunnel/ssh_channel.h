/*
 * A session channel with the forced command behind it: what core asks for ("control", "data 3") arrives there
 * as SSH_ORIGINAL_COMMAND. Bytes both ways; its end is the end of the command.
 *
 * Output is pulled, so that nothing is made before there is room for it: the owner asks with
 * ssh_channel_want_output, and on_output comes at the end of the loop's round when the session's queue and
 * the channel's window have room. Input is offered as it comes and must be taken: HTTP/2's windows and the
 * control channel's limits are the back-pressure there (libssh2 1.10 bounds what it holds by the window of 2
 * MiB).
 */
#ifndef CORE_TUNNEL_SSH_CHANNEL_H
#define CORE_TUNNEL_SSH_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "core/tunnel/ssh_session.h"

struct ssh_channel;

enum {
    SSH_CHANNEL_FILL = 64 * 1024,      /* bytes one on_output should append at most */
    SSH_CHANNEL_OUT = 2 * 1024 * 1024, /* bytes an ssh_channel_write may leave waiting */
};

struct ssh_channel_events {
    /* The command runs. */
    void (*on_open)(void *ctx);
    void (*on_data)(void *ctx, const uint8_t *data, size_t n);
    /* Append up to SSH_CHANNEL_FILL bytes to out; call ssh_channel_want_output again if there is more. May be
     * NULL. */
    void (*on_output)(void *ctx, struct buf *out);
    /* The channel could not be opened, or has ended; words say why (with the command's exit code and what it
     * wrote to stderr), valid during the call. The owner calls ssh_channel_free. Not called when the session
     * ends. */
    void (*on_close)(void *ctx, const char *words);
};

/* Channels are opened one after another, in the order of these calls. command is copied. NULL when memory is
 * out. */
struct ssh_channel *ssh_channel_open(struct ssh_session *s, const char *command,
                                     const struct ssh_channel_events *events, void *ctx);
/* Closes it; nothing is called back. Not after its session was freed. NULL is fine. */
void ssh_channel_free(struct ssh_channel *ch);

void ssh_channel_want_output(struct ssh_channel *ch);
/* Queues bytes in front of what on_output will add. ERR_FULL (nothing taken), ERR_MEMORY, ERR_CLOSED. */
enum err ssh_channel_write(struct ssh_channel *ch, const void *data, size_t n);

#endif
