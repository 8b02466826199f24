#include "common/schema.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_text.h"
#include "common/text.h"

enum { SCHEMA_POINTER = 256 };

/* One step into the document: where we are, for messages. */
struct schema_walk {
    const struct schema_source *source;
    char pointer[SCHEMA_POINTER];
    char *why;
};

static enum err schema_object(struct schema_walk *walk, const json_t *object, const struct schema_row *rows,
                              void *target);

/* A missing member is reported where its container begins. */
unsigned schema_line(const char *text, const char *pointer)
{
    const char *p = json_text_nearest(text, pointer);
    unsigned line = 1;
    for (const char *q = text; q < p; q++)
        line += *q == '\n';
    return line;
}

/* Messages --------------------------------------------------------------------------------------------- */

static void schema_key_name(const char *pointer, char *out, size_t size)
{
    size_t used = 0;
    for (const char *p = pointer; *p == '/' && used + 8 < size;) {
        int n = (int)strcspn(p + 1, "/");
        bool index = p[1] >= '0' && p[1] <= '9';
        int w;
        if (index)
            w = snprintf(out + used, size - used, "[%.*s]", n, p + 1);
        else
            w = snprintf(out + used, size - used, "%s%.*s", used ? "." : "", n, p + 1);
        used += (size_t)w < size - used ? (size_t)w : 0;
        p += n + 1;
    }
    if (!used)
        snprintf(out, size, "(top level)");
}

static void schema_report(const struct schema_source *source, const char *pointer, char *why,
                          const char *format, va_list ap)
{
    char key[SCHEMA_POINTER], raw[SCHEMA_WHY];
    schema_key_name(pointer, key, sizeof key);
    int n = snprintf(raw, sizeof raw, "%s:%u: %s: ", source->file, schema_line(source->text, pointer), key);
    if (n > 0 && n < SCHEMA_WHY)
        vsnprintf(raw + n, sizeof raw - (size_t)n, format, ap);
    text_copy(why, SCHEMA_WHY, raw);
}

/* What the document has is quoted: for terminals, and for JSON that takes only whole characters. */
enum err schema_not_json(const struct schema_source *source, const json_error_t *error, char *why)
{
    char raw[SCHEMA_WHY];
    snprintf(raw, sizeof raw, "%s:%d: not valid JSON%s%s", source->file, error->line,
             source->secret ? "" : ": ", source->secret ? "" : error->text);
    text_copy(why, SCHEMA_WHY, raw);
    return ERR_CONFIG;
}

enum err schema_problem(const struct schema_source *source, const char *pointer, char *why,
                        const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    schema_report(source, pointer, why, format, ap);
    va_end(ap);
    return ERR_CONFIG;
}

static enum err __attribute__((format(printf, 2, 3)))
walk_problem(struct schema_walk *walk, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    schema_report(walk->source, walk->pointer, walk->why, format, ap);
    va_end(ap);
    return ERR_CONFIG;
}

/* The value as it would be written, shortened, for messages. */
static const char *schema_value_text(const struct schema_walk *walk, const struct schema_row *row,
                                     const json_t *value, char out[80])
{
    if (walk->source->secret || (row && row->secret)) {
        snprintf(out, 80, "its value (not shown)");
        return out;
    }
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    snprintf(out, 80, "%.70s%s", text ? text : "?", text && strlen(text) > 70 ? "…" : "");
    free(text);
    return out;
}

static const char *type_words(const struct schema_row *row)
{
    switch (row->type) {
    case SCHEMA_STRING:
        return "a string";
    case SCHEMA_BOOL:
        return "true or false";
    case SCHEMA_INT:
        return "a whole number";
    case SCHEMA_STRINGS:
        return "an array of strings";
    case SCHEMA_RANGE:
        return "an array of two whole numbers, the lower first";
    case SCHEMA_OBJECT:
        return "an object";
    default:
        return "an array of objects";
    }
}

/* Values ----------------------------------------------------------------------------------------------- */

static enum err wrong_type(struct schema_walk *walk, const struct schema_row *row, const json_t *value)
{
    char text[80];
    return walk_problem(walk, "%s is not %s", schema_value_text(walk, row, value, text), type_words(row));
}

/* NULL when s is one of the words, else the choice as people say it. */
static const char *check_words(const struct schema_row *row, const char *s, char *out, size_t size)
{
    size_t used = 0;
    for (const char *const *word = row->words; *word; word++) {
        if (strcmp(*word, s) == 0)
            return NULL;
        used += (size_t)snprintf(out + used, size - used, "%s\"%s\"",
                                 word == row->words ? ""
                                 : word[1]          ? ", "
                                                    : " or ",
                                 *word);
        used = used < size ? used : size - 1;
    }
    return out;
}

