#include "core/egress/http_client.h"

#include <string.h>

#include "common/fatal.h"

/* Below what servers usually keep a connection for (Node.js and Apache: 5 s), so that few requests meet a
 * closed one. */
static const double keep_default = 4;

/* The end ------------------------------------------------------------------------------------------------ */

/* Out of the client, before anybody is told. */
static struct connection *client_release(struct http_client *c)
{
    struct connection *connection = c->connection;
    c->connection = NULL;
    c->state = HTTP_CLIENT_IDLE;
    return connection;
}

void http_client_abort(struct http_client *c)
{
    struct connection *connection = client_release(c);
    http1_body_free(&c->body);
    if (connection)
        pool_discard(connection);
}

static void client_fail(struct http_client *c, enum http_client_failure why, const char *words)
{
    http_client_abort(c);
    c->events->on_failed(c->ctx, why, words);
}

/* The response is complete. clean: nothing came behind it, and the bridge has read the whole request. */
static void client_finish(struct http_client *c, bool clean)
{
    struct http1_body body = c->body;
    bool switched = c->state == HTTP_CLIENT_SWITCHED;
    struct connection *connection = client_release(c);
    bool reusable = clean && c->keep_alive && c->sent_end && stream_queued(connection->stream) == 0;
    double keep = c->keep > 0 && c->keep - 1 < keep_default ? c->keep - 1 : keep_default;
    c->body = (struct http1_body){.state = HTTP1_BODY_DONE};
    if (reusable)
        pool_give(connection, keep);
    else if (switched)
        pool_close(connection);
    else
        pool_discard(connection);
    c->events->on_end(c->ctx, http1_body_trailers(&body));
    http1_body_free(&body);
}

/* Receiving ---------------------------------------------------------------------------------------------- */

/* "Keep-Alive: timeout=5, max=100": seconds, 0 when it says nothing. */
static unsigned keep_alive_timeout(const struct http_message *m)
{
    struct span rest = http_message_find(m, "keep-alive"), element;
    while (span_list_next(&rest, &element)) {
        unsigned v = 0;
        if (element.len < 9 || element.len > 13 || memcmp(element.at, "timeout=", 8) != 0)
            continue;
        for (size_t i = 8; i < element.len && element.at[i] >= '0' && element.at[i] <= '9'; i++)
            v = v * 10 + (unsigned)(element.at[i] - '0');
        return v ? v : 1;
    }
    return 0;
}

/* A final head: *data beyond it is looked at by the caller. */
static void client_take_final(struct http_client *c, const struct http1_head *head, bool more)
{
    struct http_message *m = c->scratch;
    bool switched = m->status == 101;
    c->keep_alive = head->keep_alive && !switched;
    c->keep = keep_alive_timeout(m);
    if (switched) {
        c->state = HTTP_CLIENT_SWITCHED;
        c->events->on_head(c->ctx, m, head, false);
        return;
    }
    http1_body_init(&c->body, m, head);
    c->state = HTTP_CLIENT_BODY;
    bool end = http1_body_done(&c->body);
    c->events->on_head(c->ctx, m, head, end);
    if (end && c->connection)
        client_finish(c, !more);
}

/* Bytes used; 0: more are needed, or the client has failed. */
static size_t client_take_head(struct http_client *c, const uint8_t *data, size_t n)
{
    struct http1_expect expect = {.head = c->expect_head, .upgrade = c->expect_upgrade};
    struct http1_failure why;
    struct http1_head head;
    size_t used;
    enum err e = http1_parse_response(data, n, &c->scanned, &expect, c->scratch, &head, &used, &why);
    if (e == ERR_AGAIN)
        return 0;
    if (e != ERR_OK) {
        client_fail(c, e == ERR_MEMORY ? HTTP_CLIENT_NO_MEMORY : HTTP_CLIENT_MALFORMED,
                    e == ERR_MEMORY ? "out of memory" : why.words);
        return 0;
    }
    c->scanned = 0;
    if (c->scratch->status >= 200 || c->scratch->status == 101)
        client_take_final(c, &head, used < n);
    else if (++c->interims > HTTP_CLIENT_INTERIM_MAX)
        client_fail(c, HTTP_CLIENT_MALFORMED, "too many interim responses");
    else
        c->events->on_interim(c->ctx, c->scratch);
    return used;
}

