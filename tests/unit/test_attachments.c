/* What `attach` hands to the edge, spoken to by a scripted core: the messages' order, who may attach what,
 * and how it ends. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/ipc.h"
#include "common/json_frame.h"
#include "common/log.h"
#include "common/log_fields.h"
#include "common/sock.h"
#include "edge/tunnel/attachments.h"
#include "proto/ctl_msg.h"
#include "tests/unit/unit.h"

#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"
static const char config_text[] =
    "{\"join_url\":\"https://"
    "join.example.com\",\"edges\":[{\"name\":\"edge1\",\"ssh\":\"192.0.2.1\",\"host_key\":\"" KEY
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}],\"cores\":[{\"name\":\"core1\",\"key\":\"" KEY
    "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB\"},{\"name\":\"core2\",\"key\":\"" KEY
    "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC\"}]}";

/* The edge's side: what attachments report. */
static struct {
    struct ev_loop *loop;
    struct box box;
    struct attachments *all;
    unsigned uplinks, closed, downs;
    long last_id;
    int uplink_fd;
    char reason[256];
    const char *ended; /* a key that does not count */
} edge;

static bool on_uplink(void *ctx, unsigned channel, long id, const char *core, unsigned tunnel,
                      const int fds[2])
{
    (void)ctx, (void)core, (void)tunnel;
    edge.uplinks++;
    edge.last_id = id;
    if (channel == 1)
        return false; /* "not running" */
    if (edge.uplink_fd >= 0)
        close(edge.uplink_fd);
    edge.uplink_fd = dup(fds[0]);
    return true;
}

static void on_uplink_close(void *ctx, unsigned channel, long id)
{
    (void)ctx, (void)channel, (void)id;
    edge.closed++;
}

static const char *on_policy(void *ctx, const char *core, long revision, const json_t *msg)
{
    (void)ctx, (void)core, (void)msg;
    return revision > 1 ? NULL : "too old";
}

static bool on_key_counts(void *ctx, const char *core, const char *key)
{
    (void)ctx, (void)core;
    return !edge.ended || strcmp(key, edge.ended) != 0;
}

/* What the message replaces does not count any more, if that is the one it was said with. */
static json_t *on_keys(void *ctx, const char *core, const json_t *msg)
{
    (void)ctx;
    if (json_object_get(msg, "replaced")) {
        edge.ended = "key of core1";
        attachments_drop_cores(edge.all);
    }
    return json_pack("{ss ss}", "host_key", core, "secrets", "");
}

static void on_tunnel(void *ctx, const char *core, unsigned tunnel, const char *reason)
{
    (void)ctx, (void)core, (void)tunnel;
    edge.downs += reason != NULL;
    snprintf(edge.reason, sizeof edge.reason, "%s", reason ? reason : "");
}

static struct control_self on_self(void *ctx)
{
    (void)ctx;
    return (struct control_self){.edge = "edge1", .data_channels = 2, .revision = 7};
}

static void on_config(void *ctx, long id, const char *core, long revision, const char *text)
{
    (void)ctx, (void)id, (void)core, (void)revision, (void)text;
}

static void on_config_end(void *ctx, long id, long revision, bool commit)
{
    (void)ctx, (void)id, (void)revision, (void)commit;
}

static const struct attachments_events events = {on_uplink, on_uplink_close, on_policy,
                                                 on_config, on_config_end,   on_key_counts,
                                                 on_keys,   on_tunnel,       on_self};

static void setup(void)
{
    char why[SCHEMA_WHY];
    edge.loop = ev_default_loop(0);
    edge.uplink_fd = -1;
    snprintf(edge.box.run, sizeof edge.box.run, "/tmp/stile-attach-XXXXXX");
    ck_assert(mkdtemp(edge.box.run) != NULL);
    ck_assert_msg(config_parse("test", config_text, &edge.box.config, why) == ERR_OK, "%s", why);
    ck_assert_msg(attachments_new(edge.loop, &edge.box, &events, NULL, &edge.all, why) == ERR_OK, "%s", why);
}

