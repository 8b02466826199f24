#include "edge/turn/turn_status.h"

#include "edge/turn/turn_channel.h"
#include "edge/turn/turn_permission.h"
#include "edge/turn/turn_relay.h"

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
    for (const struct turn_permission *p = a->permissions; p; p = p->next)
        json_array_append_new(list, json_pack("{s:s, s:I}", "address", netaddr_print_ip(&p->peer, text),
                                              "expires_in", seconds_left(a->server, &p->end)));
    return list;
}

static json_t *channels_json(const struct turn_allocation *a)
{
    char text[NETADDR_TEXT];
    json_t *list = json_array();
    for (const struct turn_channel *c = a->channels; c; c = c->next)
        if (!c->retired)
            json_array_append_new(list, json_pack("{s:i, s:s, s:I}", "number", c->number, "peer",
                                                  netaddr_print(&c->peer, text), "expires_in",
                                                  seconds_left(a->server, &c->end)));
    return list;
}

static json_t *allocation_json(const struct turn_allocation *a)
{
    char client[NETADDR_TEXT], server[NETADDR_TEXT];
    json_int_t expires_in = 0;
    json_t *relayed = relayed_json(a, &expires_in);
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:I, s:o, s:o}", "client",
                     netaddr_print(&a->client.address, client), "server",
                     netaddr_print(&a->client.server, server), "protocol", transports[a->client.transport],
                     "user", a->account->name, "age", (json_int_t)(a->server->now - a->created), "expires_in",
                     expires_in, "relayed", relayed, "peers", peers_json(a), "channels", channels_json(a),
                     "permissions", (json_int_t)a->n_permissions, "from_client",
                     traffic_json(&a->from_client), "to_client", traffic_json(&a->to_client));
}

json_t *turn_status_json(const struct turn_server *s, const struct turn_admission *admission,
                         size_t relays_most)
{
    json_t *relays = json_array();
    size_t n = 0;
    for (struct hashmap_node *at = NULL; n < relays_most && (at = hashmap_walk(&s->allocations, at)); n++)
        json_array_append_new(relays, allocation_json(hashmap_entry(at, struct turn_allocation, node)));
    return json_pack("{s:I, s:I, s:I, s:b, s:o, s:o}", "allocations", (json_int_t)s->allocations.count,
                     "connections", (json_int_t)turn_admission_count(admission), "handshakes",
                     (json_int_t)turn_admission_handshakes(admission), "draining", s->draining, "relays",
                     relays, "counters", turn_counters_json(&s->counters));
}
