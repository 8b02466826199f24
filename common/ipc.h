/*
 * Messages between processes on one box: JSON objects in the frames of common/json_frame over a Unix stream
 * socket, with descriptors (SCM_RIGHTS). Every message has "type". Frames above IPC_MAX end the connection.
 */
#ifndef COMMON_IPC_H
#define COMMON_IPC_H

#include <ev.h>
#include <jansson.h>

#include "common/err.h"

enum { IPC_MAX = 16 * 1024 * 1024, IPC_FDS_MAX = 64 };

struct ipc;

struct ipc_events {
    /* msg is borrowed. fds are the receiver's to take: a taken one is set to -1 in the array, whatever is left
     * there is closed after the call. All that were sent with msg, or, when this process had no number left
     * for one of them, none: n_fds is 0 then. */
    void (*on_message)(void *ctx, const char *type, json_t *msg, int *fds, size_t n_fds);
    /* Closed or broken. The owner calls ipc_free, at once or later. */
    void (*on_close)(void *ctx);
};

/* Owns fd. NULL when memory is out (fd closed). */
struct ipc *ipc_new(struct ev_loop *loop, int fd, const struct ipc_events *events, void *ctx);
void ipc_free(struct ipc *c);
/* Sends msg (reference stolen, also on error) with copies of the descriptors: the caller may close its own at
 * once. */
enum err ipc_send(struct ipc *c, json_t *msg, const int *fds, size_t n_fds);
/* Sends what is queued, then ends the connection; the peer's end follows as on_close. */
void ipc_finish(struct ipc *c);
/* Blocking forms for short-lived tools: one message out, one message in (msg is the caller's to decref). */
enum err ipc_send_fd(int fd, json_t *msg, const int *fds, size_t n_fds);
enum err ipc_receive_fd(int fd, int timeout_ms, json_t **msg);

#endif
