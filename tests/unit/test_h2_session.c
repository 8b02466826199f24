/* A client and a server session back to back in memory. */
#include <stdlib.h>
#include <string.h>

#include "proto/h2_session.h"
#include "tests/unit/unit.h"

enum { SEEN_MAX = 64, TEXT_MAX = 256 };

/* What one side saw of one stream. */
struct seen {
    struct h2_stream *stream;
    struct http_message head;
    struct http_message trailers;
    bool got_head, head_end, ended, closed;
    uint32_t code;
    size_t bytes, unconsumed;
    unsigned interim, drained;
    uint64_t sum;
};

struct side {
    struct h2_session *session;
    struct seen seen[SEEN_MAX];
    size_t n_seen;
    bool output, ready, goaway, consume;
    uint64_t pong;
    enum err received;
};

static struct side client, server;

static struct seen *seen_of(struct side *s, struct h2_stream *st)
{
    for (size_t i = 0; i < s->n_seen; i++)
        if (s->seen[i].stream == st)
            return &s->seen[i];
    ck_assert_uint_lt(s->n_seen, SEEN_MAX);
    struct seen *seen = &s->seen[s->n_seen++];
    *seen = (struct seen){.stream = st};
    http_message_init(&seen->head);
    http_message_init(&seen->trailers);
    return seen;
}

static void on_ready(void *ctx)
{
    ((struct side *)ctx)->ready = true;
}

static void on_head(void *ctx, struct h2_stream *st, struct http_message *m, bool end)
{
    struct seen *seen = seen_of(ctx, st);
    ck_assert(!seen->got_head && !seen->closed);
    seen->got_head = true;
    seen->head_end = end;
    ck_assert_int_eq(http_message_copy(&seen->head, m), ERR_OK);
}

static void on_interim(void *ctx, struct h2_stream *st, struct http_message *m)
{
    ck_assert_uint_lt(m->status, 200);
    seen_of(ctx, st)->interim = m->status;
}

static void on_data(void *ctx, struct h2_stream *st, const uint8_t *data, size_t n)
{
    struct side *side = ctx;
    struct seen *seen = seen_of(side, st);
    ck_assert(seen->got_head && !seen->ended);
    seen->bytes += n;
    for (size_t i = 0; i < n; i++)
        seen->sum = seen->sum * 31 + data[i];
    if (side->consume)
        h2_stream_consume(st, n);
    else
        seen->unconsumed += n;
}

static void on_end(void *ctx, struct h2_stream *st, struct http_message *trailers)
{
    struct seen *seen = seen_of(ctx, st);
    ck_assert(!seen->ended && !seen->head_end);
    seen->ended = true;
    if (trailers)
        ck_assert_int_eq(http_message_copy(&seen->trailers, trailers), ERR_OK);
}

static void on_drained(void *ctx, struct h2_stream *st)
{
    seen_of(ctx, st)->drained++;
}

static void on_close(void *ctx, struct h2_stream *st, uint32_t code)
{
    struct seen *seen = seen_of(ctx, st);
    ck_assert(!seen->closed);
    seen->closed = true;
    seen->code = code;
    seen->stream = NULL;
}

static void on_output(void *ctx)
{
    ((struct side *)ctx)->output = true;
}

static void on_goaway(void *ctx)
{
    ((struct side *)ctx)->goaway = true;
}

static void on_pong(void *ctx, uint64_t opaque)
{
    ((struct side *)ctx)->pong = opaque;
}

static const struct h2_events events = {on_ready,   on_head,  on_interim, on_data,   on_end,
                                        on_drained, on_close, on_output,  on_goaway, on_pong};

/* Moves output from one to the other, in pieces of `step` bytes. */
static bool move(struct side *from, struct side *to, size_t step)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    from->output = false;
    ck_assert_int_eq(h2_session_send(from->session, &out, 64 * 1024), ERR_OK);
    size_t n = buf_len(&out);
    ck_assert_uint_le(n, 64 * 1024 + 32 * 1024 + 1024);
    for (size_t at = 0; at < n && to->received == ERR_OK; at += step)
        to->received = h2_session_receive(to->session, buf_data(&out) + at, n - at < step ? n - at : step);
    buf_free(&out);
    return n > 0;
}

