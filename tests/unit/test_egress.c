/* Requests through core/egress: what is let through, what the bridge sees, what comes back. */
#include "tests/unit/egress_fixture.h"

static char last_head[16 * 1024];

/* GET --------------------------------------------------------------------------------------------------- */

static void serve_and_keep(struct peer *p)
{
    while (peer_head(p, last_head, sizeof last_head))
        peer_say(p,
                 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nConnection: x-hop\r\n"
                 "X-Hop: 1\r\nKeep-Alive: timeout=60\r\nstile-reason: forged\r\nSet-Cookie: a=1\r\n"
                 "Set-Cookie: b=2\r\n\r\nhello");
}

START_TEST(test_get)
{
    struct bridge *b = lab_start_with(serve_and_keep);
    struct http_message m;
    message_start(&m, "GET", "/a/./b/%7Euser?q=%2F..");
    http_message_add_str(&m, "x-forwarded-for", "192.0.2.7");
    http_message_add_str(&m, "x-forwarded-host", "elsewhere.example.com"); /* an edge that lies */
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
    ck_assert_str_eq(last_head, "GET /a/b/~user?q=%2F.. HTTP/1.1\r\nhost: join.example.com\r\n"
                                "cookie: c=3\r\nte: trailers\r\nx-forwarded-for: 192.0.2.7\r\n"
                                "x-forwarded-proto: https\r\nx-forwarded-host: join.example.com\r\n"
                                "x-real-ip: 192.0.2.7\r\n"
                                "forwarded: for=192.0.2.7;host=\"join.example.com\";proto=https\r\n"
                                "via: 2.0 stile-core\r\nconnection: TE\r\n\r\n");
    get("/again");
    ck_assert_uint_eq(b->n_peers, 1); /* kept alive */
    ck_assert_uint_eq(bridge_requests(b), 2);
    ck_assert_int_eq((int)bridge_durations(), 2);
    lab_stop();
}
END_TEST

START_TEST(test_many_at_once)
{
    struct bridge *b = lab_start_with(serve_ok);
    struct call *calls[50];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 50; i++)
            calls[i] = call_start("GET", "/", true);
        RUN_UNTIL(egress_running(lab.egress) == 0);
        for (int i = 0; i < 50; i++)
            ck_assert(calls[i]->closed && calls[i]->status == 200 && call_body_is(calls[i], "ok"));
    }
    ck_assert_uint_eq(bridge_requests(b), 100);
    ck_assert_uint_eq(b->n_peers, 50);
    ck_assert_int_eq(status_number("requests"), 100);
    lab_stop();
}
END_TEST

