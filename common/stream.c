#include "common/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fatal.h"
#include "common/sock.h"
#include "common/stream_internal.h"

enum {
    STREAM_READS_PER_EVENT = 8,
    STREAM_READS_FAST = 4,        /* so many in one event: it brings much */
    STREAM_SHORT_READ = 8 * 1024, /* over TLS: well below a full record */
};

/* What waits for the end of the loop's round. */
enum stream_chore { CHORE_FLUSH = 1, CHORE_OFFER = 2, CHORE_FAIL = 4, CHORE_FREE = 8 };

/* One read at a time per process: no callback reads another stream. */
static uint8_t scratch[STREAM_READ];

static void stream_on_readable(struct ev_loop *loop, ev_io *w, int revents);
static void stream_on_writable(struct ev_loop *loop, ev_io *w, int revents);
static void stream_flush(struct stream *s);
static void stream_offer(struct stream *s);
static void stream_read(struct stream *s);

/* Chores ---------------------------------------------------------------------------------------------- */

static void stream_destroy(struct round_task *task)
{
    struct stream *s = (struct stream *)((char *)task - offsetof(struct stream, at_end));
    if (s->fd_in >= 0)
        close(s->fd_in);
    if (s->fd_out >= 0 && s->fd_out != s->fd_in)
        close(s->fd_out);
    tls_fast_end(&s->fast);
    SSL_free(s->ssl);
    buf_free(&s->in);
    buf_free(&s->out);
    buf_free(&s->sealed);
    free(s);
}

void stream_fail(struct stream *s, enum err why, const char *words)
{
    if (s->released || s->state == STREAM_DEAD)
        return;
    s->state = STREAM_DEAD;
    ev_io_stop(s->loop, &s->reader);
    ev_io_stop(s->loop, &s->writer);
    buf_free(&s->out);
    buf_free(&s->sealed);
    s->events->on_close(s->ctx, why, words);
}

static void stream_do_chores(struct round_task *task)
{
    struct stream *s = (struct stream *)((char *)task - offsetof(struct stream, at_end));
    unsigned chores = s->chores;
    s->chores = 0;
    if (chores & CHORE_FREE) {
        s->at_end.run = stream_destroy;
        round_in_turn(s->loop, &s->at_end); /* five thousand peers may leave at once */
        return;
    }
    if (chores & CHORE_FAIL)
        stream_fail(s, ERR_SYSTEM, strerror(s->connect_errno));
    if (chores & CHORE_OFFER)
        stream_offer(s);
    if (chores & CHORE_FLUSH)
        stream_flush(s);
}

static void stream_schedule(struct stream *s, unsigned chore)
{
    s->chores |= chore;
    round_at_end(s->loop, &s->at_end);
}

static void stream_read_unread(struct round_task *task)
{
    stream_read((struct stream *)((char *)task - offsetof(struct stream, unread)));
}

/* After everybody else has had a turn. */
static void stream_read_later(struct stream *s)
{
    round_next(s->loop, &s->unread);
}

/* Reading --------------------------------------------------------------------------------------------- */

/* Offers what is kept. Then tells the end: what the owner has left lying by now waits for bytes that will not
 * come. */
static void stream_offer(struct stream *s)
{
    if (s->released || s->state != STREAM_OPEN || s->paused)
        return;
    if (buf_len(&s->in) > 0) {
        size_t n = buf_len(&s->in), taken = s->events->on_data(s->ctx, buf_data(&s->in), n);
        REQUIRE(taken <= n);
        buf_consume(&s->in, taken);
        if (buf_len(&s->in) == 0)
            buf_free(&s->in);
    }
    if (s->released || s->state != STREAM_OPEN || s->paused || !s->read_ended || s->eof_told ||
        s->chores & CHORE_OFFER)
        return;
    s->eof_told = true;
    if (s->events->on_eof)
        s->events->on_eof(s->ctx);
    else
        stream_fail(s, ERR_EOF, "the peer closed the connection");
}

static void stream_take(struct stream *s, const uint8_t *data, size_t n)
{
    s->bytes_in += n;
    if (buf_len(&s->in) > 0) {
        if (buf_append(&s->in, data, n) != ERR_OK) {
            stream_fail(s, ERR_MEMORY, "out of memory");
            return;
        }
        stream_offer(s);
        return;
    }
    size_t taken = s->events->on_data(s->ctx, data, n);
    REQUIRE(taken <= n);
    if (s->released || s->state != STREAM_OPEN)
        return;
    if (buf_append(&s->in, data + taken, n - taken) != ERR_OK)
        stream_fail(s, ERR_MEMORY, "out of memory");
}

