/*
 * A box's local database (SQLite): what has to outlive a restart and is changed while the box runs. One file,
 * one connection per process; what a statement that returned ERR_OK has changed is there after a crash, a
 * kill -9 and a power cut.
 *
 * Whoever keeps something here owns a part: tables of its own, made and changed by numbered steps. Values
 * reach SQL only as bound parameters.
 *
 * Errors say in why (SCHEMA_WHY bytes) what is wrong and what to do, and leave everything as it was:
 * ERR_AGAIN locked by another program, ERR_FULL no room on the disk, ERR_MALFORMED damaged or not ours,
 * ERR_UNSUPPORTED written by a newer Stile, ERR_EXISTS a row of this key exists, ERR_MEMORY, ERR_SYSTEM.
 */
#ifndef COMMON_STORE_H
#define COMMON_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define STORE_FILE "stile.db" /* in the state folder; beside it EVENTS_FILE (common/events.h) */

enum { STORE_APPLICATION = 0x5374696c /* "Stil": tells our files from other programs' databases */ };

struct store;
struct store_row;

/* steps[i] is the SQL that takes the part from version i to i + 1; NULL ends. A step that was released is
 * never changed; a change is one more step. */
struct store_part {
    const char *name;
    const char *const *steps;
};

/* Opens path, made with mode 0600 if it is missing, checks it, and brings the parts up to date, all of them
 * or none. A file that others may read, or that is a link, is refused (ERR_REFUSED). */
enum err store_open(const char *path, const struct store_part *parts, size_t n_parts, struct store **out,
                    char *why);
/* NULL is fine. */
void store_close(struct store *s);

/* A parameter: ?1, ?2 … in the SQL. What it points to must last until store_run returns. */
struct store_value {
    enum { STORE_VALUE_INTEGER, STORE_VALUE_TEXT, STORE_VALUE_BLOB } kind;
    int64_t integer;
    const void *bytes; /* NULL: SQL's NULL */
    size_t n;
};
#define STORE_INTEGER(x)    ((struct store_value){.kind = STORE_VALUE_INTEGER, .integer = (x)})
#define STORE_TEXT(s)       ((struct store_value){.kind = STORE_VALUE_TEXT, .bytes = (s)})
#define STORE_BLOB(p, size) ((struct store_value){.kind = STORE_VALUE_BLOB, .bytes = (p), .n = (size)})

/* Called for each row of the answer; row is good until it returns. Anything but ERR_OK ends the statement
 * and is returned by store_run (with why as the function left it). */
typedef enum err store_on_row(void *ctx, const struct store_row *row, char *why);

/* Runs one statement. on_row may be NULL. */
enum err store_run(struct store *s, const char *sql, const struct store_value *values, size_t n_values,
                   store_on_row *on_row, void *ctx, char *why);
/* Rows that the last INSERT, UPDATE or DELETE changed. */
int64_t store_changes(const struct store *s);
/* True when another process has changed the file since this was last asked (or since store_open). */
bool store_changed_elsewhere(struct store *s);

/* Columns of a row, from 0. Text and blobs are never NULL; a blob of another size than n is an error:
 * false. */
int64_t store_row_integer(const struct store_row *row, int column);
const char *store_row_text(const struct store_row *row, int column);
bool store_row_blob(const struct store_row *row, int column, void *out, size_t n);

#endif
