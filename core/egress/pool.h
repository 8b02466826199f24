/*
 * Connections to the web bridges: TLS, verified against the CA and the join host of the domain that a target
 * is of; kept for the next request when one is done, taken newest first, closed after a while of idleness.
 * New ones resume the TLS session of an earlier one to the same target of the same domain.
 *
 * A connection in use belongs to whom pool_take or pool_connect gave it, who gets its stream's events, until
 * pool_give or pool_discard.
 */
#ifndef CORE_EGRESS_POOL_H
#define CORE_EGRESS_POOL_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "common/err.h"
#include "common/stream.h"
#include "core/egress/domain.h"
#include "core/egress/target_set.h"

enum {
    POOL_SPARE_DESCRIPTORS = 128, /* not for connections */
    POOL_IDLE_MAX = 128,          /* kept per target */
    CONNECTION_QUEUE =
        256 * 1024,            /* most bytes queued towards a bridge: a large head and POOL's high water */
    CONNECTION_LOW = 2 * 1024, /* on_drained; below every limit of exchange.h */
};

struct connection {
    TAILQ_ENTRY(connection) next; /* in target->idle, or in pool->closing */
    struct pool *pool;
    struct target *target;
    struct stream *stream;
    double idle_since, idle_until;
    unsigned generation; /* of the domain when it was made */
    bool reused;         /* has served a request before */
    bool idle, closing;
};

struct pool {
    struct ev_loop *loop;
    struct domain_list domains; /* empty: no policy yet */
    size_t n_connections, n_idle;
    size_t most; /* connections, so that descriptors are left for everything else */
    TAILQ_HEAD(, connection) closing;
    double now; /* the owner's sweep sets it: seconds, monotonic */
};

void pool_init(struct pool *p, struct ev_loop *loop);
/* No connection may be in use. */
void pool_free(struct pool *p);
/* Domains as domain_list_read reads them, to be committed or freed. */
enum err pool_prepare(const json_t *rows, struct domain_list *fresh, char *why, size_t why_size);
/* Takes over what pool_prepare made: fresh is empty then. Known domains keep their targets. Where a domain
 * has gone, or its CA has changed, idle connections are closed, and those in use will be when given back. */
void pool_commit(struct pool *p, struct domain_list *fresh);
/* Closes idle connections to targets of d that are no longer Active. */
void pool_set_targets(struct domain *d, const json_t *rows);
/* Closes what has been idle for long enough. */
void pool_sweep(struct pool *p);

#define POOL_ANY_AGE 1e18

/* An idle connection to t that was in use at most max_idle seconds ago, or NULL. Less than POOL_ANY_AGE: for
 * what may not be sent twice; one that the bridge has closed, or said something on, is not taken. */
struct connection *pool_take(struct pool *p, struct target *t, double max_idle,
                             const struct stream_events *events, void *ctx);
/* A new one; on_open or on_close follows. NULL when memory is out, or there are as many as there may be. */
struct connection *pool_connect(struct pool *p, struct target *t, const struct stream_events *events,
                                void *ctx);
/* The exchange on c is over and the next one may begin: at most `keep` seconds from now. */
void pool_give(struct connection *c, double keep);
/* Closes it at once, dropping what is queued. */
void pool_discard(struct connection *c);
/* Closes it when what is queued has been sent, or after a few seconds. */
void pool_close(struct connection *c);

#endif