static void run_steps(size_t step)
{
    for (int i = 0; i < 1000; i++) {
        bool a = move(&client, &server, step), b = move(&server, &client, step);
        if (!a && !b)
            return;
    }
    ck_abort_msg("the sessions never come to rest");
}

static void run(void)
{
    run_steps(SIZE_MAX / 2);
}

static void start(void)
{
    client = (struct side){.consume = true};
    server = (struct side){.consume = true};
    client.session = h2_session_new(H2_CLIENT, &h2_limits_tunnel, &events, &client);
    server.session = h2_session_new(H2_SERVER, &h2_limits_tunnel, &events, &server);
    ck_assert(!h2_session_can_open(client.session));
    run();
    ck_assert(client.ready && server.ready);
    ck_assert(h2_session_can_open(client.session));
    ck_assert(h2_session_takes_websockets(client.session));
}

static void side_stop(struct side *s)
{
    h2_session_free(s->session);
    for (size_t i = 0; i < s->n_seen; i++) {
        ck_assert(s->seen[i].closed);
        http_message_free(&s->seen[i].head);
        http_message_free(&s->seen[i].trailers);
    }
}

static void stop(void)
{
    side_stop(&client);
    side_stop(&server);
}

static void make_request(struct http_message *m, const char *method, const char *path)
{
    http_message_init(m);
    http_message_set_method(m, method, strlen(method));
    http_message_set_scheme(m, "https", 5);
    http_message_set_authority(m, "join.example.com", 16);
    http_message_set_path(m, path, strlen(path));
    http_message_add_str(m, "accept", "*/*");
}

static struct h2_stream *request(const char *method, bool end)
{
    struct http_message m;
    struct h2_stream *st;
    make_request(&m, method, "/a?b=c");
    ck_assert_int_eq(h2_session_request(client.session, &m, end, NULL, &st), ERR_OK);
    http_message_free(&m);
    seen_of(&client, st);
    return st;
}

static void respond(struct h2_stream *st, unsigned status, bool end)
{
    struct http_message m;
    http_message_init(&m);
    m.status = status;
    http_message_add_str(&m, "server", "test");
    ck_assert_int_eq(h2_stream_respond(st, &m, end), ERR_OK);
    http_message_free(&m);
}

START_TEST(test_request_and_answer)
{
    struct http_message m;
    struct h2_stream *st;
    start();
    make_request(&m, "GET", "/a?b=c");
    http_message_add_str(&m, "cookie", "a=1");
    http_message_add_str(&m, "cookie", "b=2");
    ck_assert_int_eq(h2_session_request(client.session, &m, true, &m, &st), ERR_OK);
    ck_assert(client.output);
    ck_assert_ptr_eq(h2_stream_ctx(st), &m);
    ck_assert_ptr_eq(h2_stream_session(st), client.session);
    seen_of(&client, st);
    run_steps(1);
    struct seen *at = &server.seen[0];
    ck_assert(at->got_head && at->head_end && at->head.no_body && !at->head.websocket);
    ck_assert(span_is(http_message_method(&at->head), "GET"));
    ck_assert(span_is(http_message_scheme(&at->head), "https"));
    ck_assert(span_is(http_message_authority(&at->head), "join.example.com"));
    ck_assert(span_is(http_message_path(&at->head), "/a?b=c"));
    ck_assert(span_is(http_message_find(&at->head, "cookie"), "a=1; b=2"));
    ck_assert_uint_eq(h2_session_streams(server.session), 1);
    respond(at->stream, 103, false);
    respond(at->stream, 200, false);
    ck_assert_int_eq(h2_stream_write(at->stream, (const uint8_t *)"hello", 5), ERR_OK);
    ck_assert_int_eq(h2_stream_end(at->stream, NULL), ERR_OK);
    ck_assert_int_eq(h2_stream_end(at->stream, NULL), ERR_CLOSED);
    run_steps(1);
    struct seen *got = &client.seen[0];
    ck_assert_uint_eq(got->interim, 103);
    ck_assert_uint_eq(got->head.status, 200);
    ck_assert_uint_eq(got->bytes, 5);
    ck_assert(got->ended && got->closed && at->closed);
    ck_assert_uint_eq(got->code, H2_NO_ERROR);
    ck_assert_uint_eq(h2_session_streams(client.session), 0);
    http_message_free(&m);
    stop();
}
END_TEST

