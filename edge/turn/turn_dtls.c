/* Hot path for sessions that are open: nothing of ours is allocated, logged or timed per record. */
#include "edge/turn/turn_dtls.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "edge/turn/turn_allocation.h"
#include "edge/turn/turn_dtls_cookie.h"
#include "edge/turn/turn_forward.h"
#include "edge/turn/turn_request.h"
#include "edge/turn/turn_udp.h"
#include "proto/chandata.h"

enum { RECORD_MAX = SSL3_RT_MAX_PLAIN_LENGTH };

enum session_state {
    SESSION_LISTENING, /* the spare: nobody's */
    SESSION_HANDSHAKE,
    SESSION_OPEN,
    SESSION_BROKEN, /* OpenSSL has given it up; the wheel frees it */
};

struct session {
    struct hashmap_node node; /* in dtls->sessions */
    struct turn_dtls *dtls;
    struct turn_client client;
    void *listener;
    SSL *ssl;
    struct turn_pass pass;
    struct turn_timer idle; /* in dtls->idle while there is no allocation */
    ev_timer retransmit;
    enum session_state state;
    bool allocated;
    uint8_t ahead;      /* records of the next epoch during the handshake */
    uint16_t datagrams; /* during the handshake */
};

struct turn_dtls {
    struct ev_loop *loop;
    struct turn_server *server;
    const struct turn_dtls_ops *ops;
    void *net;
    struct turn_admission *admission;
    const struct turn_tls *tls;
    BIO_METHOD *method;
    BIO_ADDR *peer; /* of who is being listened to */
    struct turn_dtls_cookie cookie;
    struct hashmap sessions;
    struct turn_wheel idle;
    struct session *spare; /* listens; becomes the next client's */
    unsigned generation;   /* of the certificate that it has */
    const uint8_t *input;  /* the datagram being handled, until it is read */
    size_t n_input;
};

/* The BIO: datagrams of one client ---------------------------------------------------------------------- */

static int bio_read(BIO *bio, char *out, int size)
{
    struct session *s = BIO_get_data(bio);
    struct turn_dtls *d = s->dtls;
    BIO_clear_retry_flags(bio);
    if (!d->input) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = d->n_input < (size_t)size ? d->n_input : (size_t)size;
    memcpy(out, d->input, n);
    d->input = NULL;
    return (int)n;
}

static int bio_write(BIO *bio, const char *data, int n)
{
    const struct session *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    s->dtls->ops->send(s->dtls->net, s->listener, &s->client.target, data, (size_t)n);
    return n;
}

static long bio_get_peer(const struct session *s, BIO_ADDR *out)
{
    const struct netaddr *a = &s->client.address;
    size_t n = netaddr_ip_len(a->family);
    return BIO_ADDR_rawmake(out, a->family, a->ip, n, htons(a->port)) == 1 ? (long)n : 0;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    const struct session *s = BIO_get_data(bio);
    switch (command) {
    case BIO_CTRL_DGRAM_GET_PEER:
        return bio_get_peer(s, pointer);
    case BIO_CTRL_DGRAM_QUERY_MTU:
    case BIO_CTRL_DGRAM_GET_MTU:
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
        return TURN_DTLS_MTU;
    case BIO_CTRL_DGRAM_GET_MTU_OVERHEAD:
        return s->client.address.family == AF_INET ? 28 : 48;
    case BIO_CTRL_DGRAM_SET_PEER:
    case BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT:
    case BIO_CTRL_FLUSH:
        return 1;
    default:
        return 0;
    }
}

static BIO_METHOD *bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "TURN client");
    if (m)
        (void)(BIO_meth_set_read(m, bio_read) && BIO_meth_set_write(m, bio_write) &&
               BIO_meth_set_ctrl(m, bio_ctrl));
    return m;
}

/* Life -------------------------------------------------------------------------------------------------- */

