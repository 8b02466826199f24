/* One connection to the admin server: a request is read as a whole, answered as a whole, then the next one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/admin/admin_page.h"
#include "common/admin/admin_server.h"
#include "common/tls.h"

/* Its life ------------------------------------------------------------------------------------------------
 */

void admin_conn_deadline(struct admin_conn *c, double seconds)
{
    ev_timer_stop(c->server->loop, &c->deadline);
    ev_timer_set(&c->deadline, seconds, 0);
    ev_timer_start(c->server->loop, &c->deadline);
}

static void conn_body_free(struct admin_conn *c)
{
    http1_body_free(&c->framing);
    c->framing = (struct http1_body){0};
    buf_wipe(&c->body); /* it may have had a password in it */
    c->big = false;
}

void admin_conn_free(struct admin_conn *c)
{
    struct admin_server *s = c->server;
    if (c->state == ADMIN_CONN_LIVE)
        admin_live_gone(c);
    if (c->call)
        admin_server_withdraw(s, c->call);
    TAILQ_REMOVE(c->proven ? &s->proven : &s->strangers, c, next);
    address_table_remove(s->addresses, &c->client);
    s->n--;
    ev_timer_stop(s->loop, &c->deadline);
    stream_free(c->stream);
    conn_body_free(c);
    http_message_free(&c->request);
    json_decref(c->args);
    OPENSSL_cleanse(&c->credentials, sizeof c->credentials);
    free(c);
}

/* Nothing more is taken from the client; what was written leaves first. */
static void conn_close(struct admin_conn *c)
{
    c->state = ADMIN_CONN_CLOSING;
    stream_resume(c->stream);
    stream_shutdown(c->stream);
    admin_conn_deadline(c,
                        stream_queued(c->stream) > ADMIN_HEAD_MAX ? ADMIN_READ_SECONDS : ADMIN_HEAD_SECONDS);
}

/* After an answer. */
static void conn_next(struct admin_conn *c)
{
    bool keep = c->head.keep_alive;
    conn_body_free(c);
    OPENSSL_cleanse(&c->credentials, sizeof c->credentials);
    json_decref(c->args);
    c->args = NULL;
    c->call = 0;
    if (!keep) {
        conn_close(c);
        return;
    }
    http_message_reset(&c->request);
    c->state = ADMIN_CONN_HEAD;
    c->begun = false;
    c->scanned = 0;
    admin_conn_deadline(c, ADMIN_READ_SECONDS);
    stream_resume(c->stream);
}

static void conn_refuse(struct admin_conn *c, unsigned status, const char *words)
{
    c->head.keep_alive = false;
    if (admin_reply_error(c, status, words, true) == ERR_OK)
        conn_next(c);
    else
        conn_close(c);
}

static void conn_reply(struct admin_conn *c, struct admin_reply *r)
{
    r->close = !c->head.keep_alive;
    r->head = span_is(http_message_method(&c->request), "HEAD");
    if (admin_reply_write(c, r) == ERR_OK)
        conn_next(c);
    else
        conn_refuse(c, 503, "too many answers are waiting to be read; try again");
}

static void conn_reply_error(struct admin_conn *c, unsigned status, const char *words)
{
    if (admin_reply_error(c, status, words, !c->head.keep_alive) == ERR_OK)
        conn_next(c);
    else
        conn_close(c);
}

static void conn_on_deadline(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct admin_conn *c = t->data;
    if (c->state == ADMIN_CONN_WAITING) {
        /* Main refuses what it has not begun long before this (REQUESTS_PATIENCE). */
        admin_server_withdraw(c->server, c->call);
        c->call = 0;
        conn_refuse(c, 504, "the box takes long over this: it may still be done; look before trying again");
    } else if (c->state == ADMIN_CONN_BODY) {
        conn_refuse(c, 408, "the request came too slowly");
    } else {
        admin_conn_free(c);
    }
}

/* Requests ------------------------------------------------------------------------------------------------
 */

/* /, and what it loads. */
static void conn_serve_file(struct admin_conn *c, struct span method, struct span path)
{
    const struct admin_page_file *f = admin_page_find(path.at, path.len);
    if (!f) {
        conn_reply_error(c, 404, "nothing is here");
        return;
    }
    struct admin_reply r = {
        .status = 200, .type = admin_page_type(f), .body = f->start, .n = (size_t)(f->end - f->start)};
    if (!span_is(method, "GET") && !span_is(method, "HEAD"))
        r = (struct admin_reply){.status = 405, .allow = "GET, HEAD"};
    conn_reply(c, &r);
}

static struct span path_without_query(struct span path, struct span *query)
{
    const char *mark = memchr(path.at, '?', path.len);
    *query = (struct span){mark ? mark + 1 : path.at, mark ? path.len - (size_t)(mark + 1 - path.at) : 0};
    return mark ? (struct span){path.at, (size_t)(mark - path.at)} : path;
}

static bool conn_is_api(struct span path)
{
    return (path.len >= 5 && memcmp(path.at, "/api/", 5) == 0) || span_is(path, "/metrics");
}

