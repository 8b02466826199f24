/*
 * Who sent a request: RFC 8489 §9.2, all of it, for users of the config and for ephemeral credentials. What
 * is told apart, and what clients see of it, is described in docs/turn-authentication.md.
 */
#ifndef EDGE_TURN_TURN_AUTH_H
#define EDGE_TURN_TURN_AUTH_H

#include "edge/turn/turn_request.h"
#include "proto/stun_nonce.h"

/* What challenges offer under this config: password algorithms where SHA-256 is one of them, and hashed user
 * names where every name could be looked up by its hash. */
struct stun_offer turn_auth_offer(const struct turn_config *c);

/* 0, or 400, 401, 438, 500. When it is 0, r->account (held), r->credentials_end, r->key and r->reply_sha256
 * are set. */
int turn_auth_check(struct turn_request *r);

/* Lets go of the account, and wipes the key. */
void turn_auth_end(struct turn_request *r);

/* True when the request, authenticated, has the user name that the allocation was made with (RFC 8656 §5). Of
 * ephemeral credentials the whole name counts, time included: "the same username" says no less, clients never
 * change credentials within an allocation, and somebody with newer credentials for the same name need not be
 * the same device. */
bool turn_auth_owns(const struct turn_request *r, const struct turn_allocation *a);

/* The same for what workers share: an owner as a number, the account's and of ephemeral credentials the time.
 */
static inline uint64_t turn_auth_owner(const struct turn_account *account, uint64_t credentials_end)
{
    return account->id ^ credentials_end;
}

#endif
