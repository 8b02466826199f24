#include <stdio.h>
#include <string.h>

#include "common/admin/admin_book.h"
#include "common/schema.h"

static enum err tokens_on_count(void *ctx, const struct store_row *row, char *why)
{
    (void)why;
    *(int64_t *)ctx = store_row_integer(row, 0);
    return ERR_OK;
}

enum err admin_token_add(struct admin_book *b, const char *name, enum admin_role role, int64_t expires,
                         const char *by, int64_t now, const char *text, int64_t *id, char *why)
{
    unsigned char hash[32];
    int64_t n = 0;
    admin_token_hash(text, hash);
    const struct store_value row[] = {STORE_TEXT(name),
                                      STORE_TEXT(admin_role_text(role)),
                                      STORE_BLOB(hash, sizeof hash),
                                      STORE_TEXT(by),
                                      STORE_INTEGER(now),
                                      STORE_INTEGER(expires)};
    const struct store_value at = STORE_INTEGER(now);
    struct store *s = admin_book_store(b);
    enum err e = store_run(s, "DELETE FROM admin_token WHERE expires <= ?1", &at, 1, NULL, NULL, why);
    if (e == ERR_OK)
        e = store_run(s, "SELECT count(*) FROM admin_token", NULL, 0, tokens_on_count, &n, why);
    if (e == ERR_OK && n >= ADMIN_TOKENS_MAX) {
        snprintf(why, SCHEMA_WHY, "there are %d tokens; remove one first", ADMIN_TOKENS_MAX);
        return ERR_FULL;
    }
    if (e == ERR_OK)
        e = store_run(s,
                      "INSERT INTO admin_token (name, role, hash, by, created, expires) "
                      "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                      row, 6, NULL, NULL, why);
    return e == ERR_OK ? store_run(s, "SELECT last_insert_rowid()", NULL, 0, tokens_on_count, id, why) : e;
}

struct token_found {
    enum admin_role role;
    char *name;
};

static enum err token_on_row(void *ctx, const struct store_row *row, char *why)
{
    struct token_found *f = ctx;
    (void)why;
    snprintf(f->name, ADMIN_NAME_MAX + 1, "%s", store_row_text(row, 0));
    f->role = admin_role_of(store_row_text(row, 1));
    return ERR_OK;
}

enum err admin_token_find(struct admin_book *b, const char *text, int64_t now, enum admin_role *role,
                          char name[ADMIN_NAME_MAX + 1], char *why)
{
    unsigned char hash[32];
    struct token_found found = {ADMIN_ANYONE, name};
    admin_token_hash(text, hash);
    const struct store_value key[] = {STORE_BLOB(hash, sizeof hash), STORE_INTEGER(now)};
    enum err e =
        store_run(admin_book_store(b), "SELECT name, role FROM admin_token WHERE hash = ?1 AND expires > ?2",
                  key, 2, token_on_row, &found, why);
    if (e == ERR_OK && found.role == ADMIN_ANYONE)
        e = ERR_NOT_FOUND;
    if (e == ERR_OK)
        *role = found.role;
    return e;
}

enum err admin_token_remove(struct admin_book *b, int64_t id, char *why)
{
    const struct store_value key = STORE_INTEGER(id);
    enum err e =
        store_run(admin_book_store(b), "DELETE FROM admin_token WHERE id = ?1", &key, 1, NULL, NULL, why);
    if (e != ERR_OK || store_changes(admin_book_store(b)) > 0)
        return e;
    snprintf(why, SCHEMA_WHY, "there is no token with this number");
    return ERR_NOT_FOUND;
}

static enum err tokens_on_listed(void *ctx, const struct store_row *row, char *why)
{
    (void)why;
    json_t *one = json_pack("{sI ss ss ss sI sI}", "id", (json_int_t)store_row_integer(row, 0), "name",
                            store_row_text(row, 1), "role", store_row_text(row, 2), "by",
                            store_row_text(row, 3), "created", (json_int_t)store_row_integer(row, 4),
                            "expires", (json_int_t)store_row_integer(row, 5));
    return json_array_append_new(ctx, one) == 0 ? ERR_OK : ERR_MEMORY;
}

enum err admin_token_list(struct admin_book *b, json_t **out, char *why)
{
    json_t *list = json_array();
    enum err e = store_run(admin_book_store(b),
                           "SELECT id, name, role, by, created, expires FROM admin_token ORDER BY id", NULL,
                           0, tokens_on_listed, list, why);
    if (e == ERR_OK)
        *out = list;
    else
        json_decref(list);
    return e;
}
