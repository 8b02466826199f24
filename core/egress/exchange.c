#include "core/egress/exchange.h"

#include <stdlib.h>

#include "common/fatal.h"
#include "proto/http_hygiene.h"

static const struct http_client_events exchange_client_events;

static void exchange_dispatch(struct exchange *x, bool fresh);

/* Ends --------------------------------------------------------------------------------------------------- */

/* Nothing more goes to the edge, nothing more is wanted from it. */
static void exchange_finish(struct exchange *x)
{
    size_t unsent = buf_len(&x->upload);
    http_client_abort(&x->client);
    request_free(&x->request);
    buf_free(&x->upload);
    x->done = true;
    x->client.target = NULL;
    x->since = x->egress->now;
    if (unsent > 0)
        h2_stream_consume(x->stream, unsent);
}

static void exchange_reset(struct exchange *x, uint32_t code)
{
    exchange_finish(x);
    h2_stream_reset(x->stream, code);
}

/* Core's own answer, or, when the bridge's has begun already, a reset: never a clean end. */
static void exchange_answer(struct exchange *x, enum egress_reason reason)
{
    struct http_message *m = &x->egress->answer;
    if (x->responded) {
        exchange_reset(x, H2_INTERNAL_ERROR);
        return;
    }
    exchange_finish(x);
    http_message_reset(m);
    m->status = egress_reason_status(reason);
    m->no_body = true;
    m->content_length = 0;
    x->responded = true;
    if (http_message_add_str(m, EGRESS_REASON_FIELD, egress_reason_words(reason)) != ERR_OK ||
        h2_stream_respond(x->stream, m, true) != ERR_OK)
        h2_stream_reset(x->stream, H2_INTERNAL_ERROR);
}

static void exchange_fail(struct exchange *x, enum egress_reason reason, const char *words)
{
    const struct target *t = x->client.target;
    egress_note_failure(x->egress, reason, t ? t->text : NULL, x->request.id, words);
    exchange_answer(x, reason);
}

/* Memory ------------------------------------------------------------------------------------------------- */

size_t exchange_waiting(const struct exchange *x)
{
    size_t n = buf_len(&x->upload) + buf_len(&x->request.head) + h2_stream_queued(x->stream);
    if (x->client.connection)
        n += stream_queued(x->client.connection->stream);
    return n + (x->client.waits_for_room ? STREAM_READ : 0);
}

static size_t queue_most(const struct exchange *x)
{
    return x->egress->crowded ? EXCHANGE_CROWDED : EXCHANGE_QUEUE;
}

/* Towards the bridge ------------------------------------------------------------------------------------- */

/* True when body bytes may go to the bridge: a WebSocket's only once it is open. */
static bool exchange_takes_body(const struct exchange *x)
{
    return x->head_sent && x->client.connection && (x->websocket || !x->request.opening);
}

static void exchange_send_end(struct exchange *x)
{
    x->end_sent = true;
    x->since = x->egress->now;
    if (http_client_send_end(&x->client, x->trailers) != ERR_OK)
        exchange_fail(x, EGRESS_BUSY, "the end of the request could not be queued");
}

static bool exchange_send(struct exchange *x, const uint8_t *data, size_t n)
{
    x->body_sent = true;
    x->since = x->egress->now;
    x->egress->count.bytes_in += n;
    if (http_client_send_body(&x->client, data, n) != ERR_OK) {
        exchange_fail(x, EGRESS_BUSY, "the request's body could not be queued");
        return false;
    }
    h2_stream_consume(x->stream, n);
    return true;
}

/* What waits goes, as far as the connection takes it. */
static void exchange_flush(struct exchange *x)
{
    size_t room;
    while (exchange_takes_body(x) && buf_len(&x->upload) > 0 &&
           (room = http_client_room(&x->client, queue_most(x))) > 0) {
        size_t n = buf_len(&x->upload) < room ? buf_len(&x->upload) : room;
        if (!exchange_send(x, buf_data(&x->upload), n))
            return;
        buf_consume(&x->upload, n);
    }
    if (buf_len(&x->upload) == 0)
        buf_free(&x->upload);
    if (exchange_takes_body(x) && buf_len(&x->upload) == 0 && x->request_ended && !x->end_sent)
        exchange_send_end(x);
}

