/* The addresses from which users have logged in: kept, so that a restart does not let strangers who guess at
 * a password keep its owner out. */
#include "common/admin/admin_book.h"

enum err admin_known_add(struct admin_book *b, const char *name, const char *from, char *why)
{
    const struct store_value row[] = {STORE_TEXT(name), STORE_TEXT(from)},
                             most[] = {STORE_TEXT(name), STORE_INTEGER(ADMIN_KNOWN_OF_ONE)},
                             all = STORE_INTEGER(ADMIN_LIMIT_TRUSTED);
    struct store *s = admin_book_store(b);
    enum err e = store_run(s, "INSERT OR REPLACE INTO admin_known (name, source) VALUES (?1, ?2)", row, 2,
                           NULL, NULL, why);
    if (e == ERR_OK)
        e = store_run(s,
                      "DELETE FROM admin_known WHERE name = ?1 AND id NOT IN "
                      "(SELECT id FROM admin_known WHERE name = ?1 ORDER BY id DESC LIMIT ?2)",
                      most, 2, NULL, NULL, why);
    if (e == ERR_OK)
        e = store_run(s,
                      "DELETE FROM admin_known WHERE id NOT IN "
                      "(SELECT id FROM admin_known ORDER BY id DESC LIMIT ?1)",
                      &all, 1, NULL, NULL, why);
    return e;
}

enum err admin_known_forget(struct admin_book *b, const char *name, char *why)
{
    const struct store_value whose = STORE_TEXT(name);
    return store_run(admin_book_store(b), "DELETE FROM admin_known WHERE name = ?1", &whose, 1, NULL, NULL,
                     why);
}

static enum err known_on_row(void *limiter, const struct store_row *row, char *why)
{
    struct netaddr client;
    (void)why;
    if (netaddr_parse(store_row_text(row, 1), 0, &client) == ERR_OK)
        admin_limiter_trust(limiter, &client, store_row_text(row, 0));
    return ERR_OK;
}

enum err admin_known_load(struct admin_book *b, struct admin_limiter *l, char *why)
{
    return store_run(admin_book_store(b), "SELECT name, source FROM admin_known ORDER BY id", NULL, 0,
                     known_on_row, l, why);
}