static struct session *session_find(const struct turn_dtls *d, const struct turn_key *key)
{
    uint32_t hash = hashmap_hash_words(&d->sessions, key->word, 3);
    for (struct hashmap_node *at = hashmap_find(&d->sessions, hash); at; at = hashmap_find_next(at)) {
        struct session *s = hashmap_entry(at, struct session, node);
        if (turn_key_equal(&s->client.key, key))
            return s;
    }
    return NULL;
}

static void session_free(struct session *s)
{
    struct turn_dtls *d = s->dtls;
    if (s->state != SESSION_LISTENING) {
        turn_allocation_disconnect(d->server, &s->client.key);
        ev_timer_stop(d->loop, &s->retransmit);
        turn_wheel_remove(&s->idle);
        hashmap_remove(&d->sessions, &s->node);
        turn_admission_leave(d->admission, &s->pass);
    }
    if (s->state == SESSION_OPEN) {
        (void)SSL_alloc_buffers(s->ssl);
        (void)SSL_shutdown(s->ssl); /* the alert is best effort */
    }
    ERR_clear_error();
    SSL_free(s->ssl);
    free(s);
}

static void session_due(struct session *s, uint32_t seconds)
{
    turn_wheel_remove(&s->idle);
    turn_wheel_add(&s->dtls->idle, &s->idle, s->dtls->idle.now + seconds + 1);
}

static void session_idle(void *dtls, struct turn_timer *t)
{
    struct turn_dtls *d = dtls;
    struct session *s = (struct session *)(void *)((char *)t - offsetof(struct session, idle));
    d->server->counters.events[TURN_EVENT_handshakes_failed] += s->state == SESSION_HANDSHAKE;
    session_free(s);
}

/* There may be callers further up that hold it. */
static void session_break(struct session *s)
{
    s->state = SESSION_BROKEN;
    session_due(s, 0);
}

static void session_failed(struct session *s)
{
    s->dtls->server->counters.events[TURN_EVENT_handshakes_failed]++;
    session_free(s);
}

/* Towards the client ------------------------------------------------------------------------------------ */

static void session_write(struct session *s, const uint8_t *message, size_t n)
{
    struct turn_server *server = s->dtls->server;
    if (s->state != SESSION_OPEN || n > RECORD_MAX) {
        turn_drop(server, n > RECORD_MAX ? TURN_DROP_too_long : TURN_DROP_send_failed);
        return;
    }
    ERR_clear_error();
    if (SSL_alloc_buffers(s->ssl) != 1 || SSL_write(s->ssl, message, (int)n) <= 0) {
        turn_drop(server, TURN_DROP_send_failed);
        session_break(s);
    } else {
        (void)SSL_free_buffers(s->ssl); /* not while records of this client wait to be read: then later */
    }
}

static void client_reply(struct turn_client *client, const uint8_t *message, size_t n)
{
    session_write(client->via, message, n);
}

static void client_forward(struct turn_client *client, uint8_t *message, size_t n)
{
    session_write(client->via, message, n);
}

static void client_allocated(struct turn_client *client, bool is)
{
    struct session *s = client->via;
    s->allocated = is;
    turn_admission_proven(s->dtls->admission, &s->pass, is);
    if (s->state != SESSION_OPEN)
        return; /* the wheel has it already */
    turn_wheel_remove(&s->idle);
    if (!is)
        session_due(s, TURN_DTLS_IDLE);
}

static const struct turn_client_ops client_ops = {
    .reply = client_reply, .forward = client_forward, .allocated = client_allocated};

/* Handshake --------------------------------------------------------------------------------------------- */

/* STUN of RFC 3489: no cookie, but the header is whole. */
static bool is_classic_request(const uint8_t *packet, size_t n)
{
    return n >= STUN_HEADER && (packet[0] & 0xc1) == 0 && (packet[1] & 0x10) == 0 &&
           ((size_t)packet[2] << 8 | packet[3]) == n - STUN_HEADER && n % 4 == 0;
}

/* RFC 8489 §11: over DTLS such a request is 500, in its own form: its transaction begins where the cookie
 * would be. */
