/* struct turn_config as JSON, both ways; the form is described in turn_config.h. */
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/turn/turn_config.h"

static const char *const binding_words[] = {"open", "authenticated", "off", NULL};

/* Reading ----------------------------------------------------------------------------------------------- */

/* Where the reason goes; the first one stays. */
struct reader {
    struct turn_config *config;
    enum err err;
    char *why;
    size_t why_size;
};

static void fail(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct reader *r, const char *format, ...)
{
    va_list ap;
    if (r->err != ERR_OK)
        return;
    r->err = ERR_CONFIG;
    va_start(ap, format);
    vsnprintf(r->why, r->why_size, format, ap);
    va_end(ap);
}

static void check(struct reader *r, enum err e, const char *key)
{
    if (e == ERR_OK)
        return;
    fail(r, "%s: %s", key,
         e == ERR_MEMORY ? "out of memory" : "empty, too long, or has control characters in it");
    r->err = e == ERR_MEMORY ? ERR_MEMORY : r->err;
}

/* NULL (and an error) when v is no string. */
static const char *read_text(struct reader *r, const json_t *v, const char *key)
{
    if (!json_is_string(v))
        fail(r, "%s: must be a string", key);
    return json_string_value(v);
}

static void read_number(struct reader *r, const json_t *v, const char *key, uint32_t most, uint32_t *out)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > most)
        fail(r, "%s: must be a whole number from 0 to %u", key, most);
    else
        *out = (uint32_t)json_integer_value(v);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void read_hex(struct reader *r, const json_t *v, const char *key, uint8_t *out, size_t n)
{
    const char *text = json_string_value(v);
    bool good = text && json_string_length(v) == n * 2;
    for (size_t i = 0; good && i < n; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        good = high >= 0 && low >= 0;
        if (good)
            out[i] = (uint8_t)(high << 4 | low);
    }
    if (!good)
        fail(r, "%s: must be %zu hexadecimal digits, small letters", key, n * 2);
}

/* Which of the words v is; the words end with NULL. */
static unsigned read_choice(struct reader *r, const json_t *v, const char *key, const char *const *words)
{
    const char *text = read_text(r, v, key);
    for (unsigned i = 0; text && words[i]; i++)
        if (strcmp(text, words[i]) == 0)
            return i;
    if (text)
        fail(r, "%s: \"%.40s\" is none of its values", key, text);
    return 0;
}

static bool read_address(struct reader *r, const json_t *v, const char *key, struct netaddr *out)
{
    const char *text = read_text(r, v, key);
    if (text && netaddr_parse(text, 0, out) == ERR_OK)
        return true;
    if (text)
        fail(r, "%s: \"%.60s\" is no address", key, text);
    return false;
}

static void read_cidrs(struct reader *r, const json_t *v, const char *key, struct netcidr **list, size_t *n)
{
    size_t i;
    json_t *item;
    if (!json_is_array(v))
        fail(r, "%s: must be a list", key);
    json_array_foreach (v, i, item) {
        struct netcidr net;
        const char *text = read_text(r, item, key);
        if (!text)
            return;
        if (netcidr_parse(text, &net) != ERR_OK)
            fail(r, "%s: \"%.60s\" is no network in CIDR notation", key, text);
        else
            check(r, turn_config_add_cidr(list, n, &net), key);
    }
}

/* { "name", "key" } and perhaps "key_sha256" */
static void read_user_keys(struct reader *r, const json_t *item, const char *name)
{
    const json_t *second = json_object_get(item, "key_sha256");
    uint8_t key[STUN_KEY_MD5] = {0}, key_sha256[STUN_KEY_SHA256] = {0};
    if (json_object_size(item) != (second ? 3 : 2))
        fail(r, "users: \"%.60s\" needs a name, and its keys or a password", name);
    read_hex(r, json_object_get(item, "key"), "users.key", key, sizeof key);
    if (second)
        read_hex(r, second, "users.key_sha256", key_sha256, sizeof key_sha256);
    if (r->err == ERR_OK)
        check(r, turn_config_add_keys(r->config, name, key, second ? key_sha256 : NULL), "users");
    OPENSSL_cleanse(key, sizeof key);
    OPENSSL_cleanse(key_sha256, sizeof key_sha256);
}