START_TEST(test_content_length_both_ways)
{
    struct http_message m;
    struct h2_stream *st;
    start();
    make_request(&m, "POST", "/");
    m.content_length = 3;
    ck_assert_int_eq(h2_session_request(client.session, &m, false, NULL, &st), ERR_OK);
    seen_of(&client, st);
    h2_stream_write(st, (const uint8_t *)"abc", 3);
    h2_stream_end(st, NULL);
    http_message_free(&m);
    run();
    ck_assert_int_eq((int)server.seen[0].head.content_length, 3);
    ck_assert(!server.seen[0].head.no_body);
    ck_assert_ptr_null(http_message_find(&server.seen[0].head, "content-length").at);
    ck_assert(server.seen[0].ended);
    http_message_init(&m);
    m.status = 200;
    m.content_length = 0;
    h2_stream_respond(server.seen[0].stream, &m, true);
    http_message_free(&m);
    run();
    ck_assert_int_eq((int)client.seen[0].head.content_length, 0);
    ck_assert(client.seen[0].head.no_body && client.seen[0].closed);
    stop();
}
END_TEST

/* RFC 9113 §8.1.1: a body that does not match its Content-Length is refused by the receiver. */
START_TEST(test_wrong_content_length_is_refused)
{
    struct http_message m;
    struct h2_stream *st;
    start();
    make_request(&m, "POST", "/");
    m.content_length = 3;
    ck_assert_int_eq(h2_session_request(client.session, &m, false, NULL, &st), ERR_OK);
    seen_of(&client, st);
    h2_stream_write(st, (const uint8_t *)"abcd", 4);
    h2_stream_end(st, NULL);
    http_message_free(&m);
    run();
    ck_assert(!server.seen[0].ended);
    ck_assert(client.seen[0].closed);
    ck_assert_uint_eq(client.seen[0].code, H2_PROTOCOL_ERROR);
    stop();
}
END_TEST

START_TEST(test_trailers)
{
    struct http_message t;
    start();
    struct h2_stream *st = request("POST", false);
    h2_stream_write(st, (const uint8_t *)"abc", 3);
    http_message_init(&t);
    http_message_add_str(&t, "x-checksum", "900150983cd24fb0");
    http_message_add_str(&t, "x-forwarded-for", "6.6.6.6");
    ck_assert_int_eq(h2_stream_end(st, &t), ERR_OK);
    http_message_free(&t);
    run_steps(1);
    struct seen *at = &server.seen[0];
    ck_assert(at->ended);
    ck_assert_uint_eq(at->bytes, 3);
    ck_assert(span_is(http_message_find(&at->trailers, "x-checksum"), "900150983cd24fb0"));
    ck_assert_ptr_null(http_message_find(&at->trailers, "x-forwarded-for").at);
    respond(at->stream, 200, false);
    http_message_init(&t);
    http_message_add_str(&t, "x-a", "b");
    h2_stream_end(at->stream, &t); /* trailers behind an empty body */
    http_message_free(&t);
    run();
    ck_assert(span_is(http_message_find(&client.seen[0].trailers, "x-a"), "b"));
    ck_assert(client.seen[0].closed);
    stop();
}
END_TEST

START_TEST(test_websocket)
{
    struct http_message m;
    struct h2_stream *st;
    start();
    make_request(&m, "GET", "/ws");
    m.websocket = true;
    http_message_add_str(&m, "sec-websocket-protocol", "janus-protocol");
    ck_assert_int_eq(h2_session_request(client.session, &m, false, NULL, &st), ERR_OK);
    seen_of(&client, st);
    http_message_free(&m);
    run();
    struct seen *at = &server.seen[0];
    ck_assert(at->head.websocket && !at->head_end);
    ck_assert(span_is(http_message_method(&at->head), "GET"));
    ck_assert(span_is(http_message_find(&at->head, "sec-websocket-protocol"), "janus-protocol"));
    respond(at->stream, 200, false);
    run();
    ck_assert(client.seen[0].head.websocket);
    for (int i = 0; i < 100; i++) {
        h2_stream_write(st, (const uint8_t *)"ping", 4);
        h2_stream_write(at->stream, (const uint8_t *)"pong", 4);
        run();
    }
    ck_assert_uint_eq(at->bytes, 400);
    ck_assert_uint_eq(client.seen[0].bytes, 400);
    h2_stream_end(st, NULL); /* half close */
    run();
    ck_assert(at->ended && !client.seen[0].ended);
    h2_stream_write(at->stream, (const uint8_t *)"last", 4);
    h2_stream_end(at->stream, NULL);
    run();
    ck_assert_uint_eq(client.seen[0].bytes, 404);
    ck_assert(client.seen[0].closed && at->closed);
    stop();
}
END_TEST

