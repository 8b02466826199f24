/* The config asked for and changed by others: `stile-core config`, the admin service. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config_text.h"
#include "common/json_text.h"
#include "core/config_history.h"
#include "core/core_change.h"

static void refuse(struct request *r, const char *code, json_t *reason)
{
    request_answer(r, json_pack("{ss so ss}", "type", "error", "reason", reason, "code", code));
}

void core_config_show_request(void *core, struct request *r, const json_t *msg)
{
    const struct core *c = core;
    char path[PATH_MAX];
    const char *fixed = box_config_fixed(c->box);
    (void)msg;
    request_answer(r, json_pack("{ss ss ss sI sb ss so*}", "type", "config_show", "file",
                                box_file(c->box, BOX_CONFIG, path), "text", c->box->config.text, "revision",
                                (json_int_t)c->box->config.revision, "writable", !fixed, "fixed",
                                fixed ? fixed : "", "config", schema_write(config_rows, &c->box->config)));
}

static char *text_with_revision(const char *text, long revision)
{
    json_t *number = json_integer(revision);
    char *out = json_text_set(text, "", "revision", number);
    json_decref(number);
    return out;
}

/* The text that is asked about, with a revision above that in force unless it says what is in force. NULL:
 * refused. */
static char *given_text(const struct core *c, struct request *r, const json_t *msg)
{
    const char *text = json_string_value(json_object_get(msg, "text"));
    const struct config *now = &c->box->config;
    char *out = NULL;
    if (!text || strlen(text) > CONFIG_TEXT_MAX) {
        refuse(r, "invalid",
               json_sprintf("text: the whole of stile.json is wanted, at most %d bytes", CONFIG_TEXT_MAX));
        return NULL;
    }
    json_t *given = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    json_t *revision = json_object_get(given, "revision");
    bool counts = json_is_object(given) && (!revision || json_is_integer(revision)) &&
                  json_integer_value(revision) <= now->revision && !json_equal(given, now->json);
    out = counts ? text_with_revision(text, now->revision + 1) : strdup(text);
    json_decref(given);
    if (!out)
        request_refuse(r, "out of memory; nothing was changed");
    return out;
}

void core_config_check_request(void *core, struct request *r, const json_t *msg)
{
    struct core_change change = {.type = "config_check", .dry = true};
    change.text = given_text(core, r, msg);
    if (change.text)
        core_change_begin(core, r, &change);
}

void core_config_put_request(void *core, struct request *r, const json_t *msg)
{
    const struct core *c = core;
    struct core_change change = {.type = "config_put"};
    const json_t *revision = json_object_get(msg, "revision");
    if (!json_is_integer(revision) || json_integer_value(revision) != c->box->config.revision) {
        refuse(r, "conflict",
               json_sprintf("revision %ld is in force, not the one that was changed; look at it first",
                            c->box->config.revision));
        return;
    }
    change.text = given_text(c, r, msg);
    request_by(r, change.by, sizeof change.by);
    if (change.text)
        core_change_begin(core, r, &change);
}

void core_config_history_request(void *core, struct request *r, const json_t *msg)
{
    const struct core *c = core;
    char why[SCHEMA_WHY], *text;
    const json_t *revision = json_object_get(msg, "revision");
    if (!revision) {
        request_answer(r,
                       json_pack("{ss so}", "type", "config_history", "items", config_history_list(c->box)));
    } else if (config_history_text(c->box, (long)json_integer_value(revision), &text, why) == ERR_OK) {
        request_answer(r,
                       json_pack("{ss sO ss}", "type", "config_history", "revision", revision, "text", text));
        free(text);
    } else {
        refuse(r, "not_found", json_string(why));
    }
}

void core_config_rollback_request(void *core, struct request *r, const json_t *msg)
{
    const struct core *c = core;
    struct core_change change = {.type = "config_rollback"};
    char why[SCHEMA_WHY], *text;
    long now = c->box->config.revision, revision = (long)json_integer_value(json_object_get(msg, "revision"));
    if (revision == now) {
        refuse(r, "conflict", json_sprintf("revision %ld is in force", now));
        return;
    }
    if (config_history_text(c->box, revision, &text, why) != ERR_OK) {
        refuse(r, "not_found", json_string(why));
        return;
    }
    change.text = text_with_revision(text, now + 1);
    free(text);
    request_by(r, change.by, sizeof change.by);
    size_t n = strlen(change.by);
    snprintf(change.by + n, sizeof change.by - n, ", back to %ld", revision);
    if (change.text)
        core_change_begin(core, r, &change);
    else
        request_refuse(r, "out of memory; nothing was changed");
}
