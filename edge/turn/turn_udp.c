/* Hot path: between a packet's arrival and its leaving nothing allocates, logs, or reads a clock. */
#include "edge/turn/turn_udp.h"

#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/sock.h"
#include "edge/turn/turn_dtls.h"
#include "edge/turn/turn_forward.h"
#include "edge/turn/turn_icmp.h"
#include "edge/turn/turn_outbox.h"
#include "edge/turn/turn_relay.h"
#include "edge/turn/turn_request.h"
#include "edge/turn/turn_sieve.h"
#include "proto/chandata.h"

enum {
    SLOTS = 320,
    SLOTS_SPARE = 64,  /* at least so many are free behind a burst, for what its packets turn into */
    CLIENT_BURST = 64, /* packets taken from a listening socket at once */
    RELAY_BURST = 32,
    SPLIT_MAX = 64, /* datagrams that the kernel hands over as one, at most (UDP_GRO_CNT_MAX) */
    /* An odd number of cache lines, so that the beginnings of slots do not share cache sets. */
    SLOT_SIZE = TURN_HEADROOM + TURN_PACKET_MAX + SPLIT_MAX * TURN_HEADROOM + 64,
};
_Static_assert(SLOT_SIZE % 64 == 0 && SLOT_SIZE / 64 % 2 == 1, "see above");

struct turn_listener {
    ev_io watcher;
    struct turn_udp *udp;
    struct netaddr local;
    unsigned index;
    bool dtls_only;
    struct turn_outbox outbox;
    struct turn_sieve sieve;
};

/* A packet to a peer. Those of one relay are chained, so that they leave with one call. */
struct queued {
    struct turn_target to;
    uint8_t *data;
    size_t n;
    uint16_t next; /* of the same relay */
};

struct turn_udp {
    struct ev_loop *loop;
    struct turn_server *server;
    struct turn_dtls *dtls;
    ev_prepare end_of_round;
    struct turn_listener *listeners;
    size_t n_listeners;

    uint8_t *memory;
    unsigned used; /* slots in use since the last flush */
    unsigned kept; /* slots of the burst being handled: not to be used before it is over */
    /* One per slot, so that a burst needs no preparation. */
    struct mmsghdr messages[SLOTS];
    struct iovec data[SLOTS];
    struct sockaddr_in6 from[SLOTS];
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } control[SLOTS];

    struct queued queue[SLOTS];
    unsigned n_queue;
    struct turn_relay *busy[SLOTS]; /* relays with something in the queue */
    unsigned n_busy;
    struct turn_outbox relay_outbox;
    struct turn_joining joining;
};

/* Packet memory ----------------------------------------------------------------------------------------- */

static uint8_t *slot_at(const struct turn_udp *u, unsigned i)
{
    return u->memory + (size_t)i * SLOT_SIZE + TURN_HEADROOM;
}

static void slots_prepare(struct turn_udp *u)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        struct msghdr *h = &u->messages[i].msg_hdr;
        u->data[i].iov_base = slot_at(u, i);
        u->data[i].iov_len = TURN_PACKET_MAX - TURN_TAILROOM;
        h->msg_iov = &u->data[i];
        h->msg_iovlen = 1;
        h->msg_name = &u->from[i];
        h->msg_namelen = sizeof u->from[i];
        /* The page that nearly all packets fit into is there from the start: a flood takes none. */
        *slot_at(u, i) = 0;
        h->msg_control = &u->control[i];
        h->msg_controllen = sizeof u->control[i].bytes;
    }
}

uint8_t *turn_udp_slot(struct turn_udp *u)
{
    if (u->used == SLOTS)
        turn_udp_flush(u);
    return slot_at(u, u->used++);
}

/* Receives up to burst packets into consecutive slots; *first is the first one's index. */
static unsigned receive(struct turn_udp *u, int fd, unsigned burst, unsigned *first)
{
    u->kept = 0;
    if (u->used + burst > SLOTS - SLOTS_SPARE)
        turn_udp_flush(u);
    *first = u->used;
    int n = recvmmsg(fd, u->messages + u->used, burst, MSG_DONTWAIT, NULL);
    if (n <= 0)
        return 0; /* nothing there after all, or an error that was reported and is over now */
    u->used += (unsigned)n;
    u->kept = u->used;
    return (unsigned)n;
}

/* What one message brought: n datagrams of one source and one size, the last maybe shorter; mostly n is 1. */
struct arrival {
    struct netaddr from;
    uint8_t *data;
    unsigned n;
    size_t size, last;
};

static inline uint8_t *arrival_data(const struct arrival *a, unsigned i)
{
    return a->data + i * (a->size + TURN_HEADROOM);
}

