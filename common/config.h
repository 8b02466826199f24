/*
 * The shared config, stile.json: both boxes read the same file and find themselves in it by name.
 * Secrets are not in it; they lie beside it (common/secrets.h).
 */
#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ban_categories.h"
#include "common/netaddr.h"
#include "common/schema.h"
#include "common/web_limits.h"

/* Where one box has its admin service. */
struct config_admin_place {
    long port;
    char *address, *interface;
    struct netaddr ip; /* derived; family 0: every address of the box */
};

struct config_edge {
    char *name;
    char *ssh;      /* "HOST:PORT" as core reaches it */
    char *host_key; /* "ssh-ed25519 AAAA…" */
    char *public_address, *internal_address;
    char *listen_address;                  /* "" = every address of the box */
    struct schema_strings relay_addresses; /* for config_relay_address; none: one is derived */
    struct config_admin_place admin;
    long https_port, http_port, ssh_port, turn_udp_port, turn_tcp_port, turn_tls_port;
    long relay_ports[2];
    long web_workers, turn_workers;
    char *syslog; /* as of syslog_out.h */
    /* Derived by config_load: */
    char ssh_host[256];
    uint16_t ssh_target_port; /* core connects here; ssh_port, where edge listens, is the same unless given */
    struct netaddr public_ip, internal_ip, listen_ip; /* family 0: not given */
};

struct config_core {
    char *name;
    char *key; /* "ssh-ed25519 AAAA…" */
    char *syslog;
    struct config_admin_place admin;
};

struct config_access_log {
    char *file;   /* "": none; "-": standard error */
    char *format; /* "combined" or "json" */
    bool query;
};

/* One of web_proxy.domains: its keys mean what those of web_proxy (and join_url) mean for the first domain.
 */
struct config_further_domain {
    char *join_url;
    struct schema_strings targets;
    char *bridge_ca;
    json_t *extra_rules;
    /* Derived by config_load: */
    char host[256];
    uint16_t port;
};

struct config_web_proxy {
    bool enabled;
    struct schema_strings targets;
    char *bridge_ca; /* file beside stile.json; NULL: the system's CAs */
    struct schema_strings methods;
    json_t *extra_rules;
    struct schema_objects domains; /* of struct config_further_domain */
    long tunnels_per_edge;
    struct schema_strings load_balancers;
    struct config_access_log access_log;
    long hsts; /* seconds; 0: not sent */
};

struct config_turn {
    bool enabled;
    char *realm;                       /* NULL: the join host */
    long udp_port, tcp_port, tls_port; /* tls_port 0: none of its own */
    bool tcp_443;
    long relay_ports[2];
    struct schema_strings allow_peers, deny_peers;
    long user_quota, address_quota, total_quota;
    struct {
        long default_s, longest;
    } allocation_lifetime; /* seconds */
    long permissions_per_allocation, channels_per_allocation;
    bool tcp_relays;
    long connections_per_allocation, user_connections;
    char *binding;         /* "open", "authenticated" or "off" */
    char *channel_numbers; /* "rfc8656" or "rfc5766" */
    char *gso;             /* "auto" or "off" */
    bool software;
    struct schema_strings password_algorithms; /* "sha256", "md5": the one to be preferred first */
    long allocation_kbps, user_kbps;
    long challenge_limit;
};

/* The admin service of every box; port, address and interface can be another on one of them. */
struct config_admin {
    bool enabled;
    long port;
    char *interface;                    /* "": every one */
    struct schema_strings metrics_from; /* networks that may have /metrics without logging in */
};

/* When offences of one category (common/ban_categories.h) ban an address. */
struct config_ban_rule {
    long threshold;        /* offences; 0: never */
    long window, duration; /* seconds */
};

struct config_bans {
    bool enabled;
    struct schema_strings exempt;
#define X(name, threshold, window, duration, words) struct config_ban_rule name;
    BAN_CATEGORIES(X)
#undef X
};

/* What runs on a box that stops has so many seconds to end. */
struct config_drain {
    long edge_seconds, core_seconds;
};

