/* What ssh_session.c and ssh_channel.c share; nobody else includes this. */
#ifndef CORE_TUNNEL_SSH_PRIVATE_H
#define CORE_TUNNEL_SSH_PRIVATE_H

#include <ev.h>
#include <libssh2.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "core/tunnel/ssh_channel.h"
#include "core/tunnel/ssh_memory.h"
#include "core/tunnel/ssh_session.h"

enum {
    SSH_WINDOW = 2 * 1024 * 1024, /* 16 MiB stalls libssh2's reader (14 MB/s instead of 370) */
    SSH_READ = 32 * 1024,         /* larger reads do, too */
    SSH_IN = 128 * 1024,          /* bytes of one recv */
    SSH_QUEUE_HIGH = 256 * 1024,  /* channels are not asked for output above it */
    SSH_QUEUE_MAX = 8 * 1024 * 1024,
    SSH_WORDS = 440,
};

enum ssh_channel_state {
    SSH_CHANNEL_WAITING,  /* for its turn: one pending open per session */
    SSH_CHANNEL_OPENING,  /* CHANNEL_OPEN sent */
    SSH_CHANNEL_STARTING, /* exec request sent */
    SSH_CHANNEL_OPENED,
    SSH_CHANNEL_ENDING, /* the command is over; its exit code is awaited */
    SSH_CHANNEL_ENDED   /* the owner was told */
};

struct ssh_channel {
    TAILQ_ENTRY(ssh_channel) next;
    struct ssh_session *session;
    LIBSSH2_CHANNEL *raw;
    enum ssh_channel_state state;
    const struct ssh_channel_events *events; /* NULL once the owner has let go */
    void *ctx;
    bool wants;      /* the owner has output */
    double deadline; /* of the peer's CLOSE, once it is due */
    struct buf out;
    char command[32];
};

struct ssh_session {
    struct ev_loop *loop;
    ev_io reader, writer;
    ev_prepare flusher;
    ev_timer deadline;
    int fd;
    LIBSSH2_SESSION *raw;
    struct ssh_memory memory; /* everything libssh2 has allocated for raw */
    enum { SSH_HANDSHAKE, SSH_AUTH, SSH_OPEN, SSH_ENDING } state;
    const struct ssh_session_events *events;
    void *ctx;
    const struct host_keys *host_keys;
    char host_key[HOST_KEY_LINE]; /* that the server has proved; "" before that */
    char *user, *client_key;

    TAILQ_HEAD(, ssh_channel) channels;
    struct ssh_channel *opening;

    uint8_t *in; /* SSH_IN bytes, of which [in_at, in_end) are not with libssh2 yet */
    size_t in_at, in_end;
    bool eof;
    struct buf out; /* encrypted packets */
    struct ssh_session_stats stats;

    unsigned depth; /* callbacks and libssh2 calls under way */
    bool kicked;    /* the next flush steps the channels though nothing was received */
    bool doomed;    /* freed by its owner inside a callback */
    bool cut;       /* tearing down: no byte in or out any more */
    bool over;      /* failed or ended; on_close is due or was called */
    bool told;      /* on_close was called */
    enum err why;
    char words[SSH_WORDS];
};

/* The session has failed: the first reason counts; on_close comes when the stack has unwound. */
void ssh_session_fail(struct ssh_session *s, enum err why, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with libssh2's last error for a reason, in the words of people who run boxes. */
void ssh_session_fail_raw(struct ssh_session *s, int rc, const char *during);
static inline bool ssh_session_alive(const struct ssh_session *s)
{
    return !s->doomed && !s->over && !s->cut;
}
/* A flush is wanted at the end of this round. */
void ssh_session_wake(struct ssh_session *s);
/* The same, with a step of every channel before it. */
void ssh_session_kick(struct ssh_session *s);

/* Moves the channel on and reads what has come for it. May unlink and free it. */
void ssh_channel_step(struct ssh_channel *ch);
/* Moves output into libssh2. True when there is more and room for it. */
bool ssh_channel_fill(struct ssh_channel *ch);
/* Frees it without waiting for anyone; only while the session is cut. */
void ssh_channel_destroy(struct ssh_channel *ch);

/* Copies text for a log line: printable ASCII, white space folded. */
void ssh_clean_words(char *out, size_t size, const char *text, size_t n);

#endif
