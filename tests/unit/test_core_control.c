/* Core's end of the control channel: the messages by the table, hostile edges, silence; with a fake clock. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/json_frame.h"
#include "core/tunnel/core_control.h"
#include "proto/ctl_msg.h"

#define KEY_LINE "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMwrrzXgvBbHHJMxT0oo8pyOSPbIRSfYg5WtnU+tNqTs"

static struct {
    struct buf sent;
    bool full;
    unsigned ups, acks, keys_acks, overs;
    struct core_control_peer peer;
    int64_t ack_revision;
    char ack_error[300], words[400];
    int configs, committed;
    char config_error[300], config_waiting[300];
    enum err why;
} seen;

static bool on_write(void *ctx, const void *data, size_t n)
{
    (void)ctx;
    return !seen.full && buf_append(&seen.sent, data, n) == ERR_OK;
}

static void on_up(void *ctx, const struct core_control_peer *peer)
{
    (void)ctx;
    seen.ups++;
    seen.peer = *peer;
}

static void on_policy_ack(void *ctx, int64_t revision, const char *error)
{
    (void)ctx;
    seen.acks++;
    seen.ack_revision = revision;
    snprintf(seen.ack_error, sizeof seen.ack_error, "%s", error ? error : "");
}

static void on_config(void *ctx, bool committed, int64_t revision, const char *error, const char *waiting)
{
    (void)ctx, (void)revision;
    seen.configs++;
    seen.committed += committed;
    snprintf(seen.config_error, sizeof seen.config_error, "%s", error ? error : "");
    snprintf(seen.config_waiting, sizeof seen.config_waiting, "%s", waiting);
}

static void on_keys_ack(void *ctx, const json_t *msg)
{
    (void)ctx;
    seen.keys_acks++;
    ck_assert_str_eq(json_string_value(json_object_get(msg, "host_key")), KEY_LINE);
}

static void on_over(void *ctx, enum err why, const char *words)
{
    (void)ctx;
    seen.overs++;
    seen.why = why;
    snprintf(seen.words, sizeof seen.words, "%s", words);
}

static const struct core_control_events events = {on_write,  on_up,       on_policy_ack,
                                                  on_config, on_keys_ack, on_over};
static struct core_control *c;

static void setup(void)
{
    static const struct core_control_self self = {.core = "core1", .edge = "edge1", .tunnel = 1};
    memset(&seen, 0, sizeof seen);
    buf_init(&seen.sent, 4 * CTL_MESSAGE_MAX);
    c = core_control_new(&self, &events, NULL);
    ck_assert(c != NULL);
}

static void teardown(void)
{
    core_control_free(c);
    buf_free(&seen.sent);
}

/* The oldest message that core sent and nobody looked at yet; NULL when there is none. */
static json_t *next_sent(void)
{
    json_t *msg;
    size_t used;
    if (json_frame_decode(buf_data(&seen.sent), buf_len(&seen.sent), CTL_MESSAGE_MAX, &used, &msg) != ERR_OK)
        return NULL;
    buf_consume(&seen.sent, used);
    return msg;
}

static bool next_is(const char *type)
{
    json_t *msg = next_sent();
    bool is = msg && strcmp(json_frame_type(msg), type) == 0;
    json_decref(msg);
    return is;
}

static void edge_says(json_t *msg, double now)
{
    struct buf frame;
    buf_init(&frame, 2 * CTL_MESSAGE_MAX);
    ck_assert(json_frame_encode(&frame, msg, CTL_MESSAGE_MAX) == ERR_OK);
    json_decref(msg);
    core_control_receive(c, buf_data(&frame), buf_len(&frame), now, 1000000);
    buf_free(&frame);
}

static json_t *welcome(int channels)
{
    return json_pack("{ss ss si ss si si si}", "type", "welcome", "version", "0.1.0", "protocol",
                     CTL_PROTOCOL, "edge", "edge1", "data_channels", channels, "revision", 3, "time",
                     1000007);
}

