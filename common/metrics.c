#include "common/metrics.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/histogram.h"

enum { PATH_PART = 40 };

struct metrics {
    struct buf text;
    const char *name; /* of the family that is being written */
    bool failed;
};

struct metrics *metrics_new(void)
{
    struct metrics *m = calloc(1, sizeof *m);
    if (m)
        buf_init(&m->text, METRICS_MAX);
    return m;
}

static void put(struct metrics *m, const char *text)
{
    m->failed |= buf_append_str(&m->text, text) != ERR_OK;
}

/* Backslash, line feed and, in label values, quotes have to be escaped. */
static void put_escaped(struct metrics *m, const char *text, bool quotes)
{
    for (; *text; text++) {
        if (*text == '\\')
            put(m, "\\\\");
        else if (*text == '\n')
            put(m, "\\n");
        else if (*text == '"' && quotes)
            put(m, "\\\"");
        else
            put(m, (char[2]){*text});
    }
}

static void put_number(struct metrics *m, double value)
{
    char text[40];
    bool whole = value == floor(value) && fabs(value) < 1e15;
    snprintf(text, sizeof text, whole ? " %.0f\n" : " %.15g\n", value);
    put(m, text);
}

static void put_label(struct metrics *m, bool *open, const char *name, const char *value)
{
    put(m, *open ? "," : "{");
    *open = true;
    put(m, name);
    put(m, "=\"");
    put_escaped(m, value, true);
    put(m, "\"");
}

char *metrics_end(struct metrics *m)
{
    char *text = NULL;
    if (!m->failed && buf_append(&m->text, "", 1) == ERR_OK)
        text = strdup((const char *)buf_data(&m->text));
    buf_free(&m->text);
    free(m);
    return text;
}

void metrics_family(struct metrics *m, const char *name, enum metrics_type type, const char *help)
{
    m->name = name;
    put(m, "# HELP ");
    put(m, name);
    put(m, " ");
    put_escaped(m, help, false);
    put(m, "\n# TYPE ");
    put(m, name);
    put(m, type == METRICS_COUNTER ? " counter\n" : type == METRICS_HISTOGRAM ? " histogram\n" : " gauge\n");
}

void metrics_value(struct metrics *m, double value, ...)
{
    bool open = false;
    va_list ap;
    put(m, m->name);
    va_start(ap, value);
    for (const char *name; (name = va_arg(ap, const char *));)
        put_label(m, &open, name, va_arg(ap, const char *));
    va_end(ap);
    put(m, open ? "}" : "");
    put_number(m, value);
}

/* Rows -------------------------------------------------------------------------------------------------- */

/* One value of a row, and its labels. */
struct sample {
    const struct metrics_row *row;
    const char *source_label, *source, *star;
};

/* The name with what follows it, and the labels; le: of a histogram's bucket, or NULL. */
static void put_series(struct metrics *m, const struct sample *s, const char *suffix, const char *le)
{
    bool open = false;
    put(m, m->name);
    put(m, suffix);
    if (s->source)
        put_label(m, &open, s->source_label, s->source);
    if (s->row->fixed) {
        put(m, open ? "," : "{");
        put(m, s->row->fixed);
        open = true;
    }
    if (s->row->label && s->star)
        put_label(m, &open, s->row->label, s->star);
    if (le)
        put_label(m, &open, "le", le);
    put(m, open ? "}" : "");
}

/* Buckets in the text count all that is below their bound; the last one's is the count of all. */
static void put_histogram(struct metrics *m, const struct sample *s, const json_t *value)
{
    const json_t *counts = json_object_get(value, "counts");
    double below = 0;
    if (json_array_size(counts) != HISTOGRAM_BOUNDS_N + 1)
        return;
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS_N; i++) {
        below += json_number_value(json_array_get(counts, i));
        put_series(m, s, "_bucket", histogram_bound_text(i));
        put_number(m, below);
    }
    put_series(m, s, "_sum", NULL);
    put_number(m, json_number_value(json_object_get(value, "sum")));
    put_series(m, s, "_count", NULL);
    put_number(m, below);
}

static void put_sample(struct metrics *m, const struct sample *s, const json_t *value)
{
    if (s->row->type == METRICS_HISTOGRAM) {
        put_histogram(m, s, value);
        return;
    }
    if (!json_is_number(value) && !json_is_boolean(value))
        return;
    put_series(m, s, "", NULL);
    put_number(m, json_is_boolean(value) ? (double)json_is_true(value) : json_number_value(value));
}

/* Follows the path from where it stands; path NULL: it has arrived. */
static void walk(struct metrics *m, struct sample *s, const json_t *at, const char *path)
{
    char part[PATH_PART];
    const char *member;
    json_t *value;
    if (!path) {
        put_sample(m, s, at);
        return;
    }
    size_t n = strcspn(path, ".");
    const char *rest = path[n] ? path + n + 1 : NULL;
    if (n >= sizeof part)
        return;
    memcpy(part, path, n);
    part[n] = '\0';
    if (strcmp(part, "*") != 0) {
        at = json_object_get(at, part);
        if (at)
            walk(m, s, at, rest);
        return;
    }
    json_object_foreach ((json_t *)(uintptr_t)at, member, value) {
        s->star = member;
        walk(m, s, value, rest);
    }
}

void metrics_rows(struct metrics *m, const struct metrics_row *rows, const json_t *sources,
                  const char *source_label)
{
    size_t i;
    json_t *source;
    for (const struct metrics_row *row = rows; row->name; row++) {
        if (row == rows || strcmp(row->name, row[-1].name) != 0)
            metrics_family(m, row->name, row->type, row->help);
        json_array_foreach ((json_t *)(uintptr_t)sources, i, source) {
            struct sample s = {
                .row = row,
                .source_label = source_label,
                .source = source_label ? json_string_value(json_object_get(source, source_label)) : NULL};
            walk(m, &s, source, row->path);
        }
    }
}
