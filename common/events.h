/*
 * What happened on this box: events of NOTICE and above, its workers' too, and its alarms (common/alarms.h),
 * kept in the database events.db of the state folder, in main alone. It is a file of its own, as it is
 * written all the time: what is here never locks, fills or damages the database of users.
 *
 * Bounded: EVENTS_MAX events are kept; beyond, the process that has most of them loses its oldest, so that a
 * worker that says too much (or is somebody else's) pushes out its own. What a worker sends is under main's
 * name for it, and no more than EVENTS_OF_WORKER in EVENTS_WORKER_SECONDS. Between two writes, and while the
 * database does not work, up to EVENTS_PENDING wait in memory. Nothing here waits for a disk longer than
 * SQLite does for a lock, and nobody who logs waits at all.
 */
#ifndef COMMON_EVENTS_H
#define COMMON_EVENTS_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/err.h"
#include "common/log.h"

#define EVENTS_FILE "events.db" /* in the state folder */

enum {
    EVENTS_MAX = 10000,
    EVENTS_PENDING = 1000,
    EVENTS_NAME = 64,
    EVENTS_FIELDS = 1500,
    EVENTS_OF_WORKER = 100,
    EVENTS_WORKER_SECONDS = 10,
    EVENTS_ASKED_MAX = 1000, /* in one answer */
};

/* From here on what is logged is kept. box is this box's name. settle: seconds until alarms of before the
 * restart that nobody has found again are cleared. A database that cannot be opened is an alarm and tried
 * again, not an error. */
void events_open(struct ev_loop *loop, const char *path, const char *box, double settle);
/* Writes what is left. */
void events_close(void);

/* A worker's message "log". limit is main's for this worker. */
void events_from_worker(const char *worker, struct log_limit *limit, const json_t *msg);

struct events_question {
    int64_t before, after; /* ids, exclusive; 0: none */
    int level;             /* of this and above, LOG_NOTICE for all */
    const char *text;      /* in the name, the process or the fields, case ignored; "": all */
    int limit;             /* 1 to EVENTS_ASKED_MAX */
};
/* {"items": [...]} of {id, time, box, process, level, name, fields: {...}}: the newest first; with `after`
 * the oldest first, so that a follower misses none. NULL with why[SCHEMA_WHY]. */
json_t *events_ask(const struct events_question *q, char *why);

/* Who wants to hear of what is new: called from the loop, never from inside of log_event, with an item as
 * events_ask or alarms_json has it. */
struct events_listener {
    TAILQ_ENTRY(events_listener) next;
    void (*on_event)(void *ctx, const json_t *event);
    void (*on_alarm)(void *ctx, const json_t *alarm);
    void *ctx;
};
void events_listen(struct events_listener *l);
void events_unlisten(struct events_listener *l);

#endif