static void teardown(void)
{
    attachments_free(edge.all);
    ev_run(edge.loop, EVRUN_NOWAIT);
    config_free(&edge.box.config);
    ck_assert_int_eq(rmdir(edge.box.run), 0);
}

static void turn_loop(void)
{
    for (int i = 0; i < 10; i++)
        ev_run(edge.loop, EVRUN_NOWAIT);
}

/* One attach process and the core behind it. */
struct peer {
    int attach, channel;
    struct buf in;
};

static struct peer peer_attach(const char *core, const char *channel, int index, const char *ssh)
{
    struct peer p;
    int pair[2];
    char path[PATH_MAX], key[80];
    snprintf(key, sizeof key, "key of %s", core);
    ck_assert_int_eq(sock_pair(pair, true), 0);
    p.attach = sock_connect_unix(box_run_file(&edge.box, BOX_ATTACH_SOCKET, path));
    ck_assert_int_ge(p.attach, 0);
    json_t *msg = json_pack("{ss ss ss ss si ss}", "type", "attach", "core", core, "key", key, "channel",
                            channel, "index", index, "connection", ssh);
    ck_assert_int_eq(ipc_send_fd(p.attach, msg, (int[]){pair[1], pair[1]}, 2), ERR_OK);
    close(pair[1]);
    p.channel = pair[0];
    buf_init(&p.in, 4 * 1024 * 1024);
    turn_loop();
    return p;
}

static void peer_free(struct peer *p)
{
    if (p->attach >= 0)
        close(p->attach);
    if (p->channel >= 0)
        close(p->channel);
    buf_free(&p->in);
    turn_loop();
}

static void peer_say(struct peer *p, json_t *msg)
{
    struct buf frame;
    buf_init(&frame, 65536);
    ck_assert_int_eq(json_frame_encode(&frame, msg, 65536), ERR_OK);
    ck_assert_int_eq(send(p->channel, buf_data(&frame), buf_len(&frame), MSG_NOSIGNAL),
                     (ssize_t)buf_len(&frame));
    buf_free(&frame);
    json_decref(msg);
    turn_loop();
}

/* The next message from the edge; NULL: the channel is closed (then) or nothing has come. */
static json_t *peer_hear(struct peer *p)
{
    uint8_t *at;
    size_t used;
    json_t *msg;
    ck_assert_int_eq(buf_reserve(&p->in, 65536, &at), ERR_OK);
    ssize_t n = read(p->channel, at, 65536);
    if (n > 0)
        buf_commit(&p->in, (size_t)n);
    if (json_frame_decode(buf_data(&p->in), buf_len(&p->in), CTL_MESSAGE_MAX, &used, &msg) != ERR_OK)
        return NULL;
    buf_consume(&p->in, used);
    return msg;
}

static void peer_expect(struct peer *p, const char *type, const char *key, const char *text)
{
    json_t *msg = peer_hear(p);
    ck_assert_msg(msg != NULL, "no %s came", type);
    ck_assert_str_eq(json_frame_type(msg), type);
    if (key)
        ck_assert_str_eq(json_string_value(json_object_get(msg, key)), text);
    json_decref(msg);
}

