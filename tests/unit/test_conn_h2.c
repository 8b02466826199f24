/* HTTP/2 towards guests, through the whole worker. */
#include "tests/unit/h2_guest.h"

static struct h2_guest guest;

START_TEST(test_requests)
{
    box_start();
    h2g_connect(&guest, "join.example.com");
    struct h2_answer *hello = h2g_ask(&guest, "GET", "/hello", true, NULL),
                     *head = h2g_ask(&guest, "HEAD", "/hello", true, NULL),
                     *none = h2g_ask(&guest, "GET", "/204", true, NULL),
                     *same = h2g_ask(&guest, "GET", "/304", true, NULL),
                     *empty = h2g_ask(&guest, "GET", "/empty", true, NULL),
                     *trailed = h2g_ask(&guest, "GET", "/chunked", true, NULL);
    RUN_UNTIL(hello->closed && head->closed && none->closed && same->closed && empty->closed &&
              trailed->closed);
    ck_assert_uint_eq(hello->head.status, 200);
    ck_assert_int_eq((int)hello->head.content_length, 5);
    ck_assert(h2g_has(hello, "hello") && hello->bytes == 5 && hello->code == H2_NO_ERROR);
    ck_assert(span_is(http_message_find(&hello->head, "server"), "bridge"));
    ck_assert_ptr_null(http_message_find(&hello->head, "alt-svc").at);
    ck_assert_uint_eq(head->head.status, 200);
    ck_assert(head->bytes == 0 && head->head.content_length == 5);
    ck_assert_uint_eq(none->head.status, 204);
    ck_assert_int_eq((int)none->head.content_length, HTTP_NO_LENGTH);
    ck_assert_uint_eq(same->head.status, 304);
    ck_assert_uint_eq(empty->head.status, 200);
    ck_assert(h2g_has(trailed, "hello") && span_is(http_message_find(&trailed->trailers, "x-sum"), "42"));
    ck_assert_int_eq((int)box_count("http2_requests"), 6);
    ck_assert_int_eq((int)box_count("http2_connections"), 1);
    ck_assert_int_eq((int)box_count("http1_connections"), 0);
    ck_assert_int_eq((int)box_count("held"), 0);
    h2g_close(&guest);
    RUN_UNTIL(box_count("connections") == 0);
    box_stop();
}
END_TEST

START_TEST(test_protocol_by_alpn)
{
    struct guest g;
    static const char *const offers[] = {"\x08http/1.1", "\x08http/1.1\x02h2"};
    box_start();
    for (int i = 0; i < 2; i++) {
        SSL_CTX *old = box.client_tls;
        box.client_tls = h2g_tls(offers[i]);
        guest_connect(&g, true, "join.example.com");
        guest_send(&g, i ? "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" : GET("/hello"));
        RUN_UNTIL(guest_has(&g, i ? "\x04" : "hello"));
        guest_close(&g);
        SSL_CTX_free(box.client_tls);
        box.client_tls = old;
    }
    ck_assert_int_eq((int)box_count("http1_connections"), 1);
    ck_assert_int_eq((int)box_count("http2_connections"), 1); /* ours first, whatever the guest's order */
    box_stop();
}
END_TEST

START_TEST(test_hygiene)
{
    static const char *const fields[] = {"te",
                                         "trailers",
                                         "x-forwarded-for",
                                         "6.6.6.6",
                                         "x-real-ip",
                                         "6.6.6.6",
                                         "x-http-method-override",
                                         "PATCH",
                                         "cookie",
                                         "a=b",
                                         "cookie",
                                         "c=d",
                                         "stile-reason",
                                         "x",
                                         NULL};
    box_start();
    h2g_connect(&guest, "join.example.com");
    struct h2_answer *a = h2g_ask(&guest, "GET", "/x/../mirror", true, fields);
    RUN_UNTIL(a->closed);
    ck_assert(h2g_has(a, "GET join.example.com /mirror\n") && h2g_has(a, "cookie: a=b; c=d\n"));
    ck_assert(h2g_has(a, "te: trailers\n") && h2g_has(a, "x-forwarded-for: 127.0.0.1\n"));
    ck_assert(h2g_has(a, "via: 2.0 stile-edge\n") && h2g_has(a, "x-forwarded-proto: https\n"));
    ck_assert(!h2g_has(a, "6.6.6.6") && !h2g_has(a, "override") && !h2g_has(a, "stile-reason"));
    h2g_close(&guest);
    box_stop();
}
END_TEST

