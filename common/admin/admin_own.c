/* The verb "admin": logging in, users, tokens, audit. The same for the API and for the box's own tools, which
 * say nothing of sessions. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/admin/admin_private.h"
#include "common/clock.h"

static const char *arg(const struct admin_task *t, const char *key)
{
    const char *text = json_string_value(json_object_get(t->args, key));
    return text ? text : "";
}

/* answer is stolen. */
static void own_answer(struct admin_task *t, json_t *answer)
{
    admin_task_end(t, answer);
    json_decref(answer);
}

static void own_done(struct admin_task *t, enum err e, const char *why, const char *name, const char *what)
{
    if (e == ERR_OK)
        own_answer(t, json_pack("{ss so}", "type", "admin", "done", json_sprintf("%s %s", name, what)));
    else
        admin_task_refuse(t,
                          e == ERR_NOT_FOUND                    ? 404
                          : e == ERR_EXISTS || e == ERR_REFUSED ? 409
                          : e == ERR_CONFIG                     ? 422
                                                                : 503,
                          why);
}

static void own_list(struct admin_task *t, enum err e, const char *why, const char *key, json_t *list)
{
    if (e == ERR_OK)
        own_answer(t, json_pack("{ss so}", "type", "admin", key, list));
    else
        admin_task_refuse(t, 503, why);
}

/* Sessions --------------------------------------------------------------------------------------------------
 */

static json_t *session_json(const struct admin_task *t)
{
    return json_pack("{ss ss ss ss ss ss}", "type", "admin", "user", t->who, "role", admin_role_text(t->role),
                     "box", t->admin->kind == ADMIN_CORE ? "core" : "edge", "name", t->admin->box->name,
                     "version", STILE_VERSION);
}

static void own_session(struct admin_task *t)
{
    char csrf[ADMIN_TOKEN_TEXT];
    json_t *answer = session_json(t);
    if (*t->session) {
        admin_csrf_of(t->session, csrf);
        json_object_set_new(answer, "csrf", json_string(csrf));
    }
    own_answer(t, answer);
}

static void own_logout(struct admin_task *t)
{
    admin_sessions_end(t->admin->sessions, t->session);
    t->ended = true;
    own_answer(t, json_pack("{ss ss ss}", "type", "admin", "done", "logged out", "cookie", ""));
}

/* Strangers can cause it: a few a minute are told. */
static void login_failed(struct admin_task *t, const char *reason)
{
    char quoted[100];
    unsigned dropped = 0;
    if (log_limit_allow(&t->admin->refused_log, (int64_t)clock_monotonic(), 10, 60, &dropped))
        log_event(LOG_WARNING, "Admin Login Failed", "from=%s user=%s reason=\"%s\" not_told=%u", t->from,
                  log_quote(t->who, strlen(t->who), quoted, sizeof quoted), reason, dropped);
}

/* Too many failures: true, and t has its answer. */
static bool own_limited(struct admin_task *t, const char *user)
{
    double wait = admin_limiter_take(t->admin->limiter, &t->client, user, clock_monotonic());
    if (wait <= 0)
        return false;
    login_failed(t, "too many failures");
    admin_attack_seen(t->admin, t->from);
    own_answer(t, json_pack("{ss ss si sI}", "type", "error", "reason",
                            "too many wrong passwords; try again later", "status", 429, "retry_after",
                            (json_int_t)wait + 1));
    return true;
}

static void own_busy(struct admin_task *t)
{
    own_answer(t, json_pack("{ss ss si si}", "type", "error", "reason", "too many are logging in; try again",
                            "status", 503, "retry_after", 2));
}

/* The user's password is still the one that was judged: somebody may have changed it meanwhile. */
static bool own_is_same(const struct admin_task *t, const char *user)
{
    struct admin_user u;
    char why[SCHEMA_WHY];
    bool same = t->admin->book && admin_user_find(t->admin->book, user, &u, why) == ERR_OK &&
                strcmp(u.record, t->record) == 0;
    OPENSSL_cleanse(&u, sizeof u);
    return same;
}

