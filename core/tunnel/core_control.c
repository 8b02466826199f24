#include "core/tunnel/core_control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/json_frame.h"
#include "common/log.h"
#include "core/tunnel/host_key.h"
#include "proto/ctl_msg.h"

enum { READ_MAX = 64 * 1024 /* most bytes of one core_control_receive kept beside a whole message */ };

struct core_control {
    const struct core_control_events *events;
    void *ctx;
    char core[64], edge[64];
    unsigned tunnel;
    struct ctl_channel channel;
    struct core_control_peer peer;
    struct buf in;
    bool over;
    double started, last_heard;
    double next_ping, ping_sent; /* ping_sent: 0 when no pong is awaited */
    int64_t ping_id;
    double rtt;
    unsigned unanswered;            /* policies sent that the edge has not acknowledged */
    unsigned preparing, committing; /* the same of configs */
    unsigned unanswered_keys;       /* the same with keys */
};

/* Ending ------------------------------------------------------------------------------------------------- */

static void core_control_over(struct core_control *c, enum err why, const char *words)
{
    if (c->over)
        return;
    c->over = true;
    c->events->on_over(c->ctx, why, words);
}

/* What the edge sent as text, fit for a log line and a status page. */
static const char *clean_text(const json_t *value, char *out, size_t size)
{
    const char *text = json_string_value(value);
    char quoted[CORE_CONTROL_WORDS];
    if (!text)
        text = "";
    log_quote(text, strlen(text), quoted, sizeof quoted);
    size_t n = strlen(quoted);
    quoted[n - 1] = '\0';
    snprintf(out, size, "%s", quoted + 1);
    return out;
}

/* Sending ------------------------------------------------------------------------------------------------ */

/* Takes msg. A message that our own table does not allow is a bug of the caller and is told as an error. */
static enum err core_control_send(struct core_control *c, json_t *msg)
{
    struct buf frame;
    enum ctl_type type;
    buf_init(&frame, CTL_MESSAGE_MAX + 4);
    enum err e = c->over ? ERR_CLOSED
                 : msg   ? ctl_channel_check(&c->channel, CTL_FROM_CORE, msg, &type)
                         : ERR_MEMORY;
    if (e == ERR_OK)
        e = json_frame_encode(&frame, msg, CTL_MESSAGE_MAX);
    if (e == ERR_OK && !c->events->write(c->ctx, buf_data(&frame), buf_len(&frame)))
        e = ERR_FULL;
    buf_free(&frame);
    json_decref(msg);
    return e;
}

void core_control_start(struct core_control *c, double now, int64_t clock_unix)
{
    c->started = c->last_heard = now;
    enum err e = core_control_send(c, json_pack("{ss ss si ss si sI}", "type", "hello", "version",
                                                STILE_VERSION, "protocol", CTL_PROTOCOL, "core", c->core,
                                                "tunnel", (int)c->tunnel, "time", (json_int_t)clock_unix));
    if (e != ERR_OK)
        core_control_over(c, e, "hello could not be sent");
}

enum err core_control_send_policy(struct core_control *c, int64_t revision, const json_t *policy)
{
    json_t *msg = json_copy((json_t *)(uintptr_t)policy); /* shallow: the members are shared, and only read */
    if (msg && (json_object_set_new(msg, "type", json_string("policy")) < 0 ||
                json_object_set_new(msg, "revision", json_integer(revision)) < 0)) {
        json_decref(msg);
        msg = NULL;
    }
    enum err e = core_control_send(c, msg);
    c->unanswered += e == ERR_OK;
    return e;
}

enum err core_control_prepare(struct core_control *c, int64_t revision, const char *text)
{
    enum err e = core_control_send(
        c, json_pack("{ss sI ss}", "type", "config_prepare", "revision", (json_int_t)revision, "text", text));
    c->preparing += e == ERR_OK;
    return e;
}

enum err core_control_decide(struct core_control *c, int64_t revision, bool commit)
{
    enum err e =
        core_control_send(c, json_pack("{ss sI}", "type", commit ? "config_commit" : "config_rollback",
                                       "revision", (json_int_t)revision));
    c->committing += e == ERR_OK && commit;
    return e;
}