static void read_users(struct reader *r, const json_t *v)
{
    size_t i;
    json_t *item;
    if (!json_is_array(v))
        fail(r, "users: must be a list");
    json_array_foreach (v, i, item) {
        const char *name = read_text(r, json_object_get(item, "name"), "users.name");
        const json_t *password = json_object_get(item, "password");
        if (!name)
            return;
        if (!password) {
            read_user_keys(r, item, name);
            continue;
        }
        const char *text = read_text(r, password, "users.password");
        if (json_object_size(item) != 2)
            fail(r, "users: \"%.60s\" needs a name, and its keys or a password", name);
        if (r->err == ERR_OK)
            check(r, turn_config_add_user(r->config, name, text), "users");
    }
}

static void read_shared_secrets(struct reader *r, const json_t *v)
{
    size_t i;
    json_t *item;
    if (!json_is_array(v) || json_array_size(v) > TURN_SECRETS_MAX)
        fail(r, "shared_secrets: must be a list of up to %d", TURN_SECRETS_MAX);
    json_array_foreach (v, i, item) {
        const char *text = read_text(r, item, "shared_secrets");
        if (r->err == ERR_OK)
            check(r, turn_config_add_secret(r->config, text), "shared_secrets");
    }
}

static void read_password_algorithms(struct reader *r, const json_t *v)
{
    static const char *const words[] = {"md5", "sha256", NULL};
    static const enum stun_algorithm numbers[] = {STUN_ALGORITHM_MD5, STUN_ALGORITHM_SHA256};
    struct turn_config *c = r->config;
    size_t i;
    json_t *item;
    if (!json_is_array(v) || json_array_size(v) < 1 || json_array_size(v) > STUN_ALGORITHMS)
        fail(r, "password_algorithms: must be a list of \"sha256\", \"md5\" or both");
    c->n_algorithms = 0;
    json_array_foreach (v, i, item) {
        enum stun_algorithm a = numbers[read_choice(r, item, "password_algorithms", words)];
        if (c->n_algorithms && c->algorithms[0] == a)
            fail(r, "password_algorithms: \"%s\" is there twice", stun_algorithm_words(a));
        if (r->err != ERR_OK)
            return;
        c->algorithms[c->n_algorithms++] = a;
    }
}

static void read_relays(struct reader *r, const json_t *v)
{
    size_t i;
    json_t *item;
    if (!json_is_array(v))
        fail(r, "relays: must be a list");
    json_array_foreach (v, i, item) {
        struct netaddr bind, advertised;
        const json_t *public = json_object_get(item, "advertised");
        if (json_object_size(item) != (public ? 2 : 1))
            fail(r, "relays: takes bind and advertised");
        if (!read_address(r, json_object_get(item, "bind"), "relays.bind", &bind))
            return;
        advertised = bind;
        if (public && !read_address(r, public, "relays.advertised", &advertised))
            return;
        check(r, turn_config_add_relay(r->config, &bind, &advertised), "relays");
    }
}

static void read_own_addresses(struct reader *r, const json_t *v)
{
    size_t i;
    json_t *item;
    struct netaddr a;
    if (!json_is_array(v))
        fail(r, "own_addresses: must be a list");
    json_array_foreach (v, i, item)
        if (read_address(r, item, "own_addresses", &a))
            check(r, turn_config_add_own(r->config, &a), "own_addresses");
}

static void read_ports(struct reader *r, const json_t *v, const char *key, uint16_t *first, uint16_t *last)
{
    uint32_t ports[2] = {0};
    if (json_array_size(v) != 2)
        fail(r, "%s: must be a list of two ports", key);
    for (size_t i = 0; i < json_array_size(v) && i < 2; i++)
        read_number(r, json_array_get(v, i), key, 65535, &ports[i]);
    *first = (uint16_t)ports[0];
    *last = (uint16_t)ports[1];
}

static void read_relay_ports(struct reader *r, const json_t *v)
{
    read_ports(r, v, "relay_ports", &r->config->port_min, &r->config->port_max);
}

static void read_cluster_ports(struct reader *r, const json_t *v)
{
    read_ports(r, v, "cluster_ports", &r->config->cluster_port_min, &r->config->cluster_port_max);
}

/* An object whose members are all numbers. */
struct number_row {
    const char *key;
    uint32_t *to;
};

