#include "edge/tunnel/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alarms.h"
#include "common/clock.h"
#include "common/json_frame.h"
#include "common/log.h"
#include "common/stream.h"
#include "common/text.h"
#include "proto/ctl_msg.h"

enum {
    CONTROL_QUEUE = 2 * (CTL_MESSAGE_MAX + 4),
    CONTROL_CONFIGS_MAX = 4, /* that core may have asked for without an answer */
};
static const double ping_every = 5, dead_after = 15, greet_within = 10;

struct control {
    struct ev_loop *loop;
    struct stream *stream;
    const struct control_events *events;
    void *ctx;
    struct ctl_channel channel;
    struct buf in;
    char core[64], version[32];
    char refused[CTL_PROTOCOL_WORDS]; /* why core was told goodbye; it is for core to end then */
    struct control_self self;
    unsigned tunnel;
    double opened, up_since, last_heard, rtt;
    int64_t skew, ping_id;
    double ping_sent;
    long policy_revision;
    unsigned configs; /* asked for, not answered */
    ev_timer timer;
    bool over, skewed;
};

/* The owner may free c inside: nothing touches it afterwards. */
static void control_end(struct control *c, const char *reason)
{
    if (c->over)
        return;
    c->over = true;
    ev_timer_stop(c->loop, &c->timer);
    c->events->on_close(c->ctx, c, *c->refused ? c->refused : reason);
}

/* False when it cannot be sent: the queue is full, as core does not read, or memory is out. */
static bool control_send(struct control *c, json_t *msg)
{
    struct buf frame;
    buf_init(&frame, CTL_MESSAGE_MAX + 4);
    enum ctl_type type;
    enum err e = msg ? ctl_channel_check(&c->channel, CTL_FROM_EDGE, msg, &type) : ERR_MEMORY;
    if (e == ERR_OK)
        e = json_frame_encode(&frame, msg, CTL_MESSAGE_MAX);
    if (e == ERR_OK)
        e = stream_write(c->stream, buf_data(&frame), buf_len(&frame));
    if (e != ERR_OK && !c->over)
        log_event(LOG_WARNING, "Control Message Lost", "core=%s reason=\"%s\"", c->core, err_str(e));
    buf_free(&frame);
    json_decref(msg);
    return e == ERR_OK;
}

/* Messages ---------------------------------------------------------------------------------------------- */

/* changed: say so, too, when it is as it was. */
static void control_judge_clock(struct control *c, bool changed)
{
    bool skewed = c->skew > CTL_SKEW_MAX || c->skew < -CTL_SKEW_MAX;
    char detail[96];
    if (skewed == c->skewed && !changed)
        return;
    c->skewed = skewed;
    snprintf(detail, sizeof detail, "its clock is %lld s %s this box's",
             (long long)(c->skew < 0 ? -c->skew : c->skew), c->skew < 0 ? "behind" : "ahead of");
    if (skewed)
        alarm_raise(ALARM_CLOCK_SKEW, c->core, detail);
    else
        alarm_clear(ALARM_CLOCK_SKEW, c->core);
}

static void control_compare_clocks(struct control *c, json_int_t its_time)
{
    c->skew = (int64_t)(its_time > 0 ? its_time : 0) - (int64_t)time(NULL);
}

static bool control_hello(struct control *c, const json_t *msg, char *why, size_t size)
{
    json_int_t tunnel = json_integer_value(json_object_get(msg, "tunnel"));
    const char *name = json_string_value(json_object_get(msg, "core"));
    const char *version = json_string_value(json_object_get(msg, "version"));
    char words[CTL_PROTOCOL_WORDS];
    text_copy(c->version, sizeof c->version, version);
    if (!ctl_channel_agree(&c->channel, json_object_get(msg, "protocol"), "edge", "core", c->version,
                           words)) {
        control_say_bye(c, words); /* core shows it, and ends the connection */
        memcpy(c->refused, words, sizeof c->refused);
        return true;
    }
    if (!name || strcmp(name, c->core) != 0 || tunnel < 0 || tunnel > 1000) {
        snprintf(why, size, "hello names another core than its key, or no tunnel");
        return false;
    }
    c->tunnel = (unsigned)tunnel;
    control_compare_clocks(c, json_integer_value(json_object_get(msg, "time")));
    snprintf(why, size, "out of memory");
    if (!control_send(c, json_pack("{ss ss si ss si sI sI sI}", "type", "welcome", "version", STILE_VERSION,
                                   "protocol", CTL_PROTOCOL, "edge", c->self.edge, "data_channels",
                                   (int)c->self.data_channels, "revision", (json_int_t)c->self.revision,
                                   "config_revision", (json_int_t)c->self.config_revision, "time",
                                   (json_int_t)time(NULL))))
        return false;
    c->up_since = clock_monotonic();
    c->events->on_up(c->ctx, c);
    control_judge_clock(c, true);
    return true;
}

