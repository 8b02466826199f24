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

#include "common/alarms.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/fatal.h"
#include "common/file.h"
#include "common/log.h"
#include "common/sock.h"
#include "common/text.h"

#define SSHD_PROGRAM "/usr/sbin/sshd"

enum { SSHD_CONFIG_MAX = 64 * 1024, SSHD_LINE_MAX = 1024 };

static const double backoff_first = 0.1, backoff_longest = 10, long_enough = 1;
static const double steady_after = 3; /* seconds that it has to live for its end to be over */

struct sshd {
    struct ev_loop *loop;
    const struct box *box;
    const struct core_keys *keys;
    char user[64], program[PATH_MAX];
    pid_t pid;
    ev_child child;
    ev_timer restart, steady;
    ev_io log;
    int log_fd, log_write_fd; /* one pipe for every sshd: connections outlive the one that took them */
    struct buf line;
    double started, backoff;
    char reason[256];
};

/* Files ------------------------------------------------------------------------------------------------ */

/* sshd runs the forced command with the user's shell: the path is quoted for it, and for authorized_keys. */
static bool path_is_plain(const char *path)
{
    return !strpbrk(path, "'\"\\%\n\r"); /* sshd_config expands %h and the like */
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
        const char *keys[CORE_KEYS_MAX];
        size_t n = core_keys_of(s->keys, core, keys);
        for (size_t k = 0; k < n && e == ERR_OK; k++)
            e = buf_printf(
                &text, "restrict,command=\"exec '%s' attach --core '%s' --key '%s' --run-dir '%s'\" %s %s\n",
                s->program, core->name, keys[k], s->box->run, keys[k], core->name);
    }
    if (e == ERR_OK)
        e = sshd_write(s, "authorized_keys", &text, why);
    else
        snprintf(why, SCHEMA_WHY, "authorized_keys: %s", err_str(e));
    buf_free(&text);
    return e;
}

/* In the order of sshd_config(5). */
static const char sshd_options[] =
    "AddressFamily any\n"
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
    /* One address alone cannot keep cores out: it meets its own limit first. */
    "MaxStartups 100:30:200\n"
    "PasswordAuthentication no\n"
    "PerSourceMaxStartups 32\n"
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
    /* A connection that has no channel, or has lost them all with the edge, is of no use. */
    "UnusedConnectionTimeout 30\n"
    "UseDNS no\n"
    "UsePAM no\n"
    "X11Forwarding no\n";

static enum err sshd_write_config(struct sshd *s, const struct config_edge *self, char *why)
{
    char host_key[PATH_MAX], keys[PATH_MAX], at[NETADDR_TEXT];
    struct netaddr listen = self->listen_ip;
    struct buf text;
    buf_init(&text, SSHD_CONFIG_MAX);
    listen.port = (uint16_t)self->ssh_port;
    enum err e = buf_printf(&text,
                            "# Written by stile-edge at every start. Changes here are lost.\n"
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
        e = buf_append_str(&text, sshd_options);
    if (e == ERR_OK)
        e = sshd_write(s, "sshd_config", &text, why);
    else
        snprintf(why, SCHEMA_WHY, "sshd_config: %s", err_str(e));
    buf_free(&text);
    return e;
}

/* The process ------------------------------------------------------------------------------------------- */

/* Every line of sshd becomes an event; its words go through log_quote, as strangers can choose parts of them.
 */
static void sshd_log_line(struct sshd *s, const uint8_t *line, size_t n)
{
    char quoted[SSHD_LINE_MAX];
    while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == '\n'))
        n--;
    if (n == 0)
        return;
    if (memmem(line, n, "error: ", 7) || memmem(line, n, "fatal: ", 7)) {
        snprintf(quoted, sizeof quoted, "%.*s", (int)n, line);
        text_copy(s->reason, sizeof s->reason, quoted);
    }
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
    if (n <= 0) { /* "cannot happen": we hold the other end */
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

static _Noreturn void sshd_exec(const char *config, int log_fd, pid_t parent)
{
    int null = open("/dev/null", O_RDWR);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);
    setpgid(0, 0);
    unsetenv("NOTIFY_SOCKET"); /* it is not sshd that tells systemd that the edge is ready */
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(log_fd, 2) < 0)
        _exit(1);
    execl(SSHD_PROGRAM, SSHD_PROGRAM, "-D", "-e", "-f", config, (char *)NULL);
    dprintf(2, "fatal: %s: %s; install openssh-server\n", SSHD_PROGRAM, strerror(errno));
    _exit(1);
}

static void sshd_start_in(struct sshd *s, double seconds)
{
    ev_timer_set(&s->restart, seconds, 0);
    ev_timer_start(s->loop, &s->restart);
    s->backoff = s->backoff * 2 < backoff_longest ? s->backoff * 2 : backoff_longest;
}

static void sshd_spawn(struct sshd *s)
{
    char config[PATH_MAX];
    pid_t parent = getpid();
    s->started = clock_monotonic();
    box_run_file(s->box, "sshd_config", config);
    pid_t pid = fork();
    if (pid == 0)
        sshd_exec(config, s->log_write_fd, parent);
    if (pid < 0) {
        snprintf(s->reason, sizeof s->reason, "cannot be started: %s", strerror(errno));
        alarm_raise(ALARM_SSH_SERVER_DOWN, "", s->reason);
        sshd_start_in(s, s->backoff);
        return;
    }
    s->pid = pid;
    s->reason[0] = '\0';
    ev_child_set(&s->child, pid, 0);
    ev_child_start(s->loop, &s->child);
    ev_timer_set(&s->steady, steady_after, 0);
    ev_timer_start(s->loop, &s->steady);
}

