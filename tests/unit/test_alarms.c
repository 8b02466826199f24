/* Alarms and events: the table, raising and clearing, bounds, what workers may say, restarts, a store that
 * does not work. */
#include <check.h>
#include <ev.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alarms.h"
#include "common/events.h"
#include "common/log_fields.h"
#include "common/schema.h"
#include "common/store.h"

static char folder[64], path[128];
static struct ev_loop *loop;

static void box_up(void)
{
    events_open(loop, path, "box1", 1000);
}

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/stile-alarms-XXXXXX");
    ck_assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/" EVENTS_FILE, folder);
    loop = ev_default_loop(0);
    log_set_process("core");
    log_set_level(LOG_EMERG); /* what is kept does not depend on it */
    box_up();
}

static void teardown(void)
{
    char command[128];
    events_close();
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static void restart(void)
{
    events_close();
    box_up();
}

static size_t raised(void)
{
    json_t *list = alarms_json(false);
    size_t n = json_array_size(json_object_get(list, "items"));
    json_decref(list);
    return n;
}

/* One member of an alarm as text; good until the next call. */
static const char *alarm_text(unsigned number, const char *subject, const char *key)
{
    static char text[ALARM_DETAIL];
    json_t *alarm = alarm_json(number, subject), *value = json_object_get(alarm, key);
    if (json_is_integer(value))
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
    else
        snprintf(text, sizeof text, "%s", json_is_string(value) ? json_string_value(value) : "");
    json_decref(alarm);
    return text;
}

static json_t *ask(struct events_question q)
{
    char why[SCHEMA_WHY];
    if (!q.text)
        q.text = "";
    if (!q.limit)
        q.limit = EVENTS_ASKED_MAX;
    if (!q.level)
        q.level = LOG_NOTICE;
    json_t *answer = events_ask(&q, why);
    ck_assert_msg(answer != NULL, "%s", why);
    json_t *items = json_incref(json_object_get(answer, "items"));
    json_decref(answer);
    return items;
}

static size_t count(struct events_question q)
{
    json_t *items = ask(q);
    size_t n = json_array_size(items);
    json_decref(items);
    return n;
}

/* The table ---------------------------------------------------------------------------------------------- */

START_TEST(every_row_is_whole)
{
    size_t n;
    const struct alarm_row *rows = alarm_rows(&n);
    size_t numbers = 0;
#define X(name, number) numbers++;
    ALARM_NUMBERS(X)
#undef X
    ck_assert_uint_eq(n, numbers);
    for (size_t i = 0; i < n; i++) {
        ck_assert(i == 0 || rows[i].number > rows[i - 1].number);
        ck_assert_ptr_eq(alarm_row(rows[i].number), &rows[i]);
        ck_assert_msg(strlen(rows[i].words) > 10 && strlen(rows[i].cause) > 10 && strlen(rows[i].remedy) > 10,
                      "%u has no words, cause or remedy", rows[i].number);
        ck_assert_msg(!strchr(rows[i].words, '"'), "%u: the words stand between quotes in events",
                      rows[i].number);
        for (size_t k = 0; k < i; k++)
            ck_assert_str_ne(rows[i].name, rows[k].name);
    }
    ck_assert(alarm_row(1) == NULL);
}
END_TEST

/* Raising and clearing ----------------------------------------------------------------------------------- */

START_TEST(raised_once)
{
    alarm_raise(ALARM_TARGET_FAILED, "a", "refused");
    alarm_raise(ALARM_TARGET_FAILED, "a", "timed out");
    alarm_raise(ALARM_TARGET_FAILED, "b", NULL);
    ck_assert_uint_eq(raised(), 2);
    ck_assert_uint_eq(alarms_active(ALARM_TARGET_FAILED), 2);
    ck_assert_str_eq(alarm_text(ALARM_TARGET_FAILED, "a", "detail"), "timed out");
    ck_assert_str_eq(alarm_text(ALARM_TARGET_FAILED, "a", "count"), "1");
    ck_assert_uint_eq(count((struct events_question){.text = "alarm raised"}), 2);
    alarm_clear(ALARM_TARGET_FAILED, "a");
    alarm_clear(ALARM_TARGET_FAILED, "a");
    alarm_clear(ALARM_TARGET_FAILED, "nobody");
    ck_assert_uint_eq(raised(), 1);
    ck_assert_uint_eq(count((struct events_question){.text = "Alarm Cleared"}), 1);
    ck_assert_str_eq(alarm_text(ALARM_TARGET_FAILED, "a", "state"), "cleared");
    alarm_raise(ALARM_TARGET_FAILED, "a", "again");
    ck_assert_str_eq(alarm_text(ALARM_TARGET_FAILED, "a", "count"), "2");
    alarm_raise(4242, "no such number", NULL);
    ck_assert_uint_eq(raised(), 2);
}
END_TEST

START_TEST(worst_first)
{
    alarm_raise(ALARM_CLOCK_SKEW, "edge1", "");
    alarm_raise(ALARM_NO_ACTIVE_TARGET, "host", "");
    alarm_raise(ALARM_TARGET_FAILED, "a", "");
    json_t *list = alarms_json(false), *items = json_object_get(list, "items");
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(items, 0), "number")), 202);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(items, 2), "number")), 106);
    json_decref(list);
}
END_TEST

