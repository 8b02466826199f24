/* Answers of the admin server, with the fields that every one of them has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/admin/admin_server.h"

/* No page of another site may frame this one, read it, or be loaded by it; nothing of it stays in a cache. */
static const struct {
    const char *name, *value;
} always[] = {
    {"cache-control", "no-store"},
    {"content-security-policy",
     "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"},
    {"x-content-type-options", "nosniff"},
    {"x-frame-options", "DENY"},
    {"referrer-policy", "no-referrer"},
    {"cross-origin-resource-policy", "same-origin"},
    {"cross-origin-opener-policy", "same-origin"},
};

static enum err reply_fields(struct http_message *m, const struct admin_reply *r)
{
    char seconds[24], cookie[ADMIN_CREDENTIAL_MAX + 96];
    enum err e = http_message_add_str(m, "content-type", r->type ? r->type : "application/json");
    for (size_t i = 0; i < sizeof always / sizeof *always && e == ERR_OK; i++)
        e = http_message_add_str(m, always[i].name, always[i].value);
    if (e == ERR_OK && r->allow)
        e = http_message_add_str(m, "allow", r->allow);
    if (e == ERR_OK && r->status == 401)
        e = http_message_add_str(m, "www-authenticate", "Bearer realm=\"stile\"");
    if (e == ERR_OK && r->retry_after) {
        snprintf(seconds, sizeof seconds, "%ld", r->retry_after);
        e = http_message_add_str(m, "retry-after", seconds);
    }
    if (e == ERR_OK && r->cookie) { /* "": it ends */
        snprintf(cookie, sizeof cookie, ADMIN_COOKIE "=%s; Path=/; Secure; HttpOnly; SameSite=Strict%s",
                 r->cookie, *r->cookie ? "" : "; Max-Age=0");
        e = http_message_add_str(m, "set-cookie", cookie);
    }
    return e;
}

static size_t queued_of(const struct admin_conns *list)
{
    size_t sum = 0;
    const struct admin_conn *c;
    TAILQ_FOREACH (c, list, next)
        sum += stream_queued(c->stream);
    return sum;
}

static bool reply_has_room(const struct admin_conn *c, size_t n)
{
    const struct admin_server *s = c->server;
    return n + 4096 <= stream_room(c->stream) &&
           n + queued_of(&s->strangers) + queued_of(&s->proven) <= ADMIN_QUEUED_MAX;
}

static enum err reply_head(struct admin_conn *c, const struct admin_reply *r, int64_t length)
{
    struct http_message m;
    struct buf head;
    struct http1_response_form form = {.minor = c->head.minor, .head = r->head, .close = r->close};
    http_message_init(&m);
    buf_init(&head, ADMIN_HEAD_MAX);
    m.status = r->status;
    m.content_length = length;
    m.no_body = length == 0;
    enum err e = reply_fields(&m, r);
    if (e == ERR_OK)
        e = http1_write_response(&head, &m, &form, NULL);
    if (e == ERR_OK)
        e = stream_write(c->stream, buf_data(&head), buf_len(&head));
    buf_wipe(&head);
    http_message_free(&m);
    return e;
}

enum err admin_reply_write(struct admin_conn *c, const struct admin_reply *r)
{
    if (!reply_has_room(c, r->n))
        return ERR_FULL;
    enum err e = reply_head(c, r, (int64_t)r->n);
    if (e == ERR_OK && !r->head && r->n)
        e = stream_write(c->stream, r->body, r->n);
    return e;
}

/* Its end is the connection's: no length, and no chunks between events. */
enum err admin_reply_events(struct admin_conn *c)
{
    const struct admin_reply r = {.status = 200, .type = "text/event-stream", .close = true};
    c->head.minor = 0;
    return reply_head(c, &r, HTTP_NO_LENGTH);
}

enum err admin_reply_error(struct admin_conn *c, unsigned status, const char *words, bool close)
{
    json_t *json = json_pack("{s{ss}}", "error", "message", words);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    const struct admin_reply r = {
        .status = status, .body = text, .n = text ? strlen(text) : 0, .close = close};
    enum err e = admin_reply_write(c, &r);
    free(text);
    json_decref(json);
    return e;
}
