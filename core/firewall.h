/* nftables rules for the firewalls around an edge and for the edge itself, as the shared config makes them.
 */
#ifndef CORE_FIREWALL_H
#define CORE_FIREWALL_H

#include <stdio.h>

#include "common/config.h"
#include "common/netaddr.h"

/* `stile-core firewall`. */
int firewall_command(int argc, char **argv);

/* Each writes one table, with comments. What they need of an edge is judged before: firewall_judge. */
void firewall_print_outer(FILE *out, const struct config *c);
/* cores[n]: where the cores dial from. */
void firewall_print_inner(FILE *out, const struct config *c, const struct netaddr *cores, size_t n);
void firewall_print_edge(FILE *out, const struct config *c, const struct config_edge *edge,
                         const struct netaddr *cores, size_t n);
/* ERR_CONFIG when an edge has no address that rules could be made of. why[SCHEMA_WHY]. */
enum err firewall_judge(const struct config *c, char *why);
/* Where cores dial an edge: the address in its `ssh`, else, for a name there, the one that guests reach. */
struct netaddr firewall_ssh_address(const struct config_edge *edge);

#endif
