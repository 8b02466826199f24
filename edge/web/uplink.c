#include "edge/web/uplink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/sock.h"
#include "common/stream.h"
#include "common/throughput.h"
#include "edge/web/request.h"

enum {
    QUEUE_MAX = 512 * 1024, /* bytes of HTTP/2 waiting for the tunnel */
    QUEUE_FILL = 256 * 1024,
    QUEUE_LOW = 64 * 1024,
    /* sshd writes what one read from the network brought, up to 256 KiB: a narrower pipe makes it go round
     * its loop, with three more system calls, for every 64 KiB. */
    PIPE_IN = 256 * 1024,
    PIPE_OUT = 128 * 1024,
    /* Stream numbers end at 2^31 (RFC 9113 §5.1.1): main opens a new channel in good time. */
    STREAM_ID_LAST = 0x7f000000,
    PACKED = 64, /* streams on one tunnel before the next one of the same core is used */
};

/* A tunnel that has been silent for so long, with streams on it, may be dead. */
static const double lively_seconds = 1;

struct uplink {
    LIST_ENTRY(uplink) link;
    struct web *web;
    int64_t id;
    char core[64];
    int tunnel, channel;
    struct stream *stream;
    struct h2_session *session;
    uint64_t requests, retries;
    struct throughput in, out;
    double heard;  /* web->now when core last said something */
    size_t resets; /* that may be sent now */
    bool draining;
    bool linked; /* among the web's uplinks: requests may choose it */
};

/* Chosen for requests no more. */
static void uplink_retire(struct uplink *u)
{
    if (!u->draining)
        waiting_begin(u->web);
    u->draining = true;
}

static void uplink_unlink(struct uplink *u)
{
    uplink_retire(u);
    if (u->linked)
        LIST_REMOVE(u, link);
    u->linked = false;
}

void uplink_free(struct uplink *u)
{
    if (!u)
        return;
    uplink_unlink(u);
    h2_session_free(u->session);
    stream_free(u->stream);
    free(u);
}

void uplink_close(struct uplink *u, const char *reason)
{
    struct web *w = u->web;
    char quoted[512]; /* the reason may hold what core sent */
    log_event(LOG_NOTICE, "Uplink Closed", "core=%s tunnel=%d channel=%d requests=%llu running=%zu reason=%s",
              u->core, u->tunnel, u->channel, (unsigned long long)u->requests, h2_session_streams(u->session),
              log_quote(reason, strlen(reason), quoted, sizeof quoted));
    (void)ipc_send(
        w->main,
        json_pack("{s:s, s:I, s:s}", "type", "uplink_closed", "id", (json_int_t)u->id, "reason", reason),
        NULL, 0);
    uplink_free(u);
    web_check_drained(w);
}

/* The stream's side ------------------------------------------------------------------------------------ */

/* True when the uplink had nothing left to do and is gone. */
static bool close_if_finished(struct uplink *u)
{
    if (!h2_session_finished(u->session) && !(u->draining && h2_session_streams(u->session) == 0))
        return false;
    const char *words = h2_session_words(u->session);
    uplink_close(u, words[0] ? words : "drained");
    return true;
}

static size_t on_stream_data(void *ctx, const uint8_t *data, size_t n)
{
    struct uplink *u = ctx;
    u->heard = u->web->now;
    enum err e = h2_session_receive(u->session, data, n);
    if (e != ERR_OK) {
        char reason[200];
        snprintf(reason, sizeof reason, "HTTP/2: %.180s", h2_session_words(u->session));
        uplink_close(u, reason);
    } else {
        close_if_finished(u);
    }
    return n;
}

static void on_stream_close(void *ctx, enum err why, const char *words)
{
    (void)why;
    uplink_close(ctx, words);
}

static void on_stream_eof(void *ctx)
{
    uplink_close(ctx, "core closed the channel");
}

static void on_stream_flush(void *ctx, struct buf *queue)
{
    struct uplink *u = ctx;
    if (h2_session_send(u->session, queue, QUEUE_FILL) != ERR_OK)
        uplink_close(u, "out of memory");
    else if (h2_session_has_output(u->session))
        stream_ask_flush(u->stream);
}

static const struct stream_events stream_events = {.on_data = on_stream_data,
                                                   .on_eof = on_stream_eof,
                                                   .on_close = on_stream_close,
                                                   .on_flush = on_stream_flush};

/* The session's side ----------------------------------------------------------------------------------- */

