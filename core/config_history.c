#include "core/config_history.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/time_text.h"

#define HISTORY_FOLDER "config-history"

enum { ENTRY_MAX = 8 * 1024 * 1024, SEEN_MAX = 4 * CONFIG_HISTORY_MAX };

static const char *history_path(const struct box *box, long revision, char out[PATH_MAX])
{
    char name[64];
    snprintf(name, sizeof name, HISTORY_FOLDER "/%ld.json", revision);
    return box_state_file(box, name, out);
}

static int newest_first(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;
    return (x < y) - (x > y);
}

/* The revisions that are kept, the newest first. */
static size_t history_revisions(const struct box *box, long out[SEEN_MAX])
{
    char path[PATH_MAX];
    size_t n = 0;
    struct dirent *entry;
    DIR *d = opendir(box_state_file(box, HISTORY_FOLDER, path));
    while (d && n < SEEN_MAX && (entry = readdir(d)) != NULL) {
        char *end;
        long revision = strtol(entry->d_name, &end, 10);
        if (revision > 0 && strcmp(end, ".json") == 0)
            out[n++] = revision;
    }
    if (d)
        closedir(d);
    qsort(out, n, sizeof out[0], newest_first);
    return n;
}

/* NULL when it is not there, or is none of ours any more. */
static json_t *history_read(const struct box *box, long revision)
{
    char path[PATH_MAX], why[SCHEMA_WHY], *text;
    if (file_read(history_path(box, revision, path), ENTRY_MAX, &text, NULL, why, sizeof why) != ERR_OK)
        return NULL;
    json_t *entry = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    if (json_is_string(json_object_get(entry, "text")))
        return entry;
    json_decref(entry);
    return NULL;
}

static void history_drop_oldest(const struct box *box, long kept)
{
    char path[PATH_MAX];
    long all[SEEN_MAX];
    size_t n = history_revisions(box, all), left = 0;
    for (size_t i = 0; i < n; i++)
        if (all[i] != kept && ++left >= CONFIG_HISTORY_MAX)
            (void)unlink(history_path(box, all[i], path));
}

static json_t *history_entry(const struct config *config, const char *by, const char *summary)
{
    return json_pack("{sI so ss ss ss}", "revision", (json_int_t)config->revision, "time",
                     time_json(time(NULL)), "by", by, "summary", summary, "text", config->text);
}

enum err config_history_add(const struct box *box, const char *by, const char *summary, char *why)
{
    char path[PATH_MAX];
    const struct config *config = &box->config;
    json_t *there = history_read(box, config->revision);
    const char *text = json_string_value(json_object_get(there, "text"));
    bool same = text && strcmp(text, config->text) == 0;
    json_decref(there);
    if (same)
        return ERR_OK;
    json_t *entry = history_entry(config, by, summary);
    char *json = entry ? json_dumps(entry, JSON_INDENT(2)) : NULL;
    json_decref(entry);
    snprintf(why, SCHEMA_WHY, "out of memory");
    enum err e =
        json ? file_make_dir(box_state_file(box, HISTORY_FOLDER, path), 0700, why, SCHEMA_WHY) : ERR_MEMORY;
    if (e == ERR_OK)
        e = file_write(history_path(box, config->revision, path), json, strlen(json), 0600, why, SCHEMA_WHY);
    free(json);
    if (e == ERR_OK)
        history_drop_oldest(box, config->revision);
    return e;
}

json_t *config_history_list(const struct box *box)
{
    long all[SEEN_MAX];
    size_t n = history_revisions(box, all);
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        json_t *entry = history_read(box, all[i]);
        if (!entry)
            continue;
        json_object_del(entry, "text");
        json_array_append_new(list, entry);
    }
    return list;
}

enum err config_history_text(const struct box *box, long revision, char **text, char *why)
{
    json_t *entry = history_read(box, revision);
    const char *kept = json_string_value(json_object_get(entry, "text"));
    char *copy = kept ? strdup(kept) : NULL;
    json_decref(entry);
    if (copy) {
        *text = copy;
        return ERR_OK;
    }
    snprintf(why, SCHEMA_WHY, "revision %ld is not kept; 'stile-core config history' lists those that are",
             revision);
    return ERR_NOT_FOUND;
}
