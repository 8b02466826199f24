#include "core/tunnel/ssh_session.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fatal.h"
#include "common/sock.h"
#include "core/tunnel/ssh_private.h"

/* In our order of preference; what the library lacks is left out (GCM and chacha20-poly1305 came with 1.11).
 */
static const char *const ciphers[] = {"aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr",
                                      "aes256-ctr", NULL};
static const char *const macs[] = {"hmac-sha2-256", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512", NULL};
static const char *const host_keys[] = {"ssh-ed25519", NULL};

enum { RECV_ROUNDS = 4 /* full reads in one loop round, so that other watchers get their turn */ };

static void session_leave(struct ssh_session *s);
static void session_step(struct ssh_session *s);

static void session_enter(struct ssh_session *s)
{
    s->depth++;
}

/* libssh2's callbacks ------------------------------------------------------------------------------------ */

static ssize_t session_recv_cb(libssh2_socket_t fd, void *buffer, size_t length, int flags, void **abstract)
{
    (void)fd, (void)flags;
    struct ssh_session *s = *abstract;
    size_t have = s->in_end - s->in_at;
    if (s->cut)
        return -ECONNRESET;
    if (have == 0)
        return s->eof ? 0 : -EAGAIN;
    if (length > have)
        length = have;
    memcpy(buffer, s->in + s->in_at, length);
    s->in_at += length;
    return (ssize_t)length;
}

static ssize_t session_send_cb(libssh2_socket_t fd, const void *buffer, size_t length, int flags,
                               void **abstract)
{
    (void)fd, (void)flags;
    struct ssh_session *s = *abstract;
    if (s->cut)
        return (ssize_t)length;
    return buf_append(&s->out, buffer, length) == ERR_OK ? (ssize_t)length : -ENOBUFS;
}

static LIBSSH2_ALLOC_FUNC(session_alloc_cb)
{
    return ssh_memory_alloc(&((struct ssh_session *)*abstract)->memory, count);
}

static LIBSSH2_REALLOC_FUNC(session_realloc_cb)
{
    return ssh_memory_realloc(&((struct ssh_session *)*abstract)->memory, ptr, count);
}

static LIBSSH2_FREE_FUNC(session_free_cb)
{
    ssh_memory_free(&((struct ssh_session *)*abstract)->memory, ptr);
}

static void session_disconnect_cb(LIBSSH2_SESSION *raw, int reason, const char *message, int message_len,
                                  const char *language, int language_len, void **abstract)
{
    (void)raw, (void)language, (void)language_len;
    struct ssh_session *s = *abstract;
    char text[128];
    ssh_clean_words(text, sizeof text, message, message_len > 0 ? (size_t)message_len : 0);
    ssh_session_fail(s, ERR_CLOSED, "the edge's sshd ended the connection: %s (reason %d)",
                     text[0] ? text : "no reason given", reason);
}

/* Failing ------------------------------------------------------------------------------------------------ */

void ssh_clean_words(char *out, size_t size, const char *text, size_t n)
{
    size_t used = 0;
    for (size_t i = 0; i < n && used + 1 < size; i++) {
        bool printable = text[i] > ' ' && text[i] < 0x7f;
        if (printable)
            out[used++] = text[i] == '"' ? '\'' : text[i]; /* words stand in quotes in the log */
        else if (used > 0 && out[used - 1] != ' ')
            out[used++] = ' ';
    }
    while (used > 0 && out[used - 1] == ' ')
        used--;
    out[used] = '\0';
}

void ssh_session_fail(struct ssh_session *s, enum err why, const char *format, ...)
{
    if (s->over || s->cut)
        return;
    va_list ap;
    va_start(ap, format);
    vsnprintf(s->words, sizeof s->words, format, ap);
    va_end(ap);
    s->over = true;
    s->why = why;
}

static const char *raw_words(int rc)
{
    switch (rc) {
    case LIBSSH2_ERROR_BANNER_RECV:
        return "no SSH server answers there";
    case LIBSSH2_ERROR_KEX_FAILURE:
    case LIBSSH2_ERROR_METHOD_NONE:
        return "no common algorithms (an ssh-ed25519 host key is required)";
    case LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE:
        return "key exchange failed";
    case LIBSSH2_ERROR_HOSTKEY_INIT:
    case LIBSSH2_ERROR_HOSTKEY_SIGN:
        return "the server's proof of its host key is wrong";
    case LIBSSH2_ERROR_INVALID_MAC:
    case LIBSSH2_ERROR_DECRYPT:
        return "a packet was damaged on the way";
    case LIBSSH2_ERROR_ALLOC:
        return "out of memory";
    default:
        return NULL;
    }
}

void ssh_session_fail_raw(struct ssh_session *s, int rc, const char *during)
{
    char text[128], *message = NULL;
    int n = 0;
    const char *words =
        s->memory.overrun ? "the edge's sshd sends more than core is willing to hold" : raw_words(rc);
    if (rc == LIBSSH2_ERROR_SOCKET_DISCONNECT || rc == LIBSSH2_ERROR_SOCKET_RECV ||
        rc == LIBSSH2_ERROR_SOCKET_SEND) {
        if (s->state == SSH_OPEN)
            ssh_session_fail(s, ERR_CLOSED, "the edge closed the connection");
        else
            ssh_session_fail(s, ERR_CLOSED, "the connection was closed during %s", during);
        return;
    }
    if (!words) {
        libssh2_session_last_error(s->raw, &message, &n, 0);
        ssh_clean_words(text, sizeof text, message ? message : "", n > 0 ? (size_t)n : 0);
        words = text;
    }
    ssh_session_fail(s, rc == LIBSSH2_ERROR_ALLOC ? ERR_MEMORY : ERR_SSH, "%s failed: %s (%d)", during, words,
                     rc);
}

/* Handshake ---------------------------------------------------------------------------------------------- */

static int session_check_host_key(struct ssh_session *s)
{
    size_t n;
    int type;
    char words[HOST_KEY_WORDS];
    const char *blob = libssh2_session_hostkey(s->raw, &n, &type);
    if (!blob)
        n = 0;
    if (host_keys_judge(s->host_keys, (const uint8_t *)blob, n, (int64_t)time(NULL), words)) {
        host_key_line((const uint8_t *)blob, n, s->host_key);
        return 0;
    }
    ssh_session_fail(s, ERR_UNAUTHORIZED, "%s", words);
    return -1;
}

/* The host key has proved by now that the version line is the edge's own. */
static bool session_find_user(struct ssh_session *s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    const char *banner = libssh2_session_banner_get(s->raw);
    const char *at = banner ? strstr(banner, " user=") : NULL;
    size_t n = at ? strspn(at + 6, letters) : 0;
    if (!s->user)
        s->user = n > 0 && n <= 32 ? strndup(at + 6, n) : strdup(SSH_USER);
    return s->user != NULL;
}

static int session_authenticate(struct ssh_session *s)
{
    int rc = libssh2_userauth_publickey_frommemory(s->raw, s->user, strlen(s->user), NULL, 0, s->client_key,
                                                   strlen(s->client_key), NULL);
    if (rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED || rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED)
        ssh_session_fail(s, ERR_UNAUTHORIZED,
                         "key not authorised: the edge does not accept core's key for user %s", s->user);
    else if (rc == LIBSSH2_ERROR_FILE || rc == LIBSSH2_ERROR_METHOD_NOT_SUPPORTED ||
             rc == LIBSSH2_ERROR_PROTO)
        ssh_session_fail(s, ERR_CONFIG, "core's client key is not a usable Ed25519 private key (%d)", rc);
    return rc;
}

static void session_opened(struct ssh_session *s)
{
    s->state = SSH_OPEN;
    ev_timer_stop(s->loop, &s->deadline);
    OPENSSL_cleanse(s->client_key, strlen(s->client_key));
    s->events->on_open(s->ctx);
}

static void session_step(struct ssh_session *s)
{
    int rc = 0;
    struct ssh_channel *ch, *after;
    if (s->state == SSH_HANDSHAKE && ssh_session_alive(s)) {
        rc = libssh2_session_handshake(s->raw, s->fd);
        if (rc == 0 && session_check_host_key(s) == 0) {
            s->state = SSH_AUTH;
            if (!session_find_user(s))
                ssh_session_fail(s, ERR_MEMORY, "out of memory");
        }
        if (rc < 0 && rc != LIBSSH2_ERROR_EAGAIN)
            ssh_session_fail_raw(s, rc, "the SSH handshake");
    }
    if (s->state == SSH_AUTH && ssh_session_alive(s)) {
        rc = session_authenticate(s);
        if (rc == 0)
            session_opened(s);
        else if (rc != LIBSSH2_ERROR_EAGAIN)
            ssh_session_fail_raw(s, rc, "authentication");
    }
    if (s->state != SSH_OPEN)
        return;
    for (ch = TAILQ_FIRST(&s->channels); ch && ssh_session_alive(s); ch = after) {
        after = TAILQ_NEXT(ch, next);
        ssh_channel_step(ch);
    }
}

/* The socket --------------------------------------------------------------------------------------------- */

static void session_on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)revents;
    struct ssh_session *s = w->data;
    session_enter(s);
    for (int i = 0; i < RECV_ROUNDS && ssh_session_alive(s); i++) {
        ssize_t n = recv(s->fd, s->in, SSH_IN, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n < 0) {
            ssh_session_fail(s, ERR_CLOSED, "connection lost: %s", strerror(errno));
            break;
        }
        s->eof = n == 0;
        s->in_at = 0;
        s->in_end = (size_t)n;
        s->stats.bytes_in += (size_t)n;
        s->stats.last_received = clock_monotonic();
        session_step(s);
        if (s->in_at < s->in_end) {
            ev_io_stop(loop, &s->reader); /* nobody to read for; the next flush tries again */
            break;
        }
        if (s->eof)
            ssh_session_fail(s, ERR_CLOSED, "the edge closed the connection");
        if (n < SSH_IN)
            break;
    }
    session_leave(s);
}

