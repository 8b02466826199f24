/* From an answer of a verb to what the API says, and to the audit. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/admin/admin_private.h"

struct admin_task *admin_task_new(struct admin *a, const json_t *args)
{
    struct admin_task *t = calloc(1, sizeof *t);
    json_t *copy = args ? json_copy((json_t *)(uintptr_t)args) : json_object();
    if (!t || !copy) {
        free(t);
        json_decref(copy);
        return NULL;
    }
    t->admin = a;
    t->args = copy;
    LIST_INSERT_HEAD(&a->tasks, t, next);
    return t;
}

void admin_task_free(struct admin_task *t)
{
    LIST_REMOVE(t, next);
    json_decref(t->args);
    OPENSSL_cleanse(t, sizeof *t);
    free(t);
}

/* The audit -------------------------------------------------------------------------------------------------
 */

static bool is_secret(const struct admin_route *r, const char *key)
{
    for (size_t i = 0; i < ADMIN_FIELDS_MAX && r->fields[i].name; i++)
        if (strcmp(r->fields[i].name, key) == 0)
            return r->fields[i].secret || r->big;
    char parameter[32];
    return strcmp(admin_route_parameter(r, parameter), key) != 0;
}

/* What the row knows and may be told of the arguments. */
static json_t *deed_detail(const struct admin_route *r, const json_t *args)
{
    json_t *detail = json_object(), *value;
    const char *key;
    json_object_foreach ((json_t *)(uintptr_t)args, key, value)
        if (!is_secret(r, key))
            json_object_set(detail, key, value);
    return detail;
}

static const char *deed_result(const json_t *answer)
{
    const char *reason = json_string_value(json_object_get(answer, "reason")),
               *type = json_string_value(json_object_get(answer, "type"));
    if (!answer)
        return "the box did not answer";
    return type && strcmp(type, "error") == 0 ? (reason ? reason : "refused") : "done";
}

/* detail is stolen. Who only looks can cause what is routine: it is not kept as an event. */
static void audit_write(struct admin *a, struct admin_deed deed, json_t *detail, const json_t *answer)
{
    char why[SCHEMA_WHY], who[100], result[200];
    char *text = json_dumps(detail, JSON_COMPACT | JSON_SORT_KEYS);
    deed.detail = text ? text : "";
    deed.result = deed_result(answer);
    log_event(deed.routine ? LOG_INFO : LOG_NOTICE, "Admin Change",
              "who=%s from=\"%s\" what=\"%s\" result=%s",
              log_quote(deed.who, strlen(deed.who), who, sizeof who), deed.from, deed.what,
              log_quote(deed.result, strlen(deed.result), result, sizeof result));
    if (a->book && admin_audit_add(a->book, &deed, time(NULL), why) != ERR_OK)
        log_event(LOG_ERR, "Admin Change Not Recorded", "reason=\"%s\"", why);
    free(text);
    json_decref(detail);
}

static void audit(struct admin *a, const struct admin_route *r, const char *who, const char *from,
                  const json_t *args, const json_t *answer)
{
    char what[160];
    snprintf(what, sizeof what, "%s %s", r->method, r->path);
    const struct admin_deed deed = {
        .who = who, .from = from, .what = what, .routine = r->role != ADMIN_WRITER};
    audit_write(a, deed, deed_detail(r, args), answer);
}

/* A config that core has sent: no route of the API does this. */
static void audit_carried(struct admin *a, const json_t *msg, const json_t *answer)
{
    const char *core = json_string_value(json_object_get(msg, "core"));
    char who[ADMIN_WHO_MAX];
    snprintf(who, sizeof who, "core:%s", core ? core : "");
    const struct admin_deed deed = {
        .who = who, .from = "its tunnel", .what = "config from core", .routine = true};
    audit_write(a, deed, json_pack("{sO}", "revision", json_object_get(msg, "revision")), answer);
}

/* What only asks is no change, though it has a body. */
static bool route_changes(const struct admin_route *r)
{
    return strcmp(r->method, "GET") != 0 && !r->asks &&
           (r->role == ADMIN_WRITER || strcmp(r->verb, "admin") == 0);
}

/* The row of a change that a verb makes. */
static const struct admin_route *route_of(const char *verb, const char *word)
{
    for (const struct admin_route *r = admin_routes; r->method; r++)
        if (strcmp(r->method, "GET") != 0 && strcmp(r->verb, verb) == 0 &&
            (!r->word || (word && strcmp(r->word, word) == 0)))
            return r;
    return NULL;
}

