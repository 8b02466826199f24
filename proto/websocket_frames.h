/* Where the frames of an open WebSocket end (RFC 6455 §5.2), for a hop that passes them on unread and has a
 * word of its own to say in the end: between two frames only. */
#ifndef PROTO_WEBSOCKET_FRAMES_H
#define PROTO_WEBSOCKET_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One direction. Zeroed: at the beginning. */
struct websocket_frames {
    uint64_t left;    /* bytes of the frame's payload that are still to come */
    uint8_t head[14]; /* of the frame that is beginning */
    uint8_t have;     /* bytes of it */
    bool closed;      /* a Close frame has begun: nothing follows it */
};

enum {
    WEBSOCKET_GOING_AWAY = 1001, /* RFC 6455 §7.4.1: a server that goes down */
    WEBSOCKET_CLOSE_FRAME = 4,
};

/* The next n bytes, in whatever pieces they come. Allocates nothing. */
void websocket_frames_pass(struct websocket_frames *f, const uint8_t *data, size_t n);
/* True when a frame may be put in here: none has begun, and none was the last. */
bool websocket_frames_between(const struct websocket_frames *f);
/* A server's Close frame with this code (§5.5.1). */
void websocket_close_frame(uint16_t code, uint8_t out[WEBSOCKET_CLOSE_FRAME]);

#endif
