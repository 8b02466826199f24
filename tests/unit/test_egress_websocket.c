/* WebSockets through core/egress: the opening is core's own and checked, then bytes both ways, each direction
 * ending by itself. */
#include "core/egress/exchange.h"
#include "proto/websocket.h"
#include "tests/unit/egress_fixture.h"

static char last_head[16 * 1024];

/* What this bridge does differently from a good one. */
static struct {
    const char *instead, *extra; /* the whole answer; or fields beside the good ones */
    bool wrong_accept, no_accept, says_first;
} manner;

static void answer_opening(struct peer *p)
{
    char accept[WEBSOCKET_ACCEPT_TEXT + 1] = "", text[1024];
    const char *key = strstr(last_head, "\r\nsec-websocket-key: ");
    ck_assert_ptr_nonnull(key);
    websocket_accept(key + 21, accept);
    if (manner.wrong_accept)
        accept[0] = accept[0] == 'x' ? 'y' : 'x';
    snprintf(
        text, sizeof text,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n%s%s%s%s\r\n%s",
        manner.no_accept ? "" : "Sec-WebSocket-Accept: ", manner.no_accept ? "" : accept,
        manner.no_accept ? "" : "\r\n", manner.extra ? manner.extra : "", manner.says_first ? "welcome" : "");
    peer_say(p, manner.instead ? manner.instead : text);
}

/* After the opening it echoes; at the end it ends. */
static void serve_echo(struct peer *p)
{
    if (p->step == 0) {
        if (!peer_head(p, last_head, sizeof last_head))
            return;
        p->step = 1;
        answer_opening(p);
    }
    if (buf_len(&p->in) > 0) {
        stream_write(p->stream, buf_data(&p->in), buf_len(&p->in));
        buf_reset(&p->in);
    }
    if (p->eof && p->step == 1) {
        p->step = 2;
        peer_say(p, "bye");
        stream_shutdown(p->stream);
    }
}

START_TEST(test_echo)
{
    struct bridge *b = lab_start_with(serve_echo);
    manner.extra = "Sec-WebSocket-Protocol: janus\r\nX-More: 1\r\n";
    struct call *c = call_websocket("/ws", "other, janus");
    RUN_UNTIL(c->got_head);
    ck_assert(c->status == 200 && !c->ended);
    ck_assert(call_has(c, "sec-websocket-protocol", "janus") && call_has(c, "x-more", "1"));
    ck_assert(!http_message_find(&c->head, "sec-websocket-accept").at &&
              !http_message_find(&c->head, "upgrade").at);
    ck_assert(strncmp(last_head, "GET /ws HTTP/1.1\r\nhost: join.example.com\r\n", 42) == 0);
    ck_assert(strstr(last_head, "\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"));
    ck_assert(strstr(last_head, "\r\nsec-websocket-version: 13\r\n"));
    ck_assert(strstr(last_head, "\r\nsec-websocket-protocol: other, janus\r\n"));
    ck_assert(!strstr(last_head, "content-length") && !strstr(last_head, "transfer-encoding"));
    call_write(c, "hello");
    RUN_UNTIL(c->received == 5);
    ck_assert(call_body_is(c, "hello"));
    ck_assert_int_eq(status_number("websockets"), 1);
    ck_assert_int_eq(status_number("open_websockets"), 1);
    ck_assert_uint_eq(egress_running(lab.egress), 1);
    ck_assert_uint_eq(egress_unfinished(lab.egress), 0);
    /* Half-close: the guest has finished, the bridge has not. */
    h2_stream_end(c->stream, NULL);
    RUN_UNTIL(c->closed);
    ck_assert(c->ended && c->code == H2_NO_ERROR && call_body_is(c, "hellobye"));
    ck_assert_int_eq(status_number("websockets"), 1);
    ck_assert_int_eq(status_number("open_websockets"), 0);
    ck_assert_uint_eq(b->n_peers, 1);
    RUN_UNTIL(b->peers[0].eof);
    lab_stop();
}
END_TEST

/* The other half: the bridge ends first, the guest goes on, and nothing of it is lost. */
static void serve_ends_first(struct peer *p)
{
    if (p->step == 0 && peer_head(p, last_head, sizeof last_head)) {
        p->step = 1;
        answer_opening(p);
        peer_say(p, "bye");
        stream_shutdown(p->stream);
    }
}

START_TEST(test_bridge_ends_first)
{
    struct bridge *b = lab_start_with(serve_ends_first);
    struct call *c = call_websocket("/ws", NULL);
    RUN_UNTIL(c->ended);
    ck_assert(call_body_is(c, "bye") && !c->closed);
    for (int i = 0; i < 100; i++) {
        call_write(c, "0123456789");
        pump();
    }
    h2_stream_end(c->stream, NULL);
    RUN_UNTIL(c->closed);
    ck_assert_uint_eq(c->code, H2_NO_ERROR);
    RUN_UNTIL(b->peers[0].eof || b->peers[0].closed);
    ck_assert_uint_eq(buf_len(&b->peers[0].in), 1000);
    lab_stop();
}
END_TEST

/* Neither side may stay half-closed for ever. */
START_TEST(test_half_closed_expires)
{
    struct bridge *b = lab_start_with(serve_ends_first);
    egress_set_limits(lab.egress, &quick_limits);
    struct call *c = call_websocket("/ws", NULL);
    RUN_UNTIL(c->ended);
    RUN_UNTIL(c->closed);
    ck_assert_uint_eq(c->code, H2_CANCEL);
    ck_assert_uint_eq(b->n_peers, 1);
    lab_stop();
}
END_TEST

