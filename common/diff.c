/*
 * What both texts begin and end with is left out; of the lines between, the longest common subsequence stays
 * (the table of lengths is filled from the end, then walked from the front).
 */
#include "common/diff.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIFF_CONTEXT = 3, DIFF_CELLS_MAX = 4 * 1024 * 1024 };

struct diff_line {
    const char *at;
    size_t n; /* with its line end, where it has one */
};

struct diff_text {
    struct diff_line *lines;
    size_t n;
};

/* One line of the answer: ' ' in both, '-' in the first, '+' in the second. */
struct diff_step {
    char sign;
    size_t from, to; /* numbers of the lines that it stands before, from 0 */
};

struct diff {
    struct diff_text from, to;
    struct diff_step *steps;
    size_t n_steps;
    FILE *out;
};

static bool text_split(const char *text, struct diff_text *out)
{
    size_t most = 1;
    for (const char *p = text; *p; p++)
        most += *p == '\n';
    out->lines = calloc(most, sizeof *out->lines);
    while (out->lines && *text) {
        const char *end = strchr(text, '\n');
        size_t n = end ? (size_t)(end - text) + 1 : strlen(text);
        out->lines[out->n++] = (struct diff_line){text, n};
        text += n;
    }
    return out->lines != NULL;
}

static bool line_same(const struct diff *d, size_t i, size_t k)
{
    const struct diff_line *a = &d->from.lines[i], *b = &d->to.lines[k];
    return a->n == b->n && memcmp(a->at, b->at, a->n) == 0;
}

static void diff_step(struct diff *d, char sign, size_t i, size_t k)
{
    d->steps[d->n_steps++] = (struct diff_step){sign, i, k};
}

/* Lines i to i_end of the first against k to k_end of the second. */
static bool diff_middle(struct diff *d, size_t i, size_t i_end, size_t k, size_t k_end)
{
    size_t rows = i_end - i, columns = k_end - k, first = i, second = k;
    bool small = columns == 0 || rows <= DIFF_CELLS_MAX / columns;
    uint32_t *length = small ? calloc((rows + 1) * (columns + 1), sizeof *length) : NULL;
    if (small && !length)
        return false;
#define CELL(r, c) length[((r)-first) * (columns + 1) + ((c)-second)]
    for (size_t r = i_end; small && r-- > i;)
        for (size_t c = k_end; c-- > k;)
            CELL(r, c) = line_same(d, r, c)                  ? CELL(r + 1, c + 1) + 1
                         : CELL(r + 1, c) >= CELL(r, c + 1) ? CELL(r + 1, c)
                                                            : CELL(r, c + 1);
    while (i < i_end || k < k_end) {
        if (small && i < i_end && k < k_end && line_same(d, i, k))
            diff_step(d, ' ', i++, k++);
        else if (i < i_end && (!small || k == k_end || CELL(i + 1, k) >= CELL(i, k + 1)))
            diff_step(d, '-', i++, k);
        else
            diff_step(d, '+', i, k++);
    }
#undef CELL
    free(length);
    return true;
}

static bool diff_compare(struct diff *d)
{
    size_t begin = 0, n = d->from.n, m = d->to.n;
    d->steps = calloc(n + m + 1, sizeof *d->steps);
    if (!d->steps)
        return false;
    while (begin < n && begin < m && line_same(d, begin, begin)) {
        diff_step(d, ' ', begin, begin);
        begin++;
    }
    while (n > begin && m > begin && line_same(d, n - 1, m - 1))
        n--, m--;
    if (!diff_middle(d, begin, n, begin, m))
        return false;
    for (; n < d->from.n; n++, m++)
        diff_step(d, ' ', n, m);
    return true;
}

static void print_line(const struct diff *d, const struct diff_step *s)
{
    const struct diff_line *line = s->sign == '+' ? &d->to.lines[s->to] : &d->from.lines[s->from];
    fprintf(d->out, "%c%.*s", s->sign, (int)line->n, line->at);
    if (line->n == 0 || line->at[line->n - 1] != '\n')
        fputs("\n\\ No newline at end of file\n", d->out);
}

/* Steps begin to end; an empty side is numbered by the line before it. */
static void print_hunk(const struct diff *d, size_t begin, size_t end)
{
    size_t from = 0, to = 0;
    for (size_t s = begin; s < end; s++) {
        from += d->steps[s].sign != '+';
        to += d->steps[s].sign != '-';
    }
    fprintf(d->out, "@@ -%zu,%zu +%zu,%zu @@\n", d->steps[begin].from + (from > 0), from,
            d->steps[begin].to + (to > 0), to);
    for (size_t s = begin; s < end; s++)
        print_line(d, &d->steps[s]);
}

static void print_hunks(const struct diff *d, const char *from_name, const char *to_name)
{
    for (size_t s = 0, end = 0; s < d->n_steps; s++) {
        if (d->steps[s].sign == ' ')
            continue;
        if (end == 0)
            fprintf(d->out, "--- %s\n+++ %s\n", from_name, to_name);
        size_t begin = s > end + DIFF_CONTEXT ? s - DIFF_CONTEXT : end, last = s;
        for (size_t k = s; k < d->n_steps && k <= last + 2 * DIFF_CONTEXT + 1; k++)
            if (d->steps[k].sign != ' ')
                last = k;
        end = last + 1 + DIFF_CONTEXT < d->n_steps ? last + 1 + DIFF_CONTEXT : d->n_steps;
        print_hunk(d, begin, end);
        s = end - 1;
    }
}

char *diff_unified(const char *from, const char *from_name, const char *to, const char *to_name)
{
    struct diff d = {0};
    char *text = NULL;
    size_t size;
    if (text_split(from, &d.from) && text_split(to, &d.to) && diff_compare(&d) &&
        (d.out = open_memstream(&text, &size)) != NULL) {
        print_hunks(&d, from_name, to_name);
        if (fclose(d.out) != 0) {
            free(text);
            text = NULL;
        }
    }
    free(d.from.lines);
    free(d.to.lines);
    free(d.steps);
    return text;
}
