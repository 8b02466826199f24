/* Streams over a socket pair and over TLS on loopback: order, back-pressure, half-close, failure words. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/sock.h"
#include "common/stream.h"
#include "common/tls.h"
#include "common/tls_fast.h"
#include "common/tls_gather.h"
#include "common/tls_memory.h"

enum { TOTAL = 3 * 1024 * 1024, QUEUE = 64 * 1024, LOW = 16 * 1024 };

struct end {
    struct ev_loop *loop;
    struct stream *stream;
    size_t sent, got, take; /* take: most bytes on_data takes at once, 0 = all */
    bool open, eof, closed, bad;
    char words[256];
};

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 31 + i / 251);
}

static void end_fill(struct end *e)
{
    uint8_t chunk[4096];
    while (e->sent < TOTAL && stream_room(e->stream) >= sizeof chunk) {
        for (size_t i = 0; i < sizeof chunk; i++)
            chunk[i] = pattern(e->sent + i);
        ck_assert_int_eq(stream_write(e->stream, chunk, sizeof chunk), ERR_OK);
        e->sent += sizeof chunk;
    }
    if (e->sent == TOTAL)
        stream_shutdown(e->stream);
}

static void on_open(void *ctx)
{
    ((struct end *)ctx)->open = true;
}

static size_t on_data(void *ctx, const uint8_t *data, size_t n)
{
    struct end *e = ctx;
    size_t taken = e->take && n > e->take ? e->take : n;
    for (size_t i = 0; i < taken; i++)
        e->bad |= data[i] != pattern(e->got + i);
    e->got += taken;
    if (taken < n) {
        stream_pause(e->stream);
        stream_resume(e->stream);
    }
    return taken;
}

static void on_eof(void *ctx)
{
    struct end *e = ctx;
    e->eof = true;
    ev_break(e->loop, EVBREAK_ALL);
}

static void on_drained(void *ctx)
{
    end_fill(ctx);
}

static void on_close(void *ctx, enum err why, const char *words)
{
    struct end *e = ctx;
    (void)why;
    e->closed = true;
    snprintf(e->words, sizeof e->words, "%s", words);
    ev_break(e->loop, EVBREAK_ALL);
}

static const struct stream_events events = {
    .on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_drained = on_drained, .on_close = on_close};

static void finish(struct ev_loop *loop, struct end *a, struct end *b)
{
    stream_free(a->stream);
    stream_free(b->stream);
    ev_run(loop, EVRUN_NOWAIT);
    ev_loop_destroy(loop);
}

START_TEST(test_pair)
{
    int fds[2];
    struct ev_loop *loop = ev_loop_new(0);
    struct end a = {.loop = loop}, b = {.loop = loop, .take = (size_t)_i};
    ck_assert_int_eq(sock_pair(fds, true), 0);
    a.stream = stream_new(loop, fds[0], fds[0], &events, &a, QUEUE, LOW);
    b.stream = stream_new(loop, fds[1], fds[1], &events, &b, QUEUE, LOW);
    end_fill(&a);
    ck_assert_uint_le(stream_queued(a.stream), QUEUE);
    ev_run(loop, 0);
    ck_assert(b.eof && !b.bad);
    ck_assert_uint_eq(b.got, TOTAL);
    ck_assert_int_eq(stream_write(a.stream, "x", 1), ERR_CLOSED);
    finish(loop, &a, &b);
}
END_TEST

/* An owner that makes its bytes when they can leave. */
static void on_flush(void *ctx, struct buf *queue)
{
    struct end *e = ctx;
    uint8_t *at;
    ck_assert_uint_le(buf_len(queue), LOW);
    for (; e->sent < TOTAL && buf_room(queue) >= 4096; e->sent += 4096) {
        ck_assert_int_eq(buf_reserve(queue, 4096, &at), ERR_OK);
        for (size_t i = 0; i < 4096; i++)
            at[i] = pattern(e->sent + i);
        buf_commit(queue, 4096);
    }
    if (e->sent < TOTAL)
        stream_ask_flush(e->stream);
}

static const struct stream_events flush_events = {
    .on_data = on_data, .on_eof = on_eof, .on_close = on_close, .on_flush = on_flush};

