#include "common/events.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alarms.h"
#include "common/clock.h"
#include "common/log_fields.h"
#include "common/schema.h"
#include "common/store.h"
#include "common/syslog_out.h"
#include "common/text.h"
#include "common/time_text.h"

enum { EVENTS_SLACK = 200, EVENTS_CUT = 100 }; /* how far above EVENTS_MAX; how many go at once */

/* SQLite waits for up to half a second for a lock: not to be had often. */
static const double write_after = 0.2, retry_after = 5;

struct event {
    STAILQ_ENTRY(event) next;
    int64_t id;   /* milliseconds since 1970, or one more than the last: counts up, also over restarts */
    int64_t time; /* the same without counting */
    int level;
    bool told; /* to listeners */
    char process[32], name[EVENTS_NAME];
    char fields[];
};

static struct {
    bool open, closing;
    struct ev_loop *loop;
    char path[PATH_MAX], box[64], process[32];
    struct store *store; /* NULL: it could not be opened yet, or does not work */
    int64_t stored;      /* rows */
    int64_t last_id;
    STAILQ_HEAD(event_list, event) pending; /* not written */
    size_t n_pending;
    uint64_t dropped;         /* of those that could not wait any longer */
    uint64_t dropped_workers; /* that workers or main did not let pass */
    ev_timer timer, settle;
    TAILQ_HEAD(listener_list, events_listener) listeners;
} events;

static const char *const steps[] = {"CREATE TABLE event ("
                                    "  id INTEGER PRIMARY KEY,"
                                    "  time INTEGER NOT NULL,"
                                    "  level INTEGER NOT NULL,"
                                    "  process TEXT NOT NULL,"
                                    "  name TEXT NOT NULL,"
                                    "  fields TEXT NOT NULL"
                                    ") STRICT;"
                                    "CREATE INDEX event_process ON event (process, id);",
                                    NULL};

/* New events --------------------------------------------------------------------------------------------- */

static void events_wake(void)
{
    if (events.open && !events.closing && !ev_is_active(&events.timer)) {
        ev_timer_set(&events.timer, write_after, 0);
        ev_timer_start(events.loop, &events.timer);
    }
}

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void events_drop_oldest(void)
{
    struct event *oldest = STAILQ_FIRST(&events.pending);
    STAILQ_REMOVE_HEAD(&events.pending, next);
    free(oldest);
    events.n_pending--;
    events.dropped++;
}

static void events_add(int level, const char *process, const char *name, const char *fields)
{
    size_t n = strnlen(fields, EVENTS_FIELDS - 1);
    struct event *e = calloc(1, sizeof *e + n + 1);
    if (!e) {
        events.dropped++;
        return;
    }
    e->time = wall_ms();
    e->id = e->time > events.last_id ? e->time : events.last_id + 1;
    events.last_id = e->id;
    e->level = level;
    text_copy(e->process, sizeof e->process, process);
    text_copy(e->name, sizeof e->name, name);
    text_copy(e->fields, n + 1, fields);
    syslog_send(level, e->time, e->process, e->name, e->fields);
    STAILQ_INSERT_TAIL(&events.pending, e, next);
    if (++events.n_pending > EVENTS_PENDING)
        events_drop_oldest();
    events_wake();
}

static void events_on_log(int level, const char *name, const char *fields)
{
    if (events.open)
        events_add(level, events.process, name, fields);
}

/* A worker may be somebody else's: it speaks for itself alone, and of no alarm, which are main's to tell. */
static bool worker_may_say(const char *name, json_int_t level)
{
    if (level < LOG_EMERG || level > LOG_NOTICE || !*name || strncmp(name, "Alarm ", 6) == 0)
        return false;
    for (const char *c = name; *c; c++)
        if (*c < ' ' || *c > '~')
            return false;
    return strlen(name) < EVENTS_NAME;
}

static void events_say_dropped(const char *worker, uint64_t n)
{
    char fields[96];
    events.dropped_workers += n;
    snprintf(fields, sizeof fields, "worker=%s dropped=%llu", worker, (unsigned long long)n);
    events_add(LOG_NOTICE, events.process, "Events Dropped", fields);
}

