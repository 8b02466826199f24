/*
 * Events to the journal with fields, by its own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram
 * per event, never waiting. Every event has STILE_EVENT, STILE_PROCESS, and its fields as STILE_KEY:
 * journalctl STILE_EVENT="Alarm Raised" STILE_ALARM=201.
 */
#ifndef COMMON_JOURNAL_H
#define COMMON_JOURNAL_H

#include <stdbool.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* True when standard error is the journal's: JOURNAL_STREAM names its device and inode (systemd.exec(5)). */
bool journal_is_stderr(void);
/* From here on journal_send sends there. False: nobody listens. */
bool journal_open(const char *path);
void journal_close(void);
/* line is what people read. False: it was not sent (or there is no socket), and has to be said elsewhere. */
bool journal_send(int level, const char *process, const char *event, const char *fields, const char *line);

#endif
