#include "common/alarms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/schema.h"
#include "common/text.h"
#include "common/time_text.h"

static const char main_source[] = ""; /* beside the names of workers */

struct alarm {
    TAILQ_ENTRY(alarm) next;
    const struct alarm_row *row;
    char subject[ALARM_SUBJECT], detail[ALARM_DETAIL];
    int64_t first, since, last, cleared; /* wall clock, seconds; cleared 0: it is raised */
    int64_t count;                       /* how often it was raised */
    char by[ALARM_BY];                   /* who acknowledged it; "": nobody */
    int64_t acknowledged;
    json_t *sources; /* {name: true} of those who say so; empty after a load */
    bool unsaved, untold;
};

static struct {
    bool open;
    void (*changed)(void);
    TAILQ_HEAD(alarm_list, alarm) list; /* as they came */
    size_t n;
    bool rewrite; /* some are gone: the table is written anew */
    struct log_limit full;
    void (*forward)(void *ctx, json_t *msg);
    void *forward_ctx;
} alarms;

static bool alarm_active(const struct alarm *a)
{
    return a->cleared == 0;
}

/* Events ------------------------------------------------------------------------------------------------- */

static const char *quoted(const char *text, char *out, size_t size)
{
    return log_quote(text, strlen(text), out, size);
}

static void say_raised(const struct alarm_row *row, const char *subject, const char *detail)
{
    char s[2 * ALARM_SUBJECT], d[2 * ALARM_DETAIL];
    log_event(alarm_severity_level(row->severity), "Alarm Raised",
              "alarm=%u name=%s severity=%s subject=%s words=\"%s\" detail=%s", row->number, row->name,
              alarm_severity_name(row->severity), quoted(subject, s, sizeof s), row->words,
              quoted(detail, d, sizeof d));
}

static void say_cleared(const struct alarm_row *row, const char *subject, const char *why)
{
    char s[2 * ALARM_SUBJECT];
    log_event(LOG_NOTICE, "Alarm Cleared", "alarm=%u name=%s severity=%s subject=%s words=\"%s\"%s%s%s",
              row->number, row->name, alarm_severity_name(row->severity), quoted(subject, s, sizeof s),
              row->words, *why ? " reason=\"" : "", why, *why ? "\"" : "");
}

/* The set ------------------------------------------------------------------------------------------------ */

static void alarm_changed(struct alarm *a)
{
    a->unsaved = a->untold = true;
    if (alarms.changed)
        alarms.changed();
}

static struct alarm *alarm_find(unsigned number, const char *subject)
{
    struct alarm *a;
    char clean[ALARM_SUBJECT];
    text_copy(clean, sizeof clean, subject);
    TAILQ_FOREACH (a, &alarms.list, next)
        if (a->row->number == number && strcmp(a->subject, clean) == 0)
            return a;
    return NULL;
}

static void alarm_forget(struct alarm *a)
{
    TAILQ_REMOVE(&alarms.list, a, next);
    alarms.n--;
    json_decref(a->sources);
    free(a);
}

/* The one that was cleared first goes. */
static bool alarms_make_room(void)
{
    struct alarm *a, *oldest = NULL;
    unsigned dropped;
    if (alarms.n < ALARMS_MAX)
        return true;
    TAILQ_FOREACH (a, &alarms.list, next)
        if (!alarm_active(a) && (!oldest || a->cleared < oldest->cleared))
            oldest = a;
    if (oldest) {
        alarm_forget(oldest);
        alarms.rewrite = true;
        return true;
    }
    if (log_limit_allow(&alarms.full, (int64_t)clock_monotonic(), 1, 60, &dropped))
        log_event(LOG_ERR, "Alarm Not Kept", "reason=\"%d are raised already\" not_logged=%u", ALARMS_MAX,
                  dropped);
    return false;
}

static struct alarm *alarm_new(const struct alarm_row *row, const char *subject)
{
    struct alarm *a = alarms_make_room() ? calloc(1, sizeof *a) : NULL;
    json_t *sources = a ? json_object() : NULL;
    if (!sources) {
        free(a);
        return NULL;
    }
    a->row = row;
    a->sources = sources;
    a->first = a->cleared = (int64_t)time(NULL); /* not raised yet */
    text_copy(a->subject, sizeof a->subject, subject);
    TAILQ_INSERT_TAIL(&alarms.list, a, next);
    alarms.n++;
    return a;
}