static void exchange_send_head(struct exchange *x)
{
    struct request *r = &x->request;
    struct http1_expect expect = {.head = r->expect_head, .upgrade = r->opening != NULL};
    x->head_sent = true;
    x->since = x->egress->now;
    if (http_client_send_head(&x->client, buf_data(&r->head), buf_len(&r->head), &expect, r->chunked) !=
        ERR_OK) {
        exchange_fail(x, EGRESS_BUSY, "the request's head could not be queued");
        return;
    }
    if (!x->client.connection->reused && !r->safe)
        buf_free(&r->head);
    exchange_flush(x);
}

/* A kept connection may be closed by the bridge just when the request is on its way. What may not be sent
 * twice takes only one that was in use a moment ago, and looks whether it is still open. */
static double exchange_max_idle(const struct exchange *x)
{
    return x->request.idempotent && x->request_ended && !x->body_sent && buf_len(&x->upload) == 0
               ? POOL_ANY_AGE
               : 1;
}

/* Chooses a target and a connection to it. fresh: not a kept one. */
static void exchange_dispatch(struct exchange *x, bool fresh)
{
    struct egress *e = x->egress;
    struct target *t = NULL;
    x->head_sent = false;
    if (x->n_tried < EXCHANGE_TARGETS_MAX)
        t = target_set_choose(&x->request.domain->targets, x->tried, x->n_tried, e->now);
    if (!t && x->n_tried > 0) {
        exchange_fail(x, EGRESS_CONNECT_FAILED, "no other bridge to try");
    } else if (!t) {
        exchange_fail(x, EGRESS_NO_TARGET, "no bridge is Active");
    } else if (http_client_start(&x->client, &e->pool, t, fresh ? 0 : exchange_max_idle(x)) != ERR_OK) {
        exchange_fail(x, EGRESS_BUSY, "no more connections to bridges");
    } else {
        x->since = e->now;
        if (x->client.state == HTTP_CLIENT_HEAD)
            exchange_send_head(x);
    }
}

/* From the edge ------------------------------------------------------------------------------------------ */

struct exchange *exchange_new(struct egress *e, struct h2_stream *stream, struct http_message *m, bool end)
{
    enum egress_reason reason;
    struct exchange *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->egress = e;
    x->stream = stream;
    x->request_ended = end;
    x->since = e->now;
    x->began = e->round;
    buf_init(&x->upload, h2_limits_tunnel.stream_window);
    http_client_init(&x->client, &exchange_client_events, x, &e->response);
    TAILQ_INSERT_TAIL(&e->exchanges, x, next);
    e->running++;
    e->count.requests++;
    if (e->running > e->limits->running) {
        exchange_fail(x, EGRESS_BUSY, "too many requests at once");
    } else if (request_prepare(e, m, &x->request, &reason) != ERR_OK) {
        exchange_answer(x, reason);
    } else {
        egress_note_growth(e, buf_len(&x->request.head));
        x->request.domain->requests++;
        exchange_dispatch(x, false);
    }
    return x;
}

void exchange_data(struct exchange *x, const uint8_t *data, size_t n)
{
    if (x->done) {
        h2_stream_consume(x->stream, n);
        return;
    }
    if (exchange_takes_body(x) && buf_len(&x->upload) == 0) {
        size_t room = http_client_room(&x->client, queue_most(x)), now = n < room ? n : room;
        if (now > 0 && !exchange_send(x, data, now))
            return;
        data += now;
        n -= now;
    }
    egress_note_growth(x->egress, n);
    if (buf_append(&x->upload, data, n) != ERR_OK)
        exchange_fail(x, EGRESS_BUSY, "out of memory for the request's body");
}