static void answer_classic(struct session *s, const uint8_t *packet)
{
    static const uint8_t error[] = {0, 9, 0, 4, 0, 0, 5, 0}; /* ERROR-CODE */
    uint8_t answer[STUN_HEADER + sizeof error] = {packet[0] | 1, packet[1] | 0x10, 0, sizeof error};
    memcpy(answer + 4, packet + 4, STUN_HEADER - 4);
    memcpy(answer + STUN_HEADER, error, sizeof error);
    turn_count_error(&s->dtls->server->counters, 500);
    s->client.ops->reply(&s->client, answer, sizeof answer);
}

static void session_message(struct session *s, uint8_t *packet, size_t n)
{
    struct turn_server *server = s->dtls->server;
    if (chandata_is(packet[0]))
        turn_forward_channel_data(server, &s->client.key, packet, n);
    else if (stun_is(packet, n))
        turn_request_receive(server, &s->client, packet, n);
    else if (is_classic_request(packet, n))
        answer_classic(s, packet);
    else
        turn_drop(server, TURN_DROP_not_turn);
}

/* The records of the datagram being handled. The session may be gone afterwards. */
static void session_read(struct session *s)
{
    struct turn_dtls *d = s->dtls;
    do {
        uint8_t *slot = d->ops->slot(d->net);
        ERR_clear_error();
        int n = SSL_read(s->ssl, slot, TURN_PACKET_MAX - TURN_TAILROOM);
        if (n > 0) {
            session_message(s, slot, (size_t)n);
        } else if (SSL_get_error(s->ssl, n) != SSL_ERROR_WANT_READ) {
            s->state = SSL_get_shutdown(s->ssl) ? s->state : SESSION_BROKEN;
            session_free(s);
            return;
        } else {
            break;
        }
    } while (s->state == SESSION_OPEN && SSL_has_pending(s->ssl));
    if (s->state == SESSION_OPEN)
        (void)SSL_free_buffers(s->ssl);
}

static void session_wait(struct session *s)
{
    struct timeval left;
    ev_timer_stop(s->dtls->loop, &s->retransmit);
    if (!DTLSv1_get_timeout(s->ssl, &left))
        return;
    double seconds = (double)left.tv_sec + (double)left.tv_usec / 1e6;
    ev_timer_set(&s->retransmit, seconds < 0.01 ? 0.01 : seconds, 0);
    ev_timer_start(s->dtls->loop, &s->retransmit);
}

static void session_retransmit(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    struct session *s = w->data;
    ERR_clear_error();
    if (DTLSv1_handle_timeout(s->ssl) < 0)
        session_failed(s);
    else
        session_wait(s);
}

static void session_opened(struct session *s)
{
    struct turn_dtls *d = s->dtls;
    ev_timer_stop(d->loop, &s->retransmit);
    turn_admission_handshake_done(d->admission, &s->pass);
    d->server->counters.events[TURN_EVENT_handshakes]++;
    s->state = SESSION_OPEN;
    session_due(s, TURN_DTLS_IDLE);
    if (SSL_has_pending(s->ssl))
        session_read(s); /* data in the same datagram as the end of the handshake */
    else
        (void)SSL_free_buffers(s->ssl);
}

/* With the datagram being handled. The session may be gone afterwards. */
static void session_handshake(struct session *s)
{
    ERR_clear_error();
    int r = SSL_accept(s->ssl);
    if (r == 1)
        session_opened(s);
    else if (SSL_get_error(s->ssl, r) == SSL_ERROR_WANT_READ)
        session_wait(s);
    else
        session_failed(s);
}

/* Records of a later epoch in a datagram. OpenSSL keeps each until the handshake gets there, in a buffer for
 * the longest record. RFC 6347 §4.1: type, version, epoch, sequence number (6 bytes), length. */
static unsigned records_ahead(const uint8_t *packet, size_t n)
{
    enum { HEADER = 13 };
    unsigned ahead = 0;
    while (n >= HEADER) {
        size_t whole = HEADER + ((size_t)packet[11] << 8 | packet[12]);
        ahead += packet[3] != 0 || packet[4] != 0;
        if (whole > n)
            break;
        packet += whole;
        n -= whole;
    }
    return ahead;
}

