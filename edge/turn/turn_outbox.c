#include "edge/turn/turn_outbox.h"

#include <errno.h>
#include <string.h>

void turn_outbox_init(struct turn_outbox *o)
{
    memset(o, 0, sizeof *o);
    for (unsigned i = 0; i < TURN_OUTBOX; i++) {
        o->messages[i].msg_hdr.msg_name = &o->to[i].to;
        o->messages[i].msg_hdr.msg_iov = &o->data[i];
        o->messages[i].msg_hdr.msg_iovlen = 1;
    }
}

void turn_outbox_add(struct turn_outbox *o, const struct turn_target *to, uint8_t *data, size_t n)
{
    unsigned i = o->n++;
    o->to[i] = *to;
    o->messages[i].msg_hdr.msg_namelen = to->len;
    o->data[i].iov_base = data;
    o->data[i].iov_len = n;
}

void turn_outbox_flush(struct turn_outbox *o, int fd, struct turn_counters *counters)
{
    unsigned sent = 0;
    while (sent < o->n) {
        int r = sendmmsg(fd, o->messages + sent, o->n - sent, MSG_DONTWAIT);
        if (r > 0) {
            sent += (unsigned)r;
        } else if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
            counters->drops[TURN_DROP_send_full] += o->n - sent;
            break;
        } else if (errno != EINTR) { /* this one cannot be sent: no route, too long, filtered … */
            counters->drops[errno == EMSGSIZE ? TURN_DROP_too_long : TURN_DROP_send_failed]++;
            sent++;
        }
    }
    o->n = 0;
}