static void alarm_end(struct alarm *a, const char *why)
{
    a->cleared = (int64_t)time(NULL);
    a->acknowledged = 0;
    a->by[0] = '\0';
    json_object_clear(a->sources);
    say_cleared(a->row, a->subject, why);
    alarm_changed(a);
}

static void raise_from(const char *source, const struct alarm_row *row, const char *subject,
                       const char *detail)
{
    char clean[ALARM_DETAIL];
    struct alarm *a = alarm_find(row->number, subject);
    if (!a)
        a = alarm_new(row, subject);
    if (!a)
        return;
    text_copy(clean, sizeof clean, detail);
    bool same = strcmp(a->detail, clean) == 0, fresh = !alarm_active(a);
    a->last = (int64_t)time(NULL);
    memcpy(a->detail, clean, sizeof clean);
    json_object_set_new(a->sources, source, json_true());
    if (fresh) {
        a->since = a->last;
        a->cleared = 0;
        a->count++;
        say_raised(row, a->subject, a->detail);
    }
    if (fresh || !same)
        alarm_changed(a);
}

/* What a restart left has no source: whoever may raise it knows. */
static void clear_from(const char *source, unsigned number, const char *subject)
{
    struct alarm *a = alarm_find(number, subject);
    if (!a || !alarm_active(a))
        return;
    json_object_del(a->sources, source);
    if (json_object_size(a->sources) == 0)
        alarm_end(a, "");
}

/* Raising and clearing ----------------------------------------------------------------------------------- */

static void alarms_forward(const struct alarm_row *row, const char *subject, const char *detail)
{
    char s[ALARM_SUBJECT], d[ALARM_DETAIL];
    text_copy(s, sizeof s, subject);
    text_copy(d, sizeof d, detail);
    alarms.forward(alarms.forward_ctx,
                   json_pack("{ss sI ss sb ss}", "type", "alarm", "number", (json_int_t)row->number,
                             "subject", s, "raised", detail != NULL, "detail", d));
}

void alarm_raise(unsigned number, const char *subject, const char *detail)
{
    const struct alarm_row *row = alarm_row(number);
    if (!row)
        return;
    detail = detail ? detail : "";
    if (alarms.open)
        raise_from(main_source, row, subject, detail);
    else if (alarms.forward)
        alarms_forward(row, subject, detail);
    else
        say_raised(row, subject, detail);
}

void alarm_clear(unsigned number, const char *subject)
{
    const struct alarm_row *row = alarm_row(number);
    if (!row)
        return;
    if (alarms.open)
        clear_from(main_source, number, subject);
    else if (alarms.forward)
        alarms_forward(row, subject, NULL);
    else
        say_cleared(row, subject, "");
}

/* A subject that was cut or cleaned is not a key of found. */
static bool found_has(const json_t *found, const char *subject)
{
    const char *key;
    json_t *detail;
    char clean[ALARM_SUBJECT];
    if (json_object_get(found, subject))
        return true;
    json_object_foreach ((json_t *)(uintptr_t)found, key, detail)
        if (strcmp(text_copy(clean, sizeof clean, key), subject) == 0)
            return true;
    return false;
}

void alarm_match(unsigned number, const json_t *found)
{
    const char *subject;
    json_t *detail;
    struct alarm *a;
    TAILQ_FOREACH (a, &alarms.list, next)
        if (alarms.open && a->row->number == number && alarm_active(a) && !found_has(found, a->subject))
            clear_from(main_source, number, a->subject);
    json_object_foreach ((json_t *)(uintptr_t)found, subject, detail)
        alarm_raise(number, subject, json_string_value(detail));
}

void alarms_set_forward(void (*send)(void *ctx, json_t *msg), void *ctx)
{
    alarms.forward = send;
    alarms.forward_ctx = ctx;
}

/* Workers ------------------------------------------------------------------------------------------------ */

static size_t alarms_held_by(const char *source)
{
    const struct alarm *a;
    size_t n = 0;
    TAILQ_FOREACH (a, &alarms.list, next)
        n += json_object_get(a->sources, source) != NULL;
    return n;
}

static bool may_begin(unsigned number, const char *subject, struct log_limit *limit)
{
    const struct alarm *a = alarm_find(number, subject);
    unsigned dropped;
    return (a && alarm_active(a)) ||
           log_limit_allow(limit, (int64_t)clock_monotonic(), ALARMS_BEGUN, ALARMS_BEGUN_SECONDS, &dropped);
}