/* The keys of the body beside the argument of the path. */
static bool conn_read_json(struct admin_conn *c, char *why, size_t size)
{
    json_error_t error;
    const char *text = (const char *)buf_data(&c->body);
    if (buf_len(&c->body) == 0)
        return true;
    json_t *body = json_loadb(text, buf_len(&c->body), JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(body)) {
        snprintf(why, size, "the body is not a JSON object%s%.100s", body ? "" : ": ",
                 body ? "" : error.text);
        json_decref(body);
        return false;
    }
    char parameter[32];
    bool right = !json_object_get(body, admin_route_parameter(c->route, parameter)) || !*parameter;
    if (right)
        json_object_update(c->args, body);
    else
        snprintf(why, size, "%s: is in the path already", parameter);
    json_decref(body);
    return right;
}

static void conn_call(struct admin_conn *c)
{
    char why[200] = "the path has no such thing";
    if (!conn_read_json(c, why, sizeof why) ||
        admin_route_judge(c->route, c->args, why, sizeof why) != ERR_OK) {
        conn_reply_error(c, 400, why);
        return;
    }
    c->state = ADMIN_CONN_WAITING;
    stream_pause(c->stream);
    admin_conn_deadline(c, ADMIN_ANSWER_SECONDS);
    c->call = admin_server_call(c->server, c, c->route, c->args, false);
    if (!c->call)
        conn_refuse(c, 503, "the box is too busy; try again");
}

/* A browser sends no such type from a form of another site without asking first (CORS), which is not granted.
 */
static bool conn_is_json(const struct http_message *m)
{
    static const char type[] = "application/json";
    struct span s = http_message_find(m, "content-type");
    return s.len >= sizeof type - 1 && strncasecmp(s.at, type, sizeof type - 1) == 0 &&
           (s.len == sizeof type - 1 || s.at[sizeof type - 1] == ';' || s.at[sizeof type - 1] == ' ');
}

/* The row of the request, and room for its body. False: it was answered. */
static bool conn_route(struct admin_conn *c)
{
    char allow[64], why[160] = "";
    struct span query, path = path_without_query(http_message_path(&c->request), &query),
                       method = http_message_method(&c->request);
    c->args = json_object();
    enum err e =
        admin_route_find(c->server->box, method.at, method.len, path.at, path.len, c->args, &c->route, allow);
    if (e == ERR_UNSUPPORTED) {
        struct admin_reply r = {.status = 405, .allow = allow};
        c->head.keep_alive = false; /* its body is not read */
        conn_reply(c, &r);
        return false;
    }
    if (e == ERR_OK && span_is(method, "GET"))
        e = admin_route_query(c->route, query.at, query.len, c->args, why, sizeof why);
    else if (e == ERR_OK && query.len > 0)
        e = ERR_MALFORMED;
    if (e != ERR_OK) {
        conn_refuse(c, e == ERR_NOT_FOUND ? 404 : 400,
                    e == ERR_NOT_FOUND ? "nothing is here"
                    : *why             ? why
                                       : "the path or the query is malformed");
        return false;
    }
    if (!c->request.no_body && !conn_is_json(&c->request)) {
        conn_refuse(c, 415, "a body has to be of type application/json");
        return false;
    }
    return true;
}

/* One for each user. Who it is, and may do, its last answer has said: main judges it again. */
static bool conn_take_big(struct admin_conn *c)
{
    const struct admin_conn *other;
    size_t n = 0;
    if (!c->proven || c->role < c->route->role)
        return false;
    TAILQ_FOREACH (other, &c->server->proven, next) {
        if (other->big && strcmp(other->who, c->who) == 0)
            return false;
        n += other->big;
    }
    c->big = n < ADMIN_BIG_BODIES;
    return c->big;
}