static bool control_policy(struct control *c, const json_t *msg)
{
    json_int_t revision = json_integer_value(json_object_get(msg, "revision"));
    const char *problem = c->events->on_policy(c->ctx, c, (long)revision, msg);
    if (problem)
        return control_send(
            c, json_pack("{ss sI ss}", "type", "policy_ack", "revision", revision, "error", problem));
    c->policy_revision = (long)revision;
    return control_send(c, json_pack("{ss sI}", "type", "policy_ack", "revision", revision));
}

static bool control_config(struct control *c, const json_t *msg, char *why, size_t size)
{
    const char *text = json_string_value(json_object_get(msg, "text"));
    const json_t *revision = json_object_get(msg, "revision");
    if (!text || !json_is_integer(revision) || c->configs == CONTROL_CONFIGS_MAX) {
        snprintf(why, size, "core sent a config without a text or revision, or too many at once");
        return false;
    }
    c->configs++;
    c->events->on_config(c->ctx, c, (long)json_integer_value(revision), text);
    return true;
}

static void control_config_answer(struct control *c, const char *type, long revision, const char *error,
                                  const char *waiting)
{
    if (!c->over)
        (void)control_send(c, json_pack("{ss sI ss* ss}", "type", type, "revision", (json_int_t)revision,
                                        "error", error, "waits_for_restart", waiting));
}

void control_config_prepared(struct control *c, long revision, const char *error, const char *waiting)
{
    c->configs--;
    control_config_answer(c, "config_prepared", revision, error, waiting);
}

void control_config_committed(struct control *c, long revision, const char *error, const char *waiting)
{
    control_config_answer(c, "config_committed", revision, error, waiting);
}

static bool control_keys(struct control *c, const json_t *msg)
{
    json_t *answer = c->events->on_keys(c->ctx, c, msg);
    if (answer) {
        json_object_set_new(answer, "type", json_string("keys_ack"));
        json_object_set_new(answer, "id", json_integer(json_integer_value(json_object_get(msg, "id"))));
    }
    return control_send(c, answer);
}

static void control_pong(struct control *c, const json_t *msg)
{
    if (json_integer_value(json_object_get(msg, "id")) != c->ping_id || c->ping_sent == 0)
        return;
    double rtt = clock_monotonic() - c->ping_sent;
    const json_t *its_time = json_object_get(msg, "time"); /* older cores do not say it */
    if (json_is_integer(its_time) && json_integer_value(its_time) >= 0) {
        control_compare_clocks(c, json_integer_value(its_time));
        control_judge_clock(c, false);
    }
    c->rtt = c->rtt > 0 ? c->rtt * 0.7 + rtt * 0.3 : rtt;
    c->ping_sent = 0;
}

static bool control_message(struct control *c, const json_t *msg, char *why, size_t size)
{
    enum ctl_type type;
    char quoted[64];
    const char *name = json_frame_type(msg);
    if (*c->refused)
        return true;
    enum err e = ctl_channel_check(&c->channel, CTL_FROM_CORE, msg, &type);
    if (e != ERR_OK) {
        snprintf(why, size, "core sent a control message that is not allowed now: %s",
                 log_quote(name, strlen(name), quoted, sizeof quoted));
        return false;
    }
    snprintf(why, size, "core does not read what the edge sends");
    switch (type) {
    case CTL_HELLO:
        return control_hello(c, msg, why, size);
    case CTL_POLICY:
        return control_policy(c, msg);
    case CTL_CONFIG_PREPARE:
        return control_config(c, msg, why, size);
    case CTL_CONFIG_COMMIT:
    case CTL_CONFIG_ROLLBACK:
        c->events->on_config_end(c->ctx, c, (long)json_integer_value(json_object_get(msg, "revision")),
                                 type == CTL_CONFIG_COMMIT);
        return true;
    case CTL_KEYS:
        return control_keys(c, msg);
    case CTL_PING:
        return control_send(c, json_pack("{ss sI sI}", "type", "pong", "id",
                                         json_integer_value(json_object_get(msg, "id")), "time",
                                         (json_int_t)time(NULL)));
    case CTL_PONG:
        control_pong(c, msg);
        return true;
    case CTL_BYE: {
        char words[CTL_PROTOCOL_WORDS];
        const char *reason = json_string_value(json_object_get(msg, "reason"));
        snprintf(why, size, "core said goodbye: %s", text_copy(words, sizeof words, reason));
        return false;
    }
    default:
        snprintf(why, size, "core sent what only an edge sends");
        return false;
    }
}

