#include "proto/http_message.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/fatal.h"

enum {
    TEXT_MAX = HTTP_HEAD_MAX + 32 * 1024, /* a full head, and what proxies add to it */
    FIELDS_FIRST = 24,
    FIELDS_ROOM = HTTP_FIELDS_MAX + 16, /* the same for their number */
};

/* Spans ------------------------------------------------------------------------------------------------ */

struct span span_from(const char *text)
{
    return (struct span){.at = text, .len = strlen(text)};
}

bool span_is_nocase(struct span s, const char *text)
{
    return s.len == strlen(text) && strncasecmp(s.at, text, s.len) == 0;
}

static bool is_ows(char c)
{
    return c == ' ' || c == '\t';
}

bool span_list_next(struct span *rest, struct span *element)
{
    while (rest->len) {
        const char *comma = memchr(rest->at, ',', rest->len);
        struct span e = {.at = rest->at, .len = comma ? (size_t)(comma - rest->at) : rest->len};
        size_t step = comma ? e.len + 1 : e.len;
        rest->at += step;
        rest->len -= step;
        while (e.len && is_ows(*e.at))
            e.at++, e.len--;
        while (e.len && is_ows(e.at[e.len - 1]))
            e.len--;
        if (e.len) {
            *element = e;
            return true;
        }
    }
    return false;
}

bool span_list_has(struct span s, const char *token)
{
    struct span element;
    while (span_list_next(&s, &element))
        if (span_is_nocase(element, token))
            return true;
    return false;
}

/* Life ------------------------------------------------------------------------------------------------- */

void http_message_init(struct http_message *m)
{
    *m = (struct http_message){.content_length = HTTP_NO_LENGTH};
    buf_init(&m->text, TEXT_MAX);
}

void http_message_reset(struct http_message *m)
{
    struct http_message kept = {.text = m->text,
                                .fields = m->fields,
                                .fields_size = m->fields_size,
                                .content_length = HTTP_NO_LENGTH};
    *m = kept;
    buf_reset(&m->text);
}

void http_message_free(struct http_message *m)
{
    buf_free(&m->text);
    free(m->fields);
    http_message_init(m);
}

static enum err piece_store(struct http_message *m, const char *at, size_t len, struct http_piece *out)
{
    struct http_piece p = {.at = (uint32_t)buf_len(&m->text), .len = (uint32_t)len};
    enum err e = buf_append(&m->text, at, len);
    if (e == ERR_OK)
        *out = p;
    return e;
}

static enum err piece_copy(struct http_message *to, const struct http_message *from, struct http_piece *p)
{
    struct span s = http_message_span(from, *p);
    return piece_store(to, s.at, s.len, p);
}

enum err http_message_copy(struct http_message *to, const struct http_message *from)
{
    struct http_message m = *from;
    buf_init(&m.text, TEXT_MAX);
    m.fields_size = from->n_fields;
    m.fields = calloc(from->n_fields ? from->n_fields : 1, sizeof *m.fields);
    if (!m.fields)
        return ERR_MEMORY;
    enum err e = piece_copy(&m, from, &m.method);
    if (e == ERR_OK)
        e = piece_copy(&m, from, &m.scheme);
    if (e == ERR_OK)
        e = piece_copy(&m, from, &m.authority);
    if (e == ERR_OK)
        e = piece_copy(&m, from, &m.path);
    for (size_t i = 0; e == ERR_OK && i < from->n_fields; i++) {
        m.fields[i] = from->fields[i];
        e = piece_copy(&m, from, &m.fields[i].name);
        if (e == ERR_OK)
            e = piece_copy(&m, from, &m.fields[i].value);
    }
    if (e == ERR_OK)
        *to = m;
    else
        http_message_free(&m);
    return e;
}

/* Filling ---------------------------------------------------------------------------------------------- */

enum err http_message_set_method(struct http_message *m, const char *at, size_t len)
{
    return piece_store(m, at, len, &m->method);
}

enum err http_message_set_scheme(struct http_message *m, const char *at, size_t len)
{
    return piece_store(m, at, len, &m->scheme);
}

enum err http_message_set_authority(struct http_message *m, const char *at, size_t len)
{
    return piece_store(m, at, len, &m->authority);
}

enum err http_message_set_path(struct http_message *m, const char *at, size_t len)
{
    return piece_store(m, at, len, &m->path);
}

