#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "common/admin/admin_book.h"
#include "common/schema.h"

static enum err users_no_such(const char *name, char *why)
{
    snprintf(why, SCHEMA_WHY, "there is no admin user %.64s", name);
    return ERR_NOT_FOUND;
}

static enum err user_on_row(void *ctx, const struct store_row *row, char *why)
{
    struct admin_user *u = ctx;
    (void)why;
    snprintf(u->name, sizeof u->name, "%s", store_row_text(row, 0));
    u->role = admin_role_of(store_row_text(row, 1));
    snprintf(u->record, sizeof u->record, "%s", store_row_text(row, 2));
    return ERR_OK;
}

enum err admin_user_find(struct admin_book *b, const char *name, struct admin_user *out, char *why)
{
    const struct store_value key = STORE_TEXT(name);
    *out = (struct admin_user){0};
    enum err e = store_run(admin_book_store(b), "SELECT name, role, record FROM admin_user WHERE name = ?1",
                           &key, 1, user_on_row, out, why);
    return e == ERR_OK && !*out->name ? users_no_such(name, why) : e;
}

static enum err users_on_count(void *ctx, const struct store_row *row, char *why)
{
    (void)why;
    *(int64_t *)ctx = store_row_integer(row, 0);
    return ERR_OK;
}

int64_t admin_user_count(struct admin_book *b)
{
    char why[SCHEMA_WHY];
    int64_t n = -1;
    (void)store_run(admin_book_store(b), "SELECT count(*) FROM admin_user", NULL, 0, users_on_count, &n, why);
    return n;
}

enum err admin_user_add(struct admin_book *b, const char *name, enum admin_role role, const char *record,
                        int64_t now, char *why)
{
    const struct store_value row[] = {STORE_TEXT(name), STORE_TEXT(admin_role_text(role)), STORE_TEXT(record),
                                      STORE_INTEGER(now)};
    if (admin_user_count(b) >= ADMIN_USERS_MAX) {
        snprintf(why, SCHEMA_WHY, "there are %d admin users; there cannot be more", ADMIN_USERS_MAX);
        return ERR_FULL;
    }
    enum err e = store_run(admin_book_store(b),
                           "INSERT INTO admin_user (name, role, record, created, changed) "
                           "VALUES (?1, ?2, ?3, ?4, ?4)",
                           row, 4, NULL, NULL, why);
    if (e == ERR_EXISTS)
        snprintf(why, SCHEMA_WHY, "there is an admin user %.64s already", name);
    return e;
}

/* Those who may administer, beside this one. */
static enum err users_others(struct admin_book *b, const char *name, char *why)
{
    const struct store_value key = STORE_TEXT(name);
    int64_t n = 0;
    enum err e =
        store_run(admin_book_store(b), "SELECT count(*) FROM admin_user WHERE role = 'admin' AND name <> ?1",
                  &key, 1, users_on_count, &n, why);
    if (e != ERR_OK || n > 0)
        return e;
    snprintf(why, SCHEMA_WHY, "%.64s is the last one with the role admin; give it to somebody else first",
             name);
    return ERR_REFUSED;
}

enum err admin_user_change(struct admin_book *b, const char *name, enum admin_role role, const char *record,
                           int64_t now, char *why)
{
    struct admin_user u;
    enum err e = admin_user_find(b, name, &u, why);
    if (e == ERR_OK && u.role == ADMIN_WRITER && role == ADMIN_READER)
        e = users_others(b, name, why);
    if (e == ERR_OK) {
        const struct store_value row[] = {STORE_TEXT(name), STORE_TEXT(admin_role_text(role ? role : u.role)),
                                          STORE_TEXT(record ? record : u.record), STORE_INTEGER(now)};
        e = store_run(admin_book_store(b),
                      "UPDATE admin_user SET role = ?2, record = ?3, changed = ?4 WHERE name = ?1", row, 4,
                      NULL, NULL, why);
    }
    OPENSSL_cleanse(&u, sizeof u);
    return e;
}

enum err admin_user_remove(struct admin_book *b, const char *name, char *why)
{
    const struct store_value key = STORE_TEXT(name);
    struct admin_user u;
    enum err e = admin_user_find(b, name, &u, why);
    if (e == ERR_OK && u.role == ADMIN_WRITER)
        e = users_others(b, name, why);
    OPENSSL_cleanse(&u, sizeof u);
    return e == ERR_OK ? store_run(admin_book_store(b), "DELETE FROM admin_user WHERE name = ?1", &key, 1,
                                   NULL, NULL, why)
                       : e;
}

static enum err users_on_listed(void *ctx, const struct store_row *row, char *why)
{
    (void)why;
    json_t *one =
        json_pack("{ss ss sI sI}", "name", store_row_text(row, 0), "role", store_row_text(row, 1), "created",
                  (json_int_t)store_row_integer(row, 2), "changed", (json_int_t)store_row_integer(row, 3));
    return json_array_append_new(ctx, one) == 0 ? ERR_OK : ERR_MEMORY;
}

enum err admin_user_list(struct admin_book *b, json_t **out, char *why)
{
    json_t *list = json_array();
    enum err e =
        store_run(admin_book_store(b), "SELECT name, role, created, changed FROM admin_user ORDER BY name",
                  NULL, 0, users_on_listed, list, why);
    if (e == ERR_OK)
        *out = list;
    else
        json_decref(list);
    return e;
}
