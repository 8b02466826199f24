/*
 * One SSH connection to an edge's sshd (libssh2 on libev): key exchange, the pinned host key, our Ed25519
 * key, and the packets of every channel. ssh_channel.h has the channels.
 *
 * libssh2 never touches the socket. Its receive callback is fed from a buffer that one recv filled; its send
 * callback always takes the whole packet into a queue that is flushed once per loop round. So no packet is
 * ever partly written, which libssh2 1.10 does not survive in several places (see README.md), and many small
 * writes leave in one system call.
 *
 * Not for two sessions in two threads. Callbacks may call anything here and in ssh_channel.h,
 * ssh_session_free included.
 */
#ifndef CORE_TUNNEL_SSH_SESSION_H
#define CORE_TUNNEL_SSH_SESSION_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "core/tunnel/host_key.h"

struct ssh_session;

struct ssh_session_config {
    /* Login name at the edge's sshd. NULL: what its version line says ("... user=NAME", for edges that run as
     * another account), else SSH_USER. */
    const char *user;
    /* Which one may be shown. Borrowed: it must outlive the session, and may change. */
    const struct host_keys *host_keys;
    const char *client_key; /* OpenSSH private key, PEM text, Ed25519, no passphrase */
};

struct ssh_session_events {
    /* Authenticated; channels may be opened. */
    void (*on_open)(void *ctx);
    /* The connection is over; words say why, for people, valid during the call. The owner calls
     * ssh_session_free, at once or later; its channels are dead. ERR_OK only after ssh_session_end.
     * ERR_UNAUTHORIZED: wrong host key or our key not accepted. */
    void (*on_close)(void *ctx, enum err why, const char *words);
};

#define SSH_USER              "stile"
#define SSH_HANDSHAKE_SECONDS 10.0
#define SSH_END_SECONDS       2.0

/* Takes over a connected socket. config is copied. NULL when memory is out (fd closed). */
struct ssh_session *ssh_session_new(struct ev_loop *loop, int fd, const struct ssh_session_config *config,
                                    const struct ssh_session_events *events, void *ctx);
/* Frees it with every channel that is left, at once; nothing is called back. NULL is fine. */
void ssh_session_free(struct ssh_session *s);
/* Ends it in order: what is queued leaves, then SSH_MSG_DISCONNECT; on_close(ERR_OK) follows within
 * SSH_END_SECONDS. */
void ssh_session_end(struct ssh_session *s);

struct ssh_session_stats {
    uint64_t bytes_in, bytes_out; /* encrypted, on the socket */
    double last_received;         /* clock_monotonic when the last byte came */
    size_t queued;                /* encrypted, waiting for the socket */
};
struct ssh_session_stats ssh_session_stats(const struct ssh_session *s);
/* The line of the host key that the server has proved to own in the key exchange; "" before that. */
const char *ssh_session_host_key(const struct ssh_session *s);
/* "aes128-ctr hmac-sha2-256"; "" before the key exchange. */
const char *ssh_session_cipher(struct ssh_session *s, char *out, size_t size);

#endif