static enum err fields_grow(struct http_message *m)
{
    if (m->n_fields < m->fields_size)
        return ERR_OK;
    if (m->n_fields >= FIELDS_ROOM)
        return ERR_FULL;
    size_t size = m->fields_size ? m->fields_size * 2 : FIELDS_FIRST;
    if (size > FIELDS_ROOM)
        size = FIELDS_ROOM;
    struct http_field *fields = reallocarray(m->fields, size, sizeof *fields);
    if (!fields)
        return ERR_MEMORY;
    m->fields = fields;
    m->fields_size = size;
    return ERR_OK;
}

enum err http_message_add_piece(struct http_message *m, struct http_piece name, struct http_piece value)
{
    REQUIRE(name.at + name.len <= buf_len(&m->text) && value.at + value.len <= buf_len(&m->text));
    enum err e = fields_grow(m);
    if (e == ERR_OK)
        m->fields[m->n_fields++] = (struct http_field){.name = name, .value = value};
    return e;
}

enum err http_message_add(struct http_message *m, const char *name, size_t name_len, const char *value,
                          size_t value_len)
{
    struct http_field f;
    enum err e = fields_grow(m);
    if (e == ERR_OK && name_len + value_len > buf_room(&m->text))
        e = ERR_FULL;
    if (e == ERR_OK)
        e = piece_store(m, name, name_len, &f.name);
    if (e == ERR_OK)
        e = piece_store(m, value, value_len, &f.value);
    if (e != ERR_OK)
        return e;
    char *at = (char *)buf_data(&m->text) + f.name.at;
    for (size_t i = 0; i < name_len; i++)
        if (at[i] >= 'A' && at[i] <= 'Z')
            at[i] = (char)(at[i] | 0x20);
    m->fields[m->n_fields++] = f;
    return ERR_OK;
}

enum err http_message_add_str(struct http_message *m, const char *name, const char *value)
{
    return value ? http_message_add(m, name, strlen(name), value, strlen(value)) : ERR_OK;
}

/* Looking ---------------------------------------------------------------------------------------------- */

struct span http_message_span(const struct http_message *m, struct http_piece p)
{
    return (struct span){.at = p.len ? (const char *)buf_data(&m->text) + p.at : "", .len = p.len};
}

struct span http_message_method(const struct http_message *m)
{
    return http_message_span(m, m->method);
}

struct span http_message_scheme(const struct http_message *m)
{
    return http_message_span(m, m->scheme);
}

struct span http_message_authority(const struct http_message *m)
{
    return http_message_span(m, m->authority);
}

struct span http_message_path(const struct http_message *m)
{
    return http_message_span(m, m->path);
}

struct span http_message_name(const struct http_message *m, size_t i)
{
    REQUIRE(i < m->n_fields);
    return http_message_span(m, m->fields[i].name);
}

struct span http_message_value(const struct http_message *m, size_t i)
{
    REQUIRE(i < m->n_fields);
    return http_message_span(m, m->fields[i].value);
}

static bool field_named(const struct http_message *m, size_t i, const char *name, size_t len)
{
    struct http_piece p = m->fields[i].name;
    return p.len == len && memcmp(buf_data(&m->text) + p.at, name, len) == 0;
}

struct span http_message_find(const struct http_message *m, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < m->n_fields; i++)
        if (field_named(m, i, name, len))
            return http_message_value(m, i);
    return (struct span){0};
}

size_t http_message_count(const struct http_message *m, const char *name)
{
    size_t len = strlen(name), count = 0;
    for (size_t i = 0; i < m->n_fields; i++)
        count += field_named(m, i, name, len);
    return count;
}

/* Taking away ------------------------------------------------------------------------------------------ */

static size_t remove_span(struct http_message *m, const char *name, size_t len)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->n_fields; i++)
        if (!field_named(m, i, name, len))
            m->fields[kept++] = m->fields[i];
    size_t removed = m->n_fields - kept;
    m->n_fields = kept;
    return removed;
}

size_t http_message_remove(struct http_message *m, const char *name)
{
    return remove_span(m, name, strlen(name));
}

