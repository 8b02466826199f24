#include "common/store_copy.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/schema.h"
#include "common/store.h"

enum {
    PATIENCE_MS = 10000,
    /* "File format write and read version" of SQLite's file header: 1 is a database without a write-ahead
       log, which is what a copy is, and all that can be read from memory. store_open sets the log up again.
     */
    HEADER = 100,
    HEADER_WRITE_VERSION = 18,
    HEADER_READ_VERSION = 19
};

static enum err copy_failed(sqlite3 *db, const char *path, char *why)
{
    snprintf(why, SCHEMA_WHY, "%s: %s", path, db ? sqlite3_errmsg(db) : "out of memory");
    return ERR_SYSTEM;
}

static enum err copy_pages(sqlite3 *from, sqlite3 *to, const char *path, char *why)
{
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    if (!b)
        return copy_failed(to, path, why);
    sqlite3_busy_timeout(from, PATIENCE_MS);
    int stepped = sqlite3_backup_step(b, -1), finished = sqlite3_backup_finish(b);
    if (finished != SQLITE_OK)
        return copy_failed(to, path, why);
    if (stepped == SQLITE_DONE)
        return ERR_OK;
    snprintf(why, SCHEMA_WHY, "%s: %s for %d s", path, sqlite3_errstr(stepped), PATIENCE_MS / 1000);
    return ERR_SYSTEM; /* busy or locked, which is no failure to SQLite */
}

enum err store_copy(const char *path, unsigned char **bytes, size_t *n, char *why)
{
    sqlite3 *from = NULL, *to = NULL;
    sqlite3_int64 size = 0;
    if (access(path, F_OK) < 0) {
        snprintf(why, SCHEMA_WHY, "%s: there is none", path);
        return ERR_NOT_FOUND;
    }
    enum err e = sqlite3_open_v2(path, &from, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK
                     ? ERR_OK
                     : copy_failed(from, path, why);
    if (e == ERR_OK && sqlite3_open(":memory:", &to) != SQLITE_OK)
        e = copy_failed(to, path, why);
    if (e == ERR_OK)
        e = copy_pages(from, to, path, why);
    unsigned char *copy = e == ERR_OK ? sqlite3_serialize(to, "main", &size, 0) : NULL;
    if (e == ERR_OK && (!copy || size < HEADER))
        e = copy_failed(to, path, why);
    if (e == ERR_OK) {
        copy[HEADER_WRITE_VERSION] = copy[HEADER_READ_VERSION] = 1;
        *bytes = copy;
        *n = (size_t)size;
    } else {
        sqlite3_free(copy);
    }
    sqlite3_close(from);
    sqlite3_close(to);
    return e;
}

void store_copy_free(unsigned char *bytes)
{
    sqlite3_free(bytes);
}

/* The schema came with the file: nothing in it may call a function with effects, and nothing may write past
 * SQLite into the file's structures. */
static void distrust(sqlite3 *db)
{
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
}

/* The first column of the first row. */
static bool judge_says(sqlite3 *db, const char *sql, const char *wanted)
{
    sqlite3_stmt *s = NULL;
    bool same = sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW &&
                sqlite3_column_text(s, 0) && strcmp((const char *)sqlite3_column_text(s, 0), wanted) == 0;
    sqlite3_finalize(s);
    return same;
}

enum err store_copy_judge(const unsigned char *bytes, size_t n, const char *name, char *why)
{
    char application[16];
    sqlite3 *db = NULL;
    unsigned char *own = n >= HEADER ? sqlite3_malloc64(n) : NULL; /* SQLite's, once it has taken it */
    bool good = own && sqlite3_open(":memory:", &db) == SQLITE_OK;
    if (own)
        memcpy(own, bytes, n);
    if (good)
        distrust(db);
    snprintf(application, sizeof application, "%d", STORE_APPLICATION);
    good = good &&
           sqlite3_deserialize(db, "main", own, (sqlite3_int64)n, (sqlite3_int64)n,
                               SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY) == SQLITE_OK;
    if (!db)
        sqlite3_free(own);
    good = good && judge_says(db, "PRAGMA application_id", application) &&
           judge_says(db, "PRAGMA quick_check(1)", "ok");
    sqlite3_close(db);
    snprintf(why, SCHEMA_WHY, "%s in the backup is damaged, or no database of Stile", name);
    return good ? ERR_OK : ERR_MALFORMED;
}