static void greet(double now)
{
    core_control_start(c, now, 1000000);
    ck_assert(next_is("hello"));
    edge_says(welcome(2), now);
    ck_assert(next_is("ping"));
}

START_TEST(hello_and_welcome)
{
    core_control_start(c, 50, 1000000);
    json_t *hello = next_sent();
    ck_assert_str_eq(json_frame_type(hello), "hello");
    ck_assert_str_eq(json_string_value(json_object_get(hello, "core")), "core1");
    ck_assert_int_eq(json_integer_value(json_object_get(hello, "tunnel")), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(hello, "protocol")), CTL_PROTOCOL);
    ck_assert_int_eq(json_integer_value(json_object_get(hello, "time")), 1000000);
    json_decref(hello);
    edge_says(welcome(2), 50);
    ck_assert_uint_eq(seen.ups, 1);
    ck_assert_uint_eq(seen.peer.data_channels, 2);
    ck_assert_int_eq(seen.peer.revision, 3);
    ck_assert_int_eq(seen.peer.clock_skew, 7);
    ck_assert_str_eq(seen.peer.edge, "edge1");
    ck_assert_uint_eq(seen.overs, 0);
}
END_TEST

START_TEST(one_byte_at_a_time)
{
    struct buf frame;
    core_control_start(c, 50, 1000000);
    buf_init(&frame, 4096);
    json_t *msg = welcome(1);
    ck_assert(json_frame_encode(&frame, msg, CTL_MESSAGE_MAX) == ERR_OK);
    json_decref(msg);
    for (size_t i = 0; i < buf_len(&frame); i++)
        core_control_receive(c, buf_data(&frame) + i, 1, 50, 1000000);
    ck_assert_uint_eq(seen.ups, 1);
    buf_free(&frame);
}
END_TEST

START_TEST(policy_and_its_answers)
{
    json_t *policy = json_pack("{ss s[]}", "join_url", "https://join.example.com", "allowlist");
    ck_assert_int_eq(core_control_send_policy(c, 4, policy), ERR_PROTOCOL);
    greet(50);
    ck_assert_int_eq(core_control_send_policy(c, 4, policy), ERR_OK);
    json_t *msg = next_sent();
    ck_assert_str_eq(json_frame_type(msg), "policy");
    ck_assert_int_eq(json_integer_value(json_object_get(msg, "revision")), 4);
    ck_assert_str_eq(json_string_value(json_object_get(msg, "join_url")), "https://join.example.com");
    json_decref(msg);
    ck_assert(json_object_get(policy, "type") == NULL);
    edge_says(json_pack("{ss si}", "type", "policy_ack", "revision", 4), 51);
    ck_assert(seen.acks == 1 && seen.ack_revision == 4 && !seen.ack_error[0]);
    ck_assert_int_eq(core_control_send_policy(c, 5, policy), ERR_OK);
    edge_says(json_pack("{ss si ss}", "type", "policy_ack", "revision", 5, "error", "bad \"rule\"\n2"), 51);
    ck_assert(seen.acks == 2 && seen.ack_revision == 5);
    ck_assert_str_eq(seen.ack_error, "bad \\\"rule\\\"\\x0a2");
    json_decref(policy);
}
END_TEST

START_TEST(keys_and_their_answers)
{
    json_t *keys = json_pack("{si s[s]}", "id", 5, "core_keys", KEY_LINE);
    greet(50);
    ck_assert_int_eq(core_control_send_keys(c, keys), ERR_OK);
    json_t *msg = next_sent();
    ck_assert_str_eq(json_frame_type(msg), "keys");
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(msg, "core_keys"), 0)), KEY_LINE);
    json_decref(msg);
    edge_says(json_pack("{ss si ss ss}", "type", "keys_ack", "id", 5, "host_key", KEY_LINE, "secrets", ""),
              51);
    ck_assert(seen.keys_acks == 1 && seen.overs == 0);
    edge_says(json_pack("{ss si ss ss}", "type", "keys_ack", "id", 5, "host_key", KEY_LINE, "secrets", ""),
              51);
    ck_assert(seen.keys_acks == 1 && seen.overs == 1); /* one answer each */
    json_decref(keys);
}
END_TEST

