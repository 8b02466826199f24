/*
 * Bans as main has them: workers tell what clients did, the book (bans.h) judges, every web worker is told
 * who stays outside. What workers say is taken as counts alone: an address that is exempt is safe whatever
 * they say.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alarms.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "edge/edge.h"

enum { NEVER_MAX = 512, EVENT_BURST = 20, EVENT_SECONDS = 10 };

/* To workers --------------------------------------------------------------------------------------------- */

/* list is stolen. One that is down gets all of them in its setup. */
static void bans_tell(struct edge *e, const char *what, json_t *list)
{
    if (json_array_size(list) > 0)
        for (size_t i = 0; i < e->n_web; i++)
            if (e->web[i])
                (void)worker_send(e->web[i], json_pack("{ss sO}", "type", "bans", what, list), NULL, 0);
    json_decref(list);
}

static void bans_append(json_t *list, const struct ban *ban)
{
    char text[NETADDR_TEXT];
    json_array_append_new(list, json_string(netaddr_print_ip(&ban->client, text)));
}

json_t *edge_bans_json(const struct edge *e)
{
    json_t *list = json_array();
    for (const struct ban *b = bans_next(e->bans, NULL); b; b = bans_next(e->bans, b))
        bans_append(list, b);
    return list;
}

/* Events ------------------------------------------------------------------------------------------------- */

/* IPv6 as the /64 that is meant. */
static const char *ban_print(const struct netaddr *client, char *out)
{
    char text[NETADDR_TEXT];
    snprintf(out, NETADDR_TEXT, "%s%s", netaddr_print_ip(client, text),
             client->family == AF_INET6 ? "/64" : "");
    return out;
}

static void bans_event(struct edge *e, const char *event, const struct ban *ban, bool by_hand)
{
    char address[NETADDR_TEXT], reason[2 * BANS_REASON_MAX + 8];
    unsigned dropped = 0;
    const char *why = ban_reason(ban);
    if (!by_hand &&
        !log_limit_allow(&e->bans_log, (int64_t)clock_monotonic(), EVENT_BURST, EVENT_SECONDS, &dropped))
        return;
    log_event(LOG_NOTICE, event, "address=%s category=\"%s\" seconds=%.0f reason=%s not_logged=%u",
              ban_print(&ban->client, address), ban_category_name(ban->category), ban->until - ban->since,
              log_quote(why, strlen(why), reason, sizeof reason), dropped);
}

/* Raised when somebody could not be banned, over when there is room again. */
static void bans_judge_room(struct edge *e)
{
    uint64_t full = bans_counters(e->bans)->full;
    char detail[64];
    if (bans_count(e->bans) < BANS_MAX) {
        alarm_clear(ALARM_BANS_FULL, "");
    } else if (full != e->bans_full) {
        snprintf(detail, sizeof detail, "%d are banned", BANS_MAX);
        alarm_raise(ALARM_BANS_FULL, "", detail);
    }
    e->bans_full = full;
}

/* Time --------------------------------------------------------------------------------------------------- */

struct bans_ended {
    struct edge *edge;
    json_t *list;
};

static void bans_on_end(void *ctx, const struct ban *ban)
{
    struct bans_ended *ended = ctx;
    bans_append(ended->list, ban);
    bans_event(ended->edge, "Ban Ended", ban, false);
}

static void bans_look(struct edge *e)
{
    struct bans_ended ended = {e, json_array()};
    bans_sweep(e->bans, clock_monotonic(), bans_on_end, &ended);
    bans_tell(e, "remove", ended.list);
    bans_judge_room(e);
    if (bans_count(e->bans) == 0)
        ev_timer_stop(e->loop, &e->bans_timer);
}

static void bans_on_second(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    bans_look(t->data);
}

/* Who is never banned ------------------------------------------------------------------------------------ */

static size_t never_add(struct netcidr *out, size_t n, const struct netaddr *a)
{
    if (!a->family || n == NEVER_MAX)
        return n;
    out[n] = (struct netcidr){.family = a->family, .bits = (uint8_t)(8 * netaddr_ip_len(a->family))};
    memcpy(out[n].ip, a->ip, sizeof out[n].ip);
    return n + 1;
}