/* An id of its own for each login: one that the browser came with ends. */
static void login_done(void *task, bool matches, const char *record)
{
    struct admin_task *t = task;
    struct admin *a = t->admin;
    struct admin_user u;
    char token[ADMIN_TOKEN_TEXT], csrf[ADMIN_TOKEN_TEXT], why[SCHEMA_WHY];
    (void)record;
    if (!matches || !own_is_same(t, arg(t, "user")) ||
        admin_user_find(a->book, arg(t, "user"), &u, why) != ERR_OK) {
        login_failed(t, "wrong user or password");
        admin_task_refuse(t, 401, "wrong user or password");
        return;
    }
    if (admin_limiter_succeeded(a->limiter, &t->client, u.name) &&
        admin_known_add(a->book, u.name, t->from, why) != ERR_OK)
        log_event(LOG_ERR, "Admin Address Not Kept", "reason=\"%s\"", why);
    if (*t->session)
        admin_sessions_end(a->sessions, t->session);
    admin_sessions_begin(a->sessions, u.name, u.role, clock_monotonic(), token);
    admin_csrf_of(token, csrf);
    snprintf(t->who, sizeof t->who, "%s", u.name);
    t->role = u.role;
    t->proven = true;
    OPENSSL_cleanse(&u, sizeof u);
    json_t *answer = session_json(t);
    json_object_set_new(answer, "csrf", json_string(csrf));
    json_object_set_new(answer, "cookie", json_string(token));
    OPENSSL_cleanse(token, sizeof token);
    own_answer(t, answer);
}

/* A user whom nobody knows takes as long as one with a wrong password. */
static void own_login(struct admin_task *t)
{
    struct admin_user u = {0};
    char why[SCHEMA_WHY];
    const char *name = arg(t, "user"), *password = arg(t, "password");
    snprintf(t->who, sizeof t->who, "%.64s", name);
    if (own_limited(t, name))
        return;
    (void)admin_user_find(t->admin->book, name, &u, why);
    memcpy(t->record, u.record, sizeof t->record);
    if (strlen(password) > ADMIN_PASSWORD_MOST)
        password = "";
    if (!admin_hasher_submit(t->admin->hasher, password, u.record, login_done, t))
        own_busy(t);
    OPENSSL_cleanse(&u, sizeof u);
}

/* Passwords -------------------------------------------------------------------------------------------------
 */

static void own_password_made(void *task, bool matches, const char *record)
{
    struct admin_task *t = task;
    char why[SCHEMA_WHY] = "out of memory";
    (void)matches;
    enum admin_role role;
    if (!own_is_same(t, t->who) ||
        !admin_sessions_find(t->admin->sessions, t->session, false, clock_monotonic(), &role)) {
        admin_task_refuse(t, 409, "the password was changed by somebody else meanwhile; log in again");
        return;
    }
    enum err e = *record ? admin_user_change(t->admin->book, t->who, ADMIN_ANYONE, record, time(NULL), why)
                         : ERR_MEMORY;
    if (e == ERR_OK)
        admin_sessions_end_user(t->admin->sessions, t->who, t->session);
    own_done(t, e, why, t->who, "has a new password");
}

static void own_password_checked(void *task, bool matches, const char *record)
{
    struct admin_task *t = task;
    (void)record;
    if (!matches) {
        admin_task_refuse(t, 422, "old: this is not your password");
        return;
    }
    (void)admin_limiter_succeeded(t->admin->limiter, &t->client, t->who);
    if (!admin_hasher_submit(t->admin->hasher, arg(t, "new"), NULL, own_password_made, t))
        own_busy(t);
}

/* False: t has its answer. */
static bool own_right(struct admin_task *t, const char *key, const char *wrong)
{
    char why[160];
    if (!wrong)
        return true;
    snprintf(why, sizeof why, "%s: this is not %s", key, wrong);
    json_t *answer = json_pack("{ss ss si ss}", "type", "error", "reason", why, "status", 422, "key", key);
    own_answer(t, answer);
    return false;
}

