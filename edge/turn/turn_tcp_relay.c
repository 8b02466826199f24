#include "edge/turn/turn_tcp_relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/sock.h"
#include "edge/turn/turn_mail.h"
#include "edge/turn/turn_peer_connection.h"
#include "edge/turn/turn_splice.h"

enum { ACCEPTS_PER_EVENT = 16, BACKLOG = 16 };

struct turn_tcp_relays {
    struct ev_loop *loop;
    struct turn_server *server;
    struct turn_splices *splices;
    struct turn_mail *mail;
    int spare; /* a descriptor to refuse with when none is left */
};

/* Sockets ----------------------------------------------------------------------------------------------- */

/* A socket at a relayed address. Many share one: the listening one and those that connect from it (RFC 6062
 * §5.2); and what connections of a worker that died have left does not keep the port. Who else may bind it is
 * settled by turn_shared: nobody. */
static int relay_socket(const struct netaddr *addr)
{
    struct sockaddr_storage sa;
    socklen_t n = netaddr_to_sockaddr(addr, &sa);
    int on = 1, fd = socket(addr->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0 &&
        (addr->family == AF_INET || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
        bind(fd, (struct sockaddr *)&sa, n) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static enum err socket_error(void)
{
    return errno == EADDRINUSE                  ? ERR_EXISTS
           : errno == EAFNOSUPPORT              ? ERR_UNSUPPORTED
           : errno == EMFILE || errno == ENFILE ? ERR_FULL
                                                : ERR_SYSTEM;
}

/* Ends a connection without a trace: no state is left for it in the kernel. */
static void reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

/* Listening --------------------------------------------------------------------------------------------- */

static int spare_open(void)
{
    return eventfd(0, EFD_CLOEXEC); /* opens no file: a worker may not */
}

/* No descriptor is left: who knocks is refused all the same, or the loop would be told of them for ever. */
static void refuse_one(struct turn_tcp_relays *t, int listening)
{
    t->server->counters.events[TURN_EVENT_peer_connections_refused]++;
    close(t->spare);
    int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        reset(fd);
    t->spare = spare_open();
}

static void relay_acceptable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct turn_relay *r = w->data;
    (void)loop;
    (void)revents;
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        struct netaddr from;
        int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE))
            refuse_one(r->server->streams, w->fd);
        if (fd < 0)
            return;
        if (sock_remote(fd, &from) != ERR_OK || !turn_peer_connection_accepted(r, fd, &from))
            reset(fd);
    }
}

static enum err relay_listen(void *net, struct turn_relay *r, const struct netaddr *addr)
{
    struct turn_tcp_relays *t = net;
    int fd = relay_socket(addr);
    if (fd < 0)
        return socket_error();
    if (listen(fd, BACKLOG) != 0) {
        enum err e = socket_error();
        close(fd);
        return e;
    }
    ev_io_init(&r->socket.watcher, relay_acceptable, fd, EV_READ);
    r->socket.watcher.data = r;
    ev_io_start(t->loop, &r->socket.watcher);
    return ERR_OK;
}

static void relay_unlisten(void *net, struct turn_relay *r)
{
    struct turn_tcp_relays *t = net;
    ev_io_stop(t->loop, &r->socket.watcher);
    close(r->socket.watcher.fd);
}

/* Connecting -------------------------------------------------------------------------------------------- */

static void connection_writable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct turn_peer_connection *c = w->data;
    int error = 0;
    socklen_t n = sizeof error;
    (void)revents;
    ev_io_stop(loop, w);
    if (getsockopt(c->socket.fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0 || error)
        turn_peer_connection_failed(c);
    else
        turn_peer_connection_connected(c);
}

static enum err connection_open(void *net, struct turn_peer_connection *c, const struct netaddr *from,
                                const struct netaddr *to)
{
    struct turn_tcp_relays *t = net;
    struct sockaddr_storage sa;
    socklen_t n = netaddr_to_sockaddr(to, &sa);
    int fd = relay_socket(from);
    if (fd < 0)
        return socket_error();
    if (connect(fd, (struct sockaddr *)&sa, n) != 0 && errno != EINPROGRESS) {
        /* EADDRNOTAVAIL: the kernel knows a connection between these two addresses. */
        enum err e = errno == EADDRNOTAVAIL || errno == EADDRINUSE ? ERR_EXISTS : ERR_REFUSED;
        close(fd);
        return e;
    }
    c->socket.fd = fd;
    ev_io_init(&c->socket.watcher, connection_writable, fd, EV_WRITE);
    c->socket.watcher.data = c;
    ev_io_start(t->loop, &c->socket.watcher);
    return ERR_OK;
}

static void connection_close(void *net, struct turn_peer_connection *c)
{
    struct turn_tcp_relays *t = net;
    if (c->splice)
        turn_splice_close(c->splice);
    c->splice = NULL;
    if (c->socket.fd < 0)
        return;
    ev_io_stop(t->loop, &c->socket.watcher);
    close(c->socket.fd);
    c->socket.fd = -1;
}

static void connection_join(void *net, struct turn_client *client, const struct turn_join *j)
{
    struct turn_tcp_relays *t = net;
    turn_splice_join(t->splices, client, j);
}

/* Other workers ----------------------------------------------------------------------------------------- */

static enum err ask(void *net, uint32_t worker, uint32_t id)
{
    return turn_mail_ask(((struct turn_tcp_relays *)net)->mail, worker, id);
}

static enum err hand(void *net, uint32_t worker, uint32_t id, int fd)
{
    return turn_mail_hand(((struct turn_tcp_relays *)net)->mail, worker, id, fd);
}

static void tell(void *net, uint32_t worker, uint32_t id)
{
    turn_mail_tell(((struct turn_tcp_relays *)net)->mail, worker, id);
}

static void told(void *ctx)
{
    turn_splices_sweep(((struct turn_tcp_relays *)ctx)->splices);
}

static const struct turn_stream_ops ops = {.listen = relay_listen,
                                           .unlisten = relay_unlisten,
                                           .connect = connection_open,
                                           .close = connection_close,
                                           .join = connection_join,
                                           .ask = ask,
                                           .hand = hand,
                                           .tell = tell};

/* The whole --------------------------------------------------------------------------------------------- */

struct turn_tcp_relays *turn_tcp_relays_new(struct ev_loop *loop, struct turn_server *server, size_t most)
{
    struct turn_tcp_relays *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->loop = loop;
    t->server = server;
    t->spare = spare_open();
    t->splices = turn_splices_new(loop, server);
    t->mail = turn_mail_new(loop, server);
    if (!t->splices || !t->mail) {
        turn_splices_free(t->splices);
        turn_mail_free(t->mail);
        close(t->spare);
        free(t);
        return NULL;
    }
    turn_mail_on_tell(t->mail, told, t);
    turn_server_set_streams(server, &ops, t, most);
    return t;
}

void turn_tcp_relays_stop(struct turn_tcp_relays *t)
{
    if (!t)
        return;
    turn_splices_free(t->splices);
    t->splices = NULL;
}

void turn_tcp_relays_free(struct turn_tcp_relays *t)
{
    if (!t)
        return;
    turn_mail_free(t->mail);
    close(t->spare);
    free(t);
}

void turn_tcp_relays_add_mailbox(struct turn_tcp_relays *t, uint32_t worker, int fd)
{
    turn_mail_add(t->mail, worker, fd);
}

void turn_tcp_relays_tick(struct turn_tcp_relays *t)
{
    turn_splices_sweep(t->splices);
}

size_t turn_tcp_relays_joined(const struct turn_tcp_relays *t)
{
    return turn_splices_count(t->splices);
}