static void read_numbers(struct reader *r, const json_t *v, const char *key, const struct number_row *rows,
                         size_t n)
{
    const char *member;
    json_t *value;
    char path[80];
    if (!json_is_object(v))
        fail(r, "%s: must be an object", key);
    json_object_foreach ((json_t *)(uintptr_t)v, member, value) {
        size_t i = 0;
        snprintf(path, sizeof path, "%s.%.40s", key, member);
        while (i < n && strcmp(rows[i].key, member) != 0)
            i++;
        if (i == n)
            fail(r, "%s: unknown key", path);
        else
            read_number(r, value, path, 100000000, rows[i].to);
    }
}

static void read_software(struct reader *r, const json_t *v)
{
    const char *text = read_text(r, v, "software");
    r->config->software = text ? strdup(text) : NULL;
}

static void read_allow_peers(struct reader *r, const json_t *v)
{
    read_cidrs(r, v, "allow_peers", &r->config->allow_peers, &r->config->n_allow_peers);
}

static void read_deny_peers(struct reader *r, const json_t *v)
{
    read_cidrs(r, v, "deny_peers", &r->config->deny_peers, &r->config->n_deny_peers);
}

static void read_cluster_addresses(struct reader *r, const json_t *v)
{
    read_cidrs(r, v, "cluster_addresses", &r->config->cluster_addresses, &r->config->n_cluster_addresses);
}

static void read_quota(struct reader *r, const json_t *v)
{
    struct turn_config *c = r->config;
    const struct number_row rows[] = {
        {"total", &c->quota_total},           {"user", &c->quota_user},
        {"address", &c->quota_address},       {"permissions", &c->permissions_max},
        {"channels", &c->channels_max},       {"allocation_kbps", &c->allocation_kbps},
        {"user_kbps", &c->user_kbps},         {"challenges", &c->challenge_limit},
        {"connections", &c->connections_max}, {"user_connections", &c->quota_connections}};
    read_numbers(r, v, "quota", rows, sizeof rows / sizeof *rows);
}

static void read_connections(struct reader *r, const json_t *v)
{
    struct turn_config *c = r->config;
    const struct number_row rows[] = {{"address", &c->address_connections_max},
                                      {"handshakes", &c->handshakes_max},
                                      {"address_handshakes", &c->address_handshakes_max},
                                      {"unproven", &c->unproven_max}};
    read_numbers(r, v, "connections", rows, sizeof rows / sizeof *rows);
}

static void read_lifetime(struct reader *r, const json_t *v)
{
    struct turn_config *c = r->config;
    const struct number_row rows[] = {
        {"default", &c->lifetime_default}, {"longest", &c->lifetime_longest}, {"nonce", &c->lifetime_nonce}};
    read_numbers(r, v, "lifetime", rows, sizeof rows / sizeof *rows);
}

static void read_worker(struct reader *r, const json_t *v)
{
    struct turn_config *c = r->config;
    const struct number_row rows[] = {{"index", &c->worker_index}, {"count", &c->worker_count}};
    read_numbers(r, v, "worker", rows, sizeof rows / sizeof *rows);
}

static void read_channel_numbers(struct reader *r, const json_t *v)
{
    static const char *const words[] = {"rfc8656", "rfc5766", NULL};
    r->config->channels_rfc5766 = read_choice(r, v, "channel_numbers", words) == 1;
}

static void read_binding(struct reader *r, const json_t *v)
{
    r->config->binding = (enum turn_binding)read_choice(r, v, "binding", binding_words);
}

static void read_gso(struct reader *r, const json_t *v)
{
    static const char *const words[] = {"auto", "off", NULL};
    r->config->gso_off = read_choice(r, v, "gso", words) == 1;
}

static void read_alternates(struct reader *r, const json_t *v)
{
    size_t i;
    json_t *item;
    if (!json_is_array(v) || json_array_size(v) > TURN_ALTERNATES_MAX)
        fail(r, "alternate_servers: must be a list of 64 at most");
    json_array_foreach (v, i, item)
        if (r->err == ERR_OK &&
            read_address(r, item, "alternate_servers", &r->config->alternates[r->config->n_alternates]))
            r->config->n_alternates++;
}

static void read_alternate_domain(struct reader *r, const json_t *v)
{
    const char *text = read_text(r, v, "alternate_domain");
    if (text && strlen(text) < sizeof r->config->alternate_domain)
        strcpy(r->config->alternate_domain, text);
    else
        fail(r, "alternate_domain: must have 255 characters at most");
}

static void read_tcp_relays(struct reader *r, const json_t *v)
{
    if (!json_is_boolean(v))
        fail(r, "tcp_relays: must be true or false");
    r->config->tcp_relays = json_is_true(v);
}

