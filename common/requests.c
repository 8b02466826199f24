#include "common/requests.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/local_server.h"
#include "common/log.h"
#include "common/schema.h"
#include "common/text.h"

struct request {
    struct requests *server;
    struct local_connection *connection; /* NULL: nobody waits */
    const struct request_verb *verb;
    json_t *msg;
    void (*gone)(void *data);
    void *data;
    void (*answered)(void *data, json_t *answer); /* a call; NULL: it is none */
    void *caller;
    bool waiting; /* for its turn, in server->waiting; else in server->running */
    TAILQ_ENTRY(request) next;
};

TAILQ_HEAD(request_list, request);

struct requests {
    struct local_server *local;
    const struct request_verb *verbs;
    void *ctx;
    struct request_list waiting, running;
    struct request *alone; /* the one that others wait for */
    void (*watch)(void *ctx, const json_t *msg, const json_t *answer); /* NULL: nobody does */
    void *watcher;
    bool choosing;
};

static const struct request_verb *requests_verb(const struct requests *s, const char *name)
{
    for (const struct request_verb *v = s->verbs; v->name; v++)
        if (strcmp(v->name, name) == 0)
            return v;
    return NULL;
}

static void request_start(struct request *r)
{
    r->waiting = false;
    TAILQ_INSERT_TAIL(&r->server->running, r, next);
    if (r->verb->alone)
        r->server->alone = r;
    r->verb->run(r->server->ctx, r, r->msg); /* may end r */
}

/* Answers may come from inside of run: a loop instead of a recursion. */
static void requests_next(struct requests *s)
{
    if (s->choosing)
        return;
    s->choosing = true;
    while (!s->alone && !TAILQ_EMPTY(&s->waiting)) {
        struct request *r = TAILQ_FIRST(&s->waiting);
        TAILQ_REMOVE(&s->waiting, r, next);
        request_start(r);
    }
    s->choosing = false;
}

static void request_free(struct request *r)
{
    struct requests *s = r->server;
    TAILQ_REMOVE(r->waiting ? &s->waiting : &s->running, r, next);
    if (s->alone == r)
        s->alone = NULL;
    json_decref(r->msg);
    free(r);
}

static struct request *request_new(struct requests *s, const struct request_verb *verb, json_t *msg)
{
    struct request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->server = s;
    r->verb = verb;
    r->msg = json_incref(msg);
    return r;
}

static void request_begin(struct request *r)
{
    struct requests *s = r->server;
    if (!r->verb->alone) {
        request_start(r);
        return;
    }
    r->waiting = true;
    TAILQ_INSERT_TAIL(&s->waiting, r, next);
    requests_next(s);
}

static bool requests_begin(struct requests *s, struct local_connection *c, const struct request_verb *verb,
                           json_t *msg)
{
    struct request *r = request_new(s, verb, msg);
    if (!r)
        return false;
    r->connection = c;
    if (c)
        local_connection_set_data(c, r);
    request_begin(r);
    return true;
}

/* What is refused may be quoted, and may be no UTF-8, of which there is no JSON. */
static json_t *request_error(const char *reason)
{
    char words[SCHEMA_WHY];
    return json_pack("{ss ss}", "type", "error", "reason", text_copy(words, sizeof words, reason));
}

static void requests_on_message(void *ctx, struct local_connection *c, const char *type, json_t *msg,
                                int *fds, size_t n_fds)
{
    struct requests *s = ctx;
    const struct request_verb *verb = requests_verb(s, type);
    (void)fds, (void)n_fds;
    if (local_connection_data(c))
        return; /* one at a time */
    if (!verb)
        local_connection_send(
            c, request_error("the running program does not know this request; is it of another "
                             "version? Restart it"));
    else if (!requests_begin(s, c, verb, msg))
        local_connection_send(c, request_error("out of memory"));
}

static void requests_on_close(void *ctx, struct local_connection *c)
{
    struct request *r = local_connection_data(c);
    (void)ctx;
    if (!r)
        return;
    r->connection = NULL;
    if (r->verb->alone)
        return; /* goes on to its end */
    if (r->gone)
        r->gone(r->data);
    request_free(r);
}

static const struct local_events requests_events = {requests_on_message, requests_on_close};

enum err requests_new(struct ev_loop *loop, const char *path, const struct request_verb *verbs, void *ctx,
                      struct requests **out, char *why)
{
    struct requests *s = calloc(1, sizeof *s);
    if (!s)
        return ERR_MEMORY;
    s->verbs = verbs;
    s->ctx = ctx;
    TAILQ_INIT(&s->waiting);
    TAILQ_INIT(&s->running);
    enum err e = local_server_new(loop, path, &requests_events, s, &s->local, why);
    if (e == ERR_OK)
        *out = s;
    else
        free(s);
    return e;
}

static void request_forget(const struct request *r)
{
    if (r->answered)
        r->answered(r->caller, NULL);
}

void requests_free(struct requests *s)
{
    struct request *r;
    if (!s)
        return;
    local_server_free(s->local);
    while ((r = TAILQ_FIRST(&s->waiting)) != NULL) {
        request_forget(r);
        request_free(r);
    }
    while ((r = TAILQ_FIRST(&s->running)) != NULL) {
        if (r->gone)
            r->gone(r->data);
        request_forget(r);
        request_free(r);
    }
    free(s);
}

void requests_watch(struct requests *s, void (*watch)(void *ctx, const json_t *msg, const json_t *answer),
                    void *ctx)
{
    s->watch = watch;
    s->watcher = ctx;
}

bool requests_know(const struct requests *s, const char *verb)
{
    return requests_verb(s, verb) != NULL;
}

bool requests_call(struct requests *s, json_t *msg, void (*answered)(void *data, json_t *answer), void *data)
{
    const char *type = json_string_value(json_object_get(msg, "type"));
    const struct request_verb *verb = type ? requests_verb(s, type) : NULL;
    struct request *r = verb ? request_new(s, verb, msg) : NULL;
    json_decref(msg);
    if (!r)
        return false;
    r->answered = answered;
    r->caller = data;
    request_begin(r);
    return true;
}

void requests_submit(struct requests *s, json_t *msg)
{
    const char *type = json_string_value(json_object_get(msg, "type"));
    const struct request_verb *verb = type ? requests_verb(s, type) : NULL;
    if (!verb || !requests_begin(s, NULL, verb, msg))
        log_event(LOG_ERR, "Request Not Begun", "type=%s", type ? type : "");
    json_decref(msg);
}

const char *request_by(const struct request *r, char *out, size_t size)
{
    const char *by = json_string_value(json_object_get(r->msg, "by"));
    const struct passwd *account = NULL;
    if (!by && r->connection)
        account = getpwuid((uid_t)local_connection_uid(r->connection));
    return text_copy(out, size, by ? by : account ? account->pw_name : "the daemon");
}

void request_answer(struct request *r, json_t *answer)
{
    struct requests *s = r->server;
    struct local_connection *c = r->connection;
    void (*answered)(void *data, json_t *answer) = r->answered;
    void *caller = r->caller;
    if (s->watch && !answered)
        s->watch(s->watcher, r->msg, answer);
    request_free(r);
    if (answered) {
        answered(caller, answer);
        json_decref(answer);
    } else if (c) {
        local_connection_set_data(c, NULL);
        local_connection_send(c, answer);
    } else {
        json_decref(answer);
    }
    requests_next(s);
}

void request_refuse(struct request *r, const char *reason)
{
    request_answer(r, request_error(reason));
}

void request_on_gone(struct request *r, void (*gone)(void *data), void *data)
{
    r->gone = gone;
    r->data = data;
}