static void on_ready(void *ctx)
{
    const struct uplink *u = ctx;
    log_event(LOG_INFO, "Uplink Ready", "core=%s tunnel=%d channel=%d", u->core, u->tunnel, u->channel);
    waiting_serve(u->web);
}

static void on_head(void *ctx, struct h2_stream *st, struct http_message *m, bool end)
{
    (void)ctx;
    if (h2_stream_ctx(st))
        request_answer_head(h2_stream_ctx(st), m, end);
}

static void on_interim(void *ctx, struct h2_stream *st, struct http_message *m)
{
    (void)ctx;
    if (h2_stream_ctx(st))
        request_answer_interim(h2_stream_ctx(st), m);
}

static void on_data(void *ctx, struct h2_stream *st, const uint8_t *data, size_t n)
{
    (void)ctx;
    if (h2_stream_ctx(st)) /* else it stops at its window */
        request_answer_data(h2_stream_ctx(st), data, n);
}

static void on_end(void *ctx, struct h2_stream *st, struct http_message *trailers)
{
    (void)ctx;
    if (h2_stream_ctx(st))
        request_answer_end(h2_stream_ctx(st), trailers);
}

static void on_drained(void *ctx, struct h2_stream *st)
{
    (void)ctx;
    if (h2_stream_ctx(st))
        request_answer_room(h2_stream_ctx(st));
}

/* A stream whose request is gone (given up by the guest) has no context any more. */
static void on_close(void *ctx, struct h2_stream *st, uint32_t code)
{
    const struct uplink *u = ctx;
    if (h2_stream_ctx(st))
        request_answer_closed(h2_stream_ctx(st), code, !u->linked);
}

static void on_output(void *ctx)
{
    const struct uplink *u = ctx;
    stream_ask_flush(u->stream);
}

static void on_goaway(void *ctx)
{
    uplink_retire(ctx);
}

static const struct h2_events session_events = {.on_ready = on_ready,
                                                .on_head = on_head,
                                                .on_interim = on_interim,
                                                .on_data = on_data,
                                                .on_end = on_end,
                                                .on_drained = on_drained,
                                                .on_close = on_close,
                                                .on_output = on_output,
                                                .on_goaway = on_goaway};

/* Life ------------------------------------------------------------------------------------------------- */

struct uplink *uplink_new(struct web *w, int64_t id, const char *core, int tunnel, int channel, int fd_in,
                          int fd_out)
{
    struct uplink *u = calloc(1, sizeof *u);
    if (!u) {
        close(fd_in);
        if (fd_out != fd_in)
            close(fd_out);
        return NULL;
    }
    *u = (struct uplink){
        .web = w, .id = id, .tunnel = tunnel, .channel = channel, .resets = (size_t)w->limits.reset_burst};
    snprintf(u->core, sizeof u->core, "%s", core);
    sock_widen_pipe(fd_in, PIPE_IN);
    sock_widen_pipe(fd_out, PIPE_OUT);
    u->stream = stream_new(w->loop, fd_in, fd_out, &stream_events, u, QUEUE_MAX, QUEUE_LOW);
    u->session = u->stream ? h2_session_new(H2_CLIENT, &h2_limits_uplink, &session_events, u) : NULL;
    if (!u->session) {
        uplink_free(u);
        return NULL;
    }
    throughput_mark(&u->in, 0, w->now);
    throughput_mark(&u->out, 0, w->now);
    LIST_INSERT_HEAD(&w->uplinks, u, link);
    u->linked = true;
    stream_ask_flush(u->stream);
    return u;
}

struct uplink *uplink_find(struct web *w, int64_t id)
{
    struct uplink *u;
    LIST_FOREACH (u, &w->uplinks, link)
        if (u->id == id)
            return u;
    return NULL;
}

void uplink_drain(struct uplink *u)
{
    uplink_retire(u);
    h2_session_drain(u->session);
}

/* Choosing --------------------------------------------------------------------------------------------- */

/* What this worker has on all tunnels of the same core. */
static size_t streams_of_core(const struct uplink *of)
{
    const struct uplink *u;
    size_t n = 0;
    LIST_FOREACH (u, &of->web->uplinks, link)
        if (strcmp(u->core, of->core) == 0)
            n += h2_session_streams(u->session);
    return n;
}

/* Requests are packed: sshd and core handle many in one go for little more than one, so a second tunnel with
 * half of them each costs more than it brings until there are many. WebSockets last, and are carried little
 * at a time: they are spread, so that a tunnel that breaks takes no more of them with it than it must. */
