#include "core/tunnel/reach.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/tunnel/dial.h"

enum { KNOCKS = 2 };

/* Two knocks in turn, each a little shorter than four ticks: with the kernel's own second try after 1 s, a
 * SYN leaves every half second. The first attempt after a connection is as short; the later, patient ones are
 * for slow networks. */
static const double knock_every = 0.5, knock_patience = 1.9, dial_patience = 5;

struct knock {
    struct reach *reach;
    struct dial *dial; /* NULL: not under way */
};

struct reach {
    struct ev_loop *loop;
    const struct reach_events *events;
    void *ctx;
    char host[256];
    uint16_t port;
    bool literal;                             /* host is an address, already in addrs */
    bool asked;                               /* an answer is waited for */
    struct netaddr addrs[DIAL_ADDRESSES_MAX]; /* with port */
    size_t n_addrs;
    struct dial *dial;
    struct knock knocks[KNOCKS];
    ev_timer knocker;
    ev_timer no_memory; /* tells of it from the loop */
};

void reach_stop(struct reach *r)
{
    ev_timer_stop(r->loop, &r->knocker);
    ev_timer_stop(r->loop, &r->no_memory);
    r->asked = false;
    dial_cancel(r->dial);
    r->dial = NULL;
    for (size_t i = 0; i < KNOCKS; i++) {
        dial_cancel(r->knocks[i].dial);
        r->knocks[i].dial = NULL;
    }
}

static void reach_connected(struct reach *r, int fd)
{
    reach_stop(r);
    r->events->on_connected(r->ctx, fd);
}

/* Knocks ------------------------------------------------------------------------------------------------- */

static void knock_on_answered(void *ctx, int fd, const struct netaddr *addr)
{
    struct knock *k = ctx;
    (void)addr;
    k->dial = NULL;
    reach_connected(k->reach, fd);
}

static void knock_on_failed(void *ctx, const char *words)
{
    struct knock *k = ctx;
    k->dial = NULL;
    k->reach->events->on_failed(k->reach->ctx, words, true);
}

static const struct dial_events knock_events = {knock_on_answered, knock_on_failed};

static void reach_on_knock(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct reach *r = t->data;
    for (size_t i = 0; i < KNOCKS; i++) {
        struct knock *k = &r->knocks[i];
        if (k->dial)
            continue;
        k->dial = dial_start(r->loop, r->addrs, r->n_addrs, knock_patience, &knock_events, k);
        return;
    }
}

/* Attempts ----------------------------------------------------------------------------------------------- */

static void reach_on_no_memory(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct reach *r = t->data;
    r->events->on_failed(r->ctx, "out of memory", false);
}

static void reach_on_dialled(void *ctx, int fd, const struct netaddr *addr)
{
    struct reach *r = ctx;
    (void)addr;
    r->dial = NULL;
    reach_connected(r, fd);
}

static void reach_on_dial_failed(void *ctx, const char *words)
{
    struct reach *r = ctx;
    r->dial = NULL;
    if (!ev_is_active(&r->knocker))
        ev_timer_again(r->loop, &r->knocker);
    r->events->on_failed(r->ctx, words, false);
}

static const struct dial_events attempt_events = {reach_on_dialled, reach_on_dial_failed};

static void reach_dial(struct reach *r)
{
    double patience = ev_is_active(&r->knocker) ? dial_patience : knock_patience;
    r->dial = dial_start(r->loop, r->addrs, r->n_addrs, patience, &attempt_events, r);
    if (!r->dial)
        ev_timer_start(r->loop, &r->no_memory);
}

void reach_answer(struct reach *r, const struct netaddr *addrs, size_t n, const char *error)
{
    if (!r->asked)
        return;
    r->asked = false;
    for (r->n_addrs = 0; r->n_addrs < n && r->n_addrs < DIAL_ADDRESSES_MAX; r->n_addrs++) {
        r->addrs[r->n_addrs] = addrs[r->n_addrs];
        r->addrs[r->n_addrs].port = r->port;
    }
    if (r->n_addrs > 0) {
        reach_dial(r);
        return;
    }
    reach_stop(r);
    r->events->on_failed(r->ctx, error ? error : "DNS: no address", false);
}

void reach_attempt(struct reach *r)
{
    if (r->asked || r->dial)
        return;
    if (r->literal) {
        reach_dial(r);
        return;
    }
    r->asked = true;
    r->events->on_question(r->ctx);
}

bool reach_is_resolved(const struct reach *r)
{
    return r->n_addrs > 0;
}

/* Life --------------------------------------------------------------------------------------------------- */

struct reach *reach_new(struct ev_loop *loop, const char *host, uint16_t port,
                        const struct reach_events *events, void *ctx)
{
    struct reach *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->loop = loop;
    r->events = events;
    r->ctx = ctx;
    r->port = port;
    snprintf(r->host, sizeof r->host, "%s", host);
    for (size_t i = 0; i < KNOCKS; i++)
        r->knocks[i].reach = r;
    ev_timer_init(&r->knocker, reach_on_knock, knock_every, knock_every);
    ev_timer_init(&r->no_memory, reach_on_no_memory, 0, 0);
    r->knocker.data = r->no_memory.data = r;
    r->literal = netaddr_parse(host, port, &r->addrs[0]) == ERR_OK;
    r->n_addrs = r->literal;
    return r;
}

void reach_free(struct reach *r)
{
    if (!r)
        return;
    reach_stop(r);
    free(r);
}
