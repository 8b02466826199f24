#include "common/log_fields.h"

#include <string.h>

#include "common/text.h"

static bool key_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* Behind a value: the end, or a space and the next key. */
static bool value_ends(const char *at)
{
    const char *key = at + 1;
    if (*at != ' ')
        return !*at;
    for (at = key; key_char(*at);)
        at++;
    return at > key && *at == '=';
}

/* at is behind the first quote. Returns the end of the value, its closing quote or the end of the text. */
static const char *quoted_end(const char *at)
{
    for (; *at; at++) {
        if (*at == '\\' && (at[1] == '"' || at[1] == '\\'))
            at++;
        else if (*at == '"' && value_ends(at + 1))
            break;
    }
    return at;
}

/* [from, end) into value, without the backslashes that log_quote put in front of quotes and backslashes. */
static void field_value(struct log_field *out, const char *from, const char *end)
{
    char plain[sizeof out->value];
    size_t n = 0;
    while (from < end && n < sizeof plain - 1) {
        if (*from == '\\' && from + 1 < end && (from[1] == '"' || from[1] == '\\'))
            from++;
        plain[n++] = *from++;
    }
    plain[n] = '\0';
    text_copy(out->value, sizeof out->value, plain);
}

bool log_field_next(const char **text, struct log_field *out)
{
    const char *at = *text;
    while (*at) {
        const char *key = at;
        while (key_char(*at))
            at++;
        size_t n = (size_t)(at - key);
        if (n == 0 || n >= sizeof out->key || *at != '=') {
            at += strcspn(at, " ");
            at += strspn(at, " ");
            continue;
        }
        memcpy(out->key, key, n);
        out->key[n] = '\0';
        bool quoted = *++at == '"';
        const char *value = at + quoted, *end = quoted ? quoted_end(value) : value + strcspn(value, " ");
        field_value(out, value, end);
        at = end + (quoted && *end == '"');
        *text = at + strspn(at, " ");
        return true;
    }
    *text = at;
    return false;
}

json_t *log_fields_json(const char *text)
{
    struct log_field f;
    json_t *fields = json_object();
    while (fields && log_field_next(&text, &f))
        json_object_set_new(fields, f.key, json_string(f.value));
    return fields;
}
