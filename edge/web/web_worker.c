#include "edge/web/web_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fatal.h"
#include "common/tls_choice.h"
#include "edge/web/balancer.h"
#include "edge/web/banned.h"
#include "edge/web/conn.h"
#include "edge/web/demux.h"
#include "edge/web/handover.h"
#include "edge/web/handshakes.h"
#include "edge/web/listener.h"
#include "edge/web/uplink.h"
#include "edge/web/web.h"

static const double goodbye_seconds = 1;

enum { OUT_MAX = 256 * 1024, EVENT_BURST = 20, EVENT_SECONDS = 10, LOG_LINE = 1024 };

/* What we prefer first; stun.turn: RFC 7443. */
static const char alpn[] = "\x02h2\x08http/1.1", alpn_with_turn[] = "\x02h2\x08http/1.1\x09stun.turn";

/* Shared with the parts -------------------------------------------------------------------------------- */

void web_check_drained(struct web *w)
{
    if (w->draining && w->n_connections == 0)
        ev_break(w->loop, EVBREAK_ALL);
}

bool web_connection_count(struct web *w, const struct netaddr *client, size_t most)
{
    char text[NETADDR_TEXT];
    if (address_table_add(w->addresses, client, most))
        return true;
    w->counters.refused_address++;
    offence_note(w, client, BAN_limits);
    web_event(w, &w->limit_log, "Too Many Connections",
              json_pack("{s:s, s:I}", "client", netaddr_print_ip(client, text), "limit",
                        (json_int_t)w->limits.connections_per_address));
    return false;
}

void web_connection_closed(struct web *w, const struct netaddr *client)
{
    address_table_remove(w->addresses, client);
    w->n_connections--;
    web_check_drained(w);
}

/* " key=value" for each field, texts quoted. */
static void fields_to_text(const json_t *fields, char *out, size_t size)
{
    const char *key;
    json_t *value;
    size_t used = 0;
    out[0] = '\0';
    json_object_foreach ((json_t *)fields, key, value) {
        char quoted[600];
        if (used >= size)
            return;
        if (json_is_integer(value))
            snprintf(quoted, sizeof quoted, "%lld", (long long)json_integer_value(value));
        else
            log_quote(json_string_value(value), json_string_length(value), quoted, sizeof quoted);
        used += (size_t)snprintf(out + used, size - used, "%s%s=%s", used ? " " : "", key, quoted);
    }
}

bool web_is_exempt(const struct web *w, const struct netaddr *client)
{
    for (size_t i = 0; i < w->n_exempt; i++)
        if (netcidr_contains(&w->exempt[i], client))
            return true;
    return false;
}

void web_event(struct web *w, struct log_limit *l, const char *event, json_t *fields)
{
    char text[LOG_LINE];
    unsigned dropped;
    if (!fields || !log_limit_allow(l, (int64_t)w->now, EVENT_BURST, EVENT_SECONDS, &dropped)) {
        json_decref(fields);
        return;
    }
    if (dropped)
        json_object_set_new(fields, "kept_back", json_integer((json_int_t)dropped));
    fields_to_text(fields, text, sizeof text);
    log_event(LOG_NOTICE, event, "%s", text);
    json_object_set_new(fields, "type", json_string("event"));
    json_object_set_new(fields, "event", json_string(event));
    (void)ipc_send(w->main, fields, NULL, 0);
}