START_TEST(matched)
{
    json_t *found = json_pack("{ss ss}", "a", "x", "b", "y");
    alarm_match(ALARM_TARGET_FAILED, found);
    ck_assert_uint_eq(raised(), 2);
    json_object_del(found, "a");
    json_object_set_new(found, "c", json_string("z"));
    alarm_match(ALARM_TARGET_FAILED, found);
    ck_assert_str_eq(alarm_text(ALARM_TARGET_FAILED, "a", "state"), "cleared");
    ck_assert_str_eq(alarm_text(ALARM_TARGET_FAILED, "b", "count"), "1");
    ck_assert_str_eq(alarm_text(ALARM_TARGET_FAILED, "c", "state"), "active");
    json_object_clear(found);
    alarm_match(ALARM_TARGET_FAILED, found);
    ck_assert_uint_eq(raised(), 0);
    json_decref(found);
}
END_TEST

START_TEST(long_subjects_are_one)
{
    char subject[3 * ALARM_SUBJECT];
    memset(subject, 'x', sizeof subject - 1);
    subject[sizeof subject - 1] = '\0';
    json_t *found = json_pack("{ss}", subject, "");
    alarm_match(ALARM_TARGET_FAILED, found);
    alarm_match(ALARM_TARGET_FAILED, found);
    ck_assert_uint_eq(raised(), 1);
    ck_assert_str_eq(alarm_text(ALARM_TARGET_FAILED, subject, "count"), "1");
    alarm_clear(ALARM_TARGET_FAILED, subject);
    ck_assert_uint_eq(raised(), 0);
    json_decref(found);
}
END_TEST

START_TEST(acknowledged)
{
    ck_assert(!alarm_acknowledge(ALARM_NO_TUNNEL, "", "ada"));
    alarm_raise(ALARM_NO_TUNNEL, "", "");
    ck_assert(alarm_acknowledge(ALARM_NO_TUNNEL, "", "ada"));
    ck_assert(alarm_acknowledge(ALARM_NO_TUNNEL, "", "bob"));
    json_t *alarm = alarm_json(ALARM_NO_TUNNEL, "");
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(alarm, "acknowledged"), "by")), "ada");
    json_decref(alarm);
    ck_assert_uint_eq(count((struct events_question){.text = "Alarm Acknowledged"}), 1);
    alarm_clear(ALARM_NO_TUNNEL, "");
    alarm_raise(ALARM_NO_TUNNEL, "", "");
    alarm = alarm_json(ALARM_NO_TUNNEL, "");
    ck_assert(json_is_null(json_object_get(alarm, "acknowledged")));
    json_decref(alarm);
}
END_TEST