enum err core_control_send_keys(struct core_control *c, const json_t *keys)
{
    json_t *msg = json_copy((json_t *)(uintptr_t)keys); /* shallow, as above */
    if (msg && json_object_set_new(msg, "type", json_string("keys")) < 0) {
        json_decref(msg);
        msg = NULL;
    }
    enum err e = core_control_send(c, msg);
    c->unanswered_keys += e == ERR_OK;
    return e;
}

void core_control_bye(struct core_control *c, const char *reason)
{
    (void)core_control_send(c, json_pack("{ss ss}", "type", "bye", "reason", reason));
}

static void core_control_ping(struct core_control *c, double now)
{
    enum err e = core_control_send(c, json_pack("{ss sI}", "type", "ping", "id", (json_int_t)++c->ping_id));
    c->ping_sent = now;
    c->next_ping = now + CORE_CONTROL_PING_SECONDS;
    if (e != ERR_OK)
        core_control_over(c, e, "the edge takes no more control messages");
}

void core_control_tick(struct core_control *c, double now)
{
    if (c->over || c->started == 0)
        return;
    if (c->channel.state != CTL_UP) {
        if (now - c->started > CORE_CONTROL_GREET_SECONDS)
            core_control_over(c, ERR_TIMEOUT, "the edge did not answer hello within 10 s");
        return;
    }
    if (now - c->last_heard > CORE_CONTROL_DEAD_SECONDS)
        core_control_over(c, ERR_TIMEOUT, "the edge was silent for 15 s");
    else if (now >= c->next_ping)
        core_control_ping(c, now);
}

/* Receiving ---------------------------------------------------------------------------------------------- */

static bool get_integer(const json_t *msg, const char *key, int64_t least, int64_t most, int64_t *out)
{
    const json_t *value = json_object_get(msg, key);
    if (!json_is_integer(value) || json_integer_value(value) < least || json_integer_value(value) > most)
        return false;
    *out = json_integer_value(value);
    return true;
}

static void core_control_welcome(struct core_control *c, const json_t *msg, double now, int64_t clock_unix)
{
    int64_t channels, revision, their_time;
    char words[CORE_CONTROL_WORDS], version[32], name[64];
    clean_text(json_object_get(msg, "version"), version, sizeof version);
    if (!ctl_channel_agree(&c->channel, json_object_get(msg, "protocol"), "core", "edge", version, words)) {
        core_control_bye(c, words); /* so that the edge's log has it, too */
        core_control_over(c, ERR_PROTOCOL, words);
        return;
    }
    if (!get_integer(msg, "data_channels", 1, CORE_CONTROL_DATA_CHANNELS_MAX, &channels) ||
        !get_integer(msg, "revision", 0, INT64_MAX, &revision) ||
        !get_integer(msg, "time", 0, INT64_MAX, &their_time) ||
        !json_is_string(json_object_get(msg, "edge")) || !json_is_string(json_object_get(msg, "version"))) {
        core_control_over(c, ERR_PROTOCOL,
                          "the edge's welcome lacks data_channels, revision, time, edge or version");
        return;
    }
    c->peer.config = -1;
    if (json_object_get(msg, "config_revision") &&
        !get_integer(msg, "config_revision", 0, INT64_MAX, &c->peer.config)) {
        core_control_over(c, ERR_PROTOCOL, "the edge's welcome has a config_revision that is no number");
        return;
    }
    clean_text(json_object_get(msg, "edge"), name, sizeof name);
    if (*c->edge && strcasecmp(name, c->edge) != 0) {
        snprintf(words, sizeof words,
                 "the box there says that it is %s, not %s: were their bundles, or their addresses in "
                 "stile.json, mixed "
                 "up?",
                 name, c->edge);
        core_control_bye(c, words);
        core_control_over(c, ERR_PROTOCOL, words);
        return;
    }
    c->peer.protocol = c->channel.protocol;
    c->peer.data_channels = (unsigned)channels;
    c->peer.revision = revision;
    c->peer.clock_skew = their_time - clock_unix;
    snprintf(c->peer.edge, sizeof c->peer.edge, "%s", name);
    snprintf(c->peer.version, sizeof c->peer.version, "%s", version);
    c->events->on_up(c->ctx, &c->peer);
    if (!c->over)
        core_control_ping(c, now); /* the round-trip time is known from the start */
}

