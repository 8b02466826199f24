/* Bodies of any size through core/egress, both ways: all of it, in order, with bounded memory, and never a
 * clean end for what was cut off. */
#include "core/egress/exchange.h"
#include "tests/unit/egress_fixture.h"

enum { BIG = 10 * 1024 * 1024, PIECE = 16 * 1024 };

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 31 + i / 251);
}

static void fill(uint8_t *out, size_t at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = pattern(at + i);
}

static bool is_pattern(const struct buf *b)
{
    for (size_t i = 0; i < buf_len(b); i++)
        if (buf_data(b)[i] != pattern(i))
            return false;
    return true;
}

/* What the egress holds for its requests, by direction. */
static size_t held_up(void)
{
    struct exchange *x;
    size_t n = 0;
    TAILQ_FOREACH (x, &lab.egress->exchanges, next) {
        n += buf_len(&x->upload) + buf_len(&x->request.head);
        n += x->client.connection ? stream_queued(x->client.connection->stream) : 0;
    }
    return n;
}

static size_t held_down(void)
{
    struct exchange *x;
    size_t n = 0;
    TAILQ_FOREACH (x, &lab.egress->exchanges, next) {
        n += h2_stream_queued(x->stream);
    }
    return n;
}

static size_t most_up, most_down;

static bool watch(void)
{
    most_up = held_up() > most_up ? held_up() : most_up;
    most_down = held_down() > most_down ? held_down() : most_down;
    return true;
}

/* Down -------------------------------------------------------------------------------------------------- */

static const char *down_head;
static bool down_chunked, down_close;
static size_t down_total;

/* p->step counts what was sent. */
static void serve_big(struct peer *p)
{
    char head[4096];
    uint8_t piece[PIECE];
    if (p->step == 0) {
        if (!peer_head(p, head, sizeof head))
            return;
        peer_say(p, down_head);
    }
    while ((size_t)p->step < down_total && stream_queued(p->stream) < 128 * 1024) {
        size_t left = down_total - (size_t)p->step, n = left < PIECE ? left : PIECE;
        char line[HTTP1_CHUNK_HEAD_MAX];
        fill(piece, (size_t)p->step, n);
        if (down_chunked)
            stream_write(p->stream, line, http1_chunk_head(line, n));
        stream_write(p->stream, piece, n);
        if (down_chunked)
            peer_say(p, "\r\n");
        p->step += (int)n;
        if ((size_t)p->step == down_total && down_chunked)
            peer_say(p, "0\r\n\r\n");
        if ((size_t)p->step == down_total && down_close)
            stream_shutdown(p->stream);
    }
}

static void release(struct call *c)
{
    if (c->stream && c->held)
        h2_stream_consume(c->stream, c->held);
    c->held = 0;
}

START_TEST(test_down)
{
    static const struct {
        const char *head;
        bool chunked, close;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n", false, false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true, false},
        {"HTTP/1.1 200 OK\r\n\r\n", false, true},
        {"HTTP/1.0 200 OK\r\n\r\n", false, true},
    };
    struct bridge *b = lab_start_with(serve_big);
    down_head = cases[_i].head;
    down_chunked = cases[_i].chunked;
    down_close = cases[_i].close;
    down_total = BIG;
    struct call *c = call_start("GET", "/big", true);
    c->hold = true;
    /* A reader that stops: everything comes to rest, and little is held. */
    RUN_UNTIL(watch() && c->held > 0);
    for (int stops = 0; stops < 3; stops++) {
        size_t before;
        do {
            before = c->received;
            run_for(0.05);
            watch();
        } while (c->received != before);
        ck_assert_uint_eq(held_down(), EXCHANGE_QUEUE);
        ck_assert_uint_lt(c->received, BIG);
        release(c);
    }
    RUN_UNTIL((release(c), watch()) && c->closed);
    ck_assert(c->status == 200 && c->ended && c->code == H2_NO_ERROR);
    ck_assert_uint_eq(c->received, BIG);
    ck_assert(is_pattern(&c->body));
    ck_assert_uint_le(most_down, EXCHANGE_QUEUE);
    ck_assert_int_eq(status_number("bytes_out"), BIG);
    /* Until-close and HTTP/1.0 connections are not used again. */
    b->peers[0].step = 0;
    down_total = 0;
    down_head = "HTTP/1.1 204 No Content\r\n\r\n";
    ck_assert_uint_eq(get("/next")->status, 204);
    ck_assert_uint_eq(b->n_peers, cases[_i].close ? 2 : 1);
    lab_stop();
}
END_TEST

