#include "edge/turn/turn_outbox.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

enum {
    /* What fits the usual link with the longest usual headers. Longer datagrams are cut by IP anyway. */
    JOINED_LONGEST = 1500 - 40 - 8,
};

void turn_joining_init(struct turn_joining *j, bool wanted)
{
    int none = 0;
    /* A kernel that does not know the option would send a run as one datagram. */
    int fd = wanted ? socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    bool known = fd >= 0 && setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &none, sizeof none) == 0;
    if (fd >= 0)
        close(fd);
    j->longest = known ? JOINED_LONGEST : 0;
}

void turn_outbox_init(struct turn_outbox *o, struct turn_joining *joining)
{
    memset(o, 0, sizeof *o);
    o->joining = joining;
    for (unsigned i = 0; i < TURN_OUTBOX; i++) {
        struct cmsghdr *c = &o->control[i].align;
        c->cmsg_level = IPPROTO_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        o->messages[i].msg_hdr.msg_name = &o->to[i].to;
        o->messages[i].msg_hdr.msg_control = c;
    }
}

/* Fits behind the last run: same destination, and every one before it was full. */
static bool run_takes(const struct turn_outbox *o, const struct turn_run *r, const struct turn_target *to,
                      size_t n)
{
    const struct turn_target *last = &o->to[o->n_runs - 1];
    return n <= r->size && n > 0 && r->size <= o->joining->longest && r->total == r->size * r->count &&
           r->total + n <= TURN_RUN_MAX && to->len == last->len && memcmp(&to->to, &last->to, to->len) == 0;
}

void turn_outbox_add(struct turn_outbox *o, const struct turn_target *to, uint8_t *data, size_t n)
{
    unsigned i = o->n++;
    o->data[i] = (struct iovec){data, n};
    if (o->n_runs > 0) {
        struct turn_run *last = &o->runs[o->n_runs - 1];
        if (run_takes(o, last, to, n)) {
            last->count++;
            last->total += n;
            return;
        }
    }
    unsigned k = o->n_runs++;
    o->runs[k] = (struct turn_run){.first = i, .count = 1, .size = n, .total = n};
    o->to[k] = *to;
}

static void messages_prepare(struct turn_outbox *o)
{
    for (unsigned i = 0; i < o->n_runs; i++) {
        const struct turn_run *r = &o->runs[i];
        struct msghdr *h = &o->messages[i].msg_hdr;
        uint16_t size = (uint16_t)r->size;
        h->msg_namelen = o->to[i].len;
        h->msg_iov = &o->data[r->first];
        h->msg_iovlen = r->count;
        h->msg_controllen = r->count > 1 ? sizeof o->control[i].bytes : 0;
        if (r->count > 1)
            memcpy(CMSG_DATA(&o->control[i].align), &size, sizeof size);
    }
}

static bool is_full(int error)
{
    return error == EAGAIN || error == ENOBUFS || error == ENOMEM;
}

static void count_refused(struct turn_counters *counters, int error)
{
    counters->drops[error == EMSGSIZE ? TURN_DROP_too_long : TURN_DROP_send_failed]++;
}

/* The datagrams of a run without joining. False when the socket is full: then the rest of them was dropped.
 */
static bool send_one_by_one(const struct turn_outbox *o, unsigned run, int fd, struct turn_counters *counters)
{
    const struct turn_run *r = &o->runs[run];
    struct msghdr h = o->messages[run].msg_hdr;
    h.msg_controllen = 0;
    h.msg_iovlen = 1;
    for (unsigned i = 0; i < r->count;) {
        h.msg_iov = (struct iovec *)&o->data[r->first + i];
        if (sendmsg(fd, &h, MSG_DONTWAIT) >= 0) {
            i++;
        } else if (is_full(errno)) {
            counters->drops[TURN_DROP_send_full] += r->count - i;
            return false;
        } else if (errno != EINTR) {
            count_refused(counters, errno);
            i++;
        }
    }
    return true;
}

/* The device cannot take a run apart (no checksums, encryption: EIO), or its packets are shorter than these
 * (EINVAL, EMSGSIZE). Either way it will say so again: datagrams of this size are not joined from here on. */
static bool run_was_refused(struct turn_outbox *o, unsigned run, int error)
{
    const struct turn_run *r = &o->runs[run];
    if (r->count == 1 || (error != EIO && error != EINVAL && error != EMSGSIZE && error != EOPNOTSUPP))
        return false;
    size_t below = error == EINVAL || error == EMSGSIZE ? r->size - 1 : 0;
    if (o->joining->longest > below)
        o->joining->longest = below;
    return true;
}

static void drop_from(const struct turn_outbox *o, unsigned run, struct turn_counters *counters)
{
    for (; run < o->n_runs; run++)
        counters->drops[TURN_DROP_send_full] += o->runs[run].count;
}

void turn_outbox_flush(struct turn_outbox *o, int fd, struct turn_counters *counters)
{
    /* What the kernel reports may be an old error, which some ICMP message brought: each gets a second try. */
    unsigned sent = 0, tried = TURN_OUTBOX;
    messages_prepare(o);
    while (sent < o->n_runs) {
        int r = sendmmsg(fd, o->messages + sent, o->n_runs - sent, MSG_DONTWAIT);
        if (r > 0) {
            sent += (unsigned)r;
        } else if (is_full(errno)) {
            drop_from(o, sent, counters);
            break;
        } else if (tried != sent) {
            tried = sent;
        } else if (run_was_refused(o, sent, errno)) {
            if (!send_one_by_one(o, sent++, fd, counters)) {
                drop_from(o, sent, counters);
                break;
            }
        } else { /* this one cannot be sent: no route, too long, filtered … */
            count_refused(counters, errno);
            sent++;
        }
    }
    o->n = 0;
    o->n_runs = 0;
}
