/*
 * How many requests an address may make (IPv6: one /64): to each belongs a bucket that holds `burst` of them and
 * fills at `rate` a second. Memory is fixed: addresses share buckets by a keyed hash, which they can neither
 * choose nor, being so many, use up for others.
 */
#ifndef EDGE_WEB_RATE_H
#define EDGE_WEB_RATE_H

#include <stdbool.h>

#include "common/netaddr.h"

struct rate;

/* NULL when memory is out. */
struct rate *rate_new(void);
void rate_free(struct rate *r);
/* Takes one request out of the client's bucket; false when there is none in it. now: seconds, monotonic. */
bool rate_take(struct rate *r, const struct netaddr *client, long rate, long burst, double now);

#endif