static enum err read_string(struct schema_walk *walk, const struct schema_row *row, const json_t *value,
                            char **out)
{
    char text[80];
    const char *s = json_string_value(value), *right;
    if (!s)
        return walk_problem(walk, "%s is not a string", schema_value_text(walk, row, value, text));
    if (strlen(s) != json_string_length(value))
        return walk_problem(walk, "%s contains a NUL character", schema_value_text(walk, row, value, text));
    char words[160];
    right = row->words ? check_words(row, s, words, sizeof words) : row->check ? row->check(s) : NULL;
    if (right)
        return walk_problem(walk, "%s is not %s", schema_value_text(walk, row, value, text), right);
    *out = strdup(s);
    return *out ? ERR_OK : ERR_MEMORY;
}

static enum err read_int(struct schema_walk *walk, const struct schema_row *row, const json_t *value,
                         long *out)
{
    char text[80];
    if (!json_is_integer(value) || json_integer_value(value) < row->min ||
        json_integer_value(value) > row->max)
        return walk_problem(walk, "%s is not a whole number from %ld to %ld",
                            schema_value_text(walk, row, value, text), row->min, row->max);
    *out = (long)json_integer_value(value);
    return ERR_OK;
}

static enum err read_range(struct schema_walk *walk, const struct schema_row *row, const json_t *value,
                           long out[2])
{
    enum err e = ERR_OK;
    if (!json_is_array(value) || json_array_size(value) != 2)
        return wrong_type(walk, row, value);
    for (size_t i = 0; i < 2 && e == ERR_OK; i++)
        e = read_int(walk, row, json_array_get(value, i), &out[i]);
    if (e == ERR_OK && out[0] > out[1])
        e = wrong_type(walk, row, value);
    return e;
}

static enum err check_count(struct schema_walk *walk, const struct schema_row *row, const json_t *value)
{
    size_t n = json_array_size(value);
    if (!json_is_array(value))
        return wrong_type(walk, row, value);
    if (n < (size_t)row->min)
        return walk_problem(walk, "has %zu entries; at least %ld needed", n, row->min);
    if (row->max && n > (size_t)row->max)
        return walk_problem(walk, "has %zu entries; at most %ld are possible", n, row->max);
    return ERR_OK;
}

/* Steps into the member or element named by key; returns what walk_leave needs to step out. */
static size_t walk_enter(struct schema_walk *walk, const char *key)
{
    size_t n = strlen(walk->pointer);
    snprintf(walk->pointer + n, sizeof walk->pointer - n, "/%s", key);
    return n;
}

static size_t walk_enter_index(struct schema_walk *walk, size_t i)
{
    char index[24];
    snprintf(index, sizeof index, "%zu", i);
    return walk_enter(walk, index);
}

static void walk_leave(struct schema_walk *walk, size_t mark)
{
    walk->pointer[mark] = '\0';
}

static enum err read_strings(struct schema_walk *walk, const struct schema_row *row, const json_t *value,
                             struct schema_strings *out)
{
    enum err e = check_count(walk, row, value);
    size_t n = json_array_size(value);
    if (e != ERR_OK || n == 0)
        return e;
    out->items = calloc(n, sizeof *out->items);
    if (!out->items)
        return ERR_MEMORY;
    out->n = n;
    for (size_t i = 0; i < n && e == ERR_OK; i++) {
        size_t mark = walk_enter_index(walk, i);
        e = read_string(walk, row, json_array_get(value, i), &out->items[i]);
        walk_leave(walk, mark);
    }
    return e;
}

static enum err read_objects(struct schema_walk *walk, const struct schema_row *row, const json_t *value,
                             struct schema_objects *out)
{
    enum err e = check_count(walk, row, value);
    size_t n = json_array_size(value);
    if (e != ERR_OK || n == 0)
        return e;
    out->items = calloc(n, row->size);
    if (!out->items)
        return ERR_MEMORY;
    out->n = n;
    for (size_t i = 0; i < n && e == ERR_OK; i++) {
        size_t mark = walk_enter_index(walk, i);
        e = schema_object(walk, json_array_get(value, i), row->rows, (char *)out->items + i * row->size);
        walk_leave(walk, mark);
    }
    return e;
}