static void read_nonce_key(struct reader *r, const json_t *v)
{
    read_hex(r, v, "nonce_key", r->config->nonce_key, sizeof r->config->nonce_key);
}

static const struct {
    const char *key;
    void (*read)(struct reader *, const json_t *);
} members[] = {
    {"software", read_software},
    {"users", read_users},
    {"shared_secrets", read_shared_secrets},
    {"password_algorithms", read_password_algorithms},
    {"relays", read_relays},
    {"relay_ports", read_relay_ports},
    {"allow_peers", read_allow_peers},
    {"deny_peers", read_deny_peers},
    {"own_addresses", read_own_addresses},
    {"cluster_addresses", read_cluster_addresses},
    {"cluster_ports", read_cluster_ports},
    {"quota", read_quota},
    {"connections", read_connections},
    {"lifetime", read_lifetime},
    {"channel_numbers", read_channel_numbers},
    {"tcp_relays", read_tcp_relays},
    {"alternate_servers", read_alternates},
    {"alternate_domain", read_alternate_domain},
    {"binding", read_binding},
    {"gso", read_gso},
    {"nonce_key", read_nonce_key},
    {"worker", read_worker},
};

static void read_member(struct reader *r, const char *key, const json_t *v)
{
    if (strcmp(key, "realm") == 0)
        return; /* was read first: users with a password need it */
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (strcmp(members[i].key, key) == 0) {
            members[i].read(r, v);
            return;
        }
    fail(r, "%.60s: unknown key", key);
}

enum err turn_config_own_from_json(const json_t *list, struct netaddr **out, size_t *n)
{
    struct turn_config c = {0};
    char unused[8];
    struct reader r = {.config = &c, .err = ERR_OK, .why = unused, .why_size = sizeof unused};
    read_own_addresses(&r, list);
    if (r.err == ERR_OK) {
        *out = c.own_addresses;
        *n = c.n_own_addresses;
    } else {
        free(c.own_addresses);
    }
    return r.err;
}

enum err turn_config_from_json(const json_t *json, struct turn_config *out, char *why, size_t why_size)
{
    struct turn_config c;
    const char *key;
    json_t *value;
    turn_config_init(&c);
    struct reader r = {.config = &c, .err = ERR_OK, .why = why, .why_size = why_size};
    const char *realm = read_text(&r, json_object_get(json, "realm"), "realm");
    if (realm)
        check(&r, turn_config_set_realm(&c, realm), "realm");
    json_object_foreach ((json_t *)(uintptr_t)json, key, value)
        if (r.err == ERR_OK)
            read_member(&r, key, value);
    if (r.err == ERR_OK)
        r.err = turn_config_check(&c, why, why_size);
    if (r.err == ERR_OK)
        *out = c;
    else
        turn_config_free(&c);
    return r.err;
}

enum err turn_config_users_from_json(struct turn_config *c, const json_t *list, char *why, size_t why_size)
{
    struct reader r = {.config = c, .err = ERR_OK, .why = why, .why_size = why_size};
    read_users(&r, list);
    return r.err;
}

/* Writing ----------------------------------------------------------------------------------------------- */

static json_t *hex(const uint8_t *bytes, size_t n)
{
    char text[2 * TURN_NONCE_KEY_SIZE + 1] = "";
    for (size_t i = 0; i < n && i < TURN_NONCE_KEY_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    json_t *v = json_string(text);
    OPENSSL_cleanse(text, sizeof text);
    return v;
}

static json_t *write_users(const struct turn_config *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->n_users; i++) {
        const struct turn_user *u = &c->users[i];
        json_t *user = json_pack("{s:s, s:o}", "name", u->name, "key", hex(u->key, sizeof u->key));
        if (u->has_sha256)
            json_object_set_new(user, "key_sha256", hex(u->key_sha256, sizeof u->key_sha256));
        json_array_append_new(list, user);
    }
    return list;
}

static json_t *write_shared_secrets(const struct turn_config *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->n_shared_secrets; i++)
        json_array_append_new(list, json_string(c->shared_secrets[i]));
    return list;
}

static json_t *write_password_algorithms(const struct turn_config *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->n_algorithms; i++)
        json_array_append_new(list, json_string(stun_algorithm_words(c->algorithms[i])));
    return list;
}