static void sshd_on_steady(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)t, (void)revents;
    alarm_clear(ALARM_SSH_SERVER_DOWN, "");
}

static void sshd_on_exit(struct ev_loop *loop, ev_child *c, int revents)
{
    (void)revents;
    struct sshd *s = c->data;
    char quoted[2 * sizeof s->reason];
    ev_child_stop(loop, c);
    sshd_on_log(loop, &s->log, 0); /* its last words */
    s->pid = 0;
    if (!s->reason[0])
        snprintf(s->reason, sizeof s->reason, "ended (%s %d)", WIFSIGNALED(c->rstatus) ? "signal" : "status",
                 WIFSIGNALED(c->rstatus) ? WTERMSIG(c->rstatus) : WEXITSTATUS(c->rstatus));
    if (clock_monotonic() - s->started >= long_enough)
        s->backoff = backoff_first;
    log_event(LOG_ERR, "SSH Server Down", "reason=%s restart_in=%.1fs",
              log_quote(s->reason, strlen(s->reason), quoted, sizeof quoted), s->backoff);
    ev_timer_stop(loop, &s->steady);
    alarm_raise(ALARM_SSH_SERVER_DOWN, "", s->reason);
    sshd_start_in(s, s->backoff);
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
        snprintf(why, SCHEMA_WHY, "user id %d has no account; sshd needs one to log cores in",
                 (int)geteuid());
        return ERR_NOT_FOUND;
    }
    snprintf(s->user, sizeof s->user, "%s", pw->pw_name);
    if (strstr(pw->pw_shell, "nologin") || strstr(pw->pw_shell, "/false")) {
        snprintf(why, SCHEMA_WHY,
                 "account %s has the shell %s, so sshd could not run its forced command; run: usermod "
                 "--shell /bin/sh %s",
                 s->user, pw->pw_shell, s->user);
        return ERR_CONFIG;
    }
    if (n <= 0 || access(s->program, X_OK) < 0) {
        snprintf(why, SCHEMA_WHY, "user %s cannot execute %s; install the program where it can", s->user,
                 s->program);
        return ERR_SYSTEM;
    }
    if (!path_is_plain(s->program) || !path_is_plain(s->box->run) || !path_is_plain(s->box->dir)) {
        snprintf(
            why, SCHEMA_WHY,
            "quotes, backslashes and %% are not possible in the paths of the program, --dir and --run-dir");
        return ERR_CONFIG;
    }
    return ERR_OK;
}

static enum err sshd_open_log(struct sshd *s, char *why)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0) {
        snprintf(why, SCHEMA_WHY, "a pipe for sshd's log: %s", strerror(errno));
        return ERR_SYSTEM;
    }
    s->log_fd = fds[0];
    s->log_write_fd = fds[1];
    sock_set_nonblock(s->log_fd);
    ev_io_set(&s->log, s->log_fd, EV_READ);
    ev_io_start(s->loop, &s->log);
    return ERR_OK;
}

enum err sshd_start(struct ev_loop *loop, const struct box *box, const struct config_edge *self,
                    const struct core_keys *keys, struct sshd **out, char *why)
{
    struct sshd *s = xcalloc(1, sizeof *s);
    s->loop = loop;
    s->box = box;
    s->keys = keys;
    s->backoff = backoff_first;
    buf_init(&s->line, 16 * 1024);
    ev_child_init(&s->child, sshd_on_exit, 0, 0);
    ev_timer_init(&s->restart, sshd_on_restart, 0, 0);
    ev_init(&s->log, sshd_on_log);
    ev_timer_init(&s->steady, sshd_on_steady, 0, 0);
    s->child.data = s->restart.data = s->log.data = s;
    enum err e = sshd_look_around(s, why);
    if (e == ERR_OK)
        e = sshd_open_log(s, why);
    if (e == ERR_OK)
        e = sshd_update_keys(s, why);
    if (e == ERR_OK)
        e = sshd_write_config(s, self, why);
    if (e != ERR_OK) {
        sshd_stop(s);
        return e;
    }
    sshd_spawn(s);
    *out = s;
    return ERR_OK;
}

/* sshd executes itself anew, with the files as they are now; its listening socket is away for that long, and
 * core knocks again. */
void sshd_new_host_key(struct sshd *s)
{
    if (s->pid)
        kill(s->pid, SIGHUP);
}

/* Each connection's process leads a session of its own, so that the listener's end is not its end. */
static void sshd_end_connections(pid_t listener)
{
    char path[64], line[8192], *rest = NULL;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)listener, (int)listener);
    FILE *f = fopen(path, "re");
    bool any = f && fgets(line, sizeof line, f);
    if (f)
        fclose(f);
    for (char *word = any ? strtok_r(line, " \n", &rest) : NULL; word; word = strtok_r(NULL, " \n", &rest)) {
        pid_t child = atoi(word);
        if (child > 1 && kill(-child, SIGTERM) < 0)
            kill(child, SIGTERM);
    }
}

void sshd_stop(struct sshd *s)
{
    if (!s)
        return;
    ev_child_stop(s->loop, &s->child);
    ev_timer_stop(s->loop, &s->restart);
    ev_timer_stop(s->loop, &s->steady);
    ev_io_stop(s->loop, &s->log);
    if (s->pid) {
        sshd_end_connections(s->pid);
        kill(s->pid, SIGTERM);
    }
    if (s->log_fd > 0) {
        close(s->log_fd);
        close(s->log_write_fd);
    }
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
