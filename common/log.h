/*
 * Log lines are events with fields: what, who, why. They go to stderr as text; where stderr is the journal,
 * they go there with their fields (common/journal.h). Nothing here is called from a packet path.
 *
 *   log_event(LOG_WARNING, "Tunnel Down", "target=%s reason=\"%s\"", target, reason);
 *   2026-11-22T12:31:43.123Z warning tunnel[812] event="Tunnel Down" target=edge1 reason="connection refused"
 *
 * Values that a stranger chose go through log_quote, so that a line stays one line. No secret is ever passed.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

/* Sets who is speaking ("edge", "web0", "tunnel:edge1:0"). Copied. */
void log_set_process(const char *name);
const char *log_process(void);
/* Finds the journal, if it is there, before the process gives up what it takes to reach it. Else the first
 * event does. */
void log_open(void);
/* Messages above this level (LOG_ERR … LOG_DEBUG) are dropped. */
void log_set_level(int level);
/* "error", "warning", "notice", "info", "debug" to a level; -1 when it is none of them. */
int log_parse_level(const char *name);
bool log_enabled(int level);

void log_event(int level, const char *event, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Who else wants the events of NOTICE and above, whatever the level is; NULL: nobody. fields is good until it
 * returns; events of its own are not given to it. */
typedef void log_sink(int level, const char *event, const char *fields);
void log_set_sink(log_sink *sink);

/* Writes n bytes as a printable, quoted value into out[size] (truncated with …); returns out. */
const char *log_quote(const void *value, size_t n, char *out, size_t size);

/* At most `burst` events per `seconds` for one cause; the owner embeds one per cause. */
struct log_limit {
    int64_t window; /* start of the running window, seconds */
    unsigned seen, dropped;
};
/* True when the event may be written. now is in seconds, monotonic. When a new window opens after drops,
 * *dropped tells how many were kept back. */
bool log_limit_allow(struct log_limit *l, int64_t now, unsigned burst, unsigned seconds, unsigned *dropped);

#endif
