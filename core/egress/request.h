/* The head of a request on its way to the bridge: judged, cleaned, serialised anew. And what comes back,
 * cleaned. */
#ifndef CORE_EGRESS_REQUEST_H
#define CORE_EGRESS_REQUEST_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"
#include "core/egress/egress_internal.h"
#include "core/egress/websocket.h"
#include "proto/http_message.h"

enum { REQUEST_ID_MAX = 63 };

/* What the rest of the exchange must know of its request. */
struct request {
    char id[REQUEST_ID_MAX + 1];       /* the edge's; "" when it gave none */
    struct domain *domain;             /* whose bridges it goes to */
    struct buf head;                   /* as it goes on the wire */
    bool chunked;                      /* how its body is framed */
    bool expect_head;                  /* HEAD: the response has no body */
    bool idempotent;                   /* RFC 9110 §9.2.2: may be sent twice */
    bool safe;                         /* RFC 9110 §9.2.1, without a body: asks only */
    struct websocket_opening *opening; /* a WebSocket is wanted, and not yet opened; owned */
};

/* Judges m (which is changed) and fills *r, which must be empty. On refusal, ERR_REFUSED and *reason. */
enum err request_prepare(struct egress *e, struct http_message *m, struct request *r,
                         enum egress_reason *reason);
void request_free(struct request *r);

/* Takes out of a bridge's response head what must not cross, and adds Via. ERR_FULL: too large for the
 * tunnel. */
enum err response_clean(struct http_message *m);

#endif