void events_from_worker(const char *worker, struct log_limit *limit, const json_t *msg)
{
    const char *name = json_string_value(json_object_get(msg, "name")),
               *fields = json_string_value(json_object_get(msg, "fields"));
    json_int_t level = json_integer_value(json_object_get(msg, "level")),
               its = json_integer_value(json_object_get(msg, "dropped"));
    unsigned ours = 0;
    if (!events.open || !name || !fields || !worker_may_say(name, level) ||
        !log_limit_allow(limit, (int64_t)clock_monotonic(), EVENTS_OF_WORKER, EVENTS_WORKER_SECONDS, &ours))
        return;
    if (its > 0 || ours > 0)
        events_say_dropped(worker, (uint64_t)(its > 0 && its < INT32_MAX ? its : 0) + ours);
    events_add((int)level, worker, name, fields);
}

/* Writing ------------------------------------------------------------------------------------------------ */

static enum err on_integer(void *ctx, const struct store_row *row, char *why)
{
    (void)why;
    *(int64_t *)ctx = store_row_integer(row, 0);
    return ERR_OK;
}

static enum err run(const char *sql, char *why)
{
    return store_run(events.store, sql, NULL, 0, NULL, NULL, why);
}

static enum err write_one(const struct event *e, char *why)
{
    const struct store_value values[] = {STORE_INTEGER(e->id),    STORE_INTEGER(e->time),
                                         STORE_INTEGER(e->level), STORE_TEXT(e->process),
                                         STORE_TEXT(e->name),     STORE_TEXT(e->fields)};
    return store_run(events.store, "INSERT OR REPLACE INTO event VALUES (?1, ?2, ?3, ?4, ?5, ?6)", values, 6,
                     NULL, NULL, why);
}

/* The oldest of who has most, whatever it is called: some go each time, or this would not end. */
static enum err cut(int64_t *stored, char *why)
{
    const struct store_value most = STORE_INTEGER(EVENTS_CUT);
    enum err e = store_run(events.store,
                           "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE process = "
                           "(SELECT process FROM event GROUP BY process ORDER BY count(*) DESC LIMIT 1) "
                           "ORDER BY id LIMIT ?1)",
                           &most, 1, NULL, NULL, why);
    if (e == ERR_OK)
        *stored -= store_changes(events.store);
    return e;
}

static enum err write_all(int64_t *stored, char *why)
{
    const struct event *one;
    enum err e = run("BEGIN IMMEDIATE", why);
    if (e != ERR_OK)
        return e;
    *stored = events.stored;
    STAILQ_FOREACH (one, &events.pending, next) {
        if (e == ERR_OK)
            e = write_one(one, why);
        ++*stored;
    }
    if (e == ERR_OK)
        e = alarms_save(events.store, why);
    while (e == ERR_OK && *stored > EVENTS_MAX + EVENTS_SLACK)
        e = cut(stored, why);
    if (e == ERR_OK)
        e = run("COMMIT", why);
    if (e != ERR_OK) {
        char unused[SCHEMA_WHY];
        (void)run("ROLLBACK", unused);
        alarms_not_saved();
    }
    return e;
}

static void events_forget_written(void)
{
    struct event *e;
    while ((e = STAILQ_FIRST(&events.pending)) != NULL && e->told) {
        STAILQ_REMOVE_HEAD(&events.pending, next);
        free(e);
        events.n_pending--;
    }
}

/* Opening ------------------------------------------------------------------------------------------------ */

/* Ids are milliseconds of the wall clock, or one more than the last: one beyond what a double holds was made
 * by somebody else, and nothing could come behind the highest. */
#define ID_BEYOND "9007199254740991"

