#include "core/pairing/edge_spec.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/netaddr.h"

/* Numbers are numbers, everything else is text. */
static json_t *value_of(const char *value)
{
    char *end;
    long number = strtol(value, &end, 10);
    return *value && !*end ? json_integer(number) : json_string(value);
}

/* One key=value; public, internal and relay are short names. Relay addresses add up. */
static void set(json_t *edge, const char *item, const char *value)
{
    const char *key = strcmp(item, "public") == 0     ? "public_address"
                      : strcmp(item, "internal") == 0 ? "internal_address"
                      : strcmp(item, "relay") == 0    ? "relay_addresses"
                                                      : item;
    if (strcmp(key, "relay_addresses") != 0) {
        bool text_key = strstr(key, "address") != NULL;
        json_object_set_new(edge, key, text_key ? json_string(value) : value_of(value));
        return;
    }
    if (!json_object_get(edge, key))
        json_object_set_new(edge, key, json_array());
    json_array_append_new(json_object_get(edge, key), json_string(value));
}

json_t *edge_spec_parse(char *text)
{
    char host[256];
    uint16_t port;
    struct netaddr ip;
    char *rest = NULL, *address = strchr(text, '=');
    char *item = address ? strtok_r(address + 1, ",", &rest) : NULL;
    if (!item || hostport_parse(item, 2222, host, &port) != ERR_OK)
        return NULL;
    *address = '\0';
    json_t *edge = json_object();
    json_object_set_new(edge, "name", json_string(text));
    json_object_set_new(edge, "ssh", json_sprintf(strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port));
    if (netaddr_parse(host, 0, &ip) == ERR_OK)
        json_object_set_new(edge, "public_address", json_string(host));
    while ((item = strtok_r(NULL, ",", &rest)) != NULL) {
        char *value = strchr(item, '=');
        if (!value) {
            json_decref(edge);
            return NULL;
        }
        *value++ = '\0';
        set(edge, item, value);
    }
    return edge;
}
