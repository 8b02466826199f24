/* The sockets of an edge, opened by main before it gives up privileges, kept by it so that a worker's restart
 * loses none. */
#ifndef EDGE_LISTENERS_H
#define EDGE_LISTENERS_H

#include <stddef.h>

#include "common/config.h"
#include "edge/turn/turn_worker.h"

enum { LISTENERS_WORKERS_MAX = 64, LISTENERS_WEB_MAX = 2, LISTENERS_TURN_MAX = 48 };

struct web_listeners {
    int https[LISTENERS_WEB_MAX], http[LISTENERS_WEB_MAX];
    size_t n_https, n_http;
};

struct turn_listeners {
    struct turn_socket sockets[LISTENERS_TURN_MAX];
    size_t n;
};

/* One set per worker. why[SCHEMA_WHY] says which address and port could not be had, and why. On error nothing
 * stays open. */
enum err web_listeners_open(const struct config_edge *self, struct web_listeners *sets, size_t n, char *why);
enum err turn_listeners_open(const struct config_edge *self, struct turn_listeners *sets, size_t n,
                             char *why);
void web_listeners_close(struct web_listeners *sets, size_t n);
void turn_listeners_close(struct turn_listeners *sets, size_t n);

enum { LOCAL_ADDRESSES_MAX = 4096 }; /* that are looked at: what is beyond them is not known as our own */

/* The addresses of this box's interfaces, link-local ones left out; returns how many of at most `most`. */
size_t listeners_local_addresses(struct netaddr *out, size_t most);

#endif
