/* The signalling of a TURN client, as far as the benchmarks need it: challenge, Allocate, ChannelBind,
 * Refresh. */
#ifndef TESTS_BENCH_TURN_CLIENT_H
#define TESTS_BENCH_TURN_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/netaddr.h"

enum {
    CLIENT_MESSAGE = 600, /* room that a request takes */
    CLIENT_NONCE = 128,
    CLIENT_CHANNEL = 0x4000,
};

enum client_ask { CLIENT_ALLOCATE, CLIENT_BIND, CLIENT_REFRESH, CLIENT_RELEASE };

/* One 5-tuple. All use the credentials u:p. */
struct client {
    int fd; /* connected to the server */
    uint8_t nonce_len;
    char nonce[CLIENT_NONCE];
};

/* Writes a request into memory; its size. peer only for CLIENT_BIND. Without a nonce it is unsigned: the
 * server answers with a challenge. */
size_t client_request(struct client *c, enum client_ask ask, const struct netaddr *peer,
                      uint8_t memory[CLIENT_MESSAGE]);

enum client_answer { CLIENT_SUCCESS, CLIENT_AGAIN, CLIENT_REFUSED };

/* What the server said. CLIENT_AGAIN: it was a challenge, which is noted; ask again. */
enum client_answer client_take(struct client *c, const uint8_t *packet, size_t n);

/* Asks until there is an answer and fails the program when it is no success. */
void client_must(struct client *c, enum client_ask ask, const struct netaddr *peer);

#endif
