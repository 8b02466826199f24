#include "common/web_limits.h"

#include <stdio.h>
#include <string.h>

void web_limits_default(struct web_limits *l)
{
#define X(name, normal, least, most, words) l->name = normal;
    WEB_LIMITS(X)
#undef X
}

json_t *web_limits_json(const struct web_limits *l)
{
    json_t *o = json_object();
#define X(name, normal, least, most, words) json_object_set_new(o, #name, json_integer(l->name));
    WEB_LIMITS(X)
#undef X
    return o;
}

/* The place of a limit by its name, and its bounds; NULL when there is none. */
static long *limit_find(struct web_limits *l, const char *name, long *least, long *most)
{
#define X(row, normal, low, high, words)                                                                     \
    if (strcmp(name, #row) == 0) {                                                                           \
        *least = low;                                                                                        \
        *most = high;                                                                                        \
        return &l->row;                                                                                      \
    }
    WEB_LIMITS(X)
#undef X
    return NULL;
}

enum err web_limits_from_json(const json_t *o, struct web_limits *l, char *why, size_t why_size)
{
    struct web_limits fresh;
    const char *key;
    json_t *value;
    web_limits_default(&fresh);
    json_object_foreach ((json_t *)o, key, value) {
        long least = 0, most = 0, *at = limit_find(&fresh, key, &least, &most);
        json_int_t v = json_integer_value(value);
        if (!at || !json_is_integer(value) || v < least || v > most) {
            snprintf(why, why_size, at ? "limits: %.64s: %ld to %ld is wanted" : "limits: %.64s: unknown key",
                     key, least, most);
            return ERR_CONFIG;
        }
        *at = (long)v;
    }
    *l = fresh;
    return ERR_OK;
}
