/* What the load generators share: a clock, what a process used, name spaces, arguments. Whatever fails ends
 * the program with a message: a benchmark that goes on with half of its load measures nothing. */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stddef.h>
#include <stdint.h>

#include "common/netaddr.h"

enum { BENCH_PROCESSES = 64 };

/* The processes of one server. */
struct bench_pids {
    int pid[BENCH_PROCESSES];
    size_t n;
};

_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Nanoseconds, monotonic. */
uint64_t bench_now(void);

/* The value of "key=value" among argv[1...]; fails without one unless fallback is given. */
const char *bench_option(char **argv, const char *key, const char *fallback);
unsigned long bench_number(char **argv, const char *key, const char *fallback);
struct netaddr bench_address(const char *text);
/* "12,13,14" */
struct bench_pids bench_pids(const char *text);

/* Nanoseconds that the scheduler gave to all their threads so far (schedstat: exact, not sampled at ticks).
 */
uint64_t bench_cpu(const struct bench_pids *p);
/* KiB of private memory that is resident (smaps_rollup), and open descriptors. */
uint64_t bench_private_kib(const struct bench_pids *p);
uint64_t bench_descriptors(const struct bench_pids *p);

/* Sockets opened from now on belong to the network name space /run/netns/NAME. */
void bench_enter(const char *name);
/* A datagram socket with a large buffer, bound if `local` is given, connected if `remote` is. */
int bench_socket(const struct netaddr *local, const struct netaddr *remote);
/* As many descriptors as this user may have. */
void bench_raise_descriptors(void);

#endif
