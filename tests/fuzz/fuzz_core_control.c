/*
 * A hostile edge on core's control channel. The input is a series of steps: one byte of seconds to let pass,
 * one byte of length, that many bytes. The first bit of the seconds asks for a frame head in front of the
 * bytes, so that the fuzzer need not count.
 */
#include <stdint.h>
#include <string.h>

#include "common/fatal.h"
#include "core/tunnel/core_control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct core_control *control;
static unsigned ups, overs;

static bool on_write(void *ctx, const void *data, size_t n)
{
    (void)ctx;
    REQUIRE(data && n > 4 && overs == 0);
    return true;
}

static void on_up(void *ctx, const struct core_control_peer *peer)
{
    (void)ctx;
    REQUIRE(++ups == 1 && peer->data_channels >= 1 && peer->data_channels <= CORE_CONTROL_DATA_CHANNELS_MAX);
    REQUIRE(memchr(peer->edge, '\0', sizeof peer->edge) && memchr(peer->version, '\0', sizeof peer->version));
    json_t *policy = json_pack("{ss}", "join_url", "https://join.example.com");
    REQUIRE(core_control_send_policy(control, 1, policy) == ERR_OK);
    json_decref(policy);
    enum err known = peer->protocol < 2 ? ERR_UNSUPPORTED : ERR_OK;
    REQUIRE(core_control_prepare(control, 2, "{}") == known);
    REQUIRE(core_control_decide(control, 2, true) == known);
    json_t *keys = json_pack("{si}", "id", 1);
    REQUIRE(core_control_send_keys(control, keys) == known);
    json_decref(keys);
}

static void on_policy_ack(void *ctx, int64_t revision, const char *error)
{
    (void)ctx;
    REQUIRE(ups == 1 && overs == 0 && revision >= 0 && (!error || strlen(error) < CORE_CONTROL_WORDS));
}

static void on_config(void *ctx, bool committed, int64_t revision, const char *error, const char *waiting)
{
    (void)ctx, (void)committed;
    REQUIRE(ups == 1 && overs == 0 && revision >= 0 && strlen(waiting) < CORE_CONTROL_WORDS &&
            (!error || strlen(error) < CORE_CONTROL_WORDS));
}

static void on_keys_ack(void *ctx, const json_t *msg)
{
    const char *key = json_string_value(json_object_get(msg, "host_key"));
    (void)ctx;
    REQUIRE(ups == 1 && overs == 0 && key && strncmp(key, "ssh-ed25519 ", 12) == 0 && !strchr(key, '\n'));
}

static void on_over(void *ctx, enum err why, const char *words)
{
    (void)ctx;
    REQUIRE(++overs == 1 && why != ERR_OK && strlen(words) < CORE_CONTROL_WORDS);
    for (; *words; words++)
        REQUIRE(*words >= ' ' && *words < 0x7f);
}

static const struct core_control_events events = {on_write,  on_up,       on_policy_ack,
                                                  on_config, on_keys_ack, on_over};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct core_control_self self = {.core = "core1", .tunnel = 0};
    double now = 100;
    ups = overs = 0;
    control = core_control_new(&self, &events, NULL);
    REQUIRE(control);
    core_control_start(control, now, 1000);
    while (n >= 2) {
        uint8_t seconds = data[0], length = data[1], head[4] = {0, 0, 0, length};
        data += 2, n -= 2;
        if (length > n)
            length = (uint8_t)n;
        head[3] = length;
        if (seconds & 0x80)
            core_control_receive(control, head, sizeof head, now, 1000);
        core_control_receive(control, data, length, now, 1000);
        data += length, n -= length;
        now += seconds & 0x0f;
        core_control_tick(control, now);
    }
    REQUIRE(core_control_silence(control, now) >= 0);
    core_control_free(control);
    return 0;
}
