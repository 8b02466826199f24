#include "edge/user_request.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "proto/stun_ephemeral.h"

struct asked {
    const struct user_book *book;
    const char *name, *password, *after;
    int64_t ttl, now;
};

/* Names may be cut in it. */
static json_t *user_error(const char *reason)
{
    char words[SCHEMA_WHY];
    return json_pack("{ss ss}", "type", "error", "reason", text_copy(words, sizeof words, reason));
}

static bool user_is_shared(const struct secrets *secrets, const char *name)
{
    const struct secret_user *shared = secrets->turn_users.items;
    for (size_t i = 0; i < secrets->turn_users.n; i++)
        if (strcmp(shared[i].name, name) == 0)
            return true;
    return false;
}

/* Changes ------------------------------------------------------------------------------------------------ */

static json_t *user_done(enum err e, const char *why, const char *name, const char *what)
{
    return e == ERR_OK ? json_pack("{ss so}", "type", "user", "done", json_sprintf("user %s %s", name, what))
                       : user_error(why);
}

static json_t *user_add(const struct asked *a)
{
    char why[SCHEMA_WHY];
    enum err e = users_add(a->book->users, a->name, a->book->realm, a->password, a->now, why);
    return user_done(e, why, a->name, "added");
}

static json_t *user_password(const struct asked *a)
{
    char why[SCHEMA_WHY];
    enum err e = users_set_password(a->book->users, a->name, a->book->realm, a->password, a->now, why);
    return user_done(e, why, a->name, "has a new password");
}

static json_t *user_enable(const struct asked *a)
{
    char why[SCHEMA_WHY];
    enum err e = users_set_enabled(a->book->users, a->name, true, a->now, why);
    return user_done(e, why, a->name, "enabled");
}

static json_t *user_disable(const struct asked *a)
{
    char why[SCHEMA_WHY];
    enum err e = users_set_enabled(a->book->users, a->name, false, a->now, why);
    return user_done(e, why, a->name, "disabled");
}

static json_t *user_remove(const struct asked *a)
{
    char why[SCHEMA_WHY];
    enum err e = users_remove(a->book->users, a->name, why);
    return user_done(e, why, a->name, "removed");
}

/* Lists -------------------------------------------------------------------------------------------------- */

static json_t *user_row(const struct user_book *book, const struct user *u)
{
    const char *state = strcmp(u->realm, book->realm) != 0 ? "other realm"
                        : u->enabled                       ? "enabled"
                                                           : "disabled";
    return json_pack("{ss ss ss ss sI sI}", "name", u->name, "state", state, "source", "database", "realm",
                     u->realm, "created", (json_int_t)u->created, "changed", (json_int_t)u->changed);
}

/* Those of secrets.json come with the first part. Where a name is in both, what is local counts. */
static void user_list_shared(const struct user_book *book, json_t *list)
{
    const struct secret_user *shared = book->secrets->turn_users.items;
    for (size_t i = 0; i < book->secrets->turn_users.n; i++)
        json_array_append_new(list, json_pack("{ss ss ss ss}", "name", shared[i].name, "state",
                                              users_find(book->users, shared[i].name) ? "hidden" : "enabled",
                                              "source", "secrets.json", "realm", book->realm));
}

static json_t *user_list(const struct asked *a)
{
    const struct user_book *book = a->book;
    json_t *list = json_array();
    if (!*a->after)
        user_list_shared(book, list);
    size_t from = users_behind(book->users, a->after), n = users_count(book->users) - from;
    bool more = n > USER_LIST_MOST;
    n = more ? USER_LIST_MOST : n;
    for (size_t i = from; i < from + n; i++)
        json_array_append_new(list, user_row(book, users_at(book->users, i)));
    return json_pack("{ss so sb}", "type", "user", "users", list, "more", (int)more);
}

/* Tokens ------------------------------------------------------------------------------------------------- */

static json_t *user_token(const struct asked *a)
{
    char username[USERS_NAME_MAX + 32], password[STUN_EPHEMERAL_PASSWORD + 1];
    const struct schema_strings *secrets = &a->book->secrets->turn_shared_secrets;
    if (a->ttl < 1 || a->ttl > USER_TOKEN_TTL_MAX)
        return user_error("a token lasts from 1 second to 366 days");
    if (secrets->n == 0)
        return user_error(
            "secrets.json has no turn_shared_secrets, which tokens are made with: add one there "
            "and reload");
    int n = snprintf(username, sizeof username, "%lld:%s", (long long)(a->now + a->ttl), a->name);
    if (n > USERS_NAME_MAX)
        return user_error("the name is too long: with the time in front of it it has more than 508 bytes");
    stun_ephemeral_password(secrets->items[0], username, (size_t)n, password);
    json_t *answer = json_pack("{ss ss ss sI}", "type", "user", "username", username, "password", password,
                               "expires", (json_int_t)(a->now + a->ttl));
    OPENSSL_cleanse(password, sizeof password);
    return answer;
}

/* Verbs -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    json_t *(*run)(const struct asked *a);
    bool needs_name, needs_store, changes;
} verbs[] = {
    {"add", user_add, true, true, true},       {"password", user_password, true, true, true},
    {"enable", user_enable, true, true, true}, {"disable", user_disable, true, true, true},
    {"remove", user_remove, true, true, true}, {"list", user_list, false, true, false},
    {"token", user_token, true, false, false},
};

static const char *text_of(const json_t *msg, const char *key)
{
    const char *text = json_string_value(json_object_get(msg, key));
    return text ? text : "";
}

static json_t *user_verb(const struct asked *a, size_t v)
{
    char why[SCHEMA_WHY];
    const char *wrong = verbs[v].needs_name ? users_check_name(a->name) : NULL;
    if (wrong) {
        snprintf(why, sizeof why, "this is not %s", wrong);
        return user_error(why);
    }
    if (verbs[v].needs_store && !a->book->users)
        return user_error(a->book->problem);
    if (verbs[v].changes && user_is_shared(a->book->secrets, a->name) &&
        !users_find(a->book->users, a->name)) {
        snprintf(why, sizeof why,
                 "user %.100s is in secrets.json, not in the database: change it there and reload", a->name);
        return user_error(why);
    }
    return verbs[v].run(a);
}

json_t *user_request(const struct user_book *book, const json_t *msg, int64_t now, const char **changed)
{
    const json_t *ttl = json_object_get(msg, "ttl");
    const struct asked a = {.book = book,
                            .name = text_of(msg, "name"),
                            .password = text_of(msg, "password"),
                            .after = text_of(msg, "after"),
                            .ttl = ttl ? json_integer_value(ttl) : USER_TOKEN_TTL,
                            .now = now};
    *changed = NULL;
    for (size_t v = 0; v < sizeof verbs / sizeof *verbs; v++) {
        if (strcmp(text_of(msg, "verb"), verbs[v].name) != 0)
            continue;
        json_t *answer = user_verb(&a, v);
        if (verbs[v].changes && json_object_get(answer, "done"))
            *changed = a.name;
        return answer;
    }
    return user_error("unknown request; is the running edge of another version? Restart it");
}