void alarms_from_worker(const char *worker, const char *role, struct log_limit *limit, const json_t *msg)
{
    json_int_t number = json_integer_value(json_object_get(msg, "number"));
    const struct alarm_row *row = number > 0 && number < 10000 ? alarm_row((unsigned)number) : NULL;
    const char *subject = json_string_value(json_object_get(msg, "subject")),
               *detail = json_string_value(json_object_get(msg, "detail"));
    if (!alarms.open || !row || !row->worker || strcmp(row->worker, role) != 0 || !subject)
        return;
    if (!json_is_true(json_object_get(msg, "raised")))
        clear_from(worker, row->number, subject);
    else if (alarms_held_by(worker) < ALARMS_OF_WORKER && may_begin(row->number, subject, limit))
        raise_from(worker, row, subject, detail);
}

void alarms_worker_gone(const char *worker)
{
    struct alarm *a;
    if (!alarms.open)
        return;
    TAILQ_FOREACH (a, &alarms.list, next)
        if (json_object_get(a->sources, worker))
            clear_from(worker, a->row->number, a->subject);
}

void alarms_settle(void)
{
    struct alarm *a;
    TAILQ_FOREACH (a, &alarms.list, next)
        if (alarm_active(a) && json_object_size(a->sources) == 0)
            alarm_end(a, "not found again after the restart");
}

/* Asking ------------------------------------------------------------------------------------------------- */

static json_t *alarm_to_json(const struct alarm *a)
{
    const struct alarm_row *row = a->row;
    json_t *json = json_pack("{si ss ss ss ss ss ss ss ss so so so so sI}", "number", (int)row->number,
                             "name", row->name, "severity", alarm_severity_name(row->severity), "subject",
                             a->subject, "words", row->words, "cause", row->cause, "remedy", row->remedy,
                             "detail", a->detail, "state", alarm_active(a) ? "active" : "cleared", "first",
                             time_json(a->first), "since", time_json(a->since), "last", time_json(a->last),
                             "cleared", time_json(a->cleared), "count", (json_int_t)a->count);
    json_object_set_new(json, "acknowledged",
                        *a->by ? json_pack("{ss so}", "by", a->by, "time", time_json(a->acknowledged))
                               : json_null());
    return json;
}

/* Raised ones first, the worst of them, the newest of these. */
static int alarm_compare(const void *x, const void *y)
{
    const struct alarm *a = *(const struct alarm *const *)x, *b = *(const struct alarm *const *)y;
    if (alarm_active(a) != alarm_active(b))
        return alarm_active(a) ? -1 : 1;
    if (alarm_active(a) && a->row->severity != b->row->severity)
        return a->row->severity < b->row->severity ? -1 : 1;
    int64_t at_a = alarm_active(a) ? a->since : a->cleared, at_b = alarm_active(b) ? b->since : b->cleared;
    if (at_a != at_b)
        return at_a > at_b ? -1 : 1;
    if (a->row->number != b->row->number)
        return a->row->number < b->row->number ? -1 : 1;
    return strcmp(a->subject, b->subject);
}

json_t *alarms_json(bool all)
{
    const struct alarm **sorted = calloc(alarms.n + 1, sizeof(struct alarm *)), *a;
    json_t *items = json_array();
    size_t n = 0;
    if (!sorted || !items) {
        free(sorted);
        json_decref(items);
        return NULL;
    }
    TAILQ_FOREACH (a, &alarms.list, next)
        if (all || alarm_active(a))
            sorted[n++] = a;
    qsort(sorted, n, sizeof(struct alarm *), alarm_compare);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(items, alarm_to_json(sorted[i]));
    free(sorted);
    return json_pack("{so}", "items", items);
}

size_t alarms_active(unsigned number)
{
    const struct alarm *a;
    size_t n = 0;
    TAILQ_FOREACH (a, &alarms.list, next)
        n += a->row->number == number && alarm_active(a);
    return n;
}

json_t *alarm_json(unsigned number, const char *subject)
{
    const struct alarm *a = alarm_find(number, subject);
    return a ? alarm_to_json(a) : NULL;
}

bool alarm_acknowledge(unsigned number, const char *subject, const char *by)
{
    struct alarm *a = alarm_find(number, subject);
    char s[2 * ALARM_SUBJECT], who[2 * ALARM_BY];
    if (!a || !alarm_active(a))
        return false;
    if (*a->by)
        return true;
    text_copy(a->by, sizeof a->by, by && *by ? by : "?");
    a->acknowledged = (int64_t)time(NULL);
    log_event(LOG_NOTICE, "Alarm Acknowledged", "alarm=%u name=%s subject=%s by=%s", number, a->row->name,
              quoted(a->subject, s, sizeof s), quoted(a->by, who, sizeof who));
    alarm_changed(a);
    return true;
}