static enum err trailers_copy(const struct http_message *from, struct http_message **out)
{
    struct http_message *m = malloc(sizeof *m);
    if (!m)
        return ERR_MEMORY;
    http_message_init(m);
    enum err e = http_message_copy(m, from);
    if (e == ERR_OK) {
        http_hygiene_strip_overrides(m); /* some servers take trailers for fields of the head */
        *out = m;
    } else {
        free(m);
    }
    return e;
}

void exchange_end(struct exchange *x, const struct http_message *trailers)
{
    x->request_ended = true;
    if (x->done)
        return;
    if (trailers && x->request.chunked && trailers_copy(trailers, &x->trailers) != ERR_OK)
        exchange_fail(x, EGRESS_BUSY, "out of memory");
    else
        exchange_flush(x);
}

void exchange_drained(struct exchange *x)
{
    http_client_resume(&x->client);
}

void exchange_free(struct exchange *x)
{
    struct egress *e = x->egress;
    http_client_abort(&x->client);
    TAILQ_REMOVE(&e->exchanges, x, next);
    e->running--;
    e->websockets -= x->websocket;
    request_free(&x->request);
    buf_free(&x->upload);
    if (x->trailers) {
        http_message_free(x->trailers);
        free(x->trailers);
    }
    free(x);
}

/* From the bridge ---------------------------------------------------------------------------------------- */

static void exchange_on_open(void *ctx)
{
    exchange_send_head(ctx);
}

static void exchange_on_interim(void *ctx, struct http_message *m)
{
    struct exchange *x = ctx;
    x->since = x->egress->now;
    if (response_clean(m) != ERR_OK)
        exchange_fail(x, EGRESS_BAD_RESPONSE, "an interim response that is too large");
    else if (h2_stream_respond(x->stream, m, false) != ERR_OK)
        exchange_reset(x, H2_INTERNAL_ERROR);
}

/* The bridge's answer to a WebSocket opening: words when it is not valid. A 2xx would be taken for a yes
 * behind us. */
static const char *opening_answer(struct exchange *x, struct http_message *m, const struct http1_head *head)
{
    const char *words = NULL;
    if (m->status == 101) {
        if (websocket_opening_check(x->request.opening, m, head, &words) != ERR_OK)
            return words;
        x->websocket = true;
        x->egress->websockets++;
        x->egress->count.websockets++;
    } else if (m->status < 300) {
        return "an answer to a WebSocket opening that does not switch protocols";
    }
    return NULL;
}

static void exchange_on_head(void *ctx, struct http_message *m, const struct http1_head *head, bool end)
{
    struct exchange *x = ctx;
    const char *words = x->request.opening ? opening_answer(x, m, head) : NULL;
    x->since = x->egress->now;
    if (!words && response_clean(m) != ERR_OK)
        words = "a response head that is too large";
    if (words) {
        exchange_fail(x, EGRESS_BAD_RESPONSE, words);
        return;
    }
    x->responded = true;
    histogram_add(&x->egress->bridge, x->egress->round - x->began);
    buf_free(&x->request.head);
    if (h2_stream_respond(x->stream, m, end) != ERR_OK) {
        exchange_reset(x, H2_INTERNAL_ERROR);
    } else if (x->websocket) {
        request_free(&x->request);
        http_message_free(m); /* many WebSockets are opened at once, then none: keep nothing for them */
        exchange_flush(x);
    }
}

/* The stream's queue takes more; this is as much as we want to see waiting there. */
static size_t exchange_room(void *ctx)
{
    struct exchange *x = ctx;
    size_t queued = h2_stream_queued(x->stream), room = h2_stream_room(x->stream), most = queue_most(x);
    if (queued < most)
        return most - queued < room ? most - queued : room;
    h2_stream_ask_drained(x->stream);
    return 0;
}

static void exchange_on_body(void *ctx, const uint8_t *data, size_t n)
{
    struct exchange *x = ctx;
    x->since = x->egress->now;
    x->egress->count.bytes_out += n;
    egress_note_growth(x->egress, n);
    if (h2_stream_write(x->stream, data, n) != ERR_OK)
        exchange_reset(x, H2_INTERNAL_ERROR);
}

