#include <stdio.h>

#include "common/admin/admin_book.h"
#include "common/text.h"
#include "common/time_text.h"

enum { DETAIL_MAX = 1000 };

/* One more of what was there today. *found: it was. */
static enum err audit_count(struct store *s, const struct store_value row[7], bool *found, char *why)
{
    enum err e = store_run(s,
                           "UPDATE admin_audit SET count = count + 1, last = ?1 WHERE id = (SELECT id FROM "
                           "admin_audit WHERE routine = 1 AND who = ?2 AND source = ?3 AND what = ?4 AND "
                           "detail = ?5 AND result = ?6 AND time > ?1 - 86400 ORDER BY id DESC LIMIT 1)",
                           row, 6, NULL, NULL, why);
    *found = e == ERR_OK && store_changes(s) > 0;
    return e;
}

enum err admin_audit_add(struct admin_book *b, const struct admin_deed *deed, int64_t now, char *why)
{
    char detail[DETAIL_MAX], result[DETAIL_MAX], who[ADMIN_NAME_MAX + 16];
    const struct store_value row[] = {STORE_INTEGER(now),
                                      STORE_TEXT(text_copy(who, sizeof who, deed->who)),
                                      STORE_TEXT(deed->from),
                                      STORE_TEXT(deed->what),
                                      STORE_TEXT(text_copy(detail, sizeof detail, deed->detail)),
                                      STORE_TEXT(text_copy(result, sizeof result, deed->result)),
                                      STORE_INTEGER(deed->routine)};
    const struct store_value most[] = {
        STORE_INTEGER(deed->routine),
        STORE_INTEGER(deed->routine ? ADMIN_AUDIT_ROUTINE_MAX : ADMIN_AUDIT_MAX)};
    struct store *s = admin_book_store(b);
    bool found = false;
    enum err e = deed->routine ? audit_count(s, row, &found, why) : ERR_OK;
    if (e != ERR_OK || found)
        return e;
    e = store_run(s,
                  "INSERT INTO admin_audit (time, last, who, source, what, detail, result, routine) "
                  "VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                  row, 7, NULL, NULL, why);
    return e == ERR_OK ? store_run(s,
                                   "DELETE FROM admin_audit WHERE routine = ?1 AND id <= (SELECT id FROM "
                                   "admin_audit WHERE routine = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                                   most, 2, NULL, NULL, why)
                       : e;
}

static enum err audit_on_row(void *ctx, const struct store_row *row, char *why)
{
    (void)why;
    int64_t time = store_row_integer(row, 1), last = store_row_integer(row, 7);
    json_t *one =
        json_pack("{sI so ss ss ss ss ss so sI}", "id", (json_int_t)store_row_integer(row, 0), "time",
                  time_json(time), "who", store_row_text(row, 2), "from", store_row_text(row, 3), "what",
                  store_row_text(row, 4), "detail", store_row_text(row, 5), "result", store_row_text(row, 6),
                  "last", time_json(last ? last : time), "count", (json_int_t)store_row_integer(row, 8));
    return json_array_append_new(ctx, one) == 0 ? ERR_OK : ERR_MEMORY;
}

enum err admin_audit_list(struct admin_book *b, int64_t before, int64_t limit, json_t **out, char *why)
{
    const struct store_value range[] = {STORE_INTEGER(before > 0 ? before : INT64_MAX), STORE_INTEGER(limit)};
    json_t *list = json_array();
    enum err e = store_run(admin_book_store(b),
                           "SELECT id, time, who, source, what, detail, result, last, count FROM admin_audit "
                           "WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
                           range, 2, audit_on_row, list, why);
    if (e == ERR_OK)
        *out = list;
    else
        json_decref(list);
    return e;
}
