/*
 * A turn server without sockets: its clock is set by the test, what it sends is kept for looking at.
 *
 *   struct fixture f;
 *   fixture_start(&f, "\"quota\":{\"user\":1}");      users "alice" and "bob", relays 203.0.113.10 and
 * 2001:db8::10 fixture_begin(&f, STUN_METHOD_ALLOCATE); stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u
 * << 24); ck_assert_int_eq(fixture_request(&f), 0);           signed, sent; 0 or the error code; the answer
 * is in f.answer
 */
#ifndef TESTS_UNIT_TURN_FIXTURE_H
#define TESTS_UNIT_TURN_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/turn/turn_forward.h"
#include "edge/turn/turn_request.h"
#include "edge/turn/turn_server.h"
#include "proto/chandata.h"
#include "proto/stun_auth.h"
#include "proto/stun_nonce.h"
#include "tests/unit/unit.h"

enum { FIXTURE_PACKET = 70000, FIXTURE_NOW = 100000, FIXTURE_WALL = 1700000000 };

struct fixture {
    struct turn_server *server;
    struct turn_client client;
    struct stun_writer writer;
    const char *user, *password; /* what fixture_request signs with */
    uint32_t now;

    uint8_t request[4096];
    uint8_t answer_bytes[4096];
    size_t answer_size; /* 0: none */
    struct stun_msg answer;
    unsigned transactions;

    /* What the last challenge said, for fixture_log_in; without a nonce requests are signed in the old way.
     */
    struct fixture_challenge {
        char realm[128], nonce[128];
        size_t realm_len, nonce_len;
        uint8_t algorithms[64];
        size_t algorithms_len; /* 0: no PASSWORD-ALGORITHMS */
    } challenge;

    uint8_t to_client[FIXTURE_PACKET]; /* the last packet forwarded to a client */
    size_t to_client_size;
    unsigned n_to_client;
    struct turn_client *to_client_of;

    uint8_t to_peer[FIXTURE_PACKET]; /* the last packet sent to a peer through the network */
    size_t to_peer_size;
    unsigned n_to_peer, n_whole;
    struct netaddr peer;
    struct turn_relay *from_relay;

    unsigned relays_open;
    uint16_t taken; /* relay_open finds this port taken by another program */
    enum err open_error;
    bool has_allocation;
    uint8_t packet[TURN_HEADROOM + FIXTURE_PACKET + TURN_TAILROOM];
};

/* The one fixture of the running test, for the callbacks. */
static struct fixture *fixture;

static inline void fixture_reply(struct turn_client *c, const uint8_t *message, size_t n)
{
    (void)c;
    ck_assert_uint_le(n, sizeof fixture->answer_bytes);
    memcpy(fixture->answer_bytes, message, n);
    fixture->answer_size = n;
}

static inline void fixture_forward(struct turn_client *c, uint8_t *message, size_t n)
{
    memcpy(fixture->to_client, message, n);
    fixture->to_client_size = n;
    fixture->to_client_of = c;
    fixture->n_to_client++;
}

static inline void fixture_allocated(struct turn_client *c, bool is)
{
    (void)c;
    fixture->has_allocation = is;
}

static inline enum err fixture_relay_open(void *net, struct turn_relay *relay, const struct netaddr *addr)
{
    (void)net;
    (void)relay;
    if (fixture->open_error != ERR_OK)
        return fixture->open_error;
    if (addr->port == fixture->taken)
        return ERR_EXISTS;
    fixture->relays_open++;
    return ERR_OK;
}

static inline void fixture_relay_close(void *net, struct turn_relay *relay)
{
    (void)net;
    (void)relay;
    fixture->relays_open--;
}

static inline void fixture_relay_send(void *net, struct turn_relay *relay, const struct turn_target *peer,
                                      uint8_t *data, size_t n)
{
    (void)net;
    memcpy(fixture->to_peer, data, n);
    fixture->to_peer_size = n;
    fixture->n_to_peer++;
    fixture->from_relay = relay;
    ck_assert_int_eq(netaddr_from_sockaddr(&peer->to.any, peer->len, &fixture->peer), ERR_OK);
}

static inline void fixture_relay_send_whole(void *net, struct turn_relay *relay,
                                            const struct turn_target *peer, uint8_t *data, size_t n)
{
    fixture->n_whole++;
    fixture_relay_send(net, relay, peer, data, n);
}

static const struct turn_client_ops fixture_client_ops = {
    .reply = fixture_reply, .forward = fixture_forward, .allocated = fixture_allocated};
