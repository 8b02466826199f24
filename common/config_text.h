/* A config as an answer: what has changed in words, and problems taken apart. */
#ifndef COMMON_CONFIG_TEXT_H
#define COMMON_CONFIG_TEXT_H

#include "common/config.h"

enum { CONFIG_TEXT_MAX = 512 * 1024, CONFIG_SUMMARY = 200 };

/* The keys that differ, "web_proxy.methods, turn.user_quota and 3 more", without the revision; "" for none.
 * Returns out. */
const char *config_changes(const json_t *from, const json_t *to, char *out, size_t size);
/* Problems that begin with a key ("web_proxy.extra_rules: rule 2: …") get file and line in front, as those
 * of config_parse have them; others stay. why has SCHEMA_WHY bytes. */
void config_problem_place(const struct schema_source *source, char *why);
/* {"message"} of a problem in words, with "file", "line" and "key" where it names them; NULL when memory is
 * out. */
json_t *config_problem_json(const char *why);

#endif