static void core_control_policy_ack(struct core_control *c, const json_t *msg)
{
    int64_t revision;
    char error[CORE_CONTROL_WORDS];
    const json_t *problem = json_object_get(msg, "error");
    if (!get_integer(msg, "revision", 0, INT64_MAX, &revision) || (problem && !json_is_string(problem))) {
        core_control_over(c, ERR_PROTOCOL, "the edge's policy_ack lacks its revision");
        return;
    }
    if (c->unanswered == 0) { /* each is logged and told to main: an edge must not choose how many */
        core_control_over(c, ERR_PROTOCOL, "the edge acknowledged a policy that nobody sent");
        return;
    }
    c->unanswered--;
    if (!problem)
        c->peer.revision = revision;
    c->events->on_policy_ack(c->ctx, revision, problem ? clean_text(problem, error, sizeof error) : NULL);
}

/* As an Ed25519 key is written, so that nothing else gets into files and messages. */
static bool is_key_line(const json_t *value)
{
    struct host_key key;
    const char *line = json_string_value(value);
    return line && strlen(line) < HOST_KEY_LINE && host_key_parse(line, &key) == ERR_OK &&
           !strpbrk(line + 12, " \t\r\n");
}

static void core_control_keys_ack(struct core_control *c, const json_t *msg)
{
    int64_t id;
    const json_t *problem = json_object_get(msg, "error"), *next = json_object_get(msg, "next_host_key");
    if (c->unanswered_keys == 0) { /* as with policies */
        core_control_over(c, ERR_PROTOCOL, "the edge acknowledged keys that nobody sent");
        return;
    }
    c->unanswered_keys--;
    if (!get_integer(msg, "id", 0, INT64_MAX, &id) || !is_key_line(json_object_get(msg, "host_key")) ||
        (next && !is_key_line(next)) || !json_is_string(json_object_get(msg, "secrets")) ||
        (problem && !json_is_string(problem)))
        core_control_over(c, ERR_PROTOCOL, "the edge's keys_ack lacks id, host_key or secrets");
    else
        c->events->on_keys_ack(c->ctx, msg);
}

static void core_control_config(struct core_control *c, const json_t *msg, bool committed)
{
    int64_t revision;
    char error[CORE_CONTROL_WORDS], waiting[CORE_CONTROL_WORDS];
    const json_t *problem = json_object_get(msg, "error"), *waits = json_object_get(msg, "waits_for_restart");
    unsigned *awaited = committed ? &c->committing : &c->preparing;
    if (!get_integer(msg, "revision", 0, INT64_MAX, &revision) || (problem && !json_is_string(problem)) ||
        (waits && !json_is_string(waits))) {
        core_control_over(c, ERR_PROTOCOL, "the edge's answer about a config lacks its revision");
        return;
    }
    if (*awaited == 0) {
        core_control_over(c, ERR_PROTOCOL, "the edge answered about a config that nobody sent");
        return;
    }
    --*awaited;
    if (committed && !problem)
        c->peer.config = revision;
    c->events->on_config(c->ctx, committed, revision,
                         problem ? clean_text(problem, error, sizeof error) : NULL,
                         clean_text(waits, waiting, sizeof waiting));
}

static void core_control_pong(struct core_control *c, const json_t *msg, double now, int64_t clock_unix)
{
    int64_t id, their_time;
    if (!get_integer(msg, "id", 0, INT64_MAX, &id) || id > c->ping_id) {
        core_control_over(c, ERR_PROTOCOL, "the edge answered a ping that nobody sent");
        return;
    }
    if (id != c->ping_id || c->ping_sent == 0)
        return;                                              /* a late one */
    if (get_integer(msg, "time", 0, INT64_MAX, &their_time)) /* older edges do not say it */
        c->peer.clock_skew = their_time - clock_unix;
    double sample = now - c->ping_sent;
    c->rtt = c->rtt < 0 ? sample : c->rtt + (sample - c->rtt) / 8; /* RFC 6298's smoothing */
    c->ping_sent = 0;
}

