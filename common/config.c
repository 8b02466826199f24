#include "common/config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/syslog_out.h"

enum { CONFIG_MAX = 4 * 1024 * 1024 };

/* Checks of single values: NULL when right, else what would be right. ----------------------------------- */

static const char *check_host(const char *host)
{
    size_t label = 0, n = strlen(host);
    struct netaddr ip;
    if (netaddr_parse(host, 0, &ip) == ERR_OK && ip.port == 0)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        bool word = isalnum((unsigned char)host[i]) || (host[i] == '-' && label > 0);
        if (host[i] == '.' ? label == 0 || host[i - 1] == '-' : !word)
            return "a host name (letters, digits and '-' in labels of at most 63; no underscore) or an IP "
                   "address";
        label = host[i] == '.' ? 0 : label + 1;
        if (label > 63)
            return "a host name (labels of at most 63 characters)";
    }
    return n > 0 && n <= 253 && label > 0 && host[n - 1] != '-' ? NULL : "a host name or an IP address";
}

enum err config_split_url(const char *url, char host[256], uint16_t *port)
{
    static const char scheme[] = "https://";
    char authority[300];
    if (strncasecmp(url, scheme, sizeof scheme - 1) != 0)
        return ERR_MALFORMED;
    const char *rest = url + sizeof scheme - 1;
    size_t n = strcspn(rest, "/?#");
    if (n >= sizeof authority || (rest[n] && strcmp(rest + n, "/") != 0) || memchr(rest, '@', n))
        return ERR_MALFORMED;
    memcpy(authority, rest, n);
    authority[n] = '\0';
    if (hostport_parse(authority, 443, host, port) != ERR_OK)
        return ERR_MALFORMED;
    for (char *p = host; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    n = strlen(host);
    if (n > 1 && host[n - 1] == '.')
        host[n - 1] = '\0';
    return check_host(host) ? ERR_MALFORMED : ERR_OK;
}

static const char *check_url(const char *value)
{
    char host[256];
    uint16_t port;
    return config_split_url(value, host, &port) == ERR_OK
               ? NULL
               : "a URL of the form https://HOST or https://HOST:PORT (no path, query or user)";
}

const char *config_check_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");
    return n > 0 && n <= 63 && !name[n] && name[0] != '-' && name[0] != '.'
               ? NULL
               : "a name of letters, digits, '-' and '.', at most 63, not beginning with '-' or '.'";
}

static const char *check_hostport(const char *value)
{
    char host[256];
    uint16_t port;
    return hostport_parse(value, 1, host, &port) == ERR_OK && !check_host(host) ? NULL : "HOST or HOST:PORT";
}

static const char *check_ip(const char *value)
{
    struct netaddr a;
    return netaddr_parse(value, 0, &a) == ERR_OK && a.port == 0 ? NULL : "an IP address without port";
}

static const char *check_ip_or_empty(const char *value)
{
    return *value ? check_ip(value) : NULL;
}

enum err config_relay_address(const char *text, struct netaddr *bind, struct netaddr *advertised)
{
    char first[NETADDR_TEXT];
    struct netaddr a, b;
    size_t n = strcspn(text, "=");
    if (n >= sizeof first)
        return ERR_MALFORMED;
    memcpy(first, text, n);
    first[n] = '\0';
    if (netaddr_parse(first, 0, &a) != ERR_OK ||
        netaddr_parse(text[n] ? text + n + 1 : first, 0, &b) != ERR_OK || a.port || b.port ||
        a.family != b.family || netaddr_is_any(&a) || netaddr_is_any(&b))
        return ERR_MALFORMED;
    *bind = a;
    *advertised = b;
    return ERR_OK;
}

static const char *check_relay_address(const char *value)
{
    struct netaddr bind, advertised;
    return config_relay_address(value, &bind, &advertised) == ERR_OK
               ? NULL
               : "IP, or IP=PUBLIC_IP of the same family, without ports";
}

static const char *check_cidr(const char *value)
{
    struct netcidr net;
    return netcidr_parse(value, &net) == ERR_OK
               ? NULL
               : "a network in CIDR notation such as 10.0.0.0/8, host bits zero";
}

