#include "core/tunnel/ssh_channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "core/tunnel/ssh_private.h"

enum { SSH_CHANNEL_END_SECONDS = 10 };

static const char kind[] = "session";

struct ssh_channel *ssh_channel_open(struct ssh_session *s, const char *command,
                                     const struct ssh_channel_events *events, void *ctx)
{
    struct ssh_channel *ch = calloc(1, sizeof *ch);
    if (!ch)
        return NULL;
    ch->session = s;
    ch->events = events;
    ch->ctx = ctx;
    buf_init(&ch->out, SSH_CHANNEL_OUT);
    snprintf(ch->command, sizeof ch->command, "%s", command);
    TAILQ_INSERT_TAIL(&s->channels, ch, next);
    if (!s->opening)
        s->opening = ch;
    ssh_session_kick(s);
    return ch;
}

static void channel_unlink(struct ssh_channel *ch)
{
    struct ssh_session *s = ch->session;
    TAILQ_REMOVE(&s->channels, ch, next);
    if (s->opening == ch)
        s->opening = NULL;
    buf_free(&ch->out);
    free(ch);
}

/* The next one in line may be opened. */
static void channel_pass_turn(struct ssh_channel *ch)
{
    struct ssh_session *s = ch->session;
    struct ssh_channel *other;
    if (s->opening != ch)
        return;
    s->opening = NULL;
    TAILQ_FOREACH (other, &s->channels, next) {
        if (other->state == SSH_CHANNEL_WAITING && other->events) {
            s->opening = other;
            ssh_session_kick(s);
            return;
        }
    }
}

void ssh_channel_free(struct ssh_channel *ch)
{
    if (!ch)
        return;
    ch->events = NULL;
    ch->wants = false;
    ch->deadline = clock_monotonic() + SSH_CHANNEL_END_SECONDS;
    ssh_session_kick(ch->session);
}

void ssh_channel_destroy(struct ssh_channel *ch)
{
    struct ssh_session *s = ch->session;
    if (s->opening == ch && ch->state == SSH_CHANNEL_OPENING)
        libssh2_channel_open_ex(s->raw, kind, sizeof kind - 1, SSH_WINDOW, SSH_READ, NULL, 0);
    if (ch->raw)
        libssh2_channel_free(ch->raw);
    channel_unlink(ch);
}

/* Opening ------------------------------------------------------------------------------------------------ */

static void channel_over(struct ssh_channel *ch, const char *words)
{
    ch->state = SSH_CHANNEL_ENDED;
    channel_pass_turn(ch);
    if (ch->events)
        ch->events->on_close(ch->ctx, words);
}

/* True for errors that end a channel but not its session. */
static bool channel_error_is_own(int rc)
{
    return rc == LIBSSH2_ERROR_CHANNEL_CLOSED || rc == LIBSSH2_ERROR_CHANNEL_EOF_SENT ||
           rc == LIBSSH2_ERROR_CHANNEL_FAILURE || rc == LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED;
}

static void channel_fail(struct ssh_channel *ch, int rc, const char *during)
{
    char words[SSH_WORDS], text[128], *message = NULL;
    int n = 0;
    if (!channel_error_is_own(rc)) {
        ssh_session_fail_raw(ch->session, rc, during);
        return;
    }
    libssh2_session_last_error(ch->session->raw, &message, &n, 0);
    ssh_clean_words(text, sizeof text, message ? message : "", n > 0 ? (size_t)n : 0);
    snprintf(words, sizeof words, "\"%s\": %s failed: %s (%d)", ch->command, during, text, rc);
    channel_over(ch, words);
}

static void channel_open_step(struct ssh_channel *ch)
{
    struct ssh_session *s = ch->session;
    if (ch->state == SSH_CHANNEL_WAITING && s->opening == ch && ch->events)
        ch->state = SSH_CHANNEL_OPENING;
    if (ch->state == SSH_CHANNEL_OPENING) {
        ch->raw = libssh2_channel_open_ex(s->raw, kind, sizeof kind - 1, SSH_WINDOW, SSH_READ, NULL, 0);
        if (ch->raw)
            ch->state = SSH_CHANNEL_STARTING;
        else if (libssh2_session_last_errno(s->raw) != LIBSSH2_ERROR_EAGAIN)
            channel_fail(ch, libssh2_session_last_errno(s->raw), "opening the channel");
    }
    if (ch->state == SSH_CHANNEL_STARTING) {
        int rc =
            libssh2_channel_process_startup(ch->raw, "exec", 4, ch->command, (unsigned)strlen(ch->command));
        if (rc == LIBSSH2_ERROR_EAGAIN)
            return;
        if (rc != 0) {
            channel_fail(ch, rc, "starting the command");
            return;
        }
        ch->state = SSH_CHANNEL_OPENED;
        channel_pass_turn(ch);
        if (ch->events)
            ch->events->on_open(ch->ctx);
    }
}

/* Reading and ending ------------------------------------------------------------------------------------- */

