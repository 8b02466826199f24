#include "common/history.h"

#include <math.h>

#include "tests/unit/unit.h"

static const struct history_figure figures[] = {{"requests", "web.requests", HISTORY_RATE},
                                                {"bytes", "turn.ways.*.bytes", HISTORY_RATE},
                                                {"relays", "turn.relays", HISTORY_LEVEL},
                                                {0}};

static void take(struct history *h, double now, const char *results)
{
    json_t *parsed = json_loads(results, 0, NULL);
    ck_assert_ptr_nonnull(parsed);
    history_take(h, parsed, now);
    json_decref(parsed);
}

/* The number NAME of item i, from the newest one, which is 0, backwards; NAN: there is none. */
static double newest(const struct history *h, size_t i, const char *name, double now)
{
    json_t *answer = history_json(h, now, 1000000), *items = json_object_get(answer, "items");
    const json_t *value = json_object_get(json_array_get(items, json_array_size(items) - 1 - i), name);
    double number = value ? json_number_value(value) : NAN;
    json_decref(answer);
    return number;
}

static size_t count(const struct history *h)
{
    json_t *answer = history_json(h, 0, 0);
    size_t n = json_array_size(json_object_get(answer, "items"));
    json_decref(answer);
    return n;
}

START_TEST(counters_become_rates)
{
    struct history *h = history_new(figures);
    take(h, 100,
         "[{\"worker\":\"web0\",\"web\":{\"requests\":1000}},"
         "{\"worker\":\"turn0\",\"turn\":{\"relays\":3,\"ways\":{\"udp\":{\"bytes\":50},\"tcp\":{\"bytes\":7}"
         "}}}]");
    ck_assert_uint_eq(count(h), 0);
    take(h, 105,
         "[{\"worker\":\"web0\",\"web\":{\"requests\":1012}},"
         "{\"worker\":\"turn0\",\"turn\":{\"relays\":4,\"ways\":{\"udp\":{\"bytes\":60},\"tcp\":{\"bytes\":8}"
         "}}},"
         "{\"worker\":\"turn1\",\"turn\":{\"relays\":2,\"ways\":{\"udp\":{\"bytes\":900}}}}]");
    ck_assert_uint_eq(count(h), 1);
    ck_assert_double_eq(newest(h, 0, "requests", 105), 2.4);
    ck_assert_double_eq(newest(h, 0, "bytes", 105), 2.2); /* turn1 is new: nothing to compare it with */
    ck_assert_double_eq(newest(h, 0, "relays", 105), 6);
    ck_assert_double_eq(newest(h, 0, "age", 107.5), 2.5);
    history_free(h);
}
END_TEST

START_TEST(workers_come_and_go_without_a_jump)
{
    struct history *h = history_new(figures);
    take(h, 0,
         "[{\"worker\":\"web0\",\"web\":{\"requests\":1000}},{\"worker\":\"web1\",\"web\":{\"requests\":500}}"
         "]");
    take(h, 5, "[{\"worker\":\"web0\",\"web\":{\"requests\":1010}}]"); /* web1 does not answer */
    ck_assert_double_eq(newest(h, 0, "requests", 5), 2);
    take(h, 10,
         "[{\"worker\":\"web0\",\"web\":{\"requests\":1020}},{\"worker\":\"web1\",\"web\":{\"requests\":900}}"
         "]");
    ck_assert_double_eq(newest(h, 0, "requests", 10), 2);
    take(h, 15,
         "[{\"worker\":\"web0\",\"web\":{\"requests\":5}},{\"worker\":\"web1\",\"web\":{\"requests\":900}}]");
    ck_assert_double_eq(newest(h, 0, "requests", 15), 1); /* web0 was started anew */
    history_free(h);
}
END_TEST

START_TEST(ten_minutes_are_kept)
{
    struct history *h = history_new(figures);
    char results[80];
    for (int i = 0; i <= 3 * HISTORY_KEPT; i++) {
        snprintf(results, sizeof results, "[{\"worker\":\"turn0\",\"turn\":{\"relays\":%d}}]", i);
        take(h, i * HISTORY_STEP, results);
    }
    double now = 3 * HISTORY_KEPT * HISTORY_STEP;
    ck_assert_uint_eq(count(h), HISTORY_KEPT);
    ck_assert_double_eq(newest(h, 0, "relays", now), 3 * HISTORY_KEPT);
    ck_assert_double_eq(newest(h, HISTORY_KEPT - 1, "relays", now), 2 * HISTORY_KEPT + 1);
    ck_assert_double_eq(newest(h, HISTORY_KEPT - 1, "age", now), (HISTORY_KEPT - 1) * HISTORY_STEP);
    history_free(h);
}
END_TEST

START_TEST(what_a_worker_makes_up_stays_a_number)
{
    struct history *h = history_new(figures);
    take(h, 0,
         "[{\"worker\":\"turn0\",\"turn\":{\"relays\":-9,\"ways\":{\"a\":{\"bytes\":0}}}},{\"web\":{}},7]");
    take(
        h, 5,
        "[{\"worker\":\"turn0\",\"turn\":{\"relays\":-9,\"ways\":{\"a\":{\"bytes\":1e308},\"b\":{\"bytes\":"
        "1e308}}}},"
        "{\"worker\":\"web0\",\"web\":[]},{\"worker\":\"turn1\",\"turn\":{\"relays\":\"many\",\"ways\":7}}]");
    ck_assert_double_eq(newest(h, 0, "relays", 5), 0);
    ck_assert(isfinite(newest(h, 0, "bytes", 5)));
    history_free(h);
}
END_TEST

UNIT_MAIN("history", counters_become_rates, workers_come_and_go_without_a_jump, ten_minutes_are_kept,
          what_a_worker_makes_up_stays_a_number)
