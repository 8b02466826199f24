/*
 * A hostile core on the edge's control channel. The input is a series of steps: one byte of flags, two of
 * length, that many bytes. The flags: whether a frame head is put in front of the bytes, so that the fuzzer
 * need not count, and whether the edge answers for configs that were asked for before.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "common/fatal.h"
#include "common/log.h"
#include "common/schema.h"
#include "common/sock.h"
#include "edge/tunnel/control.h"
#include "proto/allowlist.h"
#include "proto/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { HEADED = 1, ANSWER = 2, CONFIGS_MOST = 4, REVISION = 7 };

static struct {
    struct ev_loop *loop; /* of the process */
    struct control *control;
    int core; /* the end of the hostile one */
    unsigned ups, overs, configs;
} box;

static void on_up(void *ctx, struct control *c)
{
    (void)ctx;
    REQUIRE(++box.ups == 1 && box.overs == 0 && control_is_up(c) && control_tunnel(c) <= 1000);
    REQUIRE(strcmp(control_core(c), "core1") == 0);
}

/* As the edge judges it. */
static const char *on_policy(void *ctx, struct control *c, long revision, const json_t *msg)
{
    static char why[SCHEMA_WHY];
    struct allowlist judged;
    (void)ctx, (void)c, (void)revision;
    REQUIRE(box.ups == 1 && box.overs == 0);
    if (policy_check_join_urls(json_object_get(msg, "join_urls"), why, sizeof why) != ERR_OK)
        return why;
    allowlist_init(&judged);
    enum err e = allowlist_from_json(json_object_get(msg, "allowlist"), &judged, why, sizeof why);
    allowlist_free(&judged);
    return e == ERR_OK ? NULL : why;
}

static void on_config(void *ctx, struct control *c, long revision, const char *text)
{
    (void)ctx, (void)c, (void)revision;
    REQUIRE(box.ups == 1 && box.overs == 0 && text && ++box.configs <= CONFIGS_MOST);
}

static void on_config_end(void *ctx, struct control *c, long revision, bool commit)
{
    (void)ctx, (void)c, (void)revision, (void)commit;
    REQUIRE(box.ups == 1 && box.overs == 0);
}

static json_t *on_keys(void *ctx, struct control *c, const json_t *msg)
{
    (void)ctx, (void)c, (void)msg;
    REQUIRE(box.ups == 1 && box.overs == 0);
    return json_object();
}

static void on_close(void *ctx, struct control *c, const char *reason)
{
    (void)ctx, (void)c;
    REQUIRE(++box.overs == 1 && *reason && strlen(reason) < 400);
    for (; *reason; reason++)
        REQUIRE((uint8_t)*reason >= ' ' && *reason != 0x7f);
}

static const struct control_events events = {.on_up = on_up,
                                             .on_policy = on_policy,
                                             .on_config = on_config,
                                             .on_config_end = on_config_end,
                                             .on_keys = on_keys,
                                             .on_close = on_close};

/* What the edge says goes nowhere; it is never too much for the socket pair. */
static void rounds(void)
{
    char heard[65536];
    for (int i = 0; i < 3; i++) {
        ev_run(box.loop, EVRUN_NOWAIT);
        while (read(box.core, heard, sizeof heard) > 0)
            ;
    }
}

static void say(const void *data, size_t n)
{
    const uint8_t *at = data;
    while (n && !box.overs) {
        ssize_t sent = write(box.core, at, n);
        if (sent > 0)
            at += sent, n -= (size_t)sent;
        rounds();
    }
}

static void box_open(void)
{
    static const struct control_self self = {
        .edge = "edge1", .data_channels = 2, .revision = REVISION, .config_revision = REVISION};
    int pair[2], other;
    log_set_level(LOG_CRIT);
    box.ups = box.overs = box.configs = 0;
    if (!box.loop)
        box.loop = ev_loop_new(0);
    REQUIRE(box.loop && sock_pair(pair, true) == 0 && (other = dup(pair[1])) >= 0);
    box.core = pair[0];
    box.control = control_new(box.loop, pair[1], other, "core1", &self, &events, NULL);
    REQUIRE(box.control);
}

static void box_close(void)
{
    json_t *status = control_status(box.control);
    REQUIRE(status);
    json_decref(status);
    control_say_bye(box.control, "the fuzzer has seen enough");
    control_free(box.control);
    rounds();
    close(box.core);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    box_open();
    while (n >= 3 && !box.overs) {
        uint8_t flags = data[0], head[4] = {0, 0, data[1], data[2]};
        size_t length = (size_t)data[1] << 8 | data[2];
        data += 3, n -= 3;
        if (length > n) {
            length = n;
            head[2] = (uint8_t)(n >> 8);
            head[3] = (uint8_t)n;
        }
        for (; flags & ANSWER && box.configs; box.configs--)
            control_config_prepared(box.control, REVISION, box.configs % 2 ? "no" : NULL, "");
        if (flags & HEADED)
            say(head, sizeof head);
        say(data, length);
        data += length, n -= length;
    }
    box_close();
    return 0;
}