static const struct turn_net_ops fixture_net_ops = {fixture_relay_open, fixture_relay_close,
                                                    fixture_relay_send, fixture_relay_send_whole};

static inline struct netaddr address(const char *text)
{
    struct netaddr a;
    ck_assert_msg(netaddr_parse(text, 0, &a) == ERR_OK, "%s", text);
    return a;
}

/* Makes requests come from this address: "192.0.2.1:5000". */
static inline void fixture_client(struct fixture *f, const char *text)
{
    f->client = (struct turn_client){.ops = &fixture_client_ops, .via = f, .transport = TURN_OVER_UDP};
    f->client.address = address(text);
    f->client.server = address("10.0.0.36:3478");
    f->client.key = turn_key_udp(&f->client.address, 0);
    turn_target_set(&f->client.target, &f->client.address);
}

static inline struct turn_config fixture_config(const char *extra)
{
    char text[2000], why[200] = "";
    struct turn_config c;
    snprintf(text, sizeof text,
             "{\"realm\":\"example.org\",\"users\":[{\"name\":\"alice\",\"password\":\"apple\"},"
             "{\"name\":\"bob\",\"password\":\"banana\"}],%s%s%s}",
             extra, *extra ? "," : "",
             strstr(extra, "\"relays\"")
                 ? "\"software\":\"Stile\""
                 : "\"relays\":[{\"bind\":\"203.0.113.10\"},{\"bind\":\"2001:db8::10\"}]");
    json_t *json = json_loads(text, 0, NULL);
    ck_assert_msg(json != NULL, "%s", text);
    enum err e = turn_config_from_json(json, &c, why, sizeof why);
    ck_assert_msg(e == ERR_OK, "%s", why);
    json_decref(json);
    return c;
}

static inline void fixture_start(struct fixture *f, const char *extra)
{
    struct netaddr listening = address("10.0.0.36:3478");
    struct turn_config c = fixture_config(extra);
    struct turn_shared *shared;
    memset(f, 0, sizeof *f);
    fixture = f;
    log_set_level(LOG_ERR);
    ck_assert_int_eq(turn_shared_attach(-1, &c, &shared), ERR_OK);
    f->now = FIXTURE_NOW;
    f->user = "alice";
    f->password = "apple";
    f->server = turn_server_new(&c, shared, &listening, 1, &fixture_net_ops, f, f->now, FIXTURE_WALL);
    ck_assert_ptr_nonnull(f->server);
    f->server->moment = (uint64_t)f->now * 1000000000;
    fixture_client(f, "192.0.2.1:5000");
}

/* Nothing may be left behind. */
static inline void fixture_stop(struct fixture *f)
{
    turn_server_free(f->server);
    ck_assert_uint_eq(f->relays_open, 0);
}

static inline void fixture_pass(struct fixture *f, uint32_t seconds)
{
    for (uint32_t i = 0; i < seconds; i++) {
        f->now++;
        f->server->moment = (uint64_t)f->now * 1000000000;
        turn_server_tick(f->server, f->now, FIXTURE_WALL + f->now - FIXTURE_NOW);
        ck_assert(turn_server_sweep(f->server, UINT32_MAX));
    }
}

/* Hands n bytes to the server as the network would; true when an answer came. */
static inline bool fixture_deliver(struct fixture *f, const void *message, size_t n)
{
    uint8_t *packet = f->packet + TURN_HEADROOM;
    memmove(packet, message, n);
    f->answer_size = 0;
    turn_request_receive(f->server, &f->client, packet, n);
    if (!f->answer_size)
        return false;
    ck_assert_int_eq(stun_parse(f->answer_bytes, f->answer_size, &f->answer), ERR_OK);
    ck_assert_mem_eq(f->answer.transaction, ((const uint8_t *)message) + 8, STUN_TRANSACTION);
    return true;
}

static inline void fixture_begin_class(struct fixture *f, uint16_t method, enum stun_class class)
{
    uint8_t transaction[STUN_TRANSACTION] = "transaction";
    f->transactions++;
    memcpy(transaction, &f->transactions, sizeof f->transactions);
    stun_begin(&f->writer, f->request, sizeof f->request, method, class, transaction);
}

static inline void fixture_begin(struct fixture *f, uint16_t method)
{
    fixture_begin_class(f, method, STUN_REQUEST);
}

/* 0 for success, the code of an error, -1 for silence. */
static inline int fixture_code(struct fixture *f, bool answered)
{
    int code = 0;
    if (!answered)
        return -1;
    if (f->answer.class == STUN_ERROR)
        ck_assert_int_eq(stun_get_error(&f->answer, &code), ERR_OK);
    return code;
}

