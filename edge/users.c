#include "edge/users.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/schema.h"
#include "common/store.h"

struct users {
    struct store *store;
    struct user *items;
    size_t n, room;
};

static const char *const steps[] = {"CREATE TABLE turn_user ("
                                    "  name TEXT PRIMARY KEY NOT NULL,"
                                    "  realm TEXT NOT NULL,"
                                    "  key BLOB NOT NULL CHECK (length(key) = 16),"
                                    "  key_sha256 BLOB NOT NULL CHECK (length(key_sha256) = 32),"
                                    "  enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),"
                                    "  created INTEGER NOT NULL,"
                                    "  changed INTEGER NOT NULL"
                                    ") STRICT, WITHOUT ROWID;",
                                    NULL};
static const struct store_part part = {"turn_users", steps};

/* Names and passwords ------------------------------------------------------------------------------------ */

static bool text_has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

const char *users_check_name(const char *name)
{
    return *name && strlen(name) <= USERS_NAME_MAX && !text_has_control(name) && !strchr(name, ':')
               ? NULL
               : "a user name: 1 to 508 bytes, no control characters and no colon";
}

const char *users_check_password(const char *password)
{
    return *password && strlen(password) <= USERS_PASSWORD_MAX && !text_has_control(password)
               ? NULL
               : "a password: 1 to 500 bytes, no control characters";
}

static enum err user_make_keys(const char *name, const char *realm, const char *password, struct user *out,
                               char *why)
{
    struct stun_key key = {0};
    const char *wrong = users_check_name(name);
    if (!wrong)
        wrong = users_check_password(password);
    if (wrong) {
        snprintf(why, SCHEMA_WHY, "this is not %s", wrong);
        return ERR_CONFIG;
    }
    enum err e = stun_long_term_key(STUN_ALGORITHM_MD5, name, realm, password, &key);
    if (e == ERR_OK) {
        memcpy(out->key, key.bytes, sizeof out->key);
        e = stun_long_term_key(STUN_ALGORITHM_SHA256, name, realm, password, &key);
    }
    if (e == ERR_OK)
        memcpy(out->key_sha256, key.bytes, sizeof out->key_sha256);
    else
        snprintf(why, SCHEMA_WHY, "the keys of this name and password cannot be computed: %s", err_str(e));
    OPENSSL_cleanse(&key, sizeof key);
    return e;
}

/* In memory ---------------------------------------------------------------------------------------------- */

static void user_clear(struct user *user)
{
    free(user->name);
    free(user->realm);
    OPENSSL_cleanse(user, sizeof *user);
}

static void users_clear(struct users *u)
{
    while (u->n > 0)
        user_clear(&u->items[--u->n]);
    free(u->items);
    u->items = NULL;
    u->room = 0;
}

size_t users_count(const struct users *u)
{
    return u->n;
}

const struct user *users_at(const struct users *u, size_t i)
{
    return &u->items[i];
}