json_t *alarms_take_changed(void)
{
    struct alarm *a;
    json_t *items = json_array();
    TAILQ_FOREACH (a, &alarms.list, next) {
        if (a->untold)
            json_array_append_new(items, alarm_to_json(a));
        a->untold = false;
    }
    return items;
}

/* Keeping ------------------------------------------------------------------------------------------------ */

static const char *const steps[] = {"CREATE TABLE alarm ("
                                    "  number INTEGER NOT NULL,"
                                    "  subject TEXT NOT NULL,"
                                    "  detail TEXT NOT NULL,"
                                    "  first INTEGER NOT NULL,"
                                    "  since INTEGER NOT NULL,"
                                    "  last INTEGER NOT NULL,"
                                    "  cleared INTEGER NOT NULL,"
                                    "  count INTEGER NOT NULL,"
                                    "  by TEXT NOT NULL,"
                                    "  acknowledged INTEGER NOT NULL,"
                                    "  PRIMARY KEY (number, subject)"
                                    ") STRICT, WITHOUT ROWID;",
                                    NULL};
const struct store_part alarms_part = {"alarms", steps};

static enum err alarm_on_row(void *ctx, const struct store_row *r, char *why)
{
    int64_t number = store_row_integer(r, 0);
    const struct alarm_row *row = number > 0 && number < 10000 ? alarm_row((unsigned)number) : NULL;
    const char *subject = store_row_text(r, 1);
    (void)ctx, (void)why;
    if (!row) {
        alarms.rewrite = true; /* of another version of Stile */
        return ERR_OK;
    }
    if (alarm_find(row->number, subject))
        return ERR_OK; /* raised before the store could be opened */
    struct alarm *a = alarm_new(row, subject);
    if (!a)
        return ERR_OK;
    text_copy(a->detail, sizeof a->detail, store_row_text(r, 2));
    a->first = store_row_integer(r, 3);
    a->since = store_row_integer(r, 4);
    a->last = store_row_integer(r, 5);
    a->cleared = store_row_integer(r, 6);
    a->count = store_row_integer(r, 7);
    text_copy(a->by, sizeof a->by, store_row_text(r, 8));
    a->acknowledged = store_row_integer(r, 9);
    return ERR_OK;
}

enum err alarms_load(struct store *s, char *why)
{
    return store_run(s,
                     "SELECT number, subject, detail, first, since, last, cleared, count, by, acknowledged "
                     "FROM alarm ORDER BY first",
                     NULL, 0, alarm_on_row, NULL, why);
}

static enum err alarm_save(struct store *s, const struct alarm *a, char *why)
{
    const struct store_value values[] = {STORE_INTEGER((int64_t)a->row->number),
                                         STORE_TEXT(a->subject),
                                         STORE_TEXT(a->detail),
                                         STORE_INTEGER(a->first),
                                         STORE_INTEGER(a->since),
                                         STORE_INTEGER(a->last),
                                         STORE_INTEGER(a->cleared),
                                         STORE_INTEGER(a->count),
                                         STORE_TEXT(a->by),
                                         STORE_INTEGER(a->acknowledged)};
    return store_run(s, "INSERT OR REPLACE INTO alarm VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                     values, sizeof values / sizeof *values, NULL, NULL, why);
}

enum err alarms_save(struct store *s, char *why)
{
    struct alarm *a;
    bool all = alarms.rewrite;
    enum err e = all ? store_run(s, "DELETE FROM alarm", NULL, 0, NULL, NULL, why) : ERR_OK;
    TAILQ_FOREACH (a, &alarms.list, next) {
        if (e == ERR_OK && (all || a->unsaved))
            e = alarm_save(s, a, why);
        a->unsaved = false;
    }
    alarms.rewrite = false;
    return e;
}

void alarms_not_saved(void)
{
    alarms.rewrite = true;
}

void alarms_open(void (*changed)(void))
{
    TAILQ_INIT(&alarms.list);
    alarms.n = 0;
    alarms.changed = changed;
    alarms.open = true;
}

void alarms_close(void)
{
    while (alarms.open && !TAILQ_EMPTY(&alarms.list))
        alarm_forget(TAILQ_FIRST(&alarms.list));
    alarms.open = alarms.rewrite = false;
    alarms.changed = NULL;
}