static inline size_t arrival_size(const struct arrival *a, unsigned i)
{
    return i + 1 == a->n ? a->last : a->size;
}

/* The size of the datagrams that the kernel joined (UDP_GRO), 0 where it joined none. */
static size_t joined_size(const struct turn_udp *u, unsigned slot)
{
    const struct cmsghdr *c = &u->control[slot].align;
    int size;
    if (u->messages[slot].msg_hdr.msg_controllen < CMSG_LEN(sizeof size) || c->cmsg_level != IPPROTO_UDP ||
        c->cmsg_type != UDP_GRO)
        return 0;
    memcpy(&size, CMSG_DATA(c), sizeof size);
    return size > 0 ? (size_t)size : 0;
}

/* Moves joined datagrams apart, from the last to the first, so that each has head-room of its own. */
static void split(struct arrival *a, size_t size)
{
    size_t whole = a->last, n = (whole + size - 1) / size;
    if (n > SPLIT_MAX) /* more than any kernel joins, and than the slot has room for */
        n = 0;
    a->n = (unsigned)n;
    a->size = size;
    a->last = whole - (n ? n - 1 : 0) * size;
    for (unsigned i = a->n; i-- > 1;)
        memmove(arrival_data(a, i), a->data + i * size, arrival_size(a, i));
}

/* What lies in a slot; the slot is ready for its next burst then. */
static struct arrival arrival_take(struct turn_udp *u, unsigned slot)
{
    struct msghdr *h = &u->messages[slot].msg_hdr;
    struct arrival a = {.data = u->data[slot].iov_base, .n = 1, .last = u->messages[slot].msg_len};
    enum err e = netaddr_from_sockaddr(h->msg_name, h->msg_namelen, &a.from);
    h->msg_namelen = sizeof u->from[slot];
    if (h->msg_controllen > 0) {
        size_t size = joined_size(u, slot);
        if (size > 0 && size < a.last)
            split(&a, size);
    }
    h->msg_controllen = sizeof u->control[slot].bytes;
    if (e != ERR_OK || a.from.port == 0)
        a.n = 0;
    return a;
}

/* Towards clients --------------------------------------------------------------------------------------- */

static void client_forward(struct turn_client *c, uint8_t *message, size_t n)
{
    struct turn_listener *l = c->via;
    if (turn_outbox_full(&l->outbox))
        turn_outbox_flush(&l->outbox, l->watcher.fd, &l->udp->server->counters);
    turn_outbox_add(&l->outbox, &c->target, message, n);
}

static void client_reply(struct turn_client *c, const uint8_t *message, size_t n)
{
    struct turn_listener *l = c->via;
    uint8_t *slot = turn_udp_slot(l->udp);
    memcpy(slot, message, n);
    client_forward(c, slot, n);
}

static void client_allocated(struct turn_client *c, bool is)
{
    struct turn_listener *l = c->via;
    (void)is;
    l->sieve.stale = true;
}

static const struct turn_client_ops client_ops = {
    .reply = client_reply, .forward = client_forward, .allocated = client_allocated};

static void client_packet(struct turn_listener *l, const struct netaddr *from, uint8_t *packet, size_t n)
{
    struct turn_server *s = l->udp->server;
    if (l->dtls_only && (n == 0 || !turn_dtls_is(packet[0]))) {
        turn_drop(s, TURN_DROP_not_turn);
        return;
    }
    if (n > 0 && chandata_is(packet[0])) {
        struct turn_key key = turn_key_udp(from, l->index);
        turn_forward_channel_data(s, &key, packet, n);
        return;
    }
    if (n > 0 && turn_dtls_is(packet[0])) {
        struct turn_dtls_origin origin = {.listener = l, .index = l->index, .local = &l->local, .from = from};
        turn_dtls_receive(l->udp->dtls, &origin, packet, n);
        return;
    }
    if (!stun_is(packet, n)) {
        turn_drop(s, TURN_DROP_not_turn);
        return;
    }
    struct turn_client client = {.ops = &client_ops,
                                 .via = l,
                                 .key = turn_key_udp(from, l->index),
                                 .transport = TURN_OVER_UDP,
                                 .address = *from,
                                 .server = l->local};
    turn_target_set(&client.target, from);
    turn_request_receive(s, &client, packet, n);
}

static void listener_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop;
    (void)revents;
    struct turn_listener *l = w->data;
    struct turn_udp *u = l->udp;
    unsigned first, n = receive(u, w->fd, CLIENT_BURST, &first);
    for (unsigned i = first; i < first + n; i++) {
        struct arrival a = arrival_take(u, i);
        for (unsigned k = 0; k < a.n; k++)
            client_packet(l, &a.from, arrival_data(&a, k), arrival_size(&a, k));
    }
    struct turn_sieve_burst burst = {&u->from[first], n, l->index, n == CLIENT_BURST};
    turn_sieve_feel(&l->sieve, u->server, &burst);
}

