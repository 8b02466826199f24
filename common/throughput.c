#include "common/throughput.h"

enum { MARKS = THROUGHPUT_SECONDS + 1 };

/* The n-th mark from the newest one, which is 0, backwards. */
static size_t at_age(const struct throughput *t, size_t n)
{
    return (t->next + MARKS - 1 - n) % MARKS;
}

void throughput_mark(struct throughput *t, uint64_t total, double now)
{
    if (t->n && total < t->marks[at_age(t, 0)].total)
        t->n = 0;
    t->marks[t->next].at = now;
    t->marks[t->next].total = total;
    t->next = (t->next + 1) % MARKS;
    if (t->n < MARKS)
        t->n++;
}

double throughput_rate(const struct throughput *t)
{
    if (t->n < 2)
        return 0;
    size_t newest = at_age(t, 0), oldest = at_age(t, t->n - 1);
    double seconds = t->marks[newest].at - t->marks[oldest].at;
    return seconds > 0 ? (double)(t->marks[newest].total - t->marks[oldest].total) / seconds : 0;
}
