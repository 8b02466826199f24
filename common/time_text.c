#include "common/time_text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

const char *time_text(int64_t ms, char out[TIME_TEXT])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    size_t n = gmtime_r(&seconds, &tm) ? strftime(out, TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm) : 0;
    if (ms % 1000 > 0)
        snprintf(out + n, TIME_TEXT - n, ".%03dZ", (int)(ms % 1000));
    else
        snprintf(out + n, TIME_TEXT - n, "Z");
    return out;
}

json_t *time_json(int64_t seconds)
{
    char text[TIME_TEXT];
    return seconds ? json_string(time_text(seconds * 1000, text)) : json_null();
}

int64_t time_parse(const char *text)
{
    struct tm tm = {0};
    const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    return rest && (*rest == 'Z' || *rest == '.') ? (int64_t)timegm(&tm) : -1;
}
