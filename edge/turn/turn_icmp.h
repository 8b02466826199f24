/*
 * ICMP errors that relayed packets caused, told to the client in Data indications: RFC 8656 §11.5, §18.13.
 * The kernel has found the relay's socket by the packet inside the ICMP message; beyond that it is anybody's
 * word, so it reaches only clients that permitted the peer, a few a second, and changes nothing here.
 */
#ifndef EDGE_TURN_TURN_ICMP_H
#define EDGE_TURN_TURN_ICMP_H

#include "edge/turn/turn_relay.h"

enum { TURN_ICMP_A_SECOND = 16 /* per allocation */ };

/* Makes the kernel keep the errors of a relay's socket. */
void turn_icmp_wanted(int fd, uint8_t family);
/* Takes what the kernel has kept. For when the socket reports an error, or is readable with nothing to read:
 * while something is kept it looks ready. */
void turn_icmp_read(struct turn_relay *r, int fd);
/* type, code and data (an MTU) as in the ICMP message about a packet to that peer. Types that are not for
 * clients are dropped. */
void turn_icmp_report(struct turn_relay *r, const struct netaddr *peer, uint8_t type, uint8_t code,
                      uint32_t data);

#endif
