#include "common/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/schema.h"

enum {
    STORE_PATIENCE_MS = 500,          /* main waits in it: long enough for another writer, short for guests */
    STORE_WAL_MOST = 4 * 1024 * 1024, /* the write-ahead log is cut to this when it has been taken in */
};

struct store {
    sqlite3 *db;
    char path[PATH_MAX];
    int64_t seen; /* data_version, see store_changed_elsewhere */
};

struct store_row {
    sqlite3_stmt *statement;
};

/* Errors ------------------------------------------------------------------------------------------------ */

static enum err store_damaged(const struct store *s, const char *how, char *why)
{
    snprintf(
        why, SCHEMA_WHY,
        "%s: damaged (%s); stop the service and put a backup in its place, or move it and its -wal file away "
        "and start with an empty one",
        s->path, how);
    return ERR_MALFORMED;
}

/* What the last call of the library said. */
static enum err store_problem(const struct store *s, char *why)
{
    int code = sqlite3_errcode(s->db), system_error = sqlite3_system_errno(s->db);
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        snprintf(why, SCHEMA_WHY,
                 "%s: another program holds it locked (fuser -v shows which); try again when it has let go",
                 s->path);
        return ERR_AGAIN;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return store_damaged(s, sqlite3_errmsg(s->db), why);
    case SQLITE_CONSTRAINT:
        snprintf(why, SCHEMA_WHY, "%s: %s", s->path, sqlite3_errmsg(s->db));
        return ERR_EXISTS;
    case SQLITE_NOMEM:
        snprintf(why, SCHEMA_WHY, "%s: out of memory", s->path);
        return ERR_MEMORY;
    case SQLITE_FULL:
        snprintf(why, SCHEMA_WHY,
                 "%s: no room left on its disk; nothing was changed. Make room and try again", s->path);
        return ERR_FULL;
    case SQLITE_IOERR:
        if (code != SQLITE_IOERR_WRITE)
            break;
        snprintf(why, SCHEMA_WHY,
                 "%s: its disk takes no more (a quota or size limit, or it is broken); nothing was changed",
                 s->path);
        return ERR_FULL;
    default:
        break;
    }
    snprintf(why, SCHEMA_WHY, "%s: %s%s%s", s->path, sqlite3_errmsg(s->db), system_error ? ": " : "",
             system_error ? strerror(system_error) : "");
    return ERR_SYSTEM;
}

/* Statements --------------------------------------------------------------------------------------------- */

static int store_bind(sqlite3_stmt *statement, int at, const struct store_value *v)
{
    switch (v->kind) {
    case STORE_VALUE_INTEGER:
        return sqlite3_bind_int64(statement, at, v->integer);
    case STORE_VALUE_TEXT:
        return sqlite3_bind_text(statement, at, v->bytes, -1, SQLITE_STATIC);
    case STORE_VALUE_BLOB:
        return sqlite3_bind_blob64(statement, at, v->bytes, v->n, SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

enum err store_run(struct store *s, const char *sql, const struct store_value *values, size_t n_values,
                   store_on_row *on_row, void *ctx, char *why)
{
    sqlite3_stmt *statement = NULL;
    enum err e = ERR_OK;
    int code = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);
    for (size_t i = 0; i < n_values && code == SQLITE_OK; i++)
        code = store_bind(statement, (int)i + 1, &values[i]);
    if (code == SQLITE_OK) {
        struct store_row row = {statement};
        while ((code = sqlite3_step(statement)) == SQLITE_ROW && e == ERR_OK)
            e = on_row ? on_row(ctx, &row, why) : ERR_OK;
    }
    if (e == ERR_OK && code != SQLITE_DONE)
        e = store_problem(s, why);
    sqlite3_finalize(statement);
    return e;
}

int64_t store_changes(const struct store *s)
{
    return sqlite3_changes64(s->db);
}

int64_t store_row_integer(const struct store_row *row, int column)
{
    return sqlite3_column_int64(row->statement, column);
}

const char *store_row_text(const struct store_row *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row->statement, column);
    return text ? text : "";
}

bool store_row_blob(const struct store_row *row, int column, void *out, size_t n)
{
    const void *blob = sqlite3_column_blob(row->statement, column);
    if (!blob || (size_t)sqlite3_column_bytes(row->statement, column) != n)
        return false;
    memcpy(out, blob, n);
    return true;
}

static enum err store_on_integer(void *ctx, const struct store_row *row, char *why)
{
    (void)why;
    *(int64_t *)ctx = store_row_integer(row, 0);
    return ERR_OK;
}

/* The first column of the last row; unchanged where there is none. */
static enum err store_integer(struct store *s, const char *sql, int64_t *out, char *why)
{
    return store_run(s, sql, NULL, 0, store_on_integer, out, why);
}

bool store_changed_elsewhere(struct store *s)
{
    char why[SCHEMA_WHY];
    int64_t now = s->seen;
    if (store_integer(s, "PRAGMA data_version", &now, why) != ERR_OK || now == s->seen)
        return false;
    s->seen = now;
    return true;
}

/* Versions ----------------------------------------------------------------------------------------------- */

/* Steps are text of ours, several statements each. */
static enum err store_execute(struct store *s, const char *sql, char *why)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? ERR_OK : store_problem(s, why);
}

