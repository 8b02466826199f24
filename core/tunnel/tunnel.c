/* Every callback that ends something only makes a note (tunnel_fall) and lets the reaper, a timer of zero
 * seconds, take down what there is: nothing is freed inside its own callback. */
#include "core/tunnel/tunnel.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alarms.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/throughput.h"
#include "core/tunnel/core_control.h"
#include "core/tunnel/data_channels.h"
#include "core/tunnel/host_key.h"
#include "core/tunnel/reach.h"
#include "core/tunnel/reconnect.h"
#include "core/tunnel/ssh_channel.h"
#include "core/tunnel/ssh_session.h"
#include "proto/ctl_msg.h"

static const double tick_seconds = 1, dns_retry = 2;

enum tunnel_phase {
    PHASE_REACHING,  /* DNS, TCP */
    PHASE_HANDSHAKE, /* SSH */
    PHASE_GREETING,  /* the control channel: opening, then hello, then welcome */
    PHASE_UP,
    PHASE_FALLING, /* the reaper is due */
    PHASE_WAITING,
    PHASE_ENDING, /* drained: goodbye is on its way */
};

struct tunnel {
    struct ev_loop *loop;
    const struct tunnel_events *events;
    void *ctx;
    struct egress *egress;
    char core[64], edge[64], host[256];
    uint16_t port;
    unsigned index;
    struct host_keys host_keys;
    char *client_key;
    json_t *told; /* the keys message for the edge; NULL: none */
    int64_t revision;
    json_t *policy;
    bool owes_policy; /* the edge has not been sent it: its channel was full */
    char *config;     /* of that revision, for an edge with a lower one */
    /* Configs that the edge is asked to prepare; 0: none. */
    int64_t proposed; /* by main, who decides */
    int64_t offered;  /* the one in force, which it has missed: committed as soon as it is prepared */
    int64_t decided;  /* what main told it to commit */
    char config_error[CORE_CONTROL_WORDS], config_waiting[CORE_CONTROL_WORDS];

    enum tunnel_phase phase;
    enum tunnel_state state;
    char reason[TUNNEL_WORDS];
    time_t since;
    struct reconnect reconnect;
    ev_timer wait, reaper, tick, drain;
    bool draining, skewed, lingering;
    double drain_until;

    struct reach *reach;
    struct ssh_session *session;
    struct throughput in, out; /* of session */
    struct ssh_channel *control_channel;
    struct core_control *control;
    struct core_control_peer peer;
    int64_t acked;
    char ack_error[CORE_CONTROL_WORDS];
    struct data_channels data;
};

static void tunnel_attempt(struct tunnel *t);

const char *tunnel_state_str(enum tunnel_state s)
{
    static const char *const texts[] = {
#define X(name, text) text,
        TUNNEL_STATES(X)
#undef X
    };
    return texts[s];
}

static void tunnel_set_state(struct tunnel *t, enum tunnel_state state, const char *reason)
{
    if (state == t->state && strcmp(reason, t->reason) == 0)
        return;
    if (state != t->state)
        t->since = time(NULL);
    t->state = state;
    snprintf(t->reason, sizeof t->reason, "%s", reason);
    t->events->on_state(t->ctx, state, t->reason);
}

/* Falling and waiting ------------------------------------------------------------------------------------ */

static void tunnel_restart_timer(struct tunnel *t, ev_timer *timer, double after, double repeat)
{
    ev_timer_stop(t->loop, timer);
    ev_timer_set(timer, after, repeat);
    ev_timer_start(t->loop, timer);
}

/* What was under way on a tunnel that has gone. */
static void tunnel_forget_configs(struct tunnel *t)
{
    bool asked = t->proposed != 0;
    t->proposed = t->offered = t->decided = 0;
    if (asked)
        t->events->on_config(t->ctx, "away", "the tunnel went down", "");
}

static void tunnel_fall(struct tunnel *t, const char *reason)
{
    if (t->phase == PHASE_FALLING || t->phase == PHASE_ENDING)
        return;
    t->phase = PHASE_FALLING;
    tunnel_set_state(t, TUNNEL_FAILED, reason);
    tunnel_forget_configs(t);
    tunnel_restart_timer(t, &t->reaper, 0, 0);
}

