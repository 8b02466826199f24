/*
 * TURN over TLS on the HTTPS port. TLS stays here; what was decrypted goes through a socket pair to a turn
 * worker, and back:
 *
 *   guest ── TLS ── c->stream ── c->turn ── socket pair ── turn worker
 *
 * Whichever side does not read stops the other: each queue here holds TURN_QUEUE at most, the kernel's about
 * as much again, and what a slow guest misses then is dropped by the turn worker, as for every stream.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "common/sock.h"
#include "edge/web/conn_internal.h"
#include "edge/web/handover.h"
#include "proto/stun_stream.h"

enum { TURN_QUEUE = 64 * 1024, TURN_QUEUE_LOW = 16 * 1024, PAIR_BUFFER = 64 * 1024, STUN_LAST = 3 };

/* The turn worker --------------------------------------------------------------------------------------- */

static size_t turn_on_data(void *ctx, const uint8_t *data, size_t n)
{
    struct conn *c = ctx;
    size_t queued = stream_queued(c->stream), room = queued < TURN_QUEUE ? TURN_QUEUE - queued : 0;
    size_t taken = n < room ? n : room;
    if (taken && stream_write(c->stream, data, taken) != ERR_OK) {
        conn_kill(c);
        return n;
    }
    if (taken < n)
        stream_pause(c->turn);
    conn_account(c);
    return taken;
}

static void turn_end(struct conn *c)
{
    stream_free(c->turn);
    c->turn = NULL;
}

/* It has ended the connection; what it said before still reaches the guest. */
static void turn_on_close(void *ctx, enum err why, const char *words)
{
    struct conn *c = ctx;
    (void)why, (void)words;
    turn_end(c);
    conn_linger(c);
}

static void turn_on_drained(void *ctx)
{
    struct conn *c = ctx;
    stream_resume(c->stream);
}

static const struct stream_events turn_events = {
    .on_data = turn_on_data, .on_drained = turn_on_drained, .on_close = turn_on_close};

/* The guest --------------------------------------------------------------------------------------------- */

static size_t guest_on_data(void *ctx, const uint8_t *data, size_t n)
{
    struct conn *c = ctx;
    if (c->state == CONN_LINGER) {
        conn_swallow(c, n);
        return n;
    }
    size_t room = stream_room(c->turn), taken = n < room ? n : room;
    if (taken && stream_write(c->turn, data, taken) != ERR_OK) {
        conn_kill(c);
        return n;
    }
    if (taken < n)
        stream_pause(c->stream);
    conn_account(c);
    return taken;
}

static void guest_on_drained(void *ctx)
{
    struct conn *c = ctx;
    if (c->turn)
        stream_resume(c->turn);
}

static const struct stream_events guest_events = {.on_data = guest_on_data,
                                                  .on_drained = guest_on_drained,
                                                  .on_close = conn_on_stream_close,
                                                  .record = stun_stream_record};

/* A small buffer: media that waits is late. */
static bool make_pair(int pair[2])
{
    int size = PAIR_BUFFER;
    if (sock_pair(pair, true) < 0)
        return false;
    for (int i = 0; i < 2; i++)
        (void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return true;
}

static bool turn_start(struct conn *c)
{
    struct netaddr server;
    int pair[2];
    if (sock_local(SSL_get_fd(stream_ssl(c->stream)), &server) != ERR_OK || !make_pair(pair))
        return false;
    bool sent = handover_send(c->web, pair[1], &c->client, &server, true);
    close(pair[1]);
    if (!sent) {
        close(pair[0]);
        return false;
    }
    c->state = CONN_TURN;
    conn_set_deadline(c, 0); /* the turn worker's: it ends what has no allocation */
    c->turn = stream_new(c->web->loop, pair[0], pair[0], &turn_events, c, TURN_QUEUE, TURN_QUEUE_LOW);
    return c->turn != NULL;
}

static void turn_expired(struct conn *c)
{
    conn_kill(c);
}

/* A call goes on until it ends; the turn worker grants no other. */
static void turn_drain(struct conn *c)
{
    (void)c;
}

static void turn_leave(struct conn *c)
{
    if (c->state == CONN_LINGER)
        return;
    turn_end(c);
    conn_linger(c);
}

static size_t turn_held(const struct conn *c)
{
    return c->turn ? stream_queued(c->turn) : 0;
}

const struct conn_protocol conn_turn = {.events = &guest_events,
                                        .start = turn_start,
                                        .expired = turn_expired,
                                        .drain = turn_drain,
                                        .leave = turn_leave,
                                        .end = turn_end,
                                        .held = turn_held};

/* TLS without ALPN --------------------------------------------------------------------------------------- */

/* Browsers name no protocol when they speak TURN (RFC 7443 has a name), and old clients none when they speak
 * HTTP: the first byte tells. No method begins with one that STUN begins with. */
static size_t first_on_data(void *ctx, const uint8_t *data, size_t n)
{
    struct conn *c = ctx;
    if (c->state == CONN_LINGER) {
        conn_swallow(c, n);
        return n;
    }
    conn_speak(c, data[0] <= STUN_LAST ? &conn_turn : &conn_h1);
    return c->state == CONN_DEAD ? n : c->protocol->events->on_data(c, data, n);
}

static const struct stream_events first_events = {.on_data = first_on_data, .on_close = conn_on_stream_close};

static bool first_start(struct conn *c)
{
    c->state = CONN_IDLE;
    conn_set_deadline(c, c->web->limits.head_seconds);
    return true;
}

static void first_end(struct conn *c)
{
    (void)c;
}

const struct conn_protocol conn_first = {.events = &first_events,
                                         .start = first_start,
                                         .expired = conn_linger,
                                         .drain = conn_linger,
                                         .end = first_end};