static uint64_t expected_sum(size_t n, uint64_t *sum)
{
    for (size_t i = 0; i < n; i++)
        *sum = *sum * 31 + (uint8_t)(i * 7);
    return *sum;
}

/* A body far larger than every queue and window, both ways at once, sent as fast as room allows. */
START_TEST(test_bulk_keeps_every_byte)
{
    enum { TOTAL = 8 * 1024 * 1024, PIECE = 10000 };
    static uint8_t piece[PIECE];
    size_t sent[2] = {0, 0};
    uint64_t sum = 0, pieces = 0;
    for (size_t i = 0; i < PIECE; i++)
        piece[i] = (uint8_t)(i * 7);
    start();
    struct h2_stream *st = request("POST", false);
    run();
    struct h2_stream *ends[2] = {st, server.seen[0].stream};
    respond(ends[1], 200, false);
    while (sent[0] < TOTAL || sent[1] < TOTAL) {
        for (int k = 0; k < 2; k++)
            while (sent[k] < TOTAL && h2_stream_room(ends[k]) >= PIECE) {
                ck_assert_int_eq(h2_stream_write(ends[k], piece, PIECE), ERR_OK);
                sent[k] += PIECE;
            }
        if (h2_stream_room(ends[0]) < PIECE)
            ck_assert_int_eq(h2_stream_write(ends[0], piece, PIECE), ERR_FULL);
        run();
        pieces++;
    }
    h2_stream_end(ends[0], NULL);
    h2_stream_end(ends[1], NULL);
    run();
    for (size_t n = 0; n < client.seen[0].bytes; n += PIECE)
        expected_sum(PIECE, &sum);
    ck_assert_uint_eq(client.seen[0].bytes, sent[1]);
    ck_assert_uint_eq(client.seen[0].sum, sum);
    ck_assert_uint_eq(server.seen[0].bytes, sent[0]);
    ck_assert_uint_gt(client.seen[0].drained, 0);
    ck_assert(client.seen[0].closed && server.seen[0].closed);
    stop();
}
END_TEST

/* A reader that consumes nothing stops its own sender, at one window, and nobody else. */
START_TEST(test_stalled_reader)
{
    static uint8_t piece[4096];
    start();
    server.consume = false;
    struct h2_stream *slow = request("POST", false), *other = request("POST", false);
    size_t sent = 0;
    for (int i = 0; i < 1000; i++) {
        while (h2_stream_room(slow) >= sizeof piece) {
            h2_stream_write(slow, piece, sizeof piece);
            sent += sizeof piece;
        }
        run();
    }
    struct seen *at = seen_of(&server, server.seen[0].stream);
    ck_assert_uint_eq(at->bytes, h2_limits_tunnel.stream_window);
    ck_assert_uint_le(sent, h2_limits_tunnel.stream_window + h2_limits_tunnel.stream_queue);
    unsigned drained = client.seen[0].drained;
    h2_stream_write(other, piece, sizeof piece);
    run();
    ck_assert_uint_eq(server.seen[1].bytes, sizeof piece);
    h2_stream_consume(at->stream, at->unconsumed);
    at->unconsumed = 0;
    run();
    ck_assert_uint_eq(at->bytes, sent); /* the queue left */
    ck_assert_uint_eq(client.seen[0].drained, drained + 1);
    ck_assert_uint_eq(h2_stream_room(slow), h2_limits_tunnel.stream_queue);
    stop();
}
END_TEST

START_TEST(test_reset)
{
    start();
    struct h2_stream *a = request("GET", true), *b = request("GET", true), *c = request("POST", false);
    h2_stream_reset(c, H2_CANCEL); /* before it was ever sent */
    ck_assert(!client.seen[2].closed);
    run();
    ck_assert(client.seen[2].closed);
    h2_stream_reset(a, H2_CANCEL);
    ck_assert(!client.seen[0].closed);
    ck_assert_uint_eq(h2_stream_room(a), 0);
    h2_stream_reset(server.seen[1].stream, H2_REFUSED_STREAM);
    run();
    ck_assert(client.seen[0].closed && server.seen[0].closed);
    ck_assert_uint_eq(server.seen[0].code, H2_CANCEL);
    ck_assert_uint_eq(client.seen[1].code, H2_REFUSED_STREAM);
    ck_assert_uint_eq(h2_session_streams(client.session), 0);
    (void)b;
    stop();
}
END_TEST