START_TEST(bounded)
{
    char subject[32];
    for (int i = 0; i < ALARMS_MAX + 50; i++) {
        snprintf(subject, sizeof subject, "%d", i);
        alarm_raise(ALARM_TARGET_FAILED, subject, "");
    }
    ck_assert_uint_eq(raised(), ALARMS_MAX);
    alarm_clear(ALARM_TARGET_FAILED, "7");
    alarm_raise(ALARM_NO_TUNNEL, "", ""); /* what is over makes room */
    ck_assert_uint_eq(alarms_active(ALARM_NO_TUNNEL), 1);
    ck_assert(alarm_json(ALARM_TARGET_FAILED, "7") == NULL);
    restart();
    ck_assert_uint_eq(raised(), ALARMS_MAX);
}
END_TEST

/* Restarts ----------------------------------------------------------------------------------------------- */

START_TEST(kept_over_a_restart)
{
    alarm_raise(ALARM_TUNNEL_DOWN, "edge1/0", "refused");
    alarm_raise(ALARM_TUNNEL_DOWN, "edge1/1", "refused");
    alarm_raise(ALARM_TUNNEL_DOWN, "edge2/0", "refused");
    ck_assert(alarm_acknowledge(ALARM_TUNNEL_DOWN, "edge1/0", "ada"));
    char since[64];
    snprintf(since, sizeof since, "%s", alarm_text(ALARM_TUNNEL_DOWN, "edge1/0", "since"));
    restart();
    ck_assert_uint_eq(raised(), 3);
    ck_assert_str_eq(alarm_text(ALARM_TUNNEL_DOWN, "edge1/0", "since"), since);
    alarm_clear(ALARM_TUNNEL_DOWN, "edge1/1");              /* known to be over */
    alarm_raise(ALARM_TUNNEL_DOWN, "edge1/0", "timed out"); /* found again: the same one */
    ck_assert_uint_eq(raised(), 2);
    ck_assert_str_eq(alarm_text(ALARM_TUNNEL_DOWN, "edge1/0", "count"), "1");
    alarms_settle(); /* nobody has said anything of edge2/0 */
    ck_assert_uint_eq(raised(), 1);
    ck_assert_str_eq(alarm_text(ALARM_TUNNEL_DOWN, "edge2/0", "state"), "cleared");
    json_t *alarm = alarm_json(ALARM_TUNNEL_DOWN, "edge1/0");
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(alarm, "acknowledged"), "by")), "ada");
    json_decref(alarm);
}
END_TEST

START_TEST(events_over_a_restart)
{
    log_event(LOG_NOTICE, "First", "a=1");
    log_event(LOG_INFO, "Not Kept", "a=1");
    restart();
    log_event(LOG_ERR, "Second", "reason=\"it \\\"said\\\" so\"");
    json_t *items = ask((struct events_question){0});
    ck_assert_uint_eq(json_array_size(items), 2);
    const json_t *newest = json_array_get(items, 0);
    ck_assert_str_eq(json_string_value(json_object_get(newest, "name")), "Second");
    ck_assert_str_eq(json_string_value(json_object_get(newest, "level")), "error");
    ck_assert_str_eq(json_string_value(json_object_get(newest, "box")), "box1");
    ck_assert_str_eq(json_string_value(json_object_get(newest, "process")), "core");
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(newest, "fields"), "reason")),
                     "it \"said\" so");
    json_int_t first = json_integer_value(json_object_get(json_array_get(items, 1), "id"));
    json_decref(items);
    items = ask((struct events_question){.after = first});
    ck_assert_uint_eq(json_array_size(items), 1);
    json_decref(items);
    ck_assert_uint_eq(count((struct events_question){.level = LOG_ERR}), 1);
    ck_assert_uint_eq(count((struct events_question){.text = "SECOND"}), 1);
    ck_assert_uint_eq(count((struct events_question){.text = "%"}), 0);
    ck_assert_uint_eq(count((struct events_question){.limit = 1}), 1);
}
END_TEST

/* Bounds of events --------------------------------------------------------------------------------------- */

