/*
 * Who is logged in: kept in main's memory, by the hash of what the browser has, so that neither a file nor a
 * core has it. An id is made here at each login and never taken from outside. A restart ends all sessions.
 */
#ifndef COMMON_ADMIN_SESSIONS_H
#define COMMON_ADMIN_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/admin/admin_route.h"

enum {
    ADMIN_SESSIONS = 256,
    ADMIN_SESSIONS_PER_USER = 16, /* one more ends the one that has been idle longest */
    ADMIN_TOKEN_TEXT = 48,        /* 32 random bytes in base64url, and room */
    ADMIN_NAME_MAX = 64,
};

#define ADMIN_SESSION_IDLE  1800.0  /* seconds without a request, */
#define ADMIN_SESSION_WHOLE 43200.0 /* from the login */

struct admin_sessions;

/* NULL when memory is out. */
struct admin_sessions *admin_sessions_new(void);
void admin_sessions_free(struct admin_sessions *s);
/* token gets the new id. now: monotonic seconds. */
void admin_sessions_begin(struct admin_sessions *s, const char *user, enum admin_role role, double now,
                          char token[ADMIN_TOKEN_TEXT]);
/* Whose it is; NULL: nobody's (any more). The name lives until the next call that is not this one. touch: it
 * was used. */
const char *admin_sessions_find(struct admin_sessions *s, const char *token, bool touch, double now,
                                enum admin_role *role);
void admin_sessions_end(struct admin_sessions *s, const char *token);
/* All of a user, but (unless NULL) that one. */
void admin_sessions_end_user(struct admin_sessions *s, const char *user, const char *but);
/* Those of user; NULL: all. */
size_t admin_sessions_count(struct admin_sessions *s, const char *user, double now);

/* What changes must come with: only who can read answers of this session knows it. */
void admin_csrf_of(const char *token, char out[ADMIN_TOKEN_TEXT]);
bool admin_csrf_right(const char *token, const char *given);
/* 32 random bytes as text. */
void admin_token_make(char out[ADMIN_TOKEN_TEXT]);
void admin_token_hash(const char *token, unsigned char out[32]);

#endif
