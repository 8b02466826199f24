#include "edge/tunnel/sshd.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/fatal.h"
#include "common/file.h"
#include "common/log.h"
#include "common/sock.h"

#define SSHD_PROGRAM "/usr/sbin/sshd"

enum { SSHD_CONFIG_MAX = 64 * 1024, SSHD_LINE_MAX = 1024 };

static const double backoff_first = 0.1, backoff_longest = 10, long_enough = 30;

struct sshd {
    struct ev_loop *loop;
    const struct box *box;
    const struct config_edge *self;
    char user[64], program[PATH_MAX];
    pid_t pid;
    ev_child child;
    ev_timer restart;
    ev_io log;
    int log_fd;
    struct buf line;
    double started, backoff;
    char reason[256];
};

/* Files ------------------------------------------------------------------------------------------------ */

/* sshd runs the forced command with the user's shell: the path is quoted for it, and for authorized_keys. */
static bool path_is_plain(const char *path)
{
    return !strpbrk(path, "'\"\\\n\r");
}

static enum err sshd_write(struct sshd *s, const char *name, const struct buf *text, char *why)
{
    char path[PATH_MAX];
    return file_write(box_run_file(s->box, name, path), buf_data(text), buf_len(text), 0600, why, SCHEMA_WHY);
}

enum err sshd_update_keys(struct sshd *s, char *why)
{
    struct buf text;
    enum err e = ERR_OK;
    buf_init(&text, SSHD_CONFIG_MAX);
    for (size_t i = 0; i < s->box->config.cores.n && e == ERR_OK; i++) {
        const struct config_core *core = config_core_at(&s->box->config, i);
        e = buf_printf(&text, "restrict,command=\"exec '%s' attach --core '%s' --run-dir '%s'\" %s %s\n", s->program,
                       core->name, s->box->run, core->key, core->name);
    }
    if (e == ERR_OK)
        e = sshd_write(s, "authorized_keys", &text, why);
    else
        snprintf(why, SCHEMA_WHY, "authorized_keys: %s", err_str(e));
    buf_free(&text);
    return e;
}

/* Options in the order of sshd_config(5). */
static enum err sshd_write_config(struct sshd *s, char *why)
{
    char host_key[PATH_MAX], keys[PATH_MAX], at[NETADDR_TEXT];
    struct netaddr listen = s->self->listen_ip;
    struct buf text;
    buf_init(&text, SSHD_CONFIG_MAX);
    listen.port = (uint16_t)s->self->ssh_port;
    enum err e = buf_printf(&text, "# Written by stile-edge at every start. Changes here are lost.\n"
                                   "Port %u\n%s%s%s"
                                   "HostKey \"%s\"\n"
                                   "AuthorizedKeysFile \"%s\"\n"
                                   "AllowUsers %s\n"
                                   /* Core takes the account to log in as from here, once the host key is proved. */
                                   "VersionAddendum user=%s\n",
                            listen.port, listen.family ? "ListenAddress " : "",
                            listen.family ? netaddr_print(&listen, at) : "", listen.family ? "\n" : "",
                            box_file(s->box, BOX_HOST_KEY, host_key),
                            box_run_file(s->box, "authorized_keys", keys), s->user, s->user);
    if (e == ERR_OK)
        e = buf_append_str(&text, "AddressFamily any\n"
                                  "AllowAgentForwarding no\n"
                                  "AllowStreamLocalForwarding no\n"
                                  "AllowTcpForwarding no\n"
                                  "AuthenticationMethods publickey\n"
                                  "Ciphers aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr\n"
                                  "ClientAliveCountMax 3\n"
                                  "ClientAliveInterval 5\n"
                                  "Compression no\n"
                                  "DisableForwarding yes\n"
                                  "GSSAPIAuthentication no\n"
                                  "GatewayPorts no\n"
                                  "HostKeyAlgorithms ssh-ed25519\n"
                                  "HostbasedAuthentication no\n"
                                  "KbdInteractiveAuthentication no\n"
                                  "KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,"
                                  "curve25519-sha256@libssh.org\n"
                                  "LogLevel INFO\n"
                                  "LoginGraceTime 20\n"
                                  "MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-256\n"
                                  "MaxAuthTries 2\n"
                                  "MaxSessions 128\n"
                                  "MaxStartups 20:50:100\n"
                                  "PasswordAuthentication no\n"
                                  "PermitRootLogin no\n"
                                  "PermitTTY no\n"
                                  "PermitTunnel no\n"
                                  "PermitUserEnvironment no\n"
                                  "PermitUserRC no\n"
                                  "PidFile none\n"
                                  "PrintLastLog no\n"
                                  "PrintMotd no\n"
                                  "PubkeyAcceptedAlgorithms ssh-ed25519\n"
                                  /* Else bash, where it is the login shell, reads ~/.bashrc before every forced command. */
                                  "SetEnv SHLVL=1\n"
                                  /* The key file is ours, in a folder of ours; folders above may be anyone's. */
                                  "StrictModes no\n"
                                  "UseDNS no\n"
                                  "UsePAM no\n"
                                  "X11Forwarding no\n");
    if (e == ERR_OK)
        e = sshd_write(s, "sshd_config", &text, why);
    else
        snprintf(why, SCHEMA_WHY, "sshd_config: %s", err_str(e));
    buf_free(&text);
    return e;
}