/* The second connection resumes the TLS session of the first, also after one that ended badly. */
static void serve_and_close(struct peer *p)
{
    while (peer_head(p, last_head, sizeof last_head))
        peer_say(p, strstr(last_head, "GET /bad")
                        ? "nonsense\r\n\r\n"
                        : "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

START_TEST(test_resumption)
{
    struct bridge *b = lab_start_with(serve_and_close);
    static const char *const paths[] = {"/", "/", "/bad", "/", "/"};
    for (size_t i = 0; i < 5; i++) {
        struct call *c = get(paths[i]);
        ck_assert_uint_eq(c->status, i == 2 ? 502 : 200);
        ck_assert_uint_eq(b->n_peers, i + 1);
        ck_assert_int_eq(SSL_session_reused(stream_ssl(b->peers[i].stream)), i > 0);
    }
    lab_stop();
}
END_TEST

/* What is let through ----------------------------------------------------------------------------------- */

struct attempt {
    const char *method, *scheme, *authority, *path;
    bool websocket;
    unsigned status; /* 200: it reaches the bridge */
    const char *reason;
};

static const struct attempt attempts[] = {
    {"GET", "https", "join.example.com", "/", false, 200, NULL},
    {"HEAD", "https", "join.example.com", "/", false, 200, NULL},
    {"DELETE", "https", "JOIN.example.com:443", "/x", false, 200, NULL},
    {"OPTIONS", "https", "join.example.com", "/", false, 403, "not-allowed"},
    {"PATCH", "https", "join.example.com", "/", false, 403, "not-allowed"},
    {"TRACE", "https", "join.example.com", "/", false, 403, "not-allowed"},
    {"get", "https", "join.example.com", "/", false, 403, "not-allowed"},
    {"GET", "http", "join.example.com", "/", false, 400, "malformed"},
    {"GET", "HTTPS", "join.example.com", "/", false, 400, "malformed"},
    {"GET", "https", "other.example.com", "/", false, 421, "wrong-host"},
    {"GET", "https", "10.0.0.5", "/", false, 421, "wrong-host"},
    {"GET", "https", "localhost", "/", false, 421, "wrong-host"},
    {"GET", "https", "join.example.com:445", "/", false, 421, "wrong-host"},
    {"GET", "https", "join.example.com:22", "/", false, 421, "wrong-host"},
    {"GET", "https", "join.example.com@evil.example", "/", false, 400, "malformed"},
    {"GET", "https", "join.example.com.evil.example", "/", false, 421, "wrong-host"},
    {"GET", "https", "join.example.com", "/..", false, 400, "malformed"},
    {"GET", "https", "join.example.com", "/a%2fb", false, 400, "malformed"},
    {"GET", "https", "join.example.com", "/a%5cb", false, 400, "malformed"},
    {"GET", "https", "join.example.com", "/a%00b", false, 400, "malformed"},
    {"GET", "https", "join.example.com", "/%zz", false, 400, "malformed"},
    {"GET", "https", "join.example.com", "*", false, 0, NULL}, /* HTTP/2 itself refuses it */
    {"GET", "https", "join.example.com", "https://evil.example/", false, 0, NULL},
    {"GET", "http", "join.example.com", "/ws", true, 400, "malformed"},
    {"GET", "https", "other.example.com", "/ws", true, 421, "wrong-host"},
};

START_TEST(test_allowed)
{
    const struct attempt *a = &attempts[_i];
    struct bridge *b = lab_start_with(serve_ok);
    struct http_message m;
    http_message_init(&m);
    http_message_set_method(&m, a->method, strlen(a->method));
    http_message_set_scheme(&m, a->scheme, strlen(a->scheme));
    http_message_set_authority(&m, a->authority, strlen(a->authority));
    http_message_set_path(&m, a->path, strlen(a->path));
    http_message_add_str(&m, "x-forwarded-for", "192.0.2.7\t\"");
    m.websocket = a->websocket;
    struct call *c = call_message(&m, !a->websocket);
    http_message_free(&m);
    RUN_UNTIL(c->closed || call_failed(c, a->status, a->reason ? a->reason : "") ||
              (c->got_head && a->websocket));
    ck_assert_uint_eq(c->status, a->status);
    ck_assert_uint_eq(b->n_peers, a->status == 200);
    if (a->reason) {
        ck_assert(call_has(c, EGRESS_REASON_FIELD, a->reason));
        ck_assert_uint_eq(lab.refused, 1);
        ck_assert_str_eq(lab.refusal_client, "\"192.0.2.7\\x09\\\"\"");
        ck_assert(*lab.refusal_why != '\0' && *lab.refusal_url != '\0');
        ck_assert_int_eq(status_number("refused"), 1);
    }
    lab_stop();
}
END_TEST

/* HTTP/2 itself refuses, or nghttp2 does: nothing of it reaches the bridge. */
START_TEST(test_hostile_fields)
{
    static const char *const fields[][2] = {{"connection", "close"},
                                            {"transfer-encoding", "chunked"},
                                            {"x-a", "b\r\nx: y"},
                                            {"x-a", "b\nc"},
                                            {"x a", "b"},
                                            {"host", "other.example.com"},
                                            {"content-length", "5"},
                                            {"upgrade", "websocket"}};
    struct bridge *b = lab_start_with(serve_ok);
    struct http_message m;
    message_start(&m, "GET", "/");
    http_message_add_str(&m, fields[_i][0], fields[_i][1]);
    struct call *c = call_message(&m, true);
    http_message_free(&m);
    RUN_UNTIL(c->closed || lab.session_failed);
    ck_assert_uint_eq(b->n_peers, 0);
    ck_assert_uint_ne(c->status, 200);
    if (lab.session_failed)
        h2_session_free(lab.edge), lab.edge = NULL;
    lab_stop();
}
END_TEST

START_TEST(test_no_policy)
{
    lab_start();
    struct egress *fresh = egress_new(lab.loop, &egress_events, NULL);
    egress_session_free(lab.session);
    h2_session_free(lab.edge);
    egress_free(lab.egress);
    lab.egress = fresh;
    lab.session = egress_session_new(fresh, &session_events, NULL);
    lab.edge = h2_session_new(H2_CLIENT, &h2_limits_tunnel, &edge_events, NULL);
    pump();
    ck_assert(call_failed(get("/"), 421, "wrong-host"));
    ck_assert_int_eq(set_policy(DEFAULT_RULES, lab.cert), ERR_OK);
    ck_assert(call_failed(get("/"), 502, "no-target"));
    ck_assert_int_eq(set_policy("[{\"scheme\":\"ftp\"}]", lab.cert), ERR_CONFIG);
    ck_assert_int_eq(set_policy(DEFAULT_RULES, "no certificate"), ERR_CONFIG);
    ck_assert(call_failed(get("/"), 502, "no-target")); /* the old policy stands */
    lab_stop();
}
END_TEST

/* Only the path /app is open; while a request runs, nothing is. */
START_TEST(test_policy_change)
{
    struct bridge *b = lab_start_with(NULL);
    struct call *running = call_start("GET", "/app", true);
    RUN_UNTIL(b->n_peers == 1 && b->peers[0].received > 0);
    ck_assert_int_eq(set_policy("[]", lab.cert), ERR_OK);
    ck_assert(call_failed(get("/app"), 421, "wrong-host"));
    peer_say(&b->peers[0], "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    RUN_UNTIL(running->closed);
    ck_assert(running->status == 200 && call_body_is(running, "ok"));
    /* Another CA: what was trusted before is not used any more. */
    char *cert, *key;
    ck_assert_int_eq(tls_self_signed("join.example.com", 1, &cert, &key), ERR_OK);
    ck_assert_int_eq(set_policy(DEFAULT_RULES, cert), ERR_OK);
    ck_assert(call_failed(get("/app"), 502, "connect-failed"));
    ck_assert_ptr_nonnull(strstr(lab.target_reason, "certificate verify failed"));
    free(cert);
    free(key);
    lab_stop();
}
END_TEST

/* A connection from before a change of the CA is still in use and is given a new TLS session: resuming that
 * one would skip the certificate. */
START_TEST(test_old_session_is_not_resumed)
{
    struct bridge *b = lab_start_with(NULL);
    struct call *running = call_start("GET", "/app", true);
    RUN_UNTIL(b->n_peers == 1 && b->peers[0].received > 0);
    char *cert, *key;
    ck_assert_int_eq(tls_self_signed("join.example.com", 1, &cert, &key), ERR_OK);
    ck_assert_int_eq(set_policy(DEFAULT_RULES, cert), ERR_OK);
    ck_assert_int_eq(SSL_new_session_ticket(stream_ssl(b->peers[0].stream)), 1);
    peer_say(&b->peers[0], "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    RUN_UNTIL(running->closed);
    ck_assert_uint_eq(running->status, 200);
    ck_assert(call_failed(get("/app"), 502, "connect-failed"));
    free(cert);
    free(key);
    lab_stop();
}
END_TEST

/* Responses without a body ------------------------------------------------------------------------------ */

static const char *bodiless_answer;

static void serve_bodiless(struct peer *p)
{
    while (peer_head(p, last_head, sizeof last_head))
        peer_say(p, strncmp(last_head, "GET /next", 9) == 0 ? "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                                                            : bodiless_answer);
}

START_TEST(test_bodiless)
{
    static const struct {
        const char *method, *answer;
        unsigned status;
        int64_t length;
    } cases[] = {
        {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n", 200, 12345},
        {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, HTTP_NO_LENGTH},
        {"HEAD", "HTTP/1.1 404 Not Found\r\n\r\n", 404, HTTP_NO_LENGTH},
        {"GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, HTTP_NO_LENGTH},
        {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: \"x\"\r\n\r\n", 304, 77},
        {"GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, 0},
    };
    struct bridge *b = lab_start_with(serve_bodiless);
    bodiless_answer = cases[_i].answer;
    struct call *c = call_start(cases[_i].method, "/", true);
    RUN_UNTIL(c->closed);
    ck_assert_uint_eq(c->status, cases[_i].status);
    ck_assert_int_eq(c->head.content_length, cases[_i].length);
    ck_assert(c->ended && c->received == 0 && c->code == H2_NO_ERROR);
    ck_assert_uint_eq(get("/next")->status, 200);
    ck_assert_uint_eq(b->n_peers, 1);
    lab_stop();
}
END_TEST

/* Interim responses ------------------------------------------------------------------------------------- */

static void serve_interim(struct peer *p)
{
    if (p->step == 0 && peer_head(p, last_head, sizeof last_head)) {
        p->step = 1;
        peer_say(p, "HTTP/1.1 103 Early Hints\r\nLink: </x.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
    }
    if (p->step == 1 && buf_len(&p->in) == 5) {
        p->step = 2;
        peer_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
}

START_TEST(test_interim)
{
    lab_start_with(serve_interim);
    struct http_message m;
    message_start(&m, "POST", "/upload");
    m.content_length = 5;
    http_message_add_str(&m, "expect", "100-continue");
    struct call *c = call_message(&m, false);
    http_message_free(&m);
    RUN_UNTIL(c->interims == 2);
    ck_assert_uint_eq(c->interim, 100);
    ck_assert(strstr(last_head, "\r\nexpect: 100-continue\r\n"));
    call_write(c, "12345");
    h2_stream_end(c->stream, NULL);
    RUN_UNTIL(c->closed);
    ck_assert(c->status == 200 && call_body_is(c, "ok"));
    lab_stop();
}
END_TEST

/* Bodies and trailers ----------------------------------------------------------------------------------- */

static void serve_echo_chunks(struct peer *p)
{
    if (p->step == 0 && peer_head(p, last_head, sizeof last_head))
        p->step = 1;
    size_t n = buf_len(&p->in);
    if (p->step == 1 && n >= 5 && memmem(buf_data(&p->in), n, "0\r\n", 3) &&
        memcmp(buf_data(&p->in) + n - 4, "\r\n\r\n", 4) == 0) {
        peer_say(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n");
        stream_write(p->stream, buf_data(&p->in), n);
        buf_reset(&p->in);
        p->step = 0;
    }
}

START_TEST(test_chunked)
{
    struct bridge *b = lab_start_with(serve_echo_chunks);
    struct http_message trailers;
    http_message_init(&trailers);
    http_message_add_str(&trailers, "x-sum", "17");
    struct call *c = call_start("POST", "/echo", false);
    RUN_UNTIL(b->n_peers == 1 && b->peers[0].step == 1);
    ck_assert(strstr(last_head, "\r\ntransfer-encoding: chunked\r\n"));
    for (int i = 0; i < 5; i++) {
        call_write(c, "one two three ");
        pump();
    }
    h2_stream_end(c->stream, &trailers);
    RUN_UNTIL(c->closed);
    ck_assert(c->status == 200 && c->ended && c->received == 5 * 14);
    ck_assert(span_is(http_message_find(&c->trailers, "x-sum"), "17"));
    ck_assert(!http_message_find(&c->head, "trailer").at);
    http_message_free(&trailers);
    /* The connection is fit for another one. */
    c = call_start("POST", "/echo", false);
    call_write(c, "x");
    h2_stream_end(c->stream, NULL);
    RUN_UNTIL(c->closed);
    ck_assert(call_body_is(c, "x"));
    ck_assert_uint_eq(b->n_peers, 1);
    lab_stop();
}
END_TEST

START_TEST(test_empty_post)
{
    lab_start_with(serve_and_keep);
    struct call *c = call_start("POST", "/", true);
    RUN_UNTIL(c->closed);
    ck_assert_uint_eq(c->status, 200);
    ck_assert(strstr(last_head, "\r\ncontent-length: 0\r\n"));
    lab_stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("egress");
    TCase *tc = tcase_create("egress");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_get);
    tcase_add_test(tc, test_many_at_once);
    tcase_add_test(tc, test_resumption);
    tcase_add_loop_test(tc, test_allowed, 0, (int)(sizeof attempts / sizeof *attempts));
    tcase_add_loop_test(tc, test_hostile_fields, 0, 8);
    tcase_add_test(tc, test_no_policy);
    tcase_add_test(tc, test_policy_change);
    tcase_add_test(tc, test_old_session_is_not_resumed);
    tcase_add_loop_test(tc, test_bodiless, 0, 6);
    tcase_add_test(tc, test_interim);
    tcase_add_test(tc, test_chunked);
    tcase_add_test(tc, test_empty_post);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
