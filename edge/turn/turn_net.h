/*
 * The sockets towards peers, as the server sees them; turn_udp is the real thing, unit tests bring their own.
 *
 * Packets lie in the net's packet memory, with TURN_HEADROOM and TURN_TAILROOM around them, and stay there
 * until the net's next flush; so nothing that is sent on needs a copy. The net flushes at the end of each
 * round of the event loop, and earlier when its memory is used up.
 */
#ifndef EDGE_TURN_TURN_NET_H
#define EDGE_TURN_TURN_NET_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/netaddr.h"
#include "edge/turn/turn_client.h"

struct turn_relay;

struct turn_net_ops {
    /* Opens relay->socket bound to addr and starts handing what arrives to turn_forward_from_peer.
     * ERR_EXISTS: the port is taken; ERR_UNSUPPORTED: no such family here; ERR_FULL: no descriptor left;
     * ERR_SYSTEM. */
    enum err (*relay_open)(void *net, struct turn_relay *relay, const struct netaddr *addr);
    /* Sends off what is queued for it, then closes it. */
    void (*relay_close)(void *net, struct turn_relay *relay);
    /* Sends n bytes to a peer; they are borrowed until the next flush. */
    void (*relay_send)(void *net, struct turn_relay *relay, const struct turn_target *peer, uint8_t *data,
                       size_t n);
    /* The same at once and with the don't-fragment bit (RFC 8656 §11.1). */
    void (*relay_send_whole)(void *net, struct turn_relay *relay, const struct turn_target *peer,
                             uint8_t *data, size_t n);
};

/* The net's part of a relay. */
struct turn_relay_socket {
    ev_io watcher;        /* watcher.fd is the socket */
    uint16_t first, last; /* queued packets; the net's */
    bool queued;
};

#endif