START_TEST(test_drain_and_ping)
{
    start();
    struct h2_stream *st = request("GET", true);
    h2_session_ping(client.session, 0x1122334455667788);
    run();
    ck_assert_uint_eq(client.pong, 0x1122334455667788);
    h2_session_drain(server.session);
    run();
    ck_assert(client.goaway && !h2_session_can_open(client.session));
    ck_assert(!h2_session_finished(server.session));
    respond(server.seen[0].stream, 204, true);
    run();
    ck_assert_uint_eq(client.seen[0].head.status, 204);
    ck_assert_uint_eq(client.seen[0].code, H2_NO_ERROR);
    ck_assert(h2_session_finished(server.session));
    (void)st;
    stop();
}
END_TEST

START_TEST(test_too_large_a_head_is_answered_431)
{
    struct http_message m;
    struct h2_stream *st;
    char value[8000];
    memset(value, 'v', sizeof value);
    start();
    make_request(&m, "GET", "/");
    for (int i = 0; i < 9; i++)
        http_message_add(&m, "x-big", 5, value, sizeof value);
    ck_assert_int_eq(h2_session_request(client.session, &m, true, NULL, &st), ERR_OK);
    seen_of(&client, st);
    http_message_free(&m);
    run();
    ck_assert_uint_eq(client.seen[0].head.status, 431);
    ck_assert(client.seen[0].closed);
    ck_assert_uint_eq(server.n_seen, 0);
    ck_assert_uint_eq(h2_session_streams(server.session), 0);
    stop();
}
END_TEST

/* What is refused by the session alone may go on: its body and trailers change nothing any more. */
START_TEST(test_trailers_behind_what_is_refused)
{
    struct http_message m, trailers;
    struct h2_stream *st;
    char value[8000];
    memset(value, 'v', sizeof value);
    start();
    make_request(&m, "POST", "/");
    for (int i = 0; i < 9; i++)
        http_message_add(&m, "x-big", 5, value, sizeof value);
    ck_assert_int_eq(h2_session_request(client.session, &m, false, NULL, &st), ERR_OK);
    seen_of(&client, st);
    http_message_init(&trailers);
    http_message_add(&trailers, "x-sum", 5, "1", 1);
    ck_assert_int_eq(h2_stream_write(st, (const uint8_t *)"body", 4), ERR_OK);
    ck_assert_int_eq(h2_stream_end(st, &trailers), ERR_OK);
    http_message_free(&trailers);
    http_message_free(&m);
    run();
    ck_assert_uint_eq(client.seen[0].head.status, 431);
    ck_assert(client.seen[0].closed);
    ck_assert_uint_eq(server.n_seen, 0);
    ck_assert_uint_eq(h2_session_streams(server.session), 0);
    stop();
}
END_TEST

START_TEST(test_connect_is_not_served)
{
    struct http_message m;
    struct h2_stream *st;
    start();
    make_request(&m, "CONNECT", "/");
    ck_assert_int_eq(h2_session_request(client.session, &m, true, NULL, &st), ERR_OK);
    seen_of(&client, st);
    http_message_free(&m);
    run();
    /* CONNECT with :path and without :protocol is malformed already (RFC 9113 §8.5). */
    ck_assert(client.seen[0].closed);
    ck_assert_uint_eq(server.n_seen, 0);
    stop();
}
END_TEST

/* Fields that HTTP/2 forbids, and two authorities that disagree, never reach the owner. */
START_TEST(test_malformed_heads_are_reset)
{
    static const char *const fields[][2] = {{"connection", "close"},
                                            {"transfer-encoding", "chunked"},
                                            {"te", "gzip"},
                                            {"host", "other.example.com"},
                                            {"x-nul", "a\x01z"},
                                            {"upgrade", "h2c"},
                                            {"content-length", "1, 1"},
                                            {"bad name", "x"}};
    start();
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct http_message m;
        struct h2_stream *st;
        make_request(&m, "GET", "/");
        http_message_add_str(&m, fields[i][0], fields[i][1]);
        ck_assert_int_eq(h2_session_request(client.session, &m, true, NULL, &st), ERR_OK);
        seen_of(&client, st);
        http_message_free(&m);
        run();
        ck_assert_msg(client.seen[i].closed && client.seen[i].code == H2_PROTOCOL_ERROR, "%s: %u",
                      fields[i][0], client.seen[i].code);
        ck_assert_uint_eq(server.n_seen, 0);
    }
    ck_assert_int_eq(server.received, ERR_OK);
    stop();
}
END_TEST

