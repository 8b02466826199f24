/*
 * The control channel between core and edge: which messages there are, who may send them, when, and how
 * often. They travel in the frames of common/json_frame.h.
 */
#ifndef PROTO_CTL_MSG_H
#define PROTO_CTL_MSG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

/* Version of this table: counts up with every release that changes it. A box speaks with one of the release
 * before and of the one behind its own; the lower number counts then. The test of that builds boxes with
 * other numbers. */
#ifndef CTL_PROTOCOL
#define CTL_PROTOCOL 2
#endif

enum {
    CTL_MESSAGE_MAX = 1024 * 1024, /* bytes of one message */
    CTL_SKEW_MAX = 30,             /* seconds that the clocks of two boxes may differ without an alarm */
    CTL_PROTOCOL_WORDS = 256,
};

enum ctl_sender { CTL_FROM_CORE = 1, CTL_FROM_EDGE = 2, CTL_FROM_BOTH = 3 };
enum ctl_state {
    CTL_OPENING = 1, /* the channel is open, nothing was said */
    CTL_GREETED = 2, /* core has said hello, edge has not answered */
    CTL_UP = 4,      /* welcome was said */
};

/* X(name, text, senders, states in which it may be sent, at most once, since which protocol) */
#define CTL_TABLE(X)                                                                                         \
    X(HELLO, "hello", CTL_FROM_CORE, CTL_OPENING, true, 1)                                                   \
    X(WELCOME, "welcome", CTL_FROM_EDGE, CTL_GREETED, true, 1)                                               \
    X(POLICY, "policy", CTL_FROM_CORE, CTL_UP, false, 1)                                                     \
    X(POLICY_ACK, "policy_ack", CTL_FROM_EDGE, CTL_UP, false, 1)                                             \
    X(CONFIG_PREPARE, "config_prepare", CTL_FROM_CORE, CTL_UP, false, 2)                                     \
    X(CONFIG_PREPARED, "config_prepared", CTL_FROM_EDGE, CTL_UP, false, 2)                                   \
    X(CONFIG_COMMIT, "config_commit", CTL_FROM_CORE, CTL_UP, false, 2)                                       \
    X(CONFIG_ROLLBACK, "config_rollback", CTL_FROM_CORE, CTL_UP, false, 2)                                   \
    X(CONFIG_COMMITTED, "config_committed", CTL_FROM_EDGE, CTL_UP, false, 2)                                 \
    X(PING, "ping", CTL_FROM_BOTH, CTL_UP, false, 1)                                                         \
    X(PONG, "pong", CTL_FROM_BOTH, CTL_UP, false, 1)                                                         \
    X(BYE, "bye", CTL_FROM_BOTH, CTL_OPENING | CTL_GREETED | CTL_UP, true, 1)                                \
    X(KEYS, "keys", CTL_FROM_CORE, CTL_UP, false, 2)                                                         \
    X(KEYS_ACK, "keys_ack", CTL_FROM_EDGE, CTL_UP, false, 2)

enum ctl_type {
#define X(name, text, senders, states, once, since) CTL_##name,
    CTL_TABLE(X)
#undef X
        CTL_TYPE_COUNT
};

/* What one side has seen on a control channel; zeroed by the owner at its start. */
struct ctl_channel {
    enum ctl_state state; /* 0 counts as CTL_OPENING */
    uint32_t seen;        /* bit per ctl_type, both directions */
    int protocol;         /* the one that both speak; 0: not known yet, CTL_PROTOCOL counts */
};

/* Judges a message that `sender` sends now and moves the state on. ERR_UNSUPPORTED: no such type;
 * ERR_PROTOCOL: not allowed to this sender, in this state, or again. *type is set on ERR_OK. */
enum err ctl_channel_check(struct ctl_channel *c, enum ctl_sender sender, const json_t *msg,
                           enum ctl_type *type);
/* Takes the other side's protocol from its hello or welcome. False when it is more than one release away, or
 * none: words[CTL_PROTOCOL_WORDS] says so, with what to do. us and them: "core", "edge"; version: theirs, or
 * NULL. */
bool ctl_channel_agree(struct ctl_channel *c, const json_t *theirs, const char *us, const char *them,
                       const char *version, char *words);
const char *ctl_type_str(enum ctl_type type);

#endif
