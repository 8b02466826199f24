/*
 * A whole turn server without sockets. The input is a list of steps: one byte what, one byte whom, two bytes
 * length, then so many bytes. A step is a message from one of four clients (as it is, or with credentials of
 * one kind or another appended; by UDP, or with bit 6 of whom by a stream), a packet from a peer or, with bit
 * 7, an ICMP error about one, or time that passes, with a byte of data also another config. Connect and
 * ConnectionBind are the signed messages of higher numbers; time stands still where something happens to a
 * connection with a peer instead. Whatever comes, what is sent to peers and whom a connection is made with
 * must be allowed, challenges are whole and unsigned, and at the end nothing may be left.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fatal.h"
#include "common/log.h"
#include "edge/turn/turn_forward.h"
#include "edge/turn/turn_icmp.h"
#include "edge/turn/turn_peer_connection.h"
#include "edge/turn/turn_request.h"
#include "edge/turn/turn_server.h"
#include "proto/chandata.h"
#include "proto/stun_auth.h"
#include "proto/stun_ephemeral.h"
#include "proto/stun_nonce.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    CLIENTS = 4,
    STREAMS_MAX = 32,
    IDS = 8,
    PACKET_MAX = 2048,
    STEP_HEADER = 4,
    BY_STREAM = 0x40,
    ICMP_ERROR = 0x80
};
enum step { STEP_RAW, STEP_SIGNED, STEP_CHANNEL_DATA, STEP_FROM_PEER, STEP_TIME, STEPS };

/* What may happen to a connection with a peer: the higher digits of a step of time; further values: time. */
enum happening {
    HAPPENS_TIME,
    HAPPENS_CONNECTED,
    HAPPENS_FAILED,
    HAPPENS_ACCEPTED,
    HAPPENS_ENDED,
    HAPPENINGS
};

/* With which credentials a step is signed; further values: with none. */
enum credentials { USER_MD5, USER_SHA256, TOKEN_MD5, TOKEN_SHA256, CREDENTIALS };

static const uint8_t key_of_u[STUN_KEY_MD5] = "sixteen bytes..",
                     key_sha256_of_u[STUN_KEY_SHA256] = "32 bytes";
static struct turn_server *server;
static struct turn_relay *open_relays[64];
static unsigned n_relays;
static struct turn_relay *tcp_relays[64];
static unsigned n_tcp_relays;
static struct turn_peer_connection *connecting[STREAMS_MAX], *joined[STREAMS_MAX];
static unsigned n_connecting, n_joined, n_sockets;
static uint32_t ids[IDS]; /* the last CONNECTION-IDs that clients were told */
static unsigned n_ids;
static struct turn_client streams[CLIENTS];
static uint8_t memory[TURN_HEADROOM + PACKET_MAX + TURN_TAILROOM];

static void client_reply(struct turn_client *c, const uint8_t *message, size_t n)
{
    struct stun_msg m;
    (void)c;
    REQUIRE(stun_parse(message, n, &m) == ERR_OK && stun_check_fingerprint(&m));
    uint32_t id;
    if (stun_get_u32(&m, STUN_CONNECTION_ID, &id) == ERR_OK)
        ids[n_ids++ % IDS] = id;
    bool is_signed = stun_has(&m, STUN_MESSAGE_INTEGRITY) || stun_has(&m, STUN_MESSAGE_INTEGRITY_SHA256);
    REQUIRE(!(stun_has(&m, STUN_MESSAGE_INTEGRITY) && stun_has(&m, STUN_MESSAGE_INTEGRITY_SHA256)));
    int code;
    if (stun_get_error(&m, &code) == ERR_OK && (code == 401 || code == 438))
        REQUIRE(!is_signed && stun_has(&m, STUN_REALM) && stun_get(&m, STUN_NONCE).len == STUN_NONCE_TEXT &&
                stun_has(&m, STUN_PASSWORD_ALGORITHMS) == (server->offer.algorithms_len > 0));
}

static void client_forward(struct turn_client *c, uint8_t *message, size_t n)
{
    struct stun_msg m;
    struct chandata d;
    (void)c;
    REQUIRE(message >= memory && message + n <= memory + sizeof memory);
    REQUIRE(chandata_is(message[0]) ? chandata_parse(message, n, &d) == ERR_OK
                                    : stun_parse(message, n, &m) == ERR_OK);
}

