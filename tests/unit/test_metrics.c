/* The text of metrics, read back by a strict reader of Prometheus' text format 0.0.4. */
#include "common/metrics.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/histogram.h"
#include "edge/turn/turn_metrics.h"
#include "edge/turn/turn_status.h"
#include "tests/unit/turn_fixture.h"

enum { FAMILIES = 200, SERIES = 4000 };

/* What was read. */
static struct {
    char families[FAMILIES][80];
    bool counter[FAMILIES], histogram[FAMILIES];
    size_t n_families;
    char series[SERIES][300];
    double values[SERIES];
    size_t n_series;
} seen;

static size_t name_length(const char *s, bool colon)
{
    size_t n = 0;
    while (isalpha((unsigned char)s[n]) || s[n] == '_' || (colon && s[n] == ':') ||
           (n && isdigit((unsigned char)s[n])))
        n++;
    return n;
}

/* Labels from behind '{'; where '}' is. */
static const char *read_labels(const char *at)
{
    for (;;) {
        size_t n = name_length(at, false);
        ck_assert_msg(n > 0 && strncmp(at + n, "=\"", 2) == 0, "label: %s", at);
        for (at += n + 2; *at != '"'; at++) {
            ck_assert_msg(*at && *at != '\n', "label value has no end");
            if (*at == '\\') {
                at++;
                ck_assert_msg(strchr("\\\"n", *at) != NULL, "escape: %s", at);
            }
        }
        at++;
        if (*at == '}')
            return at;
        ck_assert_msg(*at == ',', "between labels: %s", at);
        at++;
    }
}

/* What may follow a family's name in a series' name. */
static bool is_suffix(const char *at, size_t n, bool histogram)
{
    static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
    for (size_t i = 0; histogram && i < 3; i++)
        if (n == strlen(suffixes[i]) && strncmp(at, suffixes[i], n) == 0)
            return true;
    return n == 0 && !histogram;
}

static void read_sample(const char *line)
{
    ck_assert_msg(seen.n_families > 0, "a sample before its TYPE: %s", line);
    const char *family = seen.families[seen.n_families - 1], *at = line + name_length(line, true);
    size_t n = strlen(family);
    ck_assert_msg((size_t)(at - line) >= n && strncmp(line, family, n) == 0 &&
                      is_suffix(line + n, (size_t)(at - line) - n, seen.histogram[seen.n_families - 1]),
                  "sample of another metric than the TYPE above: %s", line);
    if (*at == '{')
        at = read_labels(at + 1) + 1;
    ck_assert_msg(*at == ' ', "no value: %s", line);
    for (size_t i = 0; i < seen.n_series; i++)
        ck_assert_msg(strncmp(seen.series[i], line, (size_t)(at - line)) != 0 ||
                          strlen(seen.series[i]) != (size_t)(at - line),
                      "the same series twice: %s", line);
    ck_assert_uint_lt(seen.n_series, SERIES);
    snprintf(seen.series[seen.n_series], sizeof seen.series[0], "%.*s", (int)(at - line), line);
    char *end;
    seen.values[seen.n_series] = strtod(at + 1, &end);
    ck_assert_msg(end != at + 1 && *end == '\0', "value: %s", line);
    if (seen.counter[seen.n_families - 1])
        ck_assert_msg(seen.values[seen.n_series] >= 0, "a counter below zero: %s", line);
    seen.n_series++;
}

static void read_comment(const char *line, bool help)
{
    char name[80];
    const char *rest = line + 7;
    size_t n = name_length(rest, true);
    ck_assert_msg(n > 0 && n < sizeof name && rest[n] == ' ', "%s", line);
    snprintf(name, sizeof name, "%.*s", (int)n, rest);
    if (help) {
        for (size_t i = 0; i < seen.n_families; i++)
            ck_assert_msg(strcmp(seen.families[i], name) != 0, "%s is there twice", name);
        ck_assert_msg(strlen(rest + n + 1) > 0, "%s has no help", name);
        memcpy(seen.families[seen.n_families++], name, sizeof name);
        return;
    }
    ck_assert_msg(strcmp(name, seen.families[seen.n_families - 1]) == 0, "TYPE without its HELP: %s", line);
    bool counter = strcmp(rest + n + 1, "counter") == 0;
    bool histogram = strcmp(rest + n + 1, "histogram") == 0;
    ck_assert_msg(counter || histogram || strcmp(rest + n + 1, "gauge") == 0, "%s", line);
    /* Names as Prometheus wants them: counters, and only they, end in _total. */
    bool total = n > 6 && strcmp(name + n - 6, "_total") == 0;
    ck_assert_msg(counter == total, "%s", name);
    ck_assert_msg(strncmp(name, "stile_", 6) == 0 && !strstr(name, "_ms"), "%s", name);
    seen.counter[seen.n_families - 1] = counter;
    seen.histogram[seen.n_families - 1] = histogram;
}

