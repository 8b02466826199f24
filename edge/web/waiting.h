/*
 * Requests that wait for a tunnel. When the last one has just gone (core is restarted, sshd was killed, a
 * firewall reset the connection), the next is there within a second or two: until then requests that nobody
 * has seen yet, and those that may be sent again, wait instead of failing. Bounded: limits.waiting_requests
 * of them, a tenth of that (at least one) for each address, so that one does not take the places of all; and
 * only for limits.wait_seconds after a tunnel was lost; in a longer outage guests are told at once.
 */
#ifndef EDGE_WEB_WAITING_H
#define EDGE_WEB_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "common/address_table.h"
#include "common/netaddr.h"

struct web;
struct request;

/* Part of a request. */
struct waiter {
    TAILQ_ENTRY(waiter) next;
    struct request *request;
    struct netaddr client; /* set before it is added */
    bool waits;
};

struct waiting {
    TAILQ_HEAD(, waiter) list;
    size_t n;
    struct address_table *addresses; /* whose they are; NULL before setup */
    double since;                    /* web->now when a tunnel was lost */
};

void waiting_init(struct web *w);
void waiting_free(struct web *w);
/* For limits.waiting_requests = most, at setup and when limits change. ERR_MEMORY: nothing has changed. */
enum err waiting_resize(struct web *w, size_t most);
/* False: it is not to wait, an answer is due now. */
bool waiting_add(struct web *w, struct waiter *x);
/* Also when it does not wait. */
void waiting_remove(struct web *w, struct waiter *x);
/* A tunnel that took requests takes no more. */
void waiting_begin(struct web *w);
/* A tunnel takes requests: all that wait are sent (request_go). */
void waiting_serve(struct web *w);
/* Once a second: those that have waited long enough are answered (request_waited). */
void waiting_sweep(struct web *w);

#endif
