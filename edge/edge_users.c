/* The local credentials database as main has it: opened, told to workers, changed by `stile-edge user`. */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alarms.h"
#include "common/gather.h"
#include "common/log.h"
#include "common/store.h"
#include "edge/edge.h"
#include "edge/user_request.h"

enum { USERS_PART = 1000 }; /* in one message: parts stay far below IPC_MAX whatever the names are */

static const double users_patience = 10; /* seconds for workers to take over a change */

/* Opening ------------------------------------------------------------------------------------------------ */

/* Without the database the users of secrets.json and ephemeral credentials still work. */
void edge_users_open(struct edge *e)
{
    char path[PATH_MAX], why[SCHEMA_WHY];
    if (users_open(box_state_file(e->box, STORE_FILE, path), &e->users, why) == ERR_OK) {
        if (*e->users_problem)
            log_event(LOG_NOTICE, "Database Opened", "path=%s users=%zu", path, users_count(e->users));
        *e->users_problem = '\0';
        alarm_clear(ALARM_STORE_TROUBLE, STORE_FILE);
        return;
    }
    snprintf(e->users_problem, sizeof e->users_problem, "%s", why);
    log_event(LOG_ERR, "Database Not Opened", "reason=\"%s\"", why);
    alarm_raise(ALARM_STORE_TROUBLE, STORE_FILE, why);
}

bool edge_users_refresh(struct edge *e)
{
    bool changed = false;
    char why[SCHEMA_WHY];
    if (!e->users) {
        edge_users_open(e);
        return e->users != NULL;
    }
    if (users_refresh(e->users, &changed, why) == ERR_OK) {
        alarm_clear(ALARM_STORE_TROUBLE, STORE_FILE);
        return changed;
    }
    log_event(LOG_ERR, "Database Not Read", "reason=\"%s\"", why);
    alarm_raise(ALARM_STORE_TROUBLE, STORE_FILE, why);
    return false;
}

/* To workers --------------------------------------------------------------------------------------------- */