/* False when the socket takes no more for now. */
static bool session_send(struct ssh_session *s)
{
    while (buf_len(&s->out) > 0 && ssh_session_alive(s)) {
        ssize_t n = send(s->fd, buf_data(&s->out), buf_len(&s->out), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n < 0) {
            ssh_session_fail(s, ERR_CLOSED, "connection lost: %s", strerror(errno));
            return false;
        }
        s->stats.bytes_out += (size_t)n;
        if ((size_t)n == buf_len(&s->out))
            buf_reset(&s->out); /* keeps its memory: the next round needs it again */
        else
            buf_consume(&s->out, (size_t)n);
    }
    return true;
}

/* Asks every channel once for output. True when some channel has more. */
static bool session_fill(struct ssh_session *s)
{
    bool more = false;
    struct ssh_channel *ch;
    if (s->state != SSH_OPEN)
        return false;
    TAILQ_FOREACH (ch, &s->channels, next) {
        if (!ssh_session_alive(s))
            return false;
        more |= ssh_channel_fill(ch);
    }
    return more;
}

static void session_flush(struct ssh_session *s)
{
    enum { MOST_AT_ONCE = 2 * 1024 * 1024 };
    uint64_t stop = s->stats.bytes_out + MOST_AT_ONCE;
    bool more = true, open = true;
    while (more && open && ssh_session_alive(s) && s->stats.bytes_out < stop) {
        more = false;
        while (buf_len(&s->out) < SSH_QUEUE_HIGH && (more = session_fill(s)))
            continue;
        open = session_send(s);
    }
    if (!ssh_session_alive(s))
        return;
    if (more || !open)
        ev_io_start(s->loop, &s->writer);
    else
        ev_io_stop(s->loop, &s->writer);
    if (s->state == SSH_ENDING && buf_len(&s->out) == 0)
        ssh_session_fail(s, ERR_OK, "ended by core");
}

