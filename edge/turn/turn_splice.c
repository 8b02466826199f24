/* Hot path: passing on allocates only what waits to be read by a side, logs nothing and reads no clock. Where
 * bandwidth is limited, a side that has used it up is not read for a while: of a stream nothing can be
 * dropped. */
#include "edge/turn/turn_splice.h"

#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/sock.h"
#include "edge/turn/turn_peer_connection.h"

enum { QUEUE_LIMIT = 256 * 1024 /* TURN_SPLICE_HIGH, and what one reading may add */ };

struct side {
    struct turn_splice *splice;
    struct stream *stream; /* NULL: gone */
    bool ended;            /* has said all it has to say */
    bool waiting;          /* for bandwidth */
    ev_timer wait;
};

struct turn_splice {
    TAILQ_ENTRY(turn_splice) link;
    struct turn_splices *all;
    struct side client, peer;
    struct turn_join join;
    enum turn_transport transport; /* the client's */
    _Atomic uint64_t *allocation_paid_until,
        *user_paid_until; /* buckets, for each direction; the second may be NULL */
};

struct turn_splices {
    struct ev_loop *loop;
    struct turn_server *server;
    TAILQ_HEAD(, turn_splice) list;
    size_t count;
};

static void splice_free(struct turn_splice *s)
{
    TAILQ_REMOVE(&s->all->list, s, link);
    s->all->count--;
    ev_timer_stop(s->all->loop, &s->client.wait);
    ev_timer_stop(s->all->loop, &s->peer.wait);
    stream_free(s->client.stream);
    stream_free(s->peer.stream);
    free(s);
}

static void connection_over(struct turn_server *server, const struct turn_join *j)
{
    if (j->connection) {
        turn_peer_connection_ended(j->connection);
        return;
    }
    turn_connection_release(j->row, j->id);
    server->stream_ops->tell(server->streams, j->owner, j->id);
}

static void splice_end(struct turn_splice *s)
{
    struct turn_server *server = s->all->server;
    struct turn_join j = s->join;
    splice_free(s);
    connection_over(server, &j);
}

void turn_splice_close(struct turn_splice *s)
{
    splice_free(s);
}

static struct side *other_side(struct side *side)
{
    struct turn_splice *s = side->splice;
    return side == &s->client ? &s->peer : &s->client;
}

static void splice_count(struct turn_splice *s, bool from_client, size_t n)
{
    struct turn_counters *counters = &s->all->server->counters;
    struct turn_traffic *t =
        from_client ? &counters->from_clients[s->transport] : &counters->to_clients[s->transport];
    t->packets++;
    t->bytes += n;
    if (turn_connection_there(s->join.row, s->join.id))
        atomic_fetch_add_explicit(from_client ? &s->join.row->from_client : &s->join.row->to_client, n,
                                  memory_order_relaxed);
}

/* Everything that is left lies in this side's queue, or nothing is. */
static bool side_done(const struct side *side)
{
    return !side->stream || stream_queued(side->stream) == 0;
}

static bool splice_over(const struct turn_splice *s)
{
    return s->client.ended && s->peer.ended && side_done(&s->client) && side_done(&s->peer);
}

/* A side is read while the other one takes what it says, and there is bandwidth for it. */
static void side_read(struct side *from)
{
    const struct side *to = other_side(from);
    if (!from->stream || from->ended || from->waiting ||
        (to->stream && stream_queued(to->stream) > TURN_SPLICE_HIGH))
        return;
    stream_resume(from->stream);
}

static void side_waited(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    struct side *from = w->data;
    from->waiting = false;
    side_read(from);
}

