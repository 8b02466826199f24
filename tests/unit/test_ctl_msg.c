/* The control channel's table: who may say what, when, how often; and the frames that carry it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_frame.h"
#include "proto/ctl_msg.h"

static enum err say(struct ctl_channel *c, enum ctl_sender sender, const char *type)
{
    enum ctl_type t;
    json_t *msg = json_pack("{ss}", "type", type);
    enum err e = ctl_channel_check(c, sender, msg, &t);
    if (e == ERR_OK)
        ck_assert_str_eq(ctl_type_str(t), type);
    json_decref(msg);
    return e;
}

START_TEST(test_conversation)
{
    struct ctl_channel c = {0};
    ck_assert_int_eq(say(&c, CTL_FROM_CORE, "ping"), ERR_PROTOCOL);
    ck_assert_int_eq(say(&c, CTL_FROM_EDGE, "hello"), ERR_PROTOCOL);
    ck_assert_int_eq(say(&c, CTL_FROM_CORE, "hello"), ERR_OK);
    ck_assert_int_eq(say(&c, CTL_FROM_CORE, "hello"), ERR_PROTOCOL);
    ck_assert_int_eq(say(&c, CTL_FROM_CORE, "policy"), ERR_PROTOCOL);
    ck_assert_int_eq(say(&c, CTL_FROM_CORE, "welcome"), ERR_PROTOCOL);
    ck_assert_int_eq(say(&c, CTL_FROM_EDGE, "welcome"), ERR_OK);
    ck_assert_int_eq(say(&c, CTL_FROM_EDGE, "policy"), ERR_PROTOCOL);
    ck_assert_int_eq(say(&c, CTL_FROM_CORE, "policy"), ERR_OK);
    ck_assert_int_eq(say(&c, CTL_FROM_EDGE, "policy_ack"), ERR_OK);
    ck_assert_int_eq(say(&c, CTL_FROM_CORE, "policy"), ERR_OK);
    ck_assert_int_eq(say(&c, CTL_FROM_BOTH, "ping"), ERR_OK);
    ck_assert_int_eq(say(&c, CTL_FROM_EDGE, "pong"), ERR_OK);
    ck_assert_int_eq(say(&c, CTL_FROM_EDGE, "root"), ERR_UNSUPPORTED);
    ck_assert_int_eq(say(&c, CTL_FROM_EDGE, "bye"), ERR_OK);
    ck_assert_int_eq(say(&c, CTL_FROM_EDGE, "bye"), ERR_PROTOCOL);
}
END_TEST

START_TEST(test_frames)
{
    struct buf b;
    size_t used;
    json_t *msg = json_pack("{ss si}", "type", "ping", "id", 7), *back;
    buf_init(&b, 4096);
    ck_assert_int_eq(json_frame_encode(&b, msg, 1000), ERR_OK);
    ck_assert_int_eq(json_frame_encode(&b, msg, 5), ERR_TOO_LONG);
    for (size_t n = 0; n < buf_len(&b); n++)
        ck_assert_int_eq(json_frame_decode(buf_data(&b), n, 1000, &used, &back), ERR_AGAIN);
    ck_assert_int_eq(json_frame_decode(buf_data(&b), buf_len(&b), 1000, &used, &back), ERR_OK);
    ck_assert_uint_eq(used, buf_len(&b));
    ck_assert(json_equal(msg, back));
    ck_assert_int_eq(json_frame_decode(buf_data(&b), buf_len(&b), 8, &used, &back), ERR_TOO_LONG);
    json_decref(msg);
    json_decref(back);
    buf_free(&b);
}
END_TEST

START_TEST(test_depth)
{
    char text[256] = "\0\0\0\0{\"type\":\"x\",\"a\":";
    size_t used, n = 4 + strlen(text + 4);
    json_t *msg;
    bool deep = _i > JSON_FRAME_DEPTH_MAX - 1;
    memset(text + n, '[', (size_t)_i);
    memset(text + n + _i, ']', (size_t)_i);
    n += 2 * (size_t)_i;
    text[n++] = '}';
    text[3] = (char)(n - 4);
    enum err e = json_frame_decode((const uint8_t *)text, n, 1000, &used, &msg);
    ck_assert_int_eq(e, deep ? ERR_MALFORMED : ERR_OK);
    if (e == ERR_OK)
        json_decref(msg);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl_msg");
    TCase *tc = tcase_create("ctl_msg");
    tcase_add_test(tc, test_conversation);
    tcase_add_test(tc, test_frames);
    tcase_add_loop_test(tc, test_depth, 1, 30);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
