#include "edge/edge_relays.h"

#include <stdio.h>
#include <string.h>

bool local_addresses_have(const struct local_addresses *local, const struct netaddr *a)
{
    for (size_t i = 0; a->family && i < local->n; i++)
        if (netaddr_equal_ip(&local->list[i], a))
            return true;
    return false;
}

static bool address_is_loopback(const struct netaddr *a)
{
    return a->family == AF_INET ? a->ip[0] == 127
                                : a->ip[15] == 1 && memcmp(a->ip, (const uint8_t[15]){0}, 15) == 0;
}

static bool relay_append(json_t *list, const struct netaddr *bind, const struct netaddr *advertised)
{
    char bound[NETADDR_TEXT], told[NETADDR_TEXT];
    return json_array_append_new(list, json_pack("{ssss}", "bind", netaddr_print_ip(bind, bound),
                                                 "advertised", netaddr_print_ip(advertised, told))) == 0;
}

static bool relays_listed(const struct config_edge *self, const struct local_addresses *local, json_t *list,
                          char pointer[RELAYS_POINTER], char *why)
{
    struct netaddr bind, advertised;
    char text[NETADDR_TEXT];
    for (size_t i = 0; i < self->relay_addresses.n; i++) {
        snprintf(pointer, RELAYS_POINTER, "/relay_addresses/%zu", i);
        snprintf(why, SCHEMA_WHY, "out of memory");
        if (config_relay_address(self->relay_addresses.items[i], &bind, &advertised) != ERR_OK)
            return false; /* judged by its row */
        if (!local_addresses_have(local, &bind)) {
            snprintf(why, SCHEMA_WHY, "%s is no address of this box (ip address shows those)",
                     netaddr_print_ip(&bind, text));
            return false;
        }
        if (!relay_append(list, &bind, &advertised))
            return false;
    }
    return true;
}

/* Without relay_addresses: the public address when it is ours (no NAT), else the internal one (static NAT),
 * else the listening address, else the first address of the box of the same family as the public one. */
static bool relay_derived(const struct config_edge *self, const struct local_addresses *local,
                          struct netaddr *bind, char pointer[RELAYS_POINTER], char *why)
{
    const struct netaddr *wishes[] = {&self->public_ip, &self->internal_ip, &self->listen_ip};
    uint8_t family = self->public_ip.family ? self->public_ip.family : AF_INET;
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        if (local_addresses_have(local, wishes[i])) {
            *bind = *wishes[i];
            return true;
        }
    }
    if (self->internal_ip.family) {
        snprintf(pointer, RELAYS_POINTER, "/internal_address");
        snprintf(why, SCHEMA_WHY, "%s is no address of this box", self->internal_address);
        return false;
    }
    for (size_t i = 0; i < local->n; i++) {
        if (local->list[i].family == family && !address_is_loopback(&local->list[i])) {
            *bind = local->list[i];
            return true;
        }
    }
    snprintf(
        why, SCHEMA_WHY,
        "TURN: this box has no address to relay from; set internal_address or relay_addresses of edge %s",
        self->name);
    return false;
}

json_t *edge_relays(const struct config_edge *self, const struct local_addresses *local,
                    char pointer[RELAYS_POINTER], char *why)
{
    struct netaddr bind;
    json_t *list = json_array();
    bool good = list != NULL;
    pointer[0] = '\0';
    snprintf(why, SCHEMA_WHY, "out of memory");
    if (good && self->relay_addresses.n > 0)
        good = relays_listed(self, local, list, pointer, why);
    else if (good)
        good = relay_derived(self, local, &bind, pointer, why) &&
               relay_append(list, &bind, self->public_ip.family ? &self->public_ip : &bind);
    if (good)
        return list;
    json_decref(list);
    return NULL;
}

json_t *edge_own_addresses(const struct config_edge *self, const struct local_addresses *local)
{
    const long ports[] = {self->https_port, self->http_port, self->ssh_port};
    char text[NETADDR_TEXT];
    json_t *list = json_array();
    struct netaddr bind, advertised;
    for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++)
        if (ports[i])
            json_array_append_new(list, json_sprintf("0.0.0.0:%ld", ports[i]));
    for (size_t i = 0; i < local->n; i++)
        if (!address_is_loopback(&local->list[i])) /* those are refused whatever is listed */
            json_array_append_new(list, json_string(netaddr_print_ip(&local->list[i], text)));
    if (self->public_ip.family)
        json_array_append_new(list, json_string(self->public_address));
    for (size_t i = 0; i < self->relay_addresses.n; i++)
        if (config_relay_address(self->relay_addresses.items[i], &bind, &advertised) == ERR_OK &&
            !local_addresses_have(local, &advertised))
            json_array_append_new(list, json_string(netaddr_print_ip(&advertised, text)));
    return list;
}

/* A list may name an address twice; it is a network to the policy. */
static void cluster_append(json_t *list, const struct config_edge *other)
{
    char text[NETADDR_TEXT];
    struct netaddr bind, advertised;
    for (size_t i = 0; i < other->relay_addresses.n; i++) {
        if (config_relay_address(other->relay_addresses.items[i], &bind, &advertised) != ERR_OK)
            continue;
        json_array_append_new(list, json_string(netaddr_print_ip(&advertised, text)));
        if (!netaddr_equal_ip(&bind, &advertised))
            json_array_append_new(list, json_string(netaddr_print_ip(&bind, text)));
    }
    if (other->relay_addresses.n > 0)
        return;
    if (other->public_address)
        json_array_append_new(list, json_string(other->public_address));
    if (other->internal_address)
        json_array_append_new(list, json_string(other->internal_address));
}

json_t *edge_cluster_addresses(const struct config *config, const struct config_edge *self)
{
    json_t *list = json_array();
    for (size_t i = 0; i < config->edges.n; i++)
        if (config_edge_at(config, i) != self)
            cluster_append(list, config_edge_at(config, i));
    return list;
}
