/*
 * Answers to requests, built in one place: success or error, with what every answer of its kind carries
 * (SOFTWARE, integrity, FINGERPRINT; REALM, NONCE and PASSWORD-ALGORITHMS for a challenge).
 *
 * An answer to somebody who has not authenticated is kept short, has no reason phrase, and passes the
 * limiter.
 */
#ifndef EDGE_TURN_TURN_REPLY_H
#define EDGE_TURN_TURN_REPLY_H

#include "edge/turn/turn_request.h"

enum { TURN_REPLY_MAX = 1500 };

struct turn_reply {
    struct stun_writer writer; /* methods put the attributes of a success here */
    uint8_t memory[TURN_REPLY_MAX];
};

void turn_reply_begin(struct turn_reply *reply, const struct turn_request *r, enum stun_class class);
/* Ends what turn_reply_begin began, and sends it. */
void turn_reply_send(struct turn_reply *reply, struct turn_request *r);
/* A server of the client's address family is known, for a 300. */
bool turn_reply_has_alternate(const struct turn_request *r);
/* 300 names another server; 401 and 438 challenge; 420 lists r->msg's unknown attributes. */
void turn_reply_error(struct turn_request *r, int code);

#endif
