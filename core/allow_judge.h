/* The allow list for people and programs: its rules with where they come from, and what it says to a request. */
#ifndef CORE_ALLOW_JUDGE_H
#define CORE_ALLOW_JUDGE_H

#include <jansson.h>

#include "proto/policy.h"

/* A new array in the order in which rules are tried: each as in proto/allowlist.h, with its number, its source
 * ("automatic", "config") and the join host of its domain. NULL when memory is out. */
json_t *allow_rules(const struct policy *p, const struct config *c);
/* {allowed, text, rule, status}: text says by which rule, or what is missing. NULL when memory is out. */
json_t *allow_verdict(const struct policy *p, const struct config *c, const char *url, const char *method);

#endif