START_TEST(test_flush)
{
    int fds[2];
    struct ev_loop *loop = ev_loop_new(0);
    struct end a = {.loop = loop}, b = {.loop = loop};
    ck_assert_int_eq(sock_pair(fds, true), 0);
    a.stream = stream_new(loop, fds[0], fds[0], &flush_events, &a, QUEUE, LOW);
    b.stream = stream_new(loop, fds[1], fds[1], &events, &b, QUEUE, LOW);
    stream_ask_flush(a.stream);
    ck_assert_uint_eq(a.sent, 0);
    while (b.got < TOTAL && !b.closed)
        ev_run(loop, EVRUN_ONCE);
    ck_assert(!b.bad);
    ck_assert_uint_eq(a.sent, TOTAL);
    finish(loop, &a, &b);
}
END_TEST

static void tls_pair(struct ev_loop *loop, struct end *client, struct end *server, const char *name)
{
    char *cert, *key, why[256];
    SSL_CTX *server_ctx, *client_ctx;
    struct netaddr at;
    int fds[2];
    ck_assert_int_eq(tls_self_signed("join.example.com", 1, &cert, &key), ERR_OK);
    ck_assert_int_eq(tls_server_ctx(cert, key, "\x08http/1.1", &server_ctx, why, sizeof why), ERR_OK);
    ck_assert_int_eq(tls_client_ctx(cert, &client_ctx, why, sizeof why), ERR_OK);
    ck_assert_int_eq(netaddr_parse("127.0.0.1", 0, &at), ERR_OK);
    fds[0] = sock_listen_tcp(&at, false);
    ck_assert_int_ge(fds[0], 0);
    ck_assert_int_eq(sock_local(fds[0], &at), ERR_OK);
    client->stream = stream_connect(loop, &at, client_ctx, name, &events, client, QUEUE, LOW);
    while ((fds[1] = accept4(fds[0], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0)
        ;
    server->stream = stream_new_tls_server(loop, fds[1], server_ctx, &events, server, QUEUE, LOW);
    close(fds[0]);
    SSL_CTX_free(server_ctx);
    SSL_CTX_free(client_ctx);
    free(cert);
    free(key);
}

START_TEST(test_tls)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct end client = {.loop = loop}, server = {.loop = loop, .take = (size_t)_i};
    tls_pair(loop, &client, &server, "join.example.com");
    end_fill(&client); /* before the handshake: queued */
    ev_run(loop, 0);
    ck_assert(client.open && server.open && server.eof && !server.bad);
    ck_assert_uint_eq(server.got, TOTAL);
    /* Half-closed: the other direction still works. */
    end_fill(&server);
    ev_run(loop, 0);
    ck_assert(client.eof && !client.bad);
    ck_assert_uint_eq(client.got, TOTAL);
    finish(loop, &client, &server);
}
END_TEST

static void no_material(SSL *ssl)
{
    unsigned char raw[128];
    size_t n = sizeof raw;
    EVP_PKEY *key;
    if (SSL_get_tmp_key(ssl, &key) == 1) {
        ck_assert_int_ne(EVP_PKEY_get_raw_private_key(key, raw, &n), 1);
        EVP_PKEY_free(key);
    }
    n = sizeof raw;
    if (SSL_get_peer_tmp_key(ssl, &key) == 1) {
        ck_assert_int_ne(EVP_PKEY_get_raw_public_key(key, raw, &n), 1);
        EVP_PKEY_free(key);
    }
}

/* An open connection holds nothing that its records' keys could be derived from again. */
START_TEST(test_tls_ephemeral)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct end client = {.loop = loop}, server = {.loop = loop};
    tls_pair(loop, &client, &server, "join.example.com");
    while (!client.open || !server.open)
        ev_run(loop, EVRUN_ONCE);
    no_material(stream_ssl(client.stream));
    no_material(stream_ssl(server.stream));
    finish(loop, &client, &server);
}
END_TEST

/* Records that were sealed together and that the socket takes in pieces only: all of them arrive, in order,
 * and in front of the end; what waits is counted. */
