#include "edge/turn/turn_tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/sock.h"
#include "common/stream.h"
#include "edge/turn/turn_allocation.h"
#include "edge/turn/turn_forward.h"
#include "edge/turn/turn_peer_connection.h"
#include "edge/turn/turn_request.h"
#include "proto/chandata.h"
#include "proto/stun_stream.h"

enum { ACCEPTS_PER_EVENT = 64, FIRST_STUN = 3, FIRST_TLS = 22 };

struct connection {
    TAILQ_ENTRY(connection) link;
    struct turn_tcp *tcp;
    struct turn_client client;
    struct turn_pass pass;
    ev_io first;           /* active until the first byte is there; first.fd is the stream's from then on */
    struct stream *stream; /* NULL until then */
    bool allocated;
    bool parsing;             /* a message is being handled */
    turn_client_taker *taker; /* the connection is given away when that is over */
    void *taker_ctx;
    struct turn_timer idle; /* in tcp->idle while there is no allocation */
    struct buf pending;     /* the beginning of a message whose end has not come */
};

struct acceptor {
    ev_io watcher;
    struct turn_tcp *tcp;
    bool tls_only;
};

struct turn_tcp {
    struct ev_loop *loop;
    struct turn_server *server;
    struct turn_udp *udp;
    struct turn_admission *admission;
    const struct turn_tls *tls;
    struct acceptor *acceptors;
    size_t n_acceptors;
    TAILQ_HEAD(, connection) connections;
    uint64_t serial;
    struct turn_wheel idle;
    bool paused; /* no descriptor was left: accepting goes on with the next tick */
};

static void connection_free(struct connection *c)
{
    struct turn_tcp *t = c->tcp;
    turn_allocation_disconnect(t->server, &c->client.key);
    if (c->client.bind)
        turn_connection_bind_cancel(c->client.bind);
    if (c->taker)
        c->taker(c->taker_ctx, NULL, NULL, 0);
    TAILQ_REMOVE(&t->connections, c, link);
    turn_admission_leave(t->admission, &c->pass);
    turn_wheel_remove(&c->idle);
    if (!c->stream) {
        ev_io_stop(t->loop, &c->first);
        if (c->first.fd >= 0)
            close(c->first.fd);
    }
    stream_free(c->stream);
    buf_free(&c->pending);
    free(c);
}

/* Towards the client ------------------------------------------------------------------------------------ */

static void client_reply(struct turn_client *client, const uint8_t *message, size_t n)
{
    struct connection *c = client->via;
    if ((!c->allocated && stream_queued(c->stream) + n > TURN_TCP_STRANGER) ||
        stream_write(c->stream, message, n) != ERR_OK)
        turn_drop(c->tcp->server, TURN_DROP_client_full);
}

/* RFC 8656 §12.5: on a stream ChannelData is padded. */
static void client_forward(struct turn_client *client, uint8_t *message, size_t n)
{
    size_t padded = chandata_padded(n);
    memset(message + n, 0, padded - n);
    client_reply(client, message, padded);
}

static void client_allocated(struct turn_client *client, bool is)
{
    struct connection *c = client->via;
    c->allocated = is;
    turn_admission_proven(c->tcp->admission, &c->pass, is);
    turn_wheel_remove(&c->idle);
    if (!is)
        turn_wheel_add(&c->tcp->idle, &c->idle, c->tcp->idle.now + TURN_TCP_IDLE + 1);
}

/* The stream leaves, with what was read behind the last message. */
static void connection_give(struct connection *c)
{
    turn_client_taker *taker = c->taker;
    struct stream *stream = c->stream;
    c->taker = NULL;
    c->stream = NULL;
    ev_io_stop(c->tcp->loop, &c->first);
    c->first.fd = -1; /* the stream's, too */
    taker(c->taker_ctx, stream, buf_data(&c->pending), buf_len(&c->pending));
    connection_free(c);
}

