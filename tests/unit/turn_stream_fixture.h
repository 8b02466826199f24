/*
 * The turn fixture with TCP towards peers (RFC 6062) that is no TCP: what the server opens, joins and hands
 * over is noted; descriptors are numbers.
 *
 *   struct fixture f;
 *   stream_fixture_start(&f, "");                a client on a stream, "192.0.2.1:5000"
 *   stream_fixture_allocate(&f);
 *   stream_fixture_connect(&f, "198.51.100.7:80");
 *   stream_fixture_connected(&f);                the answer is in f.answer
 */
#ifndef TESTS_UNIT_TURN_STREAM_FIXTURE_H
#define TESTS_UNIT_TURN_STREAM_FIXTURE_H

#include "edge/turn/turn_peer_connection.h"
#include "tests/unit/turn_fixture.h"

enum { PEER_FD = 1000 };

static struct {
    unsigned listening, sockets; /* open ones */
    struct turn_peer_connection *connecting;
    struct netaddr from, to;
    enum err connect_error, ask_error;
    struct turn_join join; /* the last one */
    struct turn_peer_connection *joined;
    unsigned n_joins;
    unsigned n_asks, n_tells, n_hands;
    uint32_t worker, id; /* of the last of these */
    uint64_t serial;
} streams;

static inline enum err stream_listen(void *net, struct turn_relay *relay, const struct netaddr *addr)
{
    (void)net, (void)relay;
    if (addr->port == fixture->taken)
        return ERR_EXISTS;
    streams.listening++;
    return ERR_OK;
}

static inline void stream_unlisten(void *net, struct turn_relay *relay)
{
    (void)net, (void)relay;
    streams.listening--;
}

static inline enum err stream_connect_peer(void *net, struct turn_peer_connection *c,
                                           const struct netaddr *from, const struct netaddr *to)
{
    (void)net;
    if (streams.connect_error != ERR_OK)
        return streams.connect_error;
    streams.connecting = c;
    streams.from = *from;
    streams.to = *to;
    c->socket.fd = PEER_FD;
    streams.sockets++;
    return ERR_OK;
}

static inline void stream_close(void *net, struct turn_peer_connection *c)
{
    (void)net;
    if (c->splice)
        streams.joined = NULL;
    if (c->splice || c->socket.fd >= 0)
        streams.sockets--;
    c->splice = NULL;
    c->socket.fd = -1;
}

static inline void stream_join(void *net, struct turn_client *client, const struct turn_join *j)
{
    (void)net, (void)client;
    streams.n_joins++;
    streams.join = *j;
    streams.joined = j->connection;
    if (j->connection)
        j->connection->splice = (struct turn_splice *)(void *)&streams;
}

static inline enum err stream_ask(void *net, uint32_t worker, uint32_t id)
{
    (void)net;
    streams.n_asks += streams.ask_error == ERR_OK;
    streams.worker = worker;
    streams.id = id;
    return streams.ask_error;
}

static inline enum err stream_hand(void *net, uint32_t worker, uint32_t id, int fd)
{
    (void)net;
    ck_assert_int_eq(fd, PEER_FD);
    streams.n_hands++;
    streams.worker = worker;
    streams.id = id;
    return ERR_OK;
}

static inline void stream_tell(void *net, uint32_t worker, uint32_t id)
{
    (void)net;
    streams.n_tells++;
    streams.worker = worker;
    streams.id = id;
}

static inline void stream_give(struct turn_client *c, turn_client_taker *take, void *ctx)
{
    (void)c, (void)take, (void)ctx;
}

static const struct turn_stream_ops stream_fixture_ops = {.listen = stream_listen,
                                                          .unlisten = stream_unlisten,
                                                          .connect = stream_connect_peer,
                                                          .close = stream_close,
                                                          .join = stream_join,
                                                          .ask = stream_ask,
                                                          .hand = stream_hand,
                                                          .tell = stream_tell};
static const struct turn_client_ops stream_client_ops = {
    .reply = fixture_reply, .forward = fixture_forward, .allocated = fixture_allocated, .give = stream_give};

/* Makes requests come from a new connection of this address. */
static inline void stream_fixture_client(struct fixture *f, const char *text)
{
    fixture_client(f, text);
    f->client.ops = &stream_client_ops;
    f->client.transport = TURN_OVER_TCP;
    f->client.verified = true;
    f->client.key = turn_key_stream(++streams.serial);
}

static inline void stream_fixture_start(struct fixture *f, const char *extra)
{
    fixture_start(f, extra);
    memset(&streams, 0, sizeof streams);
    turn_server_set_streams(f->server, &stream_fixture_ops, f, 1000);
    stream_fixture_client(f, "192.0.2.1:5000");
}

static inline void stream_fixture_stop(struct fixture *f)
{
    fixture_stop(f);
    ck_assert_uint_eq(streams.listening, 0);
    ck_assert_uint_eq(streams.sockets, 0);
}

static inline void stream_fixture_begin_allocate(struct fixture *f)
{
    fixture_begin(f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f->writer, STUN_REQUESTED_TRANSPORT, 6u << 24);
}

static inline int stream_fixture_allocate(struct fixture *f)
{
    stream_fixture_begin_allocate(f);
    return fixture_request(f);
}

/* -1: no answer yet. */
static inline int stream_fixture_connect(struct fixture *f, const char *peer)
{
    struct netaddr a = address(peer);
    fixture_begin(f, STUN_METHOD_CONNECT);
    stun_put_xor_address(&f->writer, STUN_XOR_PEER_ADDRESS, &a);
    return fixture_request(f);
}

/* Reads what was answered without being asked at that moment. */
static inline int stream_fixture_answer(struct fixture *f)
{
    if (!f->answer_size)
        return -1;
    ck_assert_int_eq(stun_parse(f->answer_bytes, f->answer_size, &f->answer), ERR_OK);
    return fixture_code(f, true);
}

static inline uint32_t stream_fixture_id(struct fixture *f)
{
    uint32_t id = 0;
    ck_assert_int_eq(stun_get_u32(&f->answer, STUN_CONNECTION_ID, &id), ERR_OK);
    return id;
}

/* The peer has answered the SYN. The CONNECTION-ID. */
static inline uint32_t stream_fixture_connected(struct fixture *f)
{
    f->answer_size = 0;
    turn_peer_connection_connected(streams.connecting);
    ck_assert_int_eq(stream_fixture_answer(f), 0);
    return stream_fixture_id(f);
}

static inline int stream_fixture_bind(struct fixture *f, uint32_t id)
{
    fixture_begin(f, STUN_METHOD_CONNECTION_BIND);
    stun_put_u32(&f->writer, STUN_CONNECTION_ID, id);
    return fixture_request(f);
}

/* A peer connects to the current client's relay. */
static inline bool stream_fixture_knock(struct fixture *f, const char *peer)
{
    struct netaddr a = address(peer);
    f->answer_size = 0;
    bool taken = turn_peer_connection_accepted(fixture_relay(f, turn_family(&a)), PEER_FD, &a);
    streams.sockets += taken;
    return taken;
}

#endif