/* The stream -------------------------------------------------------------------------------------------- */

static size_t control_on_data(void *ctx, const uint8_t *data, size_t n)
{
    struct control *c = ctx;
    char why[320];
    c->last_heard = clock_monotonic();
    if (buf_append(&c->in, data, n) != ERR_OK) {
        control_end(c, "core sent more than a control message may hold");
        return n;
    }
    for (;;) {
        size_t used;
        json_t *msg;
        enum err e = json_frame_decode(buf_data(&c->in), buf_len(&c->in), CTL_MESSAGE_MAX, &used, &msg);
        if (e == ERR_AGAIN)
            return n;
        if (e != ERR_OK) {
            control_end(c, "core sent a malformed control message");
            return n;
        }
        buf_consume(&c->in, used);
        bool ok = control_message(c, msg, why, sizeof why);
        json_decref(msg);
        if (!ok) {
            control_end(c, why);
            return n;
        }
    }
}

static void control_on_eof(void *ctx)
{
    control_end(ctx, "the SSH connection ended");
}

static void control_on_close(void *ctx, enum err why, const char *words)
{
    (void)why;
    control_end(ctx, words);
}

static const struct stream_events control_stream_events = {
    .on_data = control_on_data, .on_eof = control_on_eof, .on_close = control_on_close};

static void control_on_timer(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct control *c = t->data;
    double now = clock_monotonic();
    if (!control_is_up(c)) {
        if (now - c->opened > greet_within)
            control_end(c, "core said no hello");
        return;
    }
    if (now - c->last_heard > dead_after) {
        control_end(c, "core was silent for 15 s");
        return;
    }
    c->ping_sent = now;
    if (!control_send(c, json_pack("{ss sI}", "type", "ping", "id", (json_int_t)++c->ping_id)))
        control_end(c, "core does not read what the edge sends");
}

struct control *control_new(struct ev_loop *loop, int fd_in, int fd_out, const char *core,
                            const struct control_self *self, const struct control_events *events, void *ctx)
{
    struct control *c = calloc(1, sizeof *c);
    struct stream *stream =
        stream_new(loop, fd_in, fd_out, &control_stream_events, c, CONTROL_QUEUE, CONTROL_QUEUE / 2);
    if (!c || !stream) {
        free(c);
        stream_free(stream);
        return NULL;
    }
    c->loop = loop;
    c->stream = stream;
    c->events = events;
    c->ctx = ctx;
    c->self = *self;
    c->opened = c->last_heard = clock_monotonic();
    snprintf(c->core, sizeof c->core, "%s", core);
    buf_init(&c->in, CTL_MESSAGE_MAX + 4 + STREAM_READ);
    ev_timer_init(&c->timer, control_on_timer, ping_every, ping_every);
    c->timer.data = c;
    ev_timer_start(loop, &c->timer);
    return c;
}

void control_say_bye(struct control *c, const char *reason)
{
    if (!c->over)
        (void)control_send(c, json_pack("{ss ss}", "type", "bye", "reason", reason));
}

void control_free(struct control *c)
{
    if (!c)
        return;
    ev_timer_stop(c->loop, &c->timer);
    stream_free(c->stream);
    buf_free(&c->in);
    free(c);
}

const char *control_core(const struct control *c)
{
    return c->core;
}

unsigned control_tunnel(const struct control *c)
{
    return c->tunnel;
}

bool control_is_up(const struct control *c)
{
    return c->channel.state == CTL_UP;
}

json_t *control_status(const struct control *c)
{
    bool up = control_is_up(c);
    double age = clock_monotonic() - (up ? c->up_since : c->opened);
    return json_pack("{ss si ss sf sf ss si sI sI}", "core", c->core, "tunnel", (int)c->tunnel, "state",
                     up ? "active" : "connecting", "since", (double)time(NULL) - age, "rtt_ms", c->rtt * 1000,
                     "core_version", c->version, "protocol", c->channel.protocol, "revision",
                     (json_int_t)c->policy_revision, "clock_skew_s", (json_int_t)c->skew);
}