static enum err store_update_part(struct store *s, const struct store_part *part, char *why)
{
    int64_t version = 0, newest = 0;
    const struct store_value name = STORE_TEXT(part->name);
    while (part->steps[newest])
        newest++;
    enum err e =
        store_run(s, "SELECT version FROM part WHERE name = ?1", &name, 1, store_on_integer, &version, why);
    if (e == ERR_OK && (version < 0 || version > newest)) {
        snprintf(
            why, SCHEMA_WHY,
            "%s: written by a newer Stile (%s: version %lld, this program knows %lld); update this program",
            s->path, part->name, (long long)version, (long long)newest);
        return ERR_UNSUPPORTED;
    }
    for (int64_t i = version; i < newest && e == ERR_OK; i++)
        e = store_execute(s, part->steps[i], why);
    if (e != ERR_OK || version == newest)
        return e;
    const struct store_value row[] = {name, STORE_INTEGER(newest)};
    return store_run(s, "INSERT OR REPLACE INTO part (name, version) VALUES (?1, ?2)", row, 2, NULL, NULL,
                     why);
}

static enum err store_update_parts(struct store *s, const struct store_part *parts, size_t n, char *why)
{
    static const char table[] = "CREATE TABLE IF NOT EXISTS part (name TEXT PRIMARY KEY NOT NULL, "
                                "version INTEGER NOT NULL) STRICT, WITHOUT ROWID";
    int64_t application = 0, tables = 0;
    enum err e = store_execute(s, "BEGIN IMMEDIATE", why);
    if (e != ERR_OK)
        return e;
    e = store_integer(s, "PRAGMA application_id", &application, why);
    if (e == ERR_OK)
        e = store_integer(s, "SELECT count(*) FROM sqlite_schema", &tables, why);
    if (e == ERR_OK && application != STORE_APPLICATION && (application || tables)) {
        snprintf(why, SCHEMA_WHY, "%s: a database of another program; move it away", s->path);
        e = ERR_MALFORMED;
    }
    if (e == ERR_OK && !application) {
        char mark[64];
        snprintf(mark, sizeof mark, "PRAGMA application_id = %d", STORE_APPLICATION);
        e = store_execute(s, mark, why);
    }
    if (e == ERR_OK)
        e = store_execute(s, table, why);
    for (size_t i = 0; i < n && e == ERR_OK; i++)
        e = store_update_part(s, &parts[i], why);
    if (e == ERR_OK)
        e = store_execute(s, "COMMIT", why);
    if (e != ERR_OK && !sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return e;
}

/* Opening ------------------------------------------------------------------------------------------------ */

/* Made by us, for SQLite would give it the mode that the umask leaves; its own files take this one's mode. */
static enum err store_make_file(const struct store *s, char *why)
{
    struct stat st;
    int fd = open(s->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0 || fstat(fd, &st) < 0) {
        snprintf(why, SCHEMA_WHY, "%s: cannot be opened: %s", s->path, strerror(errno));
        enum err e = errno == ELOOP ? ERR_REFUSED : errno == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM;
        if (fd >= 0)
            close(fd);
        return e;
    }
    close(fd);
    if (S_ISREG(st.st_mode) && !(st.st_mode & 077))
        return ERR_OK;
    snprintf(why, SCHEMA_WHY,
             "%s: holds secrets, but is no file of its owner alone (mode %04o); run: chmod 600 %s", s->path,
             (unsigned)st.st_mode & 07777, s->path);
    return ERR_REFUSED;
}

/* Write-ahead log: one fsync for a change instead of three, and whoever reads the file (a backup, a curious
 * administrator) keeps nobody from writing. EXTRA is FULL in that mode; on a file system that cannot have it,
 * it also syncs the folder of the rollback journal. secure_delete: keys of users who were removed are
 * overwritten. */
static const char store_settings[] = "PRAGMA trusted_schema = OFF;"
                                     "PRAGMA cell_size_check = ON;"
                                     "PRAGMA journal_mode = WAL;"
                                     "PRAGMA synchronous = EXTRA;"
                                     "PRAGMA secure_delete = ON;"
                                     "PRAGMA foreign_keys = ON;";

static enum err store_on_check(void *ctx, const struct store_row *row, char *why)
{
    const char *found = store_row_text(row, 0);
    return strcmp(found, "ok") == 0 ? ERR_OK : store_damaged(ctx, found, why);
}

static enum err store_begin(struct store *s, const struct store_part *parts, size_t n, char *why)
{
    char limit[64];
    snprintf(limit, sizeof limit, "PRAGMA journal_size_limit = %d", STORE_WAL_MOST);
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, STORE_PATIENCE_MS);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    enum err e = store_execute(s, store_settings, why);
    if (e == ERR_OK)
        e = store_execute(s, limit, why);
    if (e == ERR_OK)
        e = store_run(s, "PRAGMA quick_check(1)", NULL, 0, store_on_check, s, why);
    if (e == ERR_OK)
        e = store_update_parts(s, parts, n, why);
    if (e == ERR_OK)
        (void)store_changed_elsewhere(s);
    return e;
}

enum err store_open(const char *path, const struct store_part *parts, size_t n_parts, struct store **out,
                    char *why)
{
    struct store *s = calloc(1, sizeof *s);
    snprintf(why, SCHEMA_WHY, "%s: out of memory", path);
    if (!s)
        return ERR_MEMORY;
    snprintf(s->path, sizeof s->path, "%s", path);
    enum err e = store_make_file(s, why);
    if (e == ERR_OK &&
        sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_PRIVATECACHE, NULL) != SQLITE_OK)
        e = s->db ? store_problem(s, why) : ERR_MEMORY;
    if (e == ERR_OK)
        e = store_begin(s, parts, n_parts, why);
    if (e == ERR_OK)
        *out = s;
    else
        store_close(s);
    return e;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    sqlite3_close(s->db);
    free(s);
}