struct config {
    long revision;
    bool reload_on_change;
    char *join_url;
    struct config_web_proxy web_proxy;
    struct schema_objects edges; /* of struct config_edge */
    struct schema_objects cores; /* of struct config_core */
    struct config_turn turn;
    struct config_bans bans;
    struct config_admin admin;
    struct config_drain drain;
    struct web_limits web_limits;
    /* Derived by config_load: */
    char join_host[256]; /* of the first domain: all of them are in config_join_hosts */
    uint16_t join_port;
    json_t *json; /* the document itself, */
    char *text;   /* and as it was written; of a merged one: what was merged into it */
};

enum { CONFIG_DOMAINS_MAX = 64 };

/* A join host and the web bridges behind it, as the config has it, which owns all of it. */
struct config_domain {
    const char *join_url, *host; /* host: lower case, without port */
    uint16_t port;
    const struct schema_strings *targets;
    const char *bridge_ca; /* NULL: the system's CAs */
    const json_t *extra_rules;
};

/* How many domains there are, 1 to CONFIG_DOMAINS_MAX: the first is that of join_url, behind it come
 * web_proxy.domains in their order. */
size_t config_domains(const struct config *c);
struct config_domain config_domain_at(const struct config *c, size_t i);
/* The key below which domain i stands, for messages: "web_proxy" or "web_proxy.domains[N]". Returns out. */
const char *config_domain_key(size_t i, char *out, size_t size);
/* The join hosts of all domains, the first one's first; returns how many. They live as long as the config. */
size_t config_join_hosts(const struct config *c, const char *hosts[CONFIG_DOMAINS_MAX]);
/* "join.example.com, meet.example.org and 3 more" of a list of hosts: for people. Returns out. */
enum { CONFIG_DOMAINS_TEXT = 600 };
const char *config_hosts_print(const char *const hosts[], size_t n, char *out, size_t size);
/* For config.c: hosts and ports of further domains, each host once. */
enum err config_derive_domains(const struct schema_source *source, struct config *c, char *why);

/* Reads and judges FILE (or text, with name for messages). On error why[SCHEMA_WHY] has "FILE:LINE: KEY:
 * problem and what would be right". The caller frees with config_free; *out is set only on success. */
enum err config_load(const char *path, struct config *out, char *why);
enum err config_parse(const char *name, const char *text, struct config *out, char *why);
void config_free(struct config *c);

/* What the running edge `self` makes of a changed config. *merged becomes running with those values of fresh
 * that an edge takes over while it runs: rows that are edge_live, with from_core what the policy brings as
 * well, and the other edges. waiting[size] gets the names of the keys that differ beyond that and concern this
 * edge, ", " between them, "" for none: they count from the next start. merged->text is that of fresh.
 * config_merge.c */
enum err config_merge(const struct config *running, const struct config *fresh, const char *self,
                      bool from_core, struct config *merged, char *waiting, size_t size, char *why);

/* NULL when there is none of that name. */
const struct config_edge *config_edge_find(const struct config *c, const char *name);
const struct config_core *config_core_find(const struct config *c, const char *name);
static inline const struct config_edge *config_edge_at(const struct config *c, size_t i)
{
    return (const struct config_edge *)c->edges.items + i;
}
static inline const struct config_core *config_core_at(const struct config *c, size_t i)
{
    return (const struct config_core *)c->cores.items + i;
}

/* "https://HOST[:PORT]" with nothing behind it but a slash. ERR_MALFORMED. */
enum err config_split_url(const char *url, char host[256], uint16_t *port);
/* "IP" or "IP=PUBLIC_IP": where a relay is bound, and what clients are told. ERR_MALFORMED also for two
 * families, ports, and any-addresses. */
enum err config_relay_address(const char *text, struct netaddr *bind, struct netaddr *advertised);
/* NULL when name may name a box (letters, digits, '-' and '.', at most 63), else what would be right. */
const char *config_check_name(const char *name);
/* The same for an Ed25519 public key, "ssh-ed25519 AAAA…". */
const char *config_check_key(const char *value);

/* For the JSON schema: a pattern that every string fulfils which a check of the rows takes; NULL: none. */
const char *config_pattern(const char *(*check)(const char *value));
/* The rows, for the manual and the JSON schema. */
extern const struct schema_row config_rows[], config_edge_rows[];

#endif