START_TEST(who_says_most_loses)
{
    struct log_limit limit = {0};
    log_event(LOG_NOTICE, "Mine", "a=1");
    for (int i = 0; i < EVENTS_MAX + 2000; i++) {
        json_t *msg = json_pack("{si ss ss}", "level", LOG_NOTICE, "name", "Noise", "fields", "n=1");
        limit = (struct log_limit){0}; /* as if time went by */
        events_from_worker("web0", &limit, msg);
        json_decref(msg);
        if (i % 500 == 0)
            (void)count((struct events_question){.limit = 1}); /* written */
    }
    ck_assert_uint_eq(count((struct events_question){.text = "Mine"}), 1);
    ck_assert_uint_eq(count((struct events_question){.text = "web0"}), EVENTS_ASKED_MAX);
    struct stat st;
    events_close();
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_lt(st.st_size, 8 * 1024 * 1024);
    box_up();
}
END_TEST

/* A database that somebody else has filled (a backup of theirs): names that no process of ours has. */
START_TEST(strange_processes_are_cut)
{
    char why[SCHEMA_WHY], sql[300];
    struct store *s;
    events_close();
    ck_assert_msg(store_open(path, NULL, 0, &s, why) == ERR_OK, "%s", why);
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
             "INSERT INTO event SELECT i, i, 5, 'worker' || char(7), 'Strange', '' FROM n",
             EVENTS_MAX + 1000);
    ck_assert_msg(store_run(s, sql, NULL, 0, NULL, NULL, why) == ERR_OK, "%s", why);
    store_close(s);
    box_up();
    log_event(LOG_NOTICE, "Ours", "a=b");
    ck_assert_uint_eq(count((struct events_question){.text = "Ours"}), 1);
}
END_TEST

static void worker_says(const char *worker, struct log_limit *limit, const char *name, int level)
{
    json_t *msg = json_pack("{si ss ss}", "level", level, "name", name, "fields", "a=1");
    events_from_worker(worker, limit, msg);
    json_decref(msg);
}

START_TEST(a_worker_is_held_to_its_share)
{
    struct log_limit limit = {0};
    for (int i = 0; i < 10 * EVENTS_OF_WORKER; i++)
        worker_says("web0", &limit, "Noise", LOG_WARNING);
    ck_assert_uint_eq(count((struct events_question){.text = "Noise"}), EVENTS_OF_WORKER);
    limit.window -= 2 * EVENTS_WORKER_SECONDS;
    worker_says("web0", &limit, "Later", LOG_WARNING);
    json_t *items = ask((struct events_question){.text = "Events Dropped"});
    ck_assert_uint_eq(json_array_size(items), 1);
    const json_t *fields = json_object_get(json_array_get(items, 0), "fields");
    ck_assert_str_eq(json_string_value(json_object_get(fields, "dropped")), "900");
    ck_assert_str_eq(json_string_value(json_object_get(fields, "worker")), "web0");
    json_decref(items);
}
END_TEST

START_TEST(a_worker_speaks_for_itself)
{
    struct log_limit limit = {0};
    worker_says("web0", &limit, "Alarm Cleared", LOG_NOTICE); /* alarms are main's to tell */
    worker_says("web0", &limit, "Chatter", LOG_INFO);
    worker_says("web0", &limit, "", LOG_ERR);
    worker_says("web0", &limit, "Bell \a", LOG_ERR);
    worker_says("web0", &limit, "Level", -1);
    events_from_worker("web0", &limit, NULL);
    ck_assert_uint_eq(count((struct events_question){0}), 0);
    json_t *msg = json_pack("{si ss ss ss}", "level", LOG_ERR, "name", "Forged", "fields",
                            "x=1\n2026 error core", "process", "core");
    events_from_worker("web0", &limit, msg);
    json_decref(msg);
    json_t *items = ask((struct events_question){0});
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(items, 0), "process")), "web0");
    json_decref(items);
}
END_TEST

/* Alarms of workers -------------------------------------------------------------------------------------- */

static struct log_limit begun;

static void worker_alarm(const char *worker, const char *role, int number, const char *subject, bool on)
{
    json_t *msg =
        json_pack("{si ss sb ss}", "number", number, "subject", subject, "raised", on, "detail", "");
    alarms_from_worker(worker, role, &begun, msg);
    json_decref(msg);
}

