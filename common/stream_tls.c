/* The TLS layer of a stream: records in and out, the handshake, tickets, the end. */
#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>

#include "common/netaddr.h"
#include "common/stream_internal.h"
#include "common/tls.h"

/* Beginning ------------------------------------------------------------------------------------------- */

static bool expect_name(SSL *ssl, const char *name)
{
    struct netaddr ip;
    if (netaddr_parse(name, 0, &ip) == ERR_OK)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

bool stream_tls_begin(struct stream *s, SSL_CTX *ctx, const char *name)
{
    s->ssl = SSL_new(ctx);
    if (!s->ssl || SSL_set_fd(s->ssl, s->fd_in) != 1 || (name && !expect_name(s->ssl, name)))
        return false;
    tls_guard_watch(s->ssl, &s->guard);
    s->ticket_given = name != NULL; /* that is for servers */
    if (name)
        SSL_set_connect_state(s->ssl);
    else
        SSL_set_accept_state(s->ssl);
    return true;
}

static void tls_failed(struct stream *s)
{
    char words[512];
    int saved = errno;
    bool quiet = ERR_peek_error() == 0;
    tls_words(s->ssl, words, sizeof words);
    if (quiet)
        stream_fail(s, saved ? ERR_SYSTEM : ERR_EOF,
                    saved ? strerror(saved) : "the peer closed the connection");
    else
        stream_fail(s, ERR_TLS, words);
}

void stream_tls_handshake(struct stream *s)
{
    ERR_clear_error();
    errno = 0;
    int r = SSL_do_handshake(s->ssl);
    if (r == 1) {
        tls_forget_ephemeral(s->ssl);
        stream_opened(s);
        return;
    }
    switch (SSL_get_error(s->ssl, r)) {
    case SSL_ERROR_WANT_READ:
        ev_io_stop(s->loop, &s->writer);
        ev_io_start(s->loop, &s->reader);
        return;
    case SSL_ERROR_WANT_WRITE:
        ev_io_start(s->loop, &s->writer);
        return;
    default:
        tls_failed(s);
    }
}

/* Reading --------------------------------------------------------------------------------------------- */

/* SSL_read, and what SSL_get_error says to it. Reading may write (RFC 8446 §4.6.3: an update of keys is
 * answered): that must not overtake records that wait already. ERR_FULL or ERR_MEMORY when such answers have
 * no room. */
static enum err read_records(struct stream *s, uint8_t *out, size_t size, int *n, int *error)
{
    bool gather = buf_len(&s->sealed) > 0 && tls_gather_begin(s->ssl);
    tls_forget_errors();
    errno = 0;
    *n = SSL_read(s->ssl, out, (int)size);
    *error = *n > 0 ? SSL_ERROR_NONE : SSL_get_error(s->ssl, *n);
    if (!gather)
        return ERR_OK;
    int saved = errno;
    size_t sealed;
    const uint8_t *records = tls_gather_end(s->ssl, &sealed);
    enum err e = buf_append(&s->sealed, records, sealed);
    errno = saved;
    return e;
}

ssize_t stream_tls_read(struct stream *s, uint8_t *out, size_t size)
{
    int n, error;
    enum err kept = read_records(s, out, size, &n, &error);
    if (s->guard.broken) {
        stream_fail(s, ERR_TLS, "the peer renews its keys, or tries to renegotiate, again and again");
        return -1;
    }
    if (kept != ERR_OK) {
        stream_fail(s, kept, "the peer asks for answers that it does not read");
        return -1;
    }
    if (n > 0)
        return n;
    switch (error) {
    case SSL_ERROR_WANT_READ:
        return 0;
    case SSL_ERROR_WANT_WRITE:
        s->read_wants_write = true;
        ev_io_start(s->loop, &s->writer);
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        if (s->guard.ended)
            stream_end_of_input(s);
        else /* cut off, perhaps by somebody in between (RFC 8446 §6.1): nothing that is whole */
            stream_fail(s, ERR_EOF, "the peer closed the connection without a close_notify");
        return -1;
    default:
        tls_failed(s);
        return -1;
    }
}

/* What OpenSSL keeps of the handshake's last message, or of a ticket, until something is read: a record's
 * buffer, which idle connections shall not have (SSL_MODE_RELEASE_BUFFERS sees to the other cases). Only
 * between two records ("RH", read header): a header without its body might be taken for nothing. */
void stream_tls_release_buffers(struct stream *s)
{
    if (!s->released && s->state == STREAM_OPEN && !SSL_has_pending(s->ssl) &&
        strcmp(SSL_rstate_string(s->ssl), "RH") == 0)
        s->fast.idle = SSL_free_buffers(s->ssl) == 1;
}

/* Writing --------------------------------------------------------------------------------------------- */

/* A record of its own from the front of n bytes. Bytes sealed, 0 when it would block, -1 when it failed (and
 * said so). */
static ssize_t seal(struct stream *s, const uint8_t *data, size_t n)
{
    if (s->events->record) {
        if (s->record_left == 0)
            s->record_left = s->events->record(data, n);
        n = s->record_left < n ? s->record_left : n;
    }
    tls_forget_errors();
    errno = 0;
    int sent = SSL_write(s->ssl, data, n > INT32_MAX ? INT32_MAX : (int)n);
    if (sent > 0) {
        s->record_left -= s->record_left ? (size_t)sent : 0;
        return sent;
    }
    switch (SSL_get_error(s->ssl, sent)) {
    case SSL_ERROR_WANT_WRITE:
        return 0;
    case SSL_ERROR_WANT_READ:
        s->write_wants_read = true;
        return 0;
    case SSL_ERROR_SYSCALL:
        if (errno && ERR_peek_error() == 0) {
            stream_write_failed(s);
            return -1;
        }
        /* fall through */
    default:
        tls_failed(s);
        return -1;
    }
}

/* Sends what was gathered; the rest is kept. False when it failed (and said so). */
static bool send_gathered(struct stream *s, const uint8_t *data, size_t n)
{
    /* MSG_MORE: stream_finish_shutdown is next, and its FIN goes with these bytes. */
    ssize_t written = n > 0 ? send(s->fd_out, data, n, s->notified ? MSG_MORE : 0) : 0;
    if (written < 0 && errno != EAGAIN && errno != EINTR) {
        stream_write_failed(s);
        return false;
    }
    size_t sent = written > 0 ? (size_t)written : 0;
    if (buf_append(&s->sealed, data + sent, n - sent) == ERR_OK)
        return true;
    stream_fail(s, ERR_MEMORY, "out of memory");
    return false;
}

/* A session ticket leaves with the first bytes of the first answer: a client that never asks for anything
 * costs none. Over TLS 1.2 it belongs to the handshake. */
static void give_ticket(struct stream *s)
{
    s->ticket_given = true;
    if (SSL_version(s->ssl) == TLS1_3_VERSION)
        (void)SSL_new_session_ticket(s->ssl); /* without one, the next handshake is a full one */
}

void stream_tls_close_notify(struct stream *s)
{
    s->notified = true;
    ERR_clear_error();
    (void)SSL_shutdown(s->ssl); /* best effort: FIN follows either way */
    ERR_clear_error();
}

/* Seals from n bytes what has room, and the end behind the last of them. As seal. */
static ssize_t gather(struct stream *s, const uint8_t *data, size_t n)
{
    size_t taken = 0;
    ssize_t one = 1;
    while (one > 0 && taken < n && tls_gather_has_room()) {
        one = seal(s, data + taken, n - taken);
        taken += one > 0 ? (size_t)one : 0;
    }
    if (taken == n && s->shutdown_wanted)
        stream_tls_close_notify(s);
    return one < 0 ? one : (ssize_t)taken;
}

/* OpenSSL writes every record by itself; where there are several, they leave together. */
ssize_t stream_tls_write(struct stream *s)
{
    const uint8_t *data = buf_data(&s->out);
    size_t n = buf_len(&s->out), sealed;
    if ((n <= TLS_RECORD_MAX && s->ticket_given && !s->shutdown_wanted) || !tls_gather_begin(s->ssl))
        return seal(s, data, n);
    if (!s->ticket_given)
        give_ticket(s);
    ssize_t taken = gather(s, data, n);
    const uint8_t *records = tls_gather_end(s->ssl, &sealed);
    stream_tls_release_buffers(s);
    return taken >= 0 && send_gathered(s, records, sealed) ? taken : -1;
}
