#include "common/admin/admin_book.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/schema.h"

struct admin_book {
    struct store *store;
};

static const char *const steps[] = {"CREATE TABLE admin_user ("
                                    "  name TEXT PRIMARY KEY NOT NULL COLLATE NOCASE,"
                                    "  role TEXT NOT NULL CHECK (role IN ('admin', 'reader')),"
                                    "  record TEXT NOT NULL,"
                                    "  created INTEGER NOT NULL,"
                                    "  changed INTEGER NOT NULL"
                                    ") STRICT, WITHOUT ROWID;"
                                    "CREATE TABLE admin_token ("
                                    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
                                    "  name TEXT NOT NULL,"
                                    "  role TEXT NOT NULL CHECK (role IN ('admin', 'reader')),"
                                    "  hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),"
                                    "  by TEXT NOT NULL,"
                                    "  created INTEGER NOT NULL,"
                                    "  expires INTEGER NOT NULL"
                                    ") STRICT;"
                                    "CREATE TABLE admin_audit ("
                                    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
                                    "  time INTEGER NOT NULL,"
                                    "  who TEXT NOT NULL,"
                                    "  source TEXT NOT NULL,"
                                    "  what TEXT NOT NULL,"
                                    "  detail TEXT NOT NULL,"
                                    "  result TEXT NOT NULL"
                                    ") STRICT;",
                                    /* Where users have logged in from; what is told once with a count. */
                                    "CREATE TABLE admin_known ("
                                    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
                                    "  name TEXT NOT NULL COLLATE NOCASE,"
                                    "  source TEXT NOT NULL,"
                                    "  UNIQUE (name, source)"
                                    ") STRICT;"
                                    "ALTER TABLE admin_audit ADD COLUMN last INTEGER NOT NULL DEFAULT 0;"
                                    "ALTER TABLE admin_audit ADD COLUMN count INTEGER NOT NULL DEFAULT 1;"
                                    "ALTER TABLE admin_audit ADD COLUMN routine INTEGER NOT NULL DEFAULT 0;"
                                    "CREATE INDEX admin_audit_routine ON admin_audit (routine, id);",
                                    NULL};
static const struct store_part part = {"admin", steps};

enum err admin_book_open(const char *path, struct admin_book **out, char *why)
{
    struct admin_book *b = calloc(1, sizeof *b);
    snprintf(why, SCHEMA_WHY, "%s: out of memory", path);
    if (!b)
        return ERR_MEMORY;
    enum err e = store_open(path, &part, 1, &b->store, why);
    if (e == ERR_OK)
        *out = b;
    else
        free(b);
    return e;
}

void admin_book_close(struct admin_book *b)
{
    if (!b)
        return;
    store_close(b->store);
    free(b);
}

struct store *admin_book_store(struct admin_book *b)
{
    return b->store;
}

enum admin_role admin_role_of(const char *text)
{
    if (text && strcmp(text, "admin") == 0)
        return ADMIN_WRITER;
    return text && strcmp(text, "reader") == 0 ? ADMIN_READER : ADMIN_ANYONE;
}

const char *admin_role_text(enum admin_role role)
{
    return role == ADMIN_WRITER ? "admin" : "reader";
}

const char *admin_name_check(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._@");
    return n > 0 && n <= ADMIN_NAME_MAX && !name[n]
               ? NULL
               : "a name of 1 to 64 letters, digits, '-', '.', '_' and '@'";
}
