/*
 * JSON text to C structs by rows: one row per key says where it goes, its type, its bounds and its default.
 * Unknown keys, wrong types and values out of bounds are errors that name file, line, key, value and what
 * would be right.
 */
#ifndef COMMON_SCHEMA_H
#define COMMON_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

enum { SCHEMA_WHY = 512 };

enum schema_type {
    SCHEMA_STRING,  /* char *, malloc'd; NULL when absent and without default */
    SCHEMA_BOOL,    /* bool */
    SCHEMA_INT,     /* long */
    SCHEMA_STRINGS, /* struct schema_strings */
    SCHEMA_RANGE,   /* long[2], a JSON array of two, ascending, both within bounds */
    SCHEMA_OBJECT,  /* an embedded struct, by rows */
    SCHEMA_OBJECTS, /* struct schema_objects: array of structs, by rows */
    SCHEMA_ANY,     /* json_t *, a reference; judged elsewhere */
};

struct schema_strings {
    char **items;
    size_t n;
};

struct schema_objects {
    void *items; /* n structs of row->size bytes */
    size_t n;
};

struct schema_row {
    const char *key;
    enum schema_type type;
    size_t offset; /* of the member in its struct */
    bool required;
    bool edge_live;                /* a running edge takes over a change, or does not use the key */
    bool by_policy;                /* core's policy brings it to a running edge */
    bool secret;                   /* messages do not quote the value */
    long min, max;                 /* INT, RANGE: value; STRINGS, OBJECTS: count (max 0: none) */
    const char *default_text;      /* as JSON text; NULL: zero */
    const struct schema_row *rows; /* OBJECT, OBJECTS */
    size_t size;                   /* OBJECTS: size of one struct */
    /* Judges one string (STRING, each of STRINGS): NULL when it is right, else what would be right, in words.
     */
    const char *(*check)(const char *value);
    const char *const *words; /* the only values of a string, NULL behind the last; in place of check */
    const char *help;         /* for the manual: a sentence without its full stop */
};
#define SCHEMA_END                                                                                           \
    {                                                                                                        \
        .key = NULL                                                                                          \
    }

/* As a JSON array; NULL when memory is out. */
json_t *schema_strings_json(const struct schema_strings *strings);

/* Where errors are reported: the text that json came from, for line numbers. */
struct schema_source {
    const char *file; /* for messages, in which no control characters stay */
    const char *text;
    bool secret; /* no message quotes what is in it, but keys */
};

/* Fills target (zeroed by the caller) from object. On error target is partly filled: schema_free cleans it;
 * why (SCHEMA_WHY bytes) has "FILE:LINE: KEY: problem". */
enum err schema_read(const struct schema_source *source, const json_t *object, const struct schema_row *rows,
                     void *target, char *why);
/* "FILE:LINE: not valid JSON: …" for what json_loads said of it; ERR_CONFIG. */
enum err schema_not_json(const struct schema_source *source, const json_error_t *error, char *why);
void schema_free(const struct schema_row *rows, void *target);
/* A whole document that is kept as JSON: text is parsed and judged by rows, of a struct with that size. *out
 * is the caller's. Errors as schema_read's. */
enum err schema_document(const char *file, const char *text, const struct schema_row *rows, size_t size,
                         json_t **out, char *why);
/* Puts "FILE:LINE: KEY: problem" for a JSON pointer ("/edges/0/ssh") into why. For checks between keys. */
enum err schema_problem(const struct schema_source *source, const char *pointer, char *why,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));
/* A copy of running in which the keys whose rows are edge_live (from_core: or by_policy) have the values of
 * fresh; NULL when memory is out. waiting[size] gets the names of other keys that differ, ", " between them.
 * Both were read by rows. */
json_t *schema_merge(const struct schema_row *rows, const json_t *running, const json_t *fresh,
                     bool from_core, char *waiting, size_t size);
/* The values that target has, with those that were left out, as a new object of the same rows: secrets and
 * strings that have no value are not in it. NULL when memory is out. */
json_t *schema_write(const struct schema_row *rows, const void *target);
/* The line (from 1) in valid JSON text where the value at pointer begins; 1 when it is not there. */
unsigned schema_line(const char *text, const char *pointer);

#endif