START_TEST(test_echo_with_trailers)
{
    struct http_message trailers;
    box_start();
    h2g_connect(&guest, "join.example.com");
    struct h2_answer *a = h2g_ask(&guest, "POST", "/echo", false, NULL);
    h2_stream_write(a->stream, (const uint8_t *)"some", 4);
    RUN_UNTIL(h2g_has(a, "some"));
    h2_stream_write(a->stream, (const uint8_t *)"thing", 5);
    http_message_init(&trailers);
    http_message_add_str(&trailers, "x-sum", "7");
    http_message_add_str(&trailers, "cookie", "no=way");
    h2_stream_end(a->stream, &trailers);
    http_message_free(&trailers);
    RUN_UNTIL(a->closed);
    ck_assert(h2g_has(a, "something") && a->code == H2_NO_ERROR);
    ck_assert(span_is(http_message_find(&a->trailers, "x-sum"), "7"));
    ck_assert_ptr_null(http_message_find(&a->trailers, "cookie").at);
    h2g_close(&guest);
    box_stop();
}
END_TEST

START_TEST(test_refusals)
{
    static const char *const expects[] = {"expect", "more", NULL};
    struct http_message m;
    box_start();
    h2g_connect(&guest, "join.example.com");
    struct h2_answer *method = h2g_ask(&guest, "PATCH", "/", true, NULL),
                     *slash = h2g_ask(&guest, "GET", "/a%2fb", true, NULL),
                     *expect = h2g_ask(&guest, "POST", "/echo", false, expects);
    h2g_message(&m, "GET", "/", NULL);
    http_message_set_authority(&m, "narrow.example.com", 18); /* known, but not the name in the handshake */
    struct h2_answer *host = h2g_send(&guest, &m, true);
    http_message_free(&m);
    h2g_message(&m, "GET", "/", NULL);
    http_message_set_scheme(&m, "http", 4);
    struct h2_answer *scheme = h2g_send(&guest, &m, true);
    http_message_free(&m);
    RUN_UNTIL(method->closed && slash->closed && host->closed && expect->closed && scheme->closed);
    ck_assert_uint_eq(method->head.status, 403);
    ck_assert(h2g_has(method, "</html>"));
    ck_assert_uint_eq(slash->head.status, 400);
    ck_assert_uint_eq(host->head.status, 421);
    ck_assert_uint_eq(expect->head.status, 417);
    ck_assert(h2g_has(expect, "</html>") &&
              expect->code == H2_NO_ERROR); /* the answer came before the reset */
    ck_assert_uint_eq(scheme->head.status, 400);
    ck_assert_uint_eq(box.cores[0].requests, 0);
    struct h2_answer *good = h2g_ask(&guest, "GET", "/hello", true, NULL);
    RUN_UNTIL(good->closed);
    ck_assert_uint_eq(good->head.status, 200);
    h2g_close(&guest);
    box_stop();
}
END_TEST

START_TEST(test_interim_answers)
{
    static const char *const expects[] = {"expect", "100-continue", NULL};
    box_start();
    h2g_connect(&guest, "join.example.com");
    struct h2_answer *hints = h2g_ask(&guest, "GET", "/hints", true, NULL),
                     *waits = h2g_ask(&guest, "POST", "/stall", false, expects);
    RUN_UNTIL(hints->closed && waits->n_interim);
    ck_assert_uint_eq(hints->interim[0], 103);
    ck_assert(h2g_has(hints, "hinted"));
    ck_assert_uint_eq(waits->interim[0], 100);
    h2_stream_write(waits->stream, (const uint8_t *)"hello", 5);
    h2_stream_end(waits->stream, NULL);
    RUN_UNTIL(waits->closed);
    ck_assert(h2g_has(waits, "all of it"));
    h2g_close(&guest);
    box_stop();
}
END_TEST