static void channel_read(struct ssh_channel *ch)
{
    static uint8_t data[SSH_READ]; /* one session per process; handed out only for the time of the call */
    struct ssh_session *s = ch->session;
    while (ch->state == SSH_CHANNEL_OPENED && ch->events && ssh_session_alive(s)) {
        ssize_t n = libssh2_channel_read(ch->raw, (char *)data, sizeof data);
        if (n > 0) {
            ch->events->on_data(ch->ctx, data, (size_t)n);
            continue;
        }
        if (n < 0 && n != LIBSSH2_ERROR_EAGAIN) {
            channel_fail(ch, (int)n, "reading");
            return;
        }
        if (n == 0) { /* the end of its output (what it wrote to stderr may still wait) */
            ch->state = SSH_CHANNEL_ENDING;
            ch->deadline = clock_monotonic() + SSH_CHANNEL_END_SECONDS;
        }
        return;
    }
}

static void channel_check_deadline(struct ssh_channel *ch)
{
    if (clock_monotonic() > ch->deadline)
        ssh_session_fail(ch->session, ERR_TIMEOUT, "the edge's sshd does not close a channel");
}

/* The command is over: sshd sends EOF, the exit code and CLOSE, usually in one packet's time. */
static void channel_end_step(struct ssh_channel *ch)
{
    char words[SSH_WORDS], text[192] = "", raw[512];
    int rc = libssh2_channel_close(ch->raw);
    if (rc == LIBSSH2_ERROR_EAGAIN) {
        channel_check_deadline(ch);
        return;
    }
    ssize_t n = libssh2_channel_read_stderr(ch->raw, raw, sizeof raw);
    if (n > 0)
        ssh_clean_words(text, sizeof text, raw, (size_t)n);
    int code = libssh2_channel_get_exit_status(ch->raw);
    if (code == 0) /* what login shells write to stderr says nothing then */
        snprintf(words, sizeof words, "\"%s\" was ended by the edge", ch->command);
    else
        snprintf(words, sizeof words, "forced command failed: \"%s\" ended with exit code %d%s%s",
                 ch->command, code, text[0] ? ": " : "", text);
    channel_over(ch, words);
}

/* The owner is gone: the channel follows as soon as libssh2 lets it, an opening one once it is open. */
static void channel_let_go(struct ssh_channel *ch)
{
    if (ch->state == SSH_CHANNEL_OPENING || ch->state == SSH_CHANNEL_STARTING)
        return;
    if (ch->raw && libssh2_channel_free(ch->raw) == LIBSSH2_ERROR_EAGAIN) {
        channel_check_deadline(ch);
        return;
    }
    channel_pass_turn(ch);
    channel_unlink(ch);
}

void ssh_channel_step(struct ssh_channel *ch)
{
    if (ch->state < SSH_CHANNEL_OPENED)
        channel_open_step(ch);
    if (ch->state == SSH_CHANNEL_OPENED)
        channel_read(ch);
    if (ch->state == SSH_CHANNEL_ENDING && ch->events)
        channel_end_step(ch);
    if (!ch->events)
        channel_let_go(ch);
    else if (ch->state == SSH_CHANNEL_OPENED && (ch->wants || buf_len(&ch->out) > 0))
        ssh_session_wake(ch->session); /* what came may have opened the window */
}

/* Writing ------------------------------------------------------------------------------------------------ */

void ssh_channel_want_output(struct ssh_channel *ch)
{
    ch->wants = true;
    ssh_session_wake(ch->session);
}

enum err ssh_channel_write(struct ssh_channel *ch, const void *data, size_t n)
{
    if (ch->state >= SSH_CHANNEL_ENDING || !ssh_session_alive(ch->session))
        return ERR_CLOSED;
    enum err e = buf_append(&ch->out, data, n);
    if (e == ERR_OK)
        ssh_session_wake(ch->session);
    return e;
}

bool ssh_channel_fill(struct ssh_channel *ch)
{
    if (ch->state != SSH_CHANNEL_OPENED)
        return false;
    if (ch->wants && ch->events && ch->events->on_output && buf_len(&ch->out) < SSH_CHANNEL_FILL) {
        ch->wants = false;
        ch->events->on_output(ch->ctx, &ch->out);
    }
    size_t budget = SSH_CHANNEL_FILL;
    while (buf_len(&ch->out) > 0 && budget > 0 && ssh_session_alive(ch->session)) {
        /* After EAGAIN (no window, or keys are being exchanged) libssh2 wants the same bytes again: they are
         * still at the front of the queue. */
        ssize_t n = libssh2_channel_write(ch->raw, (const char *)buf_data(&ch->out), buf_len(&ch->out));
        if (n == LIBSSH2_ERROR_EAGAIN || n == 0)
            return false;
        if (n < 0) {
            if (!channel_error_is_own((int)n))
                ssh_session_fail_raw(ch->session, (int)n, "sending");
            return false; /* its end is read, too, and told from there */
        }
        if ((size_t)n == buf_len(&ch->out))
            buf_reset(&ch->out);
        else
            buf_consume(&ch->out, (size_t)n);
        budget -= (size_t)n < budget ? (size_t)n : budget;
    }
    return buf_len(&ch->out) > 0 || ch->wants;
}