static bool closed(int fd)
{
    char c;
    return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

/* The attach process was told to end; with words, or (NULL) without. */
static void peer_refused(struct peer *p, const char *words)
{
    json_t *msg;
    if (words) {
        ck_assert_int_eq(ipc_receive_fd(p->attach, 1000, &msg), ERR_OK);
        ck_assert_str_eq(json_frame_type(msg), "refused");
        ck_assert_msg(strstr(json_string_value(json_object_get(msg, "reason")), words) != NULL, "%s",
                      json_string_value(json_object_get(msg, "reason")));
        json_decref(msg);
    }
    ck_assert(closed(p->attach));
}

static json_t *hello(const char *core, int tunnel)
{
    return json_pack("{ss si ss si ss si}", "type", "hello", "protocol", CTL_PROTOCOL, "core", core, "tunnel",
                     tunnel, "version", "1.0\n\033[2J", "time", 0);
}

static struct peer peer_up(const char *core, int tunnel, const char *ssh)
{
    struct peer p = peer_attach(core, "control", 0, ssh);
    peer_say(&p, hello(core, tunnel));
    peer_expect(&p, "welcome", "edge", "edge1");
    return p;
}

START_TEST(test_a_tunnel_lives)
{
    setup();
    struct peer c = peer_up("core1", 0, "one");
    peer_say(&c, json_pack("{sssi}", "type", "policy", "revision", 1));
    peer_expect(&c, "policy_ack", "error", "too old");
    peer_say(&c, json_pack("{sssi}", "type", "policy", "revision", 2));
    peer_expect(&c, "policy_ack", NULL, NULL);
    peer_say(&c, json_pack("{sssi}", "type", "ping", "id", 5));
    peer_expect(&c, "pong", NULL, NULL);
    struct peer d = peer_attach("core1", "data", 0, "one");
    ck_assert_uint_eq(edge.uplinks, 1);
    json_t *status = attachments_status(edge.all);
    ck_assert_uint_eq(json_array_size(status), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(status, 0), "data_channels")), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(status, 0), "core_version")),
                     "1.0??[2J");
    json_decref(status);
    /* A worker (it may have been taken over) ends only what is its own. */
    attachments_uplink_closed(edge.all, 0, -1);
    attachments_uplink_closed(edge.all, 1, edge.last_id);
    attachments_uplink_closed(edge.all, 0, edge.last_id + 1);
    turn_loop();
    ck_assert(!closed(d.attach) && !closed(c.attach));
    attachments_uplink_closed(edge.all, 0, edge.last_id);
    turn_loop();
    peer_refused(&d, NULL);
    attachments_say_bye(edge.all, "stopping");
    turn_loop();
    peer_expect(&c, "bye", "reason", "stopping");
    peer_free(&c);
    peer_free(&d);
    ck_assert_uint_eq(edge.downs, 1);
    teardown();
}
END_TEST

START_TEST(test_refused)
{
    setup();
    struct peer p = peer_attach("core9", "control", 0, "one");
    peer_refused(&p, "not in the config");
    peer_free(&p);
    p = peer_attach("core1", "data", 0, "one");
    peer_refused(&p, "needs a control channel");
    peer_free(&p);
    struct peer c = peer_up("core1", 0, "one");
    p = peer_attach("core2", "data", 0, "one"); /* another core's control channel does not count */
    peer_refused(&p, "needs a control channel");
    peer_free(&p);
    p = peer_attach("core1", "data", 0, "two"); /* nor one on another connection */
    peer_refused(&p, "needs a control channel");
    peer_free(&p);
    p = peer_attach("core1", "data", 2, "one");
    peer_refused(&p, "no such data channel");
    peer_free(&p);
    p = peer_attach("core1", "data", -1, "one");
    peer_refused(&p, "no such data channel");
    peer_free(&p);
    p = peer_attach("core1", "data", 1, "one");
    peer_refused(&p, "being started again");
    peer_free(&p);
    peer_free(&c);
    teardown();
}
END_TEST

START_TEST(test_violations_end_the_tunnel)
{
    static const struct {
        const char *json, *words;
    } rows[] = {
        {"{\"type\":\"policy\"}", "not allowed now"},
        {"{\"type\":\"welcome\"}", "not allowed now"},
        {"{\"type\":\"a\\nb\"}", "a\\x0ab"},
        {"{\"type\":1}", "malformed"},
        {"[]", "malformed"},
        {"{\"type\":\"hello\",\"protocol\":1,\"core\":\"core2\",\"tunnel\":0}", "another core"},
        {"{\"type\":\"hello\",\"protocol\":1,\"core\":\"core1\",\"tunnel\":-1}", "no tunnel"},
        {"{\"type\":\"bye\"}", "goodbye"},
    };
    setup();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct peer p = peer_attach("core1", "control", 0, "one");
        uint8_t head[4] = {0, 0, 0, (uint8_t)strlen(rows[i].json)};
        ck_assert_int_eq(write(p.channel, head, 4), 4);
        ck_assert_int_eq(write(p.channel, rows[i].json, head[3]), head[3]);
        turn_loop();
        peer_refused(&p, rows[i].words);
        ck_assert(closed(p.channel));
        peer_free(&p);
    }
    struct peer p = peer_attach("core1", "control", 0, "one");
    ck_assert_int_eq(write(p.channel, "\xff\xff\xff\xff", 4), 4);
    turn_loop();
    peer_refused(&p, "malformed");
    peer_free(&p);
    teardown();
}
END_TEST

