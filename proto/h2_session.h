/*
 * One HTTP/2 connection (RFC 9113) over any transport: bytes in, bytes out; no descriptor, no clock, no loop.
 * nghttp2 does the protocol; this file gives it our message type, streams with bounded queues in both
 * directions, and back-pressure.
 *
 * Used by edge/web as client towards core (one session per data channel), by core as server, and by
 * edge/web as server towards guests.
 *
 * Flow control: the peer's connection window is given back as bytes arrive; a stream's window only by
 * h2_stream_consume, when the bytes have left towards their reader. A stalled reader so costs at most one
 * stream window and never stalls other streams.
 *
 * Callbacks may call any function of this file but h2_session_free, h2_session_receive and h2_session_send.
 * A stream pointer is valid until its on_close has returned; on_close is the last call for it and comes
 * exactly once for every stream (also from h2_session_free). The one exception: a request that the session
 * answers by itself (a head that is too large: 431; a CONNECT that is no WebSocket: 501) is never shown at
 * all.
 */
#ifndef PROTO_H2_SESSION_H
#define PROTO_H2_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "proto/http_message.h"

struct h2_session;
struct h2_stream;

enum h2_role { H2_CLIENT, H2_SERVER };

/* RFC 9113 §7, those that are used by name. */
enum {
    H2_NO_ERROR = 0,
    H2_PROTOCOL_ERROR = 1,
    H2_INTERNAL_ERROR = 2,
    H2_SETTINGS_TIMEOUT = 4,
    H2_REFUSED_STREAM = 7, /* the peer has not looked at the request: it may be sent again elsewhere */
    H2_CANCEL = 8,
    H2_ENHANCE_YOUR_CALM = 11,
};

/* What a peer can do for little and make us do much: name, words, how many at once, how many a second in the
 * long run (h2_session_tick). Above that the connection is over: GOAWAY with ENHANCE_YOUR_CALM. The first
 * column's last three have no budget: nghttp2 or the owner tells. */
#define H2_ABUSES(X)                                                                                         \
    X(RESETS, resets, "too many streams reset", 200, 20) /* by the peer, or because of what it sent */       \
    X(PINGS, pings, "too many PING frames", 60, 10)                                                          \
    X(SETTINGS, settings, "too many SETTINGS frames", 30, 2)                                                 \
    X(PRIORITIES, priorities, "too many PRIORITY frames", 1000, 200)                                         \
    X(UPDATES, updates, "too many WINDOW_UPDATE frames", 20000, 10000)                                       \
    X(EMPTY, empty, "too many frames without content", 100, 20)                                              \
    X(HEADS, heads, "too many heads above the limit", 10, 1)                                                 \
    X(CONTINUATIONS, continuations, "too many CONTINUATION frames", 0, 0)                                    \
    X(UNREAD, unread, "answers to PING and SETTINGS are not read", 0, 0)                                     \
    X(UNSETTLED, unsettled, "our SETTINGS were not acknowledged in time", 0, 0)

enum h2_abuse {
#define X(NAME, name, words, burst, rate) H2_ABUSE_##NAME,
    H2_ABUSES(X)
#undef X
        H2_ABUSE_NONE, /* also their number */
};
const char *h2_abuse_words(enum h2_abuse abuse);

struct h2_limits {
    uint32_t max_streams;       /* SETTINGS_MAX_CONCURRENT_STREAMS we announce */
    uint32_t stream_window;     /* bytes: what a stalled reader may cost us */
    uint32_t connection_window; /* bytes */
    uint32_t max_frame;   /* largest frame we take, and send where the peer takes it; 16384–16777215 */
    size_t stream_queue;  /* most bytes waiting in one stream's outgoing queue */
    size_t low_water;     /* on_drained when the queue falls to it */
    uint64_t reset_burst; /* RST_STREAM frames taken at once, and per second in the long run; above */
    uint64_t reset_rate;  /* that the connection is ended (CVE-2023-44487) */
    size_t max_acks;      /* answers to PING and SETTINGS that may wait for a peer that does not read */
    bool guarded;         /* a stranger's: the budgets of H2_ABUSES hold */
};
extern const struct h2_limits h2_limits_tunnel; /* between edge and core: core's side */
/* The edge's: an answer begins with a narrow window, since a thousand strangers may ask for one each and read
 * none. request_consumed (edge/web/request.h) makes it h2_limits_tunnel's for who reads. */
