/* A request of the API, as the worker passes it on: who is asking, may they, and which verb does it. The
 * worker reads what strangers send, so what it says of a request counts only as what a stranger has said. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/admin/admin_private.h"
#include "common/clock.h"

static const char *text_of(const json_t *msg, const char *key)
{
    const char *text = json_string_value(json_object_get(msg, key));
    return text ? text : "";
}

static bool call_from_network(const struct admin_task *t)
{
    const struct schema_strings *nets = &t->admin->box->config.admin.metrics_from;
    struct netcidr net;
    for (size_t i = 0; i < nets->n; i++)
        if (netcidr_parse(nets->items[i], &net) == ERR_OK && netcidr_contains(&net, &t->client))
            return true;
    return false;
}

/* By a token. */
static bool call_bearer(struct admin_task *t, const char *bearer)
{
    char name[ADMIN_NAME_MAX + 1], why[SCHEMA_WHY];
    if (!t->admin->book ||
        admin_token_find(t->admin->book, bearer, time(NULL), &t->role, name, why) != ERR_OK)
        return false;
    snprintf(t->who, sizeof t->who, "token:%s", name);
    return true;
}

static bool call_session(struct admin_task *t, bool quiet)
{
    const char *who =
        admin_sessions_find(t->admin->sessions, t->session, !quiet, clock_monotonic(), &t->role);
    if (who)
        snprintf(t->who, sizeof t->who, "%s", who);
    return who != NULL;
}

/* 0: go on. Otherwise what HTTP calls it. */
static unsigned call_judge(struct admin_task *t, const json_t *msg)
{
    const char *bearer = text_of(msg, "bearer");
    bool change = strcmp(t->route->method, "GET") != 0;
    if (t->route->role == ADMIN_ANYONE)
        return 0;
    if (t->route->text && !*bearer && call_from_network(t)) {
        snprintf(t->who, sizeof t->who, "network");
        return 0;
    }
    if (*bearer) {
        *t->session = '\0';
        t->proven = call_bearer(t, bearer);
    } else {
        t->proven = *t->session && call_session(t, json_is_true(json_object_get(msg, "quiet")));
    }
    if (!t->proven)
        return 401;
    if (t->role < t->route->role)
        return 403;
    return change && !*bearer && !admin_csrf_right(t->session, text_of(msg, "csrf")) ? 403 : 0;
}

static void call_answered(void *task, json_t *answer)
{
    admin_task_end(task, answer);
}

/* To the verb that the box's own tools use. */
static void call_verb(struct admin_task *t)
{
    json_t *msg = json_copy(t->args);
    json_object_set_new(msg, "type", json_string(t->route->verb));
    if (t->route->word)
        json_object_set_new(msg, "verb", json_string(t->route->word));
    json_object_set_new(msg, "by", json_string(t->who));
    json_object_set_new(msg, "from", json_string(t->from));
    if (!requests_know(t->admin->requests, t->route->verb)) {
        json_decref(msg);
        admin_task_refuse(t, 404, "this box has no such thing");
    } else if (!requests_call(t->admin->requests, msg, call_answered, t)) {
        admin_task_refuse(t, 503, "out of memory");
    }
}

/* No change: a reader cannot fill the audit with what he may not do. */
static void call_refuse(struct admin_task *t, unsigned status)
{
    t->refused = true;
    admin_task_refuse(t, status,
                      status == 401 ? "log in first"
                      : t->role < t->route->role
                          ? "this needs the role admin"
                          : "the header X-CSRF-Token is missing, or of another session");
}

void admin_call_withdraw(struct admin *a, json_int_t call)
{
    struct admin_task *t;
    LIST_FOREACH (t, &a->tasks, next)
        if (t->route && t->call == call && t->worker == worker_pid(a->worker))
            break;
    if (t && requests_withdraw(a->requests, t))
        admin_task_free(t);
}

void admin_call(struct admin *a, const json_t *msg)
{
    char why[200] = "malformed";
    const struct admin_route *r = admin_route_at(json_integer_value(json_object_get(msg, "route")), a->kind);
    struct admin_task *t = r ? admin_task_new(a, json_object_get(msg, "args")) : NULL;
    if (!t)
        return; /* the worker's deadline answers */
    t->route = r;
    t->call = json_integer_value(json_object_get(msg, "id"));
    t->worker = worker_pid(a->worker);
    snprintf(t->session, sizeof t->session, "%s", text_of(msg, "session"));
    if (netaddr_parse(text_of(msg, "from"), 0, &t->client) != ERR_OK ||
        admin_route_judge(r, t->args, why, sizeof why) != ERR_OK) {
        admin_task_refuse(t, 400, why);
        return;
    }
    netaddr_print_ip(&t->client, t->from);
    if (clock_monotonic() > json_real_value(json_object_get(msg, "until"))) {
        t->refused = true; /* main was away so long that whoever asked may have given up */
        admin_task_refuse(t, 503, "the box was too busy; nothing was done: try again");
        return;
    }
    unsigned status = call_judge(t, msg);
    t->word = r->word;
    if (status)
        call_refuse(t, status);
    else if (strcmp(r->verb, "admin") == 0)
        admin_own_run(t);
    else
        call_verb(t);
}