/* ERR_CLOSED: the stream's head has ended it already, or it is reset. */
static void exchange_end_stream(struct exchange *x, const struct http_message *trailers)
{
    if (h2_stream_end(x->stream, trailers) == ERR_MEMORY)
        exchange_reset(x, H2_INTERNAL_ERROR);
}

static void exchange_on_end(void *ctx, struct http_message *trailers)
{
    struct exchange *x = ctx;
    exchange_end_stream(x, trailers);
    exchange_finish(x);
}

static void exchange_on_half_end(void *ctx)
{
    struct exchange *x = ctx;
    x->since = x->egress->now;
    exchange_end_stream(x, NULL);
}

static void exchange_on_drained(void *ctx)
{
    struct exchange *x = ctx;
    x->since = x->egress->now;
    exchange_flush(x);
}

/* Main probes the target at once, instead of when its turn comes. A target that fails many requests is told
 * of once a second. */
static void exchange_tell_failed(struct exchange *x, struct target *t, const char *words)
{
    struct egress *e = x->egress;
    if (e->now - t->told < TARGET_TELL_SECONDS)
        return;
    t->told = e->now;
    e->events->on_target_failed(e->ctx, t->domain->host, &t->addr, words);
}

/* On to the next target; the one that failed is looked at by main. */
static void exchange_unreachable(struct exchange *x, struct target *t, const char *words)
{
    struct egress *e = x->egress;
    REQUIRE(x->n_tried < EXCHANGE_TARGETS_MAX);
    x->tried[x->n_tried++] = t->id;
    t->suspect_until = e->now + TARGET_SUSPECT_SECONDS;
    egress_note_unreachable(e, t->text, words);
    exchange_tell_failed(x, t, words);
    exchange_dispatch(x, false);
}

/* It took the request and did not answer as a bridge does: nobody else is tried, but main looks at it. */
static void exchange_fail_target(struct exchange *x, enum egress_reason reason, const char *words)
{
    exchange_tell_failed(x, x->client.target, words);
    exchange_fail(x, reason, words);
}

/* RFC 9110 §9.2.2: what may be sent twice is, as long as no byte of an answer has come. */
static bool exchange_may_repeat(const struct exchange *x, bool harmless)
{
    return harmless && !x->client.heard && !x->body_sent && x->repeats < EXCHANGE_REPEATS_MAX &&
           buf_len(&x->request.head) > 0;
}

/* Once more, on a fresh connection. */
static void exchange_repeat(struct exchange *x)
{
    x->repeats++;
    x->end_sent = false;
    x->egress->count.retries++;
    exchange_dispatch(x, true);
}

/* Takes note that t was tried; false when there is no other. */
static bool exchange_can_leave(struct exchange *x, const struct target *t)
{
    if (x->n_tried + 1 >= EXCHANGE_TARGETS_MAX)
        return false;
    x->tried[x->n_tried] = t->id;
    if (!target_set_has(&x->request.domain->targets, x->tried, (size_t)x->n_tried + 1))
        return false;
    x->n_tried++;
    return true;
}

void exchange_leave_failed(struct exchange *x)
{
    struct target *t = x->client.target;
    bool connecting = x->client.state == HTTP_CLIENT_CONNECTING;
    bool asking = x->client.state == HTTP_CLIENT_HEAD && exchange_may_repeat(x, x->request.safe);
    if (!t || !t->listed || t->active || !(connecting || asking) || !exchange_can_leave(x, t))
        return;
    http_client_abort(&x->client);
    if (connecting)
        exchange_dispatch(x, false);
    else
        exchange_repeat(x);
}

/* A fresh connection: the request may have been what killed the bridge, and shall not kill the same one
 * again. */
