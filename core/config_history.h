/*
 * The revisions of the config that were in force last, each with who brought it and when: one file each in
 * the folder config-history of core's state, readable by nobody else.
 */
#ifndef CORE_CONFIG_HISTORY_H
#define CORE_CONFIG_HISTORY_H

#include <jansson.h>

#include "common/box.h"
#include "common/err.h"

enum { CONFIG_HISTORY_MAX = 20 };

/* Keeps the config in force as its revision, and drops the oldest above CONFIG_HISTORY_MAX. by and summary
 * are words for people. One that is there with the same text stays as it is. why[SCHEMA_WHY] on error. */
enum err config_history_add(const struct box *box, const char *by, const char *summary, char *why);
/* [{revision, time, by, summary}], the newest first. NULL when memory is out. */
json_t *config_history_list(const struct box *box);
/* The text of a revision, the caller's to free. ERR_NOT_FOUND when it is not kept. why[SCHEMA_WHY]. */
enum err config_history_text(const struct box *box, long revision, char **text, char *why);

#endif