/* Load balancers, the edges themselves, and the cores as their tunnels come here. */
static size_t never_list(const struct edge *e, struct netcidr *out)
{
    const struct config *c = &e->box->config;
    struct netaddr cores[64];
    size_t n = 0;
    for (size_t i = 0; i < c->web_proxy.load_balancers.n; i++)
        n += netcidr_parse(c->web_proxy.load_balancers.items[i], &out[n]) == ERR_OK;
    for (size_t i = 0; i < c->edges.n; i++) {
        const struct config_edge *edge = config_edge_at(c, i);
        n = never_add(out, n, &edge->public_ip);
        n = never_add(out, n, &edge->internal_ip);
        n = never_add(out, n, &edge->listen_ip);
    }
    size_t n_cores = e->attachments ? attachments_cores(e->attachments, cores, 64) : 0;
    for (size_t i = 0; i < n_cores; i++)
        n = never_add(out, n, &cores[i]);
    return n;
}

void edge_bans_configure(struct edge *e)
{
    struct netcidr never[NEVER_MAX];
    size_t n = never_list(e, never);
    if (bans_configure(e->bans, &e->box->config.bans, never, n) != ERR_OK)
        log_event(LOG_ERR, "Bans Not Taken Over", "reason=\"out of memory\"");
    bans_look(e);
}

enum err edge_bans_start(struct edge *e, char *why)
{
    e->bans = bans_new();
    if (!e->bans) {
        snprintf(why, SCHEMA_WHY, "out of memory");
        return ERR_MEMORY;
    }
    ev_timer_init(&e->bans_timer, bans_on_second, 1, 1);
    e->bans_timer.data = e;
    edge_bans_configure(e);
    return ERR_OK;
}

void edge_bans_stop(struct edge *e)
{
    if (!e->bans)
        return;
    ev_timer_stop(e->loop, &e->bans_timer);
    bans_free(e->bans);
}

/* From workers ------------------------------------------------------------------------------------------- */

static bool category_of(const char *name, enum ban_category *out)
{
    for (unsigned i = 0; name && i < BAN_CATEGORY_COUNT; i++) {
        if (strcmp(name, ban_category_name(i)) != 0)
            continue;
        *out = i;
        return true;
    }
    return false;
}

void edge_bans_heard(struct edge *e, const json_t *msg)
{
    json_t *added = json_array(), *row;
    size_t i;
    json_array_foreach (json_object_get(msg, "list"), i, row) {
        const char *text = json_string_value(json_array_get(row, 0));
        json_int_t n = json_integer_value(json_array_get(row, 2));
        struct netaddr client;
        enum ban_category category;
        if (!text || netaddr_parse(text, 0, &client) != ERR_OK || n < 1 ||
            !category_of(json_string_value(json_array_get(row, 1)), &category))
            continue;
        const struct ban *ban = bans_offence(e->bans, &client, category,
                                             n < UINT32_MAX ? (unsigned)n : UINT32_MAX, clock_monotonic());
        if (!ban) {
            bans_judge_room(e);
            continue;
        }
        bans_append(added, ban);
        bans_event(e, "Address Banned", ban, false);
        ev_timer_start(e->loop, &e->bans_timer);
    }
    bans_tell(e, "add", added);
}

/* `stile-edge ban` --------------------------------------------------------------------------------------- */

static json_t *ban_row(const struct ban *ban, double now)
{
    char address[NETADDR_TEXT];
    time_t wall = time(NULL);
    return json_pack("{ss ss ss sI sI}", "address", ban_print(&ban->client, address), "category",
                     ban_category_name(ban->category), "reason", ban_reason(ban), "since",
                     (json_int_t)(wall - (time_t)(now - ban->since)), "until",
                     (json_int_t)(wall + (time_t)(ban->until - now)));
}