/* The process ------------------------------------------------------------------------------------------- */

/* Every line of sshd becomes an event; its words go through log_quote, as strangers can choose parts of them. */
static void sshd_log_line(struct sshd *s, const uint8_t *line, size_t n)
{
    char quoted[SSHD_LINE_MAX];
    while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == '\n'))
        n--;
    if (n == 0)
        return;
    if (memmem(line, n, "error: ", 7) || memmem(line, n, "fatal: ", 7))
        snprintf(s->reason, sizeof s->reason, "%.*s", (int)n, line);
    log_event(LOG_INFO, "SSH Server", "message=%s", log_quote(line, n, quoted, sizeof quoted));
}

static void sshd_on_log(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)revents;
    struct sshd *s = w->data;
    uint8_t chunk[4096], *end;
    ssize_t n = read(s->log_fd, chunk, sizeof chunk);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        ev_io_stop(loop, w);
        return;
    }
    if (buf_append(&s->line, chunk, (size_t)n) != ERR_OK)
        buf_free(&s->line); /* a line longer than the limit */
    while (buf_len(&s->line) > 0 && (end = memchr(buf_data(&s->line), '\n', buf_len(&s->line))) != NULL) {
        size_t used = (size_t)(end - buf_data(&s->line)) + 1;
        sshd_log_line(s, buf_data(&s->line), used);
        buf_consume(&s->line, used);
    }
}

static _Noreturn void sshd_exec(const char *config, int log_fd)
{
    int null = open("/dev/null", O_RDWR);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setpgid(0, 0);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(log_fd, 2) < 0)
        _exit(1);
    execl(SSHD_PROGRAM, SSHD_PROGRAM, "-D", "-e", "-f", config, (char *)NULL);
    dprintf(2, "fatal: %s: %s; install openssh-server\n", SSHD_PROGRAM, strerror(errno));
    _exit(1);
}

static void sshd_spawn(struct sshd *s)
{
    char config[PATH_MAX];
    int fds[2];
    s->started = ev_now(s->loop);
    if (pipe2(fds, O_CLOEXEC) < 0)
        fatal("pipe: %s", strerror(errno));
    box_run_file(s->box, "sshd_config", config);
    pid_t pid = fork();
    if (pid == 0)
        sshd_exec(config, fds[1]);
    close(fds[1]);
    if (s->log_fd >= 0) {
        ev_io_stop(s->loop, &s->log);
        close(s->log_fd);
    }
    s->log_fd = fds[0];
    sock_set_nonblock(fds[0]);
    ev_io_set(&s->log, fds[0], EV_READ);
    ev_io_start(s->loop, &s->log);
    if (pid < 0) {
        snprintf(s->reason, sizeof s->reason, "cannot be started: %s", strerror(errno));
        ev_timer_set(&s->restart, s->backoff, 0);
        ev_timer_start(s->loop, &s->restart);
        return;
    }
    s->pid = pid;
    s->reason[0] = '\0';
    ev_child_set(&s->child, pid, 0);
    ev_child_start(s->loop, &s->child);
}

