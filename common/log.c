#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/journal.h"
#include "common/text.h"

static const char *const level_names[] = {"emergency", "alert",  "critical", "error",
                                          "warning",   "notice", "info",     "debug"};
static char process[64] = "stile";
static int threshold = LOG_INFO;
static int journal = -1; /* 1: standard error is the journal's; -1: not looked yet */
static log_sink *sink;

enum {
    LOG_FIELDS = 1900,
    LOG_QUOTE_ROOM = 4 + 5, /* for one more byte, as \xff, and then what an end takes: ..." and a NUL */
};

void log_set_process(const char *name)
{
    snprintf(process, sizeof process, "%s", name);
}

const char *log_process(void)
{
    return process;
}

void log_set_sink(log_sink *to)
{
    sink = to;
}

void log_set_level(int level)
{
    threshold = level;
}

int log_parse_level(const char *name)
{
    for (int i = LOG_ERR; i <= LOG_DEBUG; i++)
        if (strcmp(name, level_names[i]) == 0)
            return i;
    return -1;
}

bool log_enabled(int level)
{
    return level <= threshold;
}

static size_t log_prefix(int level, char *out, size_t size)
{
    if (journal)
        return (size_t)snprintf(out, size, "<%d>", level);
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
    return n + (size_t)snprintf(out + n, size - n, ".%03ldZ %s ", now.tv_nsec / 1000000, level_names[level]);
}

void log_open(void)
{
    if (journal >= 0)
        return;
    journal = journal_is_stderr();
    if (journal)
        (void)journal_open(JOURNAL_SOCKET);
}

/* As text, with its level in front where the journal reads it. */
static void log_line(int level, const char *event, const char *fields)
{
    char line[2048];
    log_open();
    size_t n = log_prefix(level, line, sizeof line), prefix = n;
    n += (size_t)snprintf(line + n, sizeof line - n, "%s[%d] event=\"%s\" %s", process, (int)getpid(), event,
                          fields);
    if (n > sizeof line - 2)
        n = sizeof line - 2;
    text_disarm(line, n); /* one event, one line, whoever chose its words */
    line[n] = '\0';
    if (journal && journal_send(level, process, event, fields, line + prefix))
        return;
    line[n++] = '\n';
    /* One write, so that lines of several processes do not mix. Nobody to tell if stderr is gone. */
    if (write(STDERR_FILENO, line, n) < 0)
        return;
}

void log_event(int level, const char *event, const char *format, ...)
{
    static bool in_sink;
    char fields[LOG_FIELDS];
    bool wanted = sink && !in_sink && level <= LOG_NOTICE;
    if (!log_enabled(level) && !wanted)
        return;
    va_list ap;
    va_start(ap, format);
    if (vsnprintf(fields, sizeof fields, format, ap) < 0)
        fields[0] = '\0';
    va_end(ap);
    if (log_enabled(level))
        log_line(level, event, fields);
    if (!wanted)
        return;
    in_sink = true;
    sink(level, event, fields);
    in_sink = false;
}

const char *log_quote(const void *value, size_t n, char *out, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *v = value;
    size_t used = 0;
    if (size < 8) {
        if (size)
            out[0] = '\0';
        return out;
    }
    out[used++] = '"';
    for (size_t i = 0; i < n; i++) {
        if (used + LOG_QUOTE_ROOM > size) {
            memcpy(out + used, "...", 3);
            used += 3;
            break;
        }
        if (v[i] == '"' || v[i] == '\\') {
            out[used++] = '\\';
            out[used++] = (char)v[i];
        } else if (v[i] >= 0x20 && v[i] < 0x7f) {
            out[used++] = (char)v[i];
        } else {
            out[used++] = '\\';
            out[used++] = 'x';
            out[used++] = hex[v[i] >> 4];
            out[used++] = hex[v[i] & 15];
        }
    }
    out[used++] = '"';
    out[used] = '\0';
    return out;
}

bool log_limit_allow(struct log_limit *l, int64_t now, unsigned burst, unsigned seconds, unsigned *dropped)
{
    *dropped = 0;
    if (now - l->window >= (int64_t)seconds) {
        *dropped = l->dropped;
        *l = (struct log_limit){.window = now};
    }
    if (l->seen < burst) {
        l->seen++;
        return true;
    }
    l->dropped++;
    return false;
}