static json_t *bans_list(const struct edge *e)
{
    json_t *list = json_array();
    double now = clock_monotonic();
    for (const struct ban *b = bans_next(e->bans, NULL); b; b = bans_next(e->bans, b))
        json_array_append_new(list, ban_row(b, now));
    return json_pack("{ss so}", "type", "ban", "bans", list);
}

static json_t *bans_wrong(const char *what)
{
    return json_pack("{ss ss}", "type", "error", "reason", what);
}

static json_t *bans_add_one(struct edge *e, const struct netaddr *client, const json_t *msg)
{
    const char *reason = json_string_value(json_object_get(msg, "reason"));
    json_int_t seconds = json_integer_value(json_object_get(msg, "seconds"));
    char text[NETADDR_TEXT];
    if (seconds < 1 || seconds > BANS_SECONDS_MAX)
        return bans_wrong("a ban lasts from 1 second to 366 days");
    enum err err = bans_add(e->bans, client, (long)seconds, reason, clock_monotonic());
    if (err == ERR_REFUSED)
        return bans_wrong(
            "this address is exempt: it is in bans.exempt, or a load balancer's, an edge's or a "
            "core's");
    if (err != ERR_OK)
        return bans_wrong("there are too many bans, or memory is out");
    const struct ban *ban = bans_find(e->bans, client);
    json_t *list = json_array();
    bans_append(list, ban);
    bans_event(e, "Address Banned", ban, true);
    bans_tell(e, "add", list);
    ev_timer_start(e->loop, &e->bans_timer);
    return json_pack(
        "{ss so}", "type", "ban", "done",
        json_sprintf("%s banned for %lld seconds", ban_print(&ban->client, text), (long long)seconds));
}

static json_t *bans_remove_one(struct edge *e, const struct netaddr *client)
{
    const struct ban *found = bans_find(e->bans, client);
    char text[NETADDR_TEXT];
    if (!found)
        return bans_wrong("this address is not banned; 'stile-edge ban list' shows all");
    struct ban ban = *found;
    json_t *list = json_array();
    (void)bans_remove(e->bans, client);
    bans_judge_room(e);
    bans_append(list, &ban);
    bans_event(e, "Ban Ended", &ban, true);
    bans_tell(e, "remove", list);
    return json_pack("{ss so}", "type", "ban", "done",
                     json_sprintf("%s not banned any more", ban_print(&ban.client, text)));
}

void edge_bans_request(void *edge, struct request *r, const json_t *msg)
{
    struct edge *e = edge;
    const char *verb = json_string_value(json_object_get(msg, "verb")),
               *address = json_string_value(json_object_get(msg, "address"));
    struct netaddr client;
    json_t *answer;
    if (verb && strcmp(verb, "list") == 0)
        answer = bans_list(e);
    else if (!address || netaddr_parse(address, 0, &client) != ERR_OK || client.port != 0)
        answer = bans_wrong("an IP address is wanted, without port");
    else if (verb && strcmp(verb, "add") == 0)
        answer = bans_add_one(e, &client, msg);
    else if (verb && strcmp(verb, "remove") == 0)
        answer = bans_remove_one(e, &client);
    else
        answer = bans_wrong("add, remove and list are known");
    if (answer)
        request_answer(r, answer);
    else
        request_refuse(r, "out of memory");
}

/* For status and metrics. */
json_t *edge_bans_status(const struct edge *e)
{
    const struct bans_counters *c = bans_counters(e->bans);
    json_t *banned = json_object();
    for (unsigned i = 0; i < BAN_CATEGORY_COUNT; i++)
        json_object_set_new(banned, ban_category_name(i), json_integer((json_int_t)c->banned[i]));
    json_object_set_new(banned, "by_hand", json_integer((json_int_t)c->banned[BAN_BY_HAND]));
    return json_pack("{sb sI so sI sI sI}", "enabled", (int)e->box->config.bans.enabled, "active",
                     (json_int_t)bans_count(e->bans), "banned", banned, "ended", (json_int_t)c->ended,
                     "removed", (json_int_t)c->removed, "full", (json_int_t)c->full);
}
