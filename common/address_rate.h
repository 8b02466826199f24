/*
 * How often, per client address, in memory of a fixed size: each address has a bucket that is one number, the
 * moment up to which what it has used is paid for (GCRA). When there are more addresses than room, the one
 * that is least ahead of its rate is forgotten, so nobody suffers for another. IPv6 clients count by their
 * /64.
 */
#ifndef COMMON_ADDRESS_RATE_H
#define COMMON_ADDRESS_RATE_H

#include <stdbool.h>

#include "common/netaddr.h"

struct address_rate;

/* NULL when memory is out. */
struct address_rate *address_rate_new(void);
void address_rate_free(struct address_rate *r);
/* Counts one more at `now` (monotonic seconds), of per_second in the long run and `burst` at once. False, and
 * nothing counted, when the address has none left. */
bool address_rate_take(struct address_rate *r, const struct netaddr *a, double now, double per_second,
                       double burst);

#endif
