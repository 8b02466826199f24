#include "proto/websocket_frames.h"

#include <string.h>

enum { OPCODE = 0x0f, OPCODE_CLOSE = 8, FINAL = 0x80, MASKED = 0x80, LENGTH = 0x7f, LENGTH_16 = 126, LENGTH_64 = 127 };

/* Of the first two bytes: where the length and the mask are. */
static size_t length_bytes(const uint8_t *head)
{
    unsigned length = head[1] & LENGTH;
    return length == LENGTH_64 ? 8 : length == LENGTH_16 ? 2 : 0;
}

static size_t head_size(const struct websocket_frames *f)
{
    return f->have < 2 ? 2 : 2 + length_bytes(f->head) + (f->head[1] & MASKED ? 4 : 0);
}

static void head_complete(struct websocket_frames *f)
{
    size_t n = length_bytes(f->head);
    f->left = n ? 0 : f->head[1] & LENGTH;
    for (size_t i = 0; i < n; i++)
        f->left = f->left << 8 | f->head[2 + i];
    f->closed |= (f->head[0] & OPCODE) == OPCODE_CLOSE;
    f->have = 0;
}

void websocket_frames_pass(struct websocket_frames *f, const uint8_t *data, size_t n)
{
    while (n > 0) {
        size_t wanted = head_size(f) - f->have, taken;
        if (f->left > 0) {
            taken = f->left < n ? (size_t)f->left : n;
            f->left -= taken;
        } else {
            taken = wanted < n ? wanted : n;
            memcpy(f->head + f->have, data, taken);
            f->have = (uint8_t)(f->have + taken);
            if (f->have >= 2 && f->have == head_size(f))
                head_complete(f);
        }
        data += taken;
        n -= taken;
    }
}

bool websocket_frames_between(const struct websocket_frames *f)
{
    return f->left == 0 && f->have == 0 && !f->closed;
}

void websocket_close_frame(uint16_t code, uint8_t out[WEBSOCKET_CLOSE_FRAME])
{
    out[0] = FINAL | OPCODE_CLOSE;
    out[1] = 2;
    out[2] = (uint8_t)(code >> 8);
    out[3] = (uint8_t)code;
}
