/*
 * Comma-separated values (RFC 4180) from a text in memory, row by row. Quoted fields may hold commas, line
 * ends and doubled quotes; rows end with LF or CRLF; a byte order mark in front and empty lines are passed
 * over.
 */
#ifndef COMMON_CSV_H
#define COMMON_CSV_H

#include <stddef.h>
#include <stdio.h>

#include "common/err.h"

enum { CSV_FIELDS_MAX = 16, CSV_WHY = 128 };

struct csv {
    char *at; /* the rest of the text, which is overwritten while it is read */
    unsigned line;
};

struct csv_row {
    char *fields[CSV_FIELDS_MAX]; /* in the text, each ended by a NUL */
    size_t n;
    unsigned line; /* where it begins, from 1 */
};

/* text is NUL-terminated, stays the caller's, and is changed by reading. */
void csv_open(struct csv *c, char *text);
/* ERR_OK; ERR_EOF: no row is left; ERR_MALFORMED with the words in why[CSV_WHY] (row->line is right). */
enum err csv_next(struct csv *c, struct csv_row *row, char *why);
/* One field, quoted where it has to be. */
void csv_put(FILE *out, const char *field);

#endif