static void read_back(const char *text)
{
    memset(&seen, 0, sizeof seen);
    ck_assert_ptr_nonnull(text);
    ck_assert(*text && text[strlen(text) - 1] == '\n');
    char *copy = strdup(text), *save;
    ck_assert_ptr_null(strstr(text, "\n\n"));
    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "# HELP ", 7) == 0)
            read_comment(line, true);
        else if (strncmp(line, "# TYPE ", 7) == 0)
            read_comment(line, false);
        else
            read_sample(line);
    }
    free(copy);
}

/* Fails when there is none. */
static double value_of(const char *series)
{
    for (size_t i = 0; i < seen.n_series; i++)
        if (strcmp(seen.series[i], series) == 0)
            return seen.values[i];
    ck_abort_msg("no series %s", series);
}

START_TEST(test_values_and_escapes)
{
    struct metrics *m = metrics_new();
    metrics_family(m, "stile_a_total", METRICS_COUNTER, "a line\nfeed, a \\ and a \"quote\"");
    metrics_value(m, 0, NULL);
    metrics_value(m, 9007199254740991.0 / 16, "x", "1", "y", "a\\b\"c\nd", NULL);
    metrics_family(m, "stile_b", METRICS_GAUGE, "half");
    metrics_value(m, 0.00042, NULL);
    metrics_value(m, -2, "z", "", NULL);
    metrics_value(m, 1795367111.25, "z", "a moment", NULL);
    char *text = metrics_end(m);
    read_back(text);
    ck_assert_ptr_nonnull(strstr(text, "# HELP stile_a_total a line\\nfeed, a \\\\ and a \"quote\"\n"));
    ck_assert_ptr_nonnull(strstr(text, "stile_a_total{x=\"1\",y=\"a\\\\b\\\"c\\nd\"} "));
    ck_assert_ptr_nonnull(strstr(text, "\nstile_b 0.00042\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nstile_b{z=\"\"} -2\n"));
    ck_assert_double_eq(value_of("stile_b{z=\"a moment\"}"), 1795367111.25);
    free(text);
}
END_TEST

START_TEST(test_rows)
{
    static const struct metrics_row rows[] = {
        {"stile_a", METRICS_GAUGE, "a", NULL, NULL, "plain"},
        {"stile_b_total", METRICS_COUNTER, "deep.b.*", "kind", NULL, "by kind"},
        {"stile_c_total", METRICS_COUNTER, "in.*.bytes", "way", "direction=\"in\"", "two rows"},
        {"stile_c_total", METRICS_COUNTER, "out.*.bytes", "way", "direction=\"out\"", NULL},
        {"stile_d", METRICS_GAUGE, "absent.d", NULL, NULL, "nobody has it"},
        {0}};
    json_t *sources =
        json_loads("[{\"worker\":\"w0\",\"a\":true,\"deep\":{\"b\":{\"x\":1,\"y\":2}},\"in\":{\"U\":{"
                   "\"bytes\":7}},\"out\":{\"U\":{\"bytes\":8}}},{\"worker\":\"w1\",\"a\":5,\"deep\":"
                   "{\"b\":\"nonsense\"}}]",
                   0, NULL);
    ck_assert_ptr_nonnull(sources);
    struct metrics *m = metrics_new();
    metrics_rows(m, rows, sources, "worker");
    char *text = metrics_end(m);
    read_back(text);
    ck_assert_uint_eq(seen.n_families, 4);
    ck_assert_uint_eq(seen.n_series, 6);
    ck_assert_double_eq(value_of("stile_a{worker=\"w0\"}"), 1);
    ck_assert_double_eq(value_of("stile_a{worker=\"w1\"}"), 5);
    ck_assert_double_eq(value_of("stile_b_total{worker=\"w0\",kind=\"y\"}"), 2);
    ck_assert_double_eq(value_of("stile_c_total{worker=\"w0\",direction=\"out\",way=\"U\"}"), 8);
    free(text);
    json_decref(sources);
}
END_TEST

/* Each bucket counts all below its bound; the bound itself belongs to it. */
START_TEST(test_histogram)
{
    static const struct metrics_row rows[] = {
        {"stile_a_seconds", METRICS_HISTOGRAM, "seconds.*", "stage", NULL, "how long"}, {0}};
    static const double durations[] = {-1, 0, 0.001, 0.0011, 0.3, 60, 61};
    struct histogram h = {0}, none = {0};
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++)
        histogram_add(&h, durations[i]);
    json_t *sources = json_pack("[{s:s, s:{s:o, s:o, s:i}}]", "worker", "web0", "seconds", "edge",
                                histogram_json(&h), "tunnel", histogram_json(&none), "nonsense", 1);
    struct metrics *m = metrics_new();
    metrics_rows(m, rows, sources, "worker");
    char *text = metrics_end(m);
    read_back(text);
    ck_assert_ptr_nonnull(strstr(text, "# TYPE stile_a_seconds histogram\n"));
    ck_assert_uint_eq(seen.n_series, 2 * (HISTOGRAM_BOUNDS_N + 3));