static void tunnel_take_down(struct tunnel *t)
{
    ev_timer_stop(t->loop, &t->wait);
    if (t->reach)
        reach_stop(t->reach);
    data_channels_close(&t->data);
    ssh_channel_free(t->control_channel);
    t->control_channel = NULL;
    core_control_free(t->control);
    t->control = NULL;
    ssh_session_free(t->session);
    t->session = NULL;
    t->in = t->out = (struct throughput){0};
}

static void tunnel_wait(struct tunnel *t)
{
    uint32_t random;
    if (RAND_bytes((unsigned char *)&random, sizeof random) != 1)
        random = UINT32_MAX;
    double seconds = reconnect_down(&t->reconnect, clock_monotonic(), random);
    if (!reach_is_resolved(t->reach) && seconds > dns_retry)
        seconds = dns_retry; /* asking the resolver again disturbs nobody */
    t->phase = PHASE_WAITING;
    tunnel_restart_timer(t, &t->wait, seconds, 0);
}

static void tunnel_on_reap(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    struct tunnel *t = timer->data;
    tunnel_take_down(t);
    if (t->draining) {
        t->phase = PHASE_ENDING;
        t->events->on_drained(t->ctx);
        return;
    }
    tunnel_wait(t);
}

static void tunnel_on_waited(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    tunnel_attempt(timer->data);
}

/* Data channels ------------------------------------------------------------------------------------------ */

static void tunnel_on_data_open(void *ctx)
{
    struct tunnel *t = ctx;
    if (t->state != TUNNEL_ACTIVE)
        reconnect_up(&t->reconnect, clock_monotonic());
    if (t->phase == PHASE_UP)
        tunnel_set_state(t, TUNNEL_ACTIVE, "");
}

static void tunnel_on_data_close(void *ctx, size_t open, const char *words)
{
    struct tunnel *t = ctx;
    if (t->phase == PHASE_UP && open == 0 && !t->draining) /* else the drain timer looks */
        tunnel_set_state(t, TUNNEL_FAILED, words);
}

static void tunnel_open_data(struct tunnel *t)
{
    static const struct data_channels_events events = {tunnel_on_data_open, tunnel_on_data_close};
    t->data = (struct data_channels){.loop = t->loop,
                                     .session = t->session,
                                     .egress = t->egress,
                                     .edge = t->edge,
                                     .events = &events,
                                     .ctx = t,
                                     .draining = t->draining};
    data_channels_open(&t->data, t->peer.data_channels);
}

/* Control channel ---------------------------------------------------------------------------------------- */

static bool tunnel_control_write(void *ctx, const void *data, size_t n)
{
    struct tunnel *t = ctx;
    return ssh_channel_write(t->control_channel, data, n) == ERR_OK;
}

static void tunnel_send_policy(struct tunnel *t)
{
    enum err e = core_control_send_policy(t->control, t->revision, t->policy);
    bool owed = t->owes_policy;
    t->owes_policy = e != ERR_OK;
    if (t->owes_policy && !owed)
        log_event(LOG_ERR, "Policy Not Sent", "edge=%s reason=\"%s\"", t->edge, err_str(e));
}

/* Configs ------------------------------------------------------------------------------------------------ */

static void tunnel_offer_config(struct tunnel *t)
{
    if (!t->config || t->peer.config < 0 || t->peer.config >= t->revision || t->decided == t->revision ||
        t->offered == t->revision)
        return;
    if (core_control_prepare(t->control, t->revision, t->config) == ERR_OK)
        t->offered = t->revision;
}