START_TEST(test_early_answer)
{
    box_start();
    h2g_connect(&guest, "join.example.com");
    struct h2_answer *a = h2g_ask(&guest, "POST", "/early", false, NULL);
    RUN_UNTIL(a->closed);
    ck_assert_uint_eq(a->head.status, 413);
    ck_assert(h2g_has(a, "too much") && a->ended && a->code == H2_NO_ERROR);
    RUN_UNTIL(h2_session_streams(box.cores[0].session) == 0);
    h2g_close(&guest);
    box_stop();
}
END_TEST

static struct h2_answer *open_websocket(struct h2_guest *g, const char *path, const char *version)
{
    struct http_message m;
    const char *fields[] = {"sec-websocket-version", version, "sec-websocket-protocol", "chat", NULL};
    h2g_message(&m, "GET", path, fields);
    m.websocket = true;
    struct h2_answer *a = h2g_send(g, &m, false);
    a->keeps = true;
    http_message_free(&m);
    return a;
}

START_TEST(test_websocket)
{
    box_start();
    h2g_connect(&guest, "join.example.com");
    ck_assert(h2_session_takes_websockets(guest.session));
    struct h2_answer *ws = open_websocket(&guest, "/ws", "13");
    RUN_UNTIL(ws->got_head);
    ck_assert_uint_eq(ws->head.status, 200);
    ck_assert(box.cores[0].last.websocket);
    ck_assert(span_is(http_message_find(&box.cores[0].last, "sec-websocket-protocol"), "chat"));
    ck_assert_ptr_null(http_message_find(&box.cores[0].last, "sec-websocket-version").at);
    for (int i = 0; i < 100; i++) {
        char text[32];
        snprintf(text, sizeof text, "message %d;", i);
        h2_stream_write(ws->stream, (const uint8_t *)text, strlen(text));
        if (i % 3 == 0)
            RUN_UNTIL(h2g_has(ws, text));
    }
    RUN_UNTIL(h2g_has(ws, "message 99;"));
    ck_assert_int_eq((int)box_count("open_websockets"), 1);
    ck_assert_int_eq((int)box_count("http2_websockets"), 1);
    h2_stream_end(ws->stream, NULL); /* half close goes through, and comes back */
    RUN_UNTIL(ws->closed);
    ck_assert_uint_eq(ws->code, H2_NO_ERROR);
    ck_assert_int_eq((int)box_count("open_websockets"), 0);
    /* Given up by the guest. */
    ws = open_websocket(&guest, "/ws", "13");
    RUN_UNTIL(ws->got_head);
    h2_stream_reset(ws->stream, H2_CANCEL);
    RUN_UNTIL(h2_session_streams(box.cores[0].session) == 0);
    /* The bridge says no; the version is wrong. */
    struct h2_answer *no = open_websocket(&guest, "/no", "13"), *old = open_websocket(&guest, "/ws", "8");
    RUN_UNTIL(no->closed && old->closed);
    ck_assert_uint_eq(no->head.status, 403);
    ck_assert_uint_eq(old->head.status, 426);
    ck_assert(span_is(http_message_find(&old->head, "sec-websocket-version"), "13"));
    RUN_UNTIL(h2_session_streams(box.cores[0].session) == 0);
    /* The bridge ends it together with its opening: so it is for the guest, and nothing stays open. */
    struct h2_answer *over = open_websocket(&guest, "/ws-over", "13");
    RUN_UNTIL(over->ended);
    ck_assert_uint_eq(over->head.status, 200);
    h2_stream_end(over->stream, NULL);
    RUN_UNTIL(over->closed);
    ck_assert_uint_eq(over->code, H2_NO_ERROR);
    RUN_UNTIL(box_count("open_websockets") == 0);
    RUN_UNTIL(h2_session_streams(box.cores[0].session) == 0);
    ck_assert_int_eq((int)box_count("connections"), 1);
    h2g_close(&guest);
    RUN_UNTIL(box_count("open_websockets") == 0);
    box_stop();
}
END_TEST

