/* The serialisers of http1_head.h. Each reserves once what the message can take at most, and copies. */
#include <string.h>

#include "common/digits.h"
#include "proto/http1_head.h"

static char *put(char *at, const void *data, size_t n)
{
    memcpy(at, data, n);
    return at + n;
}

static inline char *put_str(char *at, const char *s)
{
    return put(at, s, strlen(s));
}

/* RFC 9110 §5.5: what must never be written into a line. */
static bool span_is_clean(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.at[i] < 0x20 && s.at[i] != '\t') || s.at[i] == 0x7f)
            return false;
    return true;
}

/* Bytes that the fields take when written; 0 when one of them must not be. */
static size_t fields_size(const struct http_message *m)
{
    size_t size = 1;
    for (size_t i = 0; i < m->n_fields; i++) {
        struct span value = http_message_value(m, i);
        if (!span_is_clean(value))
            return 0;
        size += m->fields[i].name.len + value.len + 4;
    }
    return size;
}

static char *put_fields(char *at, const struct http_message *m)
{
    for (size_t i = 0; i < m->n_fields; i++) {
        struct span name = http_message_name(m, i), value = http_message_value(m, i);
        at = put(at, name.at, name.len);
        at = put(at, ": ", 2);
        at = put(at, value.at, value.len);
        at = put(at, "\r\n", 2);
    }
    return at;
}

enum err http1_write_fields(struct buf *out, const struct http_message *m)
{
    uint8_t *start;
    size_t size = fields_size(m);
    if (size == 0)
        return ERR_MALFORMED;
    enum err e = buf_reserve(out, size, &start);
    if (e == ERR_OK)
        buf_commit(out, (size_t)(put_fields((char *)start, m) - (char *)start));
    return e;
}

static char *put_length(char *at, int64_t length)
{
    at = digits_put(put_str(at, "content-length: "), (uint64_t)length);
    return put(at, "\r\n", 2);
}

enum { EXTRA = 256 }; /* first line, framing and connection fields, beyond the texts of the message */

enum err http1_write_request(struct buf *out, const struct http_message *m)
{
    struct span method = http_message_method(m), path = http_message_path(m),
                host = http_message_authority(m);
    uint8_t *start;
    size_t size = fields_size(m);
    if (size == 0 || !span_is_clean(path) || memchr(path.at, ' ', path.len) || !span_is_clean(host))
        return ERR_MALFORMED;
    enum err e = buf_reserve(out, size + method.len + path.len + host.len + EXTRA, &start);
    if (e != ERR_OK)
        return e;
    char *at = (char *)start;
    at = put(at, method.at, method.len);
    *at++ = ' ';
    at = put(at, path.at, path.len);
    at = put_str(at, " HTTP/1.1\r\nhost: ");
    at = put(at, host.at, host.len);
    at = put_str(at, "\r\n");
    at = put_fields(at, m);
    if (m->websocket)
        at = put_str(at, "connection: Upgrade\r\nupgrade: websocket\r\n");
    else if (m->content_length >= 0)
        at = put_length(at, m->content_length);
    else if (!m->no_body)
        at = put_str(at, "transfer-encoding: chunked\r\n");
    at = put_str(at, "\r\n");
    buf_commit(out, (size_t)((uint8_t *)at - start));
    return ERR_OK;
}

enum err http1_write_response(struct buf *out, const struct http_message *m,
                              const struct http1_response_form *form, bool *chunked)
{
    bool bodiless = m->status < 200 || m->status == 204;
    bool unknown = !m->no_body && m->content_length == HTTP_NO_LENGTH && !m->websocket;
    bool chunks = unknown && form->minor == 1;
    const char *reason = http_status_reason(m->status);
    uint8_t *start;
    size_t size = fields_size(m);
    if (size == 0)
        return ERR_MALFORMED;
    enum err e = buf_reserve(out, size + EXTRA, &start);
    if (e != ERR_OK)
        return e;
    char *at = (char *)start;
    at = digits_put_status(put_str(at, "HTTP/1.1 "), m->status);
    *at++ = ' ';
    at = put(put_str(at, reason), "\r\n", 2);
    at = put_fields(at, m);
    if (m->websocket)
        at = put_str(at, "connection: Upgrade\r\nupgrade: websocket\r\n");
    else if (chunks)
        at = put_str(at, "transfer-encoding: chunked\r\n");
    else if (!bodiless && m->content_length >= 0)
        at = put_length(at, m->content_length);
    else if (!bodiless && m->no_body && m->status != 304 && !form->head)
        at = put_length(at, 0);
    if ((form->close || (unknown && !chunks)) && m->status >= 200)
        at = put_str(at, "connection: close\r\n");
    else if (form->minor == 0 && m->status >= 200)
        at = put_str(at, "connection: keep-alive\r\n");
    at = put_str(at, "\r\n");
    buf_commit(out, (size_t)((uint8_t *)at - start));
    if (chunked)
        *chunked = chunks;
    return ERR_OK;
}
