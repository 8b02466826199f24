/*
 * What the tools and the admin service ask main about alarms and events (verbs of common/requests.h; ctx is
 * not used):
 *
 *   alarms     {"all": bool}                        -> {"items": [alarm...]}, all: also those that are over
 *   alarm_ack  {"number", "subject", "by"}          -> the alarm; error when it is not raised
 *   events     {"before", "after", "level", "text", "limit", "wait"} -> {"items": [event...]}
 *
 * All members are optional but those of alarm_ack. wait: seconds; where nothing is found, the answer comes
 * with the first event that is meant, or empty when the time is up.
 */
#ifndef COMMON_EVENTS_REQUEST_H
#define COMMON_EVENTS_REQUEST_H

#include "common/requests.h"

void alarms_request(void *ctx, struct request *r, const json_t *msg);
void alarm_ack_request(void *ctx, struct request *r, const json_t *msg);
void events_request(void *ctx, struct request *r, const json_t *msg);

#define EVENTS_VERBS                                                                                         \
    {"alarms", alarms_request, .alone = false}, {"alarm_ack", alarm_ack_request, .alone = false},            \
        {"events", events_request, .alone = false}

#endif
