/* Handshakes in memory with certificates that are not accepted: the reason says what was expected and what
 * came. */
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "common/tls.h"
#include "common/tls_verify.h"
#include "tests/unit/unit.h"

static char words[512];

/* A client that trusts ca and expects `expected` meets a server with a certificate for `host`. True when they
 * agree. */
static bool handshake(const char *host, bool trusted, const char *expected)
{
    char *cert, *key, *other_cert, *other_key, why[256];
    SSL_CTX *server_ctx, *client_ctx;
    ck_assert(tls_self_signed(host, 1, &cert, &key) == ERR_OK);
    ck_assert(tls_self_signed("other.example", 1, &other_cert, &other_key) == ERR_OK);
    ck_assert(tls_server_ctx(cert, key, NULL, &server_ctx, why, sizeof why) == ERR_OK);
    ck_assert(tls_client_ctx(trusted ? cert : other_cert, &client_ctx, why, sizeof why) == ERR_OK);
    SSL *server = SSL_new(server_ctx), *client = SSL_new(client_ctx);
    BIO *a, *b;
    ck_assert(BIO_new_bio_pair(&a, 32768, &b, 32768) == 1);
    SSL_set_bio(server, a, a);
    SSL_set_bio(client, b, b);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    if (expected[0] >= '0' && expected[0] <= '9')
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(client), expected);
    else
        SSL_set1_host(client, expected);
    int done = 0;
    for (int i = 0; i < 8 && done != 1; i++) {
        ERR_clear_error();
        done = SSL_do_handshake(client);
        if (done != 1 && SSL_get_error(client, done) == SSL_ERROR_SSL)
            break;
        ERR_clear_error();
        SSL_do_handshake(server);
    }
    words[0] = '\0';
    if (done != 1)
        tls_words(client, words, sizeof words);
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(server_ctx);
    free(cert);
    free(key);
    free(other_cert);
    free(other_key);
    ERR_clear_error();
    return done == 1;
}

START_TEST(test_accepted)
{
    ck_assert_msg(handshake("join.example.com", true, "join.example.com"), "%s", words);
    ck_assert_msg(handshake("192.0.2.1", true, "192.0.2.1"), "%s", words);
}
END_TEST

START_TEST(test_another_name)
{
    ck_assert(!handshake("bridge.lan", true, "join.example.com"));
    ck_assert_str_eq(words, "name mismatch: expected join.example.com, certificate names bridge.lan");
    ck_assert(!handshake("2001:db8::7", true, "join.example.com"));
    ck_assert_str_eq(words, "name mismatch: expected join.example.com, certificate names 2001:db8::7");
    ck_assert(!handshake("bridge.lan", true, "192.0.2.1"));
    ck_assert_str_eq(words, "name mismatch: expected 192.0.2.1, certificate names bridge.lan");
    ck_assert(!handshake("a\033[2J\"b", true, "join.example.com")); /* it is the bridge's to choose */
    ck_assert_str_eq(words, "name mismatch: expected join.example.com, certificate names a\\x1b[2J\\\"b");
}
END_TEST

START_TEST(test_another_ca)
{
    ck_assert(!handshake("join.example.com", false, "join.example.com"));
    ck_assert_str_eq(words,
                     "certificate verify failed: self-signed certificate; the trusted CAs do not cover it "
                     "(expected name join.example.com)");
}
END_TEST

START_TEST(test_no_words_without_a_certificate)
{
    SSL_CTX *ctx;
    char why[256];
    ck_assert(tls_client_ctx(NULL, &ctx, why, sizeof why) == ERR_OK);
    SSL *ssl = SSL_new(ctx);
    ck_assert(tls_verify_words(ssl) == NULL);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}
END_TEST

UNIT_MAIN("tls_verify", test_accepted, test_another_name, test_another_ca,
          test_no_words_without_a_certificate)