/* The first one that does not come before name; with behind, the first one after it. */
static size_t users_place(const struct users *u, const char *name, bool behind)
{
    size_t low = 0, high = u->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(u->items[middle].name, name) < (behind ? 1 : 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t users_behind(const struct users *u, const char *name)
{
    return users_place(u, name, true);
}

static struct user *users_get(const struct users *u, const char *name)
{
    size_t at = users_place(u, name, false);
    return at < u->n && strcmp(u->items[at].name, name) == 0 ? &u->items[at] : NULL;
}

const struct user *users_find(const struct users *u, const char *name)
{
    return users_get(u, name);
}

/* Room for one more, so that what is in the file by then always finds its place. The array is wiped when it
 * moves: keys are in it. */
static enum err users_make_room(struct users *u)
{
    if (u->n < u->room)
        return ERR_OK;
    size_t room = u->room ? u->room * 2 : 64;
    struct user *items = calloc(room, sizeof *items);
    if (!items)
        return ERR_MEMORY;
    if (u->n)
        memcpy(items, u->items, u->n * sizeof *items);
    OPENSSL_cleanse(u->items, u->n * sizeof *items);
    free(u->items);
    u->items = items;
    u->room = room;
    return ERR_OK;
}

static void users_insert(struct users *u, const struct user *user)
{
    size_t at = users_place(u, user->name, false);
    memmove(&u->items[at + 1], &u->items[at], (u->n - at) * sizeof *u->items);
    u->items[at] = *user;
    u->n++;
}

/* The file ----------------------------------------------------------------------------------------------- */

static enum err users_on_row(void *ctx, const struct store_row *row, char *why)
{
    struct users *u = ctx;
    struct user user = {.enabled = store_row_integer(row, 4) != 0,
                        .created = store_row_integer(row, 5),
                        .changed = store_row_integer(row, 6)};
    if (!store_row_blob(row, 2, user.key, sizeof user.key) ||
        !store_row_blob(row, 3, user.key_sha256, sizeof user.key_sha256)) {
        snprintf(why, SCHEMA_WHY, "turn_user: a key of the wrong size");
        return ERR_MALFORMED;
    }
    user.name = strdup(store_row_text(row, 0));
    user.realm = strdup(store_row_text(row, 1));
    if (!user.name || !user.realm || users_make_room(u) != ERR_OK) {
        user_clear(&user);
        snprintf(why, SCHEMA_WHY, "out of memory");
        return ERR_MEMORY;
    }
    users_insert(u, &user); /* they come in order: at the end */
    return ERR_OK;
}

/* *u is as it was where it fails. */
static enum err users_read(struct users *u, char *why)
{
    static const char sql[] = "SELECT name, realm, key, key_sha256, enabled, created, changed FROM turn_user "
                              "ORDER BY name";
    struct users fresh = {.store = u->store};
    enum err e = store_run(u->store, sql, NULL, 0, users_on_row, &fresh, why);
    if (e != ERR_OK) {
        users_clear(&fresh);
        return e;
    }
    users_clear(u);
    *u = fresh;
    return ERR_OK;
}

enum err users_open(const char *path, struct users **out, char *why)
{
    struct users *u = calloc(1, sizeof *u);
    snprintf(why, SCHEMA_WHY, "%s: out of memory", path);
    if (!u)
        return ERR_MEMORY;
    enum err e = store_open(path, &part, 1, &u->store, why);
    if (e == ERR_OK)
        e = users_read(u, why);
    if (e == ERR_OK)
        *out = u;
    else
        users_close(u);
    return e;
}

void users_close(struct users *u)
{
    if (!u)
        return;
    store_close(u->store);
    users_clear(u);
    free(u);
}

enum err users_refresh(struct users *u, bool *changed, char *why)
{
    *changed = store_changed_elsewhere(u->store);
    return *changed ? users_read(u, why) : ERR_OK;
}

/* Changes ------------------------------------------------------------------------------------------------ */

static enum err users_no_such(const char *name, char *why)
{
    snprintf(why, SCHEMA_WHY, "there is no user %.100s; 'stile-edge user list' shows all", name);
    return ERR_NOT_FOUND;
}

static enum err users_write(struct users *u, const char *sql, const struct user *user, char *why)
{
    const struct store_value row[] = {STORE_TEXT(user->name),
                                      STORE_TEXT(user->realm),
                                      STORE_BLOB(user->key, sizeof user->key),
                                      STORE_BLOB(user->key_sha256, sizeof user->key_sha256),
                                      STORE_INTEGER(user->enabled),
                                      STORE_INTEGER(user->created),
                                      STORE_INTEGER(user->changed)};
    return store_run(u->store, sql, row, sizeof row / sizeof *row, NULL, NULL, why);
}

enum err users_add(struct users *u, const char *name, const char *realm, const char *password, int64_t now,
                   char *why)
{
    static const char sql[] =
        "INSERT INTO turn_user (name, realm, key, key_sha256, enabled, created, changed) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    struct user user = {.enabled = true, .created = now, .changed = now};
    enum err e = user_make_keys(name, realm, password, &user, why);
    if (e != ERR_OK)
        goto out;
    e = ERR_EXISTS;
    snprintf(why, SCHEMA_WHY, "user %.100s exists; 'stile-edge user password' gives a new password", name);
    if (users_find(u, name))
        goto out;
    e = ERR_FULL;
    snprintf(why, SCHEMA_WHY, "there are %d users; there cannot be more", USERS_MAX);
    if (u->n >= USERS_MAX)
        goto out;
    e = ERR_MEMORY;
    snprintf(why, SCHEMA_WHY, "out of memory");
    user.name = strdup(name);
    user.realm = strdup(realm);
    if (!user.name || !user.realm || users_make_room(u) != ERR_OK)
        goto out;
    e = users_write(u, sql, &user, why);
    if (e != ERR_OK)
        goto out;
    users_insert(u, &user);
    user.name = user.realm = NULL; /* the list's now */
out:
    user_clear(&user);
    return e;
}

enum err users_set_password(struct users *u, const char *name, const char *realm, const char *password,
                            int64_t now, char *why)
{
    static const char sql[] = "UPDATE turn_user SET realm = ?2, key = ?3, key_sha256 = ?4, enabled = ?5, "
                              "created = ?6, changed = ?7 WHERE name = ?1";
    struct user *have = users_get(u, name);
    if (!have)
        return users_no_such(name, why);
    struct user user = *have;
    char *copy = NULL;
    user.changed = now;
    enum err e = user_make_keys(name, realm, password, &user, why);
    if (e == ERR_OK && !(copy = strdup(realm))) {
        snprintf(why, SCHEMA_WHY, "out of memory");
        e = ERR_MEMORY;
    }
    user.realm = copy;
    if (e == ERR_OK)
        e = users_write(u, sql, &user, why);
    if (e == ERR_OK) {
        free(have->realm);
        *have = user;
        copy = NULL;
    }
    free(copy);
    OPENSSL_cleanse(&user, sizeof user);
    return e;
}

enum err users_set_enabled(struct users *u, const char *name, bool enabled, int64_t now, char *why)
{
    struct user *user = users_get(u, name);
    if (!user)
        return users_no_such(name, why);
    if (user->enabled == enabled)
        return ERR_OK;
    const struct store_value row[] = {STORE_TEXT(name), STORE_INTEGER(enabled), STORE_INTEGER(now)};
    enum err e = store_run(u->store, "UPDATE turn_user SET enabled = ?2, changed = ?3 WHERE name = ?1", row,
                           3, NULL, NULL, why);
    if (e != ERR_OK)
        return e;
    user->enabled = enabled;
    user->changed = now;
    return ERR_OK;
}

enum err users_remove(struct users *u, const char *name, char *why)
{
    struct user *user = users_get(u, name);
    if (!user)
        return users_no_such(name, why);
    const struct store_value row = STORE_TEXT(name);
    enum err e = store_run(u->store, "DELETE FROM turn_user WHERE name = ?1", &row, 1, NULL, NULL, why);
    if (e != ERR_OK)
        return e;
    size_t at = (size_t)(user - u->items);
    user_clear(user);
    u->n--;
    memmove(&u->items[at], &u->items[at + 1], (u->n - at) * sizeof *u->items);
    OPENSSL_cleanse(&u->items[u->n], sizeof *u->items);
    return ERR_OK;
}
