#include "tests/bench/turn_client.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/stun_auth.h"
#include "proto/stun_msg.h"
#include "tests/bench/bench.h"

enum { TRIES = 40, TRY_MS = 500, UDP = 17 };

/* The server's realm is the same for all 5-tuples of a run. */
static char realm[200];
static struct stun_key key;

static void sign(const struct client *c, struct stun_writer *w)
{
    if (c->nonce_len == 0)
        return;
    stun_put(w, STUN_USERNAME, "u", 1);
    stun_put(w, STUN_REALM, realm, strlen(realm));
    stun_put(w, STUN_NONCE, c->nonce, c->nonce_len);
    stun_put_integrity(w, key.bytes, key.len);
}

size_t client_request(struct client *c, enum client_ask ask, const struct netaddr *peer,
                      uint8_t memory[CLIENT_MESSAGE])
{
    static const uint16_t methods[] = {STUN_METHOD_ALLOCATE, STUN_METHOD_CHANNEL_BIND, STUN_METHOD_REFRESH,
                                       STUN_METHOD_REFRESH};
    static uint32_t count;
    uint8_t transaction[STUN_TRANSACTION] = {0};
    struct stun_writer w;
    size_t n;
    int pid = getpid();
    count++;
    memcpy(transaction, &count, sizeof count);
    memcpy(transaction + 4, &pid, sizeof pid);
    stun_begin(&w, memory, CLIENT_MESSAGE, methods[ask], STUN_REQUEST, transaction);
    if (ask == CLIENT_ALLOCATE)
        stun_put_u32(&w, STUN_REQUESTED_TRANSPORT, (uint32_t)UDP << 24);
    if (ask == CLIENT_RELEASE)
        stun_put_u32(&w, STUN_LIFETIME, 0);
    if (ask == CLIENT_BIND) {
        stun_put_u32(&w, STUN_CHANNEL_NUMBER, (uint32_t)CLIENT_CHANNEL << 16);
        stun_put_xor_address(&w, STUN_XOR_PEER_ADDRESS, peer);
    }
    sign(c, &w);
    if (stun_end(&w, &n) != ERR_OK)
        bench_fail("a request does not fit");
    return n;
}

static void take_challenge(struct client *c, const struct stun_msg *m)
{
    struct stun_value nonce = stun_get(m, STUN_NONCE), name = stun_get(m, STUN_REALM);
    if (nonce.len > sizeof c->nonce || name.len >= sizeof realm)
        bench_fail("nonce or realm is too long");
    memcpy(c->nonce, nonce.at, nonce.len);
    c->nonce_len = (uint8_t)nonce.len;
    if (strlen(realm) == name.len && memcmp(realm, name.at, name.len) == 0)
        return;
    memcpy(realm, name.at, name.len);
    realm[name.len] = '\0';
    if (stun_long_term_key(STUN_ALGORITHM_MD5, "u", realm, "p", &key) != ERR_OK)
        bench_fail("no MD5");
}

enum client_answer client_take(struct client *c, const uint8_t *packet, size_t n)
{
    struct stun_msg m;
    if (stun_parse(packet, n, &m) != ERR_OK)
        return CLIENT_REFUSED;
    if (m.class == STUN_SUCCESS)
        return CLIENT_SUCCESS;
    if (!stun_has(&m, STUN_NONCE) || !stun_has(&m, STUN_REALM))
        return CLIENT_REFUSED;
    take_challenge(c, &m);
    return CLIENT_AGAIN;
}

/* The next STUN message; 0: none came. Data that are still under way to the client are passed over. */
static size_t next_message(int fd, uint8_t *packet, size_t size)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, TRY_MS) > 0) {
        ssize_t n = recv(fd, packet, size, 0);
        if (n > 0 && stun_is(packet, (size_t)n))
            return (size_t)n;
    }
    return 0;
}

void client_must(struct client *c, enum client_ask ask, const struct netaddr *peer)
{
    uint8_t memory[CLIENT_MESSAGE], answer[2000];
    for (int i = 0; i < TRIES; i++) {
        size_t n = client_request(c, ask, peer, memory);
        send(c->fd, memory, n, 0);
        n = next_message(c->fd, answer, sizeof answer);
        enum client_answer a = n > 0 ? client_take(c, answer, n) : CLIENT_AGAIN;
        if (a == CLIENT_SUCCESS)
            return;
        if (a == CLIENT_REFUSED)
            bench_fail("the server refused request %d", (int)ask);
    }
    bench_fail("no answer to request %d", (int)ask);
}