START_TEST(test_big_bodies)
{
    box_start();
    h2g_connect(&guest, "join.example.com");
    struct h2_answer *down = h2g_ask(&guest, "GET", "/big?3145728", true, NULL),
                     *up = h2g_ask(&guest, "PUT", "/stall", false, NULL);
    down->keeps = false;
    up->to_send = 3145728;
    h2g_fill(up);
    RUN_UNTIL(down->closed && up->closed);
    ck_assert_uint_eq(down->bytes, 3145728);
    ck_assert_uint_eq(box.cores[0].bytes_in, 3145728);
    ck_assert(h2g_has(up, "all of it"));
    ck_assert_int_eq((int)box_count("held"), 0);
    h2g_close(&guest);
    box_stop();
}
END_TEST

/* One stream is not read: it stops, core sends no more of it than a window, its neighbours go on. */
START_TEST(test_stalled_reader_stops_its_stream_only)
{
    box_start();
    h2g_connect(&guest, "join.example.com");
    struct h2_answer *slow = h2g_ask(&guest, "GET", "/big?4000000", true, NULL);
    slow->keeps = false;
    slow->stalls = true;
    RUN_UNTIL(slow->bytes == h2_limits_tunnel.stream_window); /* the guest's own window is used up */
    run_for(0.2);
    uint64_t before = stream_bytes_out(box.cores[0].stream);
    ck_assert_uint_lt(before, 4 * h2_limits_tunnel.stream_window);
    ck_assert_int_le((int)box_count("held"), (int)h2_limits_tunnel.stream_window + 65536);
    struct h2_answer *other = h2g_ask(&guest, "GET", "/big?2000000", true, NULL);
    other->keeps = false;
    RUN_UNTIL(other->closed);
    ck_assert_uint_eq(other->bytes, 2000000);
    ck_assert(!slow->closed);
    slow->stalls = false;
    h2_stream_consume(slow->stream, slow->unconsumed);
    RUN_UNTIL(slow->closed);
    ck_assert_uint_eq(slow->bytes, 4000000);
    h2g_close(&guest);
    box_stop();
}
END_TEST

/* Core does not take one body: it waits here, at most one window of it; others go on. */
START_TEST(test_stalled_upload_stops_its_stream_only)
{
    box_start();
    box.cores[0].consume = false;
    h2g_connect(&guest, "join.example.com");
    struct h2_answer *slow = h2g_ask(&guest, "PUT", "/stall", false, NULL);
    slow->to_send = 4000000;
    h2g_fill(slow);
    RUN_UNTIL(box.cores[0].bytes_in == h2_limits_tunnel.stream_window);
    run_for(0.2);
    ck_assert_uint_eq(box.cores[0].bytes_in, h2_limits_tunnel.stream_window);
    ck_assert_int_le((int)box_count("held"), 4 * (int)h2_limits_guest.stream_window); /* it has grown */
    ck_assert_int_ge((int)box_count("held"), 1);
    struct h2_answer *other = h2g_ask(&guest, "POST", "/echo", false, NULL);
    h2_stream_write(other->stream, (const uint8_t *)"quick", 5);
    h2_stream_end(other->stream, NULL);
    RUN_UNTIL(other->closed);
    ck_assert(h2g_has(other, "quick"));
    box.cores[0].consume = true;
    h2_stream_consume(box.cores[0].stalled_stream, box.cores[0].stalled->held);
    RUN_UNTIL(slow->closed);
    ck_assert(h2g_has(slow, "all of it"));
    ck_assert_uint_eq(box.cores[0].bytes_in, 4000000 + 5);
    ck_assert_int_eq((int)box_count("held"), 0);
    h2g_close(&guest);
    box_stop();
}
END_TEST

START_TEST(test_cut_answers)
{
    box_start();
    h2g_connect(&guest, "join.example.com");
    struct h2_answer *cut = h2g_ask(&guest, "POST", "/cut", false, NULL),
                     *none = h2g_ask(&guest, "GET", "/reset", true, NULL),
                     *core = h2g_ask(&guest, "GET", "/refused-by-core", true, NULL);
    RUN_UNTIL(h2g_has(cut, "half") && none->closed && core->closed);
    h2_stream_write(cut->stream, (const uint8_t *)"x", 1);
    RUN_UNTIL(cut->closed);
    ck_assert(!cut->ended && cut->code == H2_INTERNAL_ERROR);
    ck_assert_uint_eq(none->head.status, 502);
    ck_assert_uint_eq(core->head.status, 502);
    ck_assert(h2g_has(core, "No web bridge is Active"));
    struct h2_answer *good = h2g_ask(&guest, "GET", "/hello", true, NULL); /* its neighbours live */
    RUN_UNTIL(good->closed);
    h2g_close(&guest);
    box_stop();
}
END_TEST