/* Up ---------------------------------------------------------------------------------------------------- */

static bool up_paused;

static void serve_upload(struct peer *p)
{
    char head[4096];
    if (p->step == 0 && peer_head(p, head, sizeof head)) {
        p->step = 1;
        if (up_paused)
            stream_pause(p->stream);
    }
    if (p->step == 1 && buf_len(&p->in) == BIG)
        peer_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

START_TEST(test_up)
{
    static struct egress_limits crowded;
    struct bridge *b = lab_start_with(serve_upload);
    struct http_message m;
    uint8_t piece[PIECE];
    size_t sent = 0;
    up_paused = _i > 0;
    crowded = egress_limits_default;
    crowded.waiting = 1024 * 1024;
    if (_i == 2) /* what waits makes the queues shrink to 4 KiB, and still everything comes */
        egress_set_limits(lab.egress, &crowded);
    message_start(&m, "PUT", "/big");
    m.content_length = BIG;
    struct call *c = call_message(&m, false);
    http_message_free(&m);
    struct peer *p = &b->peers[0];
    for (double start = seconds_now(); sent < BIG;) {
        while (sent < BIG && h2_stream_room(c->stream) >= PIECE) {
            fill(piece, sent, PIECE);
            ck_assert_int_eq(h2_stream_write(c->stream, piece, PIECE), ERR_OK);
            sent += PIECE;
        }
        pump();
        watch();
        ev_run(lab.loop, EVRUN_ONCE);
        /* A bridge that does not read stops the edge, and makes nobody's memory grow. */
        if (up_paused && seconds_now() - start > 1) {
            ck_assert_uint_le(held_up(), h2_limits_tunnel.stream_window + EXCHANGE_QUEUE + 1024);
            ck_assert_uint_lt(sent, BIG);
            up_paused = false;
            stream_resume(p->stream);
        }
        ck_assert(seconds_now() - start < 30);
    }
    h2_stream_end(c->stream, NULL);
    RUN_UNTIL(watch() && c->closed);
    ck_assert(c->status == 200 && call_body_is(c, "ok"));
    ck_assert_uint_eq(buf_len(&p->in), BIG);
    ck_assert(is_pattern(&p->in));
    ck_assert_uint_le(most_up, h2_limits_tunnel.stream_window + EXCHANGE_QUEUE + 1024);
    ck_assert_int_eq(status_number("bytes_in"), BIG);
    lab_stop();
}
END_TEST

/* The bridge answers before it has read everything: the guest gets the answer, the rest of the body goes
 * nowhere. */
static void serve_early(struct peer *p)
{
    char head[4096];
    if (peer_head(p, head, sizeof head))
        peer_say(p, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
}

START_TEST(test_early_answer)
{
    struct bridge *b = lab_start_with(serve_early);
    egress_set_limits(lab.egress, &quick_limits);
    struct call *c = call_start("POST", "/big", false);
    call_write(c, "some");
    RUN_UNTIL(c->ended);
    ck_assert(c->status == 413 && call_body_is(c, "big"));
    call_write(c, "more");
    /* RFC 9113 §8.1: then the stream is reset, with no error. */
    RUN_UNTIL(c->closed);
    ck_assert_uint_eq(c->code, H2_NO_ERROR);
    ck_assert_uint_eq(get("/next")->status, 413);
    ck_assert_uint_eq(b->n_peers, 2);
    lab_stop();
}
END_TEST

/* Cut off ----------------------------------------------------------------------------------------------- */

static const char *cut_answer;
static bool cut_clean; /* with TLS's goodbye */

static void serve_cut(struct peer *p)
{
    char head[4096];
    if (p->step == 0 && peer_head(p, head, sizeof head)) {
        p->step = 1;
        peer_say(p, cut_answer);
        if (cut_clean)
            stream_shutdown(p->stream);
    }
}

START_TEST(test_truncated)
{
    static const struct {
        const char *answer;
        bool clean;
        unsigned status; /* 0: the head came, and then a reset */
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!", true, 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!", false, 0},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfive!\r\n", true, 0},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfive!\r\n0", true, 0},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfive!\r\n0\r\nx: y\r\n", true, 0},
        {"HTTP/1.1 200 OK\r\n\r\nfive!", false,
         0}, /* until close, without TLS's goodbye: anybody may have cut it */
        {"HTTP/1.1 200 OK\r\nContent-Le", true, 502},
        {"HTTP/1.1 200 OK\r\nContent-Le", false, 502},
        {"HTTP/1.1 100 Continue\r\n\r\n", true, 502},
    };
    struct bridge *b = lab_start_with(serve_cut);
    cut_answer = cases[_i].answer;
    cut_clean = cases[_i].clean;
    struct call *c = call_start("GET", "/", true);
    RUN_UNTIL(b->n_peers == 1 && b->peers[0].step == 1 &&
              (cut_clean || stream_queued(b->peers[0].stream) == 0));
    if (!cut_clean) {
        run_for(0.05);
        stream_free(b->peers[0].stream);
        b->peers[0].stream = NULL;
    }
    RUN_UNTIL(c->closed);
    if (cases[_i].status)
        ck_assert(call_failed(c, 502, "bridge-closed"));
    else
        ck_assert(call_was_reset(c));
    ck_assert_uint_eq(b->n_peers, 1); /* never asked twice */
    lab_stop();
}
END_TEST

