/* How far the limits of TURN are used, over all workers: for status. */
#ifndef EDGE_EDGE_USAGE_H
#define EDGE_EDGE_USAGE_H

#include <jansson.h>

/* workers: what each turn worker said (turn_worker_status). A new object, NULL when memory is out:
 *   { "relays": N, "relays_limit": N, "connections": N, "ports": N, "ports_used": N, "user_limit": N,
 *     "address_limit": N, "refused": N (requests, as some limit was reached), "dropped": N (packets),
 *     "users": [ { "user", "relays": N, "limit": N } ], "users_left_out": N, "relays_left_out": N }
 * Limits of 0: none. Users with the most relays come first. */
json_t *edge_usage(const json_t *workers);
/* Those lines for people. */
void edge_usage_print(const json_t *usage);

#endif