START_TEST(test_host_in_place_of_authority)
{
    struct http_message m;
    struct h2_stream *st;
    start();
    make_request(&m, "GET", "/");
    m.authority.len = 0;
    http_message_add_str(&m, "host", "join.example.com");
    ck_assert_int_eq(h2_session_request(client.session, &m, true, NULL, &st), ERR_OK);
    seen_of(&client, st);
    http_message_free(&m);
    run();
    /* An empty :authority beside a Host is two authorities: whatever nghttp2 makes of it, no empty one comes
     * through. */
    if (server.n_seen)
        ck_assert(span_is(http_message_authority(&server.seen[0].head), "join.example.com"));
    else
        ck_assert(client.seen[0].closed);
    stop();
}
END_TEST

START_TEST(test_garbage_ends_the_session)
{
    start();
    ck_assert_int_eq(
        h2_session_receive(client.session, (const uint8_t *)"HTTP/1.1 400 Bad Request\r\n\r\n", 28),
        ERR_OK); /* a frame of unknown type, longer than allowed: GOAWAY */
    run();
    ck_assert(!h2_session_can_open(client.session));
    ck_assert(h2_session_finished(client.session));
    stop();
    server = (struct side){.session = h2_session_new(H2_SERVER, &h2_limits_tunnel, &events, &server)};
    ck_assert_int_eq(h2_session_receive(server.session, (const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18),
                     ERR_PROTOCOL);
    ck_assert_str_ne(h2_session_words(server.session), "");
    h2_session_free(server.session);
}
END_TEST

/* PING and SETTINGS whose answers nobody reads, and streams opened only to be reset. */
START_TEST(test_floods_end_the_session)
{
    static const uint8_t ping[17] = {0, 0, 8, 6};
    static const uint8_t settings[9] = {0, 0, 0, 4};
    const uint8_t *frames[] = {ping, settings};
    const size_t sizes[] = {sizeof ping, sizeof settings};
    for (int k = 0; k < 2; k++) {
        enum err e = ERR_OK;
        start();
        for (int i = 0; i < 100000 && e == ERR_OK; i++)
            e = h2_session_receive(server.session, frames[k], sizes[k]);
        ck_assert_int_eq(e, ERR_PROTOCOL);
        stop();
    }
    client = (struct side){.session = h2_session_new(H2_CLIENT, &h2_limits_guest, &events, &client)};
    server = (struct side){.session = h2_session_new(H2_SERVER, &h2_limits_guest, &events, &server)};
    run();
    int n = 0;
    while (server.received == ERR_OK && !h2_session_finished(server.session) && n++ < 1000) {
        struct h2_stream *st = request("GET", true);
        move(&client, &server, SIZE_MAX / 2);
        h2_stream_reset(st, H2_CANCEL);
        move(&client, &server, SIZE_MAX / 2);
        for (size_t i = 0; i < client.n_seen; i++)
            http_message_free(&client.seen[i].head);
        for (size_t i = 0; i < server.n_seen; i++)
            http_message_free(&server.seen[i].head);
        client.n_seen = server.n_seen = 0;
        struct buf out;
        buf_init(&out, 1 << 20);
        h2_session_send(server.session, &out, 1 << 20);
        buf_free(&out);
    }
    ck_assert_int_lt(n, 400);
    h2_session_free(client.session);
    h2_session_free(server.session);
}
END_TEST

UNIT_MAIN("h2_session", test_request_and_answer, test_content_length_both_ways,
          test_wrong_content_length_is_refused, test_trailers, test_websocket, test_bulk_keeps_every_byte,
          test_stalled_reader, test_reset, test_drain_and_ping, test_too_large_a_head_is_answered_431,
          test_trailers_behind_what_is_refused, test_connect_is_not_served, test_malformed_heads_are_reset,
          test_host_in_place_of_authority, test_garbage_ends_the_session, test_floods_end_the_session)
