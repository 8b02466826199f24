#include "core/egress/request.h"

#include <stdlib.h>
#include <string.h>

#include "proto/http_hygiene.h"

/* RFC 9110 §7.6.3: the version each message came in with. */
static const char via_request[] = "2.0 stile-core", via_response[] = "1.1 stile-core";

static const char own_prefix[] = "stile-";

enum { OWN_PREFIX = sizeof own_prefix - 1, RESPONSE_HEAD_MAX = HTTP_HEAD_MAX - 256 };

/* Fields that only the two boxes say to each other. */
static void remove_own_fields(struct http_message *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->n_fields; i++) {
        struct span name = http_message_name(m, i);
        if (name.len < OWN_PREFIX || memcmp(name.at, own_prefix, OWN_PREFIX) != 0)
            m->fields[kept++] = m->fields[i];
    }
    m->n_fields = kept;
}

/* Judging ------------------------------------------------------------------------------------------------ */

static enum egress_reason verdict_reason(const struct allowlist_verdict *v)
{
    switch (v->result) {
    case ALLOWLIST_WRONG_HOST:
        return EGRESS_WRONG_HOST;
    case ALLOWLIST_WRONG_TARGET:
        return EGRESS_NOT_ALLOWED;
    default:
        return EGRESS_MALFORMED;
    }
}

/* What allows a request is a rule for its canonical host, and so it is known whose bridges serve it. */
static enum err request_judge(struct egress *e, struct http_message *m, struct domain **domain,
                              enum egress_reason *reason)
{
    struct allowlist_verdict v;
    struct canonical c;
    allowlist_judge(&e->allowlist, m, &c, &v);
    if (v.result != ALLOWLIST_ALLOW) {
        *reason = verdict_reason(&v);
        egress_note_refusal(e, m, *reason, v.why);
        return ERR_REFUSED;
    }
    *domain = e->rule_domains[v.rule - e->allowlist.rules];
    return canonical_to_message(&c, m);
}

/* Preparing ---------------------------------------------------------------------------------------------- */

static bool span_is_any(struct span s, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (span_is(s, names[i]))
            return true;
    return false;
}

/* RFC 9110 §8.6: a method that usually has a body says so when it has none. */
static void say_empty_body(struct http_message *m)
{
    static const char *const with_body[] = {"POST", "PUT", "PATCH"};
    if (m->no_body && m->content_length < 0 && span_is_any(http_message_method(m), with_body, 3))
        m->content_length = 0;
}

static enum err request_clean(struct http_message *m)
{
    http_message_strip_hop_by_hop(m);
    remove_own_fields(m);
    enum err e = http_hygiene_restate(m); /* the edge has done so; but the edge may be lying */
    say_empty_body(m);
    if (m->websocket) {
        http_message_remove(m, "te");
        http_message_remove(m, "expect");
    }
    if (e == ERR_OK)
        e = http_message_add_str(m, "via", via_request);
    /* RFC 9110 §10.1.4: TE is a matter of one hop and is named as such. */
    if (e == ERR_OK && http_message_find(m, "te").at)
        e = http_message_add_str(m, "connection", "TE");
    return e;
}

static enum err request_serialise(struct http_message *m, struct request *r)
{
    static const char *const idempotent[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}; /* safe ones first */
    enum err e = ERR_OK;
    if (m->websocket)
        e = websocket_opening_new(m, &r->opening);
    r->chunked = !m->websocket && !m->no_body && m->content_length < 0;
    r->expect_head = span_is(http_message_method(m), "HEAD");
    r->idempotent = span_is_any(http_message_method(m), idempotent, 5);
    r->safe = m->no_body && !m->websocket && span_is_any(http_message_method(m), idempotent, 3);
    return e == ERR_OK ? http1_write_request(&r->head, m) : e;
}

/* The id was verified: a short word. */
static void request_name(const struct http_message *m, struct request *r)
{
    struct span id = http_message_find(m, "x-request-id");
    size_t n = id.len <= REQUEST_ID_MAX ? id.len : 0;
    if (n)
        memcpy(r->id, id.at, n);
    r->id[n] = '\0';
}

enum err request_prepare(struct egress *e, struct http_message *m, struct request *r,
                         enum egress_reason *reason)
{
    buf_init(&r->head, CONNECTION_QUEUE / 2);
    enum err err = request_judge(e, m, &r->domain, reason);
    if (err == ERR_REFUSED)
        return err;
    if (err == ERR_OK)
        err = request_clean(m);
    if (err == ERR_OK)
        request_name(m, r);
    if (err == ERR_OK)
        err = request_serialise(m, r);
    if (err == ERR_OK)
        return ERR_OK;
    request_free(r);
    *reason = err == ERR_MEMORY ? EGRESS_BUSY : EGRESS_MALFORMED;
    egress_note_refusal(e, m, *reason,
                        err == ERR_MEMORY ? "out of memory" : "the request cannot be written as HTTP/1.1");
    return ERR_REFUSED;
}

void request_free(struct request *r)
{
    buf_free(&r->head);
    websocket_opening_free(r->opening);
    r->opening = NULL;
}

/* Responses ---------------------------------------------------------------------------------------------- */

enum err response_clean(struct http_message *m)
{
    size_t size = 0;
    http_message_strip_hop_by_hop(m);
    remove_own_fields(m);
    for (size_t i = 0; i < m->n_fields; i++)
        size += m->fields[i].name.len + m->fields[i].value.len + 4;
    if (size > RESPONSE_HEAD_MAX)
        return ERR_FULL;
    return m->status < 200 ? ERR_OK : http_message_add_str(m, "via", via_response);
}