static size_t client_wait_for_room(struct http_client *c)
{
    c->waits_for_room = true;
    stream_pause(c->connection->stream);
    return 0;
}

static size_t client_take_body(struct http_client *c, const uint8_t *data, size_t n)
{
    struct http1_piece piece;
    size_t room = c->events->room(c->ctx);
    if (room == 0)
        return client_wait_for_room(c);
    enum err e = http1_body_decode(&c->body, data, n, room, &piece);
    if (e != ERR_OK) {
        client_fail(c, e == ERR_MEMORY ? HTTP_CLIENT_NO_MEMORY : HTTP_CLIENT_MALFORMED,
                    e == ERR_MEMORY ? "out of memory" : "a body that is not framed as announced");
        return 0;
    }
    if (piece.n > 0)
        c->events->on_body(c->ctx, piece.data, piece.n);
    if (c->connection && http1_body_done(&c->body))
        client_finish(c, piece.used == n);
    return piece.used;
}

static size_t client_take_switched(struct http_client *c, const uint8_t *data, size_t n)
{
    size_t room = c->events->room(c->ctx);
    if (room == 0)
        return client_wait_for_room(c);
    if (n > room)
        n = room;
    c->events->on_body(c->ctx, data, n);
    return n;
}

/* What comes before any of the request has left is the end of an old conversation, never an answer to this
 * request. */
static bool client_is_unasked(const struct http_client *c)
{
    return !c->heard && stream_bytes_out(c->connection->stream) == c->sent_before;
}

static size_t client_on_data(void *ctx, const uint8_t *data, size_t n)
{
    struct http_client *c = ctx;
    size_t used = 0, step = 1;
    if (client_is_unasked(c)) {
        client_fail(c, c->connection->reused ? HTTP_CLIENT_STALE : HTTP_CLIENT_MALFORMED,
                    "a response that nobody asked for");
        return n;
    }
    c->heard = true;
    while (c->connection && used < n && step > 0) {
        if (c->state == HTTP_CLIENT_HEAD)
            step = client_take_head(c, data + used, n - used);
        else if (c->state == HTTP_CLIENT_BODY)
            step = client_take_body(c, data + used, n - used);
        else
            step = client_take_switched(c, data + used, n - used);
        used += step;
    }
    return c->connection ? used : n;
}

/* Events of the connection ------------------------------------------------------------------------------- */

static void client_on_open(void *ctx)
{
    struct http_client *c = ctx;
    c->state = HTTP_CLIENT_HEAD;
    c->events->on_open(c->ctx);
}

static void client_closed(struct http_client *c, const char *words)
{
    if (c->state == HTTP_CLIENT_CONNECTING)
        client_fail(c, HTTP_CLIENT_UNREACHABLE, words);
    else if (!c->heard && c->connection->reused)
        client_fail(c, HTTP_CLIENT_STALE, words);
    else
        client_fail(c, HTTP_CLIENT_CLOSED, words);
}

static void client_on_eof(void *ctx)
{
    struct http_client *c = ctx;
    if (c->state == HTTP_CLIENT_SWITCHED) {
        c->read_ended = true;
        if (c->sent_end)
            client_finish(c, false);
        else
            c->events->on_half_end(c->ctx);
    } else if (c->state == HTTP_CLIENT_BODY && http1_body_eof(&c->body) == ERR_OK) {
        client_finish(c, false);
    } else {
        client_closed(c, "the bridge closed the connection");
    }
}