static void session_on_flush(struct ev_loop *loop, ev_prepare *w, int revents)
{
    (void)revents;
    struct ssh_session *s = w->data;
    bool step = s->kicked || s->in_at < s->in_end;
    ev_prepare_stop(loop, w);
    session_enter(s);
    s->kicked = false;
    if (step)
        session_step(s);
    if (s->in_at == s->in_end && ssh_session_alive(s) && s->state != SSH_ENDING)
        ev_io_start(loop, &s->reader);
    session_flush(s);
    session_leave(s);
}

static void session_on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop, (void)revents;
    struct ssh_session *s = w->data;
    session_enter(s);
    session_flush(s);
    session_leave(s);
}

void ssh_session_wake(struct ssh_session *s)
{
    /* Fed rather than started: whoever wakes us from the end of the round itself (a stream that has drained
     * there gives window back) would start a prepare watcher too late for this round, and the loop would
     * sleep on its output. */
    if (ssh_session_alive(s) && !ev_is_pending(&s->flusher))
        ev_feed_event(s->loop, &s->flusher, EV_PREPARE);
}

void ssh_session_kick(struct ssh_session *s)
{
    s->kicked = true;
    ssh_session_wake(s);
}

static void session_on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    struct ssh_session *s = w->data;
    session_enter(s);
    if (s->state == SSH_ENDING)
        ssh_session_fail(s, ERR_OK, "ended by core, not all of the queue sent");
    else
        ssh_session_fail(s, ERR_TIMEOUT, "%s not done within %.0f s",
                         s->state == SSH_AUTH ? "authentication" : "the SSH handshake",
                         SSH_HANDSHAKE_SECONDS);
    session_leave(s);
}