void stream_end_of_input(struct stream *s)
{
    ev_io_stop(s->loop, &s->reader);
    s->read_ended = true;
    if (s->write_errno)
        stream_fail(s, ERR_SYSTEM, strerror(s->write_errno));
    else
        stream_offer(s);
}

static ssize_t stream_read_plain(struct stream *s)
{
    ssize_t n = read(s->fd_in, scratch, sizeof scratch);
    if (n > 0)
        return n;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n == 0)
        stream_end_of_input(s);
    else
        stream_fail(s, ERR_SYSTEM, strerror(errno));
    return -1;
}

static bool stream_may_read(const struct stream *s)
{
    return !s->released && s->state == STREAM_OPEN && !s->paused && !s->read_ended &&
           buf_len(&s->in) <= STREAM_KEEP - STREAM_READ;
}

/* The TLS layer reads ahead: a whole record, or a part of one, may be there already. */
static bool stream_has_unread(const struct stream *s)
{
    return s->ssl && stream_may_read(s) && SSL_has_pending(s->ssl);
}

static void stream_read_some(struct stream *s)
{
    s->reads = 0;
    for (; s->reads < STREAM_READS_PER_EVENT && stream_may_read(s); s->reads++) {
        if (s->ssl && s->reads == STREAM_READS_FAST)
            tls_fast_begin(&s->fast, s->ssl); /* an upload */
        ssize_t n = s->ssl ? stream_tls_read(s, scratch, sizeof scratch) : stream_read_plain(s);
        if (n <= 0)
            return;
        stream_take(s, scratch, (size_t)n);
        size_t full = s->ssl ? STREAM_SHORT_READ : STREAM_READ;
        if ((size_t)n < full && !stream_has_unread(s))
            break; /* most likely there is no more: the loop will tell, and a useless system call is saved */
    }
    if (stream_has_unread(s))
        stream_read_later(s);
    if (!s->released && s->state == STREAM_OPEN && !s->read_ended && !stream_may_read(s))
        ev_io_stop(s->loop, &s->reader);
}

/* An upload may find nothing for a moment; who brings little is an upload no more. */
static void stream_read(struct stream *s)
{
    s->fast.idle = false;
    stream_read_some(s);
    if (s->ssl)
        stream_tls_release_buffers(s);
    if (s->fast.idle && s->reads < STREAM_READS_FAST)
        tls_fast_end(&s->fast);
}

/* Connecting ------------------------------------------------------------------------------------------ */

void stream_opened(struct stream *s)
{
    s->state = STREAM_OPEN;
    ev_io_stop(s->loop, &s->writer);
    if (!s->paused)
        ev_io_start(s->loop, &s->reader);
    if (buf_len(&s->out) > 0 || s->shutdown_wanted || s->flush_asked)
        stream_schedule(s, CHORE_FLUSH);
    if (s->events->on_open)
        s->events->on_open(s->ctx);
    /* The handshake may have read the first record already. */
    if (!s->released && s->ssl && SSL_has_pending(s->ssl))
        stream_read(s);
    else if (s->ssl)
        stream_tls_release_buffers(s);
}

static void stream_connected(struct stream *s)
{
    int error = 0;
    socklen_t n = sizeof error;
    if (getsockopt(s->fd_out, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
        error = errno;
    if (error) {
        stream_fail(s, ERR_SYSTEM, strerror(error));
        return;
    }
    if (!s->ssl) {
        stream_opened(s);
        return;
    }
    s->state = STREAM_HANDSHAKING;
    stream_tls_handshake(s);
}

static void stream_on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop, (void)revents;
    struct stream *s = w->data;
    if (s->state == STREAM_HANDSHAKING) {
        if (!s->events->on_hello || s->events->on_hello(s->ctx))
            stream_tls_handshake(s);
        else
            ev_io_stop(s->loop, &s->reader); /* stream_shake_hands */
        return;
    }
    if (s->write_wants_read) {
        s->write_wants_read = false;
        stream_schedule(s, CHORE_FLUSH);
    }
    stream_read(s);
}

static void stream_on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop, (void)revents;
    struct stream *s = w->data;
    if (s->state == STREAM_CONNECTING) {
        stream_connected(s);
    } else if (s->state == STREAM_HANDSHAKING) {
        stream_tls_handshake(s);
    } else {
        bool read_too = s->read_wants_write;
        s->read_wants_write = false;
        stream_flush(s);
        if (read_too)
            stream_read(s);
    }
}

/* Writing --------------------------------------------------------------------------------------------- */

/* errno says why. A peer that has had enough of an upload answers and closes: its answer lies in the socket
 * when our write fails. It is read before the failure is told. */
void stream_write_failed(struct stream *s)
{
    if (s->paused || s->read_ended || s->fd_in != s->fd_out) {
        stream_fail(s, ERR_SYSTEM, strerror(errno));
        return;
    }
    s->write_errno = errno;
    buf_free(&s->out);
    buf_free(&s->sealed);
    ev_io_stop(s->loop, &s->writer);
    stream_read_later(s);
}

