#include "edge/turn/turn_alarm.h"

#include <stdio.h>
#include <string.h>

#include "common/alarms.h"
#include "edge/turn/turn_server.h"

static const struct {
    const char *of, *words;
    unsigned number;
} alarms[] = {
#define X(name, of, words, number) {of, words, number},
    TURN_ALARM_TABLE(X)
#undef X
};

const char *turn_alarm_words(enum turn_alarm a)
{
    return alarms[a].words;
}

void turn_alarm_raise(struct turn_server *s, enum turn_alarm a, const char *user,
                      const struct netaddr *client)
{
    struct turn_alarm_state *state = &s->alarms[a];
    char address[NETADDR_TEXT], quoted[200], detail[300];
    state->refused++;
    state->last = s->now;
    if (state->raised)
        return;
    state->raised = true;
    state->reported = state->refused - 1;
    log_event(LOG_WARNING, "Relay Limit Reached",
              "limit=\"%s\" reason=\"%s\" remedy=\"%s\" user=%s client=%s", alarms[a].of, alarms[a].words,
              alarm_row(alarms[a].number)->remedy,
              log_quote(user ? user : "", user ? strlen(user) : 0, quoted, sizeof quoted),
              netaddr_print(client, address));
    snprintf(detail, sizeof detail, "the first one refused: user %s, client %s", quoted, address);
    alarm_raise(alarms[a].number, alarms[a].of, detail);
}

void turn_alarms_tick(struct turn_server *s)
{
    for (int a = 0; a < TURN_ALARMS; a++) {
        struct turn_alarm_state *state = &s->alarms[a];
        if (!state->raised || s->now - state->last < TURN_ALARM_QUIET)
            continue;
        state->raised = false;
        alarm_clear(alarms[a].number, alarms[a].of);
        log_event(LOG_NOTICE, "Relay Limit Over", "limit=\"%s\" refused=%llu", alarms[a].of,
                  (unsigned long long)(state->refused - state->reported));
    }
}
