/*
 * The alarms of this box: raised and cleared by the code that knows, by the numbers of common/alarm_table.h.
 * An alarm is one number and one subject (which edge, which target); raising it again changes nothing but its
 * detail, clearing what is not raised changes nothing. Each change is an event ("Alarm Raised", "Alarm
 * Cleared", "Alarm Acknowledged").
 *
 * There is one set of alarms per box, in its main process, kept in the store beside the events
 * (common/events.h). In a worker the same calls reach main over the worker's socket; main judges whether a
 * worker of that role may raise this number, and holds a worker's alarms no longer than it lives. Elsewhere
 * (a stand-alone TURN server, a test) they are events and nothing else.
 *
 * After a restart what was raised stays so until the code that knows says otherwise; what nobody has said
 * anything of when the box has settled is cleared.
 */
#ifndef COMMON_ALARMS_H
#define COMMON_ALARMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/alarm_table.h"
#include "common/log.h"
#include "common/store.h"

enum {
    ALARM_SUBJECT = 128,
    ALARM_DETAIL = 512,
    ALARM_BY = 64,
    ALARMS_MAX = 1000,     /* with those that are cleared; the oldest of these make room */
    ALARMS_OF_WORKER = 64, /* that one worker may hold, */
    ALARMS_BEGUN = 20,     /* and begin in */
    ALARMS_BEGUN_SECONDS = 60,
};

/* subject and detail are copied, and cleaned of control characters; detail may be NULL. */
void alarm_raise(unsigned number, const char *subject, const char *detail);
void alarm_clear(unsigned number, const char *subject);
/* Main alone: exactly the subjects of found, {subject: detail}, are raised under this number. */
void alarm_match(unsigned number, const json_t *found);

/* In a worker: where the messages go (stolen). */
void alarms_set_forward(void (*send)(void *ctx, json_t *msg), void *ctx);

/* In main: from here on alarms are kept. changed() is called after each change, from inside of it. */
void alarms_open(void (*changed)(void));
void alarms_close(void);
/* A worker's message "alarm". Each that begins is an event in main's name: limit (the worker's own) keeps
 * them few, so that they push out no other. One that is over always counts. */
void alarms_from_worker(const char *worker, const char *role, struct log_limit *limit, const json_t *msg);
/* It has ended: what it alone had raised is over. */
void alarms_worker_gone(const char *worker);
/* What was loaded and not raised again since is over. */
void alarms_settle(void);

/* {"items": [...]}: the worst and newest first; all: with those that are cleared. NULL when memory is out. */
json_t *alarms_json(bool all);
/* How many of this number are raised. */
size_t alarms_active(unsigned number);
/* As one item. NULL when there is no such alarm, raised or not. */
json_t *alarm_json(unsigned number, const char *subject);
/* True when it is raised and now acknowledged. */
bool alarm_acknowledge(unsigned number, const char *subject, const char *by);
/* Those that have changed since the last call, as items; for listeners. */
json_t *alarms_take_changed(void);

/* The store's part; load adds what is not known yet, save writes what has changed. why[SCHEMA_WHY]. */
extern const struct store_part alarms_part;
enum err alarms_load(struct store *s, char *why);
enum err alarms_save(struct store *s, char *why);
/* The transaction of the last save did not succeed: all of it is to be written again. */
void alarms_not_saved(void);

#endif
