#include <stdlib.h>
#include <string.h>

#include "proto/http1_body.h"
#include "tests/unit/unit.h"

enum kind { LENGTH_5, CHUNKED, CLOSE };

static void body_start(struct http1_body *b, enum kind kind)
{
    struct http_message m;
    struct http1_head head = {.chunked = kind == CHUNKED};
    http_message_init(&m);
    m.content_length = kind == LENGTH_5 ? 5 : HTTP_NO_LENGTH;
    http1_body_init(b, &m, &head);
    http_message_free(&m);
}

/* Offers the text in pieces of `step` more bytes, with `room` for body; the body goes to out. */
static enum err feed(struct http1_body *b, const char *text, size_t n, size_t step, size_t room,
                     struct buf *out, size_t *used)
{
    enum err e = ERR_OK;
    size_t at = 0, have = 0;
    while (e == ERR_OK && have < n) {
        have = n - have < step ? n : have + step;
        for (;;) {
            struct http1_piece piece = {0};
            uint8_t *copy = malloc(have - at ? have - at : 1); /* exact size for the sanitizers */
            memcpy(copy, text + at, have - at);
            e = http1_body_decode(b, copy, have - at, room, &piece);
            if (e == ERR_OK) {
                ck_assert_uint_le(piece.n, room);
                ck_assert_uint_le(piece.used, have - at);
                buf_append(out, piece.data, piece.n);
                at += piece.used;
            }
            free(copy);
            if (e != ERR_OK || piece.used == 0 || http1_body_done(b))
                break;
        }
        if (http1_body_done(b))
            break;
    }
    *used = at;
    return e;
}

struct row {
    const char *text;
    size_t n;
    const char *body; /* NULL: malformed */
    size_t used;      /* 0: all of it */
};
#define R(text, body)                                                                                        \
    {                                                                                                        \
        text, sizeof(text) - 1, body, 0                                                                      \
    }
#define R_USED(text, body, used)                                                                             \
    {                                                                                                        \
        text, sizeof(text) - 1, body, used                                                                   \
    }