static void tunnel_config_prepared(struct tunnel *t, int64_t revision, const char *error, const char *waiting)
{
    if (revision == t->proposed) {
        t->proposed = 0;
        t->events->on_config(t->ctx, error ? "refused" : "prepared", error ? error : "", waiting);
    } else if (revision == t->offered) {
        t->offered = 0;
        if (!error)
            (void)core_control_decide(t->control, revision, true);
        else if (strcmp(error, t->config_error) != 0)
            log_event(LOG_ERR, "Config Refused", "edge=%s revision=%lld reason=\"%s\"", t->edge,
                      (long long)revision, error);
        snprintf(t->config_error, sizeof t->config_error, "%s", error ? error : "");
    }
}

static void tunnel_on_config(void *ctx, bool committed, int64_t revision, const char *error,
                             const char *waiting)
{
    struct tunnel *t = ctx;
    if (!committed) {
        tunnel_config_prepared(t, revision, error, waiting);
        return;
    }
    if (error)
        log_event(LOG_ERR, "Config Not Committed", "edge=%s revision=%lld reason=\"%s\"", t->edge,
                  (long long)revision, error);
    else
        t->peer.config = revision;
    snprintf(t->config_error, sizeof t->config_error, "%s", error ? error : "");
    snprintf(t->config_waiting, sizeof t->config_waiting, "%s", waiting);
}

const char *tunnel_config_prepare(struct tunnel *t, int64_t revision, const char *text)
{
    if (t->phase != PHASE_UP)
        return "away";
    if (t->peer.config < 0)
        return "older version";
    if (core_control_prepare(t->control, revision, text) != ERR_OK)
        return "away";
    t->proposed = revision;
    return NULL;
}

void tunnel_config_decide(struct tunnel *t, int64_t revision, bool commit)
{
    if (t->phase != PHASE_UP)
        return; /* the edge has forgotten it; it is offered what is in force when it is back */
    if (core_control_decide(t->control, revision, commit) == ERR_OK && commit)
        t->decided = revision;
}

static void tunnel_send_keys(struct tunnel *t)
{
    if (!t->told)
        return;
    enum err e = core_control_send_keys(t->control, t->told);
    if (e != ERR_OK)
        log_event(LOG_INFO, "Keys Not Sent", "edge=%s reason=\"%s\"", t->edge,
                  e == ERR_UNSUPPORTED ? "its version does not know them yet; update it" : err_str(e));
}

static void tunnel_on_welcome(void *ctx, const struct core_control_peer *peer)
{
    struct tunnel *t = ctx;
    t->peer = *peer;
    t->phase = PHASE_UP;
    t->owes_policy = false;
    if (t->policy)
        tunnel_send_policy(t);
    tunnel_offer_config(t);
    tunnel_send_keys(t);
    tunnel_open_data(t);
}

static void tunnel_on_keys_ack(void *ctx, const json_t *msg)
{
    struct tunnel *t = ctx;
    t->events->on_keys_ack(t->ctx, msg);
}

static void tunnel_on_policy_ack(void *ctx, int64_t revision, const char *error)
{
    struct tunnel *t = ctx;
    if (!error)
        t->acked = revision;
    else
        log_event(LOG_ERR, "Policy Refused", "edge=%s revision=%lld reason=\"%s\"", t->edge,
                  (long long)revision, error);
    snprintf(t->ack_error, sizeof t->ack_error, "%s", error ? error : "");
    t->events->on_policy_ack(t->ctx, revision, error);
}

static void tunnel_on_control_over(void *ctx, enum err why, const char *words)
{
    (void)why;
    tunnel_fall(ctx, words);
}

static const struct core_control_events tunnel_control_events = {
    tunnel_control_write, tunnel_on_welcome,  tunnel_on_policy_ack,
    tunnel_on_config,     tunnel_on_keys_ack, tunnel_on_control_over};

static void tunnel_on_control_open(void *ctx)
{
    struct tunnel *t = ctx;
    core_control_start(t->control, clock_monotonic(), (int64_t)time(NULL));
}

static void tunnel_on_control_data(void *ctx, const uint8_t *data, size_t n)
{
    struct tunnel *t = ctx;
    core_control_receive(t->control, data, n, clock_monotonic(), (int64_t)time(NULL));
}

static void tunnel_on_control_close(void *ctx, const char *words)
{
    tunnel_fall(ctx, words);
}