static void own_password(struct admin_task *t)
{
    struct admin_user u = {0};
    char why[SCHEMA_WHY];
    if (!*t->session) {
        admin_task_refuse(t, 403, "a token has no password");
        return;
    }
    if (!own_right(t, "new", admin_password_check(arg(t, "new"))) || own_limited(t, t->who))
        return;
    (void)admin_user_find(t->admin->book, t->who, &u, why);
    memcpy(t->record, u.record, sizeof t->record);
    const char *old = strlen(arg(t, "old")) > ADMIN_PASSWORD_MOST ? "" : arg(t, "old");
    if (!admin_hasher_submit(t->admin->hasher, old, u.record, own_password_checked, t))
        own_busy(t);
    OPENSSL_cleanse(&u, sizeof u);
}

/* Users -----------------------------------------------------------------------------------------------------
 */

static void own_user_list(struct admin_task *t)
{
    char why[SCHEMA_WHY];
    json_t *list = NULL, *one;
    size_t i;
    enum err e = admin_user_list(t->admin->book, &list, why);
    json_array_foreach (list, i, one)
        json_object_set_new(
            one, "sessions",
            json_integer((json_int_t)admin_sessions_count(
                t->admin->sessions, json_string_value(json_object_get(one, "name")), clock_monotonic())));
    own_list(t, e, why, "users", list);
}

static void user_add_made(void *task, bool matches, const char *record)
{
    struct admin_task *t = task;
    char why[SCHEMA_WHY] = "out of memory";
    (void)matches;
    enum err e = *record ? admin_user_add(t->admin->book, arg(t, "name"), admin_role_of(arg(t, "role")),
                                          record, time(NULL), why)
                         : ERR_MEMORY;
    own_done(t, e, why, arg(t, "name"), "added");
}

static const char *check_role(const char *role)
{
    return admin_role_of(role) == ADMIN_ANYONE ? "\"admin\" or \"reader\"" : NULL;
}

static void own_user_add(struct admin_task *t)
{
    if (!own_right(t, "name", admin_name_check(arg(t, "name"))) ||
        !own_right(t, "role", check_role(arg(t, "role"))) ||
        !own_right(t, "password", admin_password_check(arg(t, "password"))))
        return;
    if (!admin_hasher_submit(t->admin->hasher, arg(t, "password"), NULL, user_add_made, t))
        own_busy(t);
}

/* Whoever was logged in as the user is not any more. */
static void user_change(struct admin_task *t, const char *record)
{
    char why[SCHEMA_WHY];
    enum err e = admin_user_change(t->admin->book, arg(t, "name"), admin_role_of(arg(t, "role")), record,
                                   time(NULL), why);
    if (e == ERR_OK)
        admin_sessions_end_user(t->admin->sessions, arg(t, "name"), NULL);
    own_done(t, e, why, arg(t, "name"), "changed");
}

static void user_change_made(void *task, bool matches, const char *record)
{
    (void)matches;
    if (*record)
        user_change(task, record);
    else
        admin_task_refuse(task, 503, "out of memory");
}

static void own_user_change(struct admin_task *t)
{
    const char *password = arg(t, "password"), *role = arg(t, "role");
    if (*role && !own_right(t, "role", check_role(role)))
        return;
    if (!*role && !*password) {
        admin_task_refuse(t, 422, "neither role nor password is given");
    } else if (!*password) {
        user_change(t, NULL);
    } else if (own_right(t, "password", admin_password_check(password)) &&
               !admin_hasher_submit(t->admin->hasher, password, NULL, user_change_made, t)) {
        own_busy(t);
    }
}

static void own_user_remove(struct admin_task *t)
{
    char why[SCHEMA_WHY];
    enum err e = admin_user_remove(t->admin->book, arg(t, "name"), why);
    if (e == ERR_OK) {
        admin_sessions_end_user(t->admin->sessions, arg(t, "name"), NULL);
        (void)admin_known_forget(t->admin->book, arg(t, "name"), why);
    }
    own_done(t, e, why, arg(t, "name"), "removed");
}

/* Tokens, audit ---------------------------------------------------------------------------------------------
 */

static void own_token_list(struct admin_task *t)
{
    char why[SCHEMA_WHY];
    json_t *list = NULL;
    enum err e = admin_token_list(t->admin->book, &list, why);
    own_list(t, e, why, "tokens", list);
}