/* Sends what was sealed earlier. False when the socket takes no more, or it failed (and said so). */
static bool stream_send_sealed(struct stream *s)
{
    while (buf_len(&s->sealed) > 0) {
        ssize_t n = write(s->fd_out, buf_data(&s->sealed), buf_len(&s->sealed));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            ev_io_start(s->loop, &s->writer);
            return false;
        }
        if (n < 0) {
            stream_write_failed(s);
            return false;
        }
        buf_consume(&s->sealed, (size_t)n);
    }
    return true;
}

static ssize_t stream_write_plain(struct stream *s)
{
    ssize_t n = write(s->fd_out, buf_data(&s->out), buf_len(&s->out));
    if (n >= 0)
        return n;
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    stream_write_failed(s);
    return -1;
}

static void stream_finish_shutdown(struct stream *s)
{
    s->shutdown_done = true;
    if (s->ssl && !s->notified)
        stream_tls_close_notify(s);
    if (s->fd_out != s->fd_in) {
        ev_io_stop(s->loop, &s->writer);
        close(s->fd_out);
        s->fd_out = -1;
    } else {
        shutdown(s->fd_out, SHUT_WR);
    }
}

/* Lets the owner fill the queue before it is written. False when there is nothing to write. */
static bool stream_refill(struct stream *s)
{
    if (s->released || s->state != STREAM_OPEN)
        return false;
    if (s->flush_asked && !s->shutdown_wanted && buf_len(&s->out) <= s->low_water) {
        s->flush_asked = false;
        s->events->on_flush(s->ctx, &s->out);
    }
    return !s->released && buf_len(&s->out) > 0;
}

static void stream_flush(struct stream *s)
{
    while (!s->write_errno && stream_send_sealed(s) && stream_refill(s)) {
        ssize_t n = s->ssl ? stream_tls_write(s) : stream_write_plain(s);
        if (n < 0)
            return;
        if (n == 0) {
            if (s->write_wants_read)
                ev_io_start(s->loop, &s->reader);
            else
                ev_io_start(s->loop, &s->writer);
            break;
        }
        s->bytes_out += (size_t)n;
        buf_consume(&s->out, (size_t)n);
    }
    if (s->released || s->state != STREAM_OPEN)
        return;
    if (stream_queued(s) == 0) {
        buf_free(&s->out); /* an idle stream holds no memory */
        ev_io_stop(s->loop, &s->writer);
        if (s->shutdown_wanted && !s->shutdown_done)
            stream_finish_shutdown(s);
    }
    if (s->was_above && stream_queued(s) <= s->low_water) {
        s->was_above = false;
        if (s->events->on_drained)
            s->events->on_drained(s->ctx);
    }
}

enum err stream_write(struct stream *s, const void *data, size_t n)
{
    if (s->released || s->state == STREAM_DEAD || s->shutdown_wanted)
        return ERR_CLOSED;
    if (s->write_errno)
        return ERR_OK; /* lost, as on_close will tell in a moment */
    enum err e = buf_append(&s->out, data, n);
    if (e != ERR_OK)
        return e;
    if (buf_len(&s->out) > s->low_water)
        s->was_above = true;
    if (s->state == STREAM_OPEN && !ev_is_active(&s->writer))
        stream_schedule(s, CHORE_FLUSH);
    return ERR_OK;
}

void stream_ask_flush(struct stream *s)
{
    if (s->released || s->state == STREAM_DEAD || s->shutdown_wanted)
        return;
    s->flush_asked = true;
    if (s->state == STREAM_OPEN && !ev_is_active(&s->writer))
        stream_schedule(s, CHORE_FLUSH);
}

void stream_shutdown(struct stream *s)
{
    if (s->released || s->state == STREAM_DEAD || s->shutdown_wanted || s->write_errno)
        return;
    s->shutdown_wanted = true;
    if (s->state == STREAM_OPEN)
        stream_schedule(s, CHORE_FLUSH);
}

/* Making and freeing ---------------------------------------------------------------------------------- */

static struct stream *stream_alloc(struct ev_loop *loop, int fd_in, int fd_out,
                                   const struct stream_events *events, void *ctx, size_t queue_limit,
                                   size_t low_water)
{
    struct stream *s = calloc(1, sizeof *s);
    if (!s) {
        close(fd_in);
        if (fd_out != fd_in)
            close(fd_out);
        return NULL;
    }
    s->loop = loop;
    s->fd_in = fd_in;
    s->fd_out = fd_out;
    s->events = events;
    s->ctx = ctx;
    s->low_water = low_water;
    s->state = STREAM_OPEN;
    s->at_end.run = stream_do_chores;
    s->unread.run = stream_read_unread;
    buf_init(&s->in, STREAM_KEEP + STREAM_READ);
    buf_init(&s->out, queue_limit);
    buf_init(&s->sealed, SEALED_MAX);
    ev_io_init(&s->reader, stream_on_readable, fd_in, EV_READ);
    ev_io_init(&s->writer, stream_on_writable, fd_out, EV_WRITE);
    s->reader.data = s->writer.data = s;
    return s;
}

