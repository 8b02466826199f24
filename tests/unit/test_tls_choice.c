/* Which certificate a client is shown, by the name it asks for and the keys it knows; and what is stapled. */
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "common/tls_choice.h"
#include "common/tls_tickets.h"
#include "tests/unit/unit.h"

static char why[256];

/* A certificate for "DNS:a,DNS:b,…", signed with its own key. */
static struct tls_identity identity(const char *names, bool rsa)
{
    struct tls_identity id = {.leaf = X509_new(), .chain = sk_X509_new_null()};
    X509V3_CTX v3;
    id.key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    X509_set_version(id.leaf, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(id.leaf), 1);
    X509_gmtime_adj(X509_getm_notBefore(id.leaf), -60);
    X509_gmtime_adj(X509_getm_notAfter(id.leaf), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(id.leaf), "CN", MBSTRING_UTF8,
                               (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(id.leaf, X509_get_subject_name(id.leaf));
    X509_set_pubkey(id.leaf, id.key);
    X509V3_set_ctx_nodb(&v3);
    X509V3_set_ctx(&v3, id.leaf, id.leaf, NULL, NULL, 0);
    X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, &v3, NID_subject_alt_name, names);
    ck_assert(X509_add_ext(id.leaf, san, -1) == 1 && X509_sign(id.leaf, id.key, EVP_sha256()) > 0);
    X509_EXTENSION_free(san);
    return id;
}

/* What a client asks for, and what came of it. */
struct client {
    const char *name, *suites; /* suites: of TLS 1.2; NULL: TLS 1.3 */
    bool wants_staple;
    SSL_SESSION *resume;
    /* after it */
    X509 *shown;
    char staple[64];
    bool resumed;
    SSL_SESSION *session;
    char asked[64]; /* as the server knows it */
};

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct client *c = SSL_get_app_data(ssl);
    SSL_SESSION_free(c->session);
    c->session = session;
    return 1;
}

