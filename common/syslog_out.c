#include "common/syslog_out.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "common/log.h"
#include "common/netaddr.h"
#include "common/time_text.h"

static int out_fd = -1;

static bool target_address(const char *target, struct netaddr *out)
{
    return netaddr_parse(target, SYSLOG_PORT, out) == ERR_OK;
}

const char *syslog_check(const char *target)
{
    struct netaddr unused;
    if (!*target || target[0] == '/' || target_address(target, &unused))
        return NULL;
    return "empty, the full path of a socket (/dev/log), or the IP address of a syslog server, with its port "
           "where that is not 514";
}

static int open_path(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof to.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(to.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int open_address(const char *target)
{
    struct netaddr address;
    struct sockaddr_storage to;
    if (!target_address(target, &address)) {
        errno = EINVAL;
        return -1;
    }
    socklen_t n = netaddr_to_sockaddr(&address, &to);
    int fd = socket(address.family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, n) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

void syslog_open(const char *target)
{
    if (out_fd >= 0)
        close(out_fd);
    out_fd = -1;
    if (!target || !*target)
        return;
    out_fd = target[0] == '/' ? open_path(target) : open_address(target);
    if (out_fd < 0)
        log_event(LOG_ERR, "Syslog Not Opened", "target=%s reason=\"%s\"", target, strerror(errno));
}

/* A header's word: printable ASCII without spaces, RFC 5424 §6. */
static void header_word(char *out, size_t size, const char *text)
{
    size_t n = 0;
    for (; *text && n < size - 1; text++)
        out[n++] = *text > ' ' && *text <= '~' ? *text : '_';
    if (n == 0)
        out[n++] = '-';
    out[n] = '\0';
}

size_t syslog_format(int level, int64_t ms, const char *process, const char *event, const char *fields,
                     char out[SYSLOG_MESSAGE])
{
    char at[TIME_TEXT], host[256], name[256], procid[33], msgid[33], app[33];
    if (gethostname(host, sizeof host - 1) < 0)
        host[0] = '\0';
    host[sizeof host - 1] = '\0';
    header_word(name, sizeof name, host);
    header_word(procid, sizeof procid, process);
    header_word(msgid, sizeof msgid, event);
    header_word(app, sizeof app, program_invocation_short_name);
    int n = snprintf(out, SYSLOG_MESSAGE, "<%d>1 %s %s %s %s %s - event=\"%s\" %s",
                     LOG_DAEMON | (level & LOG_PRIMASK), time_text(ms, at), name, app, procid, msgid, event,
                     fields);
    return n < 0 ? 0 : n < SYSLOG_MESSAGE ? (size_t)n : SYSLOG_MESSAGE - 1;
}

void syslog_send(int level, int64_t ms, const char *process, const char *event, const char *fields)
{
    char message[SYSLOG_MESSAGE];
    if (out_fd < 0)
        return;
    size_t n = syslog_format(level, ms, process, event, fields, message);
    /* A server that is away says so by ICMP at the next send: nothing that could be done here. */
    if (send(out_fd, message, n, MSG_NOSIGNAL) < 0)
        return;
}