START_TEST(workers_raise_few_anew)
{
    char subject[16];
    for (int i = 0; i < 10 * ALARMS_BEGUN; i++) { /* each is another one */
        snprintf(subject, sizeof subject, "%d", i);
        worker_alarm("turn0", "turn", ALARM_RELAY_PORTS, subject, true);
        worker_alarm("turn0", "turn", ALARM_RELAY_PORTS, subject, i == 0);
    }
    ck_assert_uint_eq(raised(), 1);
    ck_assert_uint_eq(count((struct events_question){.text = "Alarm Raised"}), ALARMS_BEGUN);
    for (int i = 0; i < 10 * ALARMS_BEGUN; i++) /* what is said again is no other one */
        worker_alarm("turn0", "turn", ALARM_RELAY_PORTS, "0", true);
    worker_alarm("turn0", "turn", ALARM_RELAY_PORTS, "0", false);
    ck_assert_uint_eq(raised(), 0);
}
END_TEST

START_TEST(workers_raise_what_is_theirs)
{
    worker_alarm("web0", "web", ALARM_RELAY_PORTS, "x", true); /* TURN's */
    worker_alarm("turn0", "turn", ALARM_NO_TUNNEL, "x", true); /* main's */
    worker_alarm("turn0", "turn", -5, "x", true);
    ck_assert_uint_eq(raised(), 0);
    worker_alarm("turn0", "turn", ALARM_RELAY_PORTS, "ports", true);
    worker_alarm("turn1", "turn", ALARM_RELAY_PORTS, "ports", true);
    ck_assert_uint_eq(raised(), 1);
    worker_alarm("turn0", "turn", ALARM_RELAY_PORTS, "ports", false);
    ck_assert_uint_eq(raised(), 1); /* the other one still says so */
    alarms_worker_gone("turn1");
    ck_assert_uint_eq(raised(), 0);
    char subject[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(subject, sizeof subject, "%d", i);
        begun = (struct log_limit){0}; /* it takes its time */
        worker_alarm("turn0", "turn", ALARM_RELAY_PORTS, subject, true);
    }
    ck_assert_uint_eq(raised(), ALARMS_OF_WORKER);
    alarms_worker_gone("turn0");
    ck_assert_uint_eq(raised(), 0);
}
END_TEST

static json_t *forwarded;

static void forward(void *ctx, json_t *msg)
{
    (void)ctx;
    json_decref(forwarded);
    forwarded = msg;
}

START_TEST(in_a_worker)
{
    events_close();
    alarms_set_forward(forward, NULL);
    alarm_raise(ALARM_RELAY_PORTS, "ports", "none");
    json_t *msg = json_incref(forwarded);
    alarms_set_forward(NULL, NULL);
    box_up();
    alarms_from_worker("turn0", "turn", &begun, msg);
    ck_assert_str_eq(alarm_text(ALARM_RELAY_PORTS, "ports", "detail"), "none");
    json_decref(msg);
    json_decref(forwarded);
    forwarded = NULL;
}
END_TEST

/* A store that does not work ----------------------------------------------------------------------------- */

START_TEST(damaged_and_mended)
{
    events_close();
    int fd = open(path, O_WRONLY | O_TRUNC);
    ck_assert_int_eq(write(fd,
                           "this is no database at all, and it is long enough to be looked at: "
                           "0123456789012345678901234567890123456789",
                           100),
                     100);
    close(fd);
    box_up();
    ck_assert_uint_eq(alarms_active(ALARM_STORE_TROUBLE), 1);
    log_event(LOG_NOTICE, "Meanwhile", "a=1");
    ck_assert_uint_eq(count((struct events_question){.text = "Meanwhile"}), 1);
    for (int i = 0; i < 3 * EVENTS_PENDING; i++)
        log_event(LOG_NOTICE, "Flood", "n=%d", i);
    ck_assert_uint_eq(count((struct events_question){.text = "Flood"}), EVENTS_PENDING);
    ck_assert_int_eq(unlink(path), 0); /* what the detail says to do */
    events_close();
    box_up();
    ck_assert_uint_eq(alarms_active(ALARM_STORE_TROUBLE), 0);
}
END_TEST