START_TEST(test_guest_vanishes)
{
    box_start();
    h2g_connect(&guest, "join.example.com");
    struct h2_answer *ws = open_websocket(&guest, "/ws", "13"),
                     *never = h2g_ask(&guest, "GET", "/never", true, NULL);
    h2g_ask(&guest, "POST", "/stall", false, NULL);
    RUN_UNTIL(ws->got_head && box.cores[0].requests == 3);
    h2_stream_reset(never->stream, H2_CANCEL);
    RUN_UNTIL(h2_session_streams(box.cores[0].session) == 2);
    h2g_close(&guest);
    RUN_UNTIL(h2_session_streams(box.cores[0].session) == 0 && box_count("connections") == 0);
    ck_assert_int_eq((int)box_count("open_websockets"), 0);
    box_stop();
}
END_TEST

/* Guests give up more at once than core may be told at once: it is told later. */
START_TEST(test_resets_are_deferred)
{
    enum { GUESTS = 3, STREAMS = 100 };
    box_setup("{\"reset_burst\":100,\"reset_rate\":80}");
    core_attach(0);
    run_for(0.05);
    for (int i = 0; i < GUESTS; i++) {
        unsigned before = box.cores[0].requests;
        h2g_connect(&guest, "join.example.com");
        for (int k = 0; k < STREAMS; k++)
            h2g_ask(&guest, "GET", "/never", true, NULL);
        RUN_UNTIL(box.cores[0].requests == before + STREAMS);
        h2g_close(&guest);
    }
    RUN_UNTIL(box_count("connections") == 0);
    ck_assert_int_gt((int)box_count("resets_deferred"), 0);
    RUN_UNTIL(h2_session_streams(box.cores[0].session) == 0);
    ck_assert_uint_eq(box.uplinks_closed, 0);
    h2g_connect(&guest, "join.example.com");
    struct h2_answer *good = h2g_ask(&guest, "GET", "/hello", true, NULL);
    RUN_UNTIL(good->closed);
    ck_assert_uint_eq(good->head.status, 200);
    h2g_close(&guest);
    box_stop();
}
END_TEST

/* GET /never on a stream, in frames of our own (RFC 9113 §6.2, RFC 7541 §6.2.2: nothing is indexed), and its
 * reset right behind. */
static size_t ask_and_reset(uint8_t *out, uint32_t id)
{
    static const char fields[] = "\x82\x87\x01\x10join.example.com\x04\x06/never";
    uint8_t n = sizeof fields - 1, low = (uint8_t)id, high = (uint8_t)(id >> 8);
    uint8_t headers[] = {0, 0, n, 1, 0x5 /* END_STREAM, END_HEADERS */, 0, 0, high, low};
    uint8_t reset[] = {0, 0, 4, 3, 0, 0, 0, high, low, 0, 0, 0, H2_CANCEL};
    memcpy(out, headers, sizeof headers);
    memcpy(out + sizeof headers, fields, n);
    memcpy(out + sizeof headers + n, reset, sizeof reset);
    return sizeof headers + n + sizeof reset;
}

/* Rapid reset (CVE-2023-44487): what is asked for and given up in one breath costs core nothing, nor the
 * budget of resets. */
