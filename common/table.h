/* Tables for people from arrays of JSON objects, and the helpers that status pages share. */
#ifndef COMMON_TABLE_H
#define COMMON_TABLE_H

#include <jansson.h>
#include <stdio.h>

enum table_kind {
    TABLE_TEXT,   /* string, number, or array of strings joined by "," */
    TABLE_STATE,  /* string with a capital first letter */
    TABLE_TIME,   /* UNIX time to local date and time */
    TABLE_AGE,    /* seconds to "3m 12s" */
    TABLE_MS,     /* number to "0.42 ms"; 0: "-" */
    TABLE_LIMIT,  /* number; 0: "none" */
    TABLE_COUNT,  /* size of an array */
    TABLE_BYTES,  /* number to "3.4 kB"; absent: "-" */
    TABLE_RATE,   /* bytes a second to "3.4 kB/s"; absent: "-" */
    TABLE_TRAFFIC /* {"packets","bytes"} to "12 / 3.4 kB" */
};

struct table_column {
    const char *title, *key;
    enum table_kind kind;
};

/* Prints title, then columns (ended by a zero row) of rows, or `none` where there are no rows. */
void table_print(FILE *out, const char *title, const struct table_column *columns, const json_t *rows,
                 const char *none);
/* Seconds to "45s", "3m 12s", "2h 5m", "3d 4h". */
const char *table_age(double seconds, char *out, size_t size);

#endif
