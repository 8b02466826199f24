#include <stdlib.h>
#include <string.h>

#include "proto/chandata.h"
#include "proto/stun_stream.h"
#include "tests/unit/stun_vectors.h"
#include "tests/unit/unit.h"

START_TEST(test_parse)
{
    static const uint8_t packet[] = {0x40, 0x01, 0, 3, 'a', 'b', 'c', 0};
    struct chandata c;
    ck_assert_int_eq(chandata_parse(packet, sizeof packet, &c), ERR_OK); /* padded */
    ck_assert_uint_eq(c.channel, 0x4001);
    ck_assert_uint_eq(c.len, 3);
    ck_assert_ptr_eq(c.data, packet + 4);
    ck_assert_int_eq(chandata_parse(packet, 7, &c), ERR_OK); /* not padded: UDP */
    for (size_t n = 0; n < 7; n++)
        ck_assert_int_eq(chandata_parse(packet, n, &c), ERR_TRUNCATED);
    ck_assert_int_eq(chandata_parse(rfc5769_request, sizeof rfc5769_request, &c), ERR_MALFORMED);
}
END_TEST

START_TEST(test_header)
{
    uint8_t packet[4];
    struct chandata c;
    chandata_write_header(packet, 0x4fff, 0);
    ck_assert_int_eq(chandata_parse(packet, 4, &c), ERR_OK);
    ck_assert_uint_eq(c.channel, 0x4fff);
    ck_assert_uint_eq(c.len, 0);
    chandata_write_header(packet, 0x4000, 0xabcd);
    ck_assert_mem_eq(packet, "\x40\x00\xab\xcd", 4);
}
END_TEST

START_TEST(test_stream_takes_one_message_at_a_time)
{
    uint8_t stream[8 + sizeof rfc5769_request + 4] = {0x40, 0x00, 0, 2, 'h', 'i', 0, 0};
    size_t message = 0, frame = 0, n = 8 + sizeof rfc5769_request;
    memcpy(stream + 8, rfc5769_request, sizeof rfc5769_request);
    for (size_t i = 0; i < 8; i++)
        ck_assert_int_eq(stun_stream_next(stream, i, &message, &frame), ERR_AGAIN);
    for (size_t i = 8; i <= n; i++) {
        ck_assert_int_eq(stun_stream_next(stream, i, &message, &frame), ERR_OK);
        ck_assert_uint_eq(message, 6);
        ck_assert_uint_eq(frame, 8);
    }
    for (size_t i = 0; i < sizeof rfc5769_request; i++)
        ck_assert_int_eq(stun_stream_next(stream + 8, i, &message, &frame), ERR_AGAIN);
    ck_assert_int_eq(stun_stream_next(stream + 8, sizeof rfc5769_request + 4, &message, &frame), ERR_OK);
    ck_assert_uint_eq(message, sizeof rfc5769_request);
    ck_assert_uint_eq(frame, sizeof rfc5769_request);
}
END_TEST

START_TEST(test_stream_longest_frame)
{
    enum { LONGEST = 4 + 65536 };
    uint8_t *stream = calloc(1, STUN_STREAM_FRAME_MAX);
    size_t message, frame;
    memcpy(stream, "\x40\x00\xff\xff", 4);
    ck_assert_int_eq(stun_stream_next(stream, LONGEST - 1, &message, &frame), ERR_AGAIN);
    ck_assert_int_eq(stun_stream_next(stream, LONGEST, &message, &frame), ERR_OK);
    ck_assert_uint_eq(message, 65539);
    ck_assert_uint_eq(frame, LONGEST);
    memcpy(stream, "\x00\x01\xff\xfc\x21\x12\xa4\x42", 8);
    ck_assert_int_eq(stun_stream_next(stream, STUN_STREAM_FRAME_MAX - 1, &message, &frame), ERR_AGAIN);
    ck_assert_int_eq(stun_stream_next(stream, STUN_STREAM_FRAME_MAX, &message, &frame), ERR_OK);
    ck_assert_uint_eq(frame, STUN_STREAM_FRAME_MAX);
    free(stream);
}
END_TEST

START_TEST(test_stream_refuses_what_is_neither)
{
    size_t message, frame;
    ck_assert_int_eq(stun_stream_next((const uint8_t *)"\x80", 1, &message, &frame), ERR_MALFORMED);
    ck_assert_int_eq(stun_stream_next((const uint8_t *)"\xff\xff", 2, &message, &frame), ERR_MALFORMED);
    /* TLS and HTTP are noticed before the length they seem to announce has come */
    ck_assert_int_eq(stun_stream_next((const uint8_t *)"\x16\x03\x01\x02\x00", 5, &message, &frame),
                     ERR_MALFORMED);
    ck_assert_int_eq(stun_stream_next((const uint8_t *)"\x00\x01\x00\x00 / HT", 9, &message, &frame),
                     ERR_MALFORMED);
    ck_assert_int_eq(
        stun_stream_next((const uint8_t *)"\x00\x01\x00\x01\x21\x12\xa4\x42", 8, &message, &frame),
        ERR_MALFORMED); /* no multiple of four */
}
END_TEST

UNIT_MAIN("chandata", test_parse, test_header, test_stream_takes_one_message_at_a_time,
          test_stream_longest_frame, test_stream_refuses_what_is_neither)