static void client_allocated(struct turn_client *c, bool is)
{
    (void)c;
    (void)is;
}

static enum err relay_open(void *net, struct turn_relay *relay, const struct netaddr *addr)
{
    (void)net;
    (void)addr;
    if (n_relays == sizeof open_relays / sizeof *open_relays)
        return ERR_FULL;
    open_relays[n_relays++] = relay;
    return ERR_OK;
}

static void relay_close(void *net, struct turn_relay *relay)
{
    (void)net;
    for (unsigned i = 0; i < n_relays; i++)
        if (open_relays[i] == relay) {
            open_relays[i] = open_relays[--n_relays];
            return;
        }
    fatal("a relay was closed that was not open");
}

static void relay_send(void *net, struct turn_relay *relay, const struct turn_target *peer, uint8_t *data,
                       size_t n)
{
    struct netaddr to;
    (void)net;
    (void)relay;
    REQUIRE(data >= memory && data + n <= memory + sizeof memory);
    REQUIRE(netaddr_from_sockaddr(&peer->to.any, peer->len, &to) == ERR_OK && to.port != 0);
    REQUIRE(turn_policy_judge(server->policy, &to) == TURN_PEER_ALLOWED);
}

/* Connections with peers -------------------------------------------------------------------------------- */

static enum err stream_listen(void *net, struct turn_relay *relay, const struct netaddr *addr)
{
    (void)net;
    (void)addr;
    if (n_tcp_relays == sizeof tcp_relays / sizeof *tcp_relays)
        return ERR_FULL;
    tcp_relays[n_tcp_relays++] = relay;
    return ERR_OK;
}

static void stream_unlisten(void *net, struct turn_relay *relay)
{
    (void)net;
    for (unsigned i = 0; i < n_tcp_relays; i++)
        if (tcp_relays[i] == relay) {
            tcp_relays[i] = tcp_relays[--n_tcp_relays];
            return;
        }
    fatal("a relay was closed that did not listen");
}

static void forget(struct turn_peer_connection **list, unsigned *n, const struct turn_peer_connection *c)
{
    for (unsigned i = 0; i < *n; i++)
        if (list[i] == c)
            list[i] = list[--*n];
}

static enum err stream_connect(void *net, struct turn_peer_connection *c, const struct netaddr *from,
                               const struct netaddr *to)
{
    (void)net;
    REQUIRE(from->family == to->family && to->port != 0);
    REQUIRE(turn_policy_judge(server->policy, to) == TURN_PEER_ALLOWED ||
            turn_policy_judge(server->policy, &c->peer) == TURN_PEER_ALLOWED);
    if (n_sockets == STREAMS_MAX)
        return ERR_FULL;
    c->socket.fd = 1000;
    n_sockets++;
    connecting[n_connecting++] = c;
    return ERR_OK;
}

static void stream_close(void *net, struct turn_peer_connection *c)
{
    (void)net;
    if (c->splice || c->socket.fd >= 0)
        n_sockets--;
    forget(connecting, &n_connecting, c);
    forget(joined, &n_joined, c);
    c->splice = NULL;
    c->socket.fd = -1;
}

static void stream_join(void *net, struct turn_client *client, const struct turn_join *j)
{
    (void)net;
    (void)client;
    REQUIRE(j->connection && j->fd == 1000 && n_joined < STREAMS_MAX);
    j->connection->splice = (struct turn_splice *)(void *)memory; /* any but NULL */
    joined[n_joined++] = j->connection;
}

/* There is one worker. */
static enum err stream_ask(void *net, uint32_t worker, uint32_t id)
{
    (void)net;
    fatal("worker %u was asked for connection %u", worker, id);
}

static enum err stream_hand(void *net, uint32_t worker, uint32_t id, int fd)
{
    (void)net;
    (void)fd;
    fatal("worker %u was handed connection %u", worker, id);
}

static void stream_tell(void *net, uint32_t worker, uint32_t id)
{
    (void)net;
    (void)worker;
    (void)id;
}