/* The guest goes away in the middle: so does the connection to the bridge. */
START_TEST(test_guest_leaves)
{
    struct bridge *b = lab_start_with(serve_big);
    down_head = "HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n";
    down_total = BIG;
    struct call *c = call_start("GET", "/big", true);
    c->hold = _i == 0;
    RUN_UNTIL(c->received > 100000);
    h2_stream_reset(c->stream, H2_CANCEL);
    RUN_UNTIL(c->closed && egress_running(lab.egress) == 0);
    RUN_UNTIL(b->peers[0].closed);
    lab_stop();
}
END_TEST

/* Single bytes in chunks of their own, as a hostile edge can make them. */
START_TEST(test_tiny_chunks)
{
    struct bridge *b = lab_start_with(serve_upload);
    up_paused = true;
    struct call *c = call_start("POST", "/tiny", false);
    for (int i = 0; i < 100000; i++) {
        if (h2_stream_room(c->stream) > 0)
            h2_stream_write(c->stream, (const uint8_t *)"x", 1);
        pump();
        if (i % 100 == 0)
            ev_run(lab.loop, EVRUN_NOWAIT);
        watch();
    }
    ck_assert_uint_le(most_up, h2_limits_tunnel.stream_window + EXCHANGE_QUEUE + 1024);
    ck_assert_uint_eq(b->n_peers, 1);
    lab_stop();
}
END_TEST

/* Many downloads that nobody reads: the fuller it gets, the less each may keep. */
START_TEST(test_crowded)
{
    enum { DOWNLOADS = 40, WAITING = 8 * 1024 * 1024 };
    static struct egress_limits narrow;
    lab_start_with(serve_big);
    struct call *calls[DOWNLOADS];
    narrow = egress_limits_default;
    narrow.waiting = WAITING;
    narrow.sweep = 0.05;
    egress_set_limits(lab.egress, &narrow);
    down_head = "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n";
    down_total = 1024 * 1024;
    for (int i = 0; i < DOWNLOADS; i++) {
        calls[i] = call_start("GET", "/big", true);
        calls[i]->hold = true;
    }
    RUN_UNTIL(watch() && calls[DOWNLOADS - 1]->got_head);
    for (double start = seconds_now(); seconds_now() - start < 1; watch())
        run_for(0.02);
    ck_assert_uint_gt(most_down, WAITING / 16);
    ck_assert_uint_le(most_down, WAITING / 4 + WAITING / 16 + DOWNLOADS * EXCHANGE_CROWDED + STREAM_READ);
    ck_assert_uint_lt(held_down(), DOWNLOADS * EXCHANGE_QUEUE * 3 / 4);
    /* Nobody was cut off: with readers everything comes. */
    for (int done = 0; done < DOWNLOADS;) {
        run_for(0.02);
        done = 0;
        for (int i = 0; i < DOWNLOADS; i++) {
            release(calls[i]);
            done += calls[i]->closed;
        }
    }
    for (int i = 0; i < DOWNLOADS; i++)
        ck_assert_uint_eq(calls[i]->received, down_total);
    lab_stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("egress_bodies");
    TCase *tc = tcase_create("egress_bodies");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_down, 0, 4);
    tcase_add_loop_test(tc, test_up, 0, 3);
    tcase_add_test(tc, test_early_answer);
    tcase_add_loop_test(tc, test_truncated, 0, 9);
    tcase_add_loop_test(tc, test_guest_leaves, 0, 2);
    tcase_add_test(tc, test_tiny_chunks);
    tcase_add_test(tc, test_crowded);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