/* Life --------------------------------------------------------------------------------------------------- */

/* libssh2_session_method_pref would leave out by itself, but copies over overlapping memory when it does. */
static bool session_prefer(struct ssh_session *s, int method, const char *const *wanted)
{
    char list[160] = "";
    size_t used = 0;
    const char **known = NULL;
    int n = libssh2_session_supported_algs(s->raw, method, &known);
    for (; *wanted; wanted++)
        for (int i = 0; i < n; i++)
            if (strcmp(known[i], *wanted) == 0 && used + strlen(*wanted) + 2 < sizeof list)
                used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? "," : "", *wanted);
    if (n > 0)
        libssh2_free(s->raw, known);
    return used > 0 && libssh2_session_method_pref(s->raw, method, list) == 0;
}

static bool session_new_raw(struct ssh_session *s)
{
    static bool initialised;
    if (!initialised && libssh2_init(0) != 0)
        return false;
    initialised = true;
    s->raw = libssh2_session_init_ex(session_alloc_cb, session_free_cb, session_realloc_cb, s);
    if (!s->raw)
        return false;
    libssh2_session_set_blocking(s->raw, 0);
    /* libssh2_session_callback_set takes every kind of function as void *. */
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wpedantic\"");
    libssh2_session_callback_set(s->raw, LIBSSH2_CALLBACK_SEND, (void *)session_send_cb);
    libssh2_session_callback_set(s->raw, LIBSSH2_CALLBACK_RECV, (void *)session_recv_cb);
    libssh2_session_callback_set(s->raw, LIBSSH2_CALLBACK_DISCONNECT, (void *)session_disconnect_cb);
    _Pragma("GCC diagnostic pop");
    return session_prefer(s, LIBSSH2_METHOD_HOSTKEY, host_keys) &&
           session_prefer(s, LIBSSH2_METHOD_CRYPT_CS, ciphers) &&
           session_prefer(s, LIBSSH2_METHOD_CRYPT_SC, ciphers) &&
           session_prefer(s, LIBSSH2_METHOD_MAC_CS, macs) && session_prefer(s, LIBSSH2_METHOD_MAC_SC, macs);
}

/* A connection that a firewall has forgotten is noticed within seconds where it answers with RST (keepalive),
 * and by our own pings where it does not. After an outage the first bytes through should be ours and soon: a
 * thin stream backs off linearly, six times. What the kernel holds unsent is kept small, so that a ping never
 * waits behind megabytes. */