/* Messages --------------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *msg, const char *key)
{
    const char *s = json_string_value(json_object_get(msg, key));
    return s ? s : "";
}

static int64_t number_of(const json_t *msg, const char *key)
{
    return json_integer_value(json_object_get(msg, key));
}

static void refuse_message(struct web *w, const char *type, const char *why)
{
    char quoted[1024];
    log_event(LOG_ERR, "Message Refused", "message=%s reason=%s", type,
              log_quote(why, strlen(why), quoted, sizeof quoted));
    (void)ipc_send(w->main, json_pack("{s:s, s:s, s:s}", "type", "refused", "message", type, "reason", why),
                   NULL, 0);
}

static void take_tls(struct web *w, const char *type, const json_t *msg)
{
    const struct tls_server server = {.alpn = w->turn ? alpn_with_turn : alpn, .tickets = &w->tickets};
    SSL_CTX *ctx;
    char why[256];
    if (tls_choice_ctx_json(&server, json_object_get(msg, "tls"), &ctx, why, sizeof why) != ERR_OK) {
        refuse_message(w, type, why);
        return;
    }
    SSL_CTX_free(w->tls); /* connections hold their own reference */
    w->tls = ctx;
}

static void take_tickets(struct web *w, const char *type, const json_t *msg)
{
    if (tls_tickets_parse(text_of(msg, "tickets"), &w->tickets) != ERR_OK)
        refuse_message(w, type, "keys of session tickets are wanted");
}

static void take_policy(struct web *w, const char *type, const json_t *msg)
{
    char why[256];
    enum err e = allowlist_from_json(json_object_get(msg, "allowlist"), &w->allowlist, why, sizeof why);
    if (e != ERR_OK) {
        refuse_message(w, type, why);
        return;
    }
    w->revision = number_of(msg, "revision");
}

/* A list of networks; without memory for it an empty one. What is no network is left out. */
static void take_networks(struct web *w, const char *type, const json_t *list, struct netcidr **out,
                          size_t *n_out)
{
    size_t n = json_array_size(list), taken = 0;
    struct netcidr *nets = calloc(n + 1, sizeof *nets);
    for (size_t i = 0; nets && i < n; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text && netcidr_parse(text, &nets[taken]) == ERR_OK)
            taken++;
        else
            refuse_message(w, type, "a load balancer, or what is exempt, is no network in CIDR notation");
    }
    free(*out);
    *out = nets;
    *n_out = taken;
}

static void take_hsts(struct web *w, const json_t *msg)
{
    int64_t seconds = number_of(msg, "hsts");
    w->hsts[0] = '\0';
    if (seconds > 0)
        snprintf(w->hsts, sizeof w->hsts, "max-age=%lld", (long long)seconds);
}

static void take_listeners(struct web *w, const json_t *msg, int *fds, size_t n_fds)
{
    size_t n_https = (size_t)number_of(msg, "https");
    for (size_t i = 0; i < n_fds && w->n_listeners < WEB_LISTENERS_MAX; i++) {
        struct listener *l = listener_new(w, fds[i], i < n_https);
        fds[i] = -1;
        if (l)
            w->listeners[w->n_listeners++] = l;
        else
            refuse_message(w, "setup", "a listening socket cannot be used");
    }
}

static void on_setup(struct web *w, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    char why[256];
    if (w->addresses) {
        refuse_message(w, type, "set up already");
        return;
    }
    if (web_limits_from_json(json_object_get(msg, "limits"), &w->limits, why, sizeof why) != ERR_OK)
        refuse_message(w, type, why); /* the defaults stay */
    if (json_object_get(msg, "log_level"))
        log_set_level((int)number_of(msg, "log_level"));
    w->addresses = address_table_new((size_t)w->limits.connections);
    w->streams = address_table_new((size_t)w->limits.connections); /* no stream without a connection */
    w->handshakes = address_rate_new();
    w->handshakes_first = address_rate_new();
    w->requests = address_rate_new();
    REQUIRE(w->addresses && w->streams && w->handshakes && w->handshakes_first && w->requests);
    REQUIRE(waiting_resize(w, (size_t)w->limits.waiting_requests) == ERR_OK);
    take_hsts(w, msg);
    w->turn = json_is_true(json_object_get(msg, "turn"));
    take_tls(w, type, msg);
    if (json_object_get(msg, "tickets"))
        take_tickets(w, type, msg);
    take_networks(w, type, json_object_get(msg, "load_balancers"), &w->balancers, &w->n_balancers);
    take_networks(w, type, json_object_get(msg, "exempt"), &w->exempt, &w->n_exempt);
    acme_take(&w->acme, json_object_get(msg, "acme"));
    banned_change(w, json_object_get(msg, "bans"), NULL);
    take_policy(w, type, msg);
    take_listeners(w, msg, fds, n_fds);
    (void)ipc_send(w->main, json_pack("{s:s}", "type", "ready"), NULL, 0);
}

