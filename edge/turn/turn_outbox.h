/*
 * Datagrams waiting to leave through one socket. They are borrowed; addresses are copied. Hot path.
 *
 * A run of datagrams of equal size to one destination goes to the kernel as one message that it takes apart
 * again at the device (UDP_SEGMENT): the way down is paid for once. Where that cannot be, they leave one by
 * one: nothing is lost and the order stays.
 */
#ifndef EDGE_TURN_TURN_OUTBOX_H
#define EDGE_TURN_TURN_OUTBOX_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "edge/turn/turn_client.h"
#include "edge/turn/turn_counters.h"

enum {
    TURN_OUTBOX = 64,
    TURN_RUN_MAX = 65000, /* bytes in one message; a datagram's limit less headers */
};

/* How far this box can join datagrams; one for all outboxes. */
struct turn_joining {
    size_t longest; /* datagrams up to this size are joined; 0: none are */
};

/* As it stands at the start: as far as the kernel can, or not at all. */
void turn_joining_init(struct turn_joining *j, bool wanted);

/* One datagram, or a run of them. */
struct turn_run {
    unsigned first, count; /* in data */
    size_t size;           /* of each but the last, which may be shorter */
    size_t total;
};

struct turn_outbox {
    unsigned n;      /* datagrams */
    unsigned n_runs; /* messages */
    struct turn_joining *joining;
    struct mmsghdr messages[TURN_OUTBOX];
    struct turn_run runs[TURN_OUTBOX];
    struct turn_target to[TURN_OUTBOX];
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
    } control[TURN_OUTBOX];
    struct iovec data[TURN_OUTBOX];
};

/* joining must stay as long as the outbox. */
void turn_outbox_init(struct turn_outbox *o, struct turn_joining *joining);
static inline bool turn_outbox_full(const struct turn_outbox *o)
{
    return o->n == TURN_OUTBOX;
}
/* There must be room. */
void turn_outbox_add(struct turn_outbox *o, const struct turn_target *to, uint8_t *data, size_t n);
/* Sends everything, dropping and counting what cannot be sent now. */
void turn_outbox_flush(struct turn_outbox *o, int fd, struct turn_counters *counters);

#endif
