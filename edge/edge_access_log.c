/* The web workers' access log: workers open no files, so main opens it, and hands each the descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alarms.h"
#include "common/log.h"
#include "edge/edge.h"

/* Appended to by all workers at once, a batch of whole lines per write. O_NONBLOCK: a pipe without a reader
 * is an error now, and a full one is none of the workers' trouble. */
static int access_log_open(const char *file)
{
    enum { HOW = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, MODE = 0640 };
    if (strcmp(file, "-") == 0)
        return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    int fd = open(file, HOW | O_CREAT | O_EXCL, MODE);
    if (fd < 0 && errno == EEXIST)
        return open(file, HOW);
    if (fd >= 0)
        (void)fchmod(fd, MODE); /* our umask is stricter; this one is for a group of readers */
    return fd;
}

/* fd -1: off. */
static void access_log_send(const struct edge *e, struct worker *w, int fd)
{
    const struct config_access_log *c = &e->box->config.web_proxy.access_log;
    (void)worker_send(w,
                      json_pack("{ss sb sb}", "type", "access_log", "json", strcmp(c->format, "json") == 0,
                                "query", c->query),
                      &fd, fd >= 0); /* one that is down is told when it starts */
}

/* False: it cannot be opened, which was logged; who has the old one keeps it. */
static bool access_log_get(const struct edge *e, int *fd)
{
    const char *file = e->box->config.web_proxy.access_log.file;
    *fd = -1;
    if (!*file) {
        alarm_clear(ALARM_ACCESS_LOG, "");
        return true;
    }
    *fd = access_log_open(file);
    if (*fd >= 0) {
        alarm_clear(ALARM_ACCESS_LOG, "");
        return true;
    }
    char detail[ALARM_DETAIL];
    snprintf(detail, sizeof detail, "%s: %s", file, strerror(errno));
    log_event(LOG_ERR, "Access Log Not Opened", "reason=\"%s\"", detail);
    alarm_raise(ALARM_ACCESS_LOG, "", detail);
    return false;
}

void edge_access_log_start(const struct edge *e, struct worker *w)
{
    int fd;
    if (!*e->box->config.web_proxy.access_log.file || !access_log_get(e, &fd))
        return;
    access_log_send(e, w, fd);
    close(fd);
}

void edge_access_log_reopen(const struct edge *e)
{
    int fd;
    if (!access_log_get(e, &fd))
        return;
    for (size_t i = 0; i < e->n_web; i++)
        if (e->web[i])
            access_log_send(e, e->web[i], fd);
    if (fd >= 0)
        close(fd);
}