static const struct ssh_channel_events tunnel_control_channel_events = {.on_open = tunnel_on_control_open,
                                                                        .on_data = tunnel_on_control_data,
                                                                        .on_close = tunnel_on_control_close};

/* SSH session -------------------------------------------------------------------------------------------- */

static void tunnel_on_session_open(void *ctx)
{
    struct tunnel *t = ctx;
    struct core_control_self self = {.core = t->core, .edge = t->edge, .tunnel = t->index};
    t->phase = PHASE_GREETING;
    t->control = core_control_new(&self, &tunnel_control_events, t);
    if (t->control)
        t->control_channel = ssh_channel_open(t->session, "control", &tunnel_control_channel_events, t);
    if (!t->control_channel)
        tunnel_fall(t, "out of memory");
}

static void tunnel_on_session_close(void *ctx, enum err why, const char *words)
{
    struct tunnel *t = ctx;
    if (t->phase == PHASE_ENDING)
        tunnel_restart_timer(t, &t->reaper, 0, 0);
    else
        tunnel_fall(t, why == ERR_OK ? "ended" : words);
}

static const struct ssh_session_events tunnel_session_events = {tunnel_on_session_open,
                                                                tunnel_on_session_close};

/* Reaching the edge -------------------------------------------------------------------------------------- */

static void tunnel_mark_throughput(struct tunnel *t)
{
    struct ssh_session_stats stats = ssh_session_stats(t->session);
    double now = clock_monotonic();
    throughput_mark(&t->in, stats.bytes_in, now);
    throughput_mark(&t->out, stats.bytes_out, now);
}

static void tunnel_on_connected(void *ctx, int fd)
{
    struct tunnel *t = ctx;
    struct ssh_session_config config = {.host_keys = &t->host_keys, .client_key = t->client_key};
    ev_timer_stop(t->loop, &t->wait);
    t->phase = PHASE_HANDSHAKE;
    t->session = ssh_session_new(t->loop, fd, &config, &tunnel_session_events, t);
    if (!t->session)
        tunnel_fall(t, "out of memory");
    else
        tunnel_mark_throughput(t);
}

static void tunnel_on_unreachable(void *ctx, const char *words, bool knock)
{
    struct tunnel *t = ctx;
    tunnel_set_state(t, TUNNEL_FAILED, words);
    if (!knock)
        tunnel_wait(t);
}

static void tunnel_on_question(void *ctx)
{
    struct tunnel *t = ctx;
    t->events->on_question(t->ctx);
}

static const struct reach_events tunnel_reach_events = {tunnel_on_connected, tunnel_on_unreachable,
                                                        tunnel_on_question};

void tunnel_answer(struct tunnel *t, const struct netaddr *addrs, size_t n, const char *error)
{
    reach_answer(t->reach, addrs, n, error);
}

static void tunnel_attempt(struct tunnel *t)
{
    t->phase = PHASE_REACHING;
    reach_attempt(t->reach);
}

/* Nothing is known of it while the tunnel is down. */
static void tunnel_judge_clock(struct tunnel *t)
{
    int64_t skew = t->control && t->phase == PHASE_UP ? core_control_skew(t->control) : 0;
    bool skewed = skew > CTL_SKEW_MAX || skew < -CTL_SKEW_MAX;
    char detail[96];
    if (skewed == t->skewed)
        return;
    t->skewed = skewed;
    snprintf(detail, sizeof detail, "its clock is %lld s %s this box's", (long long)(skew < 0 ? -skew : skew),
             skew < 0 ? "behind" : "ahead of");
    if (skewed)
        alarm_raise(ALARM_CLOCK_SKEW, t->edge, detail);
    else
        alarm_clear(ALARM_CLOCK_SKEW, t->edge);
}

static void tunnel_on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    struct tunnel *t = timer->data;
    if (t->control && (t->phase == PHASE_GREETING || t->phase == PHASE_UP))
        core_control_tick(t->control, clock_monotonic());
    if (t->owes_policy && t->phase == PHASE_UP)
        tunnel_send_policy(t);
    if (t->session)
        tunnel_mark_throughput(t);
    tunnel_judge_clock(t);
}

