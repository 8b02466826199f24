/*
 * From the shared config to what both boxes enforce: the allow-list (the automatic rules of every domain,
 * then the config's own, domain by domain) and which domain's bridges serve which host.
 */
#ifndef PROTO_POLICY_H
#define PROTO_POLICY_H

#include <jansson.h>
#include <stddef.h>

#include "common/config.h"
#include "common/err.h"
#include "proto/allowlist.h"

struct policy {
    struct allowlist list;
    size_t automatic; /* so many of the first rules are automatic */
    uint8_t *domains; /* for each rule the number of its domain, as config_domain_at has it */
};

/* why says which key is wrong: a rule that is none, or a host that would belong to two domains. *out is set
 * only on success; the caller frees it with policy_free. */
enum err policy_make(const struct config *c, struct policy *out, char *why, size_t why_size);
void policy_free(struct policy *p);

/* The domain that a host of a new rule (canonical) belongs to: the one whose join host it is or whose rules
 * name it, else the first. */
size_t policy_domain_of(const struct policy *p, const struct config *c, const char *host);
/* The hosts of domain i, its join host among them: a new array of texts, NULL when memory is out. */
json_t *policy_hosts(const struct policy *p, size_t i);
/* The same rules as policy_make's: a new JSON array for allowlist_from_json. */
enum err policy_allowlist(const struct config *c, json_t **out, char *why, size_t why_size);
/* The join URLs of all domains, for the policy that edges are sent: a new array, NULL when memory is out. */
json_t *policy_join_urls(const struct config *c);
/* Judges the member join_urls of a policy: a list of URLs. What an older core sent without it is right. */
enum err policy_check_join_urls(const json_t *urls, char *why, size_t why_size);
/* The hosts of join URLs that were judged: a new array of texts, NULL when memory is out. */
json_t *policy_join_hosts(const json_t *urls);

#endif
