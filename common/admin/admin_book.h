/*
 * What a box keeps of its administration, in its database: users, API tokens, and the audit of what they and
 * the command line have changed. All of it bounded. Errors are the store's (common/store.h), with words in
 * why[SCHEMA_WHY].
 */
#ifndef COMMON_ADMIN_BOOK_H
#define COMMON_ADMIN_BOOK_H

#include <jansson.h>
#include <stdint.h>

#include "common/admin/admin_limiter.h"
#include "common/admin/admin_password.h"
#include "common/admin/admin_sessions.h"
#include "common/store.h"

enum {
    ADMIN_USERS_MAX = 200,
    ADMIN_TOKENS_MAX = 200,
    ADMIN_AUDIT_MAX = 10000,        /* entries of changes; the oldest go */
    ADMIN_AUDIT_ROUTINE_MAX = 1000, /* and of logins and the like */
    ADMIN_KNOWN_OF_ONE = 32,        /* addresses of one user */
    ADMIN_TOKEN_DAYS = 365,
    ADMIN_TOKEN_DAYS_MAX = 3660,
};

struct admin_book;

enum err admin_book_open(const char *path, struct admin_book **out, char *why);
void admin_book_close(struct admin_book *b);

/* "admin" and "reader"; ADMIN_ANYONE for other texts (and NULL). */
enum admin_role admin_role_of(const char *text);
const char *admin_role_text(enum admin_role role);
/* NULL when it may be a name, else what would be right. */
const char *admin_name_check(const char *name);

/* admin_users.c. Names differ in more than case. record: of admin_password_hash. */
struct admin_user {
    char name[ADMIN_NAME_MAX + 1];
    enum admin_role role;
    char record[ADMIN_RECORD_MAX];
};
/* ERR_NOT_FOUND. The caller wipes it. */
enum err admin_user_find(struct admin_book *b, const char *name, struct admin_user *out, char *why);
enum err admin_user_add(struct admin_book *b, const char *name, enum admin_role role, const char *record,
                        int64_t now, char *why);
/* What is NULL, or ADMIN_ANYONE, stays. ERR_REFUSED: nobody would be left who may administer. */
enum err admin_user_change(struct admin_book *b, const char *name, enum admin_role role, const char *record,
                           int64_t now, char *why);
enum err admin_user_remove(struct admin_book *b, const char *name, char *why);
enum err admin_user_list(struct admin_book *b, json_t **out, char *why);
/* -1 where it cannot be known. */
int64_t admin_user_count(struct admin_book *b);

/* admin_tokens.c. text is what the holder has; the book keeps its hash. */
enum err admin_token_add(struct admin_book *b, const char *name, enum admin_role role, int64_t expires,
                         const char *by, int64_t now, const char *text, int64_t *id, char *why);
/* ERR_NOT_FOUND: none, or expired. name gets what it is called. */
enum err admin_token_find(struct admin_book *b, const char *text, int64_t now, enum admin_role *role,
                          char name[ADMIN_NAME_MAX + 1], char *why);
enum err admin_token_remove(struct admin_book *b, int64_t id, char *why);
enum err admin_token_list(struct admin_book *b, json_t **out, char *why);

/* admin_audit.c: one entry. */
struct admin_deed {
    const char *who, *from, *what, *detail, *result;
    bool routine; /* the same on the same day is one entry with a count; and it never pushes out a change */
};
enum err admin_audit_add(struct admin_book *b, const struct admin_deed *deed, int64_t now, char *why);
/* The newest first; before: only entries with a lower id (0: all). */
enum err admin_audit_list(struct admin_book *b, int64_t before, int64_t limit, json_t **out, char *why);

/* admin_known.c: where a user has logged in from, ADMIN_KNOWN_OF_ONE newest of each. */
enum err admin_known_add(struct admin_book *b, const char *name, const char *from, char *why);
enum err admin_known_forget(struct admin_book *b, const char *name, char *why);
/* All of them to the limiter. */
enum err admin_known_load(struct admin_book *b, struct admin_limiter *l, char *why);

/* For the files above. */
struct store *admin_book_store(struct admin_book *b);

#endif
