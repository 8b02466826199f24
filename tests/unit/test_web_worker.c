/* The whole web worker over loopback, a core that is an HTTP/2 server in the same process. */
#include "edge/web/waiting.h"
#include "tests/unit/web_box.h"

START_TEST(test_get_and_keep_alive)
{
    struct guest g;
    box_start();
    guest_connect(&g, true, "join.example.com");
    guest_send(&g, GET("/hello"));
    RUN_UNTIL(guest_ends_with(&g, "\r\n\r\nhello"));
    ck_assert(guest_has(&g, "HTTP/1.1 200 OK\r\n"));
    ck_assert(guest_has(&g, "server: bridge\r\n"));
    ck_assert(guest_has(&g, "content-length: 5\r\n"));
    ck_assert(!guest_has(&g, "alt-svc"));
    buf_reset(&g.in);
    guest_send(&g, HEAD_OF("HEAD", "/hello") "\r\n");
    RUN_UNTIL(guest_ends_with(&g, "\r\n\r\n"));
    ck_assert(guest_has(&g, "content-length: 5\r\n"));
    buf_reset(&g.in);
    guest_send(&g, GET("/chunked"));
    RUN_UNTIL(guest_ends_with(&g, "0\r\nx-sum: 42\r\n\r\n"));
    ck_assert(guest_has(&g, "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"));
    buf_reset(&g.in);
    guest_send(&g, GET("/304"));
    RUN_UNTIL(guest_ends_with(&g, "\r\n\r\n"));
    ck_assert(guest_has(&g, "HTTP/1.1 304 Not Modified\r\n"));
    buf_reset(&g.in);
    guest_send(&g, GET("/204"));
    RUN_UNTIL(guest_ends_with(&g, "\r\n\r\n"));
    ck_assert(!guest_has(&g, "content-length"));
    buf_reset(&g.in);
    guest_send(&g, GET("/empty"));
    RUN_UNTIL(guest_ends_with(&g, "content-length: 0\r\n\r\n"));
    buf_reset(&g.in);
    guest_send(&g, GET("/hints"));
    RUN_UNTIL(guest_ends_with(&g, "hinted"));
    ck_assert(!guest_has(&g, "103"));
    buf_reset(&g.in);
    guest_send(&g, HEAD_OF("GET", "/hello") "Connection: close\r\n\r\n");
    RUN_UNTIL(g.eof);
    ck_assert(guest_has(&g, "connection: close\r\n"));
    ck_assert_uint_eq(box.cores[0].requests, 8);
    ck_assert_int_eq((int)box_count("connections"), 1);
    ck_assert_int_eq((int)box_durations("edge"), 8);
    ck_assert_int_eq((int)box_durations("tunnel"), 8);
    guest_close(&g);
    RUN_UNTIL(box_count("connections") == 0);
    box_stop();
}
END_TEST

START_TEST(test_pipelining_is_taken_one_by_one)
{
    struct guest g;
    box_start();
    guest_connect(&g, true, "join.example.com");
    guest_send(&g, GET("/hello") GET("/404"));
    run_for(0.05);
    ck_assert_uint_eq(box.cores[0].requests, 2); /* the second never answers */
    guest_send(&g, GET("/hello"));
    run_for(0.05);
    ck_assert_uint_eq(box.cores[0].requests, 2);
    guest_close(&g);
    guest_connect(&g, true, "join.example.com");
    guest_send(&g, HEAD_OF("POST", "/echo") "Content-Length: 3\r\n\r\nabc" GET("/hello") GET("/mirror")
                       GET("/hello"));
    RUN_UNTIL(guest_ends_with(&g, "\r\n\r\nhello") && guest_has(&g, "x-real-ip"));
    ck_assert(guest_has(&g, "3\r\nabc\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"));
    ck_assert_uint_eq(box.cores[0].requests, 6);
    guest_close(&g);
    box_stop();
}
END_TEST

START_TEST(test_byte_by_byte)
{
    static const char text[] = HEAD_OF("POST", "/echo") "Transfer-Encoding: chunked\r\n\r\n"
                                                        "5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 7\r\n\r\n";
    struct guest g;
    box_start();
    guest_connect(&g, true, "join.example.com");
    for (size_t i = 0; i < sizeof text - 1; i++) {
        stream_write(g.stream, text + i, 1);
        ev_run(box.loop, EVRUN_NOWAIT);
        ev_run(box.loop, EVRUN_NOWAIT);
    }
    RUN_UNTIL(guest_ends_with(&g, "0\r\nx-sum: 7\r\n\r\n"));
    guest_close(&g);
    box_stop();
}
END_TEST