static enum err read_value(struct schema_walk *walk, const struct schema_row *row, const json_t *value,
                           void *member)
{
    switch (row->type) {
    case SCHEMA_STRING:
        return read_string(walk, row, value, member);
    case SCHEMA_BOOL:
        if (!json_is_boolean(value))
            return wrong_type(walk, row, value);
        *(bool *)member = json_is_true(value);
        return ERR_OK;
    case SCHEMA_INT:
        return read_int(walk, row, value, member);
    case SCHEMA_STRINGS:
        return read_strings(walk, row, value, member);
    case SCHEMA_RANGE:
        return read_range(walk, row, value, member);
    case SCHEMA_OBJECT:
        return schema_object(walk, value, row->rows, member);
    case SCHEMA_OBJECTS:
        return read_objects(walk, row, value, member);
    case SCHEMA_ANY:
        *(json_t **)member = json_incref((json_t *)(uintptr_t)value);
        return ERR_OK;
    }
    return ERR_UNSUPPORTED;
}

/* Objects ---------------------------------------------------------------------------------------------- */

static enum err unknown_key(struct schema_walk *walk, const char *key, const struct schema_row *rows)
{
    char known[300] = "";
    size_t used = 0;
    for (const struct schema_row *row = rows; row->key && used < sizeof known; row++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", row->key);
    size_t mark = walk_enter(walk, key);
    walk_problem(walk, "unknown key; known here: %s", known);
    walk_leave(walk, mark);
    return ERR_CONFIG;
}

static enum err read_default(struct schema_walk *walk, const struct schema_row *row, void *member)
{
    json_t *value;
    if (row->type == SCHEMA_OBJECT && !row->default_text) {
        value = json_object();
    } else if (row->default_text) {
        value = json_loads(row->default_text, JSON_DECODE_ANY, NULL);
    } else {
        return ERR_OK;
    }
    enum err e = value ? read_value(walk, row, value, member) : ERR_MEMORY;
    json_decref(value);
    return e;
}

static enum err schema_object(struct schema_walk *walk, const json_t *object, const struct schema_row *rows,
                              void *target)
{
    const char *key;
    json_t *value;
    char text[80];
    enum err e = ERR_OK;
    if (!json_is_object(object))
        return walk_problem(walk, "%s is not an object", schema_value_text(walk, NULL, object, text));
    json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
        const struct schema_row *row = rows;
        while (row->key && strcmp(row->key, key) != 0)
            row++;
        if (!row->key)
            return unknown_key(walk, key, rows);
    }
    for (const struct schema_row *row = rows; row->key && e == ERR_OK; row++) {
        void *member = (char *)target + row->offset;
        value = json_object_get(object, row->key);
        size_t mark = walk_enter(walk, row->key);
        if (value)
            e = read_value(walk, row, value, member);
        else if (row->required)
            e = walk_problem(walk, "missing; it is %s: %s", type_words(row), row->help);
        else
            e = read_default(walk, row, member);
        walk_leave(walk, mark);
    }
    return e;
}

enum err schema_read(const struct schema_source *source, const json_t *object, const struct schema_row *rows,
                     void *target, char *why)
{
    struct schema_walk walk = {.source = source, .why = why};
    snprintf(why, SCHEMA_WHY, "%s: out of memory", source->file);
    return schema_object(&walk, object, rows, target);
}

void schema_free(const struct schema_row *rows, void *target)
{
    for (const struct schema_row *row = rows; row->key; row++) {
        void *member = (char *)target + row->offset;
        struct schema_strings *strings = member;
        struct schema_objects *objects = member;
        switch (row->type) {
        case SCHEMA_STRING:
            free(*(char **)member);
            *(char **)member = NULL;
            break;
        case SCHEMA_STRINGS:
            for (size_t i = 0; i < strings->n; i++)
                free(strings->items[i]);
            free(strings->items);
            *strings = (struct schema_strings){0};
            break;
        case SCHEMA_OBJECT:
            schema_free(row->rows, member);
            break;
        case SCHEMA_OBJECTS:
            for (size_t i = 0; i < objects->n; i++)
                schema_free(row->rows, (char *)objects->items + i * row->size);
            free(objects->items);
            *objects = (struct schema_objects){0};
            break;
        case SCHEMA_ANY:
            json_decref(*(json_t **)member);
            *(json_t **)member = NULL;
            break;
        default:
            break;
        }
    }
}

enum err schema_document(const char *file, const char *text, const struct schema_row *rows, size_t size,
                         json_t **out, char *why)
{
    struct schema_source source = {.file = file, .text = text};
    json_error_t error;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        return schema_not_json(&source, &error, why);
    void *unused = calloc(1, size);
    enum err e = unused ? schema_read(&source, json, rows, unused, why) : ERR_MEMORY;
    if (unused)
        schema_free(rows, unused);
    free(unused);
    if (e == ERR_OK)
        *out = json;
    else
        json_decref(json);
    return e;
}

/* Merging ------------------------------------------------------------------------------------------------ */

struct merge {
    char *waiting;
    size_t size;
    char path[160];
    bool from_core;
    bool failed; /* out of memory */
};

