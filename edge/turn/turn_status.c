#include "edge/turn/turn_status.h"

#include <string.h>

#include "edge/turn/turn_channel.h"
#include "edge/turn/turn_peer_connection.h"
#include "edge/turn/turn_permission.h"
#include "edge/turn/turn_relay.h"

enum { USERS_LISTED = 100, PEERS_LISTED = 32 /* of an allocation */ };

static const char *const transports[] = {
#define X(name, words) words,
    TURN_TRANSPORT_TABLE(X)
#undef X
};

static json_int_t seconds_left(const struct turn_server *s, const struct turn_timer *end)
{
    int32_t left = (int32_t)(end->due - s->now);
    return left > 0 ? left : 0;
}

/* Whoever makes ephemeral credentials chooses the name: what is no UTF-8 is shown all the same. */
static json_t *name_json(const char *name)
{
    char quoted[TURN_NAME_MAX * 4 + 8];
    json_t *v = json_string(name);
    return v ? v : json_string(log_quote(name, strlen(name), quoted, sizeof quoted));
}

static json_t *traffic_json(const struct turn_traffic *t)
{
    return json_pack("{s:I, s:I}", "packets", (json_int_t)t->packets, "bytes", (json_int_t)t->bytes);
}

static json_t *relayed_json(const struct turn_allocation *a, json_int_t *expires_in)
{
    char text[NETADDR_TEXT];
    json_t *list = json_array();
    for (int f = 0; f < TURN_FAMILIES; f++) {
        if (!a->relays[f])
            continue;
        json_array_append_new(list, json_string(netaddr_print(&a->relays[f]->advertised, text)));
        json_int_t left = seconds_left(a->server, &a->relays[f]->end);
        *expires_in = left > *expires_in ? left : *expires_in;
    }
    return list;
}

static json_t *peers_json(const struct turn_allocation *a)
{
    char text[NETADDR_TEXT];
    json_t *list = json_array();
    for (const struct turn_permission *p = a->permissions; p && json_array_size(list) < PEERS_LISTED;
         p = p->next)
        json_array_append_new(list, json_pack("{s:s, s:I}", "address", netaddr_print_ip(&p->peer, text),
                                              "expires_in", seconds_left(a->server, &p->end)));
    return list;
}

static json_t *channels_json(const struct turn_allocation *a)
{
    char text[NETADDR_TEXT];
    json_t *list = json_array();
    for (const struct turn_channel *c = a->channels; c && json_array_size(list) < PEERS_LISTED; c = c->next)
        if (!c->retired)
            json_array_append_new(list, json_pack("{s:i, s:s, s:I}", "number", c->number, "peer",
                                                  netaddr_print(&c->peer, text), "expires_in",
                                                  seconds_left(a->server, &c->end)));
    return list;
}

static json_t *connections_json(const struct turn_allocation *a)
{
    char text[NETADDR_TEXT];
    json_t *list = json_array();
    const struct turn_peer_connection *c;
    LIST_FOREACH (c, &a->connections, link) {
        bool ends = c->state == TURN_CONNECTION_CONNECTING || c->state == TURN_CONNECTION_WAITING;
        json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "peer", netaddr_print(&c->peer, text),
                                              "state", turn_connection_state_words(c->state), "expires_in",
                                              ends ? seconds_left(a->server, &c->end) : (json_int_t)0));
    }
    return list;
}

static json_t *allocation_json(const struct turn_allocation *a)
{
    char client[NETADDR_TEXT], server[NETADDR_TEXT];
    json_int_t expires_in = 0;
    json_t *relayed = relayed_json(a, &expires_in);
    json_t *o = json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:o, s:o, s:o, s:I, s:o, s:o, s:I}", "client",
                          netaddr_print(&a->client.address, client), "server",
                          netaddr_print(&a->client.server, server), "protocol",
                          transports[a->client.transport], "user", name_json(a->account->name), "age",
                          (json_int_t)(a->server->now - a->created), "expires_in", expires_in, "relayed",
                          relayed, "peers", peers_json(a), "channels", channels_json(a), "permissions",
                          (json_int_t)a->n_permissions, "from_client", traffic_json(&a->from_client),
                          "to_client", traffic_json(&a->to_client), "dropped", (json_int_t)a->drops);
    if (o)
        json_object_set_new(o, "transport", json_string(a->tcp ? "TCP" : "UDP"));
    if (o && a->tcp)
        json_object_set_new(o, "connections", connections_json(a));
    return o;
}