/* Losing the last fifth of a second in a power cut is no harm here: the disk is not waited for. */
static enum err store_begin(char *why)
{
    const struct store_part parts[] = {{"events", steps}, alarms_part};
    int64_t last = 0;
    enum err e = store_open(events.path, parts, 2, &events.store, why);
    if (e == ERR_OK)
        e = run("PRAGMA synchronous = NORMAL", why);
    if (e == ERR_OK)
        e = run("DELETE FROM event WHERE id >= " ID_BEYOND, why);
    if (e == ERR_OK)
        e = store_run(events.store, "SELECT count(*) FROM event", NULL, 0, on_integer, &events.stored, why);
    if (e == ERR_OK)
        e = store_run(events.store, "SELECT max(id) FROM event", NULL, 0, on_integer, &last, why);
    if (e == ERR_OK)
        e = alarms_load(events.store, why);
    events.last_id = last > events.last_id ? last : events.last_id;
    return e;
}

static void store_end(void)
{
    store_close(events.store);
    events.store = NULL;
}

/* True when nothing waits any longer. */
static bool events_write(void)
{
    char why[SCHEMA_WHY];
    int64_t stored;
    enum err e = events.store ? ERR_OK : store_begin(why);
    if (e == ERR_OK)
        e = write_all(&stored, why);
    if (e != ERR_OK) {
        store_end(); /* opened anew the next time: the file may be another one then */
        alarm_raise(ALARM_STORE_TROUBLE, EVENTS_FILE, why);
        return false;
    }
    events.stored = stored;
    alarm_clear(ALARM_STORE_TROUBLE, EVENTS_FILE);
    if (events.dropped) {
        events_say_dropped(events.process, events.dropped);
        events.dropped = 0;
    }
    return true;
}

/* Asking ------------------------------------------------------------------------------------------------- */

static const char *level_name(int level)
{
    return level <= LOG_CRIT      ? "critical"
           : level == LOG_ERR     ? "error"
           : level == LOG_WARNING ? "warning"
                                  : "notice";
}

static json_t *event_json(int64_t id, int64_t ms, int level, const char *process, const char *name,
                          const char *fields)
{
    char at[TIME_TEXT];
    return json_pack("{sI ss ss ss ss ss so}", "id", (json_int_t)id, "time", time_text(ms, at), "box",
                     events.box, "process", process, "level", level_name(level), "name", name, "fields",
                     log_fields_json(fields));
}

static json_t *event_to_json(const struct event *e)
{
    return event_json(e->id, e->time, e->level, e->process, e->name, e->fields);
}

static enum err ask_on_row(void *ctx, const struct store_row *r, char *why)
{
    json_t *event = event_json(store_row_integer(r, 0), store_row_integer(r, 1), (int)store_row_integer(r, 2),
                               store_row_text(r, 3), store_row_text(r, 4), store_row_text(r, 5));
    snprintf(why, SCHEMA_WHY, "out of memory");
    return event && json_array_append_new(ctx, event) == 0 ? ERR_OK : ERR_MEMORY;
}

static bool event_meant(const struct event *e, const struct events_question *q)
{
    return e->id > q->after && (!q->before || e->id < q->before) && e->level <= q->level &&
           (!*q->text || strcasestr(e->name, q->text) || strcasestr(e->fields, q->text) ||
            strcasestr(e->process, q->text));
}

/* While the database does not work. */
static void ask_memory(const struct events_question *q, json_t *items)
{
    const struct event *e;
    STAILQ_FOREACH (e, &events.pending, next) {
        if (!event_meant(e, q))
            continue;
        if (!q->after)
            json_array_insert_new(items, 0, event_to_json(e));
        else if (json_array_size(items) < (size_t)q->limit)
            json_array_append_new(items, event_to_json(e));
        if (json_array_size(items) > (size_t)q->limit)
            json_array_remove(items, json_array_size(items) - 1);
    }
}

#define ASK_FROM                                                                                             \
    "SELECT id, time, level, process, name, fields FROM event WHERE id > ?1 AND (?2 = 0 OR id < ?2) AND "    \
    "level <= ?3 AND (?4 = '' OR instr(lower(name || ' ' || process || ' ' || fields), lower(?4)) > 0) "