static json_t *hex(const uint8_t *bytes, size_t n)
{
    char text[2 * STUN_KEY_MAX + 1] = "";
    for (size_t i = 0; i < n && i < STUN_KEY_MAX; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    json_t *v = json_string(text);
    OPENSSL_cleanse(text, sizeof text);
    return v;
}

static json_t *user_to_json(const struct user *u)
{
    return json_pack("{ss so so}", "name", u->name, "key", hex(u->key, sizeof u->key), "key_sha256",
                     hex(u->key_sha256, sizeof u->key_sha256));
}

/* A user of secrets.json, where the database has none of that name: what is local counts. NULL otherwise. */
static json_t *shared_user_to_json(const struct edge *e, const struct secret_user *shared)
{
    struct user u = {.name = shared->name};
    struct stun_key md5 = {0}, sha256 = {0};
    json_t *json = NULL;
    const char *realm = e->box->config.turn.realm;
    if (!(e->users && users_find(e->users, shared->name)) &&
        stun_long_term_key(STUN_ALGORITHM_MD5, shared->name, realm, shared->password, &md5) == ERR_OK &&
        stun_long_term_key(STUN_ALGORITHM_SHA256, shared->name, realm, shared->password, &sha256) == ERR_OK) {
        memcpy(u.key, md5.bytes, sizeof u.key);
        memcpy(u.key_sha256, sha256.bytes, sizeof u.key_sha256);
        json = user_to_json(&u);
    }
    OPENSSL_cleanse(&u, sizeof u);
    OPENSSL_cleanse(&md5, sizeof md5);
    OPENSSL_cleanse(&sha256, sizeof sha256);
    return json;
}

static bool user_counts(const struct edge *e, const struct user *u)
{
    return u->enabled && strcmp(u->realm, e->box->config.turn.realm) == 0;
}

struct users_parts {
    struct worker *worker;
    json_t *list;
};

static void parts_flush(struct users_parts *p)
{
    if (json_array_size(p->list) > 0)
        (void)worker_send(p->worker, json_pack("{ss sO}", "type", "users", "users", p->list), NULL, 0);
    json_decref(p->list);
    p->list = NULL;
}

/* user is stolen; NULL is none. */
static void parts_add(struct users_parts *p, json_t *user)
{
    if (!user)
        return;
    if (json_array_size(p->list) >= USERS_PART)
        parts_flush(p);
    if (!p->list)
        p->list = json_array();
    json_array_append_new(p->list, user);
}

void edge_users_send(const struct edge *e, const struct secrets *secrets, struct worker *w)
{
    struct users_parts parts = {.worker = w};
    const struct secret_user *shared = secrets->turn_users.items;
    for (size_t i = 0; i < secrets->turn_users.n; i++)
        parts_add(&parts, shared_user_to_json(e, &shared[i]));
    for (size_t i = 0; e->users && i < users_count(e->users); i++)
        if (user_counts(e, users_at(e->users, i)))
            parts_add(&parts, user_to_json(users_at(e->users, i)));
    parts_flush(&parts);
}

/* Requests ----------------------------------------------------------------------------------------------- */

/* A change that is in the database already, on its way to the workers. */
struct users_change {
    struct edge *edge;
    struct request *request;
    const char *name; /* in the request */
    json_t *answer;
};

/* "name" alone says that there is no such user any more. */
static json_t *users_change_message(void *change, struct worker *w)
{
    const struct users_change *c = change;
    const struct edge *e = c->edge;
    const struct secrets *secrets = &e->box->secrets;
    const struct user *u = e->users ? users_find(e->users, c->name) : NULL;
    const struct secret_user *shared = secrets->turn_users.items;
    json_t *json = u && user_counts(e, u) ? user_to_json(u) : NULL;
    (void)w;
    for (size_t i = 0; !u && !json && i < secrets->turn_users.n; i++)
        if (strcmp(shared[i].name, c->name) == 0)
            json = shared_user_to_json(e, &shared[i]);
    if (!json)
        json = json_pack("{ss}", "name", c->name);
    return json_pack("{ss so}", "type", "user", "user", json);
}

static void users_change_done(void *change, json_t *results)
{
    struct users_change *c = change;
    size_t i;
    json_t *result;
    json_array_foreach (results, i, result) {
        const char *reason = json_string_value(json_object_get(result, "reason"));
        if (reason)
            log_event(LOG_ERR, "User Not Taken Over", "worker=%s reason=\"%s\"",
                      json_string_value(json_object_get(result, "worker")), reason);
    }
    request_answer(c->request, c->answer);
    free(c);
}

static void users_tell_workers(struct edge *e, struct request *r, const char *name, json_t *answer)
{
    struct users_change *c = calloc(1, sizeof *c);
    struct gather *g = NULL;
    if (c) {
        *c = (struct users_change){e, r, name, answer};
        g = gather_ask(e->loop, e->turn, e->n_turn, users_change_message, users_patience, users_change_done,
                       c);
    }
    if (g)
        return;
    free(c);
    json_decref(answer);
    request_refuse(
        r, "out of memory: the change is in the database, but 'stile-edge reload' has to bring it to the "
           "workers");
}

static void users_log(const char *verb, const char *name)
{
    char quoted[128];
    log_event(LOG_NOTICE, "TURN User Changed", "user=%s change=%s",
              log_quote(name, strlen(name), quoted, sizeof quoted), verb);
}

void edge_users_request(void *edge, struct request *r, const json_t *msg)
{
    struct edge *e = edge;
    const char *changed, *verb = json_string_value(json_object_get(msg, "verb"));
    if (edge_users_refresh(e))
        requests_submit(e->requests, json_pack("{ss}", "type", "reload")); /* after this one */
    if (verb && strcmp(verb, "refresh") == 0) {
        request_answer(r, json_pack("{ss ss}", "type", "user", "done", ""));
        return;
    }
    const struct user_book book = {e->users, e->users_problem, &e->box->secrets, e->box->config.turn.realm};
    json_t *answer = user_request(&book, msg, time(NULL), &changed);
    if (!answer) {
        request_refuse(r, "out of memory");
    } else if (!changed) {
        request_answer(r, answer);
    } else {
        users_log(verb, changed);
        users_tell_workers(e, r, changed, answer);
    }
}