static void client_on_drained(void *ctx)
{
    struct http_client *c = ctx;
    c->events->on_drained(c->ctx);
}

static void client_on_close(void *ctx, enum err why, const char *words)
{
    (void)why;
    client_closed(ctx, words);
}

static const struct stream_events client_stream_events = {
    .on_open = client_on_open,
    .on_data = client_on_data,
    .on_eof = client_on_eof,
    .on_drained = client_on_drained,
    .on_close = client_on_close,
};

/* Starting ----------------------------------------------------------------------------------------------- */

void http_client_init(struct http_client *c, const struct http_client_events *events, void *ctx,
                      struct http_message *scratch)
{
    *c = (struct http_client){.events = events, .ctx = ctx, .scratch = scratch};
}

enum err http_client_start(struct http_client *c, struct pool *p, struct target *t, double max_idle)
{
    REQUIRE(c->state == HTTP_CLIENT_IDLE);
    http_client_init(c, c->events, c->ctx, c->scratch);
    c->connection = max_idle > 0 ? pool_take(p, t, max_idle, &client_stream_events, c) : NULL;
    c->state = HTTP_CLIENT_HEAD;
    if (!c->connection) {
        c->connection = pool_connect(p, t, &client_stream_events, c);
        c->state = HTTP_CLIENT_CONNECTING;
    }
    if (!c->connection) {
        c->state = HTTP_CLIENT_IDLE;
        return ERR_FULL;
    }
    c->target = t;
    c->sent_before = stream_bytes_out(c->connection->stream);
    return ERR_OK;
}

/* Sending ------------------------------------------------------------------------------------------------ */

enum err http_client_send_head(struct http_client *c, const uint8_t *data, size_t n,
                               const struct http1_expect *expect, bool chunked)
{
    REQUIRE(c->state == HTTP_CLIENT_HEAD);
    c->chunked = chunked;
    c->expect_head = expect->head;
    c->expect_upgrade = expect->upgrade;
    return stream_write(c->connection->stream, data, n);
}

size_t http_client_room(const struct http_client *c, size_t most)
{
    size_t queued = c->connection ? stream_queued(c->connection->stream) : most;
    return queued < most ? most - queued : 0;
}

enum err http_client_send_body(struct http_client *c, const uint8_t *data, size_t n)
{
    struct stream *s = c->connection->stream;
    char head[HTTP1_CHUNK_HEAD_MAX];
    if (n == 0)
        return ERR_OK;
    if (!c->chunked)
        return stream_write(s, data, n);
    enum err e = stream_write(s, head, http1_chunk_head(head, n));
    if (e == ERR_OK)
        e = stream_write(s, data, n);
    return e == ERR_OK ? stream_write(s, "\r\n", 2) : e;
}

static enum err client_send_last_chunk(struct http_client *c, const struct http_message *trailers)
{
    struct buf last;
    buf_init(&last, HTTP_HEAD_MAX + 64);
    enum err e = http1_write_last_chunk(&last, trailers);
    if (e == ERR_OK)
        e = stream_write(c->connection->stream, buf_data(&last), buf_len(&last));
    buf_free(&last);
    return e;
}

enum err http_client_send_end(struct http_client *c, const struct http_message *trailers)
{
    enum err e = ERR_OK;
    if (c->state == HTTP_CLIENT_SWITCHED)
        stream_shutdown(c->connection->stream);
    else if (c->chunked && trailers)
        e = client_send_last_chunk(c, trailers);
    else if (c->chunked)
        e = stream_write(c->connection->stream, "0\r\n\r\n", 5);
    if (e != ERR_OK)
        return e;
    c->sent_end = true;
    if (c->read_ended)
        client_finish(c, false);
    return ERR_OK;
}

void http_client_resume(struct http_client *c)
{
    if (!c->waits_for_room || !c->connection)
        return;
    c->waits_for_room = false;
    stream_resume(c->connection->stream);
}
