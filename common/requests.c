#include "common/requests.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/local_server.h"
#include "common/log.h"
#include "common/schema.h"
#include "common/text.h"

/* What waits for its turn: so many of one who calls, of all who call, and of the box's tools. */
enum { CALLS_OF_ONE = 4, CALLS_WAITING = 32, TOOLS_WAITING = 64, RETRY_SECONDS = 5 };

struct request {
    struct requests *server;
    struct local_connection *connection; /* NULL: nobody waits */
    const struct request_verb *verb;
    json_t *msg;
    void (*gone)(void *data);
    void *data;
    void (*answered)(void *data, json_t *answer); /* a call; NULL: it is none */
    void *caller;
    long uid;          /* of the tool */
    bool tool;         /* of the box: it asked, and may have gone since */
    bool waiting;      /* for its turn, in server->waiting; else in server->running */
    ev_timer patience; /* of a call that waits */
    TAILQ_ENTRY(request) next;
};

TAILQ_HEAD(request_list, request);

struct requests {
    struct ev_loop *loop;
    double patience; /* seconds */
    struct local_server *local;
    const struct request_verb *verbs;
    void *ctx;
    struct request_list waiting, running;
    struct request *alone;   /* the one that others wait for */
    requests_watcher *watch; /* NULL: nobody does */
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
    ev_timer_stop(r->server->loop, &r->patience);
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
    ev_timer_stop(s->loop, &r->patience);
    json_decref(r->msg);
    free(r);
}

/* It was not begun, and never will be. */
static void request_put_off(struct request *r)
{
    void (*answered)(void *data, json_t *answer) = r->answered;
    void *caller = r->caller;
    struct local_connection *c = r->connection;
    json_t *answer =
        json_pack("{ss ss si si}", "type", "error", "reason",
                  "other changes are under way, and more wait; nothing was done: try again in a moment",
                  "status", 503, "retry_after", RETRY_SECONDS);
    request_free(r);
    if (c) {
        local_connection_set_data(c, NULL);
        local_connection_send(c, json_incref(answer));
    }
    if (answered)
        answered(caller, answer);
    json_decref(answer);
}

static void request_on_impatient(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    request_put_off(t->data);
}

static struct request *request_new(struct requests *s, const struct request_verb *verb, json_t *msg)
{
    struct request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->server = s;
    r->verb = verb;
    r->msg = json_incref(msg);
    ev_timer_init(&r->patience, request_on_impatient, s->patience, 0);
    r->patience.data = r;
    return r;
}

static const char *text_of(const json_t *msg, const char *key)
{
    const char *text = json_string_value(json_object_get(msg, key));
    return text ? text : "";
}

/* What the daemon itself submits is bounded by what it does. */
static bool request_finds_room(const struct request *r)
{
    const struct request *other;
    size_t n_calls = 0, n_of_one = 0, n_tools = 0;
    TAILQ_FOREACH (other, &r->server->waiting, next) {
        n_calls += other->answered != NULL;
        n_of_one += other->answered && strcmp(text_of(other->msg, "by"), text_of(r->msg, "by")) == 0;
        n_tools += other->tool;
    }
    return r->answered ? n_calls < CALLS_WAITING && n_of_one < CALLS_OF_ONE
                       : !r->tool || n_tools < TOOLS_WAITING;
}

static void request_begin(struct request *r)
{
    struct requests *s = r->server;
    if (!r->verb->alone) {
        request_start(r);
        return;
    }
    bool room = request_finds_room(r);
    r->waiting = true;
    TAILQ_INSERT_TAIL(&s->waiting, r, next);
    if (!room)
        request_put_off(r);
    else if (r->answered)
        ev_timer_start(s->loop, &r->patience);
    requests_next(s);
}

static bool requests_begin(struct requests *s, struct local_connection *c, const struct request_verb *verb,
                           json_t *msg)
{
    struct request *r = request_new(s, verb, msg);
    if (!r)
        return false;
    r->connection = c;
    r->tool = c != NULL;
    r->uid = c ? local_connection_uid(c) : 0;
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
    s->loop = loop;
    s->patience = REQUESTS_PATIENCE;
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

void requests_watch(struct requests *s, requests_watcher *watch, void *ctx)
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

void requests_set_patience(struct requests *s, double seconds)
{
    s->patience = seconds;
}

bool requests_withdraw(struct requests *s, const void *data)
{
    struct request *r;
    TAILQ_FOREACH (r, &s->waiting, next) {
        if (!r->answered || r->caller != data)
            continue;
        request_free(r);
        return true;
    }
    return false;
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
    if (!by && r->tool)
        account = getpwuid((uid_t)r->uid);
    return text_copy(out, size, by ? by : account ? account->pw_name : "the daemon");
}

void request_answer(struct request *r, json_t *answer)
{
    struct requests *s = r->server;
    struct local_connection *c = r->connection;
    void (*answered)(void *data, json_t *answer) = r->answered;
    void *caller = r->caller;
    char by[100];
    if (s->watch && !answered)
        s->watch(s->watcher, r->msg, r->tool || *text_of(r->msg, "by") ? request_by(r, by, sizeof by) : NULL,
                 answer);
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
