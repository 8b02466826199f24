/*
 * Who may be a peer. A relay reaches what the edge reaches, so by default nothing that is only reachable from
 * here: not this host, not its neighbours' link-local and private addresses, in whatever notation they come.
 * The rules in their order:
 *   1. an address that carries an IPv4 address inside (IPv4-mapped, -compatible, NAT64 with the well-known
 * prefix) is judged as that one too; a NAT64 prefix of the network's own belongs into deny_peers;
 *   2. never: the ranges of TURN_NEVER_TABLE and TURN_TUNNEL_TABLE, allow_peers or not;
 *   3. deny_peers;
 *   4. a relayed address of this edge (relay address and a port of the relay range): allowed, that is a call
 * between two clients of this edge;
 *   5. never: a service of this box (own_addresses with a port, listening sockets);
 *   6. an address of this box: only if allow_peers names that very address (/32, /128): a network that
 * happens to contain this box opens none of its ports;
 *   7. allowed: allow_peers;
 *   8. cluster_addresses: allowed with a port of cluster_ports, refused with others;
 *   9. refused: the private ranges of TURN_PRIVATE_TABLE;
 *   10. everything else is allowed.
 */
#ifndef EDGE_TURN_TURN_POLICY_H
#define EDGE_TURN_TURN_POLICY_H

#include <stdbool.h>

#include "common/netaddr.h"
#include "edge/turn/turn_config.h"

#define TURN_NEVER_TABLE(X)                                                                                  \
    X("0.0.0.0/8", "the any-address and its net")                                                            \
    X("127.0.0.0/8", "loopback")                                                                             \
    X("169.254.0.0/16", "link-local")                                                                        \
    X("224.0.0.0/4", "multicast")                                                                            \
    X("240.0.0.0/4", "reserved and broadcast")                                                               \
    X("100.100.100.200/32", "a cloud's metadata")                                                            \
    X("168.63.129.16/32", "a cloud's host services")                                                         \
    X("fd00:ec2::254/128", "a cloud's metadata")                                                             \
    X("::/128", "the any-address")                                                                           \
    X("::1/128", "loopback")                                                                                 \
    X("fe80::/10", "link-local")                                                                             \
    X("ff00::/8", "multicast")

/* Addresses of tunnels: what is sent there may come back through the tunnel's end, wrapped again each time.
 * RFC 8656 §21.4 has them neither as peers nor as clients. */
#define TURN_TUNNEL_TABLE(X)                                                                                 \
    X("2001::/32", "Teredo")                                                                                 \
    X("2002::/16", "6to4")

#define TURN_PRIVATE_TABLE(X)                                                                                \
    X("10.0.0.0/8", "private")                                                                               \
    X("100.64.0.0/10", "carrier-grade NAT")                                                                  \
    X("172.16.0.0/12", "private")                                                                            \
    X("192.0.0.0/24", "protocol assignments")                                                                \
    X("192.168.0.0/16", "private")                                                                           \
    X("198.18.0.0/15", "benchmarks")                                                                         \
    X("64:ff9b:1::/48", "local NAT64")                                                                       \
    X("fc00::/7", "private")                                                                                 \
    X("fec0::/10", "site-local")

#define TURN_VERDICT_TABLE(X)                                                                                \
    X(ALLOWED, "allowed")                                                                                    \
    X(NEVER, "address range is never a peer")                                                                \
    X(DENIED, "in deny_peers")                                                                               \
    X(SERVICE, "a service of this box")                                                                      \
    X(OWN, "an address of this box that allow_peers does not name")                                          \
    X(CLUSTER, "another edge, but not a port of its relays")                                                 \
    X(PRIVATE, "a private address, not in allow_peers")

enum turn_verdict {
#define X(name, words) TURN_PEER_##name,
    TURN_VERDICT_TABLE(X)
#undef X
};

const char *turn_verdict_words(enum turn_verdict v);

struct turn_policy;

/* Everything is copied. The addresses of sockets are services. NULL when memory is out. */
struct turn_policy *turn_policy_new(const struct turn_config *c, const struct netaddr *listening,
                                    size_t n_listening);
void turn_policy_free(struct turn_policy *p);

/* May this be a peer? Port 0: judged as if for some port (CreatePermission names none); a judgement with the
 * port follows before anything is sent, where the port counts. */
enum turn_verdict turn_policy_judge(const struct turn_policy *p, const struct netaddr *peer);
/* An address of a tunnel (TURN_TUNNEL_TABLE). */
bool turn_policy_is_tunnel(const struct netaddr *a);
/* True where the judgement depends on the port: addresses of this box, also the advertised ones, and of other
 * edges, in whatever notation. */
bool turn_policy_port_counts(const struct turn_policy *p, const struct netaddr *peer);

/* The words of the never-allowed range that net lies in, or NULL: for checking a config. */
const char *turn_policy_never(const struct netcidr *net);

#endif
