/*
 * Events to a syslog server besides (main alone, for its workers too): RFC 5424 in datagrams, over UDP (RFC
 * 5426) or a local socket. Nothing waits for it, and what does not fit is lost, as with every syslog.
 */
#ifndef COMMON_SYSLOG_OUT_H
#define COMMON_SYSLOG_OUT_H

#include <stddef.h>
#include <stdint.h>

enum { SYSLOG_PORT = 514, SYSLOG_MESSAGE = 2048 /* RFC 5424 §6.1: every server takes so much */ };

/* The config's value, "": nobody; a full path; or an IP address, with or without port. NULL when it is one of
 * these, else what would be right. */
const char *syslog_check(const char *target);
/* From here on syslog_send sends there. "" ends it. A target that cannot be reached is none. */
void syslog_open(const char *target);
/* fields as log_event made them. ms: since 1970. */
void syslog_send(int level, int64_t ms, const char *process, const char *event, const char *fields);
/* The message itself, for tests. Returns its length. */
size_t syslog_format(int level, int64_t ms, const char *process, const char *event, const char *fields,
                     char out[SYSLOG_MESSAGE]);

#endif