/* The new stream fails with errno_value at the end of this round, as the owner cannot be called back from
 * inside. */
static struct stream *stream_fail_later(struct stream *s, int errno_value)
{
    ev_io_stop(s->loop, &s->reader);
    ev_io_stop(s->loop, &s->writer);
    s->state = STREAM_CONNECTING;
    s->connect_errno = errno_value;
    stream_schedule(s, CHORE_FAIL);
    return s;
}

struct stream *stream_new(struct ev_loop *loop, int fd_in, int fd_out, const struct stream_events *events,
                          void *ctx, size_t queue_limit, size_t low_water)
{
    struct stream *s = stream_alloc(loop, fd_in, fd_out, events, ctx, queue_limit, low_water);
    if (!s)
        return NULL;
    if (!sock_set_nonblock(fd_in) || !sock_set_cloexec(fd_in) ||
        (fd_out != fd_in && (!sock_set_nonblock(fd_out) || !sock_set_cloexec(fd_out))))
        return stream_fail_later(s, errno);
    ev_io_start(loop, &s->reader);
    return s;
}

struct stream *stream_new_tls_server(struct ev_loop *loop, int fd, SSL_CTX *ssl_ctx,
                                     const struct stream_events *events, void *ctx, size_t queue_limit,
                                     size_t low_water)
{
    struct stream *s = stream_alloc(loop, fd, fd, events, ctx, queue_limit, low_water);
    if (!s)
        return NULL;
    if (!stream_tls_begin(s, ssl_ctx, NULL))
        return stream_fail_later(s, ENOMEM);
    s->state = STREAM_HANDSHAKING;
    ev_io_start(loop, &s->reader);
    return s;
}

struct stream *stream_connect(struct ev_loop *loop, const struct netaddr *addr, SSL_CTX *ssl_ctx,
                              const char *name, const struct stream_events *events, void *ctx,
                              size_t queue_limit, size_t low_water)
{
    int fd = sock_connect_tcp(addr), error = errno;
    struct stream *s = stream_alloc(loop, fd, fd, events, ctx, queue_limit, low_water);
    if (!s)
        return NULL;
    if (fd < 0)
        return stream_fail_later(s, error);
    if (ssl_ctx && !stream_tls_begin(s, ssl_ctx, name))
        return stream_fail_later(s, ENOMEM);
    s->state = STREAM_CONNECTING;
    ev_io_start(loop, &s->writer);
    return s;
}

void stream_shake_hands(struct stream *s)
{
    if (s->state == STREAM_HANDSHAKING)
        ev_io_start(s->loop, &s->reader);
}

void stream_free(struct stream *s)
{
    if (!s || s->released)
        return;
    ev_io_stop(s->loop, &s->reader);
    ev_io_stop(s->loop, &s->writer);
    round_cancel(&s->unread);
    s->released = true;
    s->state = STREAM_DEAD;
    stream_schedule(s, CHORE_FREE);
}

void stream_set_events(struct stream *s, const struct stream_events *events, void *ctx)
{
    s->events = events;
    s->ctx = ctx;
}

size_t stream_queued(const struct stream *s)
{
    return buf_len(&s->out) + buf_len(&s->sealed);
}

size_t stream_room(const struct stream *s)
{
    return buf_room(&s->out);
}

void stream_pause(struct stream *s)
{
    s->paused = true;
    if (s->state == STREAM_OPEN)
        ev_io_stop(s->loop, &s->reader);
}

void stream_resume(struct stream *s)
{
    if (s->released || s->state == STREAM_DEAD)
        return;
    s->paused = false;
    if (s->state != STREAM_OPEN)
        return;
    if (!s->read_ended)
        ev_io_start(s->loop, &s->reader);
    if (buf_len(&s->in) > 0 || (s->read_ended && !s->eof_told))
        stream_schedule(s, CHORE_OFFER);
    if (s->ssl && !s->read_ended && SSL_has_pending(s->ssl))
        stream_read_later(s);
}

SSL *stream_ssl(const struct stream *s)
{
    return s->ssl;
}

uint64_t stream_bytes_in(const struct stream *s)
{
    return s->bytes_in;
}

uint64_t stream_bytes_out(const struct stream *s)
{
    return s->bytes_out;
}
