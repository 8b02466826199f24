/*
 * Where the frames of a WebSocket end. What must hold: pieces make no difference, and between two frames a
 * Close frame of ours is taken as one, and as the last.
 */
#include <stdint.h>

#include "common/fatal.h"
#include "proto/websocket_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct websocket_frames whole = {0}, pieces = {0}, ended;
    uint8_t frame[WEBSOCKET_CLOSE_FRAME];
    websocket_frames_pass(&whole, data, n);
    for (size_t i = 0; i < n; i++) {
        REQUIRE(pieces.have < sizeof pieces.head && !(pieces.have && pieces.left));
        websocket_frames_pass(&pieces, data + i, 1);
    }
    REQUIRE(pieces.left == whole.left && pieces.have == whole.have && pieces.closed == whole.closed);
    if (!websocket_frames_between(&whole))
        return 0;
    ended = whole;
    websocket_close_frame(WEBSOCKET_GOING_AWAY, frame);
    websocket_frames_pass(&ended, frame, sizeof frame);
    REQUIRE(ended.closed && ended.left == 0 && ended.have == 0 && !websocket_frames_between(&ended));
    return 0;
}
