/* A real sshd on a free loopback port, with keys of its own, for the time of one test. SHLVL keeps bash,
 * where it is the login shell, from reading ~/.bashrc before every forced command. */
#ifndef TESTS_UNIT_SSHD_FIXTURE_H
#define TESTS_UNIT_SSHD_FIXTURE_H

#include <check.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/netaddr.h"
#include "common/sock.h"

struct sshd_fixture {
    char dir[64];
    const char *user;
    struct netaddr addr;
    pid_t pid;
    char *client_key, *host_key; /* text of client_key and host_key.pub */
};

static inline void fixture_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void fixture_run(const char *format, ...)
{
    char command[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(command, sizeof command, format, ap);
    va_end(ap);
    ck_assert_msg(system(command) == 0, "%s", command);
}

static inline char *fixture_read(const char *dir, const char *name)
{
    char path[160];
    char *text = calloc(1, 8192);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s", path);
    ck_assert(fread(text, 1, 8191, f) > 0);
    fclose(f);
    return text;
}

static inline void fixture_write(const char *dir, const char *name, mode_t mode, const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    ck_assert_msg(f != NULL, "%s", path);
    ck_assert(fputs(text, f) >= 0);
    fclose(f);
    ck_assert(chmod(path, mode) == 0);
}

static inline void sshd_fixture_start(struct sshd_fixture *f)
{
    char config[160];
    snprintf(config, sizeof config, "%s/sshd_config", f->dir);
    f->pid = fork();
    ck_assert(f->pid >= 0);
    if (f->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/usr/sbin/sshd", "/usr/sbin/sshd", "-D", "-e", "-f", config, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 200; i++) {
        struct sockaddr_storage ss;
        socklen_t n = netaddr_to_sockaddr(&f->addr, &ss);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int rc = connect(fd, (struct sockaddr *)&ss, n);
        close(fd);
        if (rc == 0)
            return;
        usleep(20000);
    }
    ck_abort_msg("sshd does not listen; see %s/log", f->dir);
}

static inline void sshd_fixture_stop(struct sshd_fixture *f)
{
    kill(f->pid, SIGTERM);
    waitpid(f->pid, NULL, 0);
}

/* script is the forced command, run by /bin/sh; options are further lines of sshd_config. */
static inline void sshd_fixture_setup(struct sshd_fixture *f, const char *script, const char *options)
{
    char text[2048];
    *f = (struct sshd_fixture){.user = getpwuid(geteuid())->pw_name};
    snprintf(f->dir, sizeof f->dir, "/tmp/stile-sshd-XXXXXX");
    ck_assert(mkdtemp(f->dir) != NULL);
    if (geteuid() == 0)
        fixture_run("mkdir -p /run/sshd");
    fixture_run("ssh-keygen -q -t ed25519 -N '' -C host -f %s/host_key", f->dir);
    fixture_run("ssh-keygen -q -t ed25519 -N '' -C core -f %s/client_key", f->dir);
    f->host_key = fixture_read(f->dir, "host_key.pub");
    f->client_key = fixture_read(f->dir, "client_key");

    struct netaddr any;
    ck_assert(netaddr_parse("127.0.0.1", 0, &any) == ERR_OK);
    int fd = sock_listen_tcp(&any, false);
    ck_assert(fd >= 0 && sock_local(fd, &f->addr) == ERR_OK);
    close(fd);

    snprintf(text, sizeof text, "#!/bin/sh\n%s\n", script);
    fixture_write(f->dir, "command", 0755, text);
    char *public_key = fixture_read(f->dir, "client_key.pub");
    snprintf(text, sizeof text, "restrict,command=\"%s/command\" %s", f->dir, public_key);
    fixture_write(f->dir, "authorized_keys", 0600, text);
    free(public_key);
    snprintf(text, sizeof text,
             "Port %u\nListenAddress 127.0.0.1\nHostKey %s/host_key\nPidFile none\nUsePAM no\n"
             "AuthorizedKeysFile %s/authorized_keys\nStrictModes no\nPasswordAuthentication no\n"
             "PermitRootLogin prohibit-password\nMaxSessions 64\nSetEnv SHLVL=1\nMaxStartups 100\nLogLevel "
             "ERROR\n%s\n",
             f->addr.port, f->dir, f->dir, options);
    fixture_write(f->dir, "sshd_config", 0600, text);
    sshd_fixture_start(f);
}

static inline void sshd_fixture_teardown(struct sshd_fixture *f)
{
    sshd_fixture_stop(f);
    /* A session of its that ends just now may still write there. */
    fixture_run("for i in 1 2 3 4 5; do rm -rf %s && exit; done; exit 1", f->dir);
    free(f->client_key);
    free(f->host_key);
}

#endif