static void client_give(struct turn_client *client, turn_client_taker *taker, void *ctx)
{
    struct connection *c = client->via;
    c->taker = taker;
    c->taker_ctx = ctx;
    if (!c->parsing)
        connection_give(c);
}

static const struct turn_client_ops client_ops = {client_reply, client_forward, client_allocated,
                                                  client_give};

/* From the client --------------------------------------------------------------------------------------- */

static void connection_message(struct connection *c, const uint8_t *data, size_t n)
{
    struct turn_tcp *t = c->tcp;
    uint8_t *slot = turn_udp_slot(t->udp);
    memcpy(slot, data, n);
    if (chandata_is(slot[0]))
        turn_forward_channel_data(t->server, &c->client.key, slot, n);
    else
        turn_request_receive(t->server, &c->client, slot, n);
}

static void connection_bad(struct connection *c)
{
    c->tcp->server->counters.events[TURN_EVENT_stream_errors]++;
    connection_free(c);
}

/* It is, or is about to be, a data connection: what follows is for the peer. */
static bool connection_is_data(const struct connection *c)
{
    return c->taker || c->client.bind;
}

/* Handles the complete messages of n bytes. How many bytes those were; n (and the connection is gone, *gone)
 * when the stream cannot be followed. Ends behind a ConnectionBind that was accepted. */
static size_t connection_messages(struct connection *c, const uint8_t *data, size_t n, bool *gone)
{
    size_t taken = 0;
    *gone = false;
    while (!connection_is_data(c)) {
        size_t message, frame;
        enum err e = stun_stream_next(data + taken, n - taken, &message, &frame);
        if (e == ERR_AGAIN)
            return taken;
        if (e != ERR_OK) {
            connection_bad(c);
            *gone = true;
            return n;
        }
        connection_message(c, data + taken, message);
        taken += frame;
    }
    return taken;
}

/* Whole messages are handled where they lie, the rest is kept. False when the connection is gone. */
static bool connection_parse(struct connection *c, const uint8_t *data, size_t n)
{
    bool gone = false, fresh = buf_len(&c->pending) == 0;
    size_t taken = fresh ? connection_messages(c, data, n, &gone) : 0;
    if (gone)
        return false;
    if (taken < n && buf_append(&c->pending, data + taken, n - taken) != ERR_OK) {
        connection_free(c);
        return false;
    }
    if (!fresh) {
        taken = connection_messages(c, buf_data(&c->pending), buf_len(&c->pending), &gone);
        if (gone)
            return false;
        buf_consume(&c->pending, taken);
    }
    if (!c->allocated && !connection_is_data(c) && buf_len(&c->pending) > TURN_TCP_STRANGER) {
        connection_bad(c);
        return false;
    }
    return true;
}

/* Bytes in their order. */
static void connection_bytes(struct connection *c, const uint8_t *data, size_t n)
{
    c->parsing = true;
    if (!connection_parse(c, data, n))
        return;
    c->parsing = false;
    if (connection_is_data(c))
        stream_pause(c->stream);
    if (c->taker)
        connection_give(c);
}

static size_t on_data(void *ctx, const uint8_t *data, size_t n)
{
    connection_bytes(ctx, data, n);
    return n;
}

static void on_close(void *ctx, enum err why, const char *words)
{
    (void)why;
    (void)words;
    connection_free(ctx);
}

static const struct stream_events connection_events = {
    .on_data = on_data, .on_close = on_close, .record = stun_stream_record};

/* Life -------------------------------------------------------------------------------------------------- */

static void connection_due(struct connection *c, uint32_t seconds)
{
    turn_wheel_remove(&c->idle);
    turn_wheel_add(&c->tcp->idle, &c->idle, c->tcp->idle.now + seconds + 1);
}

static void connection_idle(void *ctx, struct turn_timer *t)
{
    struct connection *c = (struct connection *)(void *)((char *)t - offsetof(struct connection, idle));
    struct turn_tcp *tcp = ctx;
    tcp->server->counters.events[TURN_EVENT_handshakes_failed] += c->pass.handshaking;
    connection_free(c);
}

