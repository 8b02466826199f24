/*
 * Raw datagrams into the DTLS side of a turn worker, sockets aside: what is there before a cookie, and the
 * handshake behind it. The input is a list of steps: one byte whom (four clients; 0x80: the cookie that this
 * client was sent last is put where the datagram has room for one), two bytes length, then so many bytes;
 * 0xff lets time pass. Whatever comes, without a cookie nothing is remembered and no answer is longer than
 * what was asked; limits hold, and at the end nothing is left.
 */
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "common/fatal.h"
#include "common/log.h"
#include "common/tls.h"
#include "edge/turn/turn_dtls.h"
#include "edge/turn/turn_dtls_cookie.h"
#include "edge/turn/turn_relay.h"
#include "edge/turn/turn_udp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { CLIENTS = 4, STEP_HEADER = 3, COOKIE_OF_VERIFY = 13 + 12 + 3, SESSION_ID = 13 + 12 + 2 + 32 };

static struct turn_server *server;
static struct turn_admission *admission;
static struct turn_dtls *dtls;
static struct turn_tls tls;
static uint8_t cookies[CLIENTS][TURN_DTLS_COOKIE_SIZE];
static uint8_t slots[8][TURN_HEADROOM + TURN_PACKET_MAX];
static size_t answered; /* bytes, since the datagram being handled */

static uint8_t *net_slot(void *net)
{
    static unsigned next;
    (void)net;
    return slots[next++ % 8] + TURN_HEADROOM;
}

static void net_send(void *net, void *listener, const struct turn_target *to, const void *data, size_t n)
{
    const uint8_t *bytes = data;
    (void)net, (void)listener;
    answered += n;
    if (n == COOKIE_OF_VERIFY + TURN_DTLS_COOKIE_SIZE && bytes[13] == DTLS1_MT_HELLO_VERIFY_REQUEST)
        memcpy(cookies[ntohs(to->to.in.sin_port) % CLIENTS], bytes + COOKIE_OF_VERIFY, TURN_DTLS_COOKIE_SIZE);
}

static enum err relay_open(void *net, struct turn_relay *relay, const struct netaddr *addr)
{
    (void)net, (void)relay, (void)addr;
    return ERR_FULL;
}

static void relay_close(void *net, struct turn_relay *relay)
{
    (void)net, (void)relay;
}

static void relay_send(void *net, struct turn_relay *relay, const struct turn_target *peer, uint8_t *data,
                       size_t n)
{
    (void)net, (void)relay, (void)peer, (void)data, (void)n;
}

static const struct turn_net_ops net_ops = {relay_open, relay_close, relay_send, relay_send};
static const struct turn_dtls_ops ops = {net_slot, net_send};

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
    struct netaddr bind = address("203.0.113.10"), listening = address("10.0.0.36:3478");
    char *cert, *key, why[200];
    log_set_level(LOG_ERR);
    turn_config_init(&c);
    turn_config_set_realm(&c, "r");
    turn_config_add_relay(&c, &bind, &bind);
    c.port_min = 30000;
    c.port_max = 30015;
    c.handshakes_max = 2;
    REQUIRE(turn_shared_attach(-1, &c, &shared) == ERR_OK);
    server = turn_server_new(&c, shared, &listening, 1, &net_ops, NULL, 1000, 1000);
    REQUIRE(server != NULL);
    REQUIRE(tls_self_signed("turn.example.org", 1, &cert, &key) == ERR_OK);
    REQUIRE(turn_tls_set_pem(&tls, cert, key, why, sizeof why) == ERR_OK);
    free(cert);
    free(key);
    admission = turn_admission_new(&server->config, 3);
    dtls = turn_dtls_new(ev_loop_new(0), server, &ops, NULL, admission, &tls);
    REQUIRE(admission && dtls);
}

static void pass(uint32_t seconds)
{
    turn_server_tick(server, server->now + seconds, server->wall + seconds);
    turn_dtls_tick(dtls, server->now);
}

/* Puts the client's cookie where a ClientHello has one of its length. False: there is no such place. */
static bool put_cookie(uint8_t *packet, size_t n, unsigned whom)
{
    size_t at = n > SESSION_ID ? SESSION_ID + 1U + packet[SESSION_ID] : n;
    if (at >= n || packet[at] != TURN_DTLS_COOKIE_SIZE || n - at - 1 < TURN_DTLS_COOKIE_SIZE)
        return false;
    memcpy(packet + at + 1, cookies[whom], TURN_DTLS_COOKIE_SIZE);
    return true;
}

static void step_run(unsigned what, const uint8_t *data, size_t n)
{
    static const struct netaddr local = {.family = AF_INET, .port = 3478, .ip = {10, 0, 0, 36}};
    unsigned whom = what % CLIENTS;
    struct netaddr from = address("192.0.2.1:1000");
    struct turn_dtls_origin origin = {.local = &local, .from = &from};
    size_t sessions = turn_dtls_count(dtls);
    uint8_t *packet = malloc(n ? n : 1);
    bool proven = false;
    from.port = (uint16_t)(1000 + whom);
    REQUIRE(packet);
    answered = 0;
    if (n) {
        memcpy(packet, data, n);
        packet[0] = (uint8_t)(20 + packet[0] % 44); /* others never get here: turn_dtls_is */
        proven = what & 0x80 && put_cookie(packet, n, whom);
        turn_dtls_receive(dtls, &origin, packet, n);
    }
    free(packet);
    REQUIRE(turn_dtls_count(dtls) <= sessions + proven);
    REQUIRE(sessions || proven || answered < n + !n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!server)
        server_start();
    memset(cookies, 0, sizeof cookies);
    while (n >= STEP_HEADER) {
        size_t len = (size_t)data[1] << 8 | data[2];
        len = len > n - STEP_HEADER ? n - STEP_HEADER : len;
        if (data[0] == 0xff)
            pass(4);
        else
            step_run(data[0], data + STEP_HEADER, len);
        REQUIRE(turn_admission_count(admission) == turn_dtls_count(dtls) && turn_dtls_count(dtls) <= 3);
        REQUIRE(turn_admission_handshakes(admission) <= 2);
        data += STEP_HEADER + len;
        n -= STEP_HEADER + len;
    }
    for (int i = 0; i < 3; i++)
        pass(TURN_DTLS_IDLE);
    REQUIRE(turn_dtls_count(dtls) == 0 && turn_admission_count(admission) == 0 &&
            turn_admission_handshakes(admission) == 0);
    ERR_clear_error();
    return 0;
}