static void exchange_closed(struct exchange *x, const char *words)
{
    struct target *t = x->client.target;
    if (!exchange_may_repeat(x, x->request.safe) || !exchange_can_leave(x, t)) {
        exchange_fail_target(x, EGRESS_BRIDGE_CLOSED, words);
        return;
    }
    exchange_tell_failed(x, t, words);
    exchange_repeat(x);
}

static void exchange_on_failed(void *ctx, enum http_client_failure why, const char *words)
{
    struct exchange *x = ctx;
    switch (why) {
    case HTTP_CLIENT_UNREACHABLE:
        exchange_unreachable(x, x->client.target, words);
        return;
    case HTTP_CLIENT_STALE:
        if (exchange_may_repeat(x, x->request.idempotent))
            exchange_repeat(x);
        else
            exchange_fail_target(x, EGRESS_BRIDGE_CLOSED, words);
        return;
    case HTTP_CLIENT_CLOSED:
        /* A WebSocket ends with all that was received; its own close handshake tells whether that was
         * everything. */
        if (x->websocket)
            exchange_on_end(x, NULL);
        else
            exchange_closed(x, words);
        return;
    case HTTP_CLIENT_MALFORMED:
        exchange_fail_target(x, EGRESS_BAD_RESPONSE, words);
        return;
    case HTTP_CLIENT_NO_MEMORY:
        exchange_fail(x, EGRESS_BUSY, words);
        return;
    }
}

static const struct http_client_events exchange_client_events = {
    .on_open = exchange_on_open,
    .on_interim = exchange_on_interim,
    .on_head = exchange_on_head,
    .room = exchange_room,
    .on_body = exchange_on_body,
    .on_end = exchange_on_end,
    .on_half_end = exchange_on_half_end,
    .on_drained = exchange_on_drained,
    .on_failed = exchange_on_failed,
};

void exchange_shed(struct exchange *x)
{
    exchange_fail(x, EGRESS_BUSY, "too much waits in memory");
}

/* Deadlines ---------------------------------------------------------------------------------------------- */

static void exchange_connect_expired(struct exchange *x)
{
    struct target *t = x->client.target;
    http_client_abort(&x->client);
    exchange_unreachable(x, t, "no connection in time");
}

/* The bridge owes something, or the edge does. */
static void exchange_sweep_request(struct exchange *x, double idle)
{
    const struct egress_limits *l = x->egress->limits;
    bool bridge_owes = x->end_sent || x->request.opening || buf_len(&x->upload) > 0;
    if (bridge_owes && idle > l->head)
        exchange_fail_target(x, EGRESS_TIMEOUT, "no response in time");
    else if (!bridge_owes && idle > l->upload)
        exchange_fail(x, EGRESS_TIMEOUT, "the rest of the request did not come");
}

static void exchange_sweep_done(struct exchange *x, double idle)
{
    if (x->request_ended || h2_stream_queued(x->stream) > 0)
        x->since = x->egress->now; /* the guest is still being served */
    else if (idle > x->egress->limits->lingering)
        h2_stream_reset(x->stream, H2_NO_ERROR); /* RFC 9113 §8.1: the rest of the request is not needed */
}

void exchange_sweep(struct exchange *x)
{
    const struct egress_limits *l = x->egress->limits;
    double idle = x->egress->now - x->since;
    switch (x->client.state) {
    case HTTP_CLIENT_IDLE:
        exchange_sweep_done(x, idle);
        break;
    case HTTP_CLIENT_CONNECTING:
        if (idle > l->connect)
            exchange_connect_expired(x);
        break;
    case HTTP_CLIENT_HEAD:
        exchange_sweep_request(x, idle);
        break;
    case HTTP_CLIENT_BODY:
        if (!x->client.waits_for_room && idle > l->body)
            exchange_fail(x, EGRESS_TIMEOUT, "the response stopped in the middle");
        break;
    case HTTP_CLIENT_SWITCHED:
        if ((x->client.read_ended || x->end_sent) && idle > l->half_closed)
            exchange_reset(x, H2_CANCEL);
        break;
    }
}
