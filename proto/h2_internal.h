/* What h2_session.c, h2_stream.c, h2_head.c and h2_guard.c share; nobody else includes it. */
#ifndef PROTO_H2_INTERNAL_H
#define PROTO_H2_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "proto/h2_session.h"

enum { H2_WORDS_MAX = 128, H2_NV_MAX = HTTP_FIELDS_MAX + 32 };

struct h2_stream {
    struct h2_session *session;
    struct h2_stream *next, *previous; /* all streams of the session */
    struct h2_stream *next_drained;
    void *ctx;
    int32_t id;
    unsigned refuse; /* server: the status the session answers by itself; 0 when it does not */
    bool websocket;
    bool begun;     /* client: the peer has been sent the head */
    bool head_seen; /* the peer's final head has come: what follows are trailers */
    bool peer_ended;
    bool shown;     /* the owner knows it: on_close is due */
    bool responded; /* server: the final head is submitted */
    bool ended;     /* h2_stream_end was called, or the head had no body */
    bool deferred;  /* nghttp2 waits for h2_stream_write */
    bool above;     /* the queue has been above low water */
    bool drained;   /* is in the session's list */
    bool reset;
    bool stop; /* server: to be reset behind our END_STREAM */
    uint64_t sent;
    struct http_message *trailers; /* to send behind the queue */
    struct buf queue;
};

struct h2_session {
    nghttp2_session *ng;
    enum h2_role role;
    const struct h2_limits *limits;
    const struct h2_events *events;
    void *ctx;
    struct h2_stream *streams, *drained;
    size_t n_streams;
    struct http_message scratch;
    size_t scratch_bytes;
    size_t queued; /* bytes in all streams' queues */
    bool ready, acknowledged, goaway, draining, failed, told, in_head;
    bool notice_seen, last_sent, final_sent; /* the steps of draining */
    unsigned drain_ticks;
    uint32_t code; /* of our GOAWAY */
    enum h2_abuse abuse;
    uint32_t budget[H2_ABUSE_NONE];
    struct buf *out; /* during h2_session_send */
    size_t most;
    char words[H2_WORDS_MAX];
};

/* h2_session.c: tells the owner once that there is output. */
void h2_note_output(struct h2_session *s);

/* h2_guard.c */
void h2_guard_init(struct h2_session *s);
void h2_guard_refill(struct h2_session *s);
/* Takes one from a budget; an empty one ends the session with the next frame. */
void h2_guard_spend(struct h2_session *s, enum h2_abuse abuse);
void h2_guard_blame(struct h2_session *s, enum h2_abuse abuse);
void h2_guard_callbacks(nghttp2_session_callbacks *c);

/* h2_stream.c: the new stream is in the session's list. NULL when memory is out. */
struct h2_stream *h2_stream_new(struct h2_session *s, int32_t id);
/* Out of the list, then on_close if the owner knows it, then freed. */
void h2_stream_close(struct h2_stream *st, uint32_t code);
struct h2_stream *h2_stream_of(struct h2_session *s, int32_t id);

/* One of our frames has left: the stream may be due for its reset. */
void h2_stream_frame_sent(struct h2_session *s, const nghttp2_frame *frame);
/* Sends "drained" to the owners that are waiting for it. */
void h2_streams_call_drained(struct h2_session *s);
void h2_stream_callbacks(nghttp2_session_callbacks *c);

/* h2_head.c: fields in nghttp2's form; they point into the message. */
struct h2_nv_list {
    nghttp2_nv nv[H2_NV_MAX];
    size_t n;
    char number[24], status[8];
};
void h2_nv_request(struct h2_nv_list *l, const struct http_message *m);
void h2_nv_response(struct h2_nv_list *l, const struct http_message *m);
void h2_nv_trailers(struct h2_nv_list *l, const struct http_message *m);
/* A HEADERS frame has been received to its end. */
void h2_head_done(struct h2_session *s, const nghttp2_frame *frame);
void h2_head_callbacks(nghttp2_session_callbacks *c);

#endif