static void client_give(struct turn_client *c, turn_client_taker *take, void *ctx)
{
    (void)c;
    (void)take;
    (void)ctx;
}

static const struct turn_stream_ops stream_ops = {.listen = stream_listen,
                                                  .unlisten = stream_unlisten,
                                                  .connect = stream_connect,
                                                  .close = stream_close,
                                                  .join = stream_join,
                                                  .ask = stream_ask,
                                                  .hand = stream_hand,
                                                  .tell = stream_tell};

static void happen(enum happening what, unsigned whom, const uint8_t *data, size_t n)
{
    struct netaddr peer = {.family = AF_INET, .ip = {198, 51, 100, 1}};
    struct turn_peer_connection *c;
    switch (what) {
    case HAPPENS_CONNECTED:
    case HAPPENS_FAILED:
        if (!n_connecting)
            return;
        c = connecting[whom % n_connecting];
        if (what == HAPPENS_CONNECTED) {
            forget(connecting, &n_connecting, c);
            turn_peer_connection_connected(c);
        } else {
            turn_peer_connection_failed(c);
        }
        return;
    case HAPPENS_ACCEPTED:
        peer.port = (uint16_t)(2000 + (n ? data[0] : 0));
        if (n_tcp_relays && n_sockets < STREAMS_MAX &&
            turn_peer_connection_accepted(tcp_relays[whom % n_tcp_relays], 1000, &peer))
            n_sockets++;
        return;
    case HAPPENS_ENDED:
        if (n_joined) {
            c = joined[whom % n_joined];
            stream_close(NULL, c);
            turn_peer_connection_ended(c);
        }
        return;
    case HAPPENS_TIME:
    case HAPPENINGS:
        return;
    }
}

static const struct turn_client_ops client_ops = {
    .reply = client_reply, .forward = client_forward, .allocated = client_allocated};
static const struct turn_client_ops stream_client_ops = {
    .reply = client_reply, .forward = client_forward, .allocated = client_allocated, .give = client_give};
static const struct turn_net_ops net_ops = {relay_open, relay_close, relay_send, relay_send};

static struct netaddr address(const char *text)
{
    struct netaddr a;
    REQUIRE(netaddr_parse(text, 0, &a) == ERR_OK);
    return a;
}

/* Which of users, secrets and algorithms there are: the bits of `what`. */
static struct turn_config config_make(uint8_t what)
{
    struct turn_config c;
    struct netaddr bind = address("10.0.0.36"), public = address("203.0.113.10"),
                   six = address("2001:db8::10");
    turn_config_init(&c);
    memset(c.nonce_key, 0, sizeof c.nonce_key);
    turn_config_set_realm(&c, "r");
    if (!(what & 1))
        turn_config_add_keys(&c, "u", key_of_u, what & 2 ? NULL : key_sha256_of_u);
    if (!(what & 4))
        turn_config_add_secret(&c, "secret");
    c.n_algorithms = what & 8 ? 1 : 2;
    c.algorithms[0] = what & 16 ? STUN_ALGORITHM_MD5 : STUN_ALGORITHM_SHA256;
    c.algorithms[1] = what & 16 ? STUN_ALGORITHM_SHA256 : STUN_ALGORITHM_MD5;
    turn_config_add_relay(&c, &bind, &public);
    turn_config_add_relay(&c, &six, &six);
    if (what & 32)
        c.alternates[c.n_alternates++] = address("203.0.113.11:3478");
    if (what & 64)
        c.quota_total = 1;
    if (what & 128) {
        c.allocation_kbps = c.user_kbps = 32;
        c.software = strdup("fuzz");
    }
    c.port_min = 30000;
    c.port_max = 30015;
    c.quota_user = 8;
    c.permissions_max = c.channels_max = 4;
    return c;
}

static void server_start(void)
{
    struct turn_shared *shared;
    struct netaddr listening = address("10.0.0.36:3478");
    struct turn_config c = config_make(0);
    log_set_level(LOG_ERR);
    REQUIRE(turn_shared_attach(-1, &c, &shared) == ERR_OK);
    server = turn_server_new(&c, shared, &listening, 1, &net_ops, NULL, 1000, 1000);
    REQUIRE(server != NULL);
    turn_server_set_streams(server, &stream_ops, NULL, STREAMS_MAX / 2);
}

