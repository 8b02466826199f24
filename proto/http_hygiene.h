/*
 * What a message may carry across Stile, beyond the hop-by-hop rule: who the client is said by us and not by
 * the client, and nothing that would make the bridge see another method or path than the one that was judged.
 */
#ifndef PROTO_HTTP_HYGIENE_H
#define PROTO_HTTP_HYGIENE_H

#include "common/err.h"
#include "common/netaddr.h"
#include "proto/http_message.h"

/* Removes fields that override what the allow-list judged (X-HTTP-Method-Override, X-Original-URL and their
 * like, with "-" or "_"). Both boxes do this; core since the edge may be lying. */
void http_hygiene_strip_overrides(struct http_message *m);

/*
 * A request that leaves the edge for core: hop-by-hop fields and overrides out; X-Forwarded-*, X-Real-IP,
 * Forwarded and X-Request-Id replaced by what we know; Via added. The authority must be in canonical form
 * already. ERR_FULL, ERR_MEMORY.
 */
struct http_hygiene_origin {
    const struct netaddr *client;
    const char *received; /* for Via: "1.1" or "2.0" */
    const char *request_id;
};
enum err http_hygiene_request(struct http_message *m, const struct http_hygiene_origin *origin);

/*
 * A request that core takes from an edge, which may be lying: overrides out as above; what it says of the
 * client (one address in X-Forwarded-For) and the request's id pass if they are such, in core's own words,
 * and the host in X-Forwarded-Host and Forwarded is the authority, which core has judged. ERR_FULL,
 * ERR_MEMORY.
 */
enum err http_hygiene_restate(struct http_message *m);

/* A response on its way to the guest: hop-by-hop fields out, what the boxes say to each other (stile-*), and
 * Alt-Svc, which would name ports that are not ours. */
void http_hygiene_response(struct http_message *m);

#endif