START_TEST(test_hygiene)
{
    struct guest g;
    box_start();
    guest_connect(&g, true, "join.example.com");
    guest_send(
        &g,
        "GET https://JOIN.example.com/x/../mirror HTTP/1.1\r\nHost: JOIN.example.com\r\n"
        "Connection: keep-alive, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\n"
        "Proxy-Connection: x\r\nTE: trailers, gzip\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: http\r\n"
        "X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n"
        "X-HTTP-Method-Override: PATCH\r\nX-Original-URL: /admin\r\nX-Request-Id: mine\r\n"
        "Via: 1.0 first\r\nCookie: a=b\r\nAccept: */*\r\n\r\n");
    RUN_UNTIL(guest_has(&g, "via: 1.1 stile-edge"));
    ck_assert(guest_has(&g, "GET join.example.com /mirror\n"));
    ck_assert(guest_has(&g, "cookie: a=b\n") && guest_has(&g, "accept: */*\n") &&
              guest_has(&g, "te: trailers\n"));
    ck_assert(guest_has(&g, "x-forwarded-for: 127.0.0.1\n") && guest_has(&g, "x-real-ip: 127.0.0.1\n"));
    ck_assert(guest_has(&g, "x-forwarded-proto: https\n") &&
              guest_has(&g, "x-forwarded-host: join.example.com\n"));
    ck_assert(guest_has(&g, "forwarded: for=127.0.0.1;host=\"join.example.com\";proto=https\n"));
    ck_assert(guest_has(&g, "via: 1.0 first\n") && guest_has(&g, "x-request-id: "));
    static const char *const gone[] = {"6.6.6.6",         "evil", "secret",   "keep-alive: ",   "upgrade",
                                       "proxy-",          "gzip", "override", "x-original-url", "mine",
                                       "x-forwarded-port"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        ck_assert_msg(!guest_has(&g, gone[i]), "%s", gone[i]);
    guest_close(&g);
    box_stop();
}
END_TEST

/* Sends a request on a new connection and gives back the status of the answer; the text stays in g. */
static unsigned status_for(struct guest *g, const char *name, const char *request)
{
    unsigned status = 0;
    guest_connect(g, true, name);
    guest_send(g, request);
    RUN_UNTIL(guest_has(g, "\r\n\r\n") || g->closed || g->eof);
    if (buf_len(&g->in) >= 12)
        sscanf((const char *)buf_data(&g->in), "HTTP/1.1 %u", &status);
    return status;
}

START_TEST(test_refusals)
{
    static const struct {
        const char *name, *request;
        unsigned status;
    } rows[] = {
        {"join.example.com", "GET / HTTP/1.1\r\nHost: other.example.com\r\n\r\n", 421},
        {"join.example.com", "GET / HTTP/1.1\r\nHost: join.example.com:8443\r\n\r\n", 421},
        {"narrow.example.com", GET("/hello"), 421}, /* SNI and Host differ, both are known */
        {"join.example.com", "GET /app HTTP/1.1\r\nHost: narrow.example.com\r\n\r\n", 421},
        {"narrow.example.com", "GET /apple HTTP/1.1\r\nHost: narrow.example.com\r\n\r\n", 403},
        {"narrow.example.com", "POST /app HTTP/1.1\r\nHost: narrow.example.com\r\nContent-Length: 0\r\n\r\n",
         403},
        {"narrow.example.com", "GET /app/../x HTTP/1.1\r\nHost: narrow.example.com\r\n\r\n", 403},
        {"join.example.com", HEAD_OF("PATCH", "/") "Content-Length: 3\r\n\r\nabc", 403},
        {"join.example.com", GET("/a%2fb"), 400},
        {"join.example.com", GET("/../a"), 400},
        {"join.example.com", "GET http://join.example.com/ HTTP/1.1\r\nHost: join.example.com\r\n\r\n", 400},
        {"join.example.com", "GET / HTTP/1.1\r\n\r\n", 400},
        {"join.example.com", HEAD_OF("GET", "/") "X : y\r\n\r\n", 400},
        {"join.example.com",
         HEAD_OF("POST", "/echo") "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"join.example.com", HEAD_OF("POST", "/stall") "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
        {"join.example.com", HEAD_OF("GET", "/") "Expect: more\r\n\r\n", 417},
        {"join.example.com", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501},
        {"join.example.com", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        {"join.example.com",
         HEAD_OF("GET",
                 "/ws") "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n",
         400},
        {"join.example.com",
         HEAD_OF("GET", "/ws") "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
         426},
    };
    struct guest g;
    box_start();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned before = box.cores[0].requests, status = status_for(&g, rows[i].name, rows[i].request);
        ck_assert_msg(status == rows[i].status, "%s: %u", rows[i].request, status);
        ck_assert_msg(box.cores[0].requests == before || strstr(rows[i].request, "/stall"), "%s",
                      rows[i].request);
        ck_assert(guest_has(&g, "cache-control: no-store\r\n") && !guest_has(&g, "0.1"));
        RUN_UNTIL(guest_has(&g, "</html>"));
        guest_close(&g);
    }
    RUN_UNTIL(box.events >= 8);
    ck_assert(strstr(box.last_event, "\"event\":\"Request Refused\""));
    ck_assert(strstr(box.last_event, "\"client\":\"127.0.0.1\""));
    box_stop();
}
END_TEST

START_TEST(test_refusal_names_the_rule)
{
    struct guest g;
    box_start();
    ck_assert_uint_eq(status_for(&g, "join.example.com", HEAD_OF("PATCH", "/x?secret=1") "\r\n"), 403);
    RUN_UNTIL(box.events);
    ck_assert(
        strstr(box.last_event, "no rule allows method PATCH for https://join.example.com/x; nearest is"));
    ck_assert(!strstr(box.last_event, "secret"));
    guest_send(&g, GET("/hello")); /* a refusal by rule keeps the connection */
    RUN_UNTIL(guest_ends_with(&g, "hello"));
    guest_close(&g);
    box_stop();
}
END_TEST

START_TEST(test_policy_change)
{
    struct guest g;
    box_start();
    json_t *rules = json_pack("[{s:s, s:s}]", "host", "new.example.com", "path", "/mirror");
    ipc_send(box.main_side, json_pack("{s:s, s:i, s:o}", "type", "policy", "revision", 8, "allowlist", rules),
             NULL, 0);
    ck_assert_int_eq((int)box_count("revision"), 8);
    ck_assert_uint_eq(status_for(&g, "join.example.com", GET("/hello")), 421);
    guest_close(&g);
    ck_assert_uint_eq(status_for(&g, "127.0.0.1", "GET /mirror HTTP/1.1\r\nHost: new.example.com\r\n\r\n"),
                      200);
    guest_close(&g);
    ipc_send(box.main_side, json_pack("{s:s, s:i, s:s}", "type", "policy", "revision", 9, "allowlist", "x"),
             NULL, 0);
    RUN_UNTIL(box.refused);
    ck_assert_int_eq((int)box_count("revision"), 8);
    box_stop();
}
END_TEST

START_TEST(test_port_80)
{
    struct guest g;
    box_start();
    guest_connect(&g, false, NULL);
    guest_send(&g, GET("/a/../b?c=d"));
    RUN_UNTIL(guest_has(&g, "\r\n\r\n"));
    ck_assert(
        guest_has(&g, "HTTP/1.1 301 Moved Permanently\r\nlocation: https://join.example.com/b?c=d\r\n"));
    buf_reset(&g.in);
    guest_send(&g, HEAD_OF("POST", "/x") "Content-Length: 0\r\n\r\n");
    RUN_UNTIL(guest_has(&g, "\r\n\r\n"));
    ck_assert(guest_has(&g, "HTTP/1.1 308 Permanent Redirect\r\n"));
    buf_reset(&g.in);
    guest_send(&g, "GET /r HTTP/1.1\r\nHost: Meet.example.org\r\n\r\n");
    RUN_UNTIL(guest_has(&g, "\r\n\r\n"));
    ck_assert(guest_has(&g, "location: https://meet.example.org:8443/r\r\n")); /* each host's own port */
    buf_reset(&g.in);
    guest_send(&g, "GET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\n");
    RUN_UNTIL(guest_has(&g, "\r\n\r\n"));
    ck_assert(guest_has(&g, "HTTP/1.1 421 ") && !guest_has(&g, "evil") && !guest_has(&g, "location"));
    guest_close(&g);
    ck_assert_uint_eq(box.cores[0].requests, 0);
    box_stop();
}
END_TEST

START_TEST(test_acme)
{
    struct guest g;
    box_start();
    ipc_send(box.main_side,
             json_pack("{s:s, s:{s:s, s:s, s:i}}", "type", "acme", "answers", "tok-en_1", "tok-en_1.thumb",
                       "../x", "no", "n", 1),
             NULL, 0);
    ck_assert_int_eq((int)box_count("connections"), 0); /* the message has arrived */
    guest_connect(&g, false, NULL);
    guest_send(&g, GET("/.well-known/acme-challenge/tok-en_1"));
    RUN_UNTIL(guest_ends_with(&g, "tok-en_1.thumb"));
    ck_assert(guest_has(&g, "HTTP/1.1 200 OK\r\n") && guest_has(&g, "content-length: 14\r\n"));
    static const char *const others[] = {
        GET("/.well-known/acme-challenge/tok-en_2"), GET("/.well-known/acme-challenge/"),
        GET("/.well-known/acme-challenge/n"), GET("/.well-known/acme-challenge/../x"),
        HEAD_OF("POST", "/.well-known/acme-challenge/tok-en_1") "Content-Length: 0\r\n\r\n"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        buf_reset(&g.in);
        guest_send(&g, others[i]);
        RUN_UNTIL(guest_has(&g, "\r\n\r\n"));
        ck_assert(guest_has(&g, "location: https://join.example.com/"));
    }
    buf_reset(&g.in);
    guest_send(&g, "GET /.well-known/acme-challenge/tok-en_1 HTTP/1.1\r\nHost: evil.example.com\r\n\r\n");
    RUN_UNTIL(guest_has(&g, "HTTP/1.1 421 "));
    guest_close(&g);
    box_stop();
}
END_TEST

START_TEST(test_big_download)
{
    enum { TOTAL = 3 * 1024 * 1024 };
    struct guest g;
    box_start();
    guest_connect(&g, true, "join.example.com");
    guest_send(&g, GET("/big?3145728"));
    RUN_UNTIL(buf_len(&g.in) > TOTAL);
    size_t head = buf_len(&g.in) - TOTAL;
    RUN_UNTIL(buf_len(&g.in) >= TOTAL + head);
    const uint8_t *body = (const uint8_t *)memmem(buf_data(&g.in), 2000, "\r\n\r\n", 4) + 4;
    RUN_UNTIL(buf_data(&g.in) + buf_len(&g.in) == body + TOTAL || buf_len(&g.in) > 2 * TOTAL);
    for (size_t i = 0; i < TOTAL; i++)
        ck_assert_msg(body[i] == (uint8_t)((TOTAL - i) * 7), "at %zu", i);
    guest_send(&g, GET("/hello"));
    RUN_UNTIL(guest_ends_with(&g, "\r\n\r\nhello"));
    guest_close(&g);
    box_stop();
}
END_TEST

START_TEST(test_big_echo)
{
    enum { TOTAL = 2 * 1024 * 1024 };
    struct guest g;
    char head[200];
    uint8_t *body = malloc(TOTAL);
    for (size_t i = 0; i < TOTAL; i++)
        body[i] = (uint8_t)(i * 13);
    box_start();
    guest_connect(&g, true, "join.example.com");
    snprintf(head, sizeof head, HEAD_OF("PUT", "/stall") "Content-Length: %d\r\n\r\n", TOTAL);
    guest_send(&g, head);
    ck_assert_int_eq(stream_write(g.stream, body, TOTAL), ERR_OK);
    RUN_UNTIL(guest_ends_with(&g, "all of it"));
    ck_assert_uint_eq(box.cores[0].bytes_in, TOTAL);
    guest_close(&g);
    free(body);
    box_stop();
}
END_TEST

/* Core does not read: the guest is stopped; it goes on when core does. */
START_TEST(test_back_pressure_up)
{
    enum { TOTAL = 4 * 1024 * 1024 };
    struct guest g;
    char head[200];
    uint8_t *body = calloc(1, TOTAL);
    box_start();
    box.cores[0].consume = false;
    guest_connect(&g, true, "join.example.com");
    snprintf(head, sizeof head, HEAD_OF("PUT", "/stall") "Content-Length: %d\r\n\r\n", TOTAL);
    guest_send(&g, head);
    stream_write(g.stream, body, TOTAL);
    run_for(0.3);
    size_t stopped_at = box.cores[0].bytes_in;
    ck_assert_uint_eq(stopped_at, h2_limits_tunnel.stream_window);
    /* Somebody else is not held up. */
    struct guest other;
    ck_assert_uint_eq(status_for(&other, "join.example.com", GET("/hello")), 200);
    guest_close(&other);
    ck_assert_uint_eq(box.cores[0].bytes_in, stopped_at);
    box.cores[0].consume = true;
    h2_stream_consume(box.cores[0].stalled_stream, box.cores[0].stalled->held);
    RUN_UNTIL(guest_ends_with(&g, "all of it"));
    ck_assert_uint_eq(box.cores[0].bytes_in, TOTAL);
    guest_close(&g);
    free(body);
    box_stop();
}
END_TEST

/* What a guest is answered with for a request, up to what it must end with. */
static void answer_to(bool tls, const char *request, const char *end, char out[2048])
{
    struct guest g;
    guest_connect(&g, tls, "join.example.com");
    guest_send(&g, request);
    RUN_UNTIL(guest_ends_with(&g, end));
    snprintf(out, 2048, "%.*s", (int)buf_len(&g.in), (const char *)buf_data(&g.in));
    guest_close(&g);
}

static void tell_limits(const char *limits, const char *exempt, int hsts)
{
    json_t *msg = json_pack("{ss so so si}", "type", "limits", "limits", json_loads(limits, 0, NULL),
                            "exempt", json_loads(exempt, 0, NULL), "hsts", hsts);
    ck_assert_int_eq(ipc_send(box.main_side, msg, NULL, 0), ERR_OK);
    (void)box_count("requests"); /* its answer comes behind it */
}

/* RFC 6797: over TLS on every answer that has none, over plain HTTP on none. */
START_TEST(test_hsts)
{
    static const char ours[] = "strict-transport-security: max-age=86400\r\n";
    char text[2048];
    box.hsts = 86400;
    box_start();
    answer_to(true, GET("/hello"), "hello", text);
    ck_assert_ptr_nonnull(strcasestr(text, ours));
    answer_to(true, GET("/refused-by-core"), "</html>\n", text);
    ck_assert_ptr_nonnull(strcasestr(text, ours));
    answer_to(true, "nonsense\r\n\r\n", "</html>\n", text);
    ck_assert_ptr_nonnull(strcasestr(text, ours));
    answer_to(true, GET("/hsts"), "\r\n\r\n", text);
    ck_assert_ptr_nonnull(strcasestr(text, "strict-transport-security: max-age=7\r\n"));
    ck_assert_ptr_null(strcasestr(text, ours));
    answer_to(false, GET("/hello"), "\r\n\r\n", text);
    ck_assert_ptr_nonnull(strstr(text, "301"));
    ck_assert_ptr_null(strcasestr(text, "strict-transport"));
    tell_limits("{}", "[]", 60);
    answer_to(true, GET("/hello"), "hello", text);
    ck_assert_ptr_nonnull(strcasestr(text, "strict-transport-security: max-age=60\r\n"));
    tell_limits("{}", "[]", 0);
    answer_to(true, GET("/hello"), "hello", text);
    ck_assert_ptr_null(strcasestr(text, "strict-transport"));
    box_stop();
}
END_TEST

/* The guest does not read: core is stopped. */
START_TEST(test_back_pressure_down)
{
    struct guest g;
    box_start();
    guest_connect(&g, true, "join.example.com");
    guest_send(&g, GET("/big?8000000"));
    RUN_UNTIL(buf_len(&g.in) > 0);
    stream_pause(g.stream);
    size_t before;
    do { /* until core stands still, as it must before all of it is out */
        before = (size_t)stream_bytes_out(box.cores[0].stream);
        ck_assert_uint_lt(before, 7900000);
        run_for(0.3);
    } while (stream_bytes_out(box.cores[0].stream) != before);
    struct guest other;
    ck_assert_uint_eq(status_for(&other, "join.example.com", GET("/hello")), 200);
    guest_close(&other);
    stream_resume(g.stream);
    RUN_UNTIL(buf_len(&g.in) > 8000000);
    guest_close(&g);
    box_stop();
}
END_TEST

START_TEST(test_expect_continue)
{
    struct guest g;
    box_start();
    guest_connect(&g, true, "join.example.com");
    guest_send(&g, HEAD_OF("POST", "/stall") "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    RUN_UNTIL(guest_has(&g, "HTTP/1.1 100 Continue\r\n\r\n"));
    guest_send(&g, "hello");
    RUN_UNTIL(guest_ends_with(&g, "all of it"));
    guest_close(&g);
    /* HTTP/1.0 clients do not know it (RFC 9110 §10.1.1). */
    guest_connect(&g, true, "join.example.com");
    guest_send(&g, "POST /stall HTTP/1.0\r\nHost: join.example.com\r\nContent-Length: 5\r\nExpect: "
                   "100-continue\r\n\r\nhello");
    RUN_UNTIL(guest_ends_with(&g, "all of it") && g.eof);
    ck_assert(!guest_has(&g, "100 Continue"));
    guest_close(&g);
    box_stop();
}
END_TEST

START_TEST(test_early_answer)
{
    struct guest g;
    uint8_t piece[1000] = {0};
    box_start();
    guest_connect(&g, true, "join.example.com");
    guest_send(&g, HEAD_OF("POST", "/early") "Content-Length: 1000000\r\n\r\n");
    RUN_UNTIL(guest_ends_with(&g, "too much") && g.eof);
    ck_assert(guest_has(&g, "HTTP/1.1 413 ") && guest_has(&g, "connection: close\r\n"));
    stream_write(g.stream, piece,
                 sizeof piece); /* what still comes is swallowed, not answered with a reset */
    run_for(0.05);
    ck_assert(!g.closed);
    ck_assert_int_eq((int)box_count("connections"), 1);
    RUN_UNTIL(box_count("connections") == 0); /* linger_seconds */
    guest_close(&g);
    box_stop();
}
END_TEST

START_TEST(test_http_1_0)
{
    struct guest g;
    box_start();
    guest_connect(&g, true, "join.example.com");
    guest_send(&g, "GET /chunked HTTP/1.0\r\nHost: join.example.com\r\nConnection: keep-alive\r\n\r\n");
    RUN_UNTIL(g.eof);
    ck_assert(guest_ends_with(&g, "connection: close\r\n\r\nhello"));
    guest_close(&g);
    guest_connect(&g, true, "join.example.com");
    guest_send(&g, "GET /hello HTTP/1.0\r\nHost: join.example.com\r\nConnection: keep-alive\r\n\r\n");
    RUN_UNTIL(guest_ends_with(&g, "connection: keep-alive\r\n\r\nhello"));
    guest_send(&g, "GET /hello HTTP/1.0\r\nHost: join.example.com\r\n\r\n");
    RUN_UNTIL(g.eof);
    guest_close(&g);
    box_stop();
}
END_TEST

START_TEST(test_half_closed_client_gets_its_answer)
{
    struct guest g;
    box_start();
    guest_connect(&g, true, "join.example.com");
    guest_send(&g, HEAD_OF("POST", "/echo") "Content-Length: 5\r\n\r\nhello");
    stream_shutdown(g.stream);
    RUN_UNTIL(g.eof || g.closed);
    ck_assert(guest_ends_with(&g, "5\r\nhello\r\n0\r\n\r\n"));
    RUN_UNTIL(box_count("connections") == 0);
    guest_close(&g);
    box_stop();
}
END_TEST

#define WS_OPEN                                                                                              \
    HEAD_OF("GET", "/ws")                                                                                    \
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                             \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

START_TEST(test_websocket)
{
    struct guest g;
    box_start();
    guest_connect(&g, true, "join.example.com");
    guest_send(&g, WS_OPEN "Sec-WebSocket-Protocol: chat\r\nOrigin: https://join.example.com\r\n\r\nearly");
    RUN_UNTIL(guest_ends_with(&g, "\r\n\r\nearly"));
    ck_assert(guest_has(&g, "HTTP/1.1 101 Switching Protocols\r\n"));
    ck_assert(guest_has(&g, "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    ck_assert(guest_has(&g, "connection: Upgrade\r\nupgrade: websocket\r\n"));
    ck_assert(box.cores[0].last.websocket);
    ck_assert(span_is(http_message_find(&box.cores[0].last, "sec-websocket-protocol"), "chat"));
    ck_assert_ptr_null(http_message_find(&box.cores[0].last, "sec-websocket-key").at);
    buf_reset(&g.in);
    for (int i = 0; i < 300; i++) {
        char text[32];
        snprintf(text, sizeof text, "message %d;", i);
        guest_send(&g, text);
        if (i % 3 == 0)
            RUN_UNTIL(guest_ends_with(&g, text));
    }
    RUN_UNTIL(guest_ends_with(&g, "message 299;"));
    ck_assert_int_eq((int)box_count("open_websockets"), 1);
    stream_shutdown(g.stream); /* half close goes through, what is on its way still comes */
    RUN_UNTIL(g.eof);
    RUN_UNTIL(box_count("connections") == 0);
    ck_assert_int_eq((int)box_count("open_websockets"), 0);
    RUN_UNTIL(h2_session_streams(box.cores[0].session) == 0);
    guest_close(&g);
    /* A guest that vanishes. */
    guest_connect(&g, true, "join.example.com");
    guest_send(&g, WS_OPEN "\r\n");
    RUN_UNTIL(guest_has(&g, "101"));
    guest_close(&g);
    RUN_UNTIL(h2_session_streams(box.cores[0].session) == 0);
    /* A bridge that says no. */
    guest_connect(&g, true, "join.example.com");
    guest_send(
        &g, HEAD_OF("GET", "/no") "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    RUN_UNTIL(g.eof);
    ck_assert(guest_has(&g, "HTTP/1.1 403 ") && !guest_has(&g, "sec-websocket-accept"));
    guest_close(&g);
    RUN_UNTIL(h2_session_streams(box.cores[0].session) == 0);
    /* A rule for https alone does not open one. */
    guest_connect(&g, true, "narrow.example.com");
    guest_send(
        &g, "GET /app HTTP/1.1\r\nHost: narrow.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    RUN_UNTIL(guest_has(&g, "HTTP/1.1 403 "));
    guest_close(&g);
    box_stop();
}
END_TEST

/* One line each, in the order in which they finished; the id is the one that the bridge was told. */
START_TEST(test_access_log)
{
    static const char *const expected[][6] = {
        {"GET", "https://join.example.com/big", "h1", "complete", "core1", "Evil\"\\1"},
        {"GET", "https://narrow.example.com/app", "h1", "complete", NULL, ""}};
    struct guest g;
    int ends[2];
    char text[4096], *at = text;
    ck_assert_int_eq(pipe(ends), 0);
    box_start();
    ipc_send(box.main_side, json_pack("{s:s, s:b}", "type", "access_log", "json", 1), &ends[1], 1);
    close(ends[1]);
    (void)box_count("requests"); /* it has arrived */
    guest_connect(&g, true, "join.example.com");
    guest_send(&g, HEAD_OF("GET", "/big?5") "User-Agent: Evil\"\\1\r\n\r\n");
    RUN_UNTIL(guest_has(&g, "content-length: 5\r\n") && buf_data(&g.in)[buf_len(&g.in) - 6] == '\n');
    struct span id = http_message_find(&box.cores[0].last, "x-request-id");
    buf_reset(&g.in);
    guest_send(&g, "GET /app HTTP/1.1\r\nHost: narrow.example.com\r\nConnection: close\r\n\r\n");
    RUN_UNTIL(g.eof);
    guest_close(&g);
    ipc_send(box.main_side, json_pack("{s:s}", "type", "access_log"), NULL,
             0); /* off: what waits is written */
    (void)box_count("requests");
    ssize_t n = read(ends[0], text, sizeof text - 1);
    ck_assert_int_gt(n, 0);
    text[n] = '\0';
    for (size_t i = 0; i < 2; i++) {
        json_t *o = json_loads(at, JSON_DISABLE_EOF_CHECK, NULL);
        static const char *const names[] = {"method", "url", "protocol", "end", "core", "user_agent"};
        ck_assert_msg(o != NULL, "%s", at);
        for (size_t k = 0; k < 6; k++)
            if (expected[i][k])
                ck_assert_str_eq(json_string_value(json_object_get(o, names[k])), expected[i][k]);
        ck_assert_int_eq((int)json_integer_value(json_object_get(o, "status")), i ? 421 : 200);
        if (i == 0) {
            ck_assert_int_eq((int)json_integer_value(json_object_get(o, "bytes_out")), 5);
            ck_assert_uint_eq(id.len, 24);
        }
        json_decref(o);
        at = strchr(at, '\n') + 1;
    }
    ck_assert_str_eq(at, "");
    close(ends[0]);
    box_stop();
}
END_TEST

START_TEST(test_no_uplink)
{
    struct guest g;
    box_setup("{\"wait_seconds\":0}");
    ck_assert_uint_eq(status_for(&g, "join.example.com", GET("/hello")), 502);
    RUN_UNTIL(guest_has(&g, "</html>"));
    ck_assert(guest_has(&g, "retry-after: 5\r\n") && guest_has(&g, "stile-edge status"));
    core_attach(0); /* the same connection works once a tunnel is there */
    run_for(0.05);
    guest_send(&g, GET("/hello"));
    RUN_UNTIL(guest_ends_with(&g, "hello"));
    guest_close(&g);
    box_stop();
}
END_TEST

/* Just after the last tunnel was lost requests wait for the next one, bodies and WebSockets too; what nobody
 * has seen may be sent whatever its method. */
START_TEST(test_waiting)
{
    struct guest get, post, ws, away, more;
    box_setup("{\"waiting_requests\":40}");
    struct guest *const all[] = {&get, &post, &ws, &away, &more};
    for (size_t i = 0; i < 5; i++)
        guest_connect(all[i], true, "join.example.com");
    guest_send(&get, GET("/hello"));
    guest_send(&post, HEAD_OF("POST", "/echo") "Content-Length: 5\r\n\r\nwhole");
    guest_send(&ws, WS_OPEN "\r\n");
    guest_send(&away, GET("/hello"));
    RUN_UNTIL(box_count("waited") == 4);
    guest_send(&more, GET("/hello"));
    RUN_UNTIL(guest_has(&more, "HTTP/1.1 502 ")); /* a tenth for one address */
    guest_close(&away);
    run_for(0.05);
    ck_assert(get.in.len == 0 && post.in.len == 0);
    core_attach(0);
    RUN_UNTIL(guest_ends_with(&get, "hello") && guest_has(&post, "whole\r\n0\r\n") && guest_has(&ws, "101"));
    ck_assert_uint_eq(box.cores[0].requests, 3);
    guest_send(&ws, "and back");
    RUN_UNTIL(guest_ends_with(&ws, "and back"));
    guest_close(&get);
    guest_close(&post);
    guest_close(&ws);
    guest_close(&more);
    box_stop();
}
END_TEST

static bool waits(struct waiter *x, const char *client)
{
    ck_assert_int_eq(netaddr_parse(client, 0, &x->client), ERR_OK);
    return waiting_add(box.web, x);
}

static void check_shares(const char *limits, unsigned share, unsigned most)
{
    struct waiter all[20] = {0}, more = {0};
    char client[NETADDR_TEXT];
    box_setup(limits);
    (void)box_count("waited"); /* it has arrived */
    for (unsigned i = 0; i < most; i++) {
        snprintf(client, sizeof client, "192.0.2.%u", i / share);
        ck_assert(waits(&all[i], client));
        ck_assert_int_eq(waits(&more, "192.0.2.0"), i + 1 < share);
        waiting_remove(box.web, &more);
    }
    ck_assert(!waits(&more, "198.51.100.1"));
    waiting_remove(box.web, &all[0]);
    ck_assert(waits(&more, "192.0.2.0"));
    waiting_remove(box.web, &more);
    for (unsigned i = 1; i < most; i++)
        waiting_remove(box.web, &all[i]);
    box_stop();
}

/* A tenth for each address; nobody above the limit, whoever it is. */
START_TEST(test_waiting_shares)
{
    check_shares("{\"waiting_requests\":20}", 2, 20);
}
END_TEST

/* At least one. */
START_TEST(test_waiting_small_shares)
{
    check_shares("{\"waiting_requests\":3}", 1, 3);
}
END_TEST

START_TEST(test_waiting_ends)
{
    struct guest get, post;
    box_setup("{\"wait_seconds\":1}");
    guest_connect(&get, true, "join.example.com");
    guest_connect(&post, true, "join.example.com");
    guest_send(&get, GET("/hello"));
    guest_send(&post, HEAD_OF("POST", "/echo") "Content-Length: 100000\r\n\r\nnot all of it");
    RUN_UNTIL(box_count("waited") == 2);
    RUN_UNTIL(guest_has(&get, "HTTP/1.1 502 ") && guest_has(&post, "HTTP/1.1 502 "));
    guest_send(&get, GET("/hello"));
    run_for(0.05);
    ck_assert_int_eq((int)box_count("waited"), 2); /* nobody waits in a long outage */
    guest_close(&get);
    guest_close(&post);
    box_stop();
}
END_TEST

START_TEST(test_uplink_dies)
{
    struct guest get, post, ws;
    box_start();
    guest_connect(&get, true, "join.example.com");
    guest_connect(&post, true, "join.example.com");
    guest_connect(&ws, true, "join.example.com");
    guest_send(&get, GET("/never"));
    guest_send(&post, HEAD_OF("POST", "/never") "Content-Length: 1\r\n\r\nx");
    guest_send(&ws, WS_OPEN "\r\n");
    RUN_UNTIL(box.cores[0].requests == 3 && guest_has(&ws, "101"));
    core_attach(1);
    run_for(0.05);
    core_detach(0);
    RUN_UNTIL(box.uplinks_closed == 1);
    RUN_UNTIL(box.cores[1].requests == 1);        /* the unanswered GET is tried once more */
    RUN_UNTIL(guest_has(&post, "HTTP/1.1 502 ")); /* the POST is not */
    RUN_UNTIL(ws.closed || ws.eof);
    ck_assert_int_eq((int)box_count("retried"), 1);
    core_detach(1);
    core_attach(2);
    RUN_UNTIL(box.cores[2].requests == 1); /* it waits for the next tunnel, and once more */
    core_detach(2);
    RUN_UNTIL(guest_has(&get, "HTTP/1.1 502 ")); /* and not a fourth time */
    guest_close(&get);
    guest_close(&post);
    guest_close(&ws);
    box_stop();
}
END_TEST

START_TEST(test_refused_stream_is_retried_elsewhere)
{
    struct guest g;
    box_start();
    core_attach(1);
    run_for(0.05);
    box.cores[0].refuse_all = box.cores[1].refuse_all = true;
    ck_assert_uint_eq(status_for(&g, "join.example.com", GET("/hello")), 502);
    ck_assert_uint_eq(box.cores[0].requests + box.cores[1].requests, 3);
    guest_close(&g);
    ck_assert_uint_eq(
        status_for(&g, "join.example.com", HEAD_OF("POST", "/hello") "Content-Length: 1\r\n\r\nx"), 502);
    ck_assert_uint_eq(box.cores[0].requests + box.cores[1].requests, 4);
    guest_close(&g);
    box_stop();
}
END_TEST

/* Core 0 refuses, core 1 takes. */
static void start_with_refusal(void)
{
    box_start();
    core_attach(1);
    run_for(0.05);
    box.cores[0].refuse_all = true;
}

START_TEST(test_refused_stream_of_any_method)
{
    static const char *const requests[] = {
        HEAD_OF("DELETE", "/hello") "\r\n", HEAD_OF("PUT", "/hello") "Content-Length: 0\r\n\r\n",
        HEAD_OF("POST", "/hello") "Content-Length: 0\r\n\r\n", GET("/hello")};
    struct guest g;
    start_with_refusal();
    for (unsigned i = 0; i < sizeof requests / sizeof *requests; i++) {
        ck_assert_uint_eq(status_for(&g, "join.example.com", requests[i]), 200);
        ck_assert_uint_eq(box.cores[0].requests, i + 1);
        ck_assert_uint_eq(box.cores[1].requests, i + 1);
        guest_close(&g);
    }
    ck_assert_uint_eq(status_for(&g, "join.example.com", WS_OPEN "\r\n"), 101);
    buf_reset(&g.in);
    guest_send(&g, "through");
    RUN_UNTIL(guest_ends_with(&g, "through"));
    guest_close(&g);
    box_stop();
}
END_TEST

START_TEST(test_refused_before_its_body)
{
    struct guest g;
    start_with_refusal();
    guest_connect(&g, true, "join.example.com");
    guest_send(&g, HEAD_OF("POST", "/bulk/sum") "Content-Length: 5\r\n\r\n");
    RUN_UNTIL(box.cores[1].requests == 1);
    guest_send(&g, "hello");
    RUN_UNTIL(guest_has(&g, "HTTP/1.1 200 "));
    ck_assert_uint_eq(box.cores[1].bytes_in, 5);
    ck_assert_uint_eq(box.cores[0].requests + box.cores[1].requests, 2);
    guest_close(&g);
    box_stop();
}
END_TEST

/* RFC 9113 §6.8. */
static void core_write_goaway(int i, uint8_t last_stream)
{
    const uint8_t frame[] = {0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, last_stream, 0, 0, 0, 0};
    ck_assert_int_eq(stream_write(box.cores[i].stream, frame, sizeof frame), ERR_OK);
}

START_TEST(test_goaway_says_what_was_not_processed)
{
    struct guest first, second;
    box_start();
    guest_connect(&first, true, "join.example.com");
    guest_connect(&second, true, "join.example.com");
    guest_send(&first, HEAD_OF("DELETE", "/never") "\r\n");
    RUN_UNTIL(box.cores[0].requests == 1);
    guest_send(&second, HEAD_OF("DELETE", "/never") "\r\n");
    RUN_UNTIL(box.cores[0].requests == 2);
    core_attach(1);
    run_for(0.05);
    core_write_goaway(0, 1); /* of streams 1 and 3 the second is none of its */
    RUN_UNTIL(box.cores[1].requests == 1);
    core_detach(0);
    RUN_UNTIL(guest_has(&first, "HTTP/1.1 502 ")); /* may have been processed */
    ck_assert_uint_eq(box.cores[1].requests, 1);
    guest_close(&first);
    guest_close(&second);
    box_stop();
}
END_TEST

START_TEST(test_drained_uplink)
{
    struct guest g;
    box_start();
    guest_connect(&g, true, "join.example.com");
    guest_send(&g, WS_OPEN "\r\n");
    RUN_UNTIL(guest_has(&g, "101"));
    core_attach(1);
    run_for(0.05);
    h2_session_drain(box.cores[0].session);
    run_for(0.05);
    struct guest other;
    ck_assert_uint_eq(status_for(&other, "join.example.com", GET("/hello")), 200);
    ck_assert_uint_eq(box.cores[1].requests, 1);
    guest_close(&other);
    buf_reset(&g.in);
    guest_send(&g, "still here");
    RUN_UNTIL(guest_ends_with(&g, "still here"));
    ck_assert_uint_eq(box.uplinks_closed, 0);
    guest_close(&g);
    RUN_UNTIL(box.uplinks_closed == 1);
    box_stop();
}
END_TEST

static void run_until_requests(unsigned n)
{
    RUN_UNTIL(box.cores[0].requests + box.cores[1].requests == n);
}

static void close_all(struct guest *g, int n)
{
    for (int i = 0; i < n; i++)
        guest_close(&g[i]);
    RUN_UNTIL(h2_session_streams(box.cores[0].session) + h2_session_streams(box.cores[1].session) == 0);
    box_stop();
}

/* Tunnels that answer are filled one after the other. */
START_TEST(test_requests_are_packed)
{
    struct guest g[6];
    box_start();
    core_attach(1);
    run_for(0.05);
    for (int i = 0; i < 6; i++) {
        guest_connect(&g[i], true, "join.example.com");
        RUN_UNTIL(g[i].open);
    }
    for (int i = 0; i < 6; i++)
        guest_send(&g[i], GET("/hello") GET("/never"));
    run_until_requests(12);
    ck_assert_uint_eq(box.cores[1].requests, 0);
    close_all(g, 6);
}
END_TEST

/* One that says nothing may be dead: it gets no more than its share. */
START_TEST(test_silent_uplinks_share)
{
    struct guest g[6];
    box_start();
    core_attach(1);
    run_for(1.1);
    for (int i = 0; i < 6; i++) {
        guest_connect(&g[i], true, "join.example.com");
        guest_send(&g[i], GET("/never"));
        run_until_requests((unsigned)i + 1);
    }
    ck_assert_uint_eq(box.cores[0].requests, 3);
    close_all(g, 6);
}
END_TEST

START_TEST(test_websockets_are_spread)
{
    struct guest g[4];
    box_start();
    core_attach(1);
    run_for(0.05);
    for (int i = 0; i < 4; i++) {
        guest_connect(&g[i], true, "join.example.com");
        guest_send(&g[i], WS_OPEN "\r\n");
        RUN_UNTIL(guest_has(&g[i], "101"));
    }
    ck_assert_uint_eq(box.cores[0].requests, 2);
    close_all(g, 4);
}
END_TEST

START_TEST(test_broken_answers)
{
    struct guest g;
    box_start();
    ck_assert_uint_eq(status_for(&g, "join.example.com", GET("/reset")), 502);
    guest_close(&g);
    ck_assert_uint_eq(status_for(&g, "join.example.com", GET("/refused-by-core")), 502);
    RUN_UNTIL(guest_has(&g, "No web bridge is Active"));
    ck_assert(!guest_has(&g, "stile-reason") && guest_has(&g, "retry-after: 5\r\n"));
    guest_send(&g, GET("/hello"));
    RUN_UNTIL(guest_ends_with(&g, "hello"));
    guest_close(&g);
    ck_assert_uint_eq(
        status_for(&g, "join.example.com", HEAD_OF("POST", "/refused-by-core") "Content-Length: 9\r\n\r\nx"),
        502);
    guest_close(&g);
    /* In the middle of a body: the guest must see that it is not complete. */
    guest_connect(&g, true, "join.example.com");
    guest_send(&g, HEAD_OF("POST", "/cut") "Content-Length: 5\r\n\r\n");
    RUN_UNTIL(guest_ends_with(&g, "half"));
    guest_send(&g, "hello");
    RUN_UNTIL(g.closed);
    ck_assert(!g.eof);
    guest_close(&g);
    RUN_UNTIL(box_count("connections") == 0);
    box_stop();
}
END_TEST

START_TEST(test_deadlines)
{
    struct guest silent, slow_head, slow_body, no_answer, idle, plain;
    box_setup("{\"handshake_seconds\":1,\"head_seconds\":1,\"idle_seconds\":1,\"body_seconds\":1,\"answer_"
              "seconds\":1}");
    core_attach(0);
    run_for(0.05);
    struct netaddr https = box.https;
    guest_connect(&slow_head, true, "join.example.com");
    guest_send(&slow_head, "GET / HT");
    guest_connect(&slow_body, true, "join.example.com");
    guest_send(&slow_body, HEAD_OF("POST", "/stall") "Content-Length: 100\r\n\r\nx");
    guest_connect(&no_answer, true, "join.example.com");
    guest_send(&no_answer, GET("/never"));
    guest_connect(&idle, true, "join.example.com");
    guest_send(&idle, GET("/hello"));
    guest_connect(&plain, false, NULL);
    silent = (struct guest){0};
    buf_init(&silent.in, 100);
    silent.stream = stream_connect(box.loop, &https, NULL, NULL, &guest_events, &silent, 1000, 0);
    RUN_UNTIL(guest_has(&slow_head, "HTTP/1.1 408 ") && slow_head.eof);
    RUN_UNTIL(guest_has(&slow_body, "HTTP/1.1 408 ") && slow_body.eof);
    RUN_UNTIL(guest_has(&no_answer, "HTTP/1.1 504 "));
    RUN_UNTIL(idle.eof && plain.eof && silent.eof);
    ck_assert(!guest_has(&idle, "408"));
    guest_close(&slow_head);
    guest_close(&slow_body);
    guest_close(&no_answer);
    guest_close(&idle);
    guest_close(&plain);
    guest_close(&silent);
    RUN_UNTIL(box_count("connections") == 0);
    box_stop();
}
END_TEST

static unsigned status_of_get(struct guest *g)
{
    unsigned status = 0;
    buf_reset(&g->in);
    guest_send(g, "GET /hello HTTP/1.1\r\nHost: join.example.com\r\n\r\n");
    RUN_UNTIL(guest_has(g, "hello") || guest_has(g, "</html>"));
    sscanf((const char *)buf_data(&g->in), "HTTP/1.1 %u", &status);
    return status;
}

START_TEST(test_request_rate)
{
    struct guest g;
    box_setup("{\"request_rate\":1,\"request_burst\":3}");
    core_attach(0);
    run_for(0.05);
    guest_connect(&g, true, "join.example.com");
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(status_of_get(&g), 200);
    ck_assert_uint_eq(status_of_get(&g), 429);
    ck_assert(guest_has(&g, "retry-after: 10\r\n") || guest_has(&g, "retry-after: 10\n"));
    ck_assert_int_eq((int)box_count("refused_rate"), 1);
    ck_assert(strstr(box.last_event, "Request Rate Exceeded"));
    /* Limits change while the connection stays; and some addresses have none. */
    tell_limits("{\"request_rate\":1,\"request_burst\":1000}", "[]", 0);
    ck_assert_uint_eq(status_of_get(&g), 200);
    tell_limits("{\"request_rate\":1,\"request_burst\":1}", "[]", 0);
    ck_assert_uint_eq(status_of_get(&g), 429);
    tell_limits("{\"request_rate\":1,\"request_burst\":1}", "[\"127.0.0.0/8\"]", 0);
    ck_assert_uint_eq(status_of_get(&g), 200);
    ck_assert_int_eq((int)box_count("refused_rate"), 2);
    guest_close(&g);
    box_stop();
}
END_TEST

START_TEST(test_limits_per_address)
{
    struct guest g[4];
    box_setup("{\"connections_per_address\":3,\"connections\":10}");
    for (int i = 0; i < 3; i++) {
        guest_connect(&g[i], true, "join.example.com");
        ck_assert(g[i].open);
    }
    guest_connect(&g[3], true, "join.example.com");
    ck_assert(g[3].closed && !g[3].open);
    guest_close(&g[0]);
    guest_close(&g[3]);
    RUN_UNTIL(box_count("connections") == 2);
    guest_connect(&g[0], true, "join.example.com");
    ck_assert(g[0].open);
    ck_assert_int_eq((int)box_count("refused_address"), 1);
    for (int i = 0; i < 3; i++)
        guest_close(&g[i]);
    box_stop();
}
END_TEST

START_TEST(test_not_tls)
{
    static const char *const firsts[] = {"GET / HTTP/1.0\r\n\r\n", "\x01", "\x80", "PROXY TCP4"};
    struct guest g;
    box_start();
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++) {
        g = (struct guest){0};
        buf_init(&g.in, 1000);
        g.stream = stream_connect(box.loop, &box.https, NULL, NULL, &guest_events, &g, 1000, 0);
        guest_send(&g, firsts[i]);
        RUN_UNTIL(g.closed || g.eof);
        ck_assert_uint_eq(buf_len(&g.in), 0);
        guest_close(&g);
    }
    ck_assert_int_eq((int)box_count("refused_protocol"), 4);
    box_stop();
}
END_TEST

START_TEST(test_drain)
{
    struct guest idle, busy;
    box_start();
    guest_connect(&idle, true, "join.example.com");
    guest_send(&idle, GET("/hello"));
    RUN_UNTIL(guest_ends_with(&idle, "hello"));
    guest_connect(&busy, true, "join.example.com");
    guest_send(&busy, HEAD_OF("POST", "/stall") "Content-Length: 5\r\n\r\nhel");
    RUN_UNTIL(box.cores[0].bytes_in == 3);
    web_worker_drain(box.web, 60);
    RUN_UNTIL(idle.eof);
    guest_close(&idle);
    guest_send(&busy, "lo");
    RUN_UNTIL(guest_ends_with(&busy, "all of it") && busy.eof);
    ck_assert(guest_has(&busy, "connection: close\r\n"));
    guest_close(&busy);
    struct guest late = {0};
    buf_init(&late.in, 100);
    late.stream = stream_connect(box.loop, &box.https, NULL, NULL, &guest_events, &late, 1000, 0);
    RUN_UNTIL(late.closed);
    guest_close(&late);
    RUN_UNTIL(box_count("connections") == 0);
    box_stop();
}
END_TEST

/* At the end of the drain a WebSocket is told that the server goes away: behind a whole frame, never within one. */
START_TEST(test_drain_websockets)
{
    static const char whole[] = "\x81\x05hello", part[] = "\x81\x05hel", close_frame[] = "\x88\x02\x03\xe9";
    struct guest quiet, talking, asking;
    box_start();
    guest_connect(&asking, true, "join.example.com");
    guest_send(&asking, HEAD_OF("POST", "/stall") "Content-Length: 5\r\n\r\nhel");
    RUN_UNTIL(box.cores[0].bytes_in == 3);
    guest_connect(&quiet, true, "join.example.com");
    guest_send(&quiet, WS_OPEN "\r\n");
    guest_connect(&talking, true, "join.example.com");
    guest_send(&talking, WS_OPEN "\r\n");
    RUN_UNTIL(guest_has(&quiet, "\r\n\r\n") && guest_has(&talking, "\r\n\r\n"));
    guest_send(&quiet, whole);
    guest_send(&talking, part);
    RUN_UNTIL(guest_ends_with(&quiet, whole) && guest_ends_with(&talking, part));
    web_worker_drain(box.web, 60);
    guest_send(&quiet, whole); /* they go on */
    RUN_UNTIL(guest_has(&quiet, "\x81\x05hello\x81\x05hello"));
    ck_assert(!quiet.eof && !talking.eof && !asking.eof);
    web_worker_drain(box.web, 0);
    RUN_UNTIL((quiet.eof || quiet.closed) && (talking.eof || talking.closed) && (asking.eof || asking.closed));
    ck_assert(guest_ends_with(&quiet, close_frame));
    ck_assert(guest_ends_with(&talking, part));
    guest_close(&quiet);
    guest_close(&talking);
    guest_close(&asking);
    RUN_UNTIL(box_count("connections") == 0);
    box_stop();
}
END_TEST

/* Who has connected before the sockets close is accepted, though it came in this very round: a close, no reset. */
START_TEST(test_drain_takes_who_is_there)
{
    struct guest g = {0};
    box_start();
    buf_init(&g.in, GUEST_IN);
    int fd = socket(box.http.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_storage sa;
    socklen_t n = netaddr_to_sockaddr(&box.http, &sa);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, n), 0); /* no round of the loop since */
    ck_assert(sock_set_nonblock(fd));
    web_worker_drain(box.web, 60);
    g.stream = stream_new(box.loop, fd, fd, &guest_events, &g, GUEST_IN, 0);
    RUN_UNTIL(g.eof || g.closed);
    ck_assert(g.eof);
    guest_close(&g);
    ck_assert_int_eq((int)box_count("accepted"), 1);
    box_stop();
}
END_TEST

START_TEST(test_bad_messages)
{
    box_start();
    ipc_send(box.main_side, json_pack("{s:s}", "type", "nonsense"), NULL, 0);
    ipc_send(box.main_side, json_pack("{s:s}", "type", "setup"), NULL, 0);
    ipc_send(box.main_side, json_pack("{s:s, s:i}", "type", "uplink", "id", 5), NULL, 0);
    ipc_send(
        box.main_side,
        json_pack("{s:s, s:{s:s, s:[{s:s}]}}", "type", "tls", "tls", "host", "x", "identities", "pem", "x"),
        NULL, 0);
    ipc_send(box.main_side, json_pack("{s:s}", "type", "tls"), NULL, 0);
    RUN_UNTIL(box.refused == 5);
    ipc_send(box.main_side, json_pack("{s:s, s:i}", "type", "uplink_close", "id", 77), NULL, 0);
    ipc_send(box.main_side, json_pack("{s:s, s:i}", "type", "uplink_close", "id", 0), NULL, 0);
    RUN_UNTIL(box.uplinks_closed == 1);
    box_stop();
}
END_TEST

UNIT_MAIN("web_worker", test_get_and_keep_alive, test_pipelining_is_taken_one_by_one, test_byte_by_byte,
          test_hygiene, test_refusals, test_refusal_names_the_rule, test_policy_change, test_port_80,
          test_acme, test_big_download, test_big_echo, test_back_pressure_up, test_back_pressure_down,
          test_expect_continue, test_early_answer, test_http_1_0, test_half_closed_client_gets_its_answer,
          test_websocket, test_hsts, test_access_log, test_no_uplink, test_waiting, test_waiting_shares,
          test_waiting_small_shares, test_waiting_ends, test_uplink_dies,
          test_refused_stream_is_retried_elsewhere, test_refused_stream_of_any_method,
          test_refused_before_its_body, test_goaway_says_what_was_not_processed, test_drained_uplink,
          test_requests_are_packed, test_silent_uplinks_share, test_websockets_are_spread,
          test_broken_answers, test_deadlines, test_request_rate, test_limits_per_address, test_not_tls,
          test_drain, test_drain_websockets, test_drain_takes_who_is_there, test_bad_messages)
