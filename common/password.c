#include "common/password.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/file.h"

static volatile sig_atomic_t password_signal;

static void password_on_signal(int number)
{
    password_signal = number;
}

/* One byte. Signals that are blocked get in (by mask, where there is one) only while this waits: none is
 * missed between a look and a read. */
static ssize_t password_byte(char *c, const sigset_t *mask)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    ssize_t got = 0;
    do {
        got = mask ? ppoll(&in, 1, NULL, mask) : 1;
        if (got > 0)
            got = read(STDIN_FILENO, c, 1);
    } while (got < 0 && errno == EINTR && !password_signal);
    return got;
}

/* One line, byte by byte: what is behind it is somebody else's. */
static enum err password_line(char *out, size_t size, const sigset_t *mask, char *why, size_t why_size)
{
    size_t n = 0;
    for (;;) {
        char c;
        ssize_t got = password_byte(&c, mask);
        if (got < 0) {
            snprintf(why, why_size, "the password cannot be read: %s", strerror(errno));
            return ERR_SYSTEM;
        }
        if (got == 0 || c == '\n')
            break;
        if (c == '\0' || n + 1 >= size) {
            snprintf(why, why_size,
                     c ? "the password has more than %zu bytes" : "the password has a NUL in it", size - 1);
            return ERR_TOO_LONG;
        }
        out[n++] = c;
    }
    if (n > 0 && out[n - 1] == '\r')
        n--;
    out[n] = '\0';
    if (n > 0)
        return ERR_OK;
    snprintf(why, why_size, "no password was given");
    return ERR_EOF;
}

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
enum { ENDING = sizeof ending / sizeof *ending };

/* The terminal is as before when this returns, also through a signal. */
static enum err password_prompt(const char *prompt, char *out, size_t size, char *why, size_t why_size)
{
    struct termios before, silent;
    struct sigaction old[ENDING], ours = {.sa_handler = password_on_signal};
    sigset_t blocked, mask;
    if (tcgetattr(STDIN_FILENO, &before) < 0) {
        snprintf(why, why_size, "the terminal cannot be asked: %s", strerror(errno));
        return ERR_SYSTEM;
    }
    password_signal = 0;
    sigemptyset(&blocked);
    for (size_t i = 0; i < ENDING; i++)
        sigaddset(&blocked, ending[i]);
    sigprocmask(SIG_BLOCK, &blocked, &mask);
    for (size_t i = 0; i < ENDING; i++)
        sigaction(ending[i], &ours, &old[i]);
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
    silent.c_lflag |= ECHONL;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    fputs(prompt, stderr);
    enum err e = password_line(out, size, &mask, why, why_size);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    for (size_t i = 0; i < ENDING; i++)
        sigaction(ending[i], &old[i], NULL);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    if (password_signal)
        raise(password_signal);
    return e;
}

static enum err password_ask(const char *prompt, bool twice, char *out, size_t size, char *why,
                             size_t why_size)
{
    char again[1024];
    enum err e = password_prompt(prompt, out, size, why, why_size);
    if (e != ERR_OK || !twice)
        return e;
    e = password_prompt("Once more: ", again, size < sizeof again ? size : sizeof again, why, why_size);
    if (e == ERR_OK && strcmp(out, again) != 0) {
        snprintf(why, why_size, "the two are not the same");
        e = ERR_REFUSED;
    }
    OPENSSL_cleanse(again, sizeof again);
    return e;
}

enum err password_read_file(const char *path, char *out, size_t size, char *why, size_t why_size)
{
    char *text;
    enum err e = file_read_secret_any(path, 65536, &text, NULL, why, why_size);
    if (e != ERR_OK)
        return e;
    size_t n = strcspn(text, "\r\n");
    if (n == 0 || n >= size) {
        snprintf(why, why_size,
                 n ? "%s: its first line is longer than %zu bytes" : "%s: its first line is empty", path,
                 size - 1);
        e = ERR_MALFORMED;
    } else {
        memcpy(out, text, n);
        out[n] = '\0';
    }
    file_wipe(text);
    return e;
}

enum err password_read(const char *what, bool from_stdin, char *out, size_t size, char *why, size_t why_size)
{
    char prompt[160];
    if (from_stdin || !isatty(STDIN_FILENO))
        return password_line(out, size, NULL, why, why_size);
    snprintf(prompt, sizeof prompt, "Password for %.100s: ", what);
    return password_ask(prompt, true, out, size, why, why_size);
}

enum err passphrase_read(const char *file, bool twice, char *out, size_t size, char *why, size_t why_size)
{
    char prompt[160];
    if (!isatty(STDIN_FILENO))
        return password_line(out, size, NULL, why, why_size);
    snprintf(prompt, sizeof prompt, "Passphrase of %.100s: ", file);
    return password_ask(prompt, twice, out, size, why, why_size);
}