START_TEST(test_given_up_at_once)
{
    enum { STREAMS = 50 };
    uint8_t frames[STREAMS * 80];
    size_t n = 0;
    box_setup("{\"reset_burst\":1,\"reset_rate\":1}");
    core_attach(0);
    run_for(0.05);
    h2g_connect(&guest, "join.example.com");
    int64_t before = box_count("requests");
    for (uint32_t i = 0; i < STREAMS; i++)
        n += ask_and_reset(frames + n, 1 + 2 * i);
    ck_assert_int_eq(stream_write(guest.stream, frames, n), ERR_OK);
    RUN_UNTIL(box_count("requests") == before + STREAMS);
    h2g_close(&guest);
    RUN_UNTIL(box_count("connections") == 0);
    h2g_connect(&guest, "join.example.com");
    struct h2_answer *good = h2g_ask(&guest, "GET", "/hello", true, NULL);
    RUN_UNTIL(good->closed);
    ck_assert_uint_eq(good->head.status, 200);
    ck_assert_uint_eq(box.cores[0].requests, 1);
    ck_assert_int_eq((int)box_count("resets_deferred"), 0);
    ck_assert_uint_eq(h2_session_streams(box.cores[0].session), 0);
    h2g_close(&guest);
    box_stop();
}
END_TEST

START_TEST(test_uplink_dies)
{
    box_start();
    h2g_connect(&guest, "join.example.com");
    struct h2_answer *get = h2g_ask(&guest, "GET", "/never", true, NULL),
                     *post = h2g_ask(&guest, "POST", "/never", false, NULL),
                     *ws = open_websocket(&guest, "/ws", "13");
    RUN_UNTIL(box.cores[0].requests == 3 && ws->got_head);
    core_attach(1);
    run_for(0.05);
    core_detach(0);
    RUN_UNTIL(box.cores[1].requests == 1);
    RUN_UNTIL(post->closed && ws->closed);
    ck_assert_uint_eq(post->head.status, 502);
    ck_assert(!ws->ended);
    ck_assert(!get->closed);
    h2g_close(&guest);
    box_stop();
}
END_TEST

START_TEST(test_deadlines)
{
    struct h2_guest *g = &guest;
    box_setup("{\"idle_seconds\":1,\"body_seconds\":1,\"answer_seconds\":1,\"send_seconds\":1}");
    core_attach(0);
    run_for(0.05);
    h2g_connect(g, "join.example.com");
    struct h2_answer *body = h2g_ask(g, "POST", "/stall", false, NULL),
                     *answer = h2g_ask(g, "GET", "/never", true, NULL),
                     *stuck = h2g_ask(g, "GET", "/big?4000000", true, NULL);
    stuck->keeps = false;
    stuck->stalls = true;
    RUN_UNTIL(body->closed && answer->closed && stuck->closed);
    ck_assert_uint_eq(body->head.status, 408);
    ck_assert_uint_eq(answer->head.status, 504);
    ck_assert(!stuck->ended && stuck->code == H2_CANCEL);
    ck_assert_int_eq((int)box_count("http2_stalled"), 1);
    RUN_UNTIL(g->goaway && (g->eof || g->closed)); /* idle */
    h2g_close(g);
    RUN_UNTIL(box_count("connections") == 0);
    box_stop();
}
END_TEST

static void raw_h2(struct guest *g, const void *bytes, size_t n)
{
    SSL_CTX *old = box.client_tls;
    box.client_tls = h2g_tls("\x02h2");
    guest_connect(g, true, "join.example.com");
    SSL_CTX_free(box.client_tls);
    box.client_tls = old;
    ck_assert_int_eq(stream_write(g->stream, bytes, n), ERR_OK);
}

/* True when the last frame of what came is a GOAWAY with this code. */
static bool raw_goaway(const struct guest *g, uint8_t code)
{
    size_t n = buf_len(&g->in);
    const uint8_t *end = buf_data(&g->in) + n;
    return n >= 17 && end[-14] == 7 && end[-1] == code;
}