static void merge_waits(struct merge *m, const char *key)
{
    size_t n = strlen(m->waiting);
    snprintf(m->waiting + n, m->size - n, "%s%s%s%s", n ? ", " : "", m->path, *m->path ? "." : "", key);
}

/* A key that is left out means its default. */
static bool merge_same(const struct schema_row *row, const json_t *a, const json_t *b)
{
    json_t *usual = row->default_text ? json_loads(row->default_text, JSON_DECODE_ANY, NULL) : NULL;
    a = a ? a : usual;
    b = b ? b : usual;
    bool same = a == b || (a && b && json_equal(a, b)) ||
                (!a && json_is_array(b) && json_array_size(b) == 0) ||
                (!b && json_is_array(a) && json_array_size(a) == 0);
    json_decref(usual);
    return same;
}

static void merge_object(struct merge *m, const struct schema_row *rows, json_t *to, const json_t *from);

static void merge_into(struct merge *m, const struct schema_row *rows, const char *key, json_t *to,
                       const json_t *from)
{
    size_t n = strlen(m->path);
    snprintf(m->path + n, sizeof m->path - n, "%s%s", n ? "." : "", key);
    merge_object(m, rows, to, from);
    m->path[n] = '\0';
}

static void merge_value(struct merge *m, const struct schema_row *row, json_t *to, const json_t *from)
{
    json_t *now = json_object_get(to, row->key), *then = json_object_get(from, row->key);
    if (row->type == SCHEMA_OBJECT) {
        json_t *empty = json_object();
        if (!now && (!empty || json_object_set_new(to, row->key, now = json_object()) < 0))
            m->failed = true;
        else
            merge_into(m, row->rows, row->key, now, then ? then : empty);
        json_decref(empty);
    } else if (row->type == SCHEMA_OBJECTS && json_array_size(now) == json_array_size(then)) {
        for (size_t i = 0; i < json_array_size(now); i++) {
            char key[64];
            snprintf(key, sizeof key, "%s[%zu]", row->key, i);
            merge_into(m, row->rows, key, json_array_get(now, i), json_array_get(then, i));
        }
    } else if (!row->edge_live && !(m->from_core && row->by_policy)) {
        if (!merge_same(row, now, then))
            merge_waits(m, row->key);
    } else if (then ? json_object_set(to, row->key, then) < 0 : now && json_object_del(to, row->key) < 0) {
        m->failed = true;
    }
}

static void merge_object(struct merge *m, const struct schema_row *rows, json_t *to, const json_t *from)
{
    for (const struct schema_row *row = rows; row->key; row++)
        merge_value(m, row, to, from);
}

json_t *schema_merge(const struct schema_row *rows, const json_t *running, const json_t *fresh,
                     bool from_core, char *waiting, size_t size)
{
    struct merge m = {.waiting = waiting, .size = size, .from_core = from_core};
    json_t *merged = json_deep_copy(running);
    *waiting = '\0';
    if (merged)
        merge_object(&m, rows, merged, fresh);
    if (!m.failed)
        return merged;
    json_decref(merged);
    return NULL;
}

/* Writing ------------------------------------------------------------------------------------------------ */

static json_t *write_objects(const struct schema_row *row, const struct schema_objects *objects)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < objects->n; i++)
        if (json_array_append_new(
                list, schema_write(row->rows, (const char *)objects->items + i * row->size)) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

/* NULL also for what has no value. */
static json_t *write_value(const struct schema_row *row, const void *member)
{
    const long *numbers = member;
    const char *text;
    switch (row->type) {
    case SCHEMA_STRING:
        text = *(char *const *)member;
        return text && !row->secret ? json_string(text) : NULL;
    case SCHEMA_BOOL:
        return json_boolean(*(const bool *)member);
    case SCHEMA_INT:
        return json_integer(numbers[0]);
    case SCHEMA_STRINGS:
        return row->secret ? NULL : schema_strings_json(member);
    case SCHEMA_RANGE:
        return json_pack("[I,I]", (json_int_t)numbers[0], (json_int_t)numbers[1]);
    case SCHEMA_OBJECT:
        return schema_write(row->rows, member);
    case SCHEMA_OBJECTS:
        return write_objects(row, member);
    case SCHEMA_ANY:
        return json_incref(*(json_t *const *)member);
    }
    return NULL;
}

json_t *schema_write(const struct schema_row *rows, const void *target)
{
    json_t *object = json_object();
    for (const struct schema_row *row = rows; object && row->key; row++) {
        json_t *value = write_value(row, (const char *)target + row->offset);
        if (value)
            json_object_set_new(object, row->key, value);
    }
    return object;
}

json_t *schema_strings_json(const struct schema_strings *strings)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < strings->n; i++)
        if (json_array_append_new(list, json_string(strings->items[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}
