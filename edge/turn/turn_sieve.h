/*
 * Floods. When more comes to a listening socket than its worker takes off, the kernel drops what finds the
 * socket's buffer full, clients' packets and strangers' alike. Before that happens, the kernel is given a
 * filter for the socket: packets from clients with an allocation pass, of all others one in 2, 4, 8 …, so
 * that new clients still get in by asking again. It goes when the flood is over.
 *
 * The filter is a classic one (SO_ATTACH_FILTER): it takes no privilege and runs before anything is queued.
 * It has no tables, so clients are known by one bit out of 2^14, at a place that a keyed hash of their
 * address and port says; the bits are written into the program as a search tree. Of strangers, as many pass
 * by chance as bits are set: 6 % beside 1000 clients of one worker.
 *
 * A connected socket per client would do the same, but up to Linux 6.12 all sockets of one address and port
 * are searched one after the other for each packet.
 */
#ifndef EDGE_TURN_TURN_SIEVE_H
#define EDGE_TURN_TURN_SIEVE_H

#include <linux/filter.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/netaddr.h"

struct turn_server;

enum {
    TURN_SIEVE_BITS = 14,
    TURN_SIEVE_WORDS = 1 << (TURN_SIEVE_BITS - 5),
    TURN_SIEVE_STEP = 2,
    TURN_SIEVE_LEVEL_MAX = 10,
    TURN_SIEVE_FACTORS = 6, /* four words of address, the port, a sum */
};

struct turn_sieve {
    int fd;
    struct netaddr local;
    unsigned level;  /* of strangers' packets one in 2^level passes; 0: no filter */
    unsigned bursts; /* full ones, one after the other */
    uint32_t queued; /* bytes in the socket's buffer when the filter was last made stricter */
    uint32_t strict; /* the second in which it was */
    uint32_t drops;  /* the kernel's counter, as last seen */
    bool drained;    /* the socket was empty once since the filter was made stricter */
    bool stale;      /* clients came or went since the filter was made */
    uint32_t factors[TURN_SIEVE_FACTORS];
};

/* For a UDP socket that is bound to local. Takes off what a predecessor may have left there. */
void turn_sieve_init(struct turn_sieve *s, int fd, const struct netaddr *local);

/* What one reading of the socket brought. */
struct turn_sieve_burst {
    const struct sockaddr_in6 *from; /* n senders; IPv4 ones are sockaddr_in */
    unsigned n;
    unsigned listener; /* the socket's number, for turn_key_udp */
    bool full;         /* as much as could be taken at once */
};
/* After each reading of the socket. The filter gets stricter only while a fair part of what comes is
 * strangers': clients pass it, so one that sends too much, or all of them together, would shut newcomers out
 * and nothing else. */
void turn_sieve_feel(struct turn_sieve *s, struct turn_server *server, const struct turn_sieve_burst *burst);
/* Once a second. */
void turn_sieve_tick(struct turn_sieve *s, struct turn_server *server);

/* Where the bit of this client is: 0 … 2^TURN_SIEVE_BITS - 1. */
uint32_t turn_sieve_place(const struct turn_sieve *s, const struct netaddr *client);
/* The filter for these bits; how many instructions it has, BPF_MAXINSNS at most. */
size_t turn_sieve_program(const struct turn_sieve *s, const uint32_t bits[TURN_SIEVE_WORDS],
                          struct sock_filter out[BPF_MAXINSNS]);

#endif