static void session_handshake_datagram(struct session *s, const uint8_t *packet, size_t n)
{
    unsigned ahead = records_ahead(packet, n);
    if (++s->datagrams > TURN_DTLS_DATAGRAMS) {
        session_failed(s);
        return;
    }
    if (s->ahead + ahead > TURN_DTLS_AHEAD) {
        turn_drop(s->dtls->server, TURN_DROP_no_session);
        return;
    }
    s->ahead = (uint8_t)(s->ahead + ahead);
    session_handshake(s);
}

/* Listening --------------------------------------------------------------------------------------------- */

enum { HELLO_RANDOM = 13 + 12 + 2, HELLO_LEAST = HELLO_RANDOM + SSL3_RANDOM_SIZE };

/* A ClientHello that begins a session: handshake record of epoch 0, message type 1, not a later fragment. */
static bool is_hello(const uint8_t *packet, size_t n)
{
    return n >= HELLO_LEAST && packet[0] == SSL3_RT_HANDSHAKE && packet[3] == 0 && packet[4] == 0 &&
           packet[13] == SSL3_MT_CLIENT_HELLO;
}

/* RFC 6347 §4.2.8: a client that lost its state begins anew from the same address. A copy of the old hello
 * that comes late does not. */
static bool begins_anew(const struct session *s, const uint8_t *packet, size_t n)
{
    uint8_t random[SSL3_RANDOM_SIZE];
    return is_hello(packet, n) && SSL_get_client_random(s->ssl, random, sizeof random) == sizeof random &&
           memcmp(random, packet + HELLO_RANDOM, sizeof random) != 0;
}

static int cookie_make(SSL *ssl, unsigned char *cookie, unsigned *n)
{
    struct session *s = SSL_get_app_data(ssl);
    s->dtls->server->counters.events[TURN_EVENT_cookies]++;
    turn_dtls_cookie_make(&s->dtls->cookie, &s->client.key, cookie);
    *n = TURN_DTLS_COOKIE_SIZE;
    return 1;
}

static int cookie_check(SSL *ssl, const unsigned char *cookie, unsigned n)
{
    struct session *s = SSL_get_app_data(ssl);
    return n == TURN_DTLS_COOKIE_SIZE && turn_dtls_cookie_check(&s->dtls->cookie, &s->client.key, cookie);
}

static struct session *session_new(struct turn_dtls *d)
{
    struct session *s = calloc(1, sizeof *s);
    SSL_CTX *ctx = d->tls->datagram;
    SSL_CTX_set_cookie_generate_cb(ctx, cookie_make);
    SSL_CTX_set_cookie_verify_cb(ctx, cookie_check);
    SSL *ssl = s ? SSL_new(ctx) : NULL;
    BIO *bio = ssl ? BIO_new(d->method) : NULL;
    if (!bio) {
        SSL_free(ssl);
        free(s);
        return NULL;
    }
    s->dtls = d;
    s->ssl = ssl;
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, s);
    SSL_set_mtu(ssl, TURN_DTLS_MTU);
    SSL_set_accept_state(ssl);
    ev_timer_init(&s->retransmit, session_retransmit, 0, 0);
    s->retransmit.data = s;
    return s;
}

/* A newer client takes its place. */
static void session_end(struct turn_pass *pass)
{
    struct session *s = (struct session *)(void *)((char *)pass - offsetof(struct session, pass));
    s->dtls->server->counters.events[TURN_EVENT_unproven_closed]++;
    session_free(s);
}

static bool spare_ready(struct turn_dtls *d)
{
    if (!d->tls->datagram)
        return false;
    if (d->spare && d->generation != d->tls->generation) {
        session_free(d->spare);
        d->spare = NULL;
    }
    if (!d->spare)
        d->spare = session_new(d);
    d->generation = d->tls->generation;
    return d->spare != NULL;
}