/* Without TLS's goodbye: what came is delivered, then it ends. */
START_TEST(test_bridge_dies)
{
    struct bridge *b = lab_start_with(serve_echo);
    manner.says_first = true;
    struct call *c = call_websocket("/ws", NULL);
    RUN_UNTIL(c->received == 7);
    stream_free(b->peers[0].stream);
    b->peers[0].stream = NULL;
    RUN_UNTIL(c->ended);
    ck_assert(call_body_is(c, "welcome"));
    h2_stream_end(c->stream, NULL);
    RUN_UNTIL(c->closed);
    lab_stop();
}
END_TEST

START_TEST(test_guest_dies)
{
    struct bridge *b = lab_start_with(serve_echo);
    struct call *c = call_websocket("/ws", NULL);
    RUN_UNTIL(c->got_head);
    h2_stream_reset(c->stream, H2_CANCEL);
    RUN_UNTIL(b->peers[0].closed);
    ck_assert_uint_eq(egress_running(lab.egress), 0);
    lab_stop();
}
END_TEST

/* What the guest says before the bridge has agreed waits for it; the bridge's first words come behind the
 * head. */
START_TEST(test_early_words)
{
    struct bridge *b = lab_start_with(NULL);
    manner.says_first = true;
    struct call *c = call_websocket("/ws", NULL);
    call_write(c, "early");
    RUN_UNTIL(b->n_peers == 1 && buf_len(&b->peers[0].in) > 0);
    run_for(0.05);
    ck_assert(!memmem(buf_data(&b->peers[0].in), buf_len(&b->peers[0].in), "early", 5));
    b->serve = serve_echo;
    serve_echo(&b->peers[0]);
    RUN_UNTIL(c->received == 12);
    ck_assert(call_body_is(c, "welcomeearly"));
    lab_stop();
}
END_TEST

/* Answers that are no yes. 200 would be taken for one by everybody behind core. */
START_TEST(test_bad_answers)
{
    static const struct {
        const char *instead, *extra;
        bool wrong_accept, no_accept;
    } cases[] = {
        {.wrong_accept = true},
        {.no_accept = true},
        {.extra = "Sec-WebSocket-Protocol: other\r\n"},
        {.extra = "Sec-WebSocket-Protocol: JANUS\r\n"},
        {.extra = "Sec-WebSocket-Protocol: janus\r\nSec-WebSocket-Protocol: janus\r\n"},
        {.extra = "Sec-WebSocket-Extensions: permessage-deflate\r\n"},
        {.extra = "Sec-WebSocket-Accept: x\r\n"},
        {.instead = "HTTP/1.1 101 Switching Protocols\r\n\r\n"},
        {.instead = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"},
        {.instead = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
        {.instead = "HTTP/1.1 204 No Content\r\n\r\n"},
        {.instead = "HTTP/1.1 299 Nearly\r\nContent-Length: 0\r\n\r\n"},
    };
    lab_start_with(serve_echo);
    manner.instead = cases[_i].instead;
    manner.extra = cases[_i].extra;
    manner.wrong_accept = cases[_i].wrong_accept;
    manner.no_accept = cases[_i].no_accept;
    struct call *c = call_websocket("/ws", "janus");
    RUN_UNTIL(c->ended);
    ck_assert_uint_eq(c->status, 502);
    ck_assert(call_has(c, EGRESS_REASON_FIELD, "bad-response"));
    lab_stop();
}
END_TEST

START_TEST(test_extension_offered)
{
    lab_start_with(serve_echo);
    struct http_message m;
    message_start(&m, "GET", "/ws");
    m.websocket = true;
    http_message_add_str(&m, "sec-websocket-extensions",
                         "x-other, permessage-deflate; client_max_window_bits");
    manner.extra = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n";
    struct call *c = call_message(&m, false);
    http_message_free(&m);
    RUN_UNTIL(c->got_head);
    ck_assert_uint_eq(c->status, 200);
    lab_stop();
}
END_TEST

/* A no is handed on as it is. */
START_TEST(test_refused_by_bridge)
{
    lab_start_with(serve_echo);
    manner.instead = "HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\nX-Why: auth\r\n\r\nnope";
    struct call *c = call_websocket("/ws", "janus");
    RUN_UNTIL(c->ended);
    ck_assert(c->status == 403 && call_has(c, "x-why", "auth") && call_body_is(c, "nope"));
    lab_stop();
}
END_TEST

/* An idle one holds no buffer at all. */
START_TEST(test_idle_memory)
{
    struct bridge *b = lab_start_with(serve_echo);
    struct call *calls[40];
    for (int i = 0; i < 40; i++)
        calls[i] = call_websocket("/ws", "janus");
    RUN_UNTIL(status_number("websockets") == 40);
    for (int i = 0; i < 40; i++)
        call_write(calls[i], "hello");
    for (int i = 0; i < 40; i++)
        RUN_UNTIL(calls[i]->received == 5);
    struct exchange *x;
    TAILQ_FOREACH (x, &lab.egress->exchanges, next) {
        ck_assert(x->websocket && !x->request.opening && !x->request.head.mem && !x->upload.mem &&
                  !x->trailers);
    }
    ck_assert_uint_eq(b->n_peers, 40);
    ck_assert_uint_lt(sizeof *x, 512);
    lab_stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("egress_websocket");
    TCase *tc = tcase_create("egress_websocket");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_echo);
    tcase_add_test(tc, test_bridge_ends_first);
    tcase_add_test(tc, test_half_closed_expires);
    tcase_add_test(tc, test_bridge_dies);
    tcase_add_test(tc, test_guest_dies);
    tcase_add_test(tc, test_early_words);
    tcase_add_loop_test(tc, test_bad_answers, 0, 12);
    tcase_add_test(tc, test_extension_offered);
    tcase_add_test(tc, test_refused_by_bridge);
    tcase_add_test(tc, test_idle_memory);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