/* Who acknowledges nothing, who never ends a head, and who never even begins. */
START_TEST(test_deadlines_of_the_connection)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
                      head[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
                               "\0\0\0\4\1\0\0\0\0"
                               "\0\0\1\1\0\0\0\0\1\x82"; /* a HEADERS frame without END_HEADERS */
    struct guest unsettled, endless, silent;
    box_setup("{\"handshake_seconds\":1,\"head_seconds\":1}");
    core_attach(0);
    run_for(0.05);
    raw_h2(&unsettled, preface, sizeof preface - 1);
    raw_h2(&endless, head, sizeof head - 1);
    raw_h2(&silent, "PRI", 3);
    RUN_UNTIL(raw_goaway(&unsettled, H2_SETTINGS_TIMEOUT) && unsettled.eof);
    RUN_UNTIL(raw_goaway(&endless, H2_PROTOCOL_ERROR) && endless.eof);
    RUN_UNTIL(raw_goaway(&silent, H2_SETTINGS_TIMEOUT) && silent.eof);
    ck_assert_int_eq((int)box_count("timed_out"), 3);
    ck_assert(strstr(box.last_event, "HTTP/2 Abuse"));
    guest_close(&unsettled);
    guest_close(&endless);
    guest_close(&silent);
    RUN_UNTIL(box_count("connections") == 0);
    box_stop();
}
END_TEST

/* A body that core takes as fast as it comes gets a larger window than one that it does not. */
START_TEST(test_window_grows)
{
    box_start();
    h2g_connect(&guest, "join.example.com");
    struct h2_answer *up = h2g_ask(&guest, "PUT", "/stall", false, NULL);
    up->to_send = 6 * 1024 * 1024;
    h2g_fill(up);
    RUN_UNTIL(box.cores[0].bytes_in > 2 * 1024 * 1024);
    box.cores[0].consume = false; /* from here on it waits at the edge, as much as the window is now */
    run_for(0.3);
    ck_assert_int_gt((int)box_count("held"), (int)h2_limits_guest.stream_window);
    ck_assert_int_le((int)box_count("held"), 4 * 1024 * 1024);
    h2g_close(&guest);
    RUN_UNTIL(box_count("connections") == 0);
    ck_assert_int_eq((int)box_count("held"), 0);
    box_stop();
}
END_TEST

START_TEST(test_drain)
{
    static struct h2_guest idle;
    box_start();
    h2g_connect(&idle, "join.example.com");
    h2g_connect(&guest, "join.example.com");
    struct h2_answer *busy = h2g_ask(&guest, "POST", "/stall", false, NULL);
    h2_stream_write(busy->stream, (const uint8_t *)"hel", 3);
    RUN_UNTIL(box.cores[0].bytes_in == 3);
    web_worker_drain(box.web, 60);
    RUN_UNTIL(idle.goaway && (idle.eof || idle.closed));
    RUN_UNTIL(guest.goaway);
    h2_stream_write(busy->stream, (const uint8_t *)"lo", 2);
    h2_stream_end(busy->stream, NULL);
    RUN_UNTIL(busy->closed);
    ck_assert(h2g_has(busy, "all of it") && busy->code == H2_NO_ERROR);
    RUN_UNTIL(guest.eof || guest.closed);
    h2g_close(&idle);
    h2g_close(&guest);
    RUN_UNTIL(box_count("connections") == 0);
    box_stop();
}
END_TEST

/* The same for a WebSocket over HTTP/2: its stream ends with a Close frame. */
START_TEST(test_drain_websocket)
{
    box_start();
    h2g_connect(&guest, "join.example.com");
    struct h2_answer *ws = open_websocket(&guest, "/ws", "13");
    RUN_UNTIL(ws->got_head);
    h2_stream_write(ws->stream, (const uint8_t *)"\x81\x02hi", 4);
    RUN_UNTIL(h2g_has(ws, "\x81\x02hi"));
    web_worker_drain(box.web, 60);
    RUN_UNTIL(guest.goaway);
    ck_assert(!ws->ended);
    web_worker_drain(box.web, 0);
    RUN_UNTIL(ws->ended);
    ck_assert(h2g_has(ws, "\x81\x02hi\x88\x02\x03\xe9"));
    h2g_close(&guest);
    box_stop();
}
END_TEST

/* All together hold more than the worker has for them: the greediest goes, the others stay. */
/* What waits for a core that takes nothing counts as well: guests that upload are closed, others are served.
 */
