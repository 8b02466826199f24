/* Where frames end, in whatever pieces they come, and what a hop may say between them. */
#include <check.h>
#include <string.h>

#include "proto/websocket_frames.h"
#include "tests/unit/unit.h"

/* Payload: 5; 126 with a mask; 65536; none; then Close. */
static size_t conversation(uint8_t *out, size_t ends[5])
{
    uint8_t *p = out;
    memcpy(p, "\x81\x05hello", 7);
    ends[0] = (size_t)((p += 7) - out);
    memcpy(p, "\x02\xfe\x00\x7e\xff\xff\xff\xff", 8);
    memset(p + 8, 0xff, 126);
    ends[1] = (size_t)((p += 8 + 126) - out);
    memcpy(p, "\x80\x7f\0\0\0\0\0\x01\0\0", 10);
    memset(p + 10, 0x88, 65536);
    ends[2] = (size_t)((p += 10 + 65536) - out);
    memcpy(p, "\x89\x00", 2);
    ends[3] = (size_t)((p += 2) - out);
    websocket_close_frame(WEBSOCKET_GOING_AWAY, p);
    ends[4] = (size_t)((p += WEBSOCKET_CLOSE_FRAME) - out);
    return ends[4];
}

static bool is_end(const size_t ends[5], size_t at)
{
    return at == 0 || at == ends[0] || at == ends[1] || at == ends[2] || at == ends[3];
}

START_TEST(test_ends)
{
    static const size_t pieces[] = {1, 2, 3, 7, 100, 65535, 1 << 20};
    static uint8_t bytes[70000];
    size_t ends[5], n = conversation(bytes, ends);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct websocket_frames f = {0};
        ck_assert(websocket_frames_between(&f));
        for (size_t at = 0, step; at < n; at += step) {
            step = pieces[i] < n - at ? pieces[i] : n - at;
            websocket_frames_pass(&f, bytes + at, step);
            ck_assert_int_eq(websocket_frames_between(&f), is_end(ends, at + step));
        }
        ck_assert(f.closed);
    }
}
END_TEST

/* A length of 2^64-1 is nobody's: no place is found in it, and nothing breaks. */
START_TEST(test_absurd_length)
{
    static const uint8_t head[] = "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff";
    uint8_t rest[1000] = {0x88};
    struct websocket_frames f = {0};
    websocket_frames_pass(&f, head, 10);
    for (int i = 0; i < 100; i++)
        websocket_frames_pass(&f, rest, sizeof rest);
    ck_assert(!websocket_frames_between(&f) && !f.closed);
}
END_TEST

START_TEST(test_close_frame)
{
    uint8_t frame[WEBSOCKET_CLOSE_FRAME];
    websocket_close_frame(WEBSOCKET_GOING_AWAY, frame);
    ck_assert_mem_eq(frame, "\x88\x02\x03\xe9", sizeof frame);
}
END_TEST

UNIT_MAIN("websocket_frames", test_ends, test_absurd_length, test_close_frame)