/* Sends what was begun, without credentials. */
static inline int fixture_plain(struct fixture *f)
{
    size_t n;
    ck_assert_int_eq(stun_end(&f->writer, &n), ERR_OK);
    return fixture_code(f, fixture_deliver(f, f->request, n));
}

static inline void fixture_sign(struct fixture *f)
{
    struct stun_key key;
    char nonce[STUN_NONCE_TEXT];
    stun_nonce_make(f->server->config.nonce_key, f->server->wall, &f->client.address, &f->server->offer,
                    nonce);
    stun_put(&f->writer, STUN_USERNAME, f->user, strlen(f->user));
    stun_put(&f->writer, STUN_REALM, "example.org", 11);
    stun_put(&f->writer, STUN_NONCE, nonce, sizeof nonce);
    ck_assert_int_eq(stun_long_term_key(STUN_ALGORITHM_MD5, f->user, "example.org", f->password, &key),
                     ERR_OK);
    stun_put_integrity(&f->writer, key.bytes, key.len);
}

static inline size_t fixture_copy(enum stun_attr a, void *out, size_t size)
{
    struct stun_value v = stun_get(&fixture->answer, a);
    ck_assert_uint_le(v.len, size);
    if (v.len)
        memcpy(out, v.at, v.len);
    return v.len;
}

/* Keeps what a 401 or 438 says (RFC 8489 §9.2.5); it must be whole, short, and unsigned. */
static inline void fixture_take_challenge(struct fixture *f)
{
    struct fixture_challenge *c = &f->challenge;
    c->realm_len = fixture_copy(STUN_REALM, c->realm, sizeof c->realm);
    c->nonce_len = fixture_copy(STUN_NONCE, c->nonce, sizeof c->nonce);
    c->algorithms_len = fixture_copy(STUN_PASSWORD_ALGORITHMS, c->algorithms, sizeof c->algorithms);
    uint32_t features = stun_nonce_features(stun_get(&f->answer, STUN_NONCE));
    ck_assert(c->realm_len > 0 && c->nonce_len > 0);
    ck_assert(!(features & STUN_FEATURE_PASSWORD_ALGORITHMS) == !c->algorithms_len);
    ck_assert(!stun_has(&f->answer, STUN_USERNAME) && !stun_has(&f->answer, STUN_USERHASH));
    ck_assert(!stun_has(&f->answer, STUN_MESSAGE_INTEGRITY) &&
              !stun_has(&f->answer, STUN_MESSAGE_INTEGRITY_SHA256));
}

