/*
 * A Unix socket of a daemon for its own short-lived tools: messages of common/ipc.h in both directions. Only
 * root and the daemon's own user get in (the socket is 0600, and the peer's uid is looked at as well).
 */
#ifndef COMMON_LOCAL_SERVER_H
#define COMMON_LOCAL_SERVER_H

#include <ev.h>
#include <jansson.h>

#include "common/err.h"

struct local_server;
struct local_connection;

struct local_events {
    /* As in ipc.h. */
    void (*on_message)(void *ctx, struct local_connection *c, const char *type, json_t *msg, int *fds,
                       size_t n_fds);
    /* The other side has gone; c is freed after the call. */
    void (*on_close)(void *ctx, struct local_connection *c);
};

/* why[SCHEMA_WHY] on error. events and ctx must outlive it. */
enum err local_server_new(struct ev_loop *loop, const char *path, const struct local_events *events,
                          void *ctx, struct local_server **out, char *why);
/* Closes every connection (no on_close) and removes the socket. NULL is fine. */
void local_server_free(struct local_server *s);
/* msg is stolen. */
void local_connection_send(struct local_connection *c, json_t *msg);
/* Closes once what was sent has left; no on_close follows. c is gone for the caller. */
void local_connection_close(struct local_connection *c);
void local_connection_set_data(struct local_connection *c, void *data);
/* The account at the other end. */
long local_connection_uid(const struct local_connection *c);
void *local_connection_data(const struct local_connection *c);

/* For tools: who types, for people, also where sudo hides it. Returns out. */
const char *local_by(char *out, size_t size);
/* For tools: connects to path, sends msg (stolen), waits for one answer. why in words a person can act on.
 * ERR_NOT_FOUND: nobody listens there. Behind sudo the message says "by" whom, unless it does already. */
enum err local_request(const char *path, json_t *msg, int timeout_ms, json_t **answer, char *why);

#endif