START_TEST(test_tls_small_socket)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct end client = {.loop = loop}, server = {.loop = loop};
    int small = 1; /* the kernel makes its least of it */
    tls_pair(loop, &client, &server, "join.example.com");
    ck_assert_int_eq(
        setsockopt(SSL_get_fd(stream_ssl(server.stream)), SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    while (!client.open || !server.open)
        ev_run(loop, EVRUN_ONCE);
    stream_pause(client.stream);
    end_fill(&server);
    for (size_t before = 0; before != server.sent;) {
        before = server.sent;
        ev_run(loop, EVRUN_NOWAIT);
        ev_run(loop, EVRUN_NOWAIT);
    }
    ck_assert_uint_lt(server.sent, TOTAL);
    ck_assert_uint_gt(stream_queued(server.stream), LOW); /* or more would have been asked for */
    stream_resume(client.stream);
    ev_run(loop, 0);
    ck_assert(client.eof && !client.bad);
    ck_assert_uint_eq(client.got, TOTAL);
    ck_assert_uint_eq(stream_queued(server.stream), 0);
    finish(loop, &client, &server);
}
END_TEST

/* RFC 8446 §4.6.3: the answer to an update of keys must not overtake records that wait for a full socket. */
START_TEST(test_tls_key_updates)
{
    enum { UPDATES = 20 };
    struct ev_loop *loop = ev_loop_new(0);
    struct end client = {.loop = loop}, server = {.loop = loop};
    int small = 1, updates = 0;
    tls_pair(loop, &client, &server, "join.example.com");
    ck_assert_int_eq(
        setsockopt(SSL_get_fd(stream_ssl(server.stream)), SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    while (!client.open || !server.open)
        ev_run(loop, EVRUN_ONCE);
    SSL *ssl = stream_ssl(client.stream);
    ck_assert_int_eq(SSL_version(ssl), TLS1_3_VERSION);
    end_fill(&server);
    while (updates < UPDATES && !client.eof && !client.closed) {
        if (SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(ssl) == 1)
            updates++;
        ev_run(loop, EVRUN_ONCE);
    }
    ck_assert_int_gt(updates, 2);
    ev_run(loop, 0);
    ck_assert_msg(client.eof && !client.bad, "%s", client.words);
    ck_assert_uint_eq(client.got, TOTAL);
    finish(loop, &client, &server);
}
END_TEST

/* n updates of keys, as the records that they are; the caller frees. */
static BIO *key_updates(SSL *ssl, int n)
{
    BIO *socket = SSL_get_rbio(ssl), *records = BIO_new(BIO_s_mem());
    BIO_up_ref(records);
    SSL_set0_wbio(ssl, records);
    for (int i = 0; i < n; i++)
        ck_assert(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(ssl) == 1);
    BIO_up_ref(socket);
    SSL_set0_wbio(ssl, socket);
    return records;
}

/* A peer that does nothing but update its keys, as fast as it can, and reads nothing; what waits for it
 * (_i: something does) neither grows nor ends the process, and nor does it keep that busy. */
START_TEST(test_tls_key_update_flood)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct end client = {.loop = loop}, server = {.loop = loop};
    int small = 1, large = 1024 * 1024;
    char *flood;
    tls_pair(loop, &client, &server, "join.example.com");
    SSL *ssl = stream_ssl(client.stream);
    int fd = SSL_get_fd(ssl);
    setsockopt(SSL_get_fd(stream_ssl(server.stream)), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
    while (!client.open || !server.open)
        ev_run(loop, EVRUN_ONCE);
    stream_pause(client.stream);
    if (_i)
        end_fill(&server);
    for (size_t before = SIZE_MAX; _i && before != server.sent;) {
        before = server.sent;
        ev_run(loop, EVRUN_NOWAIT);
        ev_run(loop, EVRUN_NOWAIT);
    }
    BIO *records = key_updates(ssl, 20000);
    long n = BIO_get_mem_data(records, &flood), sent = 0;
    while (!server.closed) {
        ck_assert_int_lt(sent, n);
        ssize_t k = write(fd, flood + sent, (size_t)(n - sent));
        sent += k > 0 ? k : 0;
        ev_run(loop, EVRUN_NOWAIT);
    }
    ck_assert_ptr_nonnull(strstr(server.words, "renews its keys"));
    BIO_free(records);
    finish(loop, &client, &server);
}
END_TEST

/* What has no room any more is an error of that connection. */
START_TEST(test_tls_gather_full)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct end client = {.loop = loop}, server = {.loop = loop};
    size_t n;
    int updates = 0;
    tls_pair(loop, &client, &server, "join.example.com");
    while (!client.open || !server.open)
        ev_run(loop, EVRUN_ONCE);
    SSL *ssl = stream_ssl(server.stream);
    ck_assert(tls_gather_begin(ssl));
    while (SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 && SSL_do_handshake(ssl) == 1)
        ck_assert_int_lt(updates++, TLS_GATHER_MAX);
    (void)tls_gather_end(ssl, &n);
    ck_assert_uint_le(n, TLS_GATHER_MAX);
    finish(loop, &client, &server);
}
END_TEST

static int tickets;

static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl, (void)session;
    tickets++;
    return 0;
}

/* A server gives one ticket, with its first bytes, and not before. */
START_TEST(test_tls_ticket)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct end client = {.loop = loop}, server = {.loop = loop};
    tls_pair(loop, &client, &server, "join.example.com");
    SSL_CTX *ctx = SSL_get_SSL_CTX(stream_ssl(client.stream));
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_ticket);
    tickets = 0;
    while (!client.open || !server.open)
        ev_run(loop, EVRUN_ONCE);
    ck_assert_int_eq(SSL_version(stream_ssl(client.stream)), TLS1_3_VERSION);
    ev_run(loop, EVRUN_NOWAIT);
    ck_assert_int_eq(tickets, 0);
    end_fill(&server);
    ev_run(loop, 0);
    ck_assert(client.eof && !client.bad);
    ck_assert_int_eq(tickets, 1);
    finish(loop, &client, &server);
}
END_TEST

