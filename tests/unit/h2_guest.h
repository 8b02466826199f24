/* A guest that speaks HTTP/2 over TLS to the worker of web_box.h: with a real client session, or with frames
 * written by hand. */
#ifndef TESTS_UNIT_H2_GUEST_H
#define TESTS_UNIT_H2_GUEST_H

#include "proto/h2_session.h"
#include "tests/unit/web_box.h"

enum { H2_ANSWERS = 256, H2_GUEST_QUEUE = 1024 * 1024 };

struct h2_answer {
    struct h2_stream *stream; /* NULL once closed */
    struct http_message head, trailers;
    struct buf body;
    size_t bytes, unconsumed, to_send, sent;
    unsigned interim[8], n_interim;
    uint32_t code;
    bool got_head, ended, closed, stalls, keeps;
};

struct h2_guest {
    struct stream *stream;
    struct h2_session *session;
    struct h2_answer answers[H2_ANSWERS];
    size_t n;
    bool open, closed, eof, goaway;
};

static void h2g_on_head(void *ctx, struct h2_stream *st, struct http_message *m, bool end)
{
    struct h2_answer *a = h2_stream_ctx(st);
    (void)ctx;
    a->got_head = true;
    a->ended = end;
    ck_assert_int_eq(http_message_copy(&a->head, m), ERR_OK);
}

static void h2g_on_interim(void *ctx, struct h2_stream *st, struct http_message *m)
{
    struct h2_answer *a = h2_stream_ctx(st);
    (void)ctx;
    if (a->n_interim < 8)
        a->interim[a->n_interim++] = m->status;
}

static void h2g_on_data(void *ctx, struct h2_stream *st, const uint8_t *data, size_t n)
{
    struct h2_answer *a = h2_stream_ctx(st);
    (void)ctx;
    a->bytes += n;
    if (a->keeps)
        ck_assert_int_eq(buf_append(&a->body, data, n), ERR_OK);
    if (a->stalls)
        a->unconsumed += n;
    else
        h2_stream_consume(st, n);
}

static void h2g_on_end(void *ctx, struct h2_stream *st, struct http_message *trailers)
{
    struct h2_answer *a = h2_stream_ctx(st);
    (void)ctx;
    a->ended = true;
    if (trailers)
        ck_assert_int_eq(http_message_copy(&a->trailers, trailers), ERR_OK);
}

static void h2g_fill(struct h2_answer *a)
{
    static const uint8_t piece[8192];
    while (a->stream && a->sent < a->to_send && h2_stream_room(a->stream) >= sizeof piece) {
        size_t n = a->to_send - a->sent < sizeof piece ? a->to_send - a->sent : sizeof piece;
        ck_assert_int_eq(h2_stream_write(a->stream, piece, n), ERR_OK);
        a->sent += n;
        if (a->sent == a->to_send)
            h2_stream_end(a->stream, NULL);
    }
}

static void h2g_on_drained(void *ctx, struct h2_stream *st)
{
    (void)ctx;
    h2g_fill(h2_stream_ctx(st));
}

static void h2g_on_close(void *ctx, struct h2_stream *st, uint32_t code)
{
    struct h2_answer *a = h2_stream_ctx(st);
    (void)ctx;
    a->closed = true;
    a->code = code;
    a->stream = NULL;
}

static void h2g_on_output(void *ctx)
{
    stream_ask_flush(((struct h2_guest *)ctx)->stream);
}

static void h2g_on_goaway(void *ctx)
{
    ((struct h2_guest *)ctx)->goaway = true;
}

static const struct h2_events h2g_events = {.on_head = h2g_on_head,
                                            .on_interim = h2g_on_interim,
                                            .on_data = h2g_on_data,
                                            .on_end = h2g_on_end,
                                            .on_drained = h2g_on_drained,
                                            .on_close = h2g_on_close,
                                            .on_output = h2g_on_output,
                                            .on_goaway = h2g_on_goaway};

static void h2g_on_open(void *ctx)
{
    ((struct h2_guest *)ctx)->open = true;
}