/* Draining ----------------------------------------------------------------------------------------------- */

static void tunnel_end(struct tunnel *t)
{
    ev_timer_stop(t->loop, &t->drain);
    if (t->phase != PHASE_UP) {
        t->phase = PHASE_ENDING;
        tunnel_restart_timer(t, &t->reaper, 0, 0);
        return;
    }
    core_control_bye(t->control, "core is stopping");
    t->phase = PHASE_ENDING;
    ssh_session_end(t->session);
}

/* Looks ten times a second whether the requests are done: cheaper than a callback from every one of them.
 * WebSockets are not waited for: they would outlast any patience, and guests open them anew the sooner the
 * sooner this is over. (But tunnel_linger: another tunnel has taken this one's place, and nobody is in a
 * hurry.) */
static void tunnel_on_drain(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    struct tunnel *t = timer->data;
    size_t left = t->lingering ? egress_running(t->egress) : egress_unfinished(t->egress);
    if (left == 0 || clock_monotonic() >= t->drain_until)
        tunnel_end(t);
}

void tunnel_linger(struct tunnel *t)
{
    t->lingering = true;
}

void tunnel_drain(struct tunnel *t, double seconds)
{
    double until = clock_monotonic() + seconds;
    if (!t->draining || until < t->drain_until)
        t->drain_until = until;
    if (t->draining)
        return;
    t->draining = true;
    data_channels_drain(&t->data);
    tunnel_restart_timer(t, &t->drain, 0, 0.1);
}

/* Life --------------------------------------------------------------------------------------------------- */

void tunnel_set_policy(struct tunnel *t, int64_t revision, json_t *policy, const char *config)
{
    json_t *old = t->policy;
    t->policy = json_incref(policy);
    t->revision = revision;
    json_decref(old);
    free(t->config);
    t->config = config ? strdup(config) : NULL;
    if (t->phase != PHASE_UP)
        return;
    tunnel_send_policy(t);
    tunnel_offer_config(t);
}

enum err tunnel_set_keys(struct tunnel *t, const json_t *host_keys, const char *client_key, json_t *told)
{
    char *key = strdup(client_key);
    enum err e = key ? host_keys_parse(host_keys, &t->host_keys) : ERR_MEMORY;
    if (e != ERR_OK) {
        file_wipe(key);
        return e;
    }
    file_wipe(t->client_key);
    t->client_key = key;
    json_decref(t->told);
    t->told = json_incref(told);
    if (t->phase == PHASE_UP)
        tunnel_send_keys(t);
    return ERR_OK;
}

void tunnel_refuse(struct tunnel *t, const char *words)
{
    if (t->control)
        core_control_bye(t->control, words);
    if (t->session)
        tunnel_fall(t, words);
}

enum err tunnel_new(struct ev_loop *loop, const struct tunnel_config *config, struct egress *egress,
                    const struct tunnel_events *events, void *ctx, struct tunnel **out, char *why,
                    size_t why_size)
{
    struct host_keys host_keys = {0};
    if (host_keys_parse(config->host_keys, &host_keys) != ERR_OK) {
        snprintf(why, why_size, "host_key of edge %s is not an \"ssh-ed25519 AAAA…\" line", config->edge);
        return ERR_CONFIG;
    }
    struct tunnel *t = calloc(1, sizeof *t);
    if (!t) {
        host_keys_free(&host_keys);
        snprintf(why, why_size, "out of memory");
        return ERR_MEMORY;
    }
    t->loop = loop;
    t->events = events;
    t->ctx = ctx;
    t->egress = egress;
    t->port = config->port;
    t->index = config->index;
    t->host_keys = host_keys;
    t->since = time(NULL);
    snprintf(t->core, sizeof t->core, "%s", config->core);
    snprintf(t->edge, sizeof t->edge, "%s", config->edge);
    snprintf(t->host, sizeof t->host, "%s", config->host);
    reconnect_init(&t->reconnect);
    ev_init(&t->wait, tunnel_on_waited);
    ev_init(&t->reaper, tunnel_on_reap);
    ev_init(&t->drain, tunnel_on_drain);
    ev_timer_init(&t->tick, tunnel_on_tick, tick_seconds, tick_seconds);
    t->wait.data = t->reaper.data = t->drain.data = t->tick.data = t;
    ev_timer_start(loop, &t->tick);
    t->client_key = strdup(config->client_key);
    t->reach = reach_new(loop, config->host, config->port, &tunnel_reach_events, t);
    if (!t->client_key || !t->reach) {
        snprintf(why, why_size, "out of memory");
        tunnel_free(t);
        return ERR_MEMORY;
    }
    tunnel_restart_timer(t, &t->wait, 0, 0);
    t->phase = PHASE_WAITING;
    *out = t;
    return ERR_OK;
}

