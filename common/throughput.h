/* How fast a total grows: over the last five seconds, from marks made about once a second. */
#ifndef COMMON_THROUGHPUT_H
#define COMMON_THROUGHPUT_H

#include <stddef.h>
#include <stdint.h>

enum { THROUGHPUT_SECONDS = 5 };

/* All zero: nothing marked yet. */
struct throughput {
    struct {
        double at;
        uint64_t total;
    } marks[THROUGHPUT_SECONDS + 1]; /* a ring; next is the oldest one once it is full */
    size_t n, next;
};

/* now: monotonic seconds. A total smaller than before begins anew: what was counted is another one. */
void throughput_mark(struct throughput *t, uint64_t total, double now);
/* A second, between the oldest and the newest mark; 0 with less than two of them. */
double throughput_rate(const struct throughput *t);

#endif
