/*
 * The domains of core's config: to each join host its bridges' CA and its targets. A new config is prepared
 * as a second set; what did not change in it goes over with its state, so that a reload probes nothing anew.
 */
#ifndef CORE_BRIDGE_DOMAINS_H
#define CORE_BRIDGE_DOMAINS_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>

#include "common/box.h"
#include "common/netaddr.h"
#include "proto/policy.h"

struct domains;

struct domains_events {
    /* The targets of domain i, or a state among them, have changed. */
    void (*on_change)(void *ctx, size_t i);
};

/* Reads the CAs of config's domains (files beside it in box) and prepares their targets; asks nobody until
 * domains_start. events must outlive it. why (SCHEMA_WHY bytes) names the key that is wrong. */
enum err domains_new(struct ev_loop *loop, const struct box *box, const struct config *config,
                     const struct domains_events *events, void *ctx, struct domains **out, char *why);
/* Gives fresh the targets of those domains that are the same in both: host, CA and configured targets. Cannot
 * fail. */
void domains_take_over(struct domains *fresh, struct domains *old);
/* True the first time for the targets of domain i; not again for those that were taken over. */
bool domains_first_use(struct domains *d, size_t i);
/* Resolves and probes what does not yet run. */
void domains_start(struct domains *d);
/* NULL is fine. */
void domains_free(struct domains *d);

size_t domains_count(const struct domains *d);
/* Asks DNS again now, for every domain. */
void domains_flush(struct domains *d);
/* An array of the names that DNS is asked for, in words. */
json_t *domains_names(const struct domains *d);
/* A tunnel worker could not use this target of the domain of host: it is probed now. */
void domains_hint_failed(struct domains *d, const char *host, const struct netaddr *addr);

/* For tunnel workers, as tunnel_worker.h has it: the member domains of a policy. policy was made of the same
 * config. NULL when memory is out. */
json_t *domains_policy(const struct domains *d, const struct policy *policy);
/* For tunnel workers: the message with the targets of domain i. */
json_t *domains_targets(const struct domains *d, size_t i);
/* An array of {join_url, domain: join host, targets: [what targets_status makes]}. */
json_t *domains_status(const struct domains *d);

#endif