static void server_change(uint8_t what)
{
    char why[200];
    struct turn_config c = config_make(what);
    REQUIRE(turn_server_reconfigure(server, &c, why, sizeof why) == ERR_OK);
}

static struct turn_client client_make(unsigned i)
{
    struct turn_client c = {.ops = &client_ops};
    c.address = address(i % 2 ? "[2001:db8:1::1]:1000" : "192.0.2.1:1000");
    c.address.port = (uint16_t)(1000 + i % CLIENTS);
    c.server = address("10.0.0.36:3478");
    c.key = turn_key_udp(&c.address, 0);
    if (i & BY_STREAM) {
        c.transport = i & 2 ? TURN_OVER_TLS : TURN_OVER_TCP;
        c.key = turn_key_stream(i % CLIENTS);
        c.ops = &stream_client_ops;
        c.verified = true;
    }
    return c;
}

static void put_key_and_name(struct stun_writer *w, enum credentials with, struct stun_key *key)
{
    bool md5 = with == USER_MD5 || with == TOKEN_MD5;
    uint8_t hash[STUN_USERHASH_SIZE];
    char name[40], password[STUN_EPHEMERAL_PASSWORD + 1];
    *key = (struct stun_key){.len = md5 ? STUN_KEY_MD5 : STUN_KEY_SHA256};
    if (with == USER_MD5 || with == USER_SHA256) {
        memcpy(key->bytes, md5 ? key_of_u : key_sha256_of_u, key->len);
        stun_userhash("u", "r", hash);
        if (md5)
            stun_put(w, STUN_USERNAME, "u", 1);
        else
            stun_put(w, STUN_USERHASH, hash, sizeof hash);
        return;
    }
    /* ends within the minute, so that it is over now and then */
    snprintf(name, sizeof name, "%u%s", server->wall / 60 * 60 + 60, server->wall & 1 ? ":x" : "");
    stun_ephemeral_password("secret", name, strlen(name), password);
    REQUIRE(stun_long_term_key(md5 ? STUN_ALGORITHM_MD5 : STUN_ALGORITHM_SHA256, name, "r", password, key) ==
            ERR_OK);
    stun_put(w, STUN_USERNAME, name, strlen(name));
}

static void put_credentials(struct stun_writer *w, const struct turn_client *c, enum credentials with)
{
    static const uint8_t chosen[] = {0, STUN_ALGORITHM_SHA256, 0, 0};
    struct stun_key key;
    char nonce[STUN_NONCE_TEXT];
    stun_nonce_make(server->config.nonce_key, server->wall, &c->address, &server->offer, nonce);
    put_key_and_name(w, with, &key);
    stun_put(w, STUN_REALM, "r", 1);
    stun_put(w, STUN_NONCE, nonce, sizeof nonce);
    if (with == USER_MD5 || with == TOKEN_MD5) {
        stun_put_integrity(w, key.bytes, key.len);
        return;
    }
    stun_put(w, STUN_PASSWORD_ALGORITHMS, server->offer.algorithms, server->offer.algorithms_len);
    stun_put(w, STUN_PASSWORD_ALGORITHM, chosen, sizeof chosen);
    stun_put_integrity_sha256(w, key.bytes, key.len);
}

/* The attributes of the step, with a header that fits and, if wanted, credentials. */
static size_t message_make(const struct turn_client *c, uint16_t method, enum credentials with,
                           const uint8_t *attributes, size_t n, uint8_t *out)
{
    static const uint8_t transaction[STUN_TRANSACTION];
    struct stun_writer w;
    size_t size = 0;
    stun_begin(&w, out, PACKET_MAX, method, method == STUN_METHOD_SEND ? STUN_INDICATION : STUN_REQUEST,
               transaction);
    wire_put_bytes(&w.wire, attributes, n & ~(size_t)3);
    if (method == STUN_METHOD_CONNECTION_BIND && n < 4) /* with one that there is, or was */
        stun_put_u32(&w, STUN_CONNECTION_ID, ids[(n ? attributes[0] : 0) % IDS]);
    if (with < CREDENTIALS)
        put_credentials(&w, c, with);
    return stun_end(&w, &size) == ERR_OK ? size : 0;
}