/* A head has come. */
static void conn_begin(struct admin_conn *c)
{
    struct span query, path = path_without_query(http_message_path(&c->request), &query);
    http1_body_init(&c->framing, &c->request, &c->head);
    buf_init(&c->body, ADMIN_BODY_MAX);
    if (!conn_is_api(path)) {
        c->head.keep_alive = c->head.keep_alive && http1_body_done(&c->framing);
        conn_serve_file(c, http_message_method(&c->request), path);
        return;
    }
    admin_credentials_read(&c->request, &c->credentials);
    if (!conn_route(c))
        return;
    if (c->route->big && conn_take_big(c))
        buf_init(&c->body, ADMIN_BIG_BODY_MAX);
    if (http1_body_done(&c->framing)) {
        conn_call(c);
        return;
    }
    c->state = ADMIN_CONN_BODY;
    admin_conn_deadline(c, ADMIN_BODY_SECONDS);
    if (c->head.expect_continue)
        (void)stream_write(c->stream, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

/* Bytes ----------------------------------------------------------------------------------------------------
 */

static size_t conn_take_head(struct admin_conn *c, const uint8_t *data, size_t n)
{
    struct http1_failure failure;
    size_t used = 0;
    if (!c->begun)
        admin_conn_deadline(c, ADMIN_HEAD_SECONDS);
    c->begun = true;
    enum err e = http1_parse_request(data, n, &c->scanned, &c->request, &c->head, &used, &failure);
    if (e == ERR_AGAIN && n <= ADMIN_HEAD_MAX)
        return 0;
    if (e == ERR_OK && used <= ADMIN_HEAD_MAX) {
        conn_begin(c);
        return used;
    }
    if (e == ERR_MALFORMED)
        conn_refuse(c, failure.status, failure.words);
    else
        conn_refuse(c, e == ERR_MEMORY ? 503 : 431, "the head of the request is too long");
    return n;
}

static size_t conn_take_body(struct admin_conn *c, const uint8_t *data, size_t n)
{
    struct http1_piece piece;
    enum err e = http1_body_decode(&c->framing, data, n, SIZE_MAX, &piece);
    if (e == ERR_OK && piece.n)
        e = buf_append(&c->body, piece.data, piece.n);
    if (e != ERR_OK) {
        conn_refuse(c, e == ERR_MALFORMED ? 400 : 413,
                    e == ERR_MALFORMED ? "the body is malformed" : "the body is too long");
        return n;
    }
    if (http1_body_done(&c->framing))
        conn_call(c);
    return piece.used;
}

static size_t conn_on_data(void *ctx, const uint8_t *data, size_t n)
{
    struct admin_conn *c = ctx;
    size_t taken = 0, used = 1;
    while (taken < n && used > 0) {
        if (c->state == ADMIN_CONN_HEAD)
            used = conn_take_head(c, data + taken, n - taken);
        else if (c->state == ADMIN_CONN_BODY)
            used = conn_take_body(c, data + taken, n - taken);
        else if (c->state == ADMIN_CONN_WAITING)
            break; /* the next request: kept until this one is answered */
        else
            used = n - taken;
        taken += used;
    }
    return taken;
}

static void conn_on_open(void *ctx)
{
    struct admin_conn *c = ctx;
    tls_forget_ephemeral(stream_ssl(c->stream));
}

static void conn_on_close(void *ctx, enum err why, const char *words)
{
    (void)why, (void)words;
    admin_conn_free(ctx);
}

static const struct stream_events conn_events = {
    .on_open = conn_on_open, .on_data = conn_on_data, .on_close = conn_on_close};

void admin_conn_new(struct admin_server *s, int fd, const struct netaddr *client)
{
    struct admin_conn *c = calloc(1, sizeof *c);
    if (!c || !address_table_add(s->addresses, client, ADMIN_CONNECTIONS_PER_ADDRESS)) {
        free(c);
        close(fd);
        return;
    }
    c->server = s;
    c->client = *client;
    http_message_init(&c->request);
    buf_init(&c->body, ADMIN_BODY_MAX);
    ev_timer_init(&c->deadline, conn_on_deadline, 0, 0);
    c->deadline.data = c;
    TAILQ_INSERT_TAIL(&s->strangers, c, next);
    s->n++;
    c->stream =
        stream_new_tls_server(s->loop, fd, s->tls, &conn_events, c, ADMIN_QUEUE_MAX, ADMIN_QUEUE_MAX / 2);
    if (!c->stream) {
        admin_conn_free(c);
        return;
    }
    admin_conn_deadline(c, ADMIN_HEAD_SECONDS);
}

/* Answers --------------------------------------------------------------------------------------------------
 */

static void conn_go_live(struct admin_conn *c, const json_t *status)
{
    if (!admin_place_may_live(c)) {
        conn_refuse(c, 503, "too many pages are open at once");
        return;
    }
    if (admin_reply_events(c) != ERR_OK) {
        conn_close(c);
        return;
    }
    c->state = ADMIN_CONN_LIVE;
    admin_conn_deadline(c, ADMIN_READ_SECONDS);
    stream_resume(c->stream); /* to see its end */
    admin_live_add(c, status);
}

void admin_conn_answer(struct admin_conn *c, const json_t *msg)
{
    unsigned status = (unsigned)json_integer_value(json_object_get(msg, "status"));
    const json_t *body = json_object_get(msg, "body");
    const char *text = json_string_value(json_object_get(msg, "text"));
    struct admin_reply r = {.status = status,
                            .cookie = json_string_value(json_object_get(msg, "cookie")),
                            .retry_after = (long)json_integer_value(json_object_get(msg, "retry_after"))};
    c->call = 0;
    if (json_is_true(json_object_get(msg, "proven")))
        admin_place_prove(c, json_string_value(json_object_get(msg, "who")),
                          (enum admin_role)json_integer_value(json_object_get(msg, "role")));
    else
        admin_place_forget(c);
    if (status == 200 && c->route->live) {
        conn_go_live(c, body);
        return;
    }
    if (status == 200 && strcmp(c->route->schema, "OpenApi") == 0)
        text = json_string_value(c->server->openapi_text);
    char *dumped = text ? NULL : json_dumps(body, JSON_COMPACT);
    if (text && c->route->text && status == 200)
        r.type = "text/plain; version=0.0.4; charset=utf-8";
    r.body = text ? text : dumped;
    r.n = r.body ? strlen(r.body) : 0;
    conn_reply(c, &r);
    if (dumped)
        OPENSSL_cleanse(dumped, strlen(dumped)); /* a new token */
    free(dumped);
}
