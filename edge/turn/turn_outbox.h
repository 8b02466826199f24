/* Datagrams waiting to leave through one socket. They are borrowed; addresses are copied. Hot path. */
#ifndef EDGE_TURN_TURN_OUTBOX_H
#define EDGE_TURN_TURN_OUTBOX_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "edge/turn/turn_client.h"
#include "edge/turn/turn_counters.h"

enum { TURN_OUTBOX = 64 };

struct turn_outbox {
    unsigned n;
    struct mmsghdr messages[TURN_OUTBOX];
    struct iovec data[TURN_OUTBOX];
    struct turn_target to[TURN_OUTBOX];
};

void turn_outbox_init(struct turn_outbox *o);
static inline bool turn_outbox_full(const struct turn_outbox *o)
{
    return o->n == TURN_OUTBOX;
}
/* There must be room. */
void turn_outbox_add(struct turn_outbox *o, const struct turn_target *to, uint8_t *data, size_t n);
/* Sends everything, dropping and counting what cannot be sent now. */
void turn_outbox_flush(struct turn_outbox *o, int fd, struct turn_counters *counters);

#endif
