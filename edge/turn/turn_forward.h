/*
 * Packets between clients and peers. Hot path: nothing here allocates memory, logs, or reads a clock; a
 * packet is moved by writing four bytes (or a Data indication's header) in front of where it lies.
 *
 * Packet memory is the net's (turn_net.h), with TURN_HEADROOM in front and TURN_TAILROOM behind, and is
 * written to.
 */
#ifndef EDGE_TURN_TURN_FORWARD_H
#define EDGE_TURN_TURN_FORWARD_H

#include "edge/turn/turn_allocation.h"
#include "edge/turn/turn_relay.h"

/* ChannelData from a client, n bytes. */
void turn_forward_channel_data(struct turn_server *s, const struct turn_key *client, uint8_t *packet,
                               size_t n);
/* The data of a Send indication, to a peer in canonical form (turn_server_canonical). whole: don't fragment.
 */
void turn_forward_send(struct turn_allocation *a, const struct netaddr *peer, uint8_t *data, size_t n,
                       bool whole);
/* What arrived at a relay's socket. */
void turn_forward_from_peer(struct turn_relay *r, const struct netaddr *peer, uint8_t *data, size_t n);

#endif