/* Neither end keeps a record's buffer while nothing is under way. */
START_TEST(test_tls_idle)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct end client = {.loop = loop}, server = {.loop = loop};
    const uint8_t first = pattern(0);
    (void)tls_memory_init(); /* with AddressSanitizer nothing is counted */
    tls_pair(loop, &client, &server, "join.example.com");
    while (!client.open || !server.open)
        ev_run(loop, EVRUN_ONCE);
    ck_assert_int_eq(stream_write(server.stream, &first, 1), ERR_OK);
    while (client.got == 0)
        ev_run(loop, EVRUN_ONCE);
    ck_assert_uint_eq(tls_memory_used(), 0);
    finish(loop, &client, &server);
}
END_TEST

/* Sends what the client has sealed; but the last `later` bytes are left in the BIO. */
static void pump_out(SSL *client, int fd, size_t later)
{
    static uint8_t bytes[128 * 1024];
    size_t n = BIO_ctrl_pending(SSL_get_wbio(client));
    ck_assert_uint_ge(n, later);
    n -= later;
    ck_assert_uint_le(n, sizeof bytes);
    if (n == 0)
        return;
    ck_assert_int_eq(BIO_read(SSL_get_wbio(client), bytes, (int)n), (int)n);
    ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
}

static void pump_in(SSL *client, int fd)
{
    uint8_t bytes[4096];
    ssize_t n = read(fd, bytes, sizeof bytes);
    if (n > 0)
        ck_assert_int_eq(BIO_write(SSL_get_rbio(client), bytes, (int)n), (int)n);
}

/* A record of which the header, and nothing else, has come when the stream writes. */
START_TEST(test_tls_lone_header)
{
    enum { BODY = 100, HEADER = 5 };
    struct ev_loop *loop = ev_loop_new(0);
    struct end server = {.loop = loop};
    char *cert, *key, why[256];
    SSL_CTX *ctx, *client_ctx = SSL_CTX_new(TLS_client_method());
    SSL *client = SSL_new(client_ctx);
    uint8_t body[BODY];
    int fds[2];
    for (size_t i = 0; i < BODY; i++)
        body[i] = pattern(i);
    ck_assert_int_eq(tls_self_signed("join.example.com", 1, &cert, &key), ERR_OK);
    ck_assert_int_eq(tls_server_ctx(cert, key, NULL, &ctx, why, sizeof why), ERR_OK);
    ck_assert_int_eq(sock_pair(fds, true), 0);
    server.stream = stream_new_tls_server(loop, fds[0], ctx, &events, &server, QUEUE, LOW);
    SSL_set_bio(client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client);
    while (!server.open) {
        SSL_do_handshake(client);
        pump_out(client, fds[1], 0);
        ev_run(loop, EVRUN_NOWAIT);
        pump_in(client, fds[1]);
    }
    ck_assert_int_eq(SSL_write(client, body, BODY), BODY);
    pump_out(client, fds[1], BIO_ctrl_pending(SSL_get_wbio(client)) - HEADER);
    for (int i = 0; i < 3; i++)
        ev_run(loop, EVRUN_NOWAIT);
    ck_assert_int_eq(stream_write(server.stream, body, 1), ERR_OK); /* with a ticket */
    for (int i = 0; i < 3; i++)
        ev_run(loop, EVRUN_NOWAIT);
    pump_out(client, fds[1], 0);
    for (int i = 0; i < 3; i++)
        ev_run(loop, EVRUN_NOWAIT);
    ck_assert_msg(!server.closed, "%s", server.words);
    ck_assert(server.got == BODY && !server.bad);
    stream_free(server.stream);
    ev_run(loop, EVRUN_NOWAIT);
    ev_loop_destroy(loop);
    close(fds[1]);
    SSL_free(client);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(ctx);
    free(cert);
    free(key);
}
END_TEST

