#include "proto/http1_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fatal.h"

void http1_body_init(struct http1_body *b, const struct http_message *m, const struct http1_head *head)
{
    *b = (struct http1_body){.state = HTTP1_BODY_DONE};
    if (m->no_body)
        return;
    if (head->chunked) {
        b->state = HTTP1_BODY_CHUNK_SIZE;
    } else if (m->content_length != HTTP_NO_LENGTH) {
        b->state = HTTP1_BODY_LENGTH;
        b->left = (uint64_t)m->content_length;
    } else {
        b->state = HTTP1_BODY_UNTIL_CLOSE;
    }
}

void http1_body_free(struct http1_body *b)
{
    if (b->trailers) {
        http_message_free(b->trailers);
        free(b->trailers);
    }
    *b = (struct http1_body){.state = HTTP1_BODY_DONE};
}

/* Lines ------------------------------------------------------------------------------------------------ */

/* A whole line at data without its CRLF. ERR_AGAIN while it is not complete, ERR_MALFORMED above max or with
 * a bare LF. */
static enum err take_line(const uint8_t *data, size_t n, size_t max, struct span *line)
{
    const uint8_t *lf = memchr(data, '\n', n < max + 2 ? n : max + 2);
    if (!lf)
        return n < max + 2 ? ERR_AGAIN : ERR_MALFORMED;
    if (lf == data || lf[-1] != '\r')
        return ERR_MALFORMED;
    *line = (struct span){.at = (const char *)data, .len = (size_t)(lf - data) - 1};
    return ERR_OK;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 9112 §7.1: hexadecimal size, then nothing or extensions, which are checked for characters and ignored.
 */
static enum err parse_chunk_size(struct span line, uint64_t *size)
{
    uint64_t v = 0;
    size_t i = 0;
    for (; i < line.len && hex_value(line.at[i]) >= 0; i++)
        v = v << 4 | (uint64_t)hex_value(line.at[i]);
    if (i == 0 || i > 15)
        return ERR_MALFORMED;
    if (i < line.len && line.at[i] != ';')
        return ERR_MALFORMED;
    for (; i < line.len; i++) {
        unsigned char c = (unsigned char)line.at[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return ERR_MALFORMED;
    }
    *size = v;
    return ERR_OK;
}

static enum err take_chunk_size(struct http1_body *b, const uint8_t *data, size_t n, struct http1_piece *out)
{
    struct span line;
    uint64_t size;
    enum err e = take_line(data, n, HTTP1_CHUNK_LINE_MAX, &line);
    if (e == ERR_OK)
        e = parse_chunk_size(line, &size);
    if (e != ERR_OK)
        return e;
    out->used += line.len + 2;
    b->left = size;
    b->state = size ? HTTP1_BODY_CHUNK : HTTP1_BODY_TRAILERS;
    return ERR_OK;
}

static enum err take_chunk_end(struct http1_body *b, const uint8_t *data, size_t n, struct http1_piece *out)
{
    if (data[0] != '\r' || (n > 1 && data[1] != '\n'))
        return ERR_MALFORMED;
    if (n < 2)
        return ERR_AGAIN;
    out->used += 2;
    b->state = HTTP1_BODY_CHUNK_SIZE;
    return ERR_OK;
}

/* One trailer line, or the empty one. It is parsed as the only field of a head of its own. */
static enum err take_trailer(struct http1_body *b, const uint8_t *data, size_t n, struct http1_piece *out)
{
    struct span line;
    enum err e = take_line(data, n, HTTP1_TRAILERS_MAX - b->trailer_bytes, &line);
    if (e != ERR_OK)
        return e;
    if (line.len == 0) {
        b->state = HTTP1_BODY_DONE;
        out->used += 2;
        return ERR_OK;
    }
    if (!b->trailers) {
        b->trailers = malloc(sizeof *b->trailers);
        if (!b->trailers)
            return ERR_MEMORY;
        http_message_init(b->trailers);
    }
    e = http1_parse_trailer(line, b->trailers);
    if (e != ERR_OK)
        return e;
    b->trailer_bytes += (uint32_t)line.len + 2;
    if (b->trailer_bytes > HTTP1_TRAILERS_MAX)
        return ERR_MALFORMED;
    out->used += line.len + 2;
    return ERR_OK;
}

/* Pieces ----------------------------------------------------------------------------------------------- */

static void take_bytes(struct http1_body *b, const uint8_t *data, size_t n, size_t room,
                       struct http1_piece *out)
{
    size_t take = n < room ? n : room;
    bool bounded = b->state != HTTP1_BODY_UNTIL_CLOSE;
    if (bounded && take > b->left)
        take = (size_t)b->left;
    out->data = data;
    out->n = take;
    out->used += take;
    if (!bounded)
        return;
    b->left -= take;
    if (b->left == 0)
        b->state = b->state == HTTP1_BODY_CHUNK ? HTTP1_BODY_CHUNK_END : HTTP1_BODY_DONE;
}

enum err http1_body_decode(struct http1_body *b, const uint8_t *data, size_t n, size_t room,
                           struct http1_piece *out)
{
    struct http1_piece piece = {.data = data};
    enum err e = ERR_OK;
    while (e == ERR_OK && piece.n == 0 && piece.used < n) {
        const uint8_t *at = data + piece.used;
        size_t left = n - piece.used;
        switch (b->state) {
        case HTTP1_BODY_DONE:
            goto out;
        case HTTP1_BODY_LENGTH:
        case HTTP1_BODY_UNTIL_CLOSE:
        case HTTP1_BODY_CHUNK:
            take_bytes(b, at, left, room, &piece);
            goto out;
        case HTTP1_BODY_CHUNK_SIZE:
            e = take_chunk_size(b, at, left, &piece);
            break;
        case HTTP1_BODY_CHUNK_END:
            e = take_chunk_end(b, at, left, &piece);
            break;
        case HTTP1_BODY_TRAILERS:
            e = take_trailer(b, at, left, &piece);
            break;
        case HTTP1_BODY_FAILED:
            e = ERR_MALFORMED;
            break;
        }
    }
out:
    if (e == ERR_MALFORMED || e == ERR_MEMORY)
        b->state = HTTP1_BODY_FAILED;
    if (e != ERR_OK && e != ERR_AGAIN)
        return e;
    *out = piece;
    return ERR_OK;
}

enum err http1_body_eof(struct http1_body *b)
{
    if (b->state == HTTP1_BODY_UNTIL_CLOSE)
        b->state = HTTP1_BODY_DONE;
    return b->state == HTTP1_BODY_DONE ? ERR_OK : ERR_TRUNCATED;
}

struct http_message *http1_body_trailers(struct http1_body *b)
{
    if (b->state != HTTP1_BODY_DONE || !b->trailers)
        return NULL;
    http_message_strip_trailers(b->trailers);
    return b->trailers->n_fields ? b->trailers : NULL;
}

/* Chunks ----------------------------------------------------------------------------------------------- */

size_t http1_chunk_head(char out[HTTP1_CHUNK_HEAD_MAX], size_t n)
{
    static const char digits[] = "0123456789abcdef";
    size_t len = 1;
    REQUIRE(n > 0);
    for (size_t rest = n >> 4; rest; rest >>= 4)
        len++;
    for (size_t i = len; i-- > 0; n >>= 4)
        out[i] = digits[n & 15];
    out[len] = '\r';
    out[len + 1] = '\n';
    return len + 2;
}

enum err http1_write_chunk(struct buf *out, const uint8_t *data, size_t n)
{
    char head[HTTP1_CHUNK_HEAD_MAX];
    uint8_t *at;
    if (n == 0)
        return ERR_OK;
    size_t len = http1_chunk_head(head, n);
    enum err e = buf_reserve(out, len + n + 2, &at);
    if (e != ERR_OK)
        return e;
    memcpy(at, head, len);
    memcpy(at + len, data, n);
    memcpy(at + len + n, "\r\n", 2);
    buf_commit(out, len + n + 2);
    return ERR_OK;
}

enum err http1_write_last_chunk(struct buf *out, const struct http_message *trailers)
{
    size_t before = buf_len(out);
    enum err e = buf_append(out, "0\r\n", 3);
    if (e == ERR_OK && trailers)
        e = http1_write_fields(out, trailers);
    if (e == ERR_OK)
        e = buf_append(out, "\r\n", 2);
    if (e != ERR_OK)
        out->len = before;
    return e;
}
