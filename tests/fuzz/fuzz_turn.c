/*
 * A whole turn server without sockets. The input is a list of steps: one byte what, one byte whom, two bytes
 * length, then so many bytes. A step is a message from one of four clients (as it is, or with credentials
 * appended), a packet from a peer, or time that passes. Whatever comes, what is sent to peers must be
 * allowed, and at the end nothing may be left.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/fatal.h"
#include "common/log.h"
#include "edge/turn/turn_forward.h"
#include "edge/turn/turn_request.h"
#include "edge/turn/turn_server.h"
#include "proto/chandata.h"
#include "proto/stun_auth.h"
#include "proto/stun_nonce.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { CLIENTS = 4, PACKET_MAX = 2048, STEP_HEADER = 4 };
enum step { STEP_RAW, STEP_SIGNED, STEP_CHANNEL_DATA, STEP_FROM_PEER, STEP_TIME, STEPS };

static const uint8_t key_of_u[STUN_KEY_MD5] = "sixteen bytes..";
static struct turn_server *server;
static struct turn_relay *open_relays[64];
static unsigned n_relays;
static uint8_t memory[TURN_HEADROOM + PACKET_MAX + TURN_TAILROOM];

static void client_reply(struct turn_client *c, const uint8_t *message, size_t n)
{
    struct stun_msg m;
    (void)c;
    REQUIRE(stun_parse(message, n, &m) == ERR_OK && stun_check_fingerprint(&m));
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

static const struct turn_client_ops client_ops = {
    .reply = client_reply, .forward = client_forward, .allocated = client_allocated};
static const struct turn_net_ops net_ops = {relay_open, relay_close, relay_send, relay_send};

static struct netaddr address(const char *text)
{
    struct netaddr a;
    REQUIRE(netaddr_parse(text, 0, &a) == ERR_OK);
    return a;
}

static void server_start(void)
{
    struct turn_config c;
    struct turn_shared *shared;
    struct netaddr bind = address("10.0.0.36"), public = address("203.0.113.10"),
                   six = address("2001:db8::10");
    struct netaddr listening = address("10.0.0.36:3478");
    log_set_level(LOG_ERR);
    turn_config_init(&c);
    memset(c.nonce_key, 0, sizeof c.nonce_key);
    turn_config_set_realm(&c, "r");
    turn_config_add_keys(&c, "u", key_of_u, NULL);
    turn_config_add_relay(&c, &bind, &public);
    turn_config_add_relay(&c, &six, &six);
    c.port_min = 30000;
    c.port_max = 30015;
    c.quota_user = 8;
    c.permissions_max = c.channels_max = 4;
    REQUIRE(turn_shared_attach(-1, &c, &shared) == ERR_OK);
    server = turn_server_new(&c, shared, &listening, 1, &net_ops, NULL, 1000, 1000);
    REQUIRE(server != NULL);
}

static struct turn_client client_make(unsigned i)
{
    struct turn_client c = {.ops = &client_ops};
    c.address = address(i % 2 ? "[2001:db8:1::1]:1000" : "192.0.2.1:1000");
    c.address.port = (uint16_t)(1000 + i % CLIENTS);
    c.server = address("10.0.0.36:3478");
    c.key = turn_key_udp(&c.address, 0);
    return c;
}

/* The attributes of the step, with a header that fits and, if wanted, credentials. */
static size_t message_make(const struct turn_client *c, uint16_t method, bool sign, const uint8_t *attributes,
                           size_t n, uint8_t *out)
{
    static const uint8_t transaction[STUN_TRANSACTION];
    struct stun_writer w;
    char nonce[STUN_NONCE_TEXT];
    size_t size = 0;
    stun_begin(&w, out, PACKET_MAX, method, method == STUN_METHOD_SEND ? STUN_INDICATION : STUN_REQUEST,
               transaction);
    wire_put_bytes(&w.wire, attributes, n & ~(size_t)3);
    if (sign) {
        stun_nonce_make(server->config.nonce_key, server->wall, &c->address, &server->offer, nonce);
        stun_put(&w, STUN_USERNAME, "u", 1);
        stun_put(&w, STUN_REALM, "r", 1);
        stun_put(&w, STUN_NONCE, nonce, sizeof nonce);
        stun_put_integrity(&w, key_of_u, sizeof key_of_u);
    }
    return stun_end(&w, &size) == ERR_OK ? size : 0;
}

static void step_run(unsigned what, unsigned whom, const uint8_t *data, size_t n)
{
    static const uint16_t methods[] = {
        STUN_METHOD_ALLOCATE,     STUN_METHOD_REFRESH, STUN_METHOD_CREATE_PERMISSION,
        STUN_METHOD_CHANNEL_BIND, STUN_METHOD_SEND,    STUN_METHOD_BINDING};
    struct turn_client c = client_make(whom);
    uint8_t *packet = memory + TURN_HEADROOM;
    struct netaddr peer = address("198.51.100.1:2000");
    switch (what % STEPS) {
    case STEP_RAW:
        memcpy(packet, data, n);
        turn_request_receive(server, &c, packet, n);
        break;
    case STEP_SIGNED:
        n = message_make(&c, methods[what / STEPS % 6], what / STEPS < 24, data, n, packet);
        if (n)
            turn_request_receive(server, &c, packet, n);
        break;
    case STEP_CHANNEL_DATA:
        memcpy(packet, data, n);
        turn_forward_channel_data(server, &c.key, packet, n);
        break;
    case STEP_FROM_PEER:
        memcpy(packet, data, n);
        peer.port = (uint16_t)(2000 + whom % 4);
        if (n_relays)
            turn_forward_from_peer(open_relays[whom % n_relays], &peer, packet, n);
        break;
    case STEP_TIME:
        turn_server_tick(server, server->now + whom * 4, server->wall + whom * 4);
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!server)
        server_start();
    while (n >= STEP_HEADER) {
        size_t len = (size_t)data[2] << 8 | data[3];
        len = len > n - STEP_HEADER ? n - STEP_HEADER : len;
        len = len > PACKET_MAX - 200 ? PACKET_MAX - 200 : len;
        step_run(data[0], data[1], data + STEP_HEADER, len);
        data += STEP_HEADER + len;
        n -= STEP_HEADER + len;
    }
    /* Everything runs out: allocations at most an hour later, reservations half a minute. */
    for (int i = 0; i < 5; i++)
        turn_server_tick(server, server->now + 1000, server->wall + 1000);
    REQUIRE(n_relays == 0 && server->allocations.count == 0 && server->permissions.count == 0);
    REQUIRE(server->channels.count == 0 && server->peers.count == 0 &&
            turn_shared_total(server->shared) == 0);
    REQUIRE(turn_shared_ports_used(server->shared, 0) == 0 && turn_shared_ports_used(server->shared, 1) == 0);
    return 0;
}