static const char *const bad_keys_acks[] = {
    "{\"type\":\"keys_ack\",\"id\":5,\"host_key\":\"ssh-ed25519 AAAA\",\"secrets\":\"\"}",
    "{\"type\":\"keys_ack\",\"id\":5,\"host_key\":\"" KEY_LINE "\\nHostKey x\",\"secrets\":\"\"}",
    "{\"type\":\"keys_ack\",\"id\":5,\"host_key\":\"" KEY_LINE "\",\"next_host_key\":5,\"secrets\":\"\"}",
    "{\"type\":\"keys_ack\",\"id\":5,\"host_key\":\"" KEY_LINE "\"}",
    "{\"type\":\"keys_ack\",\"id\":-1,\"host_key\":\"" KEY_LINE "\",\"secrets\":\"\"}",
    "{\"type\":\"keys_ack\",\"id\":5,\"host_key\":\"" KEY_LINE "\",\"secrets\":\"\",\"error\":[]}",
};

START_TEST(bad_answers_about_keys_end_it)
{
    const char *text = bad_keys_acks[_i];
    uint8_t head[4] = {0, 0, 0, (uint8_t)strlen(text)};
    json_t *keys = json_pack("{si}", "id", 5);
    greet(50);
    ck_assert_int_eq(core_control_send_keys(c, keys), ERR_OK);
    core_control_receive(c, head, 4, 51, 1000000);
    core_control_receive(c, text, strlen(text), 51, 1000000);
    ck_assert_msg(seen.overs == 1 && seen.keys_acks == 0, "%s", text);
    json_decref(keys);
}
END_TEST

/* One release apart: what both know is spoken. */
START_TEST(an_older_edge_is_spoken_to_without_keys)
{
    json_t *keys = json_pack("{si}", "id", 5), *older = welcome(2);
    json_object_set_new(older, "protocol", json_integer(CTL_PROTOCOL - 1));
    core_control_start(c, 50, 1000000);
    edge_says(older, 50);
    ck_assert(seen.ups == 1 && seen.overs == 0);
    ck_assert_int_eq(seen.peer.protocol, CTL_PROTOCOL - 1);
    ck_assert_int_eq(core_control_send_keys(c, keys), ERR_UNSUPPORTED);
    json_decref(keys);
}
END_TEST

START_TEST(a_newer_edge_is_spoken_to)
{
    json_t *newer = welcome(2);
    json_object_set_new(newer, "protocol", json_integer(CTL_PROTOCOL + 1));
    core_control_start(c, 50, 1000000);
    edge_says(newer, 50);
    ck_assert(seen.ups == 1 && seen.peer.protocol == CTL_PROTOCOL);
}
END_TEST

START_TEST(two_releases_apart_is_refused_with_words)
{
    json_t *far = welcome(2);
    json_object_set_new(far, "protocol", json_integer(CTL_PROTOCOL + 2));
    core_control_start(c, 50, 1000000);
    ck_assert(next_is("hello"));
    edge_says(far, 50);
    ck_assert(seen.ups == 0 && seen.overs == 1);
    ck_assert_msg(strstr(seen.words, "more than one release apart; update the core") != NULL, "%s",
                  seen.words);
    json_t *bye = next_sent();
    ck_assert_str_eq(json_string_value(json_object_get(bye, "reason")), seen.words);
    json_decref(bye);
}
END_TEST

START_TEST(another_edge_than_meant_is_refused)
{
    json_t *other = welcome(2);
    json_object_set_new(other, "edge", json_string("edge2"));
    core_control_start(c, 50, 1000000);
    edge_says(other, 50);
    ck_assert(seen.ups == 0 && seen.overs == 1);
    ck_assert_msg(strstr(seen.words, "says that it is edge2, not edge1") != NULL, "%s", seen.words);
}
END_TEST