static void shake(SSL_CTX *server_ctx, struct client *c)
{
    SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
    SSL *client = SSL_new(client_ctx), *server = SSL_new(server_ctx);
    BIO *a, *b;
    char byte;
    const unsigned char *staple;
    SSL_set_app_data(client, c);
    SSL_CTX_set_session_cache_mode(client_ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(client_ctx, on_session);
    ck_assert(BIO_new_bio_pair(&a, 0, &b, 0) == 1);
    SSL_set_bio(client, a, a);
    SSL_set_bio(server, b, b);
    if (c->suites) {
        SSL_set_max_proto_version(client, TLS1_2_VERSION);
        ck_assert(SSL_set_cipher_list(client, c->suites) == 1);
    }
    if (c->name)
        SSL_set_tlsext_host_name(client, c->name);
    if (c->wants_staple)
        SSL_set_tlsext_status_type(client, TLSEXT_STATUSTYPE_ocsp);
    if (c->resume)
        ck_assert(SSL_set_session(client, c->resume) == 1);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    for (int i = 0; i < 10; i++) {
        (void)SSL_do_handshake(client);
        (void)SSL_do_handshake(server);
    }
    ck_assert(SSL_is_init_finished(client) && SSL_is_init_finished(server));
    if (!c->suites) /* as common/stream.c gives them */
        ck_assert(SSL_new_session_ticket(server) == 1 && SSL_write(server, "x", 1) == 1);
    (void)SSL_read(client, &byte, 1);
    c->shown = SSL_get1_peer_certificate(client);
    c->resumed = SSL_session_reused(client) == 1;
    long n = SSL_get_tlsext_status_ocsp_resp(client, &staple);
    snprintf(c->staple, sizeof c->staple, "%.*s", n > 0 ? (int)n : 0, n > 0 ? (const char *)staple : "");
    const char *asked = SSL_get_servername(server, TLSEXT_NAMETYPE_host_name);
    snprintf(c->asked, sizeof c->asked, "%s", asked ? asked : "");
    SSL_shutdown(client);
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(client_ctx);
}

static void client_free(struct client *c)
{
    X509_free(c->shown);
    SSL_SESSION_free(c->session);
}

/* Which of the n identities a client with this name is shown. */
static int shown(SSL_CTX *ctx, const struct tls_identity *ids, size_t n, const char *name, const char *suites)
{
    struct client c = {.name = name, .suites = suites};
    int found = -1;
    shake(ctx, &c);
    for (size_t i = 0; i < n; i++)
        if (X509_cmp(c.shown, ids[i].leaf) == 0)
            found = (int)i;
    client_free(&c);
    return found;
}

START_TEST(test_names)
{
    struct tls_identity ids[] = {identity("DNS:one.example.com", false),
                                 identity("DNS:two.example.com,DNS:Three.Example.com,IP:192.0.2.1", false),
                                 identity("DNS:*.example.org", false),
                                 identity("DNS:own.example.org,DNS:one.example.com", false)};
    const struct tls_server server = {0};
    static const struct {
        const char *asked;
        int shown;
    } rows[] = {
        {"one.example.com", 0},
        {"two.example.com", 1},
        {"TWO.example.COM", 1},
        {"three.example.com", 1},
        {"a.example.org", 2},
        {"own.example.org", 2}, /* the first that names it */
        {"a.b.example.org", 1},
        {"example.org", 1},
        {NULL, 1},
        {"nobody.example.net", 1},
        {"x", 1},
        {"*.example.org", 2},
        {".example.org", 1},
    };
    SSL_CTX *ctx;
    ck_assert_int_eq(tls_choice_ctx(&server, ids, 4, "two.example.com", &ctx, why, sizeof why), ERR_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_msg(shown(ctx, ids, 4, rows[i].asked, NULL) == rows[i].shown, "%s", rows[i].asked);
    SSL_CTX_free(ctx);
    /* Nobody has the host: the first one. */
    ck_assert_int_eq(tls_choice_ctx(&server, ids, 4, "nobody.example.net", &ctx, why, sizeof why), ERR_OK);
    ck_assert_int_eq(shown(ctx, ids, 4, NULL, NULL), 0);
    SSL_CTX_free(ctx);
    for (size_t i = 0; i < 4; i++)
        tls_identity_free(&ids[i]);
}
END_TEST

START_TEST(test_kinds_of_keys)
{
    struct tls_identity ids[] = {identity("DNS:one.example.com", false),
                                 identity("DNS:one.example.com,DNS:two.example.com", true),
                                 identity("DNS:one.example.com", true)};
    const struct tls_server server = {0};
    SSL_CTX *ctx;
    ck_assert_int_eq(tls_choice_ctx(&server, ids, 3, "one.example.com", &ctx, why, sizeof why), ERR_OK);
    ck_assert_int_eq(shown(ctx, ids, 3, "one.example.com", NULL), 0);
    ck_assert_int_eq(shown(ctx, ids, 3, "one.example.com", "ECDHE+aECDSA"), 0);
    ck_assert_int_eq(shown(ctx, ids, 3, "one.example.com", "ECDHE+aRSA"), 1);
    ck_assert_int_eq(shown(ctx, ids, 3, NULL, "ECDHE+aRSA"), 1);
    ck_assert_int_eq(shown(ctx, ids, 3, "two.example.com", NULL), 1);
    SSL_CTX_free(ctx);
    for (size_t i = 0; i < 3; i++)
        tls_identity_free(&ids[i]);
}
END_TEST

/* Connections that began before the context was replaced still choose. */
START_TEST(test_lifetime)
{
    struct tls_identity ids[] = {identity("DNS:one.example.com", false),
                                 identity("DNS:two.example.com", false)};
    const struct tls_server server = {0};
    SSL_CTX *ctx, *client_ctx = SSL_CTX_new(TLS_client_method());
    BIO *a, *b;
    ck_assert_int_eq(tls_choice_ctx(&server, ids, 2, "one.example.com", &ctx, why, sizeof why), ERR_OK);
    SSL *late = SSL_new(ctx), *client = SSL_new(client_ctx);
    SSL_CTX_free(ctx);
    tls_identity_free(&ids[0]);
    ck_assert(BIO_new_bio_pair(&a, 0, &b, 0) == 1);
    SSL_set_bio(client, a, a);
    SSL_set_bio(late, b, b);
    SSL_set_tlsext_host_name(client, "two.example.com");
    SSL_set_connect_state(client);
    SSL_set_accept_state(late);
    for (int i = 0; i < 5; i++) {
        (void)SSL_do_handshake(client);
        (void)SSL_do_handshake(late);
    }
    X509 *x = SSL_get1_peer_certificate(client);
    ck_assert(x && X509_cmp(x, ids[1].leaf) == 0);
    X509_free(x);
    SSL_free(client);
    SSL_free(late);
    SSL_CTX_free(client_ctx);
    tls_identity_free(&ids[1]);
}
END_TEST

START_TEST(test_staple)
{
    struct tls_identity ids[] = {identity("DNS:one.example.com", false),
                                 identity("DNS:two.example.com", false),
                                 identity("DNS:late.example.com", false)};
    const struct tls_server server = {0};
    static const char *const suites[] = {NULL, "ECDHE+aECDSA"};
    int64_t now = time(NULL);
    SSL_CTX *ctx;
    ck_assert_int_eq(tls_identity_staple(&ids[1], (const uint8_t *)"first", 5, now + 60), ERR_OK);
    ck_assert_int_eq(tls_identity_staple(&ids[1], (const uint8_t *)"good", 4, now + 60), ERR_OK);
    ck_assert_int_eq(tls_identity_staple(&ids[2], (const uint8_t *)"old", 3, now), ERR_OK);
    ck_assert_int_eq(tls_choice_ctx(&server, ids, 3, "one.example.com", &ctx, why, sizeof why), ERR_OK);
    for (size_t i = 0; i < 2; i++) {
        struct client clients[] = {
            {.name = "two.example.com", .wants_staple = true, .suites = suites[i]},
            {.name = "two.example.com", .suites = suites[i]},
            {.name = "one.example.com", .wants_staple = true, .suites = suites[i]},
            {.name = "late.example.com", .wants_staple = true, .suites = suites[i]},
        };
        for (size_t k = 0; k < 4; k++) {
            shake(ctx, &clients[k]);
            ck_assert_str_eq(clients[k].staple, k == 0 ? "good" : "");
            client_free(&clients[k]);
        }
    }
    SSL_CTX_free(ctx);
    for (size_t i = 0; i < 3; i++)
        tls_identity_free(&ids[i]);
}
END_TEST

/* A session is resumed by the next context, too, and remembers whom it was for. */
START_TEST(test_resumption)
{
    static const char *const suites[] = {NULL, "ECDHE+aECDSA"};
    struct tls_tickets tickets = {0};
    struct tls_identity ids[] = {identity("DNS:one.example.com", false),
                                 identity("DNS:two.example.com", false)},
                        next[] = {identity("DNS:one.example.com", false),
                                  identity("DNS:two.example.com", false)};
    const struct tls_server server = {.tickets = &tickets};
    SSL_CTX *before, *after;
    tls_tickets_rotate(&tickets);
    ck_assert_int_eq(tls_choice_ctx(&server, ids, 2, "one.example.com", &before, why, sizeof why), ERR_OK);
    ck_assert_int_eq(tls_choice_ctx(&server, next, 2, "one.example.com", &after, why, sizeof why), ERR_OK);
    for (size_t i = 0; i < 2; i++) {
        struct client first = {.name = "two.example.com", .suites = suites[i]};
        shake(before, &first);
        ck_assert(!first.resumed && first.session);
        struct client again = {.name = "two.example.com", .suites = suites[i], .resume = first.session};
        shake(after, &again);
        ck_assert(again.resumed);
        ck_assert_str_eq(again.asked, "two.example.com");
        client_free(&first);
        client_free(&again);
    }
    SSL_CTX_free(before);
    SSL_CTX_free(after);
    for (size_t i = 0; i < 2; i++) {
        tls_identity_free(&ids[i]);
        tls_identity_free(&next[i]);
    }
}
END_TEST

START_TEST(test_from_json)
{
    struct tls_identity one = identity("DNS:one.example.com", false),
                        two = identity("DNS:two.example.com", true);
    const struct tls_server server = {.alpn = "\x08http/1.1"}, datagram = {.datagram = true};
    char *a = tls_identity_pem(&one), *b = tls_identity_pem(&two);
    static const char *const wrong[] = {
        "{}", "{\"host\":\"x\",\"identities\":[]}", "{\"identities\":[{\"pem\":\"x\"}]}",
        "{\"host\":\"x\",\"identities\":[{}]}", "{\"host\":\"x\",\"identities\":[{\"pem\":\"x\"}]}"};
    SSL_CTX *ctx;
    json_t *json = json_pack("{ss s[{ss} {ss ss sI}]}", "host", "one.example.com", "identities", "pem", a,
                             "pem", b, "staple", "6869", "staple_until", (json_int_t)time(NULL) + 60);
    struct client c = {.name = "two.example.com", .wants_staple = true};
    ck_assert_msg(tls_choice_ctx_json(&server, json, &ctx, why, sizeof why) == ERR_OK, "%s", why);
    shake(ctx, &c);
    ck_assert(X509_cmp(c.shown, two.leaf) == 0);
    ck_assert_str_eq(c.staple, "hi");
    client_free(&c);
    SSL_CTX_free(ctx);
    ck_assert_int_eq(tls_choice_ctx_json(&datagram, json, &ctx, why, sizeof why), ERR_OK);
    SSL_CTX_free(ctx);
    json_decref(json);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        json = json_loads(wrong[i], 0, NULL);
        ck_assert(tls_choice_ctx_json(&server, json, &ctx, why, sizeof why) != ERR_OK);
        json_decref(json);
    }
    ck_assert(tls_choice_ctx_json(&server, NULL, &ctx, why, sizeof why) == ERR_CONFIG);
    /* Another one's key. */
    json = json_pack("{ss s[{ss ss}]}", "host", "x", "identities", "pem", a, "key", b);
    ck_assert_int_eq(tls_choice_ctx_json(&server, json, &ctx, why, sizeof why), ERR_TLS);
    ck_assert_ptr_nonnull(strstr(why, "private key"));
    json_decref(json);
    free(a);
    free(b);
    tls_identity_free(&one);
    tls_identity_free(&two);
}
END_TEST

UNIT_MAIN("tls_choice", test_names, test_kinds_of_keys, test_lifetime, test_staple, test_resumption,
          test_from_json)