/* Asks for a challenge as RFC 8489 §9.2.3.1 has it; from now on requests are signed by what it says. */
static inline void fixture_log_in(struct fixture *f)
{
    fixture_begin(f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f->writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    ck_assert_int_eq(fixture_plain(f), 401);
    fixture_take_challenge(f);
}

/* The first algorithm of the list that we know, §9.2.5; MD5 without a list. */
static inline enum stun_algorithm fixture_algorithm(const struct fixture *f)
{
    const struct fixture_challenge *c = &f->challenge;
    for (size_t i = 0; i + 4 <= c->algorithms_len; i += 4)
        if (stun_algorithm_words(c->algorithms[i + 1]))
            return (enum stun_algorithm)c->algorithms[i + 1];
    ck_assert_uint_eq(c->algorithms_len, 0);
    return STUN_ALGORITHM_MD5;
}

static inline struct stun_key fixture_key(const struct fixture *f, enum stun_algorithm a)
{
    struct stun_key key;
    ck_assert_int_eq(stun_long_term_key(a, f->user, "example.org", f->password, &key), ERR_OK);
    return key;
}

/* Who we are, §9.2.5: hashed where that is offered. */
static inline void fixture_put_user(struct fixture *f)
{
    uint8_t userhash[STUN_USERHASH_SIZE];
    struct stun_value nonce = {(const uint8_t *)f->challenge.nonce, f->challenge.nonce_len};
    if (stun_nonce_features(nonce) & STUN_FEATURE_USERNAME_ANONYMITY) {
        stun_userhash(f->user, "example.org", userhash);
        stun_put(&f->writer, STUN_USERHASH, userhash, sizeof userhash);
    } else {
        stun_put(&f->writer, STUN_USERNAME, f->user, strlen(f->user));
    }
}

/* A client of RFC 8489, with what the challenge said. */
static inline int fixture_request_8489(struct fixture *f)
{
    const struct fixture_challenge *c = &f->challenge;
    enum stun_algorithm a = fixture_algorithm(f);
    struct stun_key key = fixture_key(f, a);
    uint8_t chosen[4] = {0, (uint8_t)a, 0, 0};
    fixture_put_user(f);
    stun_put(&f->writer, STUN_REALM, c->realm, c->realm_len);
    stun_put(&f->writer, STUN_NONCE, c->nonce, c->nonce_len);
    if (c->algorithms_len) {
        stun_put(&f->writer, STUN_PASSWORD_ALGORITHMS, c->algorithms, c->algorithms_len);
        stun_put(&f->writer, STUN_PASSWORD_ALGORITHM, chosen, sizeof chosen);
    }
    stun_put_integrity_sha256(&f->writer, key.bytes, key.len);
    int code = fixture_plain(f);
    if (code == 401 || code == 438) {
        fixture_take_challenge(f);
    } else if (code >= 0) {
        ck_assert(stun_has(&f->answer, STUN_MESSAGE_INTEGRITY) == !c->algorithms_len);
        ck_assert(c->algorithms_len ? stun_check_integrity_sha256(&f->answer, key.bytes, key.len, 32)
                                    : stun_check_integrity(&f->answer, key.bytes, key.len));
    }
    return code;
}

/* Sends what was begun, with credentials; checks that an authenticated answer is signed. */
static inline int fixture_request(struct fixture *f)
{
    if (f->challenge.nonce_len)
        return fixture_request_8489(f);
    fixture_sign(f);
    int code = fixture_plain(f);
    struct stun_key key = fixture_key(f, STUN_ALGORITHM_MD5);
    if (code >= 0 && code != 401 && code != 438)
        ck_assert(stun_check_integrity(&f->answer, key.bytes, key.len));
    return code;
}

static inline int fixture_allocate(struct fixture *f)
{
    fixture_begin(f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f->writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    return fixture_request(f);
}

static inline int fixture_refresh(struct fixture *f, uint32_t lifetime)
{
    fixture_begin(f, STUN_METHOD_REFRESH);
    stun_put_u32(&f->writer, STUN_LIFETIME, lifetime);
    return fixture_request(f);
}

static inline int fixture_permit(struct fixture *f, const char *peer)
{
    struct netaddr a = address(peer);
    fixture_begin(f, STUN_METHOD_CREATE_PERMISSION);
    stun_put_xor_address(&f->writer, STUN_XOR_PEER_ADDRESS, &a);
    return fixture_request(f);
}

static inline int fixture_bind(struct fixture *f, uint16_t number, const char *peer)
{
    struct netaddr a = address(peer);
    fixture_begin(f, STUN_METHOD_CHANNEL_BIND);
    stun_put_u32(&f->writer, STUN_CHANNEL_NUMBER, (uint32_t)number << 16);
    stun_put_xor_address(&f->writer, STUN_XOR_PEER_ADDRESS, &a);
    return fixture_request(f);
}

static inline void fixture_send(struct fixture *f, const char *peer, const void *data, size_t n)
{
    struct netaddr a = address(peer);
    fixture_begin_class(f, STUN_METHOD_SEND, STUN_INDICATION);
    stun_put_xor_address(&f->writer, STUN_XOR_PEER_ADDRESS, &a);
    stun_put(&f->writer, STUN_DATA, data, n);
    ck_assert_int_eq(fixture_plain(f), -1);
}

static inline void fixture_channel_data(struct fixture *f, uint16_t number, const void *data, size_t n)
{
    uint8_t *packet = f->packet + TURN_HEADROOM;
    chandata_write_header(packet, number, (uint16_t)n);
    memcpy(packet + CHANDATA_HEADER, data, n);
    turn_forward_channel_data(f->server, &f->client.key, packet, n + CHANDATA_HEADER);
}

/* The relay of the current client. */
static inline struct turn_relay *fixture_relay(struct fixture *f, enum turn_family family)
{
    struct turn_allocation *a = turn_allocation_find(f->server, &f->client.key);
    ck_assert_ptr_nonnull(a);
    return a->relays[family];
}

static inline void fixture_from_peer(struct fixture *f, const char *peer, const void *data, size_t n)
{
    struct netaddr a = address(peer);
    uint8_t *packet = f->packet + TURN_HEADROOM;
    memcpy(packet, data, n);
    turn_forward_from_peer(fixture_relay(f, turn_family(&a)), &a, packet, n);
}

#endif
