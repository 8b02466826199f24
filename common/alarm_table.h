/*
 * Every alarm there is, one row each: what docs/alarms.md, `alarm list`, the API and the metrics say of it.
 * The words here are constant; what differs from time to time is the subject (which edge, which target) and
 * the detail that alarm_raise is given. A new row needs a section in docs/alarms.md and a condition in
 * tests/lab/test_alarms.sh (tests/lint/alarms.sh).
 */
#ifndef COMMON_ALARM_TABLE_H
#define COMMON_ALARM_TABLE_H

#include <stdbool.h>
#include <stddef.h>

enum alarm_severity { ALARM_CRITICAL, ALARM_ERROR, ALARM_WARNING };
enum alarm_box { ALARM_ON_CORE = 1, ALARM_ON_EDGE = 2, ALARM_ON_BOTH = 3 };

/* X(name, number) */
#define ALARM_NUMBERS(X)                                                                                     \
    X(TUNNEL_DOWN, 101)                                                                                      \
    X(EDGE_UNREACHABLE, 102)                                                                                 \
    X(CORE_MISSING, 103)                                                                                     \
    X(NO_TUNNEL, 104)                                                                                        \
    X(SSH_SERVER_DOWN, 105)                                                                                  \
    X(CLOCK_SKEW, 106)                                                                                       \
    X(POLICY_REFUSED, 107)                                                                                   \
    X(TARGET_FAILED, 201)                                                                                    \
    X(NO_ACTIVE_TARGET, 202)                                                                                 \
    X(TARGET_UNRESOLVED, 203)                                                                                \
    X(CERTIFICATE_EXPIRED, 301)                                                                              \
    X(CERTIFICATE_NOT_YET_VALID, 302)                                                                        \
    X(CERTIFICATE_ENDS_IN_DAYS, 303)                                                                         \
    X(CERTIFICATE_EXPIRING, 304)                                                                             \
    X(CERTIFICATE_MISMATCHED, 305)                                                                           \
    X(CERTIFICATE_CHAIN, 306)                                                                                \
    X(CERTIFICATE_OCSP, 307)                                                                                 \
    X(CERTIFICATE_REVOKED, 308)                                                                              \
    X(CERTIFICATE_SELF_SIGNED, 309)                                                                          \
    X(CERTIFICATE_REFUSED, 310)                                                                              \
    X(RELAY_PORTS, 401)                                                                                      \
    X(RELAY_TOTAL, 402)                                                                                      \
    X(RELAY_USER, 403)                                                                                       \
    X(RELAY_ADDRESS, 404)                                                                                    \
    X(RELAY_COUNTERS, 405)                                                                                   \
    X(RELAY_RESERVATIONS, 406)                                                                               \
    X(RELAY_DESCRIPTORS, 407)                                                                                \
    X(RELAY_ADDRESS_MISSING, 408)                                                                            \
    X(FLOOD, 409)                                                                                            \
    X(WORKER_CRASHING, 501)                                                                                  \
    X(CONFIG_REFUSED, 502)                                                                                   \
    X(STORE_TROUBLE, 503)                                                                                    \
    X(ACCESS_LOG, 504)                                                                                       \
    X(BANS_FULL, 601)                                                                                        \
    X(ADMIN_ATTACK, 701)

enum alarm_number {
#define X(name, number) ALARM_##name = number,
    ALARM_NUMBERS(X)
#undef X
};

struct alarm_row {
    unsigned number;
    const char *name; /* "tunnel_down": for programs */
    enum alarm_severity severity;
    enum alarm_box box;
    const char *worker; /* the role of the workers that may raise it; NULL: main alone */
    const char *words, *cause, *remedy;
};

/* By number; NULL when there is no such alarm. */
const struct alarm_row *alarm_row(unsigned number);
/* All of them in the order of their numbers. */
const struct alarm_row *alarm_rows(size_t *n);
const char *alarm_severity_name(enum alarm_severity severity); /* "critical", "error", "warning" */
int alarm_severity_level(enum alarm_severity severity);        /* LOG_CRIT … LOG_WARNING */
const char *alarm_box_name(enum alarm_box box);                /* "core", "edge", "both" */

#endif