/* What somebody else wrote into it leaves room for what comes. */
START_TEST(an_id_beyond_all)
{
    sqlite3 *db;
    log_event(LOG_NOTICE, "Before", "a=1");
    events_close();
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_exec(db, "INSERT INTO event VALUES (9223372036854775807, 0, 5, 'core', 'Forged', '')", NULL,
                     NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    box_up();
    log_event(LOG_NOTICE, "Behind", "a=1");
    ck_assert_uint_eq(count((struct events_question){.text = "Forged"}), 0);
    ck_assert_uint_eq(count((struct events_question){.text = "Before"}), 1);
    json_t *items = ask((struct events_question){.text = "Behind"});
    ck_assert_int_gt(json_integer_value(json_object_get(json_array_get(items, 0), "id")), 0);
    json_decref(items);
}
END_TEST

/* Listeners ---------------------------------------------------------------------------------------------- */

static unsigned heard_events, heard_alarms;

static void on_event(void *ctx, const json_t *event)
{
    (void)ctx;
    ck_assert(json_is_string(json_object_get(event, "name")));
    heard_events++;
}

static void on_alarm(void *ctx, const json_t *alarm)
{
    (void)ctx;
    ck_assert_int_eq(json_integer_value(json_object_get(alarm, "number")), ALARM_NO_TUNNEL);
    heard_alarms++;
}

START_TEST(listeners_hear_each_once)
{
    struct events_listener l = {.on_event = on_event, .on_alarm = on_alarm};
    heard_events = heard_alarms = 0;
    events_listen(&l);
    alarm_raise(ALARM_NO_TUNNEL, "", "");
    ck_assert_uint_eq(heard_events + heard_alarms, 0); /* never from inside */
    while (heard_events < 1)
        ev_run(loop, EVRUN_ONCE);
    alarm_clear(ALARM_NO_TUNNEL, "");
    while (heard_events < 2)
        ev_run(loop, EVRUN_ONCE);
    ck_assert_uint_eq(heard_alarms, 2);
    (void)count((struct events_question){0});
    ck_assert_uint_eq(heard_events, 2);
    events_unlisten(&l);
}
END_TEST

/* Fields ------------------------------------------------------------------------------------------------- */

START_TEST(fields)
{
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"a=1 b=two", "{\"a\": \"1\", \"b\": \"two\"}"},
        {"a=\"x y\" b=2", "{\"a\": \"x y\", \"b\": \"2\"}"},
        {"reason=\"he said \"no\" twice\" n=1", "{\"reason\": \"he said \\\"no\\\" twice\", \"n\": \"1\"}"},
        {"a=\"x\\\"y\\\\\"", "{\"a\": \"x\\\"y\\\\\"}"},
        {"a= b=\"\"", "{\"a\": \"\", \"b\": \"\"}"},
        {"noise A=1 =2 ok=3", "{\"ok\": \"3\"}"},
        {"open=\"never ends", "{\"open\": \"never ends\"}"},
        {"", "{}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *got = log_fields_json(cases[i].text), *want = json_loads(cases[i].json, 0, NULL);
        ck_assert_msg(json_equal(got, want), "%s", cases[i].text);
        json_decref(got);
        json_decref(want);
    }
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("alarms");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, every_row_is_whole);
    tcase_add_test(t, raised_once);
    tcase_add_test(t, worst_first);
    tcase_add_test(t, matched);
    tcase_add_test(t, long_subjects_are_one);
    tcase_add_test(t, acknowledged);
    tcase_add_test(t, bounded);
    tcase_add_test(t, kept_over_a_restart);
    tcase_add_test(t, events_over_a_restart);
    tcase_add_test(t, who_says_most_loses);
    tcase_add_test(t, strange_processes_are_cut);
    tcase_add_test(t, a_worker_is_held_to_its_share);
    tcase_add_test(t, a_worker_speaks_for_itself);
    tcase_add_test(t, workers_raise_what_is_theirs);
    tcase_add_test(t, workers_raise_few_anew);
    tcase_add_test(t, in_a_worker);
    tcase_add_test(t, damaged_and_mended);
    tcase_add_test(t, an_id_beyond_all);
    tcase_add_test(t, listeners_hear_each_once);
    tcase_add_test(t, fields);
    Suite *suite = suite_create("alarms");
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