/* A server's stream whose client is not one: what leaves it, and when, is up to the test. */
struct uploader {
    struct end server;
    SSL *client;
    int fd;
};

static void uploader_open(struct uploader *u, struct ev_loop *loop, SSL_CTX *client_ctx, SSL_CTX *ctx)
{
    int fds[2];
    memset(u, 0, sizeof *u);
    u->server.loop = loop;
    ck_assert_int_eq(sock_pair(fds, true), 0);
    u->fd = fds[1];
    u->client = SSL_new(client_ctx);
    u->server.stream = stream_new_tls_server(loop, fds[0], ctx, &events, &u->server, QUEUE, LOW);
    SSL_set_bio(u->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(u->client);
    while (!u->server.open) {
        SSL_do_handshake(u->client);
        pump_out(u->client, u->fd, 0);
        ev_run(loop, EVRUN_NOWAIT);
        pump_in(u->client, u->fd);
    }
}

/* Full records; the last `later` bytes come with the next. */
static void uploader_send(struct uploader *u, unsigned records, size_t later)
{
    static uint8_t body[16384];
    for (size_t i = 0; i < records; i++, u->server.sent += sizeof body) {
        for (size_t k = 0; k < sizeof body; k++)
            body[k] = pattern(u->server.sent + k);
        ck_assert_int_eq(SSL_write(u->client, body, sizeof body), sizeof body);
    }
    pump_out(u->client, u->fd, later);
    SSL_free_buffers(u->client); /* only the server's are counted */
    ev_run(u->server.loop, EVRUN_NOWAIT);
    ck_assert_msg(!u->server.closed, "%s", u->server.words);
    ck_assert(!u->server.bad);
    if (later == 0)
        ck_assert_uint_eq(u->server.got, u->server.sent);
}

/* Uploads get large buffers, but not all of them; who has no use for one leaves it to others. */
static void check_fast(struct ev_loop *loop, SSL_CTX *client_ctx, SSL_CTX *ctx, bool counted)
{
    enum { MORE = 8, ALL = TLS_FAST_MOST + MORE, PART = 5000, BURST = 6 };
    static struct uploader all[ALL];
    bool can_be_large = OpenSSL_version_num() < 0x30200000;
    for (size_t i = 0; i < ALL; i++) {
        uploader_open(&all[i], loop, client_ctx, ctx);
        uploader_send(&all[i], BURST, 0);
    }
    ck_assert_uint_eq(tls_memory_used(), 0);
    for (size_t i = 0; i < MORE; i++) /* the last have their places from those that are idle */
        uploader_send(&all[ALL - 1 - i], 1, PART);
    ck_assert_uint_eq(tls_memory_used(), counted && !can_be_large ? MORE : 0);
    for (size_t i = 0; i < ALL - MORE; i++)
        uploader_send(&all[i], 1, PART);
    if (counted)
        ck_assert_uint_ge(tls_memory_used(), MORE);
    for (size_t i = 0; i < ALL; i++)
        uploader_send(&all[i], 0, 0);
    ck_assert_uint_eq(tls_memory_used(), 0);
    for (size_t i = 0; i < ALL; i++) /* nobody brings much any more */
        uploader_send(&all[i], 1, PART);
    ck_assert_uint_eq(tls_memory_used(), counted ? ALL : 0);
    for (size_t i = 0; i < ALL; i++) {
        uploader_send(&all[i], BURST, 0);
        stream_free(all[i].server.stream); /* with its place */
        ev_run(loop, EVRUN_NOWAIT);
        SSL_free(all[i].client);
        close(all[i].fd);
    }
}

START_TEST(test_tls_fast)
{
    bool counted = tls_memory_init(); /* with AddressSanitizer nothing is counted */
    struct ev_loop *loop = ev_loop_new(0);
    char *cert, *key, why[256];
    SSL_CTX *ctx, *client_ctx = SSL_CTX_new(TLS_client_method());
    ck_assert_int_eq(tls_self_signed("join.example.com", 1, &cert, &key), ERR_OK);
    ck_assert_int_eq(tls_server_ctx(cert, key, NULL, &ctx, why, sizeof why), ERR_OK);
    for (int round = 0; round < 2; round++)
        check_fast(loop, client_ctx, ctx, counted);
    ev_loop_destroy(loop);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(ctx);
    free(cert);
    free(key);
}
END_TEST

/* A peer that leaves without a word: that is no end in order, and nobody is there for an alert. */
START_TEST(test_tls_cut_off)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct end client = {.loop = loop}, server = {.loop = loop};
    uint8_t rest[4096];
    tls_pair(loop, &client, &server, "join.example.com");
    while (!client.open || !server.open)
        ev_run(loop, EVRUN_ONCE);
    stream_pause(client.stream);
    int fd = dup(SSL_get_fd(stream_ssl(client.stream)));
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    while (!server.closed && !server.eof)
        ev_run(loop, EVRUN_ONCE);
    ck_assert(server.closed && !server.eof);
    ck_assert_msg(strstr(server.words, "close_notify") != NULL, "%s", server.words);
    stream_free(server.stream);
    server.stream = NULL;
    ev_run(loop, EVRUN_NOWAIT);
    ck_assert_int_eq(read(fd, rest, sizeof rest), 0);
    close(fd);
    finish(loop, &client, &server);
}
END_TEST

