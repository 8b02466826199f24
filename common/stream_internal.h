/* What stream.c and stream_tls.c share; nobody else includes it. */
#ifndef COMMON_STREAM_INTERNAL_H
#define COMMON_STREAM_INTERNAL_H

#include <ev.h>
#include <openssl/ssl.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/round.h"
#include "common/stream.h"
#include "common/tls_fast.h"
#include "common/tls_gather.h"
#include "common/tls_guard.h"

enum {
    /* Sealed records that may wait: data, and answers that reading made. */
    SEALED_MAX = TLS_GATHER_MAX + 4 * TLS_RECORD_SEALED,
};

enum stream_state { STREAM_CONNECTING, STREAM_HANDSHAKING, STREAM_OPEN, STREAM_DEAD };

struct stream {
    struct ev_loop *loop;
    ev_io reader, writer;
    int fd_in, fd_out;
    SSL *ssl;
    struct tls_guard guard;
    struct tls_fast fast;
    const struct stream_events *events;
    void *ctx;
    struct buf in; /* kept: offered, not taken */
    struct buf out;
    struct buf sealed; /* TLS records that the socket did not take; they go before anything of out */
    size_t low_water;
    size_t record_left; /* bytes of the record that has been begun, see stream_events.record */
    enum stream_state state;
    bool released; /* stream_free was called */
    bool paused;
    bool was_above;  /* the queue went above low water: on_drained is due */
    bool read_ended; /* EOF was met */
    bool eof_told;
    bool flush_asked; /* on_flush is due when the queue is below low water */
    bool shutdown_wanted, shutdown_done;
    bool read_wants_write, write_wants_read; /* TLS needs the other direction first */
    bool ticket_given;                       /* or there is none to give */
    bool notified;                           /* close_notify is sealed */
    int connect_errno;
    int write_errno; /* the peer takes no more; what it has said before is still read */
    int reads;       /* of the last event */
    unsigned chores; /* for the end of the round */
    struct round_task at_end;
    struct round_task unread; /* the TLS layer holds bytes that the kernel will not tell about */
    uint64_t bytes_in, bytes_out;
};

/* stream.c: the stream has ended, and its owner is told; nothing when it has been freed or has ended before.
 */
void stream_fail(struct stream *s, enum err why, const char *words);
/* The peer has ended its side in order. */
void stream_end_of_input(struct stream *s);
/* errno says why. */
void stream_write_failed(struct stream *s);
/* The handshake is over. */
void stream_opened(struct stream *s);

/* stream_tls.c. What returns bytes: 0 when it would block, -1 when the stream ended or failed (and said so).
 * All but the first: for streams with TLS. */
/* Makes the stream one with TLS on fd_in; name is whom the peer must be, NULL for a server. False: no memory.
 */
bool stream_tls_begin(struct stream *s, SSL_CTX *ctx, const char *name);
/* Goes on with it; stream_opened follows, or stream_fail. */
void stream_tls_handshake(struct stream *s);
ssize_t stream_tls_read(struct stream *s, uint8_t *out, size_t size);
/* Bytes taken from the queue. */
ssize_t stream_tls_write(struct stream *s);
/* What waits behind the last byte, unless it was sealed with it. */
void stream_tls_close_notify(struct stream *s);
void stream_tls_release_buffers(struct stream *s);

#endif
