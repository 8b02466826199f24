#include "edge/turn/turn_tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/sock.h"
#include "common/stream.h"
#include "edge/turn/turn_allocation.h"
#include "edge/turn/turn_forward.h"
#include "edge/turn/turn_request.h"
#include "proto/chandata.h"
#include "proto/stun_stream.h"

enum { ACCEPTS_PER_EVENT = 64 };

struct connection {
    TAILQ_ENTRY(connection) link;
    struct turn_tcp *tcp;
    struct turn_client client;
    struct stream *stream;
    bool allocated;
    struct turn_timer idle; /* in tcp->idle while there is no allocation */
    struct buf pending;     /* the beginning of a message whose end has not come */
};

struct acceptor {
    ev_io watcher;
    struct turn_tcp *tcp;
};

struct turn_tcp {
    struct ev_loop *loop;
    struct turn_server *server;
    struct turn_udp *udp;
    struct acceptor *acceptors;
    size_t n_acceptors;
    TAILQ_HEAD(, connection) connections;
    size_t count, most;
    uint64_t serial;
    struct turn_wheel idle;
    bool paused; /* no descriptor was left: accepting goes on with the next tick */
};

static void connection_free(struct connection *c)
{
    struct turn_tcp *t = c->tcp;
    turn_allocation_disconnect(t->server, &c->client.key);
    TAILQ_REMOVE(&t->connections, c, link);
    t->count--;
    turn_wheel_remove(&c->idle);
    stream_free(c->stream);
    buf_free(&c->pending);
    free(c);
}

/* Towards the client ---------------------------------------------------------------------------------------
 */

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
    turn_wheel_remove(&c->idle);
    if (!is)
        turn_wheel_add(&c->tcp->idle, &c->idle, c->tcp->idle.now + TURN_TCP_IDLE + 1);
}

static const struct turn_client_ops client_ops = {client_reply, client_forward, client_allocated};

/* From the client ------------------------------------------------------------------------------------------
 */

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

/* Handles the complete messages of n bytes. How many bytes those were; n (and the connection is gone, *gone)
 * when the stream cannot be followed. */
static size_t connection_messages(struct connection *c, const uint8_t *data, size_t n, bool *gone)
{
    size_t taken = 0;
    *gone = false;
    for (;;) {
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
}

/* Bytes in their order. Whole messages are handled where they lie, the rest is kept. */
static void connection_bytes(struct connection *c, const uint8_t *data, size_t n)
{
    bool gone;
    size_t taken = 0;
    if (buf_len(&c->pending) == 0)
        taken = connection_messages(c, data, n, &gone);
    if (taken == n)
        return;
    if (buf_append(&c->pending, data + taken, n - taken) != ERR_OK) {
        connection_free(c);
        return;
    }
    if (!taken) { /* else it was just looked at */
        taken = connection_messages(c, buf_data(&c->pending), buf_len(&c->pending), &gone);
        if (gone)
            return;
        buf_consume(&c->pending, taken);
    }
    if (!c->allocated && buf_len(&c->pending) > TURN_TCP_STRANGER)
        connection_bad(c);
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

static const struct stream_events connection_events = {.on_data = on_data, .on_close = on_close};

static void connection_idle(void *ctx, struct turn_timer *t)
{
    (void)ctx;
    connection_free((struct connection *)(void *)((char *)t - offsetof(struct connection, idle)));
}

/* Takes fd. NULL when it was refused, and closed. */
static struct connection *connection_new(struct turn_tcp *t, int fd)
{
    struct netaddr client, server;
    struct connection *c = NULL;
    if (t->count >= t->most || sock_remote(fd, &client) != ERR_OK || sock_local(fd, &server) != ERR_OK ||
        !(c = calloc(1, sizeof *c))) {
        t->server->counters.events[TURN_EVENT_connections_refused]++;
        close(fd);
        return NULL;
    }
    sock_set_nodelay(fd);
    c->tcp = t;
    c->stream = stream_new(t->loop, fd, fd, &connection_events, c, TURN_TCP_QUEUE, 0);
    if (!c->stream) {
        free(c);
        return NULL;
    }
    c->client = (struct turn_client){.ops = &client_ops,
                                     .via = c,
                                     .key = turn_key_stream(++t->serial),
                                     .transport = TURN_OVER_TCP,
                                     .verified = true,
                                     .address = client,
                                     .server = server};
    buf_init(&c->pending, STUN_STREAM_FRAME_MAX + STREAM_KEEP + STREAM_READ);
    TAILQ_INSERT_TAIL(&t->connections, c, link);
    t->count++;
    t->server->counters.events[TURN_EVENT_connections]++;
    turn_wheel_add(&t->idle, &c->idle, t->idle.now + TURN_TCP_IDLE + 1);
    return c;
}

enum err turn_tcp_adopt(struct turn_tcp *t, int fd, const uint8_t *data, size_t n)
{
    struct connection *c = sock_set_nonblock(fd) ? connection_new(t, fd) : NULL;
    if (!c)
        return ERR_REFUSED;
    if (n)
        connection_bytes(c, data, n);
    return ERR_OK;
}

/* Listening ------------------------------------------------------------------------------------------------
 */

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
    struct turn_tcp *t = ((struct acceptor *)w->data)->tcp;
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            connection_new(t, fd);
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

size_t turn_tcp_count(const struct turn_tcp *t)
{
    return t->count;
}

struct turn_tcp *turn_tcp_new(struct ev_loop *loop, struct turn_server *server, struct turn_udp *udp,
                              size_t most)
{
    struct turn_tcp *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->loop = loop;
    t->server = server;
    t->udp = udp;
    t->most = most;
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
        if (sockets[i].kind != TURN_SOCKET_TCP)
            continue;
        if (!t->acceptors) {
            close(sockets[i].fd);
            continue;
        }
        struct acceptor *a = &t->acceptors[t->n_acceptors++];
        a->tcp = t;
        ev_io_init(&a->watcher, acceptor_readable, sockets[i].fd, EV_READ);
        a->watcher.data = a;
        ev_io_start(t->loop, &a->watcher);
    }
    return t->acceptors ? ERR_OK : ERR_MEMORY;
}
