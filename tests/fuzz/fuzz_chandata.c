/* Bytes of a stream that carries STUN and ChannelData: framed at once and byte by byte, both must agree. */
#include <stdint.h>
#include <stdlib.h>

#include "common/fatal.h"
#include "proto/chandata.h"
#include "proto/stun_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The frame must not be found earlier than its last byte has come, and must not change when more comes. */
static void frame_piecemeal(const uint8_t *data, size_t n, enum err whole, size_t message, size_t frame)
{
    size_t m = 0, f = 0, step = n > 512 ? n / 128 : 1;
    for (size_t have = 0; have < n; have += step) {
        enum err e = stun_stream_next(data, have, &m, &f);
        if (e == ERR_AGAIN) {
            REQUIRE(whole != ERR_OK || have < frame);
            continue;
        }
        REQUIRE(e == whole);
        REQUIRE(e != ERR_OK || (m == message && f == frame && f <= have));
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct chandata c;
    if (chandata_parse(data, n, &c) == ERR_OK) {
        REQUIRE(c.data == data + CHANDATA_HEADER && c.len <= n - CHANDATA_HEADER);
        REQUIRE(c.channel >= CHANDATA_FIRST && c.channel <= 0x7fff);
    }
    while (n > 0) {
        size_t message = 0, frame = 0;
        enum err e = stun_stream_next(data, n, &message, &frame);
        frame_piecemeal(data, n, e, message, frame);
        if (e != ERR_OK)
            break;
        REQUIRE(message <= frame && frame <= n && frame >= CHANDATA_HEADER && frame <= STUN_STREAM_FRAME_MAX);
        if (chandata_is(data[0]))
            REQUIRE(chandata_parse(data, message, &c) == ERR_OK && c.len == message - CHANDATA_HEADER);
        data += frame;
        n -= frame;
    }
    return 0;
}
