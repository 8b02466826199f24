#include "edge/turn/turn_policy.h"

#include <stdlib.h>
#include <string.h>

#include "common/fatal.h"

struct range {
    const char *text, *words;
    struct netcidr net;
};

static struct range never[] = {
#define X(cidr, words) {cidr, words, {0}},
    TURN_NEVER_TABLE(X)
#undef X
};
static struct range private[] = {
#define X(cidr, words) {cidr, words, {0}},
    TURN_PRIVATE_TABLE(X)
#undef X
};

static struct range tunnels[] = {
#define X(cidr, words) {cidr, words, {0}},
    TURN_TUNNEL_TABLE(X)
#undef X
};

/* Where an IPv6 address carries an IPv4 address in its last bytes: under this prefix. */
static struct embedding {
    const char *text;
    struct netcidr net;
} embeddings[] = {
    {"::/96", {0}},           /* IPv4-compatible, RFC 4291 §2.5.5.1 */
    {"::ffff:0:0:0/96", {0}}, /* IPv4-translated, RFC 2765 */
    {"64:ff9b::/96", {0}},    /* NAT64, RFC 6052 */
    {"64:ff9b:1::/48", {0}},  /* local NAT64, RFC 8215: most used as a /96 */
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct turn_policy {
    struct netcidr *allow, *deny, *cluster;
    size_t n_allow, n_deny, n_cluster;
    struct netaddr *own; /* port 0: an address; else a service */
    size_t n_own;
    struct turn_relay_address *relays;
    size_t n_relays;
    uint16_t port_min, port_max, cluster_port_min, cluster_port_max;
};

const char *turn_verdict_words(enum turn_verdict v)
{
    static const char *const words[] = {
#define X(name, text) text,
        TURN_VERDICT_TABLE(X)
#undef X
    };
    return words[v];
}

static void ranges_parse(struct range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (netcidr_parse(ranges[i].text, &ranges[i].net) != ERR_OK)
            fatal("bad range in a table: %s", ranges[i].text);
}

static void tables_parse(void)
{
    static bool done;
    if (done)
        return;
    ranges_parse(never, COUNT(never));
    ranges_parse(private, COUNT(private));
    ranges_parse(tunnels, COUNT(tunnels));
    for (size_t i = 0; i < COUNT(embeddings); i++)
        if (netcidr_parse(embeddings[i].text, &embeddings[i].net) != ERR_OK)
            fatal("bad prefix in a table: %s", embeddings[i].text);
    done = true;
}

static void *copy_of(const void *array, size_t n, size_t size)
{
    void *copy = calloc(n + 1, size);
    if (copy && n)
        memcpy(copy, array, n * size);
    return copy;
}

struct turn_policy *turn_policy_new(const struct turn_config *c, const struct netaddr *listening,
                                    size_t n_listening)
{
    tables_parse();
    struct turn_policy *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->port_min = c->port_min;
    p->port_max = c->port_max;
    p->cluster_port_min = c->cluster_port_min ? c->cluster_port_min : c->port_min;
    p->cluster_port_max = c->cluster_port_min ? c->cluster_port_max : c->port_max;
    p->n_allow = c->n_allow_peers;
    p->n_deny = c->n_deny_peers;
    p->n_cluster = c->n_cluster_addresses;
    p->n_relays = c->n_relays;
    p->n_own = c->n_own_addresses + n_listening;
    p->allow = copy_of(c->allow_peers, p->n_allow, sizeof *p->allow);
    p->deny = copy_of(c->deny_peers, p->n_deny, sizeof *p->deny);
    p->cluster = copy_of(c->cluster_addresses, p->n_cluster, sizeof *p->cluster);
    p->relays = copy_of(c->relays, p->n_relays, sizeof *p->relays);
    p->own = calloc(p->n_own + 1, sizeof *p->own);
    if (!p->allow || !p->deny || !p->cluster || !p->relays || !p->own) {
        turn_policy_free(p);
        return NULL;
    }
    if (c->n_own_addresses)
        memcpy(p->own, c->own_addresses, c->n_own_addresses * sizeof *p->own);
    if (n_listening)
        memcpy(p->own + c->n_own_addresses, listening, n_listening * sizeof *p->own);
    return p;
}

void turn_policy_free(struct turn_policy *p)
{
    if (!p)
        return;
    free(p->allow);
    free(p->deny);
    free(p->cluster);
    free(p->relays);
    free(p->own);
    free(p);
}

static bool list_contains(const struct netcidr *list, size_t n, const struct netaddr *a)
{
    for (size_t i = 0; i < n; i++)
        if (netcidr_contains(&list[i], a))
            return true;
    return false;
}

/* The address by itself, not a network that it lies in. */
static bool list_names(const struct netcidr *list, size_t n, const struct netaddr *a)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].bits == 8 * netaddr_ip_len(a->family) && netcidr_contains(&list[i], a))
            return true;
    return false;
}