static void handshake_open(void *ctx)
{
    struct connection *c = ctx;
    struct turn_tcp *t = c->tcp;
    turn_admission_handshake_done(t->admission, &c->pass);
    t->server->counters.events[TURN_EVENT_handshakes]++;
    connection_due(c, TURN_TCP_IDLE);
    stream_set_events(c->stream, &connection_events, c);
}

static void handshake_close(void *ctx, enum err why, const char *words)
{
    struct connection *c = ctx;
    c->tcp->server->counters.events[TURN_EVENT_handshakes_failed]++;
    on_close(ctx, why, words);
}

static const struct stream_events handshake_events = {
    .on_open = handshake_open, .on_data = on_data, .on_close = handshake_close};

static void connection_refuse(struct connection *c)
{
    c->tcp->server->counters.events[TURN_EVENT_connections_refused]++;
    connection_free(c);
}

/* A newer client takes its place. */
static void connection_end(struct turn_pass *pass)
{
    struct connection *c = (struct connection *)(void *)((char *)pass - offsetof(struct connection, pass));
    c->tcp->server->counters.events[TURN_EVENT_unproven_closed]++;
    connection_free(c);
}

/* From here on the descriptor is the stream's. */
static void connection_plain(struct connection *c)
{
    ev_io_stop(c->tcp->loop, &c->first);
    c->stream = stream_new(c->tcp->loop, c->first.fd, c->first.fd, &connection_events, c, TURN_TCP_QUEUE, 0);
    if (!c->stream)
        c->first.fd = -1; /* closed already */
}

static void connection_tls(struct connection *c)
{
    struct turn_tcp *t = c->tcp;
    ev_io_stop(t->loop, &c->first);
    if (!t->tls->stream || !turn_admission_handshake(t->admission, &c->pass)) {
        connection_refuse(c);
        return;
    }
    c->client.transport = TURN_OVER_TLS;
    connection_due(c, TURN_TCP_HANDSHAKE);
    c->stream =
        stream_new_tls_server(t->loop, c->first.fd, t->tls->stream, &handshake_events, c, TURN_TCP_QUEUE, 0);
    if (c->stream) {
        turn_admission_unproven(t->admission, &c->pass, connection_end);
    } else {
        c->first.fd = -1;
        connection_free(c);
    }
}

/* Looked at, and left where it is. */
static void first_byte(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop;
    (void)revents;
    struct connection *c = w->data;
    uint8_t first;
    ssize_t n = recv(w->fd, &first, 1, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        connection_free(c);
    } else if (first == FIRST_TLS) {
        connection_tls(c);
    } else if (first <= FIRST_STUN) {
        connection_plain(c);
        if (!c->stream)
            connection_free(c);
    } else {
        connection_bad(c);
    }
}

/* Takes fd. NULL when it was refused, and closed. Nothing is read from it yet. */
static struct connection *connection_new(struct turn_tcp *t, int fd, const struct netaddr *client,
                                         const struct netaddr *server)
{
    struct turn_pass pass = {0};
    bool admitted = turn_admission_enter(t->admission, client, &pass);
    struct connection *c = admitted ? calloc(1, sizeof *c) : NULL;
    if (!c) {
        turn_admission_leave(t->admission, &pass);
        t->server->counters.events[TURN_EVENT_connections_refused]++;
        close(fd);
        return NULL;
    }
    c->tcp = t;
    c->pass = pass;
    ev_io_init(&c->first, first_byte, fd, EV_READ);
    c->first.data = c;
    c->client = (struct turn_client){.ops = &client_ops,
                                     .via = c,
                                     .key = turn_key_stream(++t->serial),
                                     .transport = TURN_OVER_TCP,
                                     .verified = true,
                                     .address = *client,
                                     .server = *server};
    buf_init(&c->pending, STUN_STREAM_FRAME_MAX + STREAM_KEEP + STREAM_READ);
    TAILQ_INSERT_TAIL(&t->connections, c, link);
    t->server->counters.events[TURN_EVENT_connections]++;
    connection_due(c, TURN_TCP_IDLE);
    return c;
}