START_TEST(pings_measure_and_keep_alive)
{
    greet(50);
    ck_assert(core_control_rtt(c) < 0);
    edge_says(json_pack("{ss si}", "type", "pong", "id", 1), 50.08);
    ck_assert_double_eq_tol(core_control_rtt(c), 0.08, 1e-9);
    core_control_tick(c, 54.9);
    ck_assert(next_sent() == NULL);
    core_control_tick(c, 55.1);
    ck_assert(next_is("ping"));
    edge_says(json_pack("{ss si}", "type", "pong", "id", 2), 55.26);
    ck_assert_double_eq_tol(core_control_rtt(c), 0.08 + 0.08 / 8, 1e-9);
    edge_says(json_pack("{ss si}", "type", "pong", "id", 1), 56); /* late */
    ck_assert_uint_eq(seen.overs, 0);
    edge_says(json_pack("{ss si}", "type", "ping", "id", 77), 56);
    json_t *pong = next_sent();
    ck_assert_str_eq(json_frame_type(pong), "pong");
    ck_assert_int_eq(json_integer_value(json_object_get(pong, "id")), 77);
    json_decref(pong);
}
END_TEST

START_TEST(silence_ends_it_after_15_s)
{
    greet(50);
    for (double now = 51; now <= 65; now += 1)
        core_control_tick(c, now);
    ck_assert_uint_eq(seen.overs, 0);
    core_control_tick(c, 65.1);
    ck_assert_uint_eq(seen.overs, 1);
    ck_assert_int_eq(seen.why, ERR_TIMEOUT);
    core_control_tick(c, 80);
    ck_assert_uint_eq(seen.overs, 1);
}
END_TEST

START_TEST(an_edge_that_never_greets_is_left)
{
    core_control_tick(c, 40); /* not started: nothing happens */
    core_control_start(c, 50, 1000000);
    core_control_tick(c, 59);
    ck_assert_uint_eq(seen.overs, 0);
    core_control_tick(c, 60.5);
    ck_assert_uint_eq(seen.overs, 1);
}
END_TEST

START_TEST(goodbye_has_a_reason)
{
    greet(50);
    edge_says(json_pack("{ss ss}", "type", "bye", "reason", "edge is stopping"), 51);
    ck_assert_uint_eq(seen.overs, 1);
    ck_assert_int_eq(seen.why, ERR_CLOSED);
    ck_assert_str_eq(seen.words, "the edge ended the tunnel: edge is stopping");
    ck_assert_int_eq(core_control_send_policy(c, 1, NULL), ERR_CLOSED);
}
END_TEST

/* What a taken-over edge might send after the greeting; each ends the tunnel. */
static const char *const violations[] = {
    "{\"type\":\"hello\",\"version\":\"1\"}",
    "{\"type\":\"policy\",\"revision\":1}",
    "{\"type\":\"welcome\",\"version\":\"1\",\"protocol\":2,\"edge\":\"edge1\",\"data_channels\":1,"
    "\"revision\":"
    "1,\"time\":1}",
    "{\"type\":\"exec\",\"command\":\"sh\"}",
    "{\"type\":\"pong\",\"id\":2}",
    "{\"type\":\"pong\",\"id\":-1}",
    "{\"type\":\"pong\"}",
    "{\"type\":\"ping\",\"id\":\"x\"}",
    "{\"type\":\"policy_ack\"}",
    "{\"type\":\"policy_ack\",\"revision\":1,\"error\":5}",
    "{\"type\":\"policy_ack\",\"revision\":1}", /* of a policy that nobody sent */
    "{\"type\":5}",
    "[]",
    "{\"type\":\"ping\",\"id\":1",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "\xff\xfe",
};

START_TEST(violations_end_it)
{
    const char *text = violations[_i];
    uint8_t head[4] = {0, 0, 0, (uint8_t)strlen(text)};
    greet(50);
    core_control_receive(c, head, 4, 51, 1000000);
    core_control_receive(c, text, strlen(text), 51, 1000000);
    ck_assert_msg(seen.overs == 1, "%s", text);
    core_control_receive(c, head, 4, 51, 1000000);
    ck_assert_uint_eq(seen.overs, 1);
}
END_TEST