void admin_audit_local(void *admin, const json_t *msg, const char *by, const json_t *answer)
{
    const char *type = json_string_value(json_object_get(msg, "type")),
               *word = json_string_value(json_object_get(msg, "verb"));
    if (type && strcmp(type, "config_carry") == 0)
        audit_carried(admin, msg, answer);
    const struct admin_route *r = by && type && strcmp(type, "admin") != 0 ? route_of(type, word) : NULL;
    if (r && route_changes(r))
        audit(admin, r, by, "this box", msg, answer);
}

/* Answers ---------------------------------------------------------------------------------------------------
 */

/* Of HTTP: as the verb says, or by its code. */
static json_int_t answer_status(const json_t *answer)
{
    static const struct {
        const char *code;
        json_int_t status;
    } codes[] = {{"not_found", 404}, {"conflict", 409}, {"invalid", 422}, {"edge", 409}, {"write", 503}};
    json_int_t status = json_integer_value(json_object_get(answer, "status"));
    const char *code = json_string_value(json_object_get(answer, "code"));
    if (!answer)
        return 503;
    for (size_t i = 0; code && i < sizeof codes / sizeof *codes; i++)
        if (strcmp(code, codes[i].code) == 0)
            return codes[i].status;
    return status >= 400 && status < 600 ? status : 422;
}

static void answer_add_error(json_t *out, const json_t *answer)
{
    static const char *const more[] = {"line", "key"};
    const char *reason = json_string_value(json_object_get(answer, "reason"));
    json_int_t status = answer_status(answer);
    json_t *error = json_pack("{ss}", "message", reason ? reason : "the box does not answer; try again");
    for (size_t i = 0; i < 2; i++)
        if (json_object_get(answer, more[i]))
            json_object_set(error, more[i], json_object_get(answer, more[i]));
    json_object_set_new(out, "status", json_integer(status));
    json_object_set_new(out, "body", json_pack("{so}", "error", error));
    if (json_object_get(answer, "retry_after"))
        json_object_set(out, "retry_after", json_object_get(answer, "retry_after"));
}

static json_t *list_cut(const json_t *list, json_int_t limit)
{
    json_t *out = json_array(), *one;
    size_t i;
    json_array_foreach ((json_t *)(uintptr_t)list, i, one)
        if (limit <= 0 || (json_int_t)i < limit)
            json_array_append(out, one);
    return out;
}

static json_t *answer_body(const struct admin_task *t, const json_t *answer)
{
    static const char *const ours[] = {"type", "cookie"};
    const struct admin_route *r = t->route;
    json_t *body = r->only_list ? json_object() : json_copy((json_t *)(uintptr_t)answer);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        json_object_del(body, ours[i]);
    if (!r->list)
        return body;
    json_int_t limit = r->only_list ? json_integer_value(json_object_get(t->args, "limit")) : 0;
    json_object_del(body, r->list);
    json_object_set_new(body, "items", list_cut(json_object_get(answer, r->list), limit));
    return body;
}

static void answer_worker(const struct admin_task *t, const json_t *answer)
{
    const char *type = json_string_value(json_object_get(answer, "type"));
    struct worker *w = t->admin->worker;
    if (!w || worker_pid(w) != t->worker)
        return; /* it was another process that asked */
    json_t *out = json_pack("{ss sI sb ss si}", "type", "answer", "id", t->call, "proven",
                            (int)(t->proven && !t->ended), "who", t->who, "role", (int)t->role);
    if (!answer || (type && strcmp(type, "error") == 0)) {
        answer_add_error(out, answer);
    } else {
        json_object_set_new(out, "status", json_integer(200));
        if (t->route->text)
            json_object_set(out, "text", json_object_get(answer, "text"));
        else
            json_object_set_new(out, "body", answer_body(t, answer));
        if (json_object_get(answer, "cookie"))
            json_object_set(out, "cookie", json_object_get(answer, "cookie"));
    }
    (void)worker_send(w, out, NULL, 0);
}

void admin_task_end(struct admin_task *t, const json_t *answer)
{
    const struct admin_route *r = t->route ? t->route : route_of("admin", t->word);
    /* What strangers try is an event (admin_own.c): the audit is no place that they could fill. */
    if (r && route_changes(r) && !t->refused && (t->proven || t->reply))
        audit(t->admin, r, t->who, t->from, t->args, answer);
    if (t->reply)
        t->reply(t->data, answer);
    else if (t->route)
        answer_worker(t, answer);
    admin_task_free(t);
}

void admin_task_refuse(struct admin_task *t, unsigned status, const char *reason)
{
    json_t *answer = json_pack("{ss ss sI}", "type", "error", "reason", reason, "status", (json_int_t)status);
    admin_task_end(t, answer);
    json_decref(answer);
}
