#include "core/firewall.h"

#include <ctype.h>
#include <string.h>
#include <sys/socket.h>

enum { ADDRESSES_MAX = 70 }; /* of one edge: public, internal, SSH, and 64 for relays */

/* Addresses of an edge, as a firewall beside it sees them: behind static NAT those are its own. */
struct addresses {
    struct netaddr a[ADDRESSES_MAX];
    size_t n;
};

static void addresses_add(struct addresses *list, const struct netaddr *a)
{
    if (a->family == 0 || list->n == ADDRESSES_MAX)
        return;
    for (size_t i = 0; i < list->n; i++)
        if (netaddr_equal_ip(&list->a[i], a))
            return;
    list->a[list->n++] = *a;
}

static struct addresses edge_guest_addresses(const struct config_edge *edge)
{
    struct addresses list = {.n = 0};
    struct netaddr bind, advertised;
    addresses_add(&list, edge->internal_ip.family ? &edge->internal_ip : &edge->public_ip);
    for (size_t i = 0; i < edge->relay_addresses.n; i++)
        if (config_relay_address(edge->relay_addresses.items[i], &bind, &advertised) == ERR_OK)
            addresses_add(&list, &bind);
    return list;
}

struct netaddr firewall_ssh_address(const struct config_edge *edge)
{
    struct netaddr ssh;
    if (netaddr_parse(edge->ssh_host, 0, &ssh) == ERR_OK)
        return ssh;
    return edge->internal_ip.family ? edge->internal_ip : edge->public_ip;
}

static struct addresses edge_all_addresses(const struct config_edge *edge)
{
    struct addresses list = edge_guest_addresses(edge);
    struct netaddr ssh = firewall_ssh_address(edge);
    addresses_add(&list, &ssh);
    return list;
}

enum err firewall_judge(const struct config *c, char *why)
{
    for (size_t i = 0; i < c->edges.n; i++) {
        const struct config_edge *edge = config_edge_at(c, i);
        if (edge_guest_addresses(edge).n > 0 && firewall_ssh_address(edge).family)
            continue;
        snprintf(
            why, SCHEMA_WHY,
            "edge \"%s\" has no address in stile.json that rules could name; give it public_address (behind "
            "static NAT also internal_address)",
            edge->name);
        return ERR_CONFIG;
    }
    return ERR_OK;
}

/* Rules ------------------------------------------------------------------------------------------------ */

static const char *family_word(const struct netaddr *a)
{
    return a->family == AF_INET ? "ip" : "ip6";
}

/* "ip daddr ADDRESS " for a firewall; nothing for the edge's own rules, where `to` is NULL. */
static void print_to(FILE *out, const struct netaddr *to)
{
    char text[NETADDR_TEXT];
    fputs("        ", out);
    if (to)
        fprintf(out, "%s daddr %s ", family_word(to), netaddr_print_ip(to, text));
}

static void print_port(FILE *out, const struct netaddr *to, const char *protocol, long port, const char *edge,
                       const char *what)
{
    if (port == 0)
        return;
    print_to(out, to);
    fprintf(out, "%s dport %ld accept comment \"%s: %s\"\n", protocol, port, edge, what);
}

static void print_relays(FILE *out, const struct netaddr *to, const struct config_edge *edge,
                         const char *what)
{
    print_to(out, to);
    fprintf(out, "udp dport %ld-%ld accept comment \"%s: %s\"\n", edge->relay_ports[0], edge->relay_ports[1],
            edge->name, what);
}

/* What everyone in the internet may open. */
static void print_guest_ports(FILE *out, const struct config *c, const struct config_edge *edge,
                              const struct netaddr *to)
{
    if (c->web_proxy.enabled || (c->turn.enabled && c->turn.tcp_443))
        print_port(out, to, "tcp", edge->https_port, edge->name, "guests' HTTPS, WSS, and TURN beside them");
    if (c->web_proxy.enabled)
        print_port(out, to, "tcp", edge->http_port, edge->name, "redirects to HTTPS, ACME");
    if (!c->turn.enabled)
        return;
    print_port(out, to, "udp", edge->turn_udp_port, edge->name, "TURN over UDP and DTLS");
    print_port(out, to, "tcp", edge->turn_tcp_port, edge->name, "TURN over TCP and TLS");
    print_port(out, to, "tcp", edge->turn_tls_port, edge->name, "TURN over TLS");
    print_port(out, to, "udp", edge->turn_tls_port, edge->name, "TURN over DTLS");
    print_relays(out, to, edge, "peers to relays");
    if (c->turn.tcp_relays)
        fprintf(out,
                "        # Peers that connect to relays of TCP (turn.tcp_relays), should there be any:\n"
                "        # tcp dport %ld-%ld accept\n",
                edge->relay_ports[0], edge->relay_ports[1]);
}

static void print_begin(FILE *out, const char *table, const char *hook, const char *policy)
{
    /* Made and flushed first, so that loading it again replaces it. */
    fprintf(out,
            "table inet %s\n"
            "delete table inet %s\n"
            "table inet %s {\n"
            "    chain %s {\n"
            "        type filter hook %s priority filter; policy %s;\n"
            "        ct state established,related accept\n",
            table, table, table, hook, hook, policy);
}

static void print_end(FILE *out)
{
    fputs("    }\n}\n", out);
}

static void print_drop(FILE *out, const struct addresses *list, const char *direction)
{
    char text[NETADDR_TEXT];
    for (size_t i = 0; i < list->n; i++)
        fprintf(out, "        %s %s %s counter drop\n", family_word(&list->a[i]), direction,
                netaddr_print_ip(&list->a[i], text));
}

