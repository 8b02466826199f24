#include "proto/ctl_msg.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/json_frame.h"

struct ctl_row {
    const char *text;
    unsigned senders, states;
    bool once;
    int since;
};

static const struct ctl_row rows[CTL_TYPE_COUNT] = {
#define X(name, text, senders, states, once, since) {text, senders, states, once, since},
    CTL_TABLE(X)
#undef X
};

const char *ctl_type_str(enum ctl_type type)
{
    return (size_t)type < CTL_TYPE_COUNT ? rows[type].text : "unknown";
}

enum err ctl_channel_check(struct ctl_channel *c, enum ctl_sender sender, const json_t *msg,
                           enum ctl_type *type)
{
    const char *text = json_frame_type(msg);
    enum ctl_state state = c->state ? c->state : CTL_OPENING;
    unsigned t = 0;
    while (t < CTL_TYPE_COUNT && (!text || strcmp(rows[t].text, text) != 0))
        t++;
    if (t == CTL_TYPE_COUNT || rows[t].since > (c->protocol ? c->protocol : CTL_PROTOCOL))
        return ERR_UNSUPPORTED;
    if (!(rows[t].senders & sender) || !(rows[t].states & state) || (rows[t].once && (c->seen >> t & 1)))
        return ERR_PROTOCOL;
    c->seen |= 1U << t;
    c->state = t == CTL_HELLO ? CTL_GREETED : t == CTL_WELCOME ? CTL_UP : state;
    *type = (enum ctl_type)t;
    return ERR_OK;
}

bool ctl_channel_agree(struct ctl_channel *c, const json_t *theirs, const char *us, const char *them,
                       const char *version, char *words)
{
    json_int_t number = json_is_integer(theirs) ? json_integer_value(theirs) : -1;
    if (number >= CTL_PROTOCOL - 1 && number <= CTL_PROTOCOL + 1 && number > 0) {
        c->protocol = (int)(number < CTL_PROTOCOL ? number : CTL_PROTOCOL);
        return true;
    }
    const char *older = number < CTL_PROTOCOL ? them : us;
    snprintf(words, CTL_PROTOCOL_WORDS,
             "the %s is of version %s (control protocol %lld), the %s of %s (%d): more than one release "
             "apart; update the "
             "%s",
             them, version ? version : "?", (long long)number, us, STILE_VERSION, CTL_PROTOCOL, older);
    return false;
}
