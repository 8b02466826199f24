/* What the files of core/egress share; nobody else includes it. */
#ifndef CORE_EGRESS_EGRESS_INTERNAL_H
#define CORE_EGRESS_EGRESS_INTERNAL_H

#include <sys/queue.h>

#include "common/histogram.h"
#include "common/log.h"
#include "core/egress/egress.h"
#include "core/egress/pool.h"
#include "proto/allowlist.h"
#include "proto/http_message.h"

struct exchange;

struct egress {
    struct ev_loop *loop;
    const struct egress_events *events;
    void *ctx;
    const struct egress_limits *limits;
    struct allowlist allowlist;
    struct domain **rule_domains; /* for each rule of it, whose bridges serve what it allows */
    struct pool pool;
    TAILQ_HEAD(, exchange) exchanges;
    size_t running, websockets; /* websockets: those of them that are open */
    size_t waiting, grown;      /* bytes that wait in all exchanges, as last weighed; bytes added since */
    bool crowded;               /* many: queues are kept short */
    ev_timer sweep;
    double now;                   /* seconds, monotonic, as of the last sweep: no clock is read per request */
    double round;                 /* the same, as of the beginning of this round of the loop: for durations */
    ev_check clock;               /* reads it */
    struct histogram bridge;      /* from a request's head to the head of the bridge's answer */
    struct http_message response; /* scratch: a bridge's head during its callback */
    struct http_message answer;   /* scratch: what core answers by itself */
    struct log_limit refusals, failures, unreachables;
    struct {
        uint64_t requests, websockets, retries, unreachable, bytes_in, bytes_out;
        uint64_t by_reason[EGRESS_REASON_COUNT];
    } count;
};

unsigned egress_reason_status(enum egress_reason r);
const char *egress_reason_words(enum egress_reason r);

/* n bytes were put into some exchange's queues. */
void egress_note_growth(struct egress *e, size_t n);

/* refusal.c: counts, logs and tells what was refused, and what failed (target may be NULL).
 * request: the id that the edge gave. */
void egress_note_refusal(struct egress *e, const struct http_message *m, enum egress_reason r,
                         const char *why);
void egress_note_unreachable(struct egress *e, const char *target, const char *words);
void egress_note_failure(struct egress *e, enum egress_reason r, const char *target, const char *request,
                         const char *words);

#endif
