#include "common/history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/time_text.h"

enum { PATH_PART = 32 };

/* More than any figure of a box: what a worker that was taken over makes up stays a number. */
static const double history_most = 1e15;

struct history_point {
    double at;
    double values[HISTORY_FIGURES_MAX];
};

struct history {
    const struct history_figure *figures;
    size_t n_figures;
    struct history_point points[HISTORY_KEPT]; /* a ring; next is the oldest one once it is full */
    size_t n, next;
    json_t *before; /* {worker: [figure...]} of the last step; NULL: there was none */
    double before_at;
};

struct history *history_new(const struct history_figure *figures)
{
    struct history *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->figures = figures;
    while (figures[h->n_figures].name)
        h->n_figures++;
    if (h->n_figures > HISTORY_FIGURES_MAX)
        abort();
    return h;
}

void history_free(struct history *h)
{
    if (h)
        json_decref(h->before);
    free(h);
}

/* All numbers that the path leads to, from where it stands. */
static double history_sum(const json_t *at, const char *path)
{
    char part[PATH_PART];
    const char *member;
    json_t *value;
    double sum = 0;
    if (!path)
        return json_number_value(at);
    size_t n = strcspn(path, ".");
    const char *rest = path[n] ? path + n + 1 : NULL;
    if (n >= sizeof part)
        abort();
    memcpy(part, path, n);
    part[n] = '\0';
    if (strcmp(part, "*") != 0)
        return at ? history_sum(json_object_get(at, part), rest) : 0;
    json_object_foreach ((json_t *)(uintptr_t)at, member, value)
        sum += history_sum(value, rest);
    return sum;
}

/* Adds one worker to the step. Its figures, to be compared with at the next one. */
static json_t *history_add(const struct history *h, const json_t *result, struct history_point *step)
{
    const json_t *was = json_object_get(h->before, json_string_value(json_object_get(result, "worker")));
    json_t *is = json_array();
    for (size_t i = 0; i < h->n_figures; i++) {
        double now = fmax(0, fmin(history_sum(result, h->figures[i].path), history_most));
        double before = json_number_value(json_array_get(was, i));
        json_array_append_new(is, json_real(now));
        if (h->figures[i].kind == HISTORY_LEVEL)
            step->values[i] += now;
        else if (was)
            step->values[i] += now < before ? now : now - before;
    }
    return is;
}

void history_take(struct history *h, const json_t *results, double now)
{
    struct history_point step = {.at = now};
    json_t *after = json_object(), *result;
    double passed = now - h->before_at;
    size_t i;
    json_array_foreach ((json_t *)(uintptr_t)results, i, result) {
        const char *worker = json_string_value(json_object_get(result, "worker"));
        if (worker)
            json_object_set_new(after, worker, history_add(h, result, &step));
    }
    if (h->before && passed > 0) {
        for (i = 0; i < h->n_figures; i++)
            if (h->figures[i].kind == HISTORY_RATE)
                step.values[i] /= passed;
        h->points[h->next] = step;
        h->next = (h->next + 1) % HISTORY_KEPT;
        h->n += h->n < HISTORY_KEPT;
    }
    json_decref(h->before);
    h->before = after;
    h->before_at = now;
}

static json_t *tenths(double value)
{
    return json_real(round(value * 10) / 10);
}

static json_t *history_item(const struct history *h, const struct history_point *p, double now,
                            int64_t of_day)
{
    double age = now - p->at;
    json_t *item = json_object();
    json_object_set_new(item, "time", time_json(of_day - (int64_t)llround(age)));
    json_object_set_new(item, "age", tenths(age));
    for (size_t i = 0; i < h->n_figures; i++)
        json_object_set_new(item, h->figures[i].name,
                            h->figures[i].kind == HISTORY_RATE ? tenths(p->values[i])
                                                               : json_integer(llround(p->values[i])));
    return item;
}

json_t *history_json(const struct history *h, double now, int64_t of_day)
{
    json_t *items = json_array();
    for (size_t i = 0; i < h->n; i++) {
        const struct history_point *p = &h->points[(h->next + HISTORY_KEPT - h->n + i) % HISTORY_KEPT];
        json_array_append_new(items, history_item(h, p, now, of_day));
    }
    return json_pack("{ss si so}", "type", "history", "step_s", HISTORY_STEP, "items", items);
}