extern const struct h2_limits h2_limits_uplink;
extern const struct h2_limits h2_limits_guest;  /* edge as server towards a guest */

struct h2_events {
    /* The peer's first SETTINGS have come: a client may open streams. May be NULL. */
    void (*on_ready)(void *ctx);
    /* The peer's final head: a request (server) or a response (client). end: it has no body.
     * m is the session's, valid during the call; it has been checked (RFC 9113 §8) and carries no
     * connection-specific field; cookies are joined. websocket is set for an extended CONNECT with :protocol
     * websocket, and for the 2xx answer to one. */
    void (*on_head)(void *ctx, struct h2_stream *st, struct http_message *m, bool end);
    /* 1xx responses other than 101 (client only); may be NULL. */
    void (*on_interim)(void *ctx, struct h2_stream *st, struct http_message *m);
    void (*on_data)(void *ctx, struct h2_stream *st, const uint8_t *data, size_t n);
    /* The peer has finished its body; trailers is NULL when there are none. Not called when on_head said end.
     */
    void (*on_end)(void *ctx, struct h2_stream *st, struct http_message *trailers);
    /* The outgoing queue fell to low water after it had been above. */
    void (*on_drained)(void *ctx, struct h2_stream *st);
    /* The stream is gone: code is NO_ERROR (0) when both sides had finished, else RFC 9113 §7. */
    void (*on_close)(void *ctx, struct h2_stream *st, uint32_t code);
    /* There is output to fetch with h2_session_send; called once until h2_session_send has been called. It
     * may come from inside any function of this file: only make a note of it. */
    void (*on_output)(void *ctx);
    /* The peer will take no new streams (GOAWAY). May be NULL. */
    void (*on_goaway)(void *ctx);
    /* An h2_session_ping came back. May be NULL. */
    void (*on_pong)(void *ctx, uint64_t opaque);
};

/* events and limits must outlive the session; ctx is passed to the callbacks. NULL when memory is out. The
 * first output (preface, SETTINGS) waits at once; on_output is not called for it. */
struct h2_session *h2_session_new(enum h2_role role, const struct h2_limits *limits,
                                  const struct h2_events *events, void *ctx);
/* Calls on_close for every stream that is left. NULL is fine. */
void h2_session_free(struct h2_session *s);

/* Feeds n received bytes. ERR_PROTOCOL: fetch the last output (GOAWAY), then free the session. */
enum err h2_session_receive(struct h2_session *s, const uint8_t *data, size_t n);
/* Appends output to out until there is no more or out holds `most` bytes (one frame more at the utmost);
 * ERR_OK also when nothing was there. ERR_MEMORY, also when out's limit is too small. */
enum err h2_session_send(struct h2_session *s, struct buf *out, size_t most);
/* True when h2_session_send has something to give now. */
bool h2_session_has_output(const struct h2_session *s);
/* Announces that no new stream is taken; running ones go on. A server does it in two steps (RFC 9113 §6.8):
 * GOAWAY for all numbers, and once a PING has come back (or after two ticks) GOAWAY with the last number. */