/* Relay ports of each address, over all workers. */
static json_t *ports_json(const struct turn_server *s)
{
    char text[NETADDR_TEXT];
    json_t *list = json_array();
    for (size_t i = 0; i < s->config.n_relays; i++)
        json_array_append_new(list, json_pack("{s:s, s:i, s:I}", "address",
                                              netaddr_print_ip(&s->config.relays[i].advertised, text), "all",
                                              s->config.port_max - s->config.port_min + 1, "used",
                                              (json_int_t)turn_shared_ports_used(s->shared, i)));
    return list;
}

/* Requests refused by each limit. */
static json_t *limits_json(const struct turn_server *s)
{
    json_t *o = json_object();
#define X(name, of, words, remedy)                                                                           \
    json_object_set_new(o, #name, json_integer((json_int_t)s->alarms[TURN_ALARM_##name].refused));
    TURN_ALARM_TABLE(X)
#undef X
    return o;
}

static void users_add(json_t *list, const struct hashmap *accounts, size_t *left_out)
{
    for (struct hashmap_node *at = NULL; (at = hashmap_walk(accounts, at));) {
        const struct turn_account *a = hashmap_entry(at, struct turn_account, node);
        unsigned relays = turn_account_allocations(a);
        if (relays == 0)
            continue;
        if (json_array_size(list) < USERS_LISTED)
            json_array_append_new(list,
                                  json_pack("{s:o, s:i}", "user", name_json(a->name), "relays", (int)relays));
        else
            ++*left_out;
    }
}

/* How far each user's allocations in this worker go towards the quota: users that have some, USERS_LISTED at
 * most. *left_out: how many more there are. */
static json_t *users_json(const struct turn_server *s, size_t *left_out)
{
    json_t *list = json_array();
    *left_out = 0;
    users_add(list, &s->accounts.users, left_out);
    users_add(list, &s->accounts.ephemerals, left_out);
    return list;
}

json_t *turn_status_json(const struct turn_server *s, const struct turn_admission *admission,
                         size_t relays_most)
{
    json_t *relays = json_array(), *counters = turn_counters_json(&s->counters);
    size_t n = 0, users_left_out;
    relays_most /= s->config.worker_count;
    for (struct hashmap_node *at = NULL; n < relays_most && (at = hashmap_walk(&s->allocations, at)); n++)
        json_array_append_new(relays, allocation_json(hashmap_entry(at, struct turn_allocation, node)));
    json_t *users = users_json(s, &users_left_out);
    json_object_set_new(counters, "limits", limits_json(s));
    json_t *o = json_pack(
        "{s:I, s:I, s:I, s:b, s:o, s:I, s:o, s:I, s:o, s:{s:I, s:I, s:I}, s:o}", "allocations",
        (json_int_t)s->allocations.count, "connections", (json_int_t)turn_admission_count(admission),
        "handshakes", (json_int_t)turn_admission_handshakes(admission), "draining", s->draining, "relays",
        relays, "relays_left_out", (json_int_t)(s->allocations.count - json_array_size(relays)), "users",
        users, "users_left_out", (json_int_t)users_left_out, "ports", ports_json(s), "quota", "total",
        (json_int_t)s->config.quota_total, "user", (json_int_t)s->config.quota_user, "address",
        (json_int_t)s->config.quota_address, "counters", counters);
    if (o)
        json_object_set_new(o, "peer_connections", json_integer((json_int_t)s->n_connections));
    return o;
}

json_t *turn_status_relay(const struct turn_server *s, const struct netaddr *relayed)
{
    if (relayed->port < s->config.port_min || relayed->port > s->config.port_max)
        return NULL;
    for (size_t i = 0; i < s->config.n_relays; i++) {
        const struct turn_relay *r = turn_relay_at(s, (int)i, relayed->port);
        if (r && r->allocation && netaddr_equal_ip(&r->advertised, relayed))
            return allocation_json(r->allocation);
    }
    return NULL;
}