static void own_token_add(struct admin_task *t)
{
    const json_t *given = json_object_get(t->args, "days");
    json_int_t days = given ? json_integer_value(given) : ADMIN_TOKEN_DAYS;
    char token[ADMIN_TOKEN_TEXT], text[ADMIN_TOKEN_TEXT + 8], why[SCHEMA_WHY];
    int64_t id = 0, now = time(NULL), expires = now + days * 86400;
    if (!own_right(t, "name", admin_name_check(arg(t, "name"))) ||
        !own_right(t, "role", check_role(arg(t, "role"))) ||
        !own_right(t, "days", days < 1 || days > ADMIN_TOKEN_DAYS_MAX ? "1 to 3660" : NULL))
        return;
    admin_token_make(token);
    snprintf(text, sizeof text, "stile_%s", token);
    enum err e = admin_token_add(t->admin->book, arg(t, "name"), admin_role_of(arg(t, "role")), expires,
                                 t->who, now, text, &id, why);
    if (e == ERR_OK)
        own_answer(t, json_pack("{ss sI ss sI}", "type", "admin", "id", (json_int_t)id, "token", text,
                                "expires", (json_int_t)expires));
    else
        admin_task_refuse(t, e == ERR_FULL ? 409 : 503, why);
    OPENSSL_cleanse(token, sizeof token);
    OPENSSL_cleanse(text, sizeof text);
}

static void own_token_remove(struct admin_task *t)
{
    char why[SCHEMA_WHY];
    const char *id = arg(t, "id");
    char *end;
    long long number = strtoll(id, &end, 10);
    snprintf(why, sizeof why, "there is no token with this number");
    enum err e = *id && !*end ? admin_token_remove(t->admin->book, number, why) : ERR_NOT_FOUND;
    own_done(t, e, why, "token", "removed");
}

static void own_audit(struct admin_task *t)
{
    char why[SCHEMA_WHY];
    json_t *list = NULL;
    const json_t *given = json_object_get(t->args, "limit");
    json_int_t limit = given ? json_integer_value(given) : 100;
    limit = limit < 1 ? 1 : limit > 500 ? 500 : limit;
    enum err e = admin_audit_list(t->admin->book, json_integer_value(json_object_get(t->args, "before")),
                                  limit, &list, why);
    own_list(t, e, why, "entries", list);
}

/* The words -------------------------------------------------------------------------------------------------
 */

static const struct {
    const char *word;
    void (*run)(struct admin_task *t);
    bool tools; /* the box's own tools may say it */
} words[] = {{"login", own_login, false},
             {"session", own_session, false},
             {"logout", own_logout, false},
             {"own_password", own_password, false},
             {"user_list", own_user_list, true},
             {"user_add", own_user_add, true},
             {"user_change", own_user_change, true},
             {"user_remove", own_user_remove, true},
             {"token_list", own_token_list, true},
             {"token_add", own_token_add, true},
             {"token_remove", own_token_remove, true},
             {"audit", own_audit, true}};

void admin_own_run(struct admin_task *t)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i].word, t->word) != 0 || (t->reply && !words[i].tools))
            continue;
        if (t->admin->book)
            words[i].run(t);
        else
            admin_task_refuse(t, 503, t->admin->book_problem);
        return;
    }
    admin_task_refuse(t, 404, "the running program does not know this; is it of another version? Restart it");
}

void admin_own_tool(struct admin_task *t, const char *by, void (*reply)(void *data, const json_t *answer),
                    void *data)
{
    const char *word = json_string_value(json_object_get(t->args, "verb"));
    t->reply = reply;
    t->data = data;
    t->word = word ? word : "";
    snprintf(t->who, sizeof t->who, "%s", by);
    snprintf(t->from, sizeof t->from, "this box");
    admin_own_run(t);
}

static void request_reply(void *request, const json_t *answer)
{
    request_answer(request, json_deep_copy(answer));
}

void admin_request(struct admin *a, struct request *r, const json_t *msg)
{
    struct admin_task *t = a ? admin_task_new(a, msg) : NULL;
    char by[ADMIN_WHO_MAX];
    if (t)
        admin_own_tool(t, request_by(r, by, sizeof by), request_reply, r);
    else
        request_refuse(r, "out of memory");
}