static void on_tls(struct web *w, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    (void)fds, (void)n_fds;
    take_tls(w, type, msg);
}

static void on_tickets(struct web *w, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    (void)fds, (void)n_fds;
    take_tickets(w, type, msg);
}

static void on_acme(struct web *w, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    (void)type, (void)fds, (void)n_fds;
    acme_take(&w->acme, json_object_get(msg, "answers"));
}

static void on_bans(struct web *w, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    (void)type, (void)fds, (void)n_fds;
    banned_change(w, json_object_get(msg, "add"), json_object_get(msg, "remove"));
}

static void on_policy(struct web *w, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    (void)fds, (void)n_fds;
    take_policy(w, type, msg);
}

/* They count at once for what comes, and for deadlines that begin; nobody is closed for being above one. */
static void on_limits(struct web *w, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    struct web_limits fresh;
    char why[256] = "out of memory";
    (void)fds, (void)n_fds;
    enum err e = web_limits_from_json(json_object_get(msg, "limits"), &fresh, why, sizeof why);
    if (e == ERR_OK)
        e = address_table_resize(w->addresses, (size_t)fresh.connections);
    if (e == ERR_OK)
        e = address_table_resize(w->streams, (size_t)fresh.connections);
    if (e == ERR_OK)
        e = waiting_resize(w, (size_t)fresh.waiting_requests);
    if (e != ERR_OK) {
        refuse_message(w, type, why);
        return;
    }
    w->limits = fresh;
    take_networks(w, type, json_object_get(msg, "load_balancers"), &w->balancers, &w->n_balancers);
    take_networks(w, type, json_object_get(msg, "exempt"), &w->exempt, &w->n_exempt);
    take_hsts(w, msg);
}

static void on_uplink(struct web *w, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    int64_t id = number_of(msg, "id");
    if (n_fds != 2 || uplink_find(w, id)) {
        refuse_message(w, type, n_fds != 2 ? "two descriptors are wanted" : "an uplink of that id is there");
        return;
    }
    int in = fds[0], out = fds[1];
    fds[0] = fds[1] = -1;
    if (!uplink_new(w, id, text_of(msg, "core"), (int)number_of(msg, "tunnel"),
                    (int)number_of(msg, "channel"), in, out))
        refuse_message(w, type, "out of memory");
}

static void on_uplink_close(struct web *w, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    struct uplink *u = uplink_find(w, number_of(msg, "id"));
    (void)type, (void)fds, (void)n_fds;
    if (u)
        uplink_close(u, "closed by main");
}

static void on_access_log(struct web *w, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    int fd = n_fds ? fds[0] : -1;
    if (n_fds)
        fds[0] = -1;
    if (access_log_use(&w->access_log, fd, json_is_true(json_object_get(msg, "json")),
                       json_is_true(json_object_get(msg, "query"))) != ERR_OK)
        refuse_message(w, type, "out of memory");
}

static void on_handed(struct web *w, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    (void)type, (void)msg, (void)fds, (void)n_fds;
    handover_done(w);
}

/* Answers by class, and by status those that there were. */
static void add_statuses(json_t *o, const struct web *w)
{
    json_t *classes = json_object(), *statuses = json_object();
    for (unsigned hundred = 2; hundred <= 5; hundred++) {
        char name[8];
        uint64_t all = 0;
        for (unsigned status = hundred * 100; status < hundred * 100 + 100; status++) {
            uint64_t n = w->counters.statuses[status];
            all += n;
            snprintf(name, sizeof name, "%u", status);
            if (n)
                json_object_set_new(statuses, name, json_integer((json_int_t)n));
        }
        snprintf(name, sizeof name, "%uxx", hundred);
        json_object_set_new(classes, name, json_integer((json_int_t)all));
    }
    json_object_set_new(o, "codes", classes);
    json_object_set_new(o, "statuses", statuses);
}

