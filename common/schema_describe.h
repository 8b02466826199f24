/* The rows of a schema as a JSON Schema (draft 2020-12): what editors and other programs may know of it. */
#ifndef COMMON_SCHEMA_DESCRIBE_H
#define COMMON_SCHEMA_DESCRIBE_H

#include "common/schema.h"

/* What the rows leave to code. Both may return NULL: nothing is said. */
struct schema_words {
    /* A pattern that every string fulfils which check takes; it may be wider. */
    const char *(*pattern)(const char *(*check)(const char *value));
    /* The schema of a SCHEMA_ANY row. */
    json_t *(*any)(const struct schema_row *row);
};

/* A new object; NULL when memory is out. */
json_t *schema_describe(const struct schema_row *rows, const struct schema_words *words);

#endif