static void core_control_answer_ping(struct core_control *c, const json_t *msg, int64_t clock_unix)
{
    int64_t id;
    if (!get_integer(msg, "id", 0, INT64_MAX, &id))
        core_control_over(c, ERR_PROTOCOL, "the edge's ping has no id");
    else if (core_control_send(c, json_pack("{ss sI sI}", "type", "pong", "id", (json_int_t)id, "time",
                                            (json_int_t)clock_unix)) != ERR_OK)
        core_control_over(c, ERR_FULL, "the edge takes no more control messages");
}

static void core_control_message(struct core_control *c, const json_t *msg, double now, int64_t clock_unix)
{
    enum ctl_type type;
    char name[64], words[CORE_CONTROL_WORDS], reason[CORE_CONTROL_WORDS];
    enum err e = ctl_channel_check(&c->channel, CTL_FROM_EDGE, msg, &type);
    if (e != ERR_OK) {
        snprintf(words, sizeof words, "the edge sent a control message that is not allowed now: %s",
                 clean_text(json_object_get(msg, "type"), name, sizeof name));
        core_control_over(c, e, words);
        return;
    }
    c->last_heard = now;
    switch (type) {
    case CTL_WELCOME:
        core_control_welcome(c, msg, now, clock_unix);
        break;
    case CTL_POLICY_ACK:
        core_control_policy_ack(c, msg);
        break;
    case CTL_CONFIG_PREPARED:
    case CTL_CONFIG_COMMITTED:
        core_control_config(c, msg, type == CTL_CONFIG_COMMITTED);
        break;
    case CTL_KEYS_ACK:
        core_control_keys_ack(c, msg);
        break;
    case CTL_PING:
        core_control_answer_ping(c, msg, clock_unix);
        break;
    case CTL_PONG:
        core_control_pong(c, msg, now, clock_unix);
        break;
    case CTL_BYE:
        snprintf(words, sizeof words, "the edge ended the tunnel: %s",
                 clean_text(json_object_get(msg, "reason"), reason, sizeof reason));
        core_control_over(c, ERR_CLOSED, words);
        break;
    default: /* hello, policy, keys: core's alone, the table has refused them */
        core_control_over(c, ERR_PROTOCOL, "the edge sent a message of core's");
    }
}

void core_control_receive(struct core_control *c, const void *data, size_t n, double now, int64_t clock_unix)
{
    enum err e = c->over ? ERR_CLOSED : buf_append(&c->in, data, n);
    while (e == ERR_OK && !c->over) {
        size_t used;
        json_t *msg;
        e = json_frame_decode(buf_data(&c->in), buf_len(&c->in), CTL_MESSAGE_MAX, &used, &msg);
        if (e != ERR_OK)
            break;
        buf_consume(&c->in, used);
        core_control_message(c, msg, now, clock_unix);
        json_decref(msg);
    }
    if (e != ERR_OK && e != ERR_AGAIN)
        core_control_over(c, e,
                          e == ERR_TOO_LONG ? "the edge sent a control message above 1 MiB"
                                            : "the edge sent something that is no control message");
}

/* Life --------------------------------------------------------------------------------------------------- */

struct core_control *core_control_new(const struct core_control_self *self,
                                      const struct core_control_events *events, void *ctx)
{
    struct core_control *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->events = events;
    c->ctx = ctx;
    c->tunnel = self->tunnel;
    c->rtt = -1;
    snprintf(c->core, sizeof c->core, "%s", self->core);
    snprintf(c->edge, sizeof c->edge, "%s", self->edge ? self->edge : "");
    buf_init(&c->in, CTL_MESSAGE_MAX + 4 + READ_MAX);
    return c;
}

void core_control_free(struct core_control *c)
{
    if (!c)
        return;
    buf_free(&c->in);
    free(c);
}

int64_t core_control_skew(const struct core_control *c)
{
    return c->peer.clock_skew;
}

double core_control_rtt(const struct core_control *c)
{
    return c->rtt;
}

double core_control_silence(const struct core_control *c, double now)
{
    return now - c->last_heard;
}
