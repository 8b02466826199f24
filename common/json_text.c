#include "common/json_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/file.h"

enum { TEXT_MAX = 64 * 1024 * 1024, INDENT_MAX = 64 };

/* Scanning --------------------------------------------------------------------------------------------- */

static const char *skip_space(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

static const char *skip_string(const char *p)
{
    for (p++; *p && *p != '"'; p++)
        if (*p == '\\' && p[1])
            p++;
    return *p ? p + 1 : p;
}

static const char *skip_value(const char *p)
{
    int depth = 0;
    do {
        if (*p == '"') {
            p = skip_string(p);
            continue;
        }
        depth += *p == '{' || *p == '[';
        depth -= *p == '}' || *p == ']';
        p++;
        if (depth == 0 && !strchr(",]} \t\r\n", *p))
            p += strcspn(p, ",]} \t\r\n");
    } while (*p && depth > 0);
    return p;
}

/* One member or element of a container. */
struct item {
    const char *begin; /* of its name, or its value */
    const char *name;  /* NULL in an array; without the quotes */
    size_t name_len;
    const char *value, *end;
};

/* The item at p, which is behind '[', '{' or ','; false at the container's end. */
static bool item_read(const char *p, bool object, struct item *out)
{
    struct item it = {.begin = skip_space(p)};
    if (!*it.begin || *it.begin == '}' || *it.begin == ']')
        return false;
    it.value = it.begin;
    if (object) {
        const char *end = skip_string(it.begin);
        it.name = it.begin + 1;
        it.name_len = (size_t)(end - it.begin) - 2;
        p = skip_space(end);
        it.value = skip_space(*p == ':' ? p + 1 : p);
    }
    it.end = skip_value(it.value);
    *out = it;
    return true;
}

static bool item_next(struct item *it, bool object)
{
    const char *p = skip_space(it->end);
    return *p == ',' && item_read(p + 1, object, it);
}

/* The value of member `key` (or element number `key`) of the container at p; NULL when it is not there. */
static const char *find_in(const char *p, const char *key, size_t key_len)
{
    struct item it;
    bool object = *p == '{';
    size_t wanted = object ? 0 : strtoul(key, NULL, 10), i = 0;
    if (!object && *p != '[')
        return NULL;
    for (bool more = item_read(p + 1, object, &it); more; more = item_next(&it, object), i++)
        if (object ? it.name_len == key_len && memcmp(it.name, key, key_len) == 0 : i == wanted)
            return it.value;
    return NULL;
}

static const char *find(const char *text, const char *pointer, bool *whole)
{
    const char *p = skip_space(text);
    *whole = true;
    while (*pointer == '/' && *whole) {
        size_t n = strcspn(pointer + 1, "/");
        const char *next = find_in(p, pointer + 1, n);
        *whole = next != NULL;
        p = next ? next : p;
        pointer += n + 1;
    }
    return p;
}

const char *json_text_nearest(const char *text, const char *pointer)
{
    bool whole;
    return find(text, pointer, &whole);
}

const char *json_text_find(const char *text, const char *pointer)
{
    bool whole;
    const char *p = find(text, pointer, &whole);
    return whole ? p : NULL;
}

/* Changing --------------------------------------------------------------------------------------------- */

/* How the items of a container are written. */
struct layout {
    bool lines;      /* each on a line of its own */
    bool short_item; /* the last one has no line end inside */
    int n_indent;    /* what stands in front of each */
    const char *indent;
    size_t step; /* spaces by which they are further in than the container's end */
};

/* last: the container's last item; container_end: its bracket. */
static struct layout layout_of(const struct item *last, const char *container, const char *container_end)
{
    struct layout l = {.short_item = !memchr(last->value, '\n', (size_t)(last->end - last->value))};
    const char *line = last->begin, *end_line = container_end;
    while (line > container && strchr(" \t", line[-1]))
        line--;
    while (end_line > container && strchr(" \t", end_line[-1]))
        end_line--;
    l.lines = line > container && line[-1] == '\n';
    l.indent = line;
    l.n_indent = l.lines ? (int)(last->begin - line) : 0;
    if (l.n_indent > INDENT_MAX)
        l.n_indent = INDENT_MAX;
    size_t end_indent = (size_t)(container_end - end_line);
    l.step = (size_t)l.n_indent > end_indent ? (size_t)l.n_indent - end_indent : 2;
    if (l.step > 8)
        l.step = 2;
    return l;
}

static enum err put_value(struct buf *out, const json_t *value, const struct layout *l)
{
    size_t flags = JSON_ENCODE_ANY | (l->lines && !l->short_item ? JSON_INDENT(l->step) : 0);
    char *text = json_dumps(value, flags);
    enum err e = text ? ERR_OK : ERR_MEMORY;
    for (const char *p = text; p && *p && e == ERR_OK;) {
        size_t n = strcspn(p, "\n");
        e = buf_append(out, p, n);
        p += n;
        if (*p == '\n' && e == ERR_OK) {
            e = buf_append_str(out, "\n");
            if (e == ERR_OK)
                e = buf_append(out, l->indent, (size_t)l->n_indent);
            p++;
        }
    }
    file_wipe(text); /* it may be a secret */
    return e;
}

/* text up to `from`, the middle, text from `to` on. */
static char *splice(const char *text, const char *from, const struct buf *middle, const char *to)
{
    size_t head = (size_t)(from - text), n = buf_len(middle), tail = strlen(to);
    char *out = malloc(head + n + tail + 1);
    if (!out)
        return NULL;
    memcpy(out, text, head);
    if (n)
        memcpy(out + head, buf_data(middle), n);
    memcpy(out + head + n, to, tail + 1);
    return out;
}

static bool last_item(const char *container, bool object, struct item *out)
{
    struct item it;
    if (!item_read(container + 1, object, &it))
        return false;
    do
        *out = it;
    while (item_next(&it, object));
    return true;
}

/* A new item behind the last one. key NULL: of an array. */
static char *add(const char *text, const char *container, const char *key, const json_t *value)
{
    struct item last;
    struct buf added;
    struct layout l = {0};
    char *quoted = NULL;
    const char *end = skip_value(container) - 1, *at = container + 1;
    enum err e = ERR_OK;
    buf_init(&added, TEXT_MAX);
    if (last_item(container, key != NULL, &last)) {
        l = layout_of(&last, container, end);
        at = last.end;
        e = buf_append_str(&added, l.lines ? ",\n" : ", ");
        if (e == ERR_OK)
            e = buf_append(&added, l.indent, (size_t)l.n_indent);
    }
    if (key && e == ERR_OK) {
        json_t *name = json_string(key);
        quoted = name ? json_dumps(name, JSON_ENCODE_ANY) : NULL;
        json_decref(name);
        e = quoted ? buf_printf(&added, "%s: ", quoted) : ERR_MEMORY;
        free(quoted);
    }
    if (e == ERR_OK)
        e = put_value(&added, value, &l);
    char *out = e == ERR_OK ? splice(text, at, &added, at) : NULL;
    buf_wipe(&added);
    return out;
}

char *json_text_set(const char *text, const char *pointer, const char *key, const json_t *value)
{
    const char *object = json_text_find(text, pointer), *old;
    struct item it;
    struct buf fresh;
    if (!object || *object != '{')
        return NULL;
    old = find_in(object, key, strlen(key));
    if (!old)
        return add(text, object, key, value);
    it = (struct item){.begin = old, .value = old, .end = skip_value(old)};
    while (it.begin > object && it.begin[-1] != '\n' && it.begin[-1] != '{' && it.begin[-1] != ',')
        it.begin--; /* the member's line, for its indentation */
    it.begin = skip_space(it.begin);
    struct layout l = layout_of(&it, object, skip_value(object) - 1);
    buf_init(&fresh, TEXT_MAX);
    char *out = put_value(&fresh, value, &l) == ERR_OK ? splice(text, old, &fresh, it.end) : NULL;
    buf_wipe(&fresh);
    return out;
}

char *json_text_append(const char *text, const char *pointer, const json_t *value)
{
    const char *array = json_text_find(text, pointer);
    return array && *array == '[' ? add(text, array, NULL, value) : NULL;
}

char *json_text_remove(const char *text, const char *pointer, size_t index)
{
    const char *array = json_text_find(text, pointer), *from, *to;
    struct item it, before = {0};
    struct buf nothing;
    if (!array || *array != '[' || !item_read(array + 1, false, &it))
        return NULL;
    for (size_t i = 0; i < index; i++) {
        before = it;
        if (!item_next(&it, false))
            return NULL;
    }
    /* With the comma and the space in front of it; the first one with those behind it. */
    from = before.end ? before.end : it.begin;
    to = it.end;
    if (!before.end) {
        to = skip_space(it.end);
        to = *to == ',' ? skip_space(to + 1) : it.end;
    }
    buf_init(&nothing, 1);
    char *out = splice(text, from, &nothing, to);
    buf_free(&nothing);
    return out;
}