/* Towards DTLS clients: records are OpenSSL's until they are copied. */
static void dtls_send(void *net, void *listener, const struct turn_target *to, const void *data, size_t n)
{
    struct turn_listener *l = listener;
    uint8_t *slot = turn_udp_slot(net);
    memcpy(slot, data, n);
    if (turn_outbox_full(&l->outbox))
        turn_outbox_flush(&l->outbox, l->watcher.fd, &l->udp->server->counters);
    turn_outbox_add(&l->outbox, to, slot, n);
}

static uint8_t *dtls_slot(void *net)
{
    return turn_udp_slot(net);
}

const struct turn_dtls_ops turn_udp_dtls_ops = {dtls_slot, dtls_send};

/* Towards peers ----------------------------------------------------------------------------------------- */

static void relay_flush(struct turn_udp *u, struct turn_relay *r)
{
    for (unsigned i = r->socket.first, more = 1; more; i = u->queue[i].next) {
        more = i != r->socket.last;
        turn_outbox_add(&u->relay_outbox, &u->queue[i].to, u->queue[i].data, u->queue[i].n);
        if (!more || turn_outbox_full(&u->relay_outbox))
            turn_outbox_flush(&u->relay_outbox, r->socket.watcher.fd, &u->server->counters);
    }
    r->socket.queued = false;
}

static void relays_flush(struct turn_udp *u)
{
    for (unsigned i = 0; i < u->n_busy; i++)
        relay_flush(u, u->busy[i]);
    u->n_busy = 0;
    u->n_queue = 0;
}

static void relay_send(void *net, struct turn_relay *r, const struct turn_target *peer, uint8_t *data,
                       size_t n)
{
    struct turn_udp *u = net;
    if (u->n_queue == SLOTS)
        relays_flush(u);
    uint16_t i = (uint16_t)u->n_queue++;
    u->queue[i] = (struct queued){.to = *peer, .data = data, .n = n};
    if (r->socket.queued) {
        u->queue[r->socket.last].next = i;
    } else {
        r->socket.queued = true;
        r->socket.first = i;
        u->busy[u->n_busy++] = r;
    }
    r->socket.last = i;
}

/* Rare, so it pays no attention to system calls. */
static void relay_send_whole(void *net, struct turn_relay *r, const struct turn_target *peer, uint8_t *data,
                             size_t n)
{
    struct turn_udp *u = net;
    bool six = r->advertised.family == AF_INET6;
    int level = six ? IPPROTO_IPV6 : IPPROTO_IP, option = six ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER;
    int whole = IP_PMTUDISC_PROBE; /* IPv6 has the same number */
    relays_flush(u);
    setsockopt(r->socket.watcher.fd, level, option, &whole, sizeof whole);
    ssize_t sent = sendto(r->socket.watcher.fd, data, n, MSG_DONTWAIT, &peer->to.any, peer->len);
    if (sent < 0 && errno != EAGAIN) /* perhaps an old error, which some ICMP message brought */
        sent = sendto(r->socket.watcher.fd, data, n, MSG_DONTWAIT, &peer->to.any, peer->len);
    if (sent < 0)
        turn_drop(u->server, errno == EMSGSIZE ? TURN_DROP_too_long : TURN_DROP_send_failed);
    sock_allow_fragments(r->socket.watcher.fd, r->advertised.family);
}

static void relay_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop;
    (void)revents;
    struct turn_relay *r = w->data;
    struct turn_udp *u = r->server->net;
    unsigned first, n = receive(u, w->fd, RELAY_BURST, &first);
    if (n == 0)
        turn_icmp_read(r, w->fd);
    for (unsigned i = first; i < first + n; i++) {
        struct arrival a = arrival_take(u, i);
        for (unsigned k = 0; k < a.n; k++)
            turn_forward_from_peer(r, &a.from, arrival_data(&a, k), arrival_size(&a, k));
    }
}

/* Datagrams of one flow that arrive together come as one message. Where the kernel knows no such thing,
 * nothing changes. */
static void set_joined(const struct turn_udp *u, int fd)
{
    int on = !u->server->config.gso_off;
    setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
}

