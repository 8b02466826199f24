/* Addresses of this box that come and go: none of them becomes a peer for having come later, and a turn
 * worker that found none to relay from does not stay idle. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address_watch.h"
#include "common/alarms.h"
#include "common/log.h"
#include "edge/edge.h"

static const double retry_first = 1, retry_longest = 30;

struct edge_addresses {
    struct edge *edge;
    struct address_watch *watch;
    json_t *told;   /* own_addresses as the workers have them */
    ev_timer retry; /* runs while a worker waits */
    double backoff;
    struct worker *waiting[LISTENERS_WORKERS_MAX]; /* by index; NULL: not waiting */
};

static void try_again(struct edge_addresses *a)
{
    char why[SCHEMA_WHY];
    bool left = false;
    for (size_t i = 0; i < LISTENERS_WORKERS_MAX; i++) {
        struct worker *w = a->waiting[i];
        if (!w || !worker_running(w)) {
            a->waiting[i] = NULL; /* one that is started again comes by itself */
        } else if (edge_turn_set_up(a->edge, w, why)) {
            a->waiting[i] = NULL;
            log_event(LOG_NOTICE, "Relay Address Found", "worker=%s", worker_name(w));
        } else {
            left = true;
        }
    }
    ev_timer_stop(a->edge->loop, &a->retry);
    if (!left) {
        alarm_clear(ALARM_RELAY_ADDRESS_MISSING, "");
        a->backoff = retry_first;
        return;
    }
    ev_timer_set(&a->retry, a->backoff, 0);
    ev_timer_start(a->edge->loop, &a->retry);
    a->backoff = a->backoff * 2 < retry_longest ? a->backoff * 2 : retry_longest;
}

static void on_retry(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    try_again(t->data);
}

void edge_addresses_await(struct edge *e, struct worker *w, const char *why)
{
    struct edge_addresses *a = e->addresses;
    log_event(LOG_ERR, "Relay Address Missing", "worker=%s reason=\"%s\" retry_in=%.0fs", worker_name(w), why,
              a->backoff);
    alarm_raise(ALARM_RELAY_ADDRESS_MISSING, "", why);
    a->waiting[worker_index(w)] = w;
    if (ev_is_active(&a->retry))
        return;
    ev_timer_set(&a->retry, a->backoff, 0);
    ev_timer_start(e->loop, &a->retry);
}

static void on_changed(void *addresses)
{
    struct edge_addresses *a = addresses;
    struct edge *e = a->edge;
    json_t *now = edge_turn_own_addresses(e);
    if (now && !json_equal(now, a->told)) {
        log_event(LOG_NOTICE, "Own Addresses Changed", "addresses=%zu", json_array_size(now));
        for (size_t i = 0; i < e->n_turn; i++)
            if (e->turn[i])
                worker_update(e->turn[i], "addresses",
                              json_pack("{ss sO}", "type", "addresses", "own_addresses", now));
        json_decref(a->told);
        a->told = json_incref(now);
    }
    json_decref(now);
    if (ev_is_active(&a->retry))
        try_again(a);
}

enum err edge_addresses_start(struct edge *e, char *why)
{
    struct edge_addresses *a = calloc(1, sizeof *a);
    if (!a) {
        snprintf(why, SCHEMA_WHY, "out of memory");
        return ERR_MEMORY;
    }
    a->edge = e;
    a->backoff = retry_first;
    a->told = edge_turn_own_addresses(e);
    ev_timer_init(&a->retry, on_retry, 0, 0);
    a->retry.data = a;
    a->watch = address_watch_new(e->loop, on_changed, a);
    if (!a->watch)
        log_event(LOG_WARNING, "Own Addresses Not Watched", "reason=\"%s\"", strerror(errno));
    e->addresses = a;
    return ERR_OK;
}

void edge_addresses_stop(struct edge *e)
{
    struct edge_addresses *a = e->addresses;
    if (!a)
        return;
    ev_timer_stop(e->loop, &a->retry);
    address_watch_free(a->watch);
    json_decref(a->told);
    free(a);
    e->addresses = NULL;
}
