/*
 * The monotonic clock, in seconds, for everything that measures how long. (libev's ev_now is the time of day
 * and follows it when somebody sets it; its timers do not.)
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <time.h>

static inline double clock_monotonic(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#endif
