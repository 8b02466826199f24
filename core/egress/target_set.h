/*
 * The web bridges that requests may go to, as main's probes see them (core/bridge/targets), and the choice
 * among them: Active ones of the best priority, by weight (RFC 2782), in turn where weights are equal.
 *
 * A target lives as long as it is listed or has connections; the pool counts those.
 */
#ifndef CORE_EGRESS_TARGET_SET_H
#define CORE_EGRESS_TARGET_SET_H

#include <jansson.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/netaddr.h"

struct connection;
struct domain;

struct target {
    TAILQ_ENTRY(target) next;
    struct domain *domain; /* whose it is */
    struct netaddr addr;
    char text[NETADDR_TEXT]; /* addr, for the log */
    uint32_t id;             /* never used twice */
    unsigned priority;
    int64_t weight, current; /* share of requests; running credit of the smooth round robin */
    bool listed, active;
    double suspect_until; /* a request could not connect: others first until then */
    double told;          /* when main was told so last; for the rate */
    /* The pool's: */
    TAILQ_HEAD(connections, connection) idle; /* newest first */
    size_t n_idle, n_connections;             /* n_connections counts idle and busy ones */
    SSL_SESSION *session;                     /* to resume; NULL: none yet */
};

#define TARGET_SUSPECT_SECONDS 5.0 /* longer than main's probe takes to find out */
#define TARGET_TELL_SECONDS    1.0

struct target_set {
    struct domain *domain;
    TAILQ_HEAD(, target) all;
    uint32_t last_id;
};

void target_set_init(struct target_set *s, struct domain *domain);
/* No target may have connections. */
void target_set_free(struct target_set *s);
/* Takes over what targets_status made; rows without an address are skipped, known addresses keep their
 * target. Those no longer listed stay until target_set_prune. */
void target_set_update(struct target_set *s, const json_t *rows);
/* Frees targets that are neither listed nor connected. */
void target_set_prune(struct target_set *s);
/* No connection resumes what an earlier one verified. */
void target_set_drop_sessions(struct target_set *s);

/* True when target_set_choose would find one. */
bool target_set_has(const struct target_set *s, const uint32_t *tried, size_t n);
/* The next target, none of the n whose ids are in tried; NULL when no Active one is left. */
struct target *target_set_choose(struct target_set *s, const uint32_t *tried, size_t n, double now);

#endif