static uint64_t longer(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* n bytes from this side were passed on: nothing more is read before they are paid for. */
static void side_pay(struct side *from, size_t n)
{
    const struct turn_splice *s = from->splice;
    const struct turn_server *server = s->all->server;
    enum turn_direction d = from == &s->client ? TURN_FROM_CLIENT : TURN_TO_CLIENT;
    uint64_t wait = 0;
    if (server->allocation_rate.per_byte)
        wait =
            turn_rate_pay_shared(&server->allocation_rate, &s->allocation_paid_until[d], server->moment, n);
    if (server->user_rate.per_byte && s->user_paid_until)
        wait =
            longer(wait, turn_rate_pay_shared(&server->user_rate, &s->user_paid_until[d], server->moment, n));
    if (wait == 0)
        return;
    from->waiting = true;
    stream_pause(from->stream);
    ev_timer_stop(s->all->loop, &from->wait);
    ev_timer_set(&from->wait, (double)wait / 1e9, 0);
    ev_timer_start(s->all->loop, &from->wait);
}

static size_t on_data(void *ctx, const uint8_t *data, size_t n)
{
    struct side *from = ctx, *to = other_side(from);
    if (!to->stream || stream_write(to->stream, data, n) != ERR_OK)
        return n; /* its end is being told */
    splice_count(from->splice, from == &from->splice->client, n);
    if (stream_queued(to->stream) > TURN_SPLICE_HIGH)
        stream_pause(from->stream);
    if (from->splice->all->server->limited)
        side_pay(from, n);
    return n;
}

static void on_drained(void *ctx)
{
    struct side *to = ctx, *from = other_side(to);
    side_read(from);
    if (splice_over(to->splice) && !from->stream)
        splice_end(to->splice);
}

/* Half closed: the other direction goes on. */
static void on_eof(void *ctx)
{
    struct side *from = ctx, *to = other_side(from);
    from->ended = true;
    if (to->stream)
        stream_shutdown(to->stream);
}

/* This side is gone. The other one gets what was on its way, and its end. */
static void on_close(void *ctx, enum err why, const char *words)
{
    struct side *from = ctx, *to = other_side(from);
    (void)why;
    (void)words;
    stream_free(from->stream);
    from->stream = NULL;
    from->ended = to->ended = true; /* what it still says reaches nobody */
    if (splice_over(from->splice)) {
        splice_end(from->splice);
        return;
    }
    stream_pause(to->stream);
    stream_shutdown(to->stream);
}

static const struct stream_events events = {
    .on_data = on_data, .on_eof = on_eof, .on_drained = on_drained, .on_close = on_close};

/* The client's connection: bytes that came right behind its ConnectionBind go first. */
static void take_client(void *ctx, struct stream *stream, const uint8_t *rest, size_t n)
{
    struct turn_splice *s = ctx;
    if (!stream) {
        splice_end(s);
        return;
    }
    s->client.stream = stream;
    stream_set_events(stream, &events, &s->client);
    if (n)
        on_data(&s->client, rest, n);
    side_read(&s->client);
    side_read(&s->peer);
}

/* No memory: both ends are closed. */
static void drop_client(void *ctx, struct stream *stream, const uint8_t *rest, size_t n)
{
    (void)ctx, (void)rest, (void)n;
    stream_free(stream);
}

static struct turn_splice *splice_new(struct turn_splices *all, const struct turn_join *j)
{
    struct turn_splice *s = calloc(1, sizeof *s);
    if (!s) {
        close(j->fd);
        return NULL;
    }
    sock_set_nodelay(j->fd);
    s->peer.stream = stream_new(all->loop, j->fd, j->fd, &events, &s->peer, QUEUE_LIMIT, 0);
    if (!s->peer.stream) {
        free(s);
        return NULL;
    }
    stream_pause(s->peer.stream); /* until there is somebody to write to */
    s->all = all;
    s->join = *j;
    turn_shared_connection_buckets(all->server->shared, j->row, &s->allocation_paid_until,
                                   &s->user_paid_until);
    ev_init(&s->client.wait, side_waited);
    ev_init(&s->peer.wait, side_waited);
    s->client.wait.data = &s->client;
    s->peer.wait.data = &s->peer;
    s->client.splice = s->peer.splice = s;
    TAILQ_INSERT_TAIL(&all->list, s, link);
    all->count++;
    return s;
}

void turn_splice_join(struct turn_splices *all, struct turn_client *client, const struct turn_join *j)
{
    struct turn_splice *s = splice_new(all, j);
    if (!s) {
        connection_over(all->server, j);
        client->ops->give(client, drop_client, NULL);
        return;
    }
    s->transport = client->transport;
    if (j->connection)
        j->connection->splice = s;
    client->ops->give(client, take_client, s);
}

void turn_splices_sweep(struct turn_splices *all)
{
    struct turn_splice *next;
    for (struct turn_splice *s = TAILQ_FIRST(&all->list); s; s = next) {
        next = TAILQ_NEXT(s, link);
        if (splice_over(s) || !turn_connection_there(s->join.row, s->join.id))
            splice_end(s);
    }
}

size_t turn_splices_count(const struct turn_splices *all)
{
    return all->count;
}

struct turn_splices *turn_splices_new(struct ev_loop *loop, struct turn_server *server)
{
    struct turn_splices *all = calloc(1, sizeof *all);
    if (!all)
        return NULL;
    all->loop = loop;
    all->server = server;
    TAILQ_INIT(&all->list);
    return all;
}

void turn_splices_free(struct turn_splices *all)
{
    if (!all)
        return;
    while (!TAILQ_EMPTY(&all->list))
        splice_end(TAILQ_FIRST(&all->list));
    free(all);
}