static void sshd_on_exit(struct ev_loop *loop, ev_child *c, int revents)
{
    (void)revents;
    struct sshd *s = c->data;
    ev_child_stop(loop, c);
    sshd_on_log(loop, &s->log, 0); /* its last words */
    s->pid = 0;
    if (!s->reason[0])
        snprintf(s->reason, sizeof s->reason, "ended (%s %d)", WIFSIGNALED(c->rstatus) ? "signal" : "status",
                 WIFSIGNALED(c->rstatus) ? WTERMSIG(c->rstatus) : WEXITSTATUS(c->rstatus));
    if (ev_now(loop) - s->started >= long_enough)
        s->backoff = backoff_first;
    log_event(LOG_ERR, "SSH Server Down", "reason=\"%s\" restart_in=%.1fs", s->reason, s->backoff);
    ev_timer_set(&s->restart, s->backoff, 0);
    ev_timer_start(loop, &s->restart);
    s->backoff = s->backoff * 2 < backoff_longest ? s->backoff * 2 : backoff_longest;
}

static void sshd_on_restart(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    sshd_spawn(t->data);
}

static enum err sshd_look_around(struct sshd *s, char *why)
{
    const struct passwd *pw = getpwuid(geteuid());
    ssize_t n = readlink("/proc/self/exe", s->program, sizeof s->program - 1);
    if (!pw) {
        snprintf(why, SCHEMA_WHY, "user id %d has no account; sshd needs one to log cores in", (int)geteuid());
        return ERR_NOT_FOUND;
    }
    snprintf(s->user, sizeof s->user, "%s", pw->pw_name);
    if (strstr(pw->pw_shell, "nologin") || strstr(pw->pw_shell, "/false")) {
        snprintf(why, SCHEMA_WHY,
                 "account %s has the shell %s, so sshd could not run its forced command; run: usermod --shell /bin/sh %s",
                 s->user, pw->pw_shell, s->user);
        return ERR_CONFIG;
    }
    if (n <= 0 || access(s->program, X_OK) < 0) {
        snprintf(why, SCHEMA_WHY, "user %s cannot execute %s; install the program where it can", s->user, s->program);
        return ERR_SYSTEM;
    }
    if (!path_is_plain(s->program) || !path_is_plain(s->box->run) || !path_is_plain(s->box->dir)) {
        snprintf(why, SCHEMA_WHY, "quotes and backslashes are not possible in the paths of the program and of --dir");
        return ERR_CONFIG;
    }
    return ERR_OK;
}

enum err sshd_start(struct ev_loop *loop, const struct box *box, const struct config_edge *self, struct sshd **out,
                    char *why)
{
    struct sshd *s = xcalloc(1, sizeof *s);
    s->loop = loop;
    s->box = box;
    s->self = self;
    s->log_fd = -1;
    s->backoff = backoff_first;
    buf_init(&s->line, 16 * 1024);
    ev_child_init(&s->child, sshd_on_exit, 0, 0);
    ev_timer_init(&s->restart, sshd_on_restart, 0, 0);
    ev_init(&s->log, sshd_on_log);
    s->child.data = s->restart.data = s->log.data = s;
    enum err e = sshd_look_around(s, why);
    if (e == ERR_OK)
        e = sshd_update_keys(s, why);
    if (e == ERR_OK)
        e = sshd_write_config(s, why);
    if (e != ERR_OK) {
        free(s);
        return e;
    }
    sshd_spawn(s);
    *out = s;
    return ERR_OK;
}

void sshd_stop(struct sshd *s)
{
    if (!s)
        return;
    ev_child_stop(s->loop, &s->child);
    ev_timer_stop(s->loop, &s->restart);
    ev_io_stop(s->loop, &s->log);
    if (s->pid)
        kill(-s->pid, SIGTERM); /* the group: connections' processes too */
    if (s->log_fd >= 0)
        close(s->log_fd);
    buf_free(&s->line);
    free(s);
}

pid_t sshd_pid(const struct sshd *s)
{
    return s->pid;
}

const char *sshd_reason(const struct sshd *s)
{
    return s->reason;
}
