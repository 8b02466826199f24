#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/admin/admin_book.h"
#include "common/text.h"

enum { DETAIL_MAX = 1000 };

enum err admin_audit_add(struct admin_book *b, const struct admin_deed *deed, int64_t now, char *why)
{
    char detail[DETAIL_MAX], result[DETAIL_MAX], who[ADMIN_NAME_MAX + 16];
    const struct store_value row[] = {STORE_INTEGER(now),
                                      STORE_TEXT(text_copy(who, sizeof who, deed->who)),
                                      STORE_TEXT(deed->from),
                                      STORE_TEXT(deed->what),
                                      STORE_TEXT(text_copy(detail, sizeof detail, deed->detail)),
                                      STORE_TEXT(text_copy(result, sizeof result, deed->result))};
    const struct store_value most = STORE_INTEGER(ADMIN_AUDIT_MAX);
    struct store *s = admin_book_store(b);
    enum err e = store_run(s,
                           "INSERT INTO admin_audit (time, who, source, what, detail, result) "
                           "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                           row, 6, NULL, NULL, why);
    return e == ERR_OK ? store_run(s, "DELETE FROM admin_audit WHERE id <= last_insert_rowid() - ?1", &most,
                                   1, NULL, NULL, why)
                       : e;
}

static enum err audit_on_row(void *ctx, const struct store_row *row, char *why)
{
    char when[32] = "";
    time_t t = (time_t)store_row_integer(row, 1);
    struct tm tm;
    (void)why;
    if (gmtime_r(&t, &tm))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_t *one =
        json_pack("{sI ss ss ss ss ss ss}", "id", (json_int_t)store_row_integer(row, 0), "time", when, "who",
                  store_row_text(row, 2), "from", store_row_text(row, 3), "what", store_row_text(row, 4),
                  "detail", store_row_text(row, 5), "result", store_row_text(row, 6));
    return json_array_append_new(ctx, one) == 0 ? ERR_OK : ERR_MEMORY;
}

enum err admin_audit_list(struct admin_book *b, int64_t before, int64_t limit, json_t **out, char *why)
{
    const struct store_value range[] = {STORE_INTEGER(before > 0 ? before : INT64_MAX), STORE_INTEGER(limit)};
    json_t *list = json_array();
    enum err e = store_run(admin_book_store(b),
                           "SELECT id, time, who, source, what, detail, result FROM admin_audit "
                           "WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
                           range, 2, audit_on_row, list, why);
    if (e == ERR_OK)
        *out = list;
    else
        json_decref(list);
    return e;
}
