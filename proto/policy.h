/* From the shared config to the allow-list that both boxes enforce: the automatic rules and the config's own.
 */
#ifndef PROTO_POLICY_H
#define PROTO_POLICY_H

#include <jansson.h>

#include "common/config.h"
#include "common/err.h"

/* A new JSON array for allowlist_from_json. why names the key that is wrong. */
enum err policy_allowlist(const struct config *c, json_t **out, char *why, size_t why_size);

#endif