enum err http_message_join_cookies(struct http_message *m)
{
    size_t n = http_message_count(m, "cookie"), size = 0, used = 0;
    if (n < 2)
        return ERR_OK;
    for (size_t i = 0; i < m->n_fields; i++)
        if (field_named(m, i, "cookie", 6))
            size += m->fields[i].value.len + 2;
    char *joined = malloc(size);
    if (!joined)
        return ERR_MEMORY;
    for (size_t i = 0; i < m->n_fields; i++) {
        if (!field_named(m, i, "cookie", 6))
            continue;
        struct span v = http_message_value(m, i);
        if (used) {
            memcpy(joined + used, "; ", 2);
            used += 2;
        }
        memcpy(joined + used, v.at, v.len);
        used += v.len;
    }
    enum err e = used > buf_room(&m->text) ? ERR_FULL : ERR_OK;
    if (e == ERR_OK) {
        http_message_remove(m, "cookie");
        e = http_message_add(m, "cookie", 6, joined, used);
    }
    free(joined);
    return e;
}

static bool is_hop_by_hop(struct span name)
{
    return span_is(name, "connection") || span_is(name, "keep-alive") || span_is(name, "trailer") ||
           span_is(name, "transfer-encoding") || span_is(name, "upgrade") ||
           span_is(name, "http2-settings") || (name.len > 6 && memcmp(name.at, "proxy-", 6) == 0);
}

/* Removes every field that a Connection field names. The names in it may be in any case. */
static void remove_named_by_connection(struct http_message *m)
{
    for (size_t i = 0; i < m->n_fields; i++) {
        if (!field_named(m, i, "connection", 10))
            continue;
        struct span rest = http_message_value(m, i), element;
        while (span_list_next(&rest, &element)) {
            char name[128];
            if (element.len > sizeof name || span_is_nocase(element, "connection") ||
                span_is_nocase(element, "te"))
                continue;
            for (size_t k = 0; k < element.len; k++)
                name[k] = (char)(element.at[k] >= 'A' && element.at[k] <= 'Z' ? element.at[k] | 0x20
                                                                              : element.at[k]);
            for (size_t k = m->n_fields; k-- > 0;) {
                if (!field_named(m, k, name, element.len))
                    continue;
                memmove(m->fields + k, m->fields + k + 1, (m->n_fields - k - 1) * sizeof *m->fields);
                m->n_fields--;
                i -= k < i;
            }
        }
    }
}

void http_message_strip_hop_by_hop(struct http_message *m)
{
    bool te_trailers = false;
    size_t kept = 0;
    remove_named_by_connection(m);
    for (size_t i = 0; i < m->n_fields; i++) {
        struct span name = http_message_name(m, i);
        if (span_is(name, "te"))
            te_trailers = te_trailers || span_list_has(http_message_value(m, i), "trailers");
        else if (!is_hop_by_hop(name))
            m->fields[kept++] = m->fields[i];
    }
    bool had_te = kept < m->n_fields && te_trailers;
    m->n_fields = kept;
    /* A TE field was taken out, so that there is a free place and, in practice, room for 10 bytes; without
     * them the peer merely loses the permission to send trailers. */
    if (had_te)
        (void)http_message_add_str(m, "te", "trailers");
}

void http_message_strip_trailers(struct http_message *m)
{
    static const char *const forbidden[] = {
        "host",
        "content-length",
        "content-encoding",
        "content-type",
        "content-range",
        "expect",
        "max-forwards",
        "authorization",
        "cookie",
        "set-cookie",
        "cache-control",
        "pragma",
        "range",
        "www-authenticate",
        "te",
        "forwarded",
        "via",
        "location",
        "age",
        "expires",
        "vary",
        "retry-after",
        "date",
        "x-real-ip",
        "x-request-id",
        "upgrade-insecure-requests",
        "origin",
        "referer",
    };
    size_t kept = 0;
    remove_named_by_connection(m);
    for (size_t i = 0; i < m->n_fields; i++) {
        struct span name = http_message_name(m, i);
        bool drop = is_hop_by_hop(name) || (name.len > 3 && memcmp(name.at, "if-", 3) == 0) ||
                    (name.len > 12 && memcmp(name.at, "x-forwarded-", 12) == 0) ||
                    (name.len > 4 && memcmp(name.at, "sec-", 4) == 0);
        for (size_t k = 0; !drop && k < sizeof forbidden / sizeof *forbidden; k++)
            drop = span_is(name, forbidden[k]);
        if (!drop)
            m->fields[kept++] = m->fields[i];
    }
    m->n_fields = kept;
}