static json_t *write_relays(const struct turn_config *c)
{
    char bind[NETADDR_TEXT], advertised[NETADDR_TEXT];
    json_t *list = json_array();
    for (size_t i = 0; i < c->n_relays; i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "bind",
                                              netaddr_print_ip(&c->relays[i].bind, bind), "advertised",
                                              netaddr_print_ip(&c->relays[i].advertised, advertised)));
    return list;
}

static json_t *write_cidrs(const struct netcidr *nets, size_t n)
{
    char text[NETADDR_TEXT];
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(netcidr_print(&nets[i], text)));
    return list;
}

static json_t *write_own_addresses(const struct turn_config *c)
{
    char text[NETADDR_TEXT];
    json_t *list = json_array();
    for (size_t i = 0; i < c->n_own_addresses; i++)
        json_array_append_new(list, json_string(netaddr_print(&c->own_addresses[i], text)));
    return list;
}

static json_t *write_alternates(const struct turn_config *c)
{
    char text[NETADDR_TEXT];
    json_t *list = json_array();
    for (size_t i = 0; i < c->n_alternates; i++)
        json_array_append_new(list, json_string(netaddr_print(&c->alternates[i], text)));
    return list;
}

json_t *turn_config_to_json(const struct turn_config *c)
{
    json_t *json = json_pack(
        "{s:s, s:o, s:o, s:[i,i], s:o, s:o, s:o, s:o, s:s, s:s, s:s, s:o}", "realm", c->realm, "users",
        write_users(c), "relays", write_relays(c), "relay_ports", c->port_min, c->port_max, "allow_peers",
        write_cidrs(c->allow_peers, c->n_allow_peers), "deny_peers",
        write_cidrs(c->deny_peers, c->n_deny_peers), "cluster_addresses",
        write_cidrs(c->cluster_addresses, c->n_cluster_addresses), "own_addresses", write_own_addresses(c),
        "channel_numbers", c->channels_rfc5766 ? "rfc5766" : "rfc8656", "binding", binding_words[c->binding],
        "gso", c->gso_off ? "off" : "auto", "nonce_key", hex(c->nonce_key, sizeof c->nonce_key));
    json_t *numbers =
        json_pack("{s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}, s:{s:I, s:I, s:I}, s:{s:I, s:I}}", "quota",
                  "total", (json_int_t)c->quota_total, "user", (json_int_t)c->quota_user, "address",
                  (json_int_t)c->quota_address, "permissions", (json_int_t)c->permissions_max, "channels",
                  (json_int_t)c->channels_max, "allocation_kbps", (json_int_t)c->allocation_kbps, "user_kbps",
                  (json_int_t)c->user_kbps, "challenges", (json_int_t)c->challenge_limit, "lifetime",
                  "default", (json_int_t)c->lifetime_default, "longest", (json_int_t)c->lifetime_longest,
                  "nonce", (json_int_t)c->lifetime_nonce, "worker", "index", (json_int_t)c->worker_index,
                  "count", (json_int_t)c->worker_count);
    json_t *quota = json_object_get(numbers, "quota");
    json_object_set_new(quota, "connections", json_integer((json_int_t)c->connections_max));
    json_object_set_new(quota, "user_connections", json_integer((json_int_t)c->quota_connections));
    bool good =
        json && numbers && json_object_update(json, numbers) == 0 &&
        json_object_set_new(json, "tcp_relays", json_boolean(c->tcp_relays)) == 0 &&
        json_object_set_new(json, "alternate_servers", write_alternates(c)) == 0 &&
        json_object_set_new(
            json, "connections",
            json_pack("{s:I, s:I, s:I, s:I}", "address", (json_int_t)c->address_connections_max, "handshakes",
                      (json_int_t)c->handshakes_max, "address_handshakes",
                      (json_int_t)c->address_handshakes_max, "unproven", (json_int_t)c->unproven_max)) == 0 &&
        json_object_set_new(json, "shared_secrets", write_shared_secrets(c)) == 0 &&
        json_object_set_new(json, "password_algorithms", write_password_algorithms(c)) == 0;
    if (good && c->software)
        good = json_object_set_new(json, "software", json_string(c->software)) == 0;
    if (good && c->alternate_domain[0])
        good = json_object_set_new(json, "alternate_domain", json_string(c->alternate_domain)) == 0;
    if (good && c->cluster_port_min)
        good = json_object_set_new(json, "cluster_ports",
                                   json_pack("[i,i]", c->cluster_port_min, c->cluster_port_max)) == 0;
    json_decref(numbers);
    if (good)
        return json;
    json_decref(json);
    return NULL;
}