/* The spare has met a valid cookie: it is a client's now. before: what that client had, or NULL. */
static void session_begin(struct turn_dtls *d, struct session *before)
{
    struct session *s = d->spare;
    struct turn_pass pass = {0};
    if (!turn_admission_enter(d->admission, &s->client.address, &pass) ||
        !turn_admission_handshake(d->admission, &pass)) {
        turn_admission_leave(d->admission, &pass);
        d->server->counters.events[TURN_EVENT_connections_refused]++;
        return; /* the spare forgets it when it listens again */
    }
    if (before)
        session_free(before);
    d->spare = NULL;
    s->pass = pass;
    s->state = SESSION_HANDSHAKE;
    d->server->counters.events[TURN_EVENT_sessions]++;
    hashmap_insert(&d->sessions, &s->node, hashmap_hash_words(&d->sessions, s->client.key.word, 3));
    session_due(s, TURN_DTLS_HANDSHAKE);
    turn_admission_unproven(d->admission, &s->pass, session_end);
    session_handshake(s);
}

static void listen_to(struct turn_dtls *d, const struct turn_dtls_origin *o, const struct turn_key *key,
                      struct session *before)
{
    if (!spare_ready(d)) {
        turn_drop(d->server, TURN_DROP_no_session);
        return;
    }
    struct session *s = d->spare;
    s->listener = o->listener;
    s->client = (struct turn_client){.ops = &client_ops,
                                     .via = s,
                                     .key = *key,
                                     .transport = TURN_OVER_DTLS,
                                     .verified = true,
                                     .address = *o->from,
                                     .server = *o->local};
    turn_target_set(&s->client.target, o->from);
    ERR_clear_error();
    if (DTLSv1_listen(s->ssl, d->peer) == 1)
        session_begin(d, before);
}

void turn_dtls_receive(struct turn_dtls *d, const struct turn_dtls_origin *o, const uint8_t *packet, size_t n)
{
    struct turn_key key = turn_key_dtls(o->from, o->index);
    struct session *s = session_find(d, &key);
    d->input = packet;
    d->n_input = n;
    if (!s && !is_hello(packet, n))
        turn_drop(d->server, TURN_DROP_no_session);
    else if (!s || (s->state != SESSION_HANDSHAKE && begins_anew(s, packet, n)))
        listen_to(d, o, &key, s);
    else if (s->state == SESSION_HANDSHAKE)
        session_handshake_datagram(s, packet, n);
    else if (s->state == SESSION_OPEN)
        session_read(s);
    d->input = NULL;
}

/* The whole --------------------------------------------------------------------------------------------- */

void turn_dtls_tick(struct turn_dtls *d, uint32_t now)
{
    turn_wheel_advance(&d->idle, now);
    turn_dtls_cookie_tick(&d->cookie, now, TURN_DTLS_COOKIE);
}

size_t turn_dtls_count(const struct turn_dtls *d)
{
    return d->sessions.count;
}

struct turn_dtls *turn_dtls_new(struct ev_loop *loop, struct turn_server *server,
                                const struct turn_dtls_ops *ops, void *net, struct turn_admission *admission,
                                const struct turn_tls *tls)
{
    struct turn_dtls *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->loop = loop;
    d->server = server;
    d->ops = ops;
    d->net = net;
    d->admission = admission;
    d->tls = tls;
    hashmap_init(&d->sessions);
    turn_wheel_init(&d->idle, server->now, session_idle, d);
    turn_dtls_cookie_init(&d->cookie, server->now);
    d->method = bio_method();
    d->peer = BIO_ADDR_new();
    if (d->method && d->peer)
        return d;
    turn_dtls_free(d);
    return NULL;
}

void turn_dtls_free(struct turn_dtls *d)
{
    struct hashmap_node *next;
    if (!d)
        return;
    for (struct hashmap_node *at = hashmap_walk(&d->sessions, NULL); at; at = next) {
        next = hashmap_walk(&d->sessions, at);
        session_free(hashmap_entry(at, struct session, node));
    }
    if (d->spare)
        session_free(d->spare);
    hashmap_free(&d->sessions);
    turn_dtls_cookie_wipe(&d->cookie);
    BIO_ADDR_free(d->peer);
    BIO_meth_free(d->method);
    free(d);
}