START_TEST(test_queue_memory_towards_core)
{
    enum { UPLOADS = 16 };
    static struct h2_guest greedy;
    box_setup("{\"queue_memory\":1048576}");
    core_attach(0);
    run_for(0.05);
    box.cores[0].consume = false;
    h2g_connect(&guest, "join.example.com");
    h2g_connect(&greedy, "join.example.com");
    for (int i = 0; i < UPLOADS; i++) { /* each fills core's window and most of the queue in front of it */
        struct h2_answer *a = h2g_ask(&greedy, "POST", "/stall", false, NULL);
        a->to_send = 350000;
        h2g_fill(a);
    }
    RUN_UNTIL(greedy.closed || greedy.eof);
    ck_assert_int_eq((int)box_count("shed"), 1);
    ck_assert(strstr(box.last_event, "Queue Memory Full"));
    ck_assert_int_le((int)box_count("held"), 1048576);
    struct h2_answer *good = h2g_ask(&guest, "GET", "/hello", true, NULL);
    RUN_UNTIL(good->closed);
    ck_assert(h2g_has(good, "hello"));
    h2g_close(&greedy);
    h2g_close(&guest);
    box_stop();
}
END_TEST

START_TEST(test_queue_memory)
{
    static struct h2_guest greedy;
    struct guest slow;
    box_setup("{\"queue_memory\":1048576}");
    core_attach(0);
    run_for(0.05);
    guest_connect(&slow, true, "join.example.com");
    h2g_connect(&guest, "join.example.com");
    h2g_connect(&greedy, "join.example.com");
    for (int i = 0; i < 6; i++) {
        struct h2_answer *a = h2g_ask(&greedy, "GET", "/big?4000000", true, NULL);
        a->keeps = false;
        a->stalls = true;
    }
    RUN_UNTIL(greedy.closed || greedy.eof);
    ck_assert_int_eq((int)box_count("shed"), 1);
    ck_assert(strstr(box.last_event, "Queue Memory Full"));
    struct h2_answer *good = h2g_ask(&guest, "GET", "/hello", true, NULL);
    RUN_UNTIL(good->closed);
    guest_send(&slow, GET("/hello"));
    RUN_UNTIL(guest_ends_with(&slow, "hello"));
    ck_assert_int_le((int)box_count("held"), 1048576);
    guest_close(&slow);
    h2g_close(&greedy);
    h2g_close(&guest);
    box_stop();
}
END_TEST

/* From several connections of one address together: core's streams are for everybody. */
START_TEST(test_streams_per_address)
{
    static struct h2_guest second;
    box_setup("{\"streams_per_address\":3}");
    core_attach(0);
    run_for(0.05);
    h2g_connect(&guest, "join.example.com");
    h2g_connect(&second, "join.example.com");
    struct h2_answer *first = h2g_ask(&guest, "POST", "/echo", false, NULL);
    (void)h2g_ask(&guest, "POST", "/echo", false, NULL);
    (void)h2g_ask(&second, "POST", "/echo", false, NULL);
    RUN_UNTIL(box_count("requests") == 3);
    struct h2_answer *refused = h2g_ask(&second, "GET", "/hello", true, NULL);
    RUN_UNTIL(refused->closed);
    ck_assert_uint_eq(refused->code, H2_REFUSED_STREAM);
    ck_assert(!refused->got_head);
    ck_assert_int_eq((int)box_count("refused_streams"), 1);
    ck_assert(strstr(box.last_event, "Too Many Requests"));
    h2_stream_end(first->stream, NULL);
    RUN_UNTIL(first->closed);
    struct h2_answer *good = h2g_ask(&second, "GET", "/hello", true, NULL);
    RUN_UNTIL(good->closed);
    ck_assert(h2g_has(good, "hello"));
    h2g_close(&guest);
    h2g_close(&second);
    box_stop();
}
END_TEST

UNIT_MAIN("conn_h2", test_requests, test_protocol_by_alpn, test_hygiene, test_echo_with_trailers,
          test_refusals, test_interim_answers, test_early_answer, test_websocket, test_big_bodies,
          test_stalled_reader_stops_its_stream_only, test_stalled_upload_stops_its_stream_only,
          test_cut_answers, test_guest_vanishes, test_resets_are_deferred, test_given_up_at_once,
          test_uplink_dies, test_deadlines, test_deadlines_of_the_connection, test_window_grows, test_drain, test_drain_websocket,
          test_queue_memory, test_queue_memory_towards_core, test_streams_per_address)