static enum err relay_open(void *net, struct turn_relay *r, const struct netaddr *addr)
{
    struct turn_udp *u = net;
    int fd = sock_bind_udp(addr, false);
    if (fd < 0)
        return errno == EADDRINUSE                  ? ERR_EXISTS
               : errno == EAFNOSUPPORT              ? ERR_UNSUPPORTED
               : errno == EMFILE || errno == ENFILE ? ERR_FULL
                                                    : ERR_SYSTEM;
    sock_allow_fragments(fd, addr->family); /* RFC 8656 §15: DF is for DONT-FRAGMENT alone */
    turn_icmp_wanted(fd, addr->family);
    if (!u->server->config.gso_off)
        set_joined(u, fd);
    ev_io_init(&r->socket.watcher, relay_readable, fd, EV_READ);
    r->socket.watcher.data = r;
    ev_io_start(u->loop, &r->socket.watcher);
    return ERR_OK;
}

static void relay_close(void *net, struct turn_relay *r)
{
    struct turn_udp *u = net;
    if (r->socket.queued)
        relays_flush(u);
    ev_io_stop(u->loop, &r->socket.watcher);
    close(r->socket.watcher.fd);
}

const struct turn_net_ops turn_udp_net_ops = {relay_open, relay_close, relay_send, relay_send_whole};

/* The whole --------------------------------------------------------------------------------------------- */

void turn_udp_flush(struct turn_udp *u)
{
    relays_flush(u);
    for (size_t i = 0; i < u->n_listeners; i++)
        if (u->listeners[i].outbox.n)
            turn_outbox_flush(&u->listeners[i].outbox, u->listeners[i].watcher.fd, &u->server->counters);
    u->used = u->kept;
}

void turn_udp_tick(struct turn_udp *u)
{
    for (size_t i = 0; i < u->n_listeners; i++)
        turn_sieve_tick(&u->listeners[i].sieve, u->server);
}

static void round_ends(struct ev_loop *loop, ev_prepare *w, int revents)
{
    (void)loop;
    (void)revents;
    struct turn_udp *u = w->data;
    u->kept = 0;
    turn_udp_flush(u);
}

struct turn_udp *turn_udp_new(struct ev_loop *loop)
{
    struct turn_udp *u = calloc(1, sizeof *u);
    if (!u)
        return NULL;
    u->loop = loop;
    /* The pages behind the first of each slot become resident as longer packets fill them. */
    u->memory = mmap(NULL, (size_t)SLOTS * SLOT_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (u->memory == MAP_FAILED) {
        free(u);
        return NULL;
    }
    slots_prepare(u);
    turn_outbox_init(&u->relay_outbox, &u->joining);
    ev_prepare_init(&u->end_of_round, round_ends);
    ev_set_priority(&u->end_of_round,
                    EV_MINPRI); /* behind the streams' end of the round, which may bring packets */
    u->end_of_round.data = u;
    ev_prepare_start(loop, &u->end_of_round);
    return u;
}

void turn_udp_free(struct turn_udp *u)
{
    if (!u)
        return;
    for (size_t i = 0; i < u->n_listeners; i++) {
        ev_io_stop(u->loop, &u->listeners[i].watcher);
        close(u->listeners[i].watcher.fd);
    }
    ev_prepare_stop(u->loop, &u->end_of_round);
    munmap(u->memory, (size_t)SLOTS * SLOT_SIZE);
    free(u->listeners);
    free(u);
}

void turn_udp_configure(struct turn_udp *u)
{
    turn_joining_init(&u->joining, !u->server->config.gso_off);
    for (size_t i = 0; i < u->n_listeners; i++)
        set_joined(u, u->listeners[i].watcher.fd);
}

enum err turn_udp_listen(struct turn_udp *u, struct turn_server *server, struct turn_dtls *dtls,
                         const struct turn_socket *sockets, size_t n)
{
    u->server = server;
    u->dtls = dtls;
    turn_udp_configure(u);
    u->listeners = calloc(n + 1, sizeof *u->listeners);
    if (!u->listeners) {
        for (size_t i = 0; i < n; i++)
            if (turn_socket_is_datagram(sockets[i].kind))
                close(sockets[i].fd);
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        if (!turn_socket_is_datagram(sockets[i].kind))
            continue;
        struct turn_listener *l = &u->listeners[u->n_listeners];
        l->udp = u;
        l->local = sockets[i].local;
        l->dtls_only = sockets[i].kind == TURN_SOCKET_DTLS;
        l->index = (unsigned)u->n_listeners++;
        turn_outbox_init(&l->outbox, &u->joining);
        set_joined(u, sockets[i].fd);
        turn_sieve_init(&l->sieve, sockets[i].fd, &l->local);
        ev_io_init(&l->watcher, listener_readable, sockets[i].fd, EV_READ);
        l->watcher.data = l;
        ev_io_start(u->loop, &l->watcher);
    }
    return ERR_OK;
}
