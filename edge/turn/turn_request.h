/*
 * STUN from clients: parsed, authenticated (turn_auth), handed to its method. RFC 8489 §6.3; RFC 8656 §5.
 * A method returns 0 (the success it has put into the reply is sent) or the error code to answer with; it has
 * changed nothing then.
 */
#ifndef EDGE_TURN_TURN_REQUEST_H
#define EDGE_TURN_TURN_REQUEST_H

#include "edge/turn/turn_allocation.h"
#include "proto/stun_auth.h"
#include "proto/stun_msg.h"

struct turn_reply;

struct turn_request {
    struct turn_server *server;
    struct turn_client *client;
    struct stun_msg msg;
    struct turn_allocation *allocation; /* the client's, or NULL */
    /* Why it is refused, for the log, where a method knows better than the error code; the peer it is about.
     */
    const char *reason;
    struct netaddr refused_peer; /* family 0: none */
    struct turn_account *account;       /* NULL: not authenticated */
    uint64_t credentials_end;           /* of ephemeral credentials, Unix time; 0: others */
    struct stun_key key;                /* what the answer is signed with, … */
    bool reply_sha256;                  /* … by MESSAGE-INTEGRITY-SHA256 */
};

/* A message of n bytes that starts like STUN; packet memory as in turn_forward.h. */
void turn_request_receive(struct turn_server *s, struct turn_client *client, uint8_t *packet, size_t n);

/* What a method returns that answers by itself, later (turn_later.h). */
enum { TURN_ANSWER_LATER = -1 };

/* Counts, logs, and answers with an error. */
void turn_request_refuse(struct turn_request *r, int code);

/* A XOR-PEER-ADDRESS: 0 and the peer in canonical form, or the error: malformed, of a family that has no
 * relay, not permitted. any_port: for a permission the port is nothing (0), it covers all of them. */
int turn_request_peer(struct turn_request *r, struct stun_value value, bool any_port, struct netaddr *peer);

/* For a 420 to come: treats an attribute that is known as one that is not. */
void turn_request_unknown(struct turn_request *r, enum stun_attr a);

/* The lifetime to grant, in seconds. */
uint32_t turn_request_lifetime(const struct turn_request *r);

/* The methods. */
int turn_method_binding(struct turn_request *r, struct turn_reply *reply);
int turn_method_allocate(struct turn_request *r, struct turn_reply *reply);
int turn_method_refresh(struct turn_request *r, struct turn_reply *reply);
int turn_method_create_permission(struct turn_request *r, struct turn_reply *reply);
int turn_method_channel_bind(struct turn_request *r, struct turn_reply *reply);
int turn_method_connect(struct turn_request *r, struct turn_reply *reply);
int turn_method_connection_bind(struct turn_request *r, struct turn_reply *reply);
/* The Send indication: no answer whatever happens. */
void turn_method_send(struct turn_request *r, uint8_t *packet);

#endif