/* fd was accepted here. */
static void connection_accepted(struct turn_tcp *t, int fd, bool tls_only)
{
    struct netaddr client, server;
    if (sock_remote(fd, &client) != ERR_OK || sock_local(fd, &server) != ERR_OK) {
        close(fd); /* gone already */
        return;
    }
    struct connection *c = connection_new(t, fd, &client, &server);
    if (!c)
        return;
    sock_set_nodelay(fd);
    if (tls_only)
        connection_tls(c);
    else
        ev_io_start(t->loop, &c->first);
}

enum err turn_tcp_adopt(struct turn_tcp *t, const struct turn_handed *h)
{
    if (!sock_set_nonblock(h->fd)) {
        close(h->fd);
        return ERR_REFUSED;
    }
    struct connection *c = connection_new(t, h->fd, &h->client, &h->server);
    if (!c)
        return ERR_REFUSED;
    if (h->tls)
        c->client.transport = TURN_OVER_TLS;
    else
        sock_set_nodelay(h->fd);
    connection_plain(c);
    if (!c->stream) {
        connection_free(c);
        return ERR_REFUSED;
    }
    if (h->n)
        connection_bytes(c, h->data, h->n);
    return ERR_OK;
}

/* Listening --------------------------------------------------------------------------------------------- */

static void acceptors_pause(struct turn_tcp *t, bool pause)
{
    t->paused = pause;
    for (size_t i = 0; i < t->n_acceptors; i++)
        if (pause)
            ev_io_stop(t->loop, &t->acceptors[i].watcher);
        else
            ev_io_start(t->loop, &t->acceptors[i].watcher);
}

static void acceptor_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop;
    (void)revents;
    const struct acceptor *a = w->data;
    struct turn_tcp *t = a->tcp;
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            connection_accepted(t, fd, a->tls_only);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            t->server->counters.events[TURN_EVENT_connections_refused]++;
            acceptors_pause(t, true);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

void turn_tcp_tick(struct turn_tcp *t, uint32_t now)
{
    if (t->paused)
        acceptors_pause(t, false);
    turn_wheel_advance(&t->idle, now);
}

struct turn_tcp *turn_tcp_new(struct ev_loop *loop, struct turn_server *server, struct turn_udp *udp,
                              struct turn_admission *admission, const struct turn_tls *tls)
{
    struct turn_tcp *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->loop = loop;
    t->server = server;
    t->udp = udp;
    t->admission = admission;
    t->tls = tls;
    TAILQ_INIT(&t->connections);
    turn_wheel_init(&t->idle, server->now, connection_idle, t);
    return t;
}

void turn_tcp_free(struct turn_tcp *t)
{
    if (!t)
        return;
    while (!TAILQ_EMPTY(&t->connections))
        connection_free(TAILQ_FIRST(&t->connections));
    for (size_t i = 0; i < t->n_acceptors; i++) {
        ev_io_stop(t->loop, &t->acceptors[i].watcher);
        close(t->acceptors[i].watcher.fd);
    }
    free(t->acceptors);
    free(t);
}

enum err turn_tcp_listen(struct turn_tcp *t, const struct turn_socket *sockets, size_t n)
{
    t->acceptors = calloc(n + 1, sizeof *t->acceptors);
    for (size_t i = 0; i < n; i++) {
        if (turn_socket_is_datagram(sockets[i].kind))
            continue;
        if (!t->acceptors) {
            close(sockets[i].fd);
            continue;
        }
        struct acceptor *a = &t->acceptors[t->n_acceptors++];
        a->tcp = t;
        a->tls_only = sockets[i].kind == TURN_SOCKET_TLS;
        ev_io_init(&a->watcher, acceptor_readable, sockets[i].fd, EV_READ);
        a->watcher.data = a;
        ev_io_start(t->loop, &a->watcher);
    }
    return t->acceptors ? ERR_OK : ERR_MEMORY;
}