/* One release apart is right; more is refused with words for core, which ends the connection then. */
START_TEST(test_other_releases)
{
    setup();
    json_t *far = hello("core1", 0), *next = hello("core1", 0);
    json_object_set_new(far, "protocol", json_integer(CTL_PROTOCOL + 2));
    json_object_set_new(next, "protocol", json_integer(CTL_PROTOCOL + 1));
    struct peer p = peer_attach("core1", "control", 0, "one");
    peer_say(&p, far);
    json_t *bye = peer_hear(&p);
    ck_assert_str_eq(json_frame_type(bye), "bye");
    const char *reason = json_string_value(json_object_get(bye, "reason"));
    ck_assert_msg(strstr(reason, "the core is of version 1.0"), "%s", reason);
    ck_assert_msg(strstr(reason, "more than one release apart; update the edge"), "%s", reason);
    json_decref(bye);
    ck_assert_uint_eq(edge.downs, 0);
    peer_free(&p);
    p = peer_attach("core1", "control", 0, "two");
    peer_say(&p, next);
    peer_expect(&p, "welcome", "edge", "edge1");
    peer_free(&p);
    teardown();
}
END_TEST

/* Each config that waits for its answer takes memory. */
START_TEST(test_configs_are_counted)
{
    setup();
    struct peer p = peer_up("core1", 0, "one");
    for (int i = 1; i <= 5; i++) {
        ck_assert_msg(!closed(p.attach), "the tunnel ended after %d configs", i - 1);
        peer_say(&p, json_pack("{ss si ss}", "type", "config_prepare", "revision", i, "text", "{}"));
    }
    peer_refused(&p, "too many at once");
    peer_free(&p);
    teardown();
}
END_TEST

/* Any number is a time for JSON. */
START_TEST(test_a_time_that_is_none)
{
    static const json_int_t times[] = {INT64_MIN, -1, INT64_MAX};
    setup();
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        struct peer p = peer_attach("core1", "control", 0, "one");
        json_t *msg = hello("core1", 0);
        json_object_set_new(msg, "time", json_integer(times[i]));
        peer_say(&p, msg);
        json_t *status = attachments_status(edge.all);
        json_int_t skew =
            json_integer_value(json_object_get(json_array_get(status, 0), "clock_skew_s"));
        ck_assert_msg((skew > 0) == (times[i] > 0), "a clock at %lld is %lld s ahead", (long long)times[i],
                      (long long)skew);
        json_decref(status);
        peer_free(&p);
    }
    teardown();
}
END_TEST

static json_t *down_fields;

static void on_event(int level, const char *event, const char *fields)
{
    (void)level;
    if (strcmp(event, "Tunnel Down") == 0) {
        json_decref(down_fields);
        down_fields = log_fields_json(fields);
    }
}

/* Core's words stay within their field. */
START_TEST(test_words_are_no_fields)
{
    setup();
    struct peer p = peer_up("core1", 0, "one");
    log_set_sink(on_event);
    peer_say(&p, json_pack("{ssss}", "type", "bye", "reason", "stopping\" core=core2 user=\"anna"));
    log_set_sink(NULL);
    ck_assert_str_eq(json_string_value(json_object_get(down_fields, "core")), "core1");
    ck_assert_str_eq(json_string_value(json_object_get(down_fields, "reason")),
                     "core said goodbye: stopping\" core=core2 user=\"anna");
    ck_assert_ptr_null(json_object_get(down_fields, "user"));
    json_decref(down_fields);
    peer_free(&p);
    teardown();
}
END_TEST

