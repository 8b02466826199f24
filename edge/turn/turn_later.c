#include "edge/turn/turn_later.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "edge/turn/turn_reply.h"

struct turn_later {
    struct turn_request request;
    uint8_t message[];
};

struct turn_later *turn_later_keep(const struct turn_request *r)
{
    struct turn_later *l = malloc(sizeof *l + r->msg.size);
    if (!l)
        return NULL;
    memcpy(l->message, r->msg.data, r->msg.size);
    l->request = *r;
    l->request.allocation = NULL; /* may be gone by then */
    l->request.msg.data = l->message;
    l->request.msg.transaction = l->message + (r->msg.transaction - r->msg.data);
    turn_account_hold(r->account);
    return l;
}

void turn_later_free(struct turn_later *l)
{
    if (!l)
        return;
    turn_account_release(l->request.account);
    OPENSSL_cleanse(&l->request.key, sizeof l->request.key);
    free(l);
}

void turn_later_succeed(struct turn_later *l, uint32_t connection_id)
{
    struct turn_reply reply;
    turn_reply_begin(&reply, &l->request, STUN_SUCCESS);
    if (connection_id)
        stun_put_u32(&reply.writer, STUN_CONNECTION_ID, connection_id);
    l->request.server->counters.successes[l->request.msg.method]++;
    turn_reply_send(&reply, &l->request);
    turn_later_free(l);
}

void turn_later_fail(struct turn_later *l, int code)
{
    turn_request_refuse(&l->request, code);
    turn_later_free(l);
}