static const struct row chunked_rows[] = {
    R("0\r\n\r\n", ""),
    R("5\r\nhello\r\n0\r\n\r\n", "hello"),
    R("5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hello!"),
    R("00005\r\nhello\r\n000\r\n\r\n", "hello"),
    R("A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
    R("a;name=value;other=\"q\"\r\n0123456789\r\n0;last\r\n\r\n", "0123456789"),
    R("0\r\nX-Trailer: a\r\nX-Other: b\r\n\r\n", ""),
    R_USED("0\r\n\r\nGET / HTTP/1.1\r\n", "", 5),
    R("\r\n", NULL),
    R("g\r\n", NULL),
    R("-1\r\n", NULL),
    R("+5\r\nhello\r\n", NULL),
    R("0x5\r\nhello\r\n", NULL),
    R(" 5\r\nhello\r\n", NULL),
    R("5 \r\nhello\r\n", NULL),
    R("5\t\r\nhello\r\n", NULL),
    R("5\nhello\r\n", NULL),
    R("5\r\nhello\n0\r\n\r\n", NULL),
    R("5\r\nhello0\r\n\r\n", NULL),
    R("5\r\nhelloXX0\r\n\r\n", NULL),
    R("5\r\nhello\r\r\n", NULL),
    R("5;a\x01\r\nhello\r\n", NULL),
    R("5;a\0b\r\nhello\r\n", NULL),
    R("5;a\rb\r\nhello\r\n", NULL),
    R("ffffffffffffffff\r\n", NULL),
    R("10000000000000005\r\nhello\r\n", NULL),
    R("0000000000000000000000005\r\nhello\r\n", NULL),
    R("0\r\nX-Trailer : a\r\n\r\n", NULL),
    R("0\r\n folded\r\n\r\n", NULL),
    R("0\r\nX: a\r\n folded\r\n\r\n", NULL),
    R("0\r\nX: a\n\r\n", NULL),
    R("0\r\nX: a\0\r\n\r\n", NULL),
    R("0\r\n\n", NULL),
};

START_TEST(test_chunked_rows)
{
    static const size_t steps[] = {1, 2, 3, 7, 1000};
    for (size_t i = 0; i < sizeof chunked_rows / sizeof *chunked_rows; i++)
        for (size_t k = 0; k < sizeof steps / sizeof *steps; k++)
            for (size_t room = 1; room < 20; room += 6) {
                const struct row *row = &chunked_rows[i];
                struct http1_body b;
                struct buf out;
                size_t used;
                buf_init(&out, 1000);
                body_start(&b, CHUNKED);
                enum err e = feed(&b, row->text, row->n, steps[k], room, &out, &used);
                ck_assert_msg(e == (row->body ? ERR_OK : ERR_MALFORMED), "row %zu step %zu: %s", i, steps[k],
                              err_str(e));
                if (row->body) {
                    ck_assert(http1_body_done(&b));
                    ck_assert_uint_eq(used, row->used ? row->used : row->n);
                    ck_assert_uint_eq(buf_len(&out), strlen(row->body));
                    if (buf_len(&out))
                        ck_assert_int_eq(memcmp(buf_data(&out), row->body, buf_len(&out)), 0);
                } else {
                    struct http1_piece piece;
                    ck_assert_int_eq(http1_body_decode(&b, (const uint8_t *)"0\r\n\r\n", 5, 9, &piece),
                                     ERR_MALFORMED); /* it stays refused */
                }
                buf_free(&out);
                http1_body_free(&b);
            }
}
END_TEST

START_TEST(test_length)
{
    struct http1_body b;
    struct buf out;
    size_t used;
    buf_init(&out, 1000);
    body_start(&b, LENGTH_5);
    ck_assert_int_eq(feed(&b, "helloGET", 8, 3, 100, &out, &used), ERR_OK);
    ck_assert(http1_body_done(&b));
    ck_assert_uint_eq(used, 5);
    body_start(&b, LENGTH_5);
    ck_assert_int_eq(feed(&b, "hell", 4, 3, 100, &out, &used), ERR_OK);
    ck_assert(!http1_body_done(&b));
    ck_assert_int_eq(http1_body_eof(&b), ERR_TRUNCATED);
    buf_free(&out);
}
END_TEST

START_TEST(test_until_close)
{
    struct http1_body b;
    struct buf out;
    size_t used;
    buf_init(&out, 1000);
    body_start(&b, CLOSE);
    ck_assert_int_eq(feed(&b, "hello", 5, 2, 100, &out, &used), ERR_OK);
    ck_assert(!http1_body_done(&b));
    ck_assert_int_eq(http1_body_eof(&b), ERR_OK);
    ck_assert(http1_body_done(&b));
    body_start(&b, CHUNKED);
    ck_assert_int_eq(http1_body_eof(&b), ERR_TRUNCATED);
    buf_free(&out);
}
END_TEST

START_TEST(test_no_body)
{
    struct http_message m;
    struct http1_head head = {.chunked = false};
    struct http1_body b;
    struct http1_piece piece;
    http_message_init(&m);
    m.no_body = true;
    m.content_length = 100; /* a response to HEAD */
    http1_body_init(&b, &m, &head);
    ck_assert(http1_body_done(&b));
    ck_assert_int_eq(http1_body_decode(&b, (const uint8_t *)"x", 1, 10, &piece), ERR_OK);
    ck_assert_uint_eq(piece.used, 0);
}
END_TEST

START_TEST(test_no_room_takes_no_body)
{
    struct http1_body b;
    struct http1_piece piece;
    body_start(&b, CHUNKED);
    ck_assert_int_eq(http1_body_decode(&b, (const uint8_t *)"5\r\nhello", 8, 0, &piece), ERR_OK);
    ck_assert_uint_eq(piece.used, 3);
    ck_assert_uint_eq(piece.n, 0);
    ck_assert_int_eq(http1_body_decode(&b, (const uint8_t *)"hello", 5, 0, &piece), ERR_OK);
    ck_assert_uint_eq(piece.used, 0);
    http1_body_free(&b);
}
END_TEST

START_TEST(test_trailers)
{
    struct http1_body b;
    struct buf out;
    size_t used;
    static const char text[] =
        "0\r\nX-Sum: 1\r\nContent-Length: 5\r\nX-Forwarded-For: 6.6.6.6\r\nCookie: a\r\n"
        "Transfer-Encoding: chunked\r\nHost: evil\r\nX-Two: 2\r\n\r\n";
    buf_init(&out, 1000);
    body_start(&b, CHUNKED);
    ck_assert_int_eq(feed(&b, text, sizeof text - 1, 1, 100, &out, &used), ERR_OK);
    const struct http_message *t = http1_body_trailers(&b);
    ck_assert_ptr_nonnull(t);
    ck_assert_uint_eq(t->n_fields, 2);
    ck_assert(span_is(http_message_find(t, "x-sum"), "1"));
    ck_assert(span_is(http_message_find(t, "x-two"), "2"));
    ck_assert_int_eq(http1_write_last_chunk(&out, t), ERR_OK);
    ck_assert_uint_eq(buf_len(&out), strlen("0\r\nx-sum: 1\r\nx-two: 2\r\n\r\n"));
    http1_body_free(&b);
    buf_free(&out);
}
END_TEST

START_TEST(test_limits)
{
    struct http1_body b;
    struct buf out, text;
    size_t used;
    buf_init(&out, 1000);
    buf_init(&text, 1 << 20);
    buf_append_str(&text, "5;");
    for (int i = 0; i < 1000; i++)
        buf_append_str(&text, "x");
    body_start(&b, CHUNKED);
    ck_assert_int_eq(feed(&b, (const char *)buf_data(&text), buf_len(&text), 1, 10, &out, &used),
                     ERR_MALFORMED);
    buf_reset(&text);
    buf_append_str(&text, "0\r\n");
    for (int i = 0; i < 1000; i++)
        buf_append_str(&text, "x: 0123456789\r\n");
    body_start(&b, CHUNKED);
    ck_assert_int_eq(feed(&b, (const char *)buf_data(&text), buf_len(&text), 1, 10, &out, &used),
                     ERR_MALFORMED);
    http1_body_free(&b);
    buf_free(&out);
    buf_free(&text);
}
END_TEST

/* What the encoder writes, the decoder reads. */
START_TEST(test_round_trip)
{
    struct buf wire, out;
    struct http1_body b;
    size_t used, total = 0;
    uint8_t data[5000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 31);
    buf_init(&wire, 1 << 20);
    buf_init(&out, 1 << 20);
    for (size_t n = 0; n < sizeof data; n += 113, total += n - 113)
        ck_assert_int_eq(http1_write_chunk(&wire, data, n), ERR_OK);
    ck_assert_int_eq(http1_write_last_chunk(&wire, NULL), ERR_OK);
    body_start(&b, CHUNKED);
    ck_assert_int_eq(feed(&b, (const char *)buf_data(&wire), buf_len(&wire), 1000, 700, &out, &used), ERR_OK);
    ck_assert(http1_body_done(&b));
    ck_assert_uint_eq(used, buf_len(&wire));
    ck_assert_uint_eq(buf_len(&out), total);
    buf_free(&wire);
    buf_free(&out);
}
END_TEST

UNIT_MAIN("http1_body", test_chunked_rows, test_length, test_until_close, test_no_body,
          test_no_room_takes_no_body, test_trailers, test_limits, test_round_trip)