START_TEST(test_tls_wrong_name)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct end client = {.loop = loop}, server = {.loop = loop};
    tls_pair(loop, &client, &server, "other.example.com");
    while (!client.closed)
        ev_run(loop, EVRUN_ONCE);
    ck_assert(strstr(client.words, "name mismatch"));
    ck_assert(strstr(client.words, "other.example.com"));
    finish(loop, &client, &server);
}
END_TEST

enum { RECORDS = 1000, RECORD = 10 };

/* A client of its own process, so that all its small records are there before one is read; then it says
 * nothing more. */
static pid_t small_records_client(int fd, int other)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    close(other);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    uint8_t bytes[RECORD];
    fcntl(fd, F_SETFL, 0);
    SSL_set_fd(ssl, fd);
    if (SSL_connect(ssl) != 1)
        _exit(1);
    for (size_t i = 0; i < RECORDS; i++) {
        for (size_t k = 0; k < RECORD; k++)
            bytes[k] = pattern(i * RECORD + k);
        if (SSL_write(ssl, bytes, RECORD) != RECORD)
            _exit(1);
    }
    pause();
    _exit(0);
}

static void on_give_up(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)t, (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

/* The TLS layer reads ahead of what it is asked for: what it holds must come without another byte from the
 * network. */
START_TEST(test_tls_small_records)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct end server = {.loop = loop, .take = _i ? 100 : 0}, none = {0};
    char *cert, *key, why[256];
    SSL_CTX *ctx;
    ev_timer give_up;
    int fds[2];
    ck_assert_int_eq(tls_self_signed("join.example.com", 1, &cert, &key), ERR_OK);
    ck_assert_int_eq(tls_server_ctx(cert, key, NULL, &ctx, why, sizeof why), ERR_OK);
    ck_assert_int_eq(sock_pair(fds, true), 0);
    pid_t pid = small_records_client(fds[1], fds[0]);
    server.stream = stream_new_tls_server(loop, fds[0], ctx, &events, &server, QUEUE, LOW);
    while (!server.open)
        ev_run(loop, EVRUN_ONCE);
    usleep(200 * 1000);
    ev_timer_init(&give_up, on_give_up, 5, 0);
    ev_timer_start(loop, &give_up);
    while (server.got < RECORDS * RECORD && ev_is_active(&give_up))
        ev_run(loop, EVRUN_ONCE);
    ck_assert_uint_eq(server.got, RECORDS * RECORD);
    ck_assert(!server.bad);
    ev_timer_stop(loop, &give_up);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    SSL_CTX_free(ctx);
    free(cert);
    free(key);
    close(fds[1]);
    finish(loop, &server, &none);
}
END_TEST