static size_t load_of(const struct uplink *u, bool websocket)
{
    size_t streams = h2_session_streams(u->session);
    bool lively = u->web->now - u->heard < lively_seconds;
    return websocket || !lively ? streams : streams / PACKED;
}

static bool is_better(const struct uplink *u, const struct uplink *best, bool websocket)
{
    if (strcmp(u->core, best->core) != 0)
        return streams_of_core(u) < streams_of_core(best);
    size_t a = load_of(u, websocket), b = load_of(best, websocket);
    return a < b || (a == b && u->tunnel < best->tunnel); /* all workers pack the same tunnel */
}

struct uplink *uplink_choose(struct web *w, bool websocket, const struct uplink *avoid, bool *busy)
{
    struct uplink *u, *best = NULL, *last_resort = NULL;
    *busy = false;
    LIST_FOREACH (u, &w->uplinks, link) {
        if (u->draining)
            continue;
        if (!h2_session_can_open(u->session) || (websocket && !h2_session_takes_websockets(u->session))) {
            *busy = *busy || h2_session_streams(u->session) > 0;
            continue;
        }
        if (u == avoid)
            last_resort = u;
        else if (!best || is_better(u, best, websocket))
            best = u;
    }
    return best ? best : last_resort;
}

struct h2_session *uplink_take(struct uplink *u, bool again)
{
    u->requests++;
    u->retries += again;
    return u->session;
}

const char *uplink_core(const struct uplink *u)
{
    return u->core;
}

int uplink_tunnel(const struct uplink *u)
{
    return u->tunnel;
}

const struct uplink *uplink_of(const struct h2_stream *st)
{
    return h2_session_ctx(h2_stream_session(st));
}

void uplink_give_up(struct h2_stream *st, uint32_t code)
{
    struct uplink *u = h2_session_ctx(h2_stream_session(st));
    h2_stream_set_ctx(st, NULL);
    bool begun = h2_stream_is_begun(st);
    if (begun && u->resets == 0) {
        u->web->counters.resets_deferred++; /* uplinks_sweep */
        return;
    }
    u->resets -= begun; /* what core never hears of costs nothing (CVE-2023-44487) */
    h2_stream_reset(st, code);
}

static void send_deferred_resets(struct uplink *u)
{
    bool deferred = u->resets == 0;
    size_t burst = (size_t)u->web->limits.reset_burst;
    u->resets += (size_t)u->web->limits.reset_rate;
    u->resets = u->resets < burst ? u->resets : burst;
    if (deferred)
        u->resets -= h2_session_reset_orphans(u->session, u->resets, H2_CANCEL);
}

size_t uplinks_queued(const struct web *w)
{
    const struct uplink *u;
    size_t n = 0;
    LIST_FOREACH (u, &w->uplinks, link)
        n += h2_session_queued(u->session);
    return n;
}

void uplinks_sweep(struct web *w)
{
    struct uplink *u, *next;
    for (u = LIST_FIRST(&w->uplinks); u; u = next) {
        next = LIST_NEXT(u, link);
        if (u->requests * 2 > STREAM_ID_LAST && !u->draining)
            uplink_drain(u);
        send_deferred_resets(u);
        throughput_mark(&u->in, stream_bytes_in(u->stream), w->now);
        throughput_mark(&u->out, stream_bytes_out(u->stream), w->now);
        close_if_finished(u);
    }
}

json_t *uplinks_status(const struct web *w)
{
    json_t *list = json_array();
    const struct uplink *u;
    LIST_FOREACH (u, &w->uplinks, link) {
        const char *state = u->draining                          ? "draining"
                            : h2_session_can_open(u->session)    ? "active"
                            : h2_session_streams(u->session) > 0 ? "full"
                                                                 : "opening";
        json_array_append_new(
            list,
            json_pack("{s:I, s:s, s:i, s:i, s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:I}", "id",
                      (json_int_t)u->id, "core", u->core, "tunnel", u->tunnel, "channel", u->channel, "state",
                      state, "streams", (json_int_t)h2_session_streams(u->session), "requests",
                      (json_int_t)u->requests, "bytes_in", (json_int_t)stream_bytes_in(u->stream),
                      "bytes_out", (json_int_t)stream_bytes_out(u->stream), "retries", (json_int_t)u->retries,
                      "rate_in", throughput_rate(&u->in), "rate_out", throughput_rate(&u->out), "queue",
                      (json_int_t)(h2_session_queued(u->session) + stream_queued(u->stream))));
    }
    return list;
}
