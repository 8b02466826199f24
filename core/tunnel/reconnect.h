/*
 * When to try again. Time and randomness are passed in; nothing here waits.
 *
 * The first retry after a tunnel that was up comes within half a second. Each further failure doubles the
 * wait up to RECONNECT_MAX, with jitter over its upper half so that many cores do not call in step. A tunnel
 * that comes up and dies at once, again and again, is retried fast RECONNECT_SHORT_LIVES times (an edge that
 * is being restarted); then it backs off as well.
 */
#ifndef CORE_TUNNEL_RECONNECT_H
#define CORE_TUNNEL_RECONNECT_H

#include <stdbool.h>
#include <stdint.h>

#define RECONNECT_FIRST  0.5 /* seconds */
#define RECONNECT_MAX    30.0
#define RECONNECT_STEADY 10.0 /* up for so long: all is forgotten */

enum { RECONNECT_SHORT_LIVES = 20 };

struct reconnect {
    unsigned failures;    /* in a row */
    unsigned short_lives; /* in a row: up, but not for long */
    bool up;
    double up_since;
};

void reconnect_init(struct reconnect *r);
/* The tunnel works as of now (seconds, monotonic). */
void reconnect_up(struct reconnect *r, double now);
/* It failed or ended. Returns the seconds to wait before the next attempt; random is any 32 random bits. */
double reconnect_down(struct reconnect *r, double now, uint32_t random);

#endif