static bool table_contains(const struct range *table, size_t n, const struct netaddr *a)
{
    for (size_t i = 0; i < n; i++)
        if (netcidr_contains(&table[i].net, a))
            return true;
    return false;
}

static bool is_relay(const struct turn_policy *p, const struct netaddr *a)
{
    for (size_t i = 0; i < p->n_relays; i++)
        if (netaddr_equal_ip(a, &p->relays[i].advertised) || netaddr_equal_ip(a, &p->relays[i].bind))
            return true;
    return false;
}

static bool is_own(const struct turn_policy *p, const struct netaddr *peer)
{
    for (size_t i = 0; i < p->n_own; i++)
        if (netaddr_equal_ip(peer, &p->own[i]))
            return true;
    return is_relay(p, peer);
}

/* own: whether the address is one of this box. */
static bool is_service(const struct turn_policy *p, const struct netaddr *a, bool own)
{
    for (size_t i = 0; i < p->n_own; i++) {
        const struct netaddr *service = &p->own[i];
        if (service->port && service->port == a->port &&
            (netaddr_equal_ip(service, a) || (own && netaddr_is_any(service))))
            return true;
    }
    return false;
}

static enum turn_verdict judge_plain(const struct turn_policy *p, const struct netaddr *a)
{
    bool own = is_own(p, a), allowed = list_contains(p->allow, p->n_allow, a);
    if (table_contains(never, COUNT(never), a) || table_contains(tunnels, COUNT(tunnels), a))
        return TURN_PEER_NEVER;
    if (list_contains(p->deny, p->n_deny, a))
        return TURN_PEER_DENIED;
    if (is_relay(p, a) && (a->port == 0 || (a->port >= p->port_min && a->port <= p->port_max)))
        return TURN_PEER_ALLOWED;
    if (is_service(p, a, own))
        return TURN_PEER_SERVICE;
    if (own)
        return list_names(p->allow, p->n_allow, a) ? TURN_PEER_ALLOWED : TURN_PEER_OWN;
    if (allowed)
        return TURN_PEER_ALLOWED;
    if (list_contains(p->cluster, p->n_cluster, a))
        return a->port == 0 || (a->port >= p->cluster_port_min && a->port <= p->cluster_port_max)
                   ? TURN_PEER_ALLOWED
                   : TURN_PEER_CLUSTER;
    return table_contains(private, COUNT(private), a) ? TURN_PEER_PRIVATE : TURN_PEER_ALLOWED;
}

bool turn_policy_is_tunnel(const struct netaddr *a)
{
    tables_parse();
    return table_contains(tunnels, COUNT(tunnels), a);
}

static struct netaddr embedded(const struct netaddr *a)
{
    struct netaddr inner = {.family = AF_INET, .port = a->port};
    memcpy(inner.ip, a->ip + 12, 4);
    return inner;
}

static bool is_mapped(const struct netaddr *a)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return a->family == AF_INET6 && memcmp(a->ip, prefix, sizeof prefix) == 0;
}

enum turn_verdict turn_policy_judge(const struct turn_policy *p, const struct netaddr *peer)
{
    if (is_mapped(peer)) {
        struct netaddr inner = embedded(peer);
        return judge_plain(p, &inner);
    }
    enum turn_verdict v = judge_plain(p, peer);
    for (size_t i = 0; v == TURN_PEER_ALLOWED && i < COUNT(embeddings); i++)
        if (netcidr_contains(&embeddings[i].net, peer)) {
            struct netaddr inner = embedded(peer);
            v = judge_plain(p, &inner);
        }
    return v;
}

static bool port_counts(const struct turn_policy *p, const struct netaddr *a)
{
    return is_own(p, a) || list_contains(p->cluster, p->n_cluster, a);
}

bool turn_policy_port_counts(const struct turn_policy *p, const struct netaddr *peer)
{
    bool counts = port_counts(p, peer);
    for (size_t i = 0; !counts && i < COUNT(embeddings); i++)
        if (netcidr_contains(&embeddings[i].net, peer)) {
            struct netaddr inner = embedded(peer);
            counts = port_counts(p, &inner);
        }
    return counts;
}

const char *turn_policy_never(const struct netcidr *net)
{
    struct netaddr first = {.family = net->family};
    tables_parse();
    memcpy(first.ip, net->ip, sizeof first.ip);
    for (size_t i = 0; i < COUNT(never); i++)
        if (net->bits >= never[i].net.bits && netcidr_contains(&never[i].net, &first))
            return never[i].words;
    for (size_t i = 0; i < COUNT(tunnels); i++)
        if (net->bits >= tunnels[i].net.bits && netcidr_contains(&tunnels[i].net, &first))
            return tunnels[i].words;
    return NULL;
}