START_TEST(test_the_newer_connection_wins)
{
    setup();
    struct peer other = peer_up("core1", 1, "zero"), old = peer_up("core1", 0, "one"), data[3];
    for (int i = 0; i < 3; i++)
        data[i] = peer_attach("core1", "data", 0, "one");
    ck_assert_uint_eq(edge.uplinks, 3);
    struct peer newer = peer_up("core1", 0, "two");
    peer_refused(&old, "anew");
    for (int i = 0; i < 3; i++) {
        peer_refused(&data[i], NULL);
        peer_free(&data[i]);
    }
    ck_assert_uint_eq(edge.closed, 3);
    ck_assert(!closed(other.attach) && !closed(newer.attach));
    peer_free(&old);
    peer_free(&other);
    peer_free(&newer);
    teardown();
}
END_TEST

/* A session outlives the key that it was opened with, but not as a tunnel: also when it says so itself. */
START_TEST(test_a_key_that_ends)
{
    setup();
    edge.ended = NULL;
    struct peer other = peer_up("core2", 0, "zero"), c = peer_up("core1", 0, "one"),
                d = peer_attach("core1", "data", 0, "one");
    const char *lines[] = {KEY "DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD",
                           KEY "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"};
    peer_say(&c, json_pack("{ss si s[s] s[s]}", "type", "keys", "id", 1, "core_keys", lines[0], "replaced",
                           lines[1]));
    peer_refused(&c, "does not count any more");
    peer_refused(&d, NULL);
    ck_assert_uint_eq(edge.closed, 1);
    peer_free(&d);
    d = peer_attach("core1", "control", 0, "one");
    peer_refused(&d, "does not count any more");
    ck_assert(!closed(other.attach));
    peer_free(&c);
    peer_free(&d);
    peer_free(&other);
    teardown();
}
END_TEST

/* Not what our attach does, but what another process of our user could. */
START_TEST(test_second_message_ends_it)
{
    setup();
    struct peer c = peer_up("core1", 0, "one"), d = peer_attach("core1", "data", 0, "one");
    ck_assert_int_eq(ipc_send_fd(d.attach, json_pack("{ss}", "type", "attach"), NULL, 0), ERR_OK);
    turn_loop();
    ck_assert(closed(d.attach));
    ck_assert_uint_eq(edge.closed, 1);
    ck_assert_int_eq(ipc_send_fd(c.attach, json_pack("{ss}", "type", "attach"), NULL, 0), ERR_OK);
    turn_loop();
    ck_assert(closed(c.attach) && closed(c.channel));
    peer_free(&d);
    peer_free(&c);
    attachments_worker_gone(edge.all, 0);
    attachments_uplink_closed(edge.all, 0, edge.last_id);
    teardown();
}
END_TEST

START_TEST(test_a_core_that_does_not_read)
{
    setup();
    struct peer c = peer_up("core1", 0, "one");
    uint8_t ping[] = "\0\0\0\x16{\"type\":\"ping\",\"id\":1}";
    for (unsigned i = 0; i < 1000000; i++) {
        if (send(c.channel, ping, sizeof ping - 1, MSG_NOSIGNAL) > 0)
            continue;
        if (errno != EAGAIN)
            break;
        turn_loop();
    }
    peer_refused(&c, "does not read");
    peer_free(&c);
    teardown();
}
END_TEST

UNIT_MAIN("attachments", test_a_tunnel_lives, test_refused, test_violations_end_the_tunnel,
          test_other_releases, test_configs_are_counted, test_a_time_that_is_none, test_words_are_no_fields,
          test_the_newer_connection_wins, test_second_message_ends_it,
          test_a_key_that_ends, test_a_core_that_does_not_read)