/* What edges have to do with each other and the internet beyond answers: media that relays send. */
static void print_relay_sends(FILE *out, const struct config_edge *edge, const struct addresses *list)
{
    char text[NETADDR_TEXT];
    for (size_t i = 0; i < list->n; i++)
        fprintf(out, "        %s saddr %s udp sport %ld-%ld accept comment \"%s: relays to peers\"\n",
                family_word(&list->a[i]), netaddr_print_ip(&list->a[i], text), edge->relay_ports[0],
                edge->relay_ports[1], edge->name);
}

void firewall_print_outer(FILE *out, const struct config *c)
{
    fputs("# The outer firewall: internet and DMZ. Only what goes to the edges or comes from them is judged "
          "here; the rest\n"
          "# is left to your other rules. Behind static NAT the addresses are the edges' own, which is what "
          "is seen once\n"
          "# the destination has been translated.\n",
          out);
    print_begin(out, "stile_outer", "forward", "accept");
    for (size_t i = 0; i < c->edges.n; i++) {
        const struct config_edge *edge = config_edge_at(c, i);
        struct addresses list = edge_guest_addresses(edge);
        for (size_t k = 0; k < list.n; k++)
            print_guest_ports(out, c, edge, &list.a[k]);
        if (c->turn.enabled)
            print_relay_sends(out, edge, &list);
        print_drop(out, &list, "daddr");
        fputs("        # An edge opens nothing else towards the internet. What its system needs (updates, "
              "time) comes before:\n",
              out);
        print_drop(out, &list, "saddr");
    }
    print_end(out);
}

/* Call bridges: the private networks that relays may reach. */
static void print_bridges(FILE *out, const struct config *c, const struct config_edge *edge,
                          const struct addresses *list)
{
    char text[NETADDR_TEXT];
    struct netcidr net;
    for (size_t i = 0; i < c->turn.allow_peers.n; i++)
        for (size_t k = 0; k < list->n; k++) {
            const char *from = c->turn.allow_peers.items[i];
            if (netcidr_parse(from, &net) != ERR_OK || net.family != list->a[k].family)
                continue;
            const char *family = family_word(&list->a[k]);
            netaddr_print_ip(&list->a[k], text);
            fprintf(
                out,
                "        %s saddr %s %s daddr %s udp dport %ld accept comment \"%s: TURN of call bridges\"\n",
                family, from, family, text, edge->turn_udp_port, edge->name);
            fprintf(out,
                    "        %s saddr %s %s daddr %s udp dport %ld-%ld accept comment \"%s: their media to "
                    "relays\"\n",
                    family, from, family, text, edge->relay_ports[0], edge->relay_ports[1], edge->name);
        }
}

static void print_cores(FILE *out, const struct config_edge *edge, const struct netaddr *to, long port,
                        const struct netaddr *cores, size_t n)
{
    struct netaddr ssh = firewall_ssh_address(edge);
    char text[NETADDR_TEXT];
    for (size_t i = 0; i < n; i++) {
        if (cores[i].family != ssh.family)
            continue;
        fprintf(out, "        %s saddr %s ", family_word(&ssh), netaddr_print_ip(&cores[i], text));
        if (to)
            fprintf(out, "%s daddr %s ", family_word(to), netaddr_print_ip(to, text));
        fprintf(out, "tcp dport %ld accept comment \"%s: the tunnel\"\n", port, edge->name);
    }
}

void firewall_print_inner(FILE *out, const struct config *c, const struct netaddr *cores, size_t n)
{
    fputs("# The inner firewall: LAN and DMZ. Core dials the edges, call bridges send media to them; what an "
          "edge opens is\n"
          "# dropped, media included: packets of a relay pass as answers once the bridge has sent to it, as "
          "ICE does.\n",
          out);
    print_begin(out, "stile_inner", "forward", "accept");
    for (size_t i = 0; i < c->edges.n; i++) {
        const struct config_edge *edge = config_edge_at(c, i);
        struct addresses list = edge_all_addresses(edge);
        struct netaddr ssh = firewall_ssh_address(edge);
        print_cores(out, edge, &ssh, edge->ssh_target_port, cores, n);
        if (c->turn.enabled)
            print_bridges(out, c, edge, &list);
        print_drop(out, &list, "saddr");
        print_drop(out, &list, "daddr");
    }
    print_end(out);
}

/* Only the edge's own rules let administrators in: firewalls drop what is not named, and from where they come
 * is not in the config. */
static void print_admin(FILE *out, const struct config *c, const struct config_edge *edge)
{
    const struct config_admin_place *place = &edge->admin;
    if (!c->admin.enabled)
        return;
    fputs("        ", out);
    if (*place->interface)
        fprintf(out, "iifname \"%s\" ", place->interface);
    fprintf(out, "tcp dport %ld accept comment \"the admin page: narrow it to your own network\"\n", place->port);
}

void firewall_print_edge(FILE *out, const struct config *c, const struct config_edge *edge,
                         const struct netaddr *cores, size_t n)
{
    char table[80] = "stile_edge_";
    size_t used = strlen(table);
    for (const char *p = edge->name; *p && used < sizeof table - 1; p++)
        table[used++] = isalnum((unsigned char)*p) ? *p : '_';
    fprintf(out, "# The edge %s itself: what it takes from the network.\n", edge->name);
    print_begin(out, table, "input", "drop");
    fputs("        iif \"lo\" accept\n"
          "        meta l4proto { icmp, icmpv6 } accept\n"
          "        tcp dport 22 accept comment \"your own access: narrow it, or take it out\"\n",
          out);
    print_admin(out, c, edge);
    print_guest_ports(out, c, edge, NULL);
    print_cores(out, edge, NULL, edge->ssh_port, cores, n);
    fputs("        counter\n", out);
    print_end(out);
}