static json_t *status_of(const struct web *w)
{
    json_t *o = json_pack("{s:I, s:I, s:I, s:I, s:o}", "connections", (json_int_t)w->n_connections,
                          "addresses", (json_int_t)(w->addresses ? address_table_addresses(w->addresses) : 0),
                          "open_websockets", (json_int_t)w->n_websockets, "revision", (json_int_t)w->revision,
                          "uplinks", uplinks_status(w));
#define X(name) json_object_set_new(o, #name, json_integer((json_int_t)w->counters.name));
    WEB_COUNTERS(X)
#undef X
    json_t *abuses = json_object();
#define X(NAME, name, words, burst, rate)                                                                    \
    json_object_set_new(abuses, #name, json_integer((json_int_t)w->http2_abuses[H2_ABUSE_##NAME]));
    H2_ABUSES(X)
#undef X
    json_object_set_new(o, "http2_abuses", abuses);
    json_object_set_new(o, "access_log",
                        json_pack("{s:I, s:I}", "lines", (json_int_t)w->access_log.lines, "dropped",
                                  (json_int_t)w->access_log.dropped));
    json_object_set_new(o, "seconds",
                        json_pack("{s:o, s:o}", "edge", histogram_json(&w->latency.edge), "tunnel",
                                  histogram_json(&w->latency.tunnel)));
    json_object_set_new(o, "held", json_integer((json_int_t)(w->held + uplinks_queued(w))));
    add_statuses(o, w);
    return o;
}

static void on_status(struct web *w, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    (void)fds, (void)n_fds;
    conns_account(w);
    (void)ipc_send(
        w->main,
        json_pack("{s:s, s:O, s:o}", "type", type, "id", json_object_get(msg, "id"), "web", status_of(w)),
        NULL, 0);
}

/* What main may say. */
static const struct {
    const char *type;
    void (*take)(struct web *w, const char *type, json_t *msg, int *fds, size_t n_fds);
    bool before_setup;
} messages[] = {
    {"setup", on_setup, true},    {"tls", on_tls, false},
    {"policy", on_policy, false}, {"limits", on_limits, false},
    {"handed", on_handed, false}, {"tickets", on_tickets, false},
    {"uplink", on_uplink, false}, {"acme", on_acme, false},
    {"status", on_status, true},  {"uplink_close", on_uplink_close, false},
    {"bans", on_bans, false},     {"access_log", on_access_log, false},
};

void web_worker_message(struct web *w, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        if (strcmp(messages[i].type, type) != 0)
            continue;
        if (!w->addresses && !messages[i].before_setup)
            refuse_message(w, type, "not set up yet");
        else
            messages[i].take(w, type, msg, fds, n_fds);
        return;
    }
    refuse_message(w, type, "unknown message");
}

/* Life ------------------------------------------------------------------------------------------------- */

static void on_sweep(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct web *w = timer->data;
    (void)loop, (void)revents;
    for (size_t i = 0; i < w->n_listeners; i++)
        listener_sweep(w->listeners[i]);
    demux_sweep(w);
    balancer_sweep(w);
    conns_sweep(w);
    uplinks_sweep(w);
    waiting_sweep(w);
    offences_tell(w);
    access_log_flush(&w->access_log);
}

static void on_round_begin(struct ev_loop *loop, ev_check *check, int revents)
{
    struct web *w = check->data;
    (void)loop, (void)revents;
    w->now = clock_monotonic();
}

static void on_round_end(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
    (void)loop, (void)revents;
    conns_shed(prepare->data);
    conns_bury(prepare->data);
    handshakes_round(prepare->data);
}

