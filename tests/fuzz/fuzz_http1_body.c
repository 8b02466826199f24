/* A chunked body decoded at once and in pieces: the same bytes, the same end, the same verdict; and what was
 * decoded, encoded anew, decodes to itself. The first byte of the input chooses the sizes of the pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/fatal.h"
#include "proto/http1_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct result {
    enum err err;
    bool done;
    size_t used, trailers;
    struct buf body;
};

static struct result decode(const uint8_t *data, size_t n, size_t step, size_t room)
{
    struct result r = {.err = ERR_OK};
    struct http1_body b = {.state = HTTP1_BODY_CHUNK_SIZE};
    size_t have = 0;
    buf_init(&r.body, 1 << 20);
    while (r.err == ERR_OK && !r.done && have < n) {
        struct http1_piece piece = {0};
        have = n - have < step ? n : have + step;
        do {
            r.err = http1_body_decode(&b, data + r.used, have - r.used, room, &piece);
            if (r.err != ERR_OK)
                break;
            REQUIRE(piece.n <= room && piece.used <= have - r.used && piece.n <= piece.used);
            REQUIRE(piece.n == 0 || (piece.data >= data + r.used && piece.data + piece.n <= data + have));
            REQUIRE(buf_append(&r.body, piece.data, piece.n) == ERR_OK);
            r.used += piece.used;
            r.done = http1_body_done(&b);
        } while (piece.used && !r.done);
    }
    if (r.done && http1_body_trailers(&b))
        r.trailers = http1_body_trailers(&b)->n_fields;
    http1_body_free(&b);
    return r;
}

static void encode_again(const struct buf *body)
{
    struct buf wire;
    buf_init(&wire, 1 << 21);
    for (size_t at = 0, step = 1; at < buf_len(body); at += step, step = step * 2 + 1) {
        if (step > buf_len(body) - at)
            step = buf_len(body) - at;
        REQUIRE(http1_write_chunk(&wire, buf_data(body) + at, step) == ERR_OK);
    }
    REQUIRE(http1_write_last_chunk(&wire, NULL) == ERR_OK);
    struct result r = decode(buf_data(&wire), buf_len(&wire), 1000, 1000);
    REQUIRE(r.err == ERR_OK && r.done && r.used == buf_len(&wire) && buf_len(&r.body) == buf_len(body));
    REQUIRE(buf_len(body) == 0 || memcmp(buf_data(body), buf_data(&r.body), buf_len(body)) == 0);
    buf_free(&r.body);
    buf_free(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0 || n > 1 << 16)
        return 0;
    size_t step = 1u + data[0] % 16, room = 1u + data[0] / 16;
    struct result whole = decode(data + 1, n - 1, n, n), pieces = decode(data + 1, n - 1, step, room);
    REQUIRE(whole.err == pieces.err && whole.done == pieces.done);
    if (whole.err == ERR_OK) {
        REQUIRE(whole.used == pieces.used && whole.trailers == pieces.trailers);
        REQUIRE(buf_len(&whole.body) == buf_len(&pieces.body));
        REQUIRE(buf_len(&whole.body) == 0 ||
                memcmp(buf_data(&whole.body), buf_data(&pieces.body), buf_len(&whole.body)) == 0);
    }
    if (whole.done)
        encode_again(&whole.body);
    buf_free(&whole.body);
    buf_free(&pieces.body);
    return 0;
}