static const char *const bad_welcomes[] = {
    "{\"type\":\"welcome\",\"version\":\"1\",\"protocol\":4,\"edge\":\"e\",\"data_channels\":1,\"revision\":"
    "1,\"time\":1}",
    "{\"type\":\"welcome\",\"version\":\"1\",\"protocol\":2,\"edge\":\"edge1\",\"data_channels\":0,"
    "\"revision\":"
    "1,\"time\":1}",
    "{\"type\":\"welcome\",\"version\":\"1\",\"protocol\":2,\"edge\":\"edge1\",\"data_channels\":65,"
    "\"revision\":"
    "1,\"time\":1}",
    "{\"type\":\"welcome\",\"version\":\"1\",\"protocol\":1,\"edge\":5,\"data_channels\":1,\"revision\":1,"
    "\"time\":1}",
    "{\"type\":\"welcome\",\"protocol\":2,\"edge\":\"edge1\",\"data_channels\":1,\"revision\":1,\"time\":1}",
    "{\"type\":\"welcome\",\"version\":\"1\",\"protocol\":2,\"edge\":\"edge1\",\"data_channels\":1,"
    "\"revision\":-"
    "1,\"time\":1}",
    "{\"type\":\"ping\",\"id\":1}",
};

START_TEST(bad_welcomes_end_it)
{
    const char *text = bad_welcomes[_i];
    uint8_t head[4] = {0, 0, 0, (uint8_t)strlen(text)};
    core_control_start(c, 50, 1000000);
    core_control_receive(c, head, 4, 51, 1000000);
    core_control_receive(c, text, strlen(text), 51, 1000000);
    ck_assert_msg(seen.overs == 1 && seen.ups == 0, "%s", text);
}
END_TEST

START_TEST(a_frame_above_the_limit_ends_it)
{
    const uint8_t head[4] = {0x00, 0x10, 0x00, 0x01};
    greet(50);
    core_control_receive(c, head, 4, 51, 1000000);
    ck_assert_uint_eq(seen.overs, 1);
    ck_assert_int_eq(seen.why, ERR_TOO_LONG);
}
END_TEST

START_TEST(an_edge_that_reads_nothing_is_left)
{
    greet(50);
    seen.full = true;
    core_control_tick(c, 55.1);
    ck_assert_uint_eq(seen.overs, 1);
    ck_assert_int_eq(seen.why, ERR_FULL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("core_control");
    TCase *tc = tcase_create("core's end");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, hello_and_welcome);
    tcase_add_test(tc, one_byte_at_a_time);
    tcase_add_test(tc, policy_and_its_answers);
    tcase_add_test(tc, keys_and_their_answers);
    tcase_add_loop_test(tc, bad_answers_about_keys_end_it, 0,
                        (int)(sizeof bad_keys_acks / sizeof *bad_keys_acks));
    tcase_add_test(tc, an_older_edge_is_spoken_to_without_keys);
    tcase_add_test(tc, a_newer_edge_is_spoken_to);
    tcase_add_test(tc, two_releases_apart_is_refused_with_words);
    tcase_add_test(tc, another_edge_than_meant_is_refused);
    tcase_add_test(tc, pings_measure_and_keep_alive);
    tcase_add_test(tc, silence_ends_it_after_15_s);
    tcase_add_test(tc, an_edge_that_never_greets_is_left);
    tcase_add_test(tc, goodbye_has_a_reason);
    tcase_add_loop_test(tc, violations_end_it, 0, (int)(sizeof violations / sizeof *violations));
    tcase_add_loop_test(tc, bad_welcomes_end_it, 0, (int)(sizeof bad_welcomes / sizeof *bad_welcomes));
    tcase_add_test(tc, a_frame_above_the_limit_ends_it);
    tcase_add_test(tc, an_edge_that_reads_nothing_is_left);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
