/* stile.json: whatever it says is read or refused with words; what was read can be written, merged and compared. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"
#include "common/config_text.h"
#include "common/diff.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(x)                                                                                           \
    do                                                                                                       \
        if (!(x))                                                                                            \
            abort();                                                                                         \
    while (0)

/* A config that was right is the same as itself, also after a round through its own words. */
static void check_right(const struct config *c)
{
    struct config merged;
    char why[SCHEMA_WHY], waiting[512], changes[CONFIG_SUMMARY];
    json_t *written = schema_write(config_rows, c);
    REQUIRE(written);
    REQUIRE(config_merge(c, c, config_edge_at(c, 0)->name, true, &merged, waiting, sizeof waiting, why) == ERR_OK);
    json_t *again = schema_write(config_rows, &merged);
    REQUIRE(*waiting == '\0' && strcmp(merged.text, c->text) == 0);
    REQUIRE(*config_changes(written, again, changes, sizeof changes) == '\0' && json_equal(written, again));
    config_changes(c->json, written, changes, sizeof changes);
    config_free(&merged);
    json_decref(again);
    json_decref(written);
}

static void check_wrong(const char *why)
{
    REQUIRE(memchr(why, '\0', SCHEMA_WHY) && strncmp(why, "stile.json:", 11) == 0);
    json_t *problem = config_problem_json(why);
    REQUIRE(json_is_integer(json_object_get(problem, "line")));
    json_decref(problem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config c;
    char why[SCHEMA_WHY], *text = strndup((const char *)data, size), *half = strndup(text, strlen(text) / 2);
    if (config_parse("stile.json", text, &c, why) == ERR_OK) {
        check_right(&c);
        config_free(&c);
    } else {
        check_wrong(why);
    }
    char *diff = diff_unified(half, "a", text, "b");
    REQUIRE(diff && (*diff != '\0') == (*text != '\0'));
    free(diff);
    free(half);
    free(text);
    return 0;
}
