#include "common/schema_describe.h"

#include <string.h>

static json_t *describe_string(const struct schema_row *row, const struct schema_words *words)
{
    json_t *type = json_pack("{ss}", "type", "string"), *list = row->words ? json_array() : NULL;
    const char *pattern = row->check ? words->pattern(row->check) : NULL;
    for (const char *const *word = row->words; list && *word; word++)
        json_array_append_new(list, json_string(*word));
    if (list)
        json_object_set_new(type, "enum", list);
    if (pattern)
        json_object_set_new(type, "pattern", json_string(pattern));
    return type;
}

static json_t *describe_integer(const struct schema_row *row)
{
    return json_pack("{ss sI sI}", "type", "integer", "minimum", (json_int_t)row->min, "maximum",
                     (json_int_t)row->max);
}

/* items is stolen. */
static json_t *describe_list(const struct schema_row *row, json_t *items)
{
    json_t *list = json_pack("{ss so}", "type", "array", "items", items);
    if (row->min)
        json_object_set_new(list, "minItems", json_integer(row->min));
    if (row->max)
        json_object_set_new(list, "maxItems", json_integer(row->max));
    return list;
}

static json_t *describe_value(const struct schema_row *row, const struct schema_words *words)
{
    json_t *any;
    switch (row->type) {
    case SCHEMA_STRING:
        return describe_string(row, words);
    case SCHEMA_BOOL:
        return json_pack("{ss}", "type", "boolean");
    case SCHEMA_INT:
        return describe_integer(row);
    case SCHEMA_STRINGS:
        return describe_list(row, describe_string(row, words));
    case SCHEMA_RANGE:
        return json_pack("{ss so si si}", "type", "array", "items", describe_integer(row), "minItems", 2,
                         "maxItems", 2);
    case SCHEMA_OBJECT:
        return schema_describe(row->rows, words);
    case SCHEMA_OBJECTS:
        return describe_list(row, schema_describe(row->rows, words));
    case SCHEMA_ANY:
        any = words->any(row);
        return any ? any : json_object();
    }
    return NULL;
}

json_t *schema_describe(const struct schema_row *rows, const struct schema_words *words)
{
    json_t *properties = json_object(), *required = json_array();
    for (const struct schema_row *row = rows; row->key; row++) {
        json_t *value = describe_value(row, words);
        json_object_set_new(value, "description", json_string(row->help));
        if (row->default_text)
            json_object_set_new(value, "default", json_loads(row->default_text, JSON_DECODE_ANY, NULL));
        json_object_set_new(properties, row->key, value);
        if (row->required)
            json_array_append_new(required, json_string(row->key));
    }
    json_t *object = json_pack("{ss sb so}", "type", "object", "additionalProperties", 0, "properties", properties);
    if (json_array_size(required) > 0)
        json_object_set(object, "required", required);
    json_decref(required);
    return object;
}
