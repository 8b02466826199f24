/* `stile-edge attach`: the forced command. Hands its descriptors to the daemon and lives as long as they are
 * in use. */
#ifndef EDGE_TUNNEL_ATTACH_H
#define EDGE_TUNNEL_ATTACH_H

int attach_command(int argc, char **argv);

#endif
