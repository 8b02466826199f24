/* What a peer may make us do for little: a budget for each kind, looked at when a frame's head has come and
 * before anything is done about the frame. */
#include <stdio.h>

#include "proto/h2_internal.h"

static const struct {
    const char *words;
    uint32_t burst, rate;
} rows[] = {
#define X(NAME, name, words, burst, rate) [H2_ABUSE_##NAME] = {words, burst, rate},
    H2_ABUSES(X)
#undef X
};

const char *h2_abuse_words(enum h2_abuse abuse)
{
    return abuse < H2_ABUSE_NONE ? rows[abuse].words : "";
}

void h2_guard_init(struct h2_session *s)
{
    s->abuse = H2_ABUSE_NONE;
    for (size_t i = 0; i < H2_ABUSE_NONE; i++)
        s->budget[i] = rows[i].burst;
}

void h2_guard_refill(struct h2_session *s)
{
    for (size_t i = 0; i < H2_ABUSE_NONE; i++) {
        uint32_t missing = rows[i].burst - s->budget[i];
        s->budget[i] += missing < rows[i].rate ? missing : rows[i].rate;
    }
}

void h2_guard_blame(struct h2_session *s, enum h2_abuse abuse)
{
    if (s->abuse != H2_ABUSE_NONE)
        return;
    s->abuse = abuse;
    snprintf(s->words, sizeof s->words, "%s", rows[abuse].words);
}

void h2_guard_spend(struct h2_session *s, enum h2_abuse abuse)
{
    if (!s->limits->guarded)
        return;
    if (s->budget[abuse] == 0)
        h2_guard_blame(s, abuse);
    else
        s->budget[abuse]--;
}

/* RFC 9113 §10.5 names them. Frames for streams that are gone count as well: nghttp2 shows those to nobody.
 */
static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *user)
{
    struct h2_session *s = user;
    (void)ng;
    s->in_head = hd->type == NGHTTP2_HEADERS || hd->type == NGHTTP2_CONTINUATION;
    switch (hd->type) {
    case NGHTTP2_RST_STREAM:
        h2_guard_spend(s, H2_ABUSE_RESETS);
        break;
    case NGHTTP2_PING:
        h2_guard_spend(s, H2_ABUSE_PINGS);
        break;
    case NGHTTP2_SETTINGS:
        h2_guard_spend(s, H2_ABUSE_SETTINGS);
        break;
    case NGHTTP2_PRIORITY:
        h2_guard_spend(s, H2_ABUSE_PRIORITIES);
        break;
    case NGHTTP2_WINDOW_UPDATE:
        h2_guard_spend(s, H2_ABUSE_UPDATES);
        break;
    case NGHTTP2_DATA:
        if (hd->length == 0 && !(hd->flags & NGHTTP2_FLAG_END_STREAM))
            h2_guard_spend(s, H2_ABUSE_EMPTY);
        break;
    default:
        break;
    }
    return s->abuse == H2_ABUSE_NONE ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* A frame that nghttp2 answers with a reset, or refuses: to the peer it is as cheap as a reset of its own
 * (CVE-2025-8671). */
static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *frame, int error, void *user)
{
    struct h2_session *s = user;
    (void)ng, (void)frame, (void)error;
    s->in_head = false;
    h2_guard_spend(s, H2_ABUSE_RESETS);
    return 0; /* on_begin_frame ends it with the next frame */
}

void h2_guard_callbacks(nghttp2_session_callbacks *c)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, on_invalid_frame);
}
