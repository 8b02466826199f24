/* Times of day as JSON has them: RFC 3339 in UTC. */
#ifndef COMMON_TIME_TEXT_H
#define COMMON_TIME_TEXT_H

#include <jansson.h>
#include <stdint.h>

enum { TIME_TEXT = 32 };

/* Milliseconds since 1970: "2026-11-22T12:31:43.123Z", without the fraction when it is zero. Returns out. */
const char *time_text(int64_t ms, char out[TIME_TEXT]);
/* The same as a JSON string, for seconds; JSON's null for 0. */
json_t *time_json(int64_t seconds);
/* The other way, to seconds; -1 when it is none of ours. */
int64_t time_parse(const char *text);

#endif