void h2_session_drain(struct h2_session *s);
/* Ends the session: nothing is read any more, the last output is a GOAWAY with this code (RFC 9113 §7). */
void h2_session_terminate(struct h2_session *s, uint32_t code);
/* A guarded session's owner calls this once a second: budgets are refilled. */
void h2_session_tick(struct h2_session *s);
/* What the session was ended for, or H2_ABUSE_NONE. */
enum h2_abuse h2_session_abuse(const struct h2_session *s);
/* The code of the GOAWAY that ended the session (RFC 9113 §7); NO_ERROR while there is none. */
uint32_t h2_session_code(const struct h2_session *s);
/* True while a head has begun and not ended. */
bool h2_session_in_head(const struct h2_session *s);
/* True when both sides' first SETTINGS are in force: the peer's have come, ours are acknowledged. */
bool h2_session_settled(const struct h2_session *s);
/* Bytes of bodies that wait in all streams, and frames that wait beside them. */
size_t h2_session_queued(const struct h2_session *s);
size_t h2_session_frames(const struct h2_session *s);
void h2_session_ping(struct h2_session *s, uint64_t opaque);
/* True when the session has nothing left to do: drained or failed, and all output fetched. */
bool h2_session_finished(const struct h2_session *s);
/* Why the session failed, in nghttp2's words; "" when it did not. */
const char *h2_session_words(const struct h2_session *s);
/* True when a client may open one more stream now: the peer's SETTINGS have come and leave room, no GOAWAY.
 */
bool h2_session_can_open(const struct h2_session *s);
/* True when the peer has announced extended CONNECT (RFC 8441). */
bool h2_session_takes_websockets(const struct h2_session *s);
size_t h2_session_streams(const struct h2_session *s);
/* The owner's ctx, as given to h2_session_new. */
void *h2_session_ctx(const struct h2_session *s);
/* Resets streams without a stream_ctx (h2_stream_set_ctx), `most` at the utmost; returns how many it were. */
size_t h2_session_reset_orphans(struct h2_session *s, size_t most, uint32_t code);

/* Client: opens a stream. m->websocket sends an extended CONNECT (only once the peer has announced it, else
 * ERR_UNSUPPORTED). end: no body follows. ERR_FULL when h2_session_can_open is false. */
enum err h2_session_request(struct h2_session *s, const struct http_message *m, bool end, void *stream_ctx,
                            struct h2_stream **out);

void h2_stream_set_ctx(struct h2_stream *st, void *stream_ctx);
void *h2_stream_ctx(const struct h2_stream *st);
int32_t h2_stream_id(const struct h2_stream *st);
struct h2_session *h2_stream_session(const struct h2_stream *st);

/* Server: sends the head; status 1xx may come before the final one. end: no body follows. A WebSocket is
 * accepted with 200. The fields must be free of hop-by-hop ones (http_message_strip_hop_by_hop). */
enum err h2_stream_respond(struct h2_stream *st, const struct http_message *m, bool end);
/* Bytes that h2_stream_write takes now. */
size_t h2_stream_room(const struct h2_stream *st);
/* Bytes of body that wait to be sent. */
size_t h2_stream_queued(const struct h2_stream *st);
/* on_drained comes after the next bytes of this stream have been sent, if its queue is at low water then;
 * also when it has not been above. */
void h2_stream_ask_drained(struct h2_stream *st);
/* Queues n ≤ room bytes of body. ERR_FULL (nothing taken), ERR_MEMORY, ERR_CLOSED after the end. */
enum err h2_stream_write(struct h2_stream *st, const uint8_t *data, size_t n);
/* Ends our side once the queue is sent, with trailers when not NULL (copied). */
enum err h2_stream_end(struct h2_stream *st, const struct http_message *trailers);
/* n received body bytes have left towards their reader: give the window back. */
void h2_stream_consume(struct h2_stream *st, size_t n);
/* Server: the rest of the request's body is not wanted. Once our answer has left, the stream is ended with
 * NO_ERROR (RFC 9113 §8.1); nothing comes before an answer is complete. */
void h2_stream_stop(struct h2_stream *st);
/* Raises the stream's receive window: bytes, in place of stream_window. */
void h2_stream_set_window(struct h2_stream *st, uint32_t bytes);
/* Bytes of body that have left. */
uint64_t h2_stream_sent(const struct h2_stream *st);
/* Ends both sides at once; on_close follows from a later h2_session_send or receive, never from inside this
 * call. Until then nothing but on_close is called for the stream. */
void h2_stream_reset(struct h2_stream *st, uint32_t code);
/* For clients: false while the request's head waits to be sent. Reset then, the peer never hears of it. */
bool h2_stream_is_begun(const struct h2_stream *st);

#endif
