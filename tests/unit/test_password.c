/* A password from standard input, and from a terminal, which shows nothing of it. */
#include <check.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "common/password.h"
#include "tests/unit/unit.h"

static char out[16], why[200];

static enum err from_pipe(const char *text, size_t n)
{
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(write(fds[1], text, n), (ssize_t)n);
    close(fds[1]);
    dup2(fds[0], STDIN_FILENO);
    close(fds[0]);
    return password_read("anna", false, out, sizeof out, why, sizeof why);
}

START_TEST(test_standard_input)
{
    ck_assert_int_eq(from_pipe("secret\nmore", 11), ERR_OK);
    ck_assert_str_eq(out, "secret");
    ck_assert_int_eq(from_pipe("no line end", 11), ERR_OK);
    ck_assert_str_eq(out, "no line end");
    ck_assert_int_eq(from_pipe("dos\r\n", 5), ERR_OK);
    ck_assert_str_eq(out, "dos");
    ck_assert_int_eq(from_pipe("", 0), ERR_EOF);
    ck_assert_int_eq(from_pipe("\n", 1), ERR_EOF);
    ck_assert_int_eq(from_pipe("0123456789abcdef\n", 17), ERR_TOO_LONG);
    ck_assert_int_eq(from_pipe("nul\0nul\n", 8), ERR_TOO_LONG);
    ck_assert_ptr_nonnull(strstr(why, "NUL"));
}
END_TEST

static size_t read_until(int fd, char *text, size_t used, size_t size, const char *what)
{
    while (used + 1 < size && !strstr(text, what)) {
        ssize_t n = read(fd, text + used, size - 1 - used);
        if (n <= 0)
            break;
        used += (size_t)n;
        text[used] = '\0';
    }
    return used;
}

/* What the terminal showed goes to shown; first NULL: it is interrupted instead. Returns the exit status of
 * who asked. */
static int on_terminal(const char *first, const char *second, char *shown, size_t size)
{
    int master, status;
    pid_t pid = forkpty(&master, NULL, NULL, NULL);
    if (pid == 0) {
        signal(SIGINT, SIG_DFL);
        enum err e = password_read("anna", false, out, sizeof out, why, sizeof why);
        struct termios t;
        bool echo = tcgetattr(STDIN_FILENO, &t) == 0 && (t.c_lflag & ECHO);
        _exit(!echo ? 9 : e == ERR_OK && strcmp(out, "secret") == 0 ? 0 : e == ERR_REFUSED ? 1 : 2);
    }
    shown[0] = '\0';
    size_t n = read_until(master, shown, 0, size, "anna: ");
    if (!first)
        kill(pid, SIGINT);
    else
        ck_assert_int_gt(write(master, first, strlen(first)), 0);
    n = read_until(master, shown, n, size, "more: ");
    if (*second)
        ck_assert_int_gt(write(master, second, strlen(second)), 0);
    read_until(master, shown, n, size, "\x01 never");
    waitpid(pid, &status, 0);
    close(master);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

START_TEST(test_terminal)
{
    char shown[400];
    ck_assert_int_eq(on_terminal("secret\n", "secret\n", shown, sizeof shown), 0);
    ck_assert_msg(!strstr(shown, "secret"), "%s", shown);
    ck_assert_int_eq(on_terminal("secret\n", "secrte\n", shown, sizeof shown), 1);
    ck_assert_int_eq(on_terminal(NULL, "", shown, sizeof shown), 128 + SIGINT);
}
END_TEST

UNIT_MAIN("password", test_standard_input, test_terminal)
