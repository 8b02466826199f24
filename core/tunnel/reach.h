/*
 * A TCP connection to an edge, by name: has it resolved, dials, and goes on trying.
 *
 * An attempt asks its owner for the name's addresses and dials them. When the port did not even answer, it is
 * knocked on twice a second (one SYN each) until the next attempt, or reach_stop: so a connection is there
 * within about a second of the network being back. Somebody who answers and then refuses is not our matter:
 * the owner calls reach_stop then, and waits.
 */
#ifndef CORE_TUNNEL_REACH_H
#define CORE_TUNNEL_REACH_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/netaddr.h"

struct reach;

/* Called from the loop only; they may call anything here. */
struct reach_events {
    /* fd is connected, non-blocking, the callee's. Nothing is tried any more. */
    void (*on_connected)(void *ctx, int fd);
    /* An attempt has failed, or (knock) one of the knocks after it. */
    void (*on_failed)(void *ctx, const char *words, bool knock);
    /* The host's addresses are wanted: reach_answer follows, later, from the loop. Not called for a host that
     * is an address. */
    void (*on_question)(void *ctx);
};

/* host (copied) is a name or an address. NULL: out of memory. */
struct reach *reach_new(struct ev_loop *loop, const char *host, uint16_t port,
                        const struct reach_events *events, void *ctx);
/* NULL is fine. */
void reach_free(struct reach *r);
/* Starts an attempt; one that is under way goes on. */
void reach_attempt(struct reach *r);
/* The answer to on_question; without addresses, why there are none (NULL: there is no such address). One that
 * nobody waits for any more is forgotten. */
void reach_answer(struct reach *r, const struct netaddr *addrs, size_t n, const char *error);
/* Ends attempt and knocks without a call. */
void reach_stop(struct reach *r);
/* The name was resolved by the last attempt. */
bool reach_is_resolved(const struct reach *r);

#endif