static enum err ask_store(const struct events_question *q, json_t *items, char *why)
{
    const struct store_value values[] = {STORE_INTEGER(q->after), STORE_INTEGER(q->before),
                                         STORE_INTEGER(q->level), STORE_TEXT(q->text),
                                         STORE_INTEGER(q->limit)};
    return store_run(events.store,
                     q->after ? ASK_FROM "ORDER BY id LIMIT ?5" : ASK_FROM "ORDER BY id DESC LIMIT ?5",
                     values, 5, ask_on_row, items, why);
}

static void events_tell(void);

json_t *events_ask(const struct events_question *q, char *why)
{
    json_t *items = json_array();
    enum err e = ERR_OK;
    events_tell();
    if (!STAILQ_EMPTY(&events.pending) && events.store && events_write())
        events_forget_written();
    if (events.store)
        e = ask_store(q, items, why);
    else
        ask_memory(q, items);
    if (e == ERR_OK)
        return json_pack("{so}", "items", items);
    json_decref(items);
    return NULL;
}

/* Telling ------------------------------------------------------------------------------------------------ */

static void tell_events(void)
{
    struct event *e;
    struct events_listener *l, *after;
    STAILQ_FOREACH (e, &events.pending, next) {
        json_t *json = e->told || TAILQ_EMPTY(&events.listeners) ? NULL : event_to_json(e);
        e->told = true;
        for (l = json ? TAILQ_FIRST(&events.listeners) : NULL; l; l = after) {
            after = TAILQ_NEXT(l, next);
            if (l->on_event)
                l->on_event(l->ctx, json);
        }
        json_decref(json);
    }
}

static void tell_alarms(void)
{
    json_t *changed = alarms_take_changed(), *alarm;
    struct events_listener *l, *after;
    size_t i;
    json_array_foreach (changed, i, alarm)
        for (l = TAILQ_FIRST(&events.listeners); l; l = after) {
            after = TAILQ_NEXT(l, next);
            if (l->on_alarm)
                l->on_alarm(l->ctx, alarm);
        }
    json_decref(changed);
}

static void events_tell(void)
{
    tell_events();
    tell_alarms();
}

void events_listen(struct events_listener *l)
{
    TAILQ_INSERT_TAIL(&events.listeners, l, next);
}

void events_unlisten(struct events_listener *l)
{
    TAILQ_REMOVE(&events.listeners, l, next);
}

/* Life --------------------------------------------------------------------------------------------------- */

static void on_timer(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)revents;
    events_tell();
    if (events_write()) {
        events_forget_written();
        if (STAILQ_EMPTY(&events.pending))
            return;
    }
    ev_timer_stop(loop, t);
    ev_timer_set(t, events.store ? write_after : retry_after, 0);
    ev_timer_start(loop, t);
}

static void on_settle(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)t, (void)revents;
    alarms_settle();
}

void events_open(struct ev_loop *loop, const char *path, const char *box, double settle)
{
    STAILQ_INIT(&events.pending);
    TAILQ_INIT(&events.listeners);
    events.loop = loop;
    events.closing = false;
    events.n_pending = 0;
    events.last_id = events.stored = 0;
    events.dropped = events.dropped_workers = 0;
    snprintf(events.path, sizeof events.path, "%s", path);
    text_copy(events.box, sizeof events.box, box);
    text_copy(events.process, sizeof events.process, log_process());
    ev_timer_init(&events.timer, on_timer, write_after, 0);
    ev_timer_init(&events.settle, on_settle, settle, 0);
    ev_timer_start(loop, &events.settle);
    events.open = true;
    alarms_open(events_wake);
    log_set_sink(events_on_log);
    (void)events_write(); /* what was raised before the restart is known from here on */
}

void events_close(void)
{
    if (!events.open)
        return;
    log_set_sink(NULL);
    events.closing = true;
    ev_timer_stop(events.loop, &events.timer);
    ev_timer_stop(events.loop, &events.settle);
    events_tell();
    (void)events_write();
    store_end();
    while (!STAILQ_EMPTY(&events.pending))
        events_drop_oldest();
    alarms_close();
    events.open = false;
}
