#include <string.h>

#include "proto/http_hygiene.h"
#include "tests/unit/unit.h"

static struct http_message m;

static void add(const char *name, const char *value)
{
    ck_assert_int_eq(http_message_add_str(&m, name, value), ERR_OK);
}

START_TEST(test_request)
{
    struct netaddr client;
    struct http_hygiene_origin origin = {.client = &client, .received = "2.0", .request_id = "abc"};
    netaddr_parse("[2001:db8::7]:1234", 0, &client);
    http_message_init(&m);
    http_message_set_authority(&m, "join.example.com", 16);
    static const char *const claims[] = {"X-Forwarded-For",
                                         "X-Forwarded-Proto",
                                         "X-Forwarded-Host",
                                         "X-Forwarded-Server",
                                         "X-Forwarded-Anything",
                                         "X-Forwarded",
                                         "X-Real-IP",
                                         "Forwarded",
                                         "X-Request-ID",
                                         "True-Client-IP",
                                         "X-Client-IP",
                                         "X-HTTP-Method-Override",
                                         "X-HTTP-Method",
                                         "X-Method-Override",
                                         "X-Original-URL",
                                         "X-Rewrite-URL",
                                         "X-Host",
                                         "X_Forwarded_For",
                                         "x-forwarded_host",
                                         "X_HTTP_Method_Override",
                                         "Content_Length",
                                         "Transfer_Encoding",
                                         "true_client_ip",
                                         "Stile-Reason",
                                         "Connection",
                                         "Upgrade",
                                         "Proxy-Authorization"};
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++)
        add(claims[i], "lie");
    add("from", "kept");
    add("x-custom", "kept");
    add("user-agent", "kept");
    ck_assert_int_eq(http_hygiene_request(&m, &origin), ERR_OK);
    for (size_t i = 0; i < m.n_fields; i++)
        ck_assert(!span_is(http_message_value(&m, i), "lie"));
    ck_assert_uint_eq(m.n_fields, 3 + 7);
    ck_assert(span_is(http_message_find(&m, "x-forwarded-for"), "2001:db8::7"));
    ck_assert(span_is(http_message_find(&m, "forwarded"),
                      "for=\"[2001:db8::7]\";host=\"join.example.com\";proto=https"));
    ck_assert(span_is(http_message_find(&m, "via"), "2.0 stile-edge"));
    ck_assert(span_is(http_message_find(&m, "x-request-id"), "abc"));
    http_message_free(&m);
}
END_TEST

START_TEST(test_core_takes_overrides_only)
{
    http_message_init(&m);
    add("x-forwarded-for", "192.0.2.1");
    add("x-http-method-override", "PATCH");
    add("x-rewrite-url", "/admin");
    add("x_original_url", "/admin");
    add("x-original-uri", "/admin");
    add("x-override-url", "/admin");
    add("x-http-host-override", "admin.example.com");
    add("x-forwarded-prefix", "/admin");
    add("x-forwarded-uri", "/admin");
    add("content_length", "5");
    http_hygiene_strip_overrides(&m);
    ck_assert_uint_eq(m.n_fields, 1);
    http_message_free(&m);
}
END_TEST

/* What an edge says of the client passes when it is an address and an id; the host is the one that was
 * judged. */
START_TEST(test_core_restates)
{
    static const struct {
        const char *client, *id, *for_bridge;
        bool id_passes;
    } rows[] = {
        {"192.0.2.7", "0123456789abcdef", "for=192.0.2.7;host=\"join.example.com\";proto=https", true},
        {"2001:db8::1", "00", "for=\"[2001:db8::1]\";host=\"join.example.com\";proto=https", true},
        {"192.0.2.7, 10.0.0.1", "not hex", NULL, false},
        {"192.0.2.7;host=other", "", NULL, false},
        {"", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0", NULL, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        http_message_init(&m);
        http_message_set_authority(&m, "join.example.com", 16);
        http_message_add_str(&m, "x-forwarded-for", rows[i].client);
        http_message_add_str(&m, "x-request-id", rows[i].id);
        http_message_add_str(&m, "x-forwarded-host", "elsewhere.example.com");
        http_message_add_str(&m, "forwarded", "for=6.6.6.6;host=elsewhere.example.com");
        http_message_add_str(&m, "x-real-ip", "6.6.6.6");
        http_message_add_str(&m, "x-original-url", "/admin");
        http_message_add_str(&m, "accept", "*/*");
        ck_assert_int_eq(http_hygiene_restate(&m), ERR_OK);
        struct span forwarded = http_message_find(&m, "forwarded");
        ck_assert_int_eq(forwarded.at != NULL, rows[i].for_bridge != NULL);
        ck_assert(!rows[i].for_bridge || span_is(forwarded, rows[i].for_bridge));
        ck_assert(!rows[i].for_bridge || span_is(http_message_find(&m, "x-real-ip"), rows[i].client));
        ck_assert(!rows[i].for_bridge ||
                  span_is(http_message_find(&m, "x-forwarded-host"), "join.example.com"));
        ck_assert_uint_eq(http_message_count(&m, "x-forwarded-host"), rows[i].for_bridge != NULL);
        ck_assert_int_eq(http_message_find(&m, "x-request-id").at != NULL, rows[i].id_passes);
        ck_assert_ptr_null(http_message_find(&m, "x-original-url").at);
        ck_assert_ptr_nonnull(http_message_find(&m, "accept").at);
        http_message_free(&m);
    }
}
END_TEST

START_TEST(test_response)
{
    http_message_init(&m);
    add("stile-reason", "no-target");
    add("alt-svc", "h3=\":443\"");
    add("connection", "close");
    add("keep-alive", "timeout=5");
    add("set-cookie", "a=1");
    add("set-cookie", "b=2");
    add("server", "bridge");
    http_hygiene_response(&m);
    ck_assert_uint_eq(m.n_fields, 3);
    ck_assert_uint_eq(http_message_count(&m, "set-cookie"), 2);
    http_message_free(&m);
}
END_TEST

UNIT_MAIN("http_hygiene", test_request, test_core_takes_overrides_only, test_core_restates, test_response)