static void session_tune_socket(int fd)
{
    const int on = 1, unsent = SSH_QUEUE_HIGH, idle = 2, interval = 3, count = 5;
    sock_set_nonblock(fd);
    sock_set_nodelay(fd);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

struct ssh_session *ssh_session_new(struct ev_loop *loop, int fd, const struct ssh_session_config *config,
                                    const struct ssh_session_events *events, void *ctx)
{
    struct ssh_session *s = calloc(1, sizeof *s);
    if (!s) {
        close(fd);
        return NULL;
    }
    session_tune_socket(fd);
    s->loop = loop;
    s->fd = fd;
    s->events = events;
    s->ctx = ctx;
    s->host_keys = config->host_keys;
    TAILQ_INIT(&s->channels);
    buf_init(&s->out, SSH_QUEUE_MAX);
    s->stats.last_received = clock_monotonic();
    ev_io_init(&s->reader, session_on_readable, fd, EV_READ);
    ev_io_init(&s->writer, session_on_writable, fd, EV_WRITE);
    ev_prepare_init(&s->flusher, session_on_flush);
    ev_set_priority(&s->flusher, EV_MINPRI); /* after everybody who may have produced output */
    ev_timer_init(&s->deadline, session_on_deadline, SSH_HANDSHAKE_SECONDS, 0);
    s->reader.data = s->writer.data = s->flusher.data = s->deadline.data = s;
    s->user = config->user ? strdup(config->user) : NULL;
    s->client_key = strdup(config->client_key);
    s->in = malloc(SSH_IN);
    if ((config->user && !s->user) || !s->client_key || !s->in || !session_new_raw(s)) {
        ssh_session_free(s);
        return NULL;
    }
    ev_timer_start(loop, &s->deadline);
    ssh_session_kick(s); /* the first step sends our banner */
    return s;
}

/* libssh2 frees what an interrupted operation holds only when that operation is called once more and fails.
 */
static void session_unwind(struct ssh_session *s)
{
    if (s->state == SSH_HANDSHAKE)
        libssh2_session_handshake(s->raw, s->fd);
    else if (s->state == SSH_AUTH && s->user)
        libssh2_userauth_publickey_frommemory(s->raw, s->user, strlen(s->user), NULL, 0, s->client_key,
                                              strlen(s->client_key), NULL);
}

static void session_destroy(struct ssh_session *s)
{
    ev_io_stop(s->loop, &s->reader);
    ev_io_stop(s->loop, &s->writer);
    ev_prepare_stop(s->loop, &s->flusher);
    ev_timer_stop(s->loop, &s->deadline);
    s->cut = true;
    if (s->raw)
        session_unwind(s);
    while (!TAILQ_EMPTY(&s->channels))
        ssh_channel_destroy(TAILQ_FIRST(&s->channels));
    if (s->raw)
        libssh2_session_free(s->raw);
    ssh_memory_free_all(&s->memory);
    close(s->fd);
    buf_free(&s->out);
    if (s->client_key)
        OPENSSL_cleanse(s->client_key, strlen(s->client_key));
    free(s->client_key);
    free(s->user);
    free(s->in);
    free(s);
}

void ssh_session_free(struct ssh_session *s)
{
    if (!s)
        return;
    s->doomed = true;
    if (s->depth == 0)
        session_destroy(s);
}

static void session_leave(struct ssh_session *s)
{
    REQUIRE(s->depth > 0);
    if (--s->depth > 0)
        return;
    if (s->doomed) {
        session_destroy(s);
        return;
    }
    if (s->over && !s->told) {
        s->told = true;
        ev_io_stop(s->loop, &s->reader);
        ev_io_stop(s->loop, &s->writer);
        ev_prepare_stop(s->loop, &s->flusher);
        ev_timer_stop(s->loop, &s->deadline);
        s->events->on_close(s->ctx, s->why, s->words);
        return;
    }
    if (buf_len(&s->out) > 0 && !ev_is_active(&s->writer))
        ssh_session_wake(s);
}

void ssh_session_end(struct ssh_session *s)
{
    if (!ssh_session_alive(s) || s->state == SSH_ENDING)
        return;
    session_enter(s);
    if (s->state == SSH_OPEN)
        session_fill(s);
    libssh2_session_disconnect(s->raw, "core ends the tunnel");
    s->state = SSH_ENDING;
    ev_io_stop(s->loop, &s->reader);
    ev_timer_stop(s->loop, &s->deadline);
    ev_timer_set(&s->deadline, SSH_END_SECONDS, 0);
    ev_timer_start(s->loop, &s->deadline);
    ssh_session_wake(s);
    s->depth--; /* not session_leave: on_close never comes from inside a call of the owner */
}

struct ssh_session_stats ssh_session_stats(const struct ssh_session *s)
{
    struct ssh_session_stats stats = s->stats;
    stats.queued = buf_len(&s->out);
    return stats;
}

const char *ssh_session_host_key(const struct ssh_session *s)
{
    return s->host_key;
}

const char *ssh_session_cipher(struct ssh_session *s, char *out, size_t size)
{
    const char *cipher = libssh2_session_methods(s->raw, LIBSSH2_METHOD_CRYPT_SC);
    const char *mac = libssh2_session_methods(s->raw, LIBSSH2_METHOD_MAC_SC);
    snprintf(out, size, "%s%s%s", cipher ? cipher : "", mac ? " " : "", mac ? mac : "");
    return out;
}
