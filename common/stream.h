/*
 * A non-blocking byte stream with a bounded outgoing queue; hides whether TLS, plain TCP or a pair of pipes
 * is underneath.
 *
 * One event loop per process. Writes are queued and leave together at the end of the loop's round (one system
 * call, full TLS records). No callback is ever called from inside a stream_… function called by the owner.
 * The owner may call stream_free from any callback; after on_close it must do so sooner or later.
 *
 * What OpenSSL holds is in no queue and no count of an owner: over TLS a peer that leaves a part of a record
 * has a read buffer, 17 KB of it; 68 KB for TLS_FAST_MOST streams of the process that brought much just
 * before (common/tls_fast.h). An idle stream has none.
 */
#ifndef COMMON_STREAM_H
#define COMMON_STREAM_H

#include <ev.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/netaddr.h"

struct stream;

struct stream_events {
    /* Server side of TLS: the peer has said something of its handshake. False: it is not answered now, but
     * asked about again after stream_shake_hands. NULL: always now. */
    bool (*on_hello)(void *ctx);
    /* Connected, and the TLS handshake is done. May be NULL. */
    void (*on_open)(void *ctx);
    /* n bytes have come. Returns how many were taken; the rest is kept and offered again in front of later
     * bytes, and after stream_resume. While anything is kept, at most STREAM_KEEP bytes are read ahead: an
     * owner that takes nothing of a full STREAM_KEEP must pause or close. */
    size_t (*on_data)(void *ctx, const uint8_t *data, size_t n);
    /* The peer has finished sending; what on_data has left untaken (without pausing) will never be complete.
     * May be NULL: then it is on_close(ERR_EOF). */
    void (*on_eof)(void *ctx);
    /* The queue fell to the low-water mark after stream_write had filled it above. May be NULL. */
    void (*on_drained)(void *ctx);
    /* The stream is dead; nothing else will be called. words say why, for people; valid during the call. */
    void (*on_close)(void *ctx, enum err why, const char *words);
    /* Asked for with stream_ask_flush: the queue is about to be written and is below low water. The owner
     * appends what it has (up to the limit), straight into the queue, and asks again if it has more. Nothing
     * but stream_ask_flush and stream_free may be called for this stream from inside. May be NULL. */
    void (*on_flush)(void *ctx, struct buf *queue);
    /* Over TLS: how many of the n queued bytes, from the front, make a record of their own, for peers who
     * take a record for a message. May be NULL: as many as fit. */
    size_t (*record)(const uint8_t *queued, size_t n);
};

enum {
    STREAM_READ = 32 * 1024, /* bytes read at once */
    STREAM_KEEP = 96 * 1024, /* bytes kept for an owner that did not take them */
};

/* All of these own the descriptors from then on (also on error), and return NULL only when memory is out.
 * events must outlive the stream. queue_limit and low_water are bytes. */
/* On descriptors of any kind, which are set non-blocking and close-on-exec. */
struct stream *stream_new(struct ev_loop *loop, int fd_in, int fd_out, const struct stream_events *events,
                          void *ctx, size_t queue_limit, size_t low_water);
/* Server side of TLS on a socket that was accepted as non-blocking and close-on-exec (accept4); ssl_ctx is
 * referenced by the SSL. */
struct stream *stream_new_tls_server(struct ev_loop *loop, int fd, SSL_CTX *ssl_ctx,
                                     const struct stream_events *events, void *ctx, size_t queue_limit,
                                     size_t low_water);
/* Connects to addr; with ssl_ctx also TLS, verifying `name` (SNI and certificate). on_open or on_close
 * follows. */
struct stream *stream_connect(struct ev_loop *loop, const struct netaddr *addr, SSL_CTX *ssl_ctx,
                              const char *name, const struct stream_events *events, void *ctx,
                              size_t queue_limit, size_t low_water);

/* A handshake that on_hello has put off: on_hello is called again in the next round. */
void stream_shake_hands(struct stream *s);
/* Closes at once, dropping what is queued. NULL is fine. */
void stream_free(struct stream *s);
/* Changes who is called: for a connection that is handed on (a pool, an upgrade). */
void stream_set_events(struct stream *s, const struct stream_events *events, void *ctx);

/* Queues bytes. ERR_FULL (nothing taken) above the limit; ERR_MEMORY; ERR_CLOSED when dead or shut down. */
enum err stream_write(struct stream *s, const void *data, size_t n);
/* For owners that make their bytes when they can leave (HTTP/2): on_flush is called at the end of this round,
 * or as soon as the queue is down to low water. */
void stream_ask_flush(struct stream *s);
size_t stream_queued(const struct stream *s);
/* Room left below the limit. */
size_t stream_room(const struct stream *s);
/* Stops and starts reading; a paused stream notices neither end nor data. Starts unpaused. */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);
/* Ends our sending direction once the queue is out (TLS close_notify, then FIN). */
void stream_shutdown(struct stream *s);

/* The SSL, or NULL: for ALPN, SNI, session and cipher. */
SSL *stream_ssl(const struct stream *s);
/* Bytes that went through, both ways, before encryption. */
uint64_t stream_bytes_in(const struct stream *s);
uint64_t stream_bytes_out(const struct stream *s);

#endif
