#include "common/admin/admin_route.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Finding ------------------------------------------------------------------------------------------------ */

size_t admin_route_index(const struct admin_route *r)
{
    return (size_t)(r - admin_routes);
}

const struct admin_route *admin_route_at(json_int_t index, enum admin_box box)
{
    json_int_t i = 0;
    for (const struct admin_route *r = admin_routes; r->method; r++, i++)
        if (i == index)
            return r->boxes & box ? r : NULL;
    return NULL;
}

const char *admin_route_parameter(const struct admin_route *r, char out[32])
{
    const char *open = strchr(r->path, '{'), *end = open ? strchr(open, '}') : NULL;
    snprintf(out, 32, "%.*s", end ? (int)(end - open - 1) : 0, end ? open + 1 : "");
    return out;
}

/* Where the argument of the path lies; false when the path is another one. */
static bool route_matches(const char *pattern, const char *path, size_t n, const char **at, size_t *length)
{
    const char *open = strchr(pattern, '{');
    size_t head = open ? (size_t)(open - pattern) : strlen(pattern);
    *at = NULL;
    if (n < head || memcmp(path, pattern, head) != 0)
        return false;
    if (!open)
        return n == head;
    const char *tail = strchr(open, '}') + 1, *slash = memchr(path + head, '/', n - head);
    *at = path + head;
    *length = slash ? (size_t)(slash - *at) : n - head;
    size_t rest = n - head - *length;
    return *length > 0 && rest == strlen(tail) && memcmp(*at + *length, tail, rest) == 0;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* RFC 3986 §2.1; plus_is_space as in queries. NULL: malformed, too long, no UTF-8 or no text at all. */
static json_t *decode_text(const char *at, size_t n, bool plus_is_space)
{
    char text[ADMIN_TEXT_MAX + 1];
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        char c = at[i];
        if (used >= ADMIN_TEXT_MAX)
            return NULL;
        if (c == '+' && plus_is_space)
            c = ' ';
        if (c == '%') {
            bool whole = n - i > 2;
            int high = whole ? hex_value(at[i + 1]) : -1, low = whole ? hex_value(at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return NULL;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0')
            return NULL;
        text[used++] = c;
    }
    return json_stringn(text, used);
}

static void allow_add(char allow[64], const char *method)
{
    size_t n = strlen(allow);
    snprintf(allow + n, 64 - n, "%s%s", n ? ", " : "", method);
}

enum err admin_route_find(enum admin_box box, const char *method, size_t n_method, const char *path,
                          size_t n_path, json_t *args, const struct admin_route **out, char allow[64])
{
    *allow = '\0';
    for (const struct admin_route *r = admin_routes; r->method; r++) {
        const char *at;
        size_t n = 0;
        char name[32];
        if (!(r->boxes & box) || !route_matches(r->path, path, n_path, &at, &n))
            continue;
        if (strlen(r->method) != n_method || memcmp(r->method, method, n_method) != 0) {
            allow_add(allow, r->method);
            continue;
        }
        if (at) {
            json_t *text = decode_text(at, n, false);
            if (!text)
                return ERR_MALFORMED;
            json_object_set_new(args, admin_route_parameter(r, name), text);
        }
        *out = r;
        return ERR_OK;
    }
    return *allow ? ERR_UNSUPPORTED : ERR_NOT_FOUND;
}

/* Arguments ---------------------------------------------------------------------------------------------- */

static const struct admin_field *route_field(const struct admin_route *r, const char *name, size_t n)
{
    for (size_t i = 0; i < ADMIN_FIELDS_MAX && r->fields[i].name; i++)
        if (strlen(r->fields[i].name) == n && memcmp(r->fields[i].name, name, n) == 0)
            return &r->fields[i];
    return NULL;
}

/* A number in a query; NULL when it is none. */
static json_t *number_of(const char *at, size_t n)
{
    char text[24], *end;
    if (n == 0 || n >= sizeof text || at[0] == '+' || at[0] == ' ')
        return NULL;
    memcpy(text, at, n);
    text[n] = '\0';
    long long value = strtoll(text, &end, 10);
    return *end ? NULL : json_integer(value);
}

static enum err query_pair(const struct admin_route *r, const char *at, size_t n, json_t *args, char *why,
                           size_t size)
{
    const char *equals = memchr(at, '=', n);
    size_t n_name = equals ? (size_t)(equals - at) : n;
    const struct admin_field *f = route_field(r, at, n_name);
    if (!f) {
        snprintf(why, size, "the query has something that is not known here");
        return ERR_MALFORMED;
    }
    const char *value = equals ? equals + 1 : at + n;
    size_t n_value = (size_t)(at + n - value);
    json_t *v = f->kind == ADMIN_NUMBER ? number_of(value, n_value)
                : f->kind == ADMIN_FLAG ? json_boolean(n_value == 4 && memcmp(value, "true", 4) == 0)
                                        : decode_text(value, n_value, true);
    bool twice = json_object_get(args, f->name) != NULL;
    if (!twice && v && json_object_set_new(args, f->name, v) == 0)
        return ERR_OK;
    snprintf(why, size, "%s: %s", f->name, twice ? "given twice" : "not of the right kind");
    if (twice)
        json_decref(v);
    return ERR_MALFORMED;
}

enum err admin_route_query(const struct admin_route *r, const char *query, size_t n, json_t *args, char *why,
                           size_t size)
{
    enum err e = ERR_OK;
    while (n > 0 && e == ERR_OK) {
        const char *amp = memchr(query, '&', n);
        size_t length = amp ? (size_t)(amp - query) : n;
        if (length > 0)
            e = query_pair(r, query, length, args, why, size);
        n -= length + (amp != NULL);
        query += length + (amp != NULL);
    }
    return e;
}

static bool field_fits(const struct admin_route *r, const struct admin_field *f, const json_t *v)
{
    switch (f->kind) {
    case ADMIN_TEXT:
        return json_is_string(v) && strlen(json_string_value(v)) == json_string_length(v) &&
               json_string_length(v) <= (r->big ? ADMIN_BIG_MAX : ADMIN_TEXT_MAX);
    case ADMIN_NUMBER:
        return json_is_integer(v);
    case ADMIN_FLAG:
        return json_is_boolean(v);
    }
    return false;
}

enum err admin_route_judge(const struct admin_route *r, const json_t *args, char *why, size_t size)
{
    static const char *const kinds[] = {"a text", "a whole number", "true or false"};
    const char *key;
    char parameter[32];
    json_t *value;
    admin_route_parameter(r, parameter);
    json_object_foreach ((json_t *)(uintptr_t)args, key, value) {
        const struct admin_field *f = route_field(r, key, strlen(key));
        if (!f && *parameter && strcmp(key, parameter) == 0 && json_is_string(value))
            continue;
        if (!f || !field_fits(r, f, value)) {
            snprintf(why, size, "%.40s: %s%s", f ? key : "the body",
                     f ? "is not " : "has a key that is not known here", f ? kinds[f->kind] : "");
            return ERR_MALFORMED;
        }
    }
    if (*parameter && !json_object_get(args, parameter))
        return ERR_MALFORMED;
    for (size_t i = 0; i < ADMIN_FIELDS_MAX && r->fields[i].name; i++)
        if (r->fields[i].required && !json_object_get(args, r->fields[i].name)) {
            snprintf(why, size, "%s: is missing (%s)", r->fields[i].name, r->fields[i].help);
            return ERR_MALFORMED;
        }
    return ERR_OK;
}