#define SERIES_OF(stage, le) "stile_a_seconds_bucket{worker=\"web0\",stage=\"" stage "\",le=\"" le "\"}"
    ck_assert_double_eq(value_of(SERIES_OF("edge", "0.001")), 3);
    ck_assert_double_eq(value_of(SERIES_OF("edge", "0.0025")), 4);
    ck_assert_double_eq(value_of(SERIES_OF("edge", "0.25")), 4);
    ck_assert_double_eq(value_of(SERIES_OF("edge", "0.5")), 5);
    ck_assert_double_eq(value_of(SERIES_OF("edge", "60")), 6);
    ck_assert_double_eq(value_of(SERIES_OF("edge", "+Inf")), 7);
    ck_assert_double_eq(value_of(SERIES_OF("tunnel", "+Inf")), 0);
    ck_assert_double_eq(value_of("stile_a_seconds_count{worker=\"web0\",stage=\"edge\"}"), 7);
    ck_assert_double_eq_tol(value_of("stile_a_seconds_sum{worker=\"web0\",stage=\"edge\"}"), 121.3021, 1e-9);
    free(text);
    json_decref(sources);
}
END_TEST

START_TEST(test_too_much_is_nothing)
{
    struct metrics *m = metrics_new();
    metrics_family(m, "stile_a", METRICS_GAUGE, "too many");
    for (unsigned i = 0; i < METRICS_MAX / 10; i++)
        metrics_value(m, i, NULL);
    ck_assert_ptr_null(metrics_end(m));
}
END_TEST

START_TEST(test_processes)
{
    struct metrics_process processes[] = {{"main", getpid()}, {"dead", 0}, {"init", 1}};
    struct metrics *m = metrics_new();
    metrics_processes(m, processes, 3);
    char *text = metrics_end(m);
    read_back(text);
    ck_assert_double_gt(value_of("stile_process_resident_memory_bytes{process=\"main\"}"), 100000);
    ck_assert_double_ge(value_of("stile_process_cpu_seconds_total{process=\"main\"}"), 0);
    ck_assert_double_ge(value_of("stile_process_open_fds{process=\"main\"}"), 3);
    ck_assert_ptr_null(strstr(text, "dead"));
    free(text);
}
END_TEST

/* What a turn worker counts comes out, whoever its users are. */
START_TEST(test_turn)
{
    static struct fixture f;
    fixture_start(&f, "\"quota\":{\"user\":1}");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:2000"), 0);
    fixture_channel_data(&f, 0x4000, "media", 5);
    fixture_channel_data(&f, 0x4001, "media", 5);
    fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(fixture_allocate(&f), 486);
    struct turn_admission *admission = turn_admission_new(&f.server->config, 100);
    struct turn_pass pass = {0};
    ck_assert(turn_admission_enter(admission, &f.client.address, &pass));
    json_t *status = turn_status_json(f.server, admission, 0), *workers = json_array();
    ck_assert_uint_eq(json_array_size(json_object_get(status, "relays")), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(status, "relays_left_out")), 1);
    json_object_set_new(status, "worker", json_string("turn0"));
    json_array_append_new(workers, status);
    json_t *second = json_deep_copy(status);
    json_object_set_new(second, "worker", json_string("turn1"));
    json_array_append_new(workers, second);
    struct metrics *m = metrics_new();
    turn_metrics(m, workers);
    char *text = metrics_end(m);
    read_back(text);
    ck_assert_double_eq(value_of("stile_turn_allocations{worker=\"turn0\"}"), 1);
    ck_assert_double_eq(value_of("stile_turn_allocations{worker=\"turn1\"}"), 1);
    ck_assert_double_eq(value_of("stile_turn_connections{worker=\"turn0\"}"), 1);
    ck_assert_double_eq(value_of("stile_turn_requests_total{worker=\"turn0\",method=\"Allocate\"}"), 2);
    ck_assert_double_eq(value_of("stile_turn_successes_total{worker=\"turn0\",method=\"ChannelBind\"}"), 1);
    ck_assert_double_eq(value_of("stile_turn_errors_total{worker=\"turn0\",code=\"486\"}"), 1);
    ck_assert_double_eq(value_of("stile_turn_limit_refusals_total{worker=\"turn0\",limit=\"user\"}"), 1);
    ck_assert_double_eq(value_of("stile_turn_dropped_packets_total{worker=\"turn0\",reason=\"no_channel\"}"),
                        1);
    ck_assert_double_eq(
        value_of(
            "stile_turn_relayed_bytes_total{worker=\"turn0\",direction=\"from_client\",transport=\"UDP\"}"),
        5);
    ck_assert_double_eq(value_of("stile_turn_allocated_total{worker=\"turn0\"}"), 1);
    ck_assert_double_eq(value_of("stile_turn_relay_ports{address=\"203.0.113.10\"}"), 6000);
    ck_assert_double_eq(value_of("stile_turn_relay_ports_used{address=\"203.0.113.10\"}"), 1);
    ck_assert_ptr_null(strstr(text, "alice")); /* nothing that a stranger can multiply */
    ck_assert_ptr_null(strstr(text, "192.0.2"));
    free(text);
    json_decref(workers);
    turn_admission_leave(admission, &pass);
    turn_admission_free(admission);
    fixture_stop(&f);
}
END_TEST

UNIT_MAIN("metrics", test_values_and_escapes, test_rows, test_histogram, test_too_much_is_nothing,
          test_processes, test_turn)
