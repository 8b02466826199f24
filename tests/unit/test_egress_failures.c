/* What goes wrong between core and a bridge: responses that cannot be trusted, connections that close,
 * bridges that are away or silent; and what the guest gets for it. */
#include "common/log.h"
#include "common/log_fields.h"
#include "core/egress/egress_internal.h"
#include "core/egress/exchange.h"
#include "tests/unit/egress_fixture.h"

static char last_head[16 * 1024];

/* Responses that cannot be trusted ---------------------------------------------------------------------- */

static const char *answer;
static size_t answer_len;

static void serve_answer(struct peer *p)
{
    while (peer_head(p, last_head, sizeof last_head))
        stream_write(p->stream, answer, answer_len);
}

#define TEXT(s)                                                                                              \
    {                                                                                                        \
        s, sizeof(s) - 1, 502                                                                                \
    }
#define CUT(s)                                                                                               \
    {                                                                                                        \
        s, sizeof(s) - 1, 0                                                                                  \
    }
#define OK(s)                                                                                                \
    {                                                                                                        \
        s, sizeof(s) - 1, 200                                                                                \
    }

static const struct {
    const char *text;
    size_t len;
    unsigned status; /* 502: core's answer; 0: a reset after the head; 200: taken, and the connection not used
                        again */
} responses[] = {
    TEXT("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"),
    TEXT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
    TEXT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
    TEXT("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok"),
    TEXT("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"),
    TEXT("HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"),
    TEXT("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n"),
    TEXT("HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok"),
    TEXT("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"),
    TEXT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nok"),
    TEXT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    TEXT("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    TEXT("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok"),
    TEXT("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    TEXT("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok"),
    TEXT("HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\nok"),
    TEXT("HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n"),
    TEXT("HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n"),
    TEXT("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n"),
    TEXT("HTTP/1.1 200 OK\r\nX : a\r\n\r\n"),
    TEXT("HTTP/1.1 200 OK\r\n: a\r\n\r\n"),
    TEXT("HTTP/1.1 200 OK\nX: a\n\n"),
    TEXT("HTTP/1.1 200 O\0K\r\n\r\n"),
    TEXT("HTTP/1.1 20 OK\r\n\r\n"),
    TEXT("HTTP/1.1 2000 OK\r\n\r\n"),
    TEXT("HTTP/1.1 099 OK\r\n\r\n"),
    TEXT("HTTP/1.1 600 OK\r\n\r\n"),
    TEXT("HTTP/2.0 200 OK\r\n\r\n"),
    TEXT("HTTP/0.9 200 OK\r\n\r\n"),
    TEXT("HTTP/1.2 200 OK\r\n\r\n"),
    TEXT("ICY 200 OK\r\n\r\n"),
    TEXT(" HTTP/1.1 200 OK\r\n\r\n"),
    TEXT("\r\nHTTP/1.1 200 OK\r\n\r\n"),
    TEXT("<html>HTTP/0.9</html>"),
    TEXT("\x16\x03\x01\x02\x00\x01"),
    CUT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n"),
    CUT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n"),
    CUT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n"),
    CUT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nok\r\n0\r\n\r\n"),
    CUT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX : y\r\n\r\n"),
    OK("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    OK("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
    OK("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"),
    OK("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
};

START_TEST(test_untrusted)
{
    struct bridge *b = lab_start_with(serve_answer);
    answer = responses[_i].text;
    answer_len = responses[_i].len;
    struct call *c = call_start("GET", "/", true);
    RUN_UNTIL(c->closed);
    if (responses[_i].status == 502)
        ck_assert(call_failed(c, 502, "bad-response"));
    else if (responses[_i].status == 0)
        ck_assert(call_was_reset(c));
    else
        ck_assert(c->status == 200 && call_body_is(c, "ok"));
    ck_assert_uint_eq(b->n_peers, 1);
    /* Whatever it was, the next request does not meet what was left of it. */
    b->serve = serve_ok;
    c = get("/next");
    ck_assert(c->status == 200 && call_body_is(c, "ok"));
    ck_assert_uint_eq(b->n_peers, 2);
    lab_stop();
}
END_TEST

/* What a bridge, or the edge, chose stays within its field of the log. */
static json_t *fields_seen;

static void on_log(int level, const char *event, const char *fields)
{
    (void)level, (void)event;
    json_decref(fields_seen);
    fields_seen = log_fields_json(fields);
}

START_TEST(test_words_are_no_fields)
{
    static const char words[] = "the certificate is for \" user=\"anna\" x=\"";
    struct egress e = {0};
    e.now = 1000;
    log_set_sink(on_log);
    egress_note_unreachable(&e, "bridge1", words);
    ck_assert_str_eq(json_string_value(json_object_get(fields_seen, "reason")), words);
    ck_assert_ptr_null(json_object_get(fields_seen, "user"));
    egress_note_failure(&e, 0, "bridge1", "1\" user=\"anna", words);
    log_set_sink(NULL);
    ck_assert_str_eq(json_string_value(json_object_get(fields_seen, "reason")), words);
    ck_assert_str_eq(json_string_value(json_object_get(fields_seen, "request")), "1\" user=\"anna");
    ck_assert_ptr_null(json_object_get(fields_seen, "user"));
    json_decref(fields_seen);
}
END_TEST

/* A head without an end, fields without number. */
static bool many_fields;

static void serve_endless(struct peer *p)
{
    char line[256];
    if (!peer_head(p, last_head, sizeof last_head))
        return;
    peer_say(p, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < (many_fields ? 200 : 1000); i++) {
        snprintf(line, sizeof line, "X-%d: %0*d\r\n", i, many_fields ? 1 : 100, i);
        peer_say(p, line);
    }
    if (many_fields)
        peer_say(p, "\r\n");
}

START_TEST(test_large_head)
{
    lab_start_with(serve_endless);
    many_fields = _i;
    ck_assert(call_failed(get("/"), 502, "bad-response"));
    lab_stop();
}
END_TEST

static void serve_cookies(struct peer *p)
{
    static char text[60 * 1024];
    if (!peer_head(p, last_head, sizeof last_head))
        return;
    size_t at = (size_t)sprintf(text, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (int i = 0; i < 14; i++) {
        at += (size_t)sprintf(text + at, "Set-Cookie: c%d=", i);
        memset(text + at, 'x', 4000);
        at += 4000;
        at += (size_t)sprintf(text + at, "\r\n");
    }
    sprintf(text + at, "\r\n");
    peer_say(p, text);
}

START_TEST(test_large_cookies)
{
    lab_start_with(serve_cookies);
    struct call *c = get("/");
    ck_assert_uint_eq(c->status, 200);
    ck_assert_uint_eq(http_message_count(&c->head, "set-cookie"), 14);
    lab_stop();
}
END_TEST

static void serve_interims(struct peer *p)
{
    if (peer_head(p, last_head, sizeof last_head))
        for (int i = 0; i < 100; i++)
            peer_say(p, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
}

START_TEST(test_endless_interims)
{
    lab_start_with(serve_interims);
    struct call *c = get("/");
    ck_assert(call_failed(c, 502, "bad-response"));
    ck_assert_uint_eq(c->interims, HTTP_CLIENT_INTERIM_MAX);
    lab_stop();
}
END_TEST

/* A server that speaks before it was asked; and one that does so on an idle connection. */
static void serve_unasked(struct peer *p)
{
    if (peer_head(p, last_head, sizeof last_head))
        peer_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

START_TEST(test_unasked_while_idle)
{
    struct bridge *b = lab_start_with(serve_unasked);
    ck_assert_uint_eq(get("/")->status, 200);
    peer_say(&b->peers[0], "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    RUN_UNTIL(b->peers[0].closed || b->peers[0].eof);
    struct call *c = get("/");
    ck_assert(c->status == 200 && call_body_is(c, "ok"));
    ck_assert_uint_eq(b->n_peers, 2);
    lab_stop();
}
END_TEST

/* Kept connections that were closed --------------------------------------------------------------------- */

/* Answers the first request of a connection, and closes at the second one without a word. */
static void serve_once(struct peer *p)
{
    if (!peer_head(p, last_head, sizeof last_head))
        return;
    if (p->requests == 1)
        peer_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    else
        stream_shutdown(p->stream);
}

START_TEST(test_stale)
{
    static const struct {
        const char *method;
        bool body;
        unsigned status;
    } cases[] = {{"GET", false, 200}, {"HEAD", false, 200}, {"DELETE", false, 200},
                 {"PUT", true, 502},  {"POST", false, 502}, {"POST", true, 502}};
    struct bridge *b = lab_start_with(serve_once);
    ck_assert_uint_eq(get("/")->status, 200);
    struct call *c = call_start(cases[_i].method, "/", !cases[_i].body);
    if (cases[_i].body) {
        call_write(c, "body");
        h2_stream_end(c->stream, NULL);
    }
    RUN_UNTIL(c->closed);
    ck_assert_uint_eq(c->status, cases[_i].status);
    bool again = cases[_i].status == 200;
    ck_assert_uint_eq(b->n_peers, again ? 2 : 1);
    ck_assert_uint_eq(bridge_requests(b), again ? 3 : 2);
    ck_assert_int_eq(status_number("retries"), again);
    if (!again)
        ck_assert(call_failed(c, 502, "bridge-closed"));
    lab_stop();
}
END_TEST

/* Always closes: the second chance is the last. */
static void serve_never(struct peer *p)
{
    if (peer_head(p, last_head, sizeof last_head))
        stream_shutdown(p->stream);
}

START_TEST(test_stale_twice)
{
    struct bridge *b = lab_start_with(serve_once);
    ck_assert_uint_eq(get("/")->status, 200);
    b->serve = serve_never;
    ck_assert(call_failed(get("/"), 502, "bridge-closed"));
    ck_assert_uint_eq(b->n_peers, 2);
    ck_assert_uint_eq(bridge_requests(b), 3);
    /* A fresh one that closes gives no second chance here: the request may have been what killed it. */
    ck_assert(call_failed(get("/"), 502, "bridge-closed"));
    ck_assert_uint_eq(b->n_peers, 3);
    lab_stop();
}
END_TEST

/* A fresh connection that closes: what asks only goes to another bridge, once it has not been answered a
 * byte. */
START_TEST(test_closed_elsewhere)
{
    static const struct {
        const char *method;
        bool body;
        unsigned status;
    } cases[] = {{"GET", false, 200},    {"HEAD", false, 200}, {"GET", true, 502},
                 {"DELETE", false, 502}, {"PUT", false, 502},  {"POST", true, 502}};
    lab_start();
    struct bridge *dying = bridge_start(serve_never), *other = bridge_start(serve_ok);
    use_bridges();
    struct call *c = call_start(cases[_i].method, "/", !cases[_i].body);
    if (cases[_i].body) {
        call_write(c, "body");
        h2_stream_end(c->stream, NULL);
    }
    RUN_UNTIL(c->closed);
    bool again = cases[_i].status == 200;
    ck_assert_uint_eq(c->status, cases[_i].status);
    ck_assert_uint_eq(bridge_requests(dying), 1);
    ck_assert_uint_eq(other->n_peers, again);
    ck_assert_int_eq(status_number("retries"), again);
    ck_assert_uint_eq(lab.targets_failed, 1); /* main looks at it */
    lab_stop();
}
END_TEST

static void serve_half_a_head(struct peer *p)
{
    if (peer_head(p, last_head, sizeof last_head)) {
        peer_say(p, "HTTP/1.1 200");
        stream_shutdown(p->stream);
    }
}

START_TEST(test_closed_within_the_head)
{
    lab_start();
    bridge_start(serve_half_a_head);
    struct bridge *other = bridge_start(serve_ok);
    use_bridges();
    ck_assert(call_failed(get("/"), 502, "bridge-closed"));
    ck_assert_uint_eq(other->n_peers, 0);
    lab_stop();
}
END_TEST

/* The end of a kept connection is there, but the loop has not seen it: what may not be sent twice does not
 * meet it. */
START_TEST(test_closed_unseen)
{
    struct bridge *b = lab_start_with(serve_ok);
    ck_assert_uint_eq(get("/")->status, 200);
    run_for(0.05); /* session tickets have come */
    ck_assert_int_eq(shutdown(SSL_get_fd(stream_ssl(b->peers[0].stream)), SHUT_RDWR), 0);
    struct call *c = call_start("POST", "/", true);
    RUN_UNTIL(c->closed);
    ck_assert_uint_eq(c->status, 200);
    ck_assert_uint_eq(b->n_peers, 2);
    lab_stop();
}
END_TEST

/* The bridge closes an idle connection properly: nobody notices. */
START_TEST(test_closed_while_idle)
{
    struct bridge *b = lab_start_with(serve_ok);
    ck_assert_uint_eq(get("/")->status, 200);
    ck_assert_uint_eq(lab.egress->pool.n_idle, 1);
    stream_free(b->peers[0].stream);
    b->peers[0].stream = NULL;
    RUN_UNTIL(lab.egress->pool.n_idle == 0);
    struct call *c = call_start("POST", "/", true);
    RUN_UNTIL(c->closed);
    ck_assert_uint_eq(c->status, 200);
    ck_assert_int_eq(status_number("retries"), 0);
    lab_stop();
}
END_TEST

static void serve_keep_alive(struct peer *p)
{
    while (peer_head(p, last_head, sizeof last_head))
        peer_say(p, answer);
}

/* Idle connections are not kept for longer than the bridge says, less a second. */
START_TEST(test_keep_alive)
{
    static const struct {
        const char *text;
        double seconds;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 4},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=3, max=9\r\n\r\n", 2},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=600\r\n\r\n", 4},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=1\r\n\r\n", 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=0\r\n\r\n", 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=999999999999\r\n\r\n", 4},
    };
    struct bridge *b = lab_start_with(serve_keep_alive);
    answer = cases[_i].text;
    ck_assert_uint_eq(get("/")->status, 200);
    struct target *t = TAILQ_FIRST(&TAILQ_FIRST(&lab.egress->pool.domains)->targets.all);
    struct connection *idle = TAILQ_FIRST(&t->idle);
    ck_assert_int_eq(idle != NULL, cases[_i].seconds > 0);
    if (idle)
        ck_assert_double_eq_tol(idle->idle_until - idle->idle_since, cases[_i].seconds, 1e-6);
    ck_assert_uint_eq(b->n_peers, 1);
    lab_stop();
}
END_TEST

/* Bridges that are away, or silent ---------------------------------------------------------------------- */

START_TEST(test_fail_over)
{
    lab_start();
    struct bridge *away = bridge_start(serve_ok), *here = bridge_start(serve_ok);
    use_bridges();
    bridge_stop(away);
    struct call *c = call_start("POST", "/", false);
    call_write(c, "body"); /* waits until somebody takes the connection */
    h2_stream_end(c->stream, NULL);
    RUN_UNTIL(c->closed);
    ck_assert_uint_eq(c->status, 200);
    ck_assert_uint_eq(here->n_peers, 1);
    ck_assert_uint_eq(lab.targets_failed, 1);
    ck_assert_str_eq(lab.target_reason, "Connection refused");
    /* For a while nobody goes there first. */
    ck_assert_uint_eq(get("/")->status, 200);
    ck_assert_uint_eq(lab.targets_failed, 1);
    lab_stop();
}
END_TEST

START_TEST(test_all_away)
{
    lab_start();
    for (int i = 0; i < 4; i++)
        bridge_stop(bridge_start(serve_ok));
    ck_assert(call_failed(get("/"), 502, "no-target"));
    use_bridges();
    ck_assert(call_failed(get("/"), 502, "connect-failed"));
    ck_assert_uint_eq(lab.targets_failed, EXCHANGE_TARGETS_MAX);
    lab_stop();
}
END_TEST

START_TEST(test_not_active)
{
    lab_start();
    struct bridge *failed = bridge_start(serve_ok), *unknown = bridge_start(serve_ok),
                  *good = bridge_start(serve_ok);
    json_t *rows = json_array();
    add_rows(rows, failed, "failed", 0, 0);
    add_rows(rows, unknown, "unknown", 1, 0);
    add_rows(rows, good, "active", 2, 0);
    egress_set_targets(lab.egress, "join.example.com", rows);
    ck_assert_uint_eq(get("/")->status, 200);
    ck_assert(good->n_peers == 1 && failed->n_peers == 0 && unknown->n_peers == 0);
    /* No longer there: its idle connection is closed, and nothing goes to it. */
    json_array_clear(rows);
    add_rows(rows, failed, "active", 0, 0);
    egress_set_targets(lab.egress, "join.example.com", rows);
    RUN_UNTIL(good->peers[0].closed || good->peers[0].eof);
    ck_assert_uint_eq(get("/")->status, 200);
    ck_assert(good->n_peers == 1 && failed->n_peers == 1);
    json_decref(rows);
    lab_stop();
}
END_TEST

static void serve_later(struct peer *p)
{
    if (peer_head(p, last_head, sizeof last_head))
        p->step = 1;
}

static void mark_first_failed(void)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < lab.n_bridges; i++)
        add_rows(rows, &lab.bridges[i], i == 0 ? "failed" : "active", (int)i, 0);
    egress_set_targets(lab.egress, "join.example.com", rows);
    json_decref(rows);
}

/* Main finds out that a bridge has died without a word: what asks only does not wait for it. */
START_TEST(test_becomes_failed)
{
    lab_start();
    struct bridge *gone = bridge_start(serve_later), *other = bridge_start(serve_ok);
    use_bridges();
    struct call *ask = call_start("GET", "/", true), *act = call_start("POST", "/", true);
    RUN_UNTIL(gone->n_peers == 2 && gone->peers[0].step && gone->peers[1].step);
    mark_first_failed();
    RUN_UNTIL(ask->closed);
    ck_assert_uint_eq(ask->status, 200);
    ck_assert(!act->closed);
    for (size_t i = 0; i < 2; i++)
        if (!gone->peers[i].eof && !gone->peers[i].closed)
            peer_say(&gone->peers[i], "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    RUN_UNTIL(act->closed); /* it was not dead after all */
    ck_assert_uint_eq(act->status, 200);
    ck_assert_uint_eq(other->n_peers, 1);
    lab_stop();
}
END_TEST

START_TEST(test_becomes_failed_alone)
{
    lab_start();
    struct bridge *gone = bridge_start(serve_later);
    use_bridges();
    struct call *ask = call_start("GET", "/", true);
    RUN_UNTIL(gone->n_peers == 1 && gone->peers[0].step);
    mark_first_failed(); /* where should it go? */
    peer_say(&gone->peers[0], "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    RUN_UNTIL(ask->closed);
    ck_assert_uint_eq(ask->status, 200);
    lab_stop();
}
END_TEST

/* Nothing was sent yet: any method. */
START_TEST(test_becomes_failed_while_connecting)
{
    lab_start();
    struct bridge *deaf = bridge_start(NULL), *other = bridge_start(serve_ok);
    deaf->deaf = true;
    use_bridges();
    struct call *c = call_start("POST", "/", true);
    RUN_UNTIL(deaf->n_peers == 1 && deaf->peers[0].received > 0);
    mark_first_failed();
    RUN_UNTIL(c->closed);
    ck_assert(c->status == 200 && bridge_requests(other) == 1);
    ck_assert_int_eq(status_number("unreachable"), 0); /* it did not wait for the deadline */
    lab_stop();
}
END_TEST

START_TEST(test_wrong_certificate)
{
    char *cert, *key, why[256];
    struct bridge *b = lab_start_with(serve_ok);
    /* The right CA, another name. */
    ck_assert_int_eq(tls_self_signed("other.example.com", 1, &cert, &key), ERR_OK);
    SSL_CTX_free(b->tls);
    ck_assert_int_eq(tls_server_ctx(cert, key, NULL, &b->tls, why, sizeof why), ERR_OK);
    ck_assert_int_eq(set_policy(DEFAULT_RULES, cert), ERR_OK);
    ck_assert(call_failed(get("/"), 502, "connect-failed"));
    ck_assert_msg(strstr(lab.target_reason, "name"), "%s", lab.target_reason);
    ck_assert_uint_eq(bridge_requests(b), 0);
    free(cert);
    free(key);
    lab_stop();
}
END_TEST

/* Takes the connection, and nothing else. */
START_TEST(test_deaf)
{
    lab_start();
    struct bridge *deaf = bridge_start(NULL), *here = bridge_start(serve_ok);
    deaf->deaf = true;
    egress_set_limits(lab.egress, &quick_limits);
    use_bridges();
    ck_assert_uint_eq(get("/")->status, 200);
    ck_assert(deaf->n_peers == 1 && here->n_peers == 1);
    ck_assert_str_eq(lab.target_reason, "no connection in time");
    lab_stop();
}
END_TEST

static void serve_silence(struct peer *p)
{
    if (peer_head(p, last_head, sizeof last_head) && answer)
        peer_say(p, answer);
}

START_TEST(test_silent)
{
    struct bridge *b = lab_start_with(serve_silence);
    egress_set_limits(lab.egress, &quick_limits);
    /* No head. */
    answer = NULL;
    ck_assert(call_failed(get("/"), 504, "timeout"));
    answer = "HTTP/1.1 103 Early Hints\r\n\r\n";
    ck_assert(call_failed(get("/"), 504, "timeout"));
    answer = "HTTP/1.1 200 OK\r\nConte";
    ck_assert(call_failed(get("/"), 504, "timeout"));
    /* Half a body. */
    answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    ck_assert(call_was_reset(get("/")));
    /* Half a request. */
    struct call *c = call_start("POST", "/", false);
    call_write(c, "half");
    answer = NULL;
    RUN_UNTIL(c->ended);
    ck_assert_uint_eq(c->status, 504);
    ck_assert_uint_eq(b->n_peers, 5);
    lab_stop();
}
END_TEST

/* A guest who does not read is the edge's affair: the bridge's deadline does not run. */
START_TEST(test_slow_guest)
{
    static char big[256 * 1024 + 64];
    lab_start_with(serve_silence);
    egress_set_limits(lab.egress, &quick_limits);
    int n = sprintf(big, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 200 * 1024);
    memset(big + n, 'x', 200 * 1024);
    answer = big;
    lab.stop_fetching = true;
    struct call *c = call_start("GET", "/", true);
    lab.stop_fetching = false;
    pump();
    lab.stop_fetching = true;
    run_for(1.2);
    lab.stop_fetching = false;
    RUN_UNTIL(c->closed);
    ck_assert_uint_eq(c->received, 200 * 1024);
    lab_stop();
}
END_TEST

START_TEST(test_busy)
{
    struct bridge *b = lab_start_with(NULL);
    static struct egress_limits few;
    few = egress_limits_default;
    few.running = 5;
    egress_set_limits(lab.egress, &few);
    struct call *calls[6];
    for (int i = 0; i < 6; i++)
        calls[i] = call_start("GET", "/", true);
    RUN_UNTIL(calls[5]->closed);
    ck_assert(call_failed(calls[5], 503, "busy"));
    RUN_UNTIL(b->n_peers == 5 && buf_len(&b->peers[4].in) > 0);
    b->serve = serve_ok;
    for (int i = 0; i < 5; i++)
        serve_ok(&b->peers[i]);
    RUN_UNTIL(egress_running(lab.egress) == 0);
    for (int i = 0; i < 5; i++)
        ck_assert_uint_eq(calls[i]->status, 200);
    lab_stop();
}
END_TEST

/* Descriptors are never used up: 503 for those who are too many, and idle connections make room. */
START_TEST(test_connections_are_bounded)
{
    lab_start();
    struct bridge *first = bridge_start(NULL), *second = bridge_start(serve_ok);
    use_bridges();
    lab.egress->pool.most = 3;
    struct call *calls[5];
    for (int i = 0; i < 5; i++)
        calls[i] = call_start("GET", "/", true);
    RUN_UNTIL(calls[3]->closed && calls[4]->closed && first->n_peers == 3);
    ck_assert(call_failed(calls[3], 503, "busy") && call_failed(calls[4], 503, "busy"));
    RUN_UNTIL(first->peers[0].received && first->peers[1].received && first->peers[2].received);
    first->serve = serve_ok;
    for (int i = 0; i < 3; i++)
        serve_ok(&first->peers[i]);
    RUN_UNTIL(calls[0]->closed && calls[1]->closed && calls[2]->closed);
    ck_assert_uint_eq(lab.egress->pool.n_idle, 3);
    json_t *rows = json_array();
    add_rows(rows, first, "active", 1, 0);
    add_rows(rows, second, "active", 0, 0);
    egress_set_targets(lab.egress, "join.example.com", rows);
    json_decref(rows);
    ck_assert_uint_eq(get("/")->status, 200);
    ck_assert_uint_eq(second->n_peers, 1);
    ck_assert_uint_eq(lab.egress->pool.n_connections, 3);
    lab_stop();
}
END_TEST

/* An edge that sends bodies to a bridge that takes none, and one that reads no answers. */
START_TEST(test_memory_is_bounded)
{
    static char piece[60 * 1024];
    static struct egress_limits small;
    lab_start_with(NULL)->deaf = true;
    small = quick_limits;
    small.connect = small.upload = small.head = 20;
    small.waiting = 1024 * 1024;
    egress_set_limits(lab.egress, &small);
    struct call *calls[40];
    for (int i = 0; i < 40; i++) {
        calls[i] = call_start("POST", "/", false);
        if (i < 39)
            h2_stream_write(calls[i]->stream, (const uint8_t *)piece, i < 10 ? 2000 : sizeof piece);
    }
    RUN_UNTIL(calls[38]->status);
    run_for(0.2);
    for (int i = 0; i < 40; i++)
        ck_assert_uint_eq(calls[i]->status, i < 10 || i == 39 ? 0 : 503);
    ck_assert_uint_eq(lab.refused, 0);
    lab_stop();
}
END_TEST

START_TEST(test_unread_answers_are_bounded)
{
    static char big[64 * 1024 + 64];
    static struct egress_limits small;
    lab_start_with(serve_silence);
    small = quick_limits;
    small.waiting = 256 * 1024;
    egress_set_limits(lab.egress, &small);
    int n = sprintf(big, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 60 * 1024);
    memset(big + n, 'x', 60 * 1024);
    answer = big;
    struct call *calls[10];
    for (int i = 0; i < 10; i++)
        calls[i] = call_start("GET", "/", true);
    struct buf out;
    buf_init(&out, 1 << 20);
    ck_assert_int_eq(h2_session_send(lab.edge, &out, 1 << 20), ERR_OK);
    ck_assert_int_eq(egress_session_receive(lab.session, buf_data(&out), buf_len(&out)), ERR_OK);
    buf_free(&out);
    lab.stop_fetching = true;
    run_for(0.5);
    lab.stop_fetching = false;
    size_t kept = 0;
    for (int i = 0; i < 10; i++) {
        RUN_UNTIL(calls[i]->closed);
        ck_assert_int_eq(calls[i]->ended, calls[i]->code == H2_NO_ERROR);
        ck_assert(calls[i]->ended || calls[i]->code == H2_INTERNAL_ERROR);
        kept += calls[i]->ended;
    }
    ck_assert_uint_le(kept * 60 * 1024, small.waiting);
    lab_stop();
}
END_TEST

/* The session ------------------------------------------------------------------------------------------- */

START_TEST(test_session_dies)
{
    struct bridge *b = lab_start_with(NULL);
    call_start("GET", "/", true);
    struct call *ws = call_websocket("/", NULL);
    call_write(ws, "early");
    RUN_UNTIL(b->n_peers == 2 && b->peers[0].received && b->peers[1].received);
    /* DATA on stream 0: the answer is GOAWAY, and what comes behind it is not even looked at. */
    const uint8_t *wrong = (const uint8_t *)"\0\0\5\0\0\0\0\0\0hello";
    ck_assert_int_eq(egress_session_receive(lab.session, wrong, 14), ERR_OK);
    pump();
    ck_assert(egress_session_finished(lab.session));
    ck_assert_int_eq(egress_session_receive(lab.session, wrong, 14), ERR_PROTOCOL);
    egress_session_free(lab.session);
    lab.session = NULL;
    ck_assert_uint_eq(egress_running(lab.egress), 0);
    lab.session_failed = true;
    RUN_UNTIL((b->peers[0].closed || b->peers[0].eof) && (b->peers[1].closed || b->peers[1].eof));
    lab_stop();
}
END_TEST

START_TEST(test_drain)
{
    struct bridge *b = lab_start_with(NULL);
    struct call *c = call_start("GET", "/", true);
    RUN_UNTIL(b->n_peers == 1 && b->peers[0].received);
    egress_session_drain(lab.session);
    pump();
    ck_assert(!h2_session_can_open(lab.edge));
    ck_assert(!egress_session_finished(lab.session));
    serve_ok(&b->peers[0]);
    RUN_UNTIL(c->closed);
    ck_assert_uint_eq(c->status, 200);
    pump();
    ck_assert(egress_session_finished(lab.session));
    lab_stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("egress_failures");
    TCase *tc = tcase_create("egress_failures");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_untrusted, 0, (int)(sizeof responses / sizeof *responses));
    tcase_add_test(tc, test_words_are_no_fields);
    tcase_add_loop_test(tc, test_large_head, 0, 2);
    tcase_add_test(tc, test_large_cookies);
    tcase_add_test(tc, test_endless_interims);
    tcase_add_test(tc, test_unasked_while_idle);
    tcase_add_loop_test(tc, test_stale, 0, 6);
    tcase_add_test(tc, test_stale_twice);
    tcase_add_test(tc, test_closed_while_idle);
    tcase_add_loop_test(tc, test_keep_alive, 0, 6);
    tcase_add_test(tc, test_fail_over);
    tcase_add_test(tc, test_all_away);
    tcase_add_test(tc, test_not_active);
    tcase_add_loop_test(tc, test_closed_elsewhere, 0, 6);
    tcase_add_test(tc, test_closed_within_the_head);
    tcase_add_test(tc, test_closed_unseen);
    tcase_add_test(tc, test_becomes_failed);
    tcase_add_test(tc, test_becomes_failed_alone);
    tcase_add_test(tc, test_becomes_failed_while_connecting);
    tcase_add_test(tc, test_wrong_certificate);
    tcase_add_test(tc, test_deaf);
    tcase_add_test(tc, test_silent);
    tcase_add_test(tc, test_slow_guest);
    tcase_add_test(tc, test_busy);
    tcase_add_test(tc, test_connections_are_bounded);
    tcase_add_test(tc, test_memory_is_bounded);
    tcase_add_test(tc, test_unread_answers_are_bounded);
    tcase_add_test(tc, test_session_dies);
    tcase_add_test(tc, test_drain);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
