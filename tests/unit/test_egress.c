/* Requests through core/egress: what is let through, what the bridge sees, what comes back. */
#include "tests/unit/egress_fixture.h"

static char last_head[16 * 1024];

static void serve_and_keep(struct peer *p)
{
    while (peer_head(p, last_head, sizeof last_head))
        peer_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nConnection: "
                    "x-hop\r\nX-Hop: 1\r\n"
                    "stile-reason: forged\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nhello");
}

START_TEST(test_get)
{
    struct bridge *b = lab_start_with(serve_and_keep);
    struct http_message m;
    message_start(&m, "GET", "/a/./b/%7Euser?q=%2F..");
    http_message_add_str(&m, "x-forwarded-for", "192.0.2.7");
    http_message_add_str(&m, "te", "trailers");
    http_message_add_str(&m, "stile-secret", "1");
    http_message_add_str(&m, "cookie", "c=3");
    struct call *c = call_message(&m, true);
    http_message_free(&m);
    RUN_UNTIL(c->closed);
    ck_assert_uint_eq(c->status, 200);
    ck_assert(c->ended && c->code == H2_NO_ERROR && call_body_is(c, "hello"));
    ck_assert(call_has(c, "content-type", "text/plain") && call_has(c, "via", "1.1 stile-core"));
    ck_assert_int_eq(c->head.content_length, 5);
    ck_assert_uint_eq(http_message_count(&c->head, "set-cookie"), 2);
    ck_assert(!http_message_find(&c->head, "x-hop").at && !http_message_find(&c->head, "connection").at);
    ck_assert(!http_message_find(&c->head, EGRESS_REASON_FIELD).at);
    ck_assert_str_eq(
        last_head,
        "GET /a/b/~user?q=%2F.. HTTP/1.1\r\nhost: join.example.com\r\nx-forwarded-for: 192.0.2.7\r\n"
        "cookie: c=3\r\nte: trailers\r\nvia: 2.0 stile-core\r\nconnection: TE\r\n\r\n");
    get("/again");
    ck_assert_uint_eq(b->n_peers, 1); /* kept alive */
    ck_assert_uint_eq(bridge_requests(b), 2);
    lab_stop();
}
END_TEST

UNIT_MAIN("egress", test_get)
