/*
 * Quotas and ports that are used up: told once when it begins and once when it is over, however many requests
 * are refused in between, and raised as alarms of the box. It is over when nothing was refused for
 * TURN_ALARM_QUIET seconds.
 */
#ifndef EDGE_TURN_TURN_ALARM_H
#define EDGE_TURN_TURN_ALARM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/alarm_table.h"
#include "common/netaddr.h"

struct turn_server;

enum { TURN_ALARM_QUIET = 30 };

/*    name     of                 what the refused client and log are told         the number of its alarm */
#define TURN_ALARM_TABLE(X)                                                                                  \
    X(total, "turn.total_quota", "total quota reached", ALARM_RELAY_TOTAL)                                   \
    X(user, "turn.user_quota", "quota of the user reached", ALARM_RELAY_USER)                                \
    X(address, "turn.address_quota", "quota of the client address reached", ALARM_RELAY_ADDRESS)             \
    X(counters, "users and addresses", "too many different users or addresses to count",                     \
      ALARM_RELAY_COUNTERS)                                                                                  \
    X(ports, "turn.relay_ports", "no relay port is free", ALARM_RELAY_PORTS)                                 \
    X(reservations, "reserved ports", "too many ports are reserved", ALARM_RELAY_RESERVATIONS)               \
    X(descriptors, "descriptors", "no descriptor is left", ALARM_RELAY_DESCRIPTORS)

enum turn_alarm {
#define X(name, of, words, number) TURN_ALARM_##name,
    TURN_ALARM_TABLE(X)
#undef X
        TURN_ALARMS
};

struct turn_alarm_state {
    bool raised;
    uint32_t last;              /* refusal, seconds */
    uint64_t refused, reported; /* refusals in all; those before it was raised */
};

const char *turn_alarm_words(enum turn_alarm a);
/* Somebody was refused for this. user may be NULL. */
void turn_alarm_raise(struct turn_server *s, enum turn_alarm a, const char *user,
                      const struct netaddr *client);
/* Once a second. */
void turn_alarms_tick(struct turn_server *s);

#endif