static size_t h2g_on_bytes(void *ctx, const uint8_t *data, size_t n)
{
    (void)h2_session_receive(((struct h2_guest *)ctx)->session, data, n);
    return n;
}

static void h2g_on_eof(void *ctx)
{
    ((struct h2_guest *)ctx)->eof = true;
}

static void h2g_on_gone(void *ctx, enum err why, const char *words)
{
    (void)why, (void)words;
    ((struct h2_guest *)ctx)->closed = true;
}

static void h2g_on_flush(void *ctx, struct buf *queue)
{
    struct h2_guest *g = ctx;
    ck_assert_int_eq(h2_session_send(g->session, queue, H2_GUEST_QUEUE / 2), ERR_OK);
    if (h2_session_has_output(g->session))
        stream_ask_flush(g->stream);
}

static const struct stream_events h2g_stream_events = {.on_open = h2g_on_open,
                                                       .on_data = h2g_on_bytes,
                                                       .on_eof = h2g_on_eof,
                                                       .on_close = h2g_on_gone,
                                                       .on_flush = h2g_on_flush};

/* A client's TLS context that offers these protocols. */
static SSL_CTX *h2g_tls(const char *alpn)
{
    char why[200];
    SSL_CTX *ctx;
    ck_assert_int_eq(tls_client_ctx(NULL, &ctx, why, sizeof why), ERR_OK);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    ck_assert_int_eq(SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)alpn, (unsigned)strlen(alpn)), 0);
    return ctx;
}

static void h2g_connect(struct h2_guest *g, const char *name)
{
    SSL_CTX *ctx = h2g_tls("\x02h2\x08http/1.1");
    memset(g, 0, sizeof *g);
    g->stream = stream_connect(box.loop, &box.https, ctx, name, &h2g_stream_events, g, H2_GUEST_QUEUE,
                               H2_GUEST_QUEUE / 4);
    SSL_CTX_free(ctx);
    g->session = h2_session_new(H2_CLIENT, &h2_limits_tunnel, &h2g_events, g);
    stream_ask_flush(g->stream);
    RUN_UNTIL((g->open && h2_session_can_open(g->session)) || g->closed);
}

static void h2g_close(struct h2_guest *g)
{
    h2_session_free(g->session);
    stream_free(g->stream);
    for (size_t i = 0; i < g->n; i++) {
        http_message_free(&g->answers[i].head);
        http_message_free(&g->answers[i].trailers);
        buf_free(&g->answers[i].body);
    }
}

/* A message for join.example.com with fields that are name, value, ..., NULL; to be freed. */
static inline void h2g_message(struct http_message *m, const char *method, const char *path,
                               const char *const *fields)
{
    http_message_init(m);
    http_message_set_method(m, method, strlen(method));
    http_message_set_scheme(m, "https", 5);
    http_message_set_authority(m, "join.example.com", 16);
    http_message_set_path(m, path, strlen(path));
    m->content_length = HTTP_NO_LENGTH;
    for (size_t i = 0; fields && fields[i]; i += 2)
        ck_assert_int_eq(http_message_add_str(m, fields[i], fields[i + 1]), ERR_OK);
}

static inline struct h2_answer *h2g_send(struct h2_guest *g, const struct http_message *m, bool end)
{
    ck_assert_uint_lt(g->n, H2_ANSWERS);
    struct h2_answer *a = &g->answers[g->n++];
    http_message_init(&a->head);
    http_message_init(&a->trailers);
    buf_init(&a->body, 1 << 20);
    ck_assert_int_eq(h2_session_request(g->session, m, end, a, &a->stream), ERR_OK);
    return a;
}

static inline struct h2_answer *h2g_ask(struct h2_guest *g, const char *method, const char *path, bool end,
                                        const char *const *fields)
{
    struct http_message m;
    h2g_message(&m, method, path, fields);
    struct h2_answer *a = h2g_send(g, &m, end);
    a->keeps = true;
    http_message_free(&m);
    return a;
}

static inline bool h2g_has(const struct h2_answer *a, const char *text)
{
    const uint8_t *data = buf_data(&a->body);
    return data && memmem(data, buf_len(&a->body), text, strlen(text)) != NULL;
}

#endif