void tunnel_free(struct tunnel *t)
{
    if (!t)
        return;
    tunnel_take_down(t);
    ev_timer_stop(t->loop, &t->wait);
    ev_timer_stop(t->loop, &t->reaper);
    ev_timer_stop(t->loop, &t->tick);
    ev_timer_stop(t->loop, &t->drain);
    reach_free(t->reach);
    json_decref(t->policy);
    free(t->config);
    json_decref(t->told);
    host_keys_free(&t->host_keys);
    file_wipe(t->client_key);
    free(t);
}

const char *tunnel_host_key(const struct tunnel *t)
{
    return t->session ? ssh_session_host_key(t->session) : "";
}

const char *tunnel_edge_version(const struct tunnel *t)
{
    return t->phase == PHASE_UP ? t->peer.version : "";
}

static void tunnel_status_figures(const struct tunnel *t, json_t *o)
{
    struct ssh_session_stats stats = ssh_session_stats(t->session);
    char cipher[64];
    double rtt = core_control_rtt(t->control);
    if (rtt >= 0)
        json_object_set_new(o, "rtt_ms", json_real(rtt * 1000));
    json_object_set_new(o, "silent_s", json_real(core_control_silence(t->control, clock_monotonic())));
    json_object_set_new(o, "edge_version", json_string(t->peer.version));
    json_object_set_new(o, "protocol", json_integer(t->peer.protocol));
    json_object_set_new(o, "clock_skew_s", json_integer(core_control_skew(t->control)));
    json_object_set_new(o, "revision_acked", json_integer(t->acked));
    if (t->ack_error[0])
        json_object_set_new(o, "policy_error", json_string(t->ack_error));
    if (t->peer.config >= 0)
        json_object_set_new(o, "config_revision", json_integer(t->peer.config));
    if (t->config_error[0])
        json_object_set_new(o, "config_error", json_string(t->config_error));
    if (t->config_waiting[0])
        json_object_set_new(o, "waits_for_restart", json_string(t->config_waiting));
    json_object_set_new(o, "cipher", json_string(ssh_session_cipher(t->session, cipher, sizeof cipher)));
    json_object_set_new(o, "tunnel_bytes_in", json_integer((json_int_t)stats.bytes_in));
    json_object_set_new(o, "tunnel_bytes_out", json_integer((json_int_t)stats.bytes_out));
    json_object_set_new(o, "queue", json_integer((json_int_t)stats.queued));
    json_object_set_new(o, "rate_in", json_real(throughput_rate(&t->in)));
    json_object_set_new(o, "rate_out", json_real(throughput_rate(&t->out)));
}

json_t *tunnel_status(const struct tunnel *t)
{
    char target[256 + 16];
    snprintf(target, sizeof target, strchr(t->host, ':') ? "[%s]:%u" : "%s:%u", t->host, t->port);
    json_t *o = json_pack("{ss si ss ss ss sI si}", "edge", t->edge, "index", (int)t->index, "target", target,
                          "state", tunnel_state_str(t->state), "reason", t->reason, "since",
                          (json_int_t)t->since, "channels", (int)data_channels_count(&t->data));
    if (o && t->phase == PHASE_UP)
        tunnel_status_figures(t, o);
    return o;
}