struct last_words {
    struct ev_loop *loop;
    char heard[64], words[256];
    bool closed;
};

static size_t last_words_on_data(void *ctx, const uint8_t *data, size_t n)
{
    struct last_words *l = ctx;
    ck_assert_uint_lt(strlen(l->heard) + n, sizeof l->heard);
    strncat(l->heard, (const char *)data, n);
    return n;
}

static void last_words_on_close(void *ctx, enum err why, const char *words)
{
    struct last_words *l = ctx;
    (void)why;
    l->closed = true;
    snprintf(l->words, sizeof l->words, "%s", words);
}

/* The peer has had enough of what we send: it answers and closes, and our next write fails. Its answer
 * counts. */
START_TEST(test_answer_before_reset)
{
    static const struct stream_events last_words_events = {.on_data = last_words_on_data,
                                                           .on_close = last_words_on_close};
    struct last_words l = {.loop = ev_loop_new(0)};
    static uint8_t chunk[QUEUE];
    struct netaddr at;
    ck_assert_int_eq(netaddr_parse("127.0.0.1", 0, &at), ERR_OK);
    int listener = sock_listen_tcp(&at, false), peer;
    ck_assert_int_eq(sock_local(listener, &at), ERR_OK);
    signal(SIGPIPE, SIG_IGN);
    struct stream *s = stream_connect(l.loop, &at, NULL, NULL, &last_words_events, &l, QUEUE, LOW);
    ck_assert_int_eq(stream_write(s, chunk, sizeof chunk), ERR_OK);
    while (stream_queued(s) > 0)
        ev_run(l.loop, EVRUN_NOWAIT);
    while ((peer = accept(listener, NULL, NULL)) < 0)
        ;
    ck_assert_int_eq(send(peer, "enough", 6, 0), 6);
    close(peer); /* with bytes unread: RST */
    usleep(50 * 1000);
    ck_assert_int_eq(stream_write(s, chunk, sizeof chunk), ERR_OK);
    while (!l.closed)
        ev_run(l.loop, EVRUN_ONCE);
    ck_assert_str_eq(l.heard, "enough");
    ck_assert(*l.words != '\0');
    stream_free(s);
    close(listener);
    ev_run(l.loop, EVRUN_NOWAIT);
    ev_loop_destroy(l.loop);
}
END_TEST

START_TEST(test_refused)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct end client = {.loop = loop}, none = {0};
    struct netaddr at;
    ck_assert_int_eq(netaddr_parse("127.0.0.1:1", 0, &at), ERR_OK);
    client.stream = stream_connect(loop, &at, NULL, NULL, &events, &client, QUEUE, LOW);
    ev_run(loop, 0);
    ck_assert(client.closed && !client.open);
    ck_assert_str_eq(client.words, "Connection refused");
    finish(loop, &client, &none);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream");
    TCase *tc = tcase_create("stream");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_pair, 0, 1);
    tcase_add_loop_test(tc, test_pair, 777, 778);
    tcase_add_loop_test(tc, test_tls, 0, 1);
    tcase_add_loop_test(tc, test_tls, 5000, 5001);
    tcase_add_test(tc, test_flush);
    tcase_add_test(tc, test_tls_ephemeral);
    tcase_add_test(tc, test_tls_cut_off);
    tcase_add_test(tc, test_tls_small_socket);
    tcase_add_test(tc, test_tls_key_updates);
    tcase_add_loop_test(tc, test_tls_key_update_flood, 0, 2);
    tcase_add_test(tc, test_tls_gather_full);
    tcase_add_test(tc, test_tls_ticket);
    tcase_add_test(tc, test_tls_idle);
    tcase_add_test(tc, test_tls_lone_header);
    tcase_add_test(tc, test_tls_fast);
    tcase_add_test(tc, test_tls_wrong_name);
    tcase_add_loop_test(tc, test_tls_small_records, 0, 2);
    tcase_add_test(tc, test_answer_before_reset);
    tcase_add_test(tc, test_refused);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