/* First goodbyes, then as long as they take to leave. */
static void on_leave(struct ev_loop *loop, ev_timer *t, int revents)
{
    struct web *w = t->data;
    (void)revents;
    if (w->leaving) {
        ev_break(loop, EVBREAK_ALL);
        return;
    }
    w->leaving = true;
    conns_leave(w);
    web_check_drained(w);
    ev_timer_set(t, goodbye_seconds, 0);
    ev_timer_start(loop, t);
}

struct web *web_worker_new(struct ev_loop *loop, struct ipc *main)
{
    struct web *w = xcalloc(1, sizeof *w);
    w->loop = loop;
    w->main = main;
    web_limits_default(&w->limits);
    allowlist_init(&w->allowlist);
    http_message_init(&w->parsed);
    buf_init(&w->out, OUT_MAX);
    access_log_init(&w->access_log);
    LIST_INIT(&w->pending);
    LIST_INIT(&w->proxied);
    LIST_INIT(&w->conns);
    LIST_INIT(&w->dead);
    LIST_INIT(&w->dead_exchanges);
    LIST_INIT(&w->uplinks);
    handshakes_init(w);
    banned_init(w);
    w->offences = offences_new();
    REQUIRE(getrandom(&w->id_high, sizeof w->id_high, 0) == sizeof w->id_high);
    ev_timer_init(&w->sweep, on_sweep, 1, 1);
    ev_timer_init(&w->leave, on_leave, 0, 0);
    ev_prepare_init(&w->bury, on_round_end);
    ev_set_priority(&w->bury, EV_MINPRI); /* behind the streams' end of the round */
    ev_check_init(&w->clock, on_round_begin);
    ev_set_priority(&w->clock, EV_MAXPRI); /* before anything else of the round */
    w->now = clock_monotonic();
    waiting_init(w);
    w->sweep.data = w->leave.data = w->bury.data = w->clock.data = w;
    ev_check_start(loop, &w->clock);
    ev_timer_start(loop, &w->sweep);
    ev_prepare_start(loop, &w->bury);
    return w;
}

static void close_listeners(struct web *w)
{
    while (w->n_listeners > 0)
        listener_free(w->listeners[--w->n_listeners]);
}

void web_worker_drain(struct web *w, double seconds)
{
    if (w->leaving)
        return;
    ev_timer_stop(w->loop, &w->leave);
    ev_timer_set(&w->leave, seconds, 0);
    ev_timer_start(w->loop, &w->leave);
    if (w->draining)
        return;
    for (size_t i = 0; i < w->n_listeners; i++)
        listener_drain(w->listeners[i]);
    w->draining = true;
    close_listeners(w);
    demux_free_all(w);
    balancer_free_all(w);
    conns_drain(w);
    web_check_drained(w);
}

void web_worker_free(struct web *w)
{
    if (!w)
        return;
    w->draining = false; /* nothing breaks the loop from here on */
    ev_timer_stop(w->loop, &w->leave);
    ev_timer_stop(w->loop, &w->sweep);
    ev_prepare_stop(w->loop, &w->bury);
    ev_check_stop(w->loop, &w->clock);
    close_listeners(w);
    demux_free_all(w);
    balancer_free_all(w);
    conns_free(w);
    while (!LIST_EMPTY(&w->uplinks))
        uplink_free(LIST_FIRST(&w->uplinks));
    access_log_free(&w->access_log);
    address_rate_free(w->handshakes);
    address_rate_free(w->handshakes_first);
    address_rate_free(w->requests);
    address_table_free(w->addresses);
    address_table_free(w->streams);
    waiting_free(w);
    free(w->balancers);
    free(w->exempt);
    banned_free(w);
    offences_free(w->offences);
    acme_free(&w->acme);
    SSL_CTX_free(w->tls);
    allowlist_free(&w->allowlist);
    http_message_free(&w->parsed);
    buf_free(&w->out);
    free(w);
}