const char *config_check_key(const char *value)
{
    static const char prefix[] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI";
    size_t n = strspn(value + (strncmp(value, prefix, 12) == 0 ? 12 : 0),
                      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=");
    return strncmp(value, prefix, sizeof prefix - 1) == 0 && n == 68 && !value[12 + n]
               ? NULL
               : "an Ed25519 public key: \"ssh-ed25519 \" and 68 base64 characters, no comment";
}

static const char *check_method(const char *value)
{
    size_t n = strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-");
    return n > 0 && n <= 32 && !value[n] ? NULL : "an HTTP method in capital letters";
}

static const char *check_file(const char *value)
{
    return *value && strlen(value) < 1000 ? NULL : "a file name";
}

static const char *check_log_file(const char *value)
{
    bool right = !*value || strcmp(value, "-") == 0 || (*value == '/' && strlen(value) < 1000);
    return right && !strpbrk(value, "\"\\\r\n") ? NULL : "\"\", \"-\" or the full path of a file";
}

static const char *check_realm(const char *value)
{
    return *value && strlen(value) <= 127 && !strpbrk(value, "\"\\\r\n") ? NULL
                                                                         : "1 to 127 characters, no quotes";
}

static const char *const log_formats[] = {"combined", "json", NULL};
static const char *const bindings[] = {"open", "authenticated", "off", NULL};
static const char *const channel_numbers[] = {"rfc8656", "rfc5766", NULL};
static const char *const gso_words[] = {"auto", "off", NULL};
static const char *const algorithms[] = {"sha256", "md5", NULL};

static const char *check_interface(const char *value)
{
    return strlen(value) < 16 && !strpbrk(value, "/ \t\r\n") ? NULL : "the name of a network interface";
}

/* Rows ------------------------------------------------------------------------------------------------- */

/* live: a running edge has nothing to do with it. */
#define PLACE(type, live)                                                                                    \
    {"admin_port",                                                                                           \
     SCHEMA_INT,                                                                                             \
     offsetof(struct type, admin.port),                                                                      \
     .edge_live = (live),                                                                                    \
     .min = 0,                                                                                               \
     .max = 65535,                                                                                           \
     .default_text = "0",                                                                                    \
     .help = "overrides admin.port on this box; 0: it does not"},                                            \
        {"admin_address",                                                                                    \
         SCHEMA_STRING,                                                                                      \
         offsetof(struct type, admin.address),                                                               \
         .edge_live = (live),                                                                                \
         .default_text = "\"\"",                                                                             \
         .check = check_ip_or_empty,                                                                         \
         .help = "the one local address on which this box's admin service listens; empty: all"},             \
    {                                                                                                        \
        "admin_interface", SCHEMA_STRING, offsetof(struct type, admin.interface), .edge_live = (live),       \
            .check = check_interface, .help = "overrides admin.interface on this box"                        \
    }

#define EDGE(member) offsetof(struct config_edge, member)
const struct schema_row config_edge_rows[] = {
    {"name", SCHEMA_STRING, EDGE(name), .required = true, .check = config_check_name,
     .help = "what this edge is called everywhere"},
    {"ssh", SCHEMA_STRING, EDGE(ssh), .required = true, .check = check_hostport,
     .help = "HOST:PORT where core reaches the edge's SSH server; port 2222 where none is given"},
    {"host_key", SCHEMA_STRING, EDGE(host_key), .required = true, .check = config_check_key,
     .help = "the SSH host key that core pins"},
    {"public_address", SCHEMA_STRING, EDGE(public_address), .check = check_ip,
     .help = "the address that guests reach; relays are advertised on it"},
    {"internal_address", SCHEMA_STRING, EDGE(internal_address), .check = check_ip,
     .help = "the edge's own address where public_address is translated by a firewall (static NAT)"},
    {"listen_address", SCHEMA_STRING, EDGE(listen_address), .default_text = "\"\"",
     .check = check_ip_or_empty, .help = "the one local address to listen on; empty: all"},
    {"relay_addresses", SCHEMA_STRINGS, EDGE(relay_addresses), .max = 64, .check = check_relay_address,
     .help = "the edge's own addresses that relays are on, each as IP, or as IP=PUBLIC_IP where a firewall "
             "translates it; absent: one, that follows from public_address, internal_address and "
             "listen_address"},
    {"https_port", SCHEMA_INT, EDGE(https_port), .min = 1, .max = 65535, .default_text = "443",
     .help = "where guests' HTTPS and WSS arrive"},
    {"http_port", SCHEMA_INT, EDGE(http_port), .min = 0, .max = 65535, .default_text = "80",
     .help = "redirects to HTTPS; 0: off"},
    {"ssh_port", SCHEMA_INT, EDGE(ssh_port), .min = 0, .max = 65535, .default_text = "0",
     .help = "where the edge's SSH server listens; 0: the port of ssh"},
    {"turn_udp_port", SCHEMA_INT, EDGE(turn_udp_port), .min = 0, .max = 65535, .default_text = "0",
     .help = "overrides turn.udp_port on this edge; 0: it does not"},
    {"turn_tcp_port", SCHEMA_INT, EDGE(turn_tcp_port), .min = 0, .max = 65535, .default_text = "0",
     .help = "overrides turn.tcp_port on this edge; 0: it does not"},
    {"turn_tls_port", SCHEMA_INT, EDGE(turn_tls_port), .min = 0, .max = 65535, .default_text = "0",
     .help = "overrides turn.tls_port on this edge; 0: it does not"},
    {"relay_ports", SCHEMA_RANGE, EDGE(relay_ports), .min = 1024, .max = 65535,
     .help = "overrides turn.relay_ports on this edge"},
    {"web_workers", SCHEMA_INT, EDGE(web_workers), .min = 0, .max = 64, .default_text = "0",
     .help = "web worker processes; 0: one per processor"},
    {"turn_workers", SCHEMA_INT, EDGE(turn_workers), .min = 0, .max = 64, .default_text = "0",
     .help = "TURN worker processes; 0: one per processor"},
    {"syslog", SCHEMA_STRING, EDGE(syslog), .edge_live = true, .default_text = "\"\"", .check = syslog_check,
     .help = "where this edge sends its events besides, as RFC 5424: the IP address of a syslog server (UDP, "
             "port "
             "514 where none is given), or the full path of a socket; empty: nowhere"},
    PLACE(config_edge, false),
    SCHEMA_END};

#define CORE(member) offsetof(struct config_core, member)
static const struct schema_row core_rows[] = {
    {"name", SCHEMA_STRING, CORE(name), .edge_live = true, .required = true, .check = config_check_name,
     .help = "what this core is called everywhere"},
    {"key", SCHEMA_STRING, CORE(key), .edge_live = true, .required = true, .check = config_check_key,
     .help = "the SSH client key that edges accept"},
    {"syslog", SCHEMA_STRING, CORE(syslog), .default_text = "\"\"", .edge_live = true, .check = syslog_check,
     .help = "the same for this core"},
    PLACE(config_core, true),
    SCHEMA_END};

#define ACCESS_LOG(member) offsetof(struct config_access_log, member)
static const struct schema_row access_log_rows[] = {
    {"file", SCHEMA_STRING, ACCESS_LOG(file), .edge_live = true, .default_text = "\"\"",
     .check = check_log_file,
     .help = "where the edge writes a line for every finished request: a full path; - for standard error "
             "(the journal); empty: nowhere"},
    {"format", SCHEMA_STRING, ACCESS_LOG(format), .edge_live = true, .default_text = "\"combined\"",
     .words = log_formats, .help = "combined (as Apache and nginx have it, and more behind it) or json"},
    {"query", SCHEMA_BOOL, ACCESS_LOG(query), .edge_live = true, .default_text = "false",
     .help = "URLs with their query, which may hold secrets"},
    SCHEMA_END};

#define DOMAIN(member) offsetof(struct config_further_domain, member)
static const struct schema_row domain_rows[] = {
    {"join_url", SCHEMA_STRING, DOMAIN(join_url), .by_policy = true, .required = true, .check = check_url,
     .help = "the URL that guests of this domain open, https://HOST[:PORT]"},
    {"targets", SCHEMA_STRINGS, DOMAIN(targets), .edge_live = true, .max = 64, .check = check_hostport,
     .help = "HOST[:PORT] of its web bridges; empty: found in DNS by its join host"},
    {"bridge_ca", SCHEMA_STRING, DOMAIN(bridge_ca), .edge_live = true, .check = check_file,
     .help = "file with the CA certificates that sign its bridges'; absent: the system's"},
    {"extra_rules", SCHEMA_ANY, DOMAIN(extra_rules), .by_policy = true, .help = "further rules of the allow-list for it"},
    SCHEMA_END};

#define WEB(member) offsetof(struct config_web_proxy, member)
static const struct schema_row web_rows[] = {
    {"enabled", SCHEMA_BOOL, WEB(enabled), .default_text = "true",
     .help = "proxy HTTPS and WSS to the web bridge"},
    {"targets", SCHEMA_STRINGS, WEB(targets), .edge_live = true, .max = 64, .check = check_hostport,
     .help = "HOST[:PORT] of web bridges; empty: found in DNS by the join host"},
    {"bridge_ca", SCHEMA_STRING, WEB(bridge_ca), .edge_live = true, .check = check_file,
     .help = "file with the CA certificates that sign the bridge's; absent: the system's"},
    {"methods", SCHEMA_STRINGS, WEB(methods), .by_policy = true, .min = 1, .max = 32, .check = check_method,
     .default_text = "[\"GET\",\"POST\",\"PUT\",\"HEAD\",\"DELETE\"]",
     .help = "methods of the two automatic rules of the allow-list"},
    {"extra_rules", SCHEMA_ANY, WEB(extra_rules), .by_policy = true, .help = "further rules of the allow-list"},
    {"domains", SCHEMA_OBJECTS, WEB(domains), .by_policy = true, .max = CONFIG_DOMAINS_MAX - 1, .rows = domain_rows,
     .size = sizeof(struct config_further_domain),
     .help = "further join URLs beside the first one, each with web bridges of its own"},
    {"tunnels_per_edge", SCHEMA_INT, WEB(tunnels_per_edge), .edge_live = true, .min = 1, .max = 16,
     .default_text = "2", .help = "SSH connections from each core to each edge"},
    {"load_balancers", SCHEMA_STRINGS, WEB(load_balancers), .edge_live = true, .max = 100, .check = check_cidr,
     .help = "networks of load balancers in front of the edge: their connections must begin with a PROXY "
             "protocol header "
             "(version 1 or 2), whose client counts in logs and limits"},
    {"access_log", SCHEMA_OBJECT, WEB(access_log), .rows = access_log_rows,
     .help = "the edges' log of guests' requests"},
    {"hsts", SCHEMA_INT, WEB(hsts), .edge_live = true, .min = 0, .max = 63072000, .default_text = "31536000",
     .help = "seconds for which browsers are to come to the join hosts over HTTPS only "
             "(Strict-Transport-Security); 0: not said"},
    SCHEMA_END};

#define LIFETIME(member)                                                                                     \
    (offsetof(struct config_turn, allocation_lifetime.member) -                                              \
     offsetof(struct config_turn, allocation_lifetime))
static const struct schema_row lifetime_rows[] = {
    {"default", SCHEMA_INT, LIFETIME(default_s), .edge_live = true, .min = 60, .max = 86400,
     .default_text = "600", .help = "seconds that an allocation lasts whose client names no lifetime"},
    {"longest", SCHEMA_INT, LIFETIME(longest), .edge_live = true, .min = 60, .max = 86400,
     .default_text = "3600", .help = "the most seconds that a client is given"},
    SCHEMA_END};

#define TURN(member) offsetof(struct config_turn, member)
static const struct schema_row turn_rows[] = {
    {"enabled", SCHEMA_BOOL, TURN(enabled), .default_text = "true", .help = "relay media with TURN"},
    {"realm", SCHEMA_STRING, TURN(realm), .check = check_realm, .help = "TURN realm; absent: the join host"},
    {"udp_port", SCHEMA_INT, TURN(udp_port), .min = 1, .max = 65535, .default_text = "3478",
     .help = "where TURN requests over UDP arrive"},
    {"tcp_port", SCHEMA_INT, TURN(tcp_port), .min = 1, .max = 65535, .default_text = "3478",
     .help = "where TURN requests over TCP arrive"},
    {"tls_port", SCHEMA_INT, TURN(tls_port), .min = 0, .max = 65535, .default_text = "5349",
     .help = "where TURN requests over TLS (TCP) and DTLS (UDP) arrive; 0: nowhere but on udp_port and "
             "tcp_port, which take them as well"},
    {"tcp_443", SCHEMA_BOOL, TURN(tcp_443), .default_text = "true",
     .help = "take TURN over TCP and TLS on https_port, too, beside HTTPS"},
    {"relay_ports", SCHEMA_RANGE, TURN(relay_ports), .min = 1024, .max = 65535,
     .default_text = "[24000,29999]", .help = "lowest and highest port of relayed addresses"},
    {"allow_peers", SCHEMA_STRINGS, TURN(allow_peers), .edge_live = true, .max = 1000, .check = check_cidr,
     .help = "private networks that relays may send to (the call bridges'); an edge's own address, "
             "but for its relays, only where it is listed by itself"},
    {"deny_peers", SCHEMA_STRINGS, TURN(deny_peers), .edge_live = true, .max = 1000, .check = check_cidr,
     .help = "networks that relays may never send to"},
    {"user_quota", SCHEMA_INT, TURN(user_quota), .edge_live = true, .min = 0, .max = 1000000,
     .default_text = "0",
     .help = "most allocations of one user on one edge, reserved ports among them; 0: no limit"},
    {"address_quota", SCHEMA_INT, TURN(address_quota), .edge_live = true, .min = 0, .max = 1000000,
     .default_text = "1000",
     .help = "most allocations of one client address (IPv6: one /64) on one edge, those in allow_peers "
             "excepted; 0: no limit"},
    {"total_quota", SCHEMA_INT, TURN(total_quota), .edge_live = true, .min = 0, .max = 1000000,
     .default_text = "0", .help = "most allocations on one edge; 0: no limit"},
    {"allocation_lifetime", SCHEMA_OBJECT, TURN(allocation_lifetime), .rows = lifetime_rows,
     .help = "how long allocations last without being refreshed"},
    {"permissions_per_allocation", SCHEMA_INT, TURN(permissions_per_allocation), .edge_live = true, .min = 1,
     .max = 4096, .default_text = "64", .help = "most peers that one allocation may permit"},
    {"channels_per_allocation", SCHEMA_INT, TURN(channels_per_allocation), .edge_live = true, .min = 1,
     .max = 4096, .default_text = "64", .help = "most channels that one allocation may bind"},
    {"tcp_relays", SCHEMA_BOOL, TURN(tcp_relays), .edge_live = true, .default_text = "true",
     .help = "clients on TCP or TLS may have relays of TCP (RFC 6062)"},
    {"connections_per_allocation", SCHEMA_INT, TURN(connections_per_allocation), .edge_live = true, .min = 1,
     .max = 1024, .default_text = "32",
     .help = "most TCP connections with peers that one allocation may have"},
    {"user_connections", SCHEMA_INT, TURN(user_connections), .edge_live = true, .min = 0, .max = 1000000,
     .default_text = "0",
     .help = "the same for all allocations of one user on one edge together; 0: no limit"},
    {"binding", SCHEMA_STRING, TURN(binding), .edge_live = true, .default_text = "\"open\"",
     .words = bindings,
     .help = "STUN Binding requests: open to anyone, authenticated (only with credentials), or off"},
    {"channel_numbers", SCHEMA_STRING, TURN(channel_numbers), .edge_live = true,
     .default_text = "\"rfc8656\"", .words = channel_numbers,
     .help = "rfc8656: 0x4000 to 0x4FFF; rfc5766: to 0x7FFF, for older clients"},
    {"gso", SCHEMA_STRING, TURN(gso), .default_text = "\"auto\"", .words = gso_words,
     .help =
         "auto: the kernel joins and splits runs of packets where it can; off: one by one, where a driver "
         "has trouble with that"},
    {"software", SCHEMA_BOOL, TURN(software), .edge_live = true, .default_text = "true",
     .help = "name the software in authenticated answers"},
    {"password_algorithms", SCHEMA_STRINGS, TURN(password_algorithms), .edge_live = true, .min = 1, .max = 2,
     .default_text = "[\"sha256\",\"md5\"]", .words = algorithms,
     .help = "sha256 (RFC 8489) and md5 (every client): which are offered, the one to be preferred first"},
    {"allocation_kbps", SCHEMA_INT, TURN(allocation_kbps), .edge_live = true, .min = 0, .max = 100000000,
     .default_text = "0",
     .help =
         "most media that one allocation relays in each direction, in kilobits (1000 bits) a second; what "
         "is above is dropped and counted, or, from TCP relays, waits; 0: no limit"},
    {"user_kbps", SCHEMA_INT, TURN(user_kbps), .edge_live = true, .min = 0, .max = 100000000,
     .default_text = "0",
     .help = "the same for all allocations of one user on one edge together; 0: no limit"},
    {"challenge_limit", SCHEMA_INT, TURN(challenge_limit), .edge_live = true, .min = 1, .max = 1000000,
     .default_text = "64",
     .help =
         "most challenges a second to one client address (IPv6: one /64) that has not authenticated; what "
         "is above stays unanswered"},
    SCHEMA_END};

#define BANS(member) offsetof(struct config_bans, member)
#define RULE(member) offsetof(struct config_ban_rule, member)
#define X(name, threshold_default, window_default, duration_default, words)                                  \
    static const struct schema_row ban_##name##_rows[] = {                                                   \
        {"threshold", SCHEMA_INT, RULE(threshold), .edge_live = true, .min = 0, .max = 1000000,              \
         .default_text = #threshold_default, .help = "so many in one window ban the address; 0: never"},     \
        {"window", SCHEMA_INT, RULE(window), .edge_live = true, .min = 1, .max = 86400,                      \
         .default_text = #window_default, .help = "seconds in which they are counted"},                      \
        {"duration", SCHEMA_INT, RULE(duration), .edge_live = true, .min = 1, .max = 31622400,               \
         .default_text = #duration_default, .help = "seconds that the ban lasts"},                           \
        SCHEMA_END};
BAN_CATEGORIES(X)
#undef X

static const struct schema_row bans_rows[] = {
    {"enabled", SCHEMA_BOOL, BANS(enabled), .edge_live = true, .default_text = "true",
     .help = "ban addresses by themselves; without it only 'stile-edge ban add' does"},
    {"exempt", SCHEMA_STRINGS, BANS(exempt), .edge_live = true, .max = 1000, .check = check_cidr,
     .help = "networks that are never banned"},
#define X(name, threshold, window, duration, words)                                                          \
    {#name, SCHEMA_OBJECT, BANS(name), .rows = ban_##name##_rows, .help = words},
    BAN_CATEGORIES(X)
#undef X
        SCHEMA_END};

static const struct schema_row limit_rows[] = {
#define X(name, normal, least, most, words)                                                                  \
    {#name,        SCHEMA_INT,  offsetof(struct web_limits, name), .edge_live = true,                        \
     .min = least, .max = most, .default_text = #normal,           .help = words},
    WEB_LIMITS(X)
#undef X
        SCHEMA_END};

#define ADMIN(member) offsetof(struct config_admin, member)
static const struct schema_row admin_rows[] = {
    {"enabled", SCHEMA_BOOL, ADMIN(enabled), .default_text = "true",
     .help = "serve the admin page, its API and /metrics on every box"},
    {"port", SCHEMA_INT, ADMIN(port), .min = 1, .max = 65535, .default_text = "445",
     .help = "where they are served, over HTTPS"},
    {"interface", SCHEMA_STRING, ADMIN(interface), .default_text = "\"\"", .check = check_interface,
     .help = "the one network interface on which they are served (a management network); empty: all"},
    {"metrics_from", SCHEMA_STRINGS, ADMIN(metrics_from), .edge_live = true, .max = 100, .check = check_cidr,
     .help = "networks that may read /metrics without a user or a token"},
    SCHEMA_END};

#define DRAIN(member) offsetof(struct config_drain, member)
static const struct schema_row drain_rows[] = {
    {"edge_seconds", SCHEMA_INT, DRAIN(edge_seconds), .edge_live = true, .min = 0, .max = 3600, .default_text = "5",
     .help = "how long requests, WebSockets and relays of an edge that stops go on; it refuses new ones meanwhile"},
    {"core_seconds", SCHEMA_INT, DRAIN(core_seconds), .edge_live = true, .min = 0, .max = 3600, .default_text = "3",
     .help = "how long requests on a core that stops go on, WebSockets not; new ones wait at the edges for as long "
             "as web_limits.wait_seconds says, or go to another core"},
    SCHEMA_END};

#define TOP(member) offsetof(struct config, member)
const struct schema_row config_rows[] = {
    {"revision", SCHEMA_INT, TOP(revision), .edge_live = true, .min = 1, .max = 2000000000,
     .default_text = "1", .help = "counts up with every change; shown on every box"},
    {"reload_on_change", SCHEMA_BOOL, TOP(reload_on_change), .edge_live = true, .default_text = "true",
     .help = "a running box takes over a changed stile.json or secrets.json by itself, as reload does"},
    {"join_url", SCHEMA_STRING, TOP(join_url), .by_policy = true, .required = true, .check = check_url,
     .help = "the URL that guests open, https://HOST[:PORT]"},
    {"web_proxy", SCHEMA_OBJECT, TOP(web_proxy), .rows = web_rows, .help = "HTTPS and WSS to the web bridge"},
    {"edges", SCHEMA_OBJECTS, TOP(edges), .required = true, .min = 1, .max = 64, .rows = config_edge_rows,
     .size = sizeof(struct config_edge), .help = "the boxes in the DMZ"},
    {"cores", SCHEMA_OBJECTS, TOP(cores), .required = true, .edge_live = true, .min = 1, .max = 16, .rows = core_rows,
     .size = sizeof(struct config_core), .help = "the boxes in the LAN"},
    {"turn", SCHEMA_OBJECT, TOP(turn), .rows = turn_rows, .help = "the TURN server of every edge"},
    {"admin", SCHEMA_OBJECT, TOP(admin), .rows = admin_rows, .help = "the admin service of every box"},
    {"drain", SCHEMA_OBJECT, TOP(drain), .rows = drain_rows,
     .help = "what runs on a box that stops, for an upgrade or for good, and how long it has to end"},
    {"web_limits", SCHEMA_OBJECT, TOP(web_limits), .rows = limit_rows,
     .help = "what each web worker of an edge allows its guests"},
    {"bans", SCHEMA_OBJECT, TOP(bans), .rows = bans_rows,
     .help = "which addresses an edge's web ports shut out for a while"},
    SCHEMA_END};

#define HOST_PATTERN "([A-Za-z0-9.-]+|\\[[0-9A-Fa-f:.]+\\])"

const char *config_pattern(const char *(*check)(const char *value))
{
    static const struct {
        const char *(*check)(const char *value);
        const char *pattern;
    } patterns[] = {
        {check_url, "^[Hh][Tt][Tt][Pp][Ss]://" HOST_PATTERN "(:[0-9]{1,5})?/?$"},
        {config_check_name, "^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$"},
        {check_hostport, "^(" HOST_PATTERN "(:[0-9]{1,5})?|[0-9A-Fa-f:.]+)$"},
        {check_ip, "^[0-9A-Fa-f:.]+$"},
        {check_ip_or_empty, "^[0-9A-Fa-f:.]*$"},
        {check_relay_address, "^[0-9A-Fa-f:.]+(=[0-9A-Fa-f:.]+)?$"},
        {check_cidr, "^[0-9A-Fa-f:.]+/[0-9]{1,3}$"},
        {config_check_key, "^ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/=]{43}$"},
        {check_method, "^[A-Z-]{1,32}$"},
        {check_file, "^.+$"},
        {check_log_file, "^(-?|/[^\"\\\\]*)$"},
        {check_realm, "^[^\"\\\\]{1,127}$"},
    };
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (patterns[i].check == check)
            return patterns[i].pattern;
    return NULL;
}

/* Checks between keys, and what follows from the values. ------------------------------------------------ */

static enum err check_relay_addresses(const struct schema_source *source, const struct config_edge *e,
                                      size_t i, char *why)
{
    struct netaddr bind, advertised, other, other_advertised;
    char at[64];
    for (size_t k = 1; k < e->relay_addresses.n; k++) {
        (void)config_relay_address(e->relay_addresses.items[k], &bind, &advertised); /* judged by its row */
        for (size_t m = 0; m < k; m++) {
            (void)config_relay_address(e->relay_addresses.items[m], &other, &other_advertised);
            if (!netaddr_equal_ip(&bind, &other) && !netaddr_equal_ip(&advertised, &other_advertised))
                continue;
            snprintf(at, sizeof at, "/edges/%zu/relay_addresses/%zu", i, k);
            return schema_problem(source, at, why, "\"%s\" has an address that \"%s\" has already",
                                  e->relay_addresses.items[k], e->relay_addresses.items[m]);
        }
    }
    return ERR_OK;
}

static enum err derive_admin(const struct config *c, struct config_admin_place *place)
{
    if (!place->port)
        place->port = c->admin.port;
    if (*place->address)
        (void)netaddr_parse(place->address, 0, &place->ip); /* judged by its row */
    if (!place->interface)
        place->interface = strdup(c->admin.interface);
    return place->interface ? ERR_OK : ERR_MEMORY;
}

/* Where it has an address of its own, it may have a port that guests use on others. */
static enum err check_admin_port(const struct schema_source *source, const struct config *c, size_t i,
                                 char *why)
{
    const struct config_edge *e = config_edge_at(c, i);
    const long others[] = {e->https_port, e->http_port, e->ssh_port, e->turn_tcp_port, e->turn_tls_port};
    char at[64];
    if (!c->admin.enabled || *e->admin.address || *e->admin.interface)
        return ERR_OK;
    snprintf(at, sizeof at, "/edges/%zu/name", i);
    for (size_t k = 0; k < sizeof others / sizeof *others; k++)
        if (others[k] == e->admin.port)
            return schema_problem(source, at, why,
                                  "the admin service and guests cannot both have port %ld; give this edge "
                                  "another admin_port, or an admin_address",
                                  e->admin.port);
    return ERR_OK;
}

static enum err derive_edge(const struct schema_source *source, struct config *c, size_t i, char *why)
{
    struct config_edge *e = (struct config_edge *)c->edges.items + i;
    char at[64];
    struct {
        const char *text;
        struct netaddr *ip;
    } addresses[] = {{e->public_address, &e->public_ip},
                     {e->internal_address, &e->internal_ip},
                     {e->listen_address, &e->listen_ip}};
    for (size_t k = 0; k < sizeof addresses / sizeof addresses[0]; k++)
        if (addresses[k].text && *addresses[k].text)
            (void)netaddr_parse(addresses[k].text, 0, addresses[k].ip); /* judged by its row */
    if (hostport_parse(e->ssh, 2222, e->ssh_host, &e->ssh_target_port) != ERR_OK)
        return ERR_CONFIG;
    if (!e->ssh_port)
        e->ssh_port = e->ssh_target_port;
    if (!e->turn_udp_port)
        e->turn_udp_port = c->turn.udp_port;
    if (!e->turn_tcp_port)
        e->turn_tcp_port = c->turn.tcp_port;
    if (!e->turn_tls_port)
        e->turn_tls_port = c->turn.tls_port;
    if (!e->relay_ports[0])
        memcpy(e->relay_ports, c->turn.relay_ports, sizeof e->relay_ports);
    snprintf(at, sizeof at, "/edges/%zu/https_port", i);
    if (e->https_port == e->http_port || e->https_port == e->ssh_port || e->http_port == e->ssh_port ||
        e->turn_tcp_port == e->https_port || e->turn_tcp_port == e->http_port ||
        e->turn_tcp_port == e->ssh_port)
        return schema_problem(source, at, why,
                              "https_port, http_port, ssh_port and turn_tcp_port must differ");
    if (e->turn_tls_port && (e->turn_tls_port == e->https_port || e->turn_tls_port == e->http_port ||
                             e->turn_tls_port == e->ssh_port))
        return schema_problem(source, at, why,
                              "turn_tls_port (%ld) must differ from https_port, http_port and ssh_port",
                              e->turn_tls_port);
    snprintf(at, sizeof at, "/edges/%zu/name", i);
    for (size_t k = 0; k < i; k++)
        if (strcasecmp(config_edge_at(c, k)->name, e->name) == 0)
            return schema_problem(source, at, why,
                                  "\"%s\" names two edges; every box needs a name of its own", e->name);
    enum err err = derive_admin(c, &e->admin);
    if (err == ERR_OK)
        err = check_admin_port(source, c, i, why);
    return err == ERR_OK ? check_relay_addresses(source, e, i, why) : err;
}

static enum err derive_core(const struct schema_source *source, struct config *c, size_t i, char *why)
{
    struct config_core *core = (struct config_core *)c->cores.items + i;
    char at[64];
    snprintf(at, sizeof at, "/cores/%zu/name", i);
    for (size_t k = 0; k < i; k++) {
        if (strcasecmp(config_core_at(c, k)->name, core->name) == 0)
            return schema_problem(source, at, why,
                                  "\"%s\" names two cores; every box needs a name of its own", core->name);
        if (strcmp(config_core_at(c, k)->key, core->key) == 0)
            return schema_problem(source, at, why,
                                  "has the same key as core \"%s\"; every core needs its own",
                                  config_core_at(c, k)->name);
    }
    return derive_admin(c, &core->admin);
}

static enum err config_derive(const struct schema_source *source, struct config *c, char *why)
{
    enum err e = config_split_url(c->join_url, c->join_host, &c->join_port);
    if (e == ERR_OK)
        e = config_derive_domains(source, c, why);
    for (size_t i = 0; i < c->edges.n && e == ERR_OK; i++)
        e = derive_edge(source, c, i, why);
    for (size_t i = 0; i < c->cores.n && e == ERR_OK; i++)
        e = derive_core(source, c, i, why);
    if (e == ERR_OK && c->turn.allocation_lifetime.longest < c->turn.allocation_lifetime.default_s)
        return schema_problem(source, "/turn/allocation_lifetime", why,
                              "longest (%ld) must not be less than default (%ld)",
                              c->turn.allocation_lifetime.longest, c->turn.allocation_lifetime.default_s);
    if (e == ERR_OK && !c->turn.realm) {
        c->turn.realm = strdup(c->join_host);
        e = c->turn.realm ? ERR_OK : ERR_MEMORY;
    }
    return e;
}

enum err config_parse(const char *name, const char *text, struct config *out, char *why)
{
    struct schema_source source = {.file = name, .text = text};
    struct config c = {0};
    json_error_t error;
    c.json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!c.json)
        return schema_not_json(&source, &error, why);
    c.text = strdup(text);
    enum err e = c.text ? schema_read(&source, c.json, config_rows, &c, why) : ERR_MEMORY;
    if (e == ERR_OK)
        e = config_derive(&source, &c, why);
    if (e != ERR_OK) {
        config_free(&c);
        return e;
    }
    *out = c;
    return ERR_OK;
}

enum err config_load(const char *path, struct config *out, char *why)
{
    char *text;
    enum err e = file_read(path, CONFIG_MAX, &text, NULL, why, SCHEMA_WHY);
    if (e != ERR_OK)
        return e;
    e = config_parse(path, text, out, why);
    free(text);
    return e;
}

void config_free(struct config *c)
{
    schema_free(config_rows, c);
    json_decref(c->json);
    free(c->text);
    *c = (struct config){0};
}

const struct config_edge *config_edge_find(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->edges.n; i++)
        if (strcasecmp(config_edge_at(c, i)->name, name) == 0)
            return config_edge_at(c, i);
    return NULL;
}

const struct config_core *config_core_find(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->cores.n; i++)
        if (strcasecmp(config_core_at(c, i)->name, name) == 0)
            return config_core_at(c, i);
    return NULL;
}
