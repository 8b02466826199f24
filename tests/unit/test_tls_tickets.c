/* A session that one worker began is resumed by another, also across a change of keys, but not across two. */
#include <stdlib.h>
#include <string.h>

#include "common/tls.h"
#include "common/tls_tickets.h"
#include "tests/unit/unit.h"

static struct tls_tickets keys;
static char *cert, *key, why[256];

static SSL_CTX *server_new(const struct tls_tickets *t)
{
    SSL_CTX *ctx;
    ck_assert_int_eq(tls_server_ctx(cert, key, NULL, &ctx, why, sizeof why), ERR_OK);
    ck_assert_int_eq(tls_tickets_use(ctx, t), ERR_OK);
    return ctx;
}

static SSL_SESSION *newest;

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(newest);
    newest = session;
    return 1;
}

static SSL_CTX *client_new(int version)
{
    SSL_CTX *ctx;
    ck_assert_int_eq(tls_client_ctx(cert, &ctx, why, sizeof why), ERR_OK);
    SSL_CTX_set_min_proto_version(ctx, version);
    SSL_CTX_set_max_proto_version(ctx, version);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    return ctx;
}

/* A handshake in memory with the session offered; true when it was resumed. The session that the server then
 * gave is in newest. */
static bool handshake(SSL_CTX *client_ctx, SSL_CTX *server_ctx, SSL_SESSION *offered)
{
    BIO *a, *b;
    char byte;
    SSL *client = SSL_new(client_ctx), *server = SSL_new(server_ctx);
    ck_assert_int_eq(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(client, a, a);
    SSL_set_bio(server, b, b);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    SSL_SESSION *copy =
        offered ? SSL_SESSION_dup(offered) : NULL; /* OpenSSL spoils what it has offered once */
    if (copy)
        SSL_set_session(client, copy);
    for (int i = 0; i < 10; i++) {
        SSL_do_handshake(client);
        SSL_do_handshake(server);
    }
    ck_assert(SSL_is_init_finished(client) && SSL_is_init_finished(server));
    if (SSL_version(server) == TLS1_3_VERSION)
        SSL_new_session_ticket(server); /* as common/stream.c does */
    ck_assert_int_eq(SSL_write(server, "x", 1), 1);
    ck_assert_int_eq(SSL_read(client, &byte, 1), 1); /* TLS 1.3: the tickets come in front of it */
    bool resumed = SSL_session_reused(client) == 1;
    if (SSL_version(client) ==
        TLS1_2_VERSION) { /* there, on_session hears nothing of tickets that are renewed */
        SSL_SESSION_free(newest);
        newest = SSL_get1_session(client);
    }
    SSL_SESSION_free(copy);
    SSL_shutdown(client);
    SSL_shutdown(server);
    SSL_free(client);
    SSL_free(server);
    return resumed;
}

static SSL_SESSION *take(void)
{
    SSL_SESSION *s = newest;
    newest = NULL;
    ck_assert_ptr_nonnull(s);
    return s;
}

static void resumption(int version)
{
    ck_assert_int_eq(tls_self_signed("localhost", 2, &cert, &key), ERR_OK);
    keys = (struct tls_tickets){0};
    tls_tickets_rotate(&keys);
    SSL_CTX *one = server_new(&keys), *other = server_new(&keys), *client = client_new(version);
    ck_assert(!handshake(client, one, NULL));
    SSL_SESSION *first = take();
    ck_assert(handshake(client, other, first));
    SSL_SESSION *next = take(); /* RFC 8446 appendix C.4: the first one has been used now */
    ck_assert(handshake(client, one, next));
    tls_tickets_rotate(&keys);
    ck_assert(handshake(client, other, first));
    SSL_SESSION *renewed = take(); /* sealed with the new key */
    tls_tickets_rotate(&keys);
    ck_assert(!handshake(client, one, first));
    ck_assert(handshake(client, one, renewed));
    SSL_SESSION_free(first);
    SSL_SESSION_free(next);
    SSL_SESSION_free(renewed);
    SSL_SESSION_free(newest);
    SSL_CTX_free(one);
    SSL_CTX_free(other);
    SSL_CTX_free(client);
    free(cert);
    free(key);
}

START_TEST(test_tls12)
{
    resumption(TLS1_2_VERSION);
}
END_TEST

START_TEST(test_tls13)
{
    resumption(TLS1_3_VERSION);
}
END_TEST

START_TEST(test_without_keys)
{
    static const struct tls_tickets none;
    ck_assert_int_eq(tls_self_signed("localhost", 2, &cert, &key), ERR_OK);
    SSL_CTX *server = server_new(&none), *client = client_new(TLS1_3_VERSION);
    ck_assert(!handshake(client, server, NULL));
    ck_assert_ptr_null(newest);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
    free(cert);
    free(key);
}
END_TEST

START_TEST(test_messages)
{
    char hex[TLS_TICKETS_HEX];
    struct tls_tickets read = {0};
    keys = (struct tls_tickets){0};
    ck_assert_str_eq(tls_tickets_print(&keys, hex), "");
    ck_assert_int_eq(tls_tickets_parse("", &read), ERR_MALFORMED);
    for (size_t n = 1; n <= TLS_TICKETS_KEPT + 1; n++) {
        tls_tickets_rotate(&keys);
        ck_assert_int_eq(tls_tickets_parse(tls_tickets_print(&keys, hex), &read), ERR_OK);
        ck_assert_uint_eq(read.n, n < TLS_TICKETS_KEPT ? n : TLS_TICKETS_KEPT);
        ck_assert_mem_eq(read.keys, keys.keys, read.n * sizeof keys.keys[0]);
    }
    hex[3] = 'g';
    ck_assert_int_eq(tls_tickets_parse(hex, &read), ERR_MALFORMED);
    ck_assert_int_eq(tls_tickets_parse("abcd", &read), ERR_MALFORMED);
}
END_TEST

UNIT_MAIN("tls_tickets", test_tls12, test_tls13, test_without_keys, test_messages)