static void step_run(unsigned what, unsigned whom, const uint8_t *data, size_t n)
{
    static const uint16_t methods[] = {
        STUN_METHOD_ALLOCATE,     STUN_METHOD_REFRESH, STUN_METHOD_CREATE_PERMISSION,
        STUN_METHOD_CHANNEL_BIND, STUN_METHOD_SEND,    STUN_METHOD_BINDING};
    static const uint16_t of_streams[] = {STUN_METHOD_CONNECT, STUN_METHOD_CONNECTION_BIND};
    struct turn_client made = client_make(whom), *c = &made;
    unsigned method = what / STEPS % 6, with = what / STEPS / 6, more = what / STEPS;
    uint8_t *packet = memory + TURN_HEADROOM;
    struct netaddr peer = address("198.51.100.1:2000");
    if (whom & BY_STREAM) { /* what waits for a peer goes back to the stream that asked */
        c = &streams[whom % CLIENTS];
        *c = made;
    }
    switch (what % STEPS) {
    case STEP_RAW:
        memcpy(packet, data, n);
        turn_request_receive(server, c, packet, n);
        break;
    case STEP_SIGNED:
        n = with > CREDENTIALS ? message_make(c, of_streams[method % 2],
                                              (enum credentials)(with - CREDENTIALS - 1), data, n, packet)
                               : message_make(c, methods[method], (enum credentials)with, data, n, packet);
        if (n)
            turn_request_receive(server, c, packet, n);
        break;
    case STEP_CHANNEL_DATA:
        memcpy(packet, data, n);
        turn_forward_channel_data(server, &c->key, packet, n);
        break;
    case STEP_FROM_PEER:
        memcpy(packet, data, n);
        peer.port = (uint16_t)(2000 + whom % 4);
        if (n_relays && whom & ICMP_ERROR && n >= 6)
            turn_icmp_report(open_relays[whom % n_relays], &peer, data[0], data[1],
                             (uint32_t)data[2] << 24 | (uint32_t)data[3] << 16 | (uint32_t)data[4] << 8 |
                                 data[5]);
        else if (n_relays)
            turn_forward_from_peer(open_relays[whom % n_relays], &peer, packet, n);
        break;
    case STEP_TIME:
        if (more > HAPPENS_TIME && more < HAPPENINGS) {
            happen((enum happening)more, whom, data, n);
            break;
        }
        turn_server_tick(server, server->now + whom * 4, server->wall + whom * 4);
        turn_server_sweep(server, whom);
        if (n)
            server_change(data[0]);
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!server)
        server_start();
    server_change(0);
    memset(ids, 0, sizeof ids);
    n_ids = 0;
    while (n >= STEP_HEADER) {
        size_t len = (size_t)data[2] << 8 | data[3];
        len = len > n - STEP_HEADER ? n - STEP_HEADER : len;
        len = len > PACKET_MAX - 300 ? PACKET_MAX - 300 : len;
        step_run(data[0], data[1], data + STEP_HEADER, len);
        data += STEP_HEADER + len;
        n -= STEP_HEADER + len;
    }
    /* Everything runs out: allocations at most an hour later, reservations half a minute. */
    for (int i = 0; i < 5; i++) {
        turn_server_tick(server, server->now + 1000, server->wall + 1000);
        turn_server_sweep(server, UINT32_MAX);
    }
    REQUIRE(n_relays == 0 && server->allocations.count == 0 && server->permissions.count == 0 &&
            server->accounts.ephemerals.count == 0);
    REQUIRE(server->channels.count == 0 && server->peers.count == 0 &&
            turn_shared_total(server->shared) == 0);
    REQUIRE(n_tcp_relays == 0 && n_connecting == 0 && n_joined == 0 && n_sockets == 0 &&
            server->connections.count == 0);
    REQUIRE(turn_shared_ports_used(server->shared, 0) == 0 && turn_shared_ports_used(server->shared, 1) == 0);
    return 0;
}
