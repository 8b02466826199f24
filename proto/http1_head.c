/*
 * Strictness, by rule: RFC 9112 §2.2 (CRLF only, no white space before the first field, bare CR), §2.3
 * (version), §3 (request line, target forms), §3.2 (exactly one valid Host), §5.1 (no white space before the
 * colon), §5.2 (no obs-fold), §6.1 and §6.3 (lengths); RFC 9110 §5.5 (characters of values), §5.6.2 (tokens).
 */
#include "proto/http1_head.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proto/canonical.h"

enum { METHOD_MAX = 32, CONNECTION_OPTIONS_MAX = 32, LENGTH_DIGITS_MAX = 18 };

/* RFC 9110 §5.6.2: a token character in lower case, or 0. */
static const char token_char[256] = {
    ['!'] = '!', ['#'] = '#', ['$'] = '$', ['%'] = '%', ['&'] = '&', ['\''] = '\'', ['*'] = '*', ['+'] = '+',
    ['-'] = '-', ['.'] = '.', ['^'] = '^', ['_'] = '_', ['`'] = '`', ['|'] = '|',   ['~'] = '~', ['0'] = '0',
    ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6',   ['7'] = '7', ['8'] = '8',
    ['9'] = '9', ['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd', ['e'] = 'e',   ['f'] = 'f', ['g'] = 'g',
    ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k', ['l'] = 'l', ['m'] = 'm',   ['n'] = 'n', ['o'] = 'o',
    ['p'] = 'p', ['q'] = 'q', ['r'] = 'r', ['s'] = 's', ['t'] = 't', ['u'] = 'u',   ['v'] = 'v', ['w'] = 'w',
    ['x'] = 'x', ['y'] = 'y', ['z'] = 'z', ['A'] = 'a', ['B'] = 'b', ['C'] = 'c',   ['D'] = 'd', ['E'] = 'e',
    ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i', ['J'] = 'j', ['K'] = 'k',   ['L'] = 'l', ['M'] = 'm',
    ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r', ['S'] = 's',   ['T'] = 't', ['U'] = 'u',
    ['V'] = 'v', ['W'] = 'w', ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z',
};

/* RFC 9110 §5.5: visible ASCII, space, tab and obs-text. */
static inline bool is_value_char(char c)
{
    unsigned char u = (unsigned char)c;
    return (u >= 0x20 && u != 0x7f) || u == '\t';
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* One head being parsed: text is the message's own copy, offsets count from its start. */
struct head_parser {
    struct http_message *m;
    struct http1_head *head;
    struct http1_failure *why;
    char *text;
    uint32_t at, end;
    unsigned n_host, n_length, n_encoding, n_upgrade, n_options;
    bool option_close, option_keep_alive, option_upgrade;
    struct span encoding;
};

static enum err refuse(struct http1_failure *why, unsigned status, const char *words)
{
    *why = (struct http1_failure){.status = status, .words = words};
    return ERR_MALFORMED;
}

static enum err bad(struct head_parser *p, const char *words)
{
    return refuse(p->why, 400, words);
}

/* Finding the end -------------------------------------------------------------------------------------- */

/* Where the head ends, looking only at bytes that were not looked at before. start is 2 behind a skipped
 * empty line. */
static enum err find_end(const uint8_t *data, size_t n, size_t start, size_t *scanned, size_t *end,
                         struct http1_failure *why)
{
    size_t before = *scanned;
    if (*scanned < start)
        *scanned = start;
    if (n > start && !token_char[data[start]])
        return refuse(why, 400, "the message does not start with a token");
    while (*scanned < n) {
        const uint8_t *lf = memchr(data + *scanned, '\n', n - *scanned);
        if (!lf)
            break;
        size_t i = (size_t)(lf - data);
        if (i == start || data[i - 1] != '\r')
            return refuse(why, 400, "a line ends with a bare LF");
        *scanned = i + 1;
        if (i >= start + 3 && data[i - 2] == '\n') {
            *end = i + 1;
            return ERR_OK;
        }
    }
    *scanned = n;
    size_t line_max = start + HTTP_TARGET_MAX + METHOD_MAX + 16;
    if (before <= line_max && n > line_max && !memchr(data + start, '\n', line_max))
        return refuse(why, 414, "the request line is too long");
    return ERR_AGAIN;
}

static enum err head_begin(struct head_parser *p, const uint8_t *data, size_t n, size_t start,
                           size_t *scanned, size_t *used)
{
    size_t end;
    enum err e = find_end(data, n, start, scanned, &end, p->why);
    if (e == ERR_AGAIN ? n - start > HTTP_HEAD_MAX : e == ERR_OK && end - start > HTTP_HEAD_MAX)
        return refuse(p->why, 431, "the head is too long");
    if (e != ERR_OK)
        return e;
    http_message_reset(p->m);
    e = buf_append(&p->m->text, data + start, end - start);
    if (e != ERR_OK)
        return ERR_MEMORY;
    p->text = (char *)buf_data(&p->m->text);
    p->end = (uint32_t)(end - start) - 2; /* without the empty line */
    *used = end;
    return ERR_OK;
}

/* Fields ----------------------------------------------------------------------------------------------- */

static struct span piece_span(const struct head_parser *p, struct http_piece piece)
{
    return (struct span){.at = p->text + piece.at, .len = piece.len};
}

static enum err take_length(struct head_parser *p, struct span v)
{
    int64_t length = 0;
    if (p->n_length++)
        return bad(p, "Content-Length is repeated");
    if (v.len == 0 || v.len > LENGTH_DIGITS_MAX)
        return bad(p, "Content-Length is empty or too large");
    for (size_t i = 0; i < v.len; i++) {
        if (!is_digit(v.at[i]))
            return bad(p, "Content-Length is not a number");
        if (length > (INT64_MAX - 9) / 10)
            return bad(p, "Content-Length is too large");
        length = length * 10 + (v.at[i] - '0');
    }
    p->m->content_length = length;
    return ERR_OK;
}

static enum err take_connection(struct head_parser *p, struct span v)
{
    struct span option;
    while (span_list_next(&v, &option)) {
        for (size_t i = 0; i < option.len; i++)
            if (!token_char[(unsigned char)option.at[i]])
                return bad(p, "Connection has something that is not a token");
        if (++p->n_options > CONNECTION_OPTIONS_MAX)
            return bad(p, "Connection has too many options");
        p->option_close |= span_is_nocase(option, "close");
        p->option_keep_alive |= span_is_nocase(option, "keep-alive");
        p->option_upgrade |= span_is_nocase(option, "upgrade");
    }
    return ERR_OK;
}

static enum err take_expect(struct head_parser *p, struct span v)
{
    if (p->m->status)
        return ERR_OK;
    if (!span_is_nocase(v, "100-continue"))
        return refuse(p->why, 417, "an expectation other than 100-continue");
    p->head->expect_continue = true;
    return ERR_OK;
}

/* Looks at the fields that mean something here; *keep is false for those that do not stay fields. */
static enum err take_field(struct head_parser *p, struct span name, struct http_piece value, bool *keep)
{
    struct span v = piece_span(p, value);
    switch (name.len) {
    case 4:
        if (!span_is(name, "host"))
            break;
        *keep = false;
        if (p->m->status)
            break;
        if (p->n_host++)
            return bad(p, "Host is repeated");
        p->m->authority = value;
        break;
    case 6:
        if (span_is(name, "expect"))
            return take_expect(p, v);
        break;
    case 7:
        p->n_upgrade += span_is(name, "upgrade");
        break;
    case 10:
        if (span_is(name, "connection"))
            return take_connection(p, v);
        break;
    case 14:
        if (!span_is(name, "content-length"))
            break;
        *keep = false;
        return take_length(p, v);
    case 17:
        if (!span_is(name, "transfer-encoding"))
            break;
        *keep = false;
        p->n_encoding++;
        p->encoding = v;
        break;
    default:
        break;
    }
    return ERR_OK;
}

/* Splits the line at p->at into name (made lower case) and value, and steps behind it. */
static enum err split_field(struct head_parser *p, struct http_piece *name, struct http_piece *value)
{
    char *text = p->text, c;
    uint32_t at = p->at;
    if (text[at] == ' ' || text[at] == '\t')
        return bad(p, "a line starts with white space (obs-fold)");
    name->at = at;
    while ((c = token_char[(unsigned char)text[at]]) != 0)
        text[at++] = c;
    name->len = at - name->at;
    if (name->len == 0 || text[at] != ':')
        return bad(p, text[at] == ' ' || text[at] == '\t' ? "white space before the colon of a field"
                                                          : "a field name that is not a token");
    at++;
    while (text[at] == ' ' || text[at] == '\t')
        at++;
    value->at = at;
    while (is_value_char(text[at]))
        at++;
    if (text[at] != '\r' || text[at + 1] != '\n')
        return bad(p, text[at] == '\r' ? "a bare CR" : "a control character in a field");
    p->at = at + 2;
    while (at > value->at && (text[at - 1] == ' ' || text[at - 1] == '\t'))
        at--;
    value->len = at - value->at;
    return ERR_OK;
}

static enum err parse_field(struct head_parser *p)
{
    struct http_piece name, value;
    bool keep = true;
    enum err e = split_field(p, &name, &value);
    if (e == ERR_OK)
        e = take_field(p, piece_span(p, name), value, &keep);
    if (e != ERR_OK || !keep)
        return e;
    if (p->m->n_fields >= HTTP_FIELDS_MAX)
        return refuse(p->why, 431, "too many fields");
    return http_message_add_piece(p->m, name, value);
}

static enum err parse_fields(struct head_parser *p)
{
    enum err e = ERR_OK;
    while (e == ERR_OK && p->at < p->end)
        e = parse_field(p);
    return e;
}

/* RFC 9112 §6.1, §6.3: what both directions refuse about the length of a body. */
static enum err check_framing(struct head_parser *p)
{
    if (p->n_encoding == 0)
        return ERR_OK;
    if (p->n_length)
        return bad(p, "Content-Length together with Transfer-Encoding");
    if (p->n_encoding > 1 || !span_is_nocase(p->encoding, "chunked"))
        return bad(p, "Transfer-Encoding other than chunked");
    if (p->head->minor == 0)
        return bad(p, "Transfer-Encoding in HTTP/1.0");
    p->head->chunked = true;
    return ERR_OK;
}

static void set_connection(struct head_parser *p)
{
    p->head->keep_alive = !p->option_close && (p->head->minor == 1 || p->option_keep_alive);
    p->head->upgrade = p->option_upgrade && p->n_upgrade > 0 && p->head->minor == 1;
}

static enum err parse_version(struct head_parser *p, const char *v, size_t n)
{
    if (n != 8 || memcmp(v, "HTTP/", 5) != 0 || !is_digit(v[5]) || v[6] != '.' || !is_digit(v[7]))
        return bad(p, "no valid HTTP version in the first line");
    if (v[5] != '1' || v[7] > '1')
        return refuse(p->why, 505, "an HTTP version other than 1.0 and 1.1");
    p->head->minor = (unsigned)(v[7] - '0');
    return ERR_OK;
}

/* Requests --------------------------------------------------------------------------------------------- */

/* absolute-form (RFC 9112 §3.2.2): "https://host/path"; the host must repeat what Host says. */
static enum err take_absolute(struct head_parser *p, struct http_piece target, struct http_piece *absolute)
{
    struct span t = piece_span(p, target);
    const char *mark = memmem(t.at, t.len, "://", 3);
    uint32_t scheme_len = mark ? (uint32_t)(mark - t.at) : 0;
    struct span scheme = {.at = t.at, .len = scheme_len};
    if (!span_is_nocase(scheme, "http") && !span_is_nocase(scheme, "https"))
        return bad(p, "a request target that is neither a path nor an http or https URL");
    for (uint32_t i = 0; i < scheme_len; i++)
        p->text[target.at + i] |= 0x20;
    p->m->scheme = (struct http_piece){.at = target.at, .len = scheme_len};
    absolute->at = target.at + scheme_len + 3;
    uint32_t end = target.at + target.len, at = absolute->at;
    while (at < end && p->text[at] != '/' && p->text[at] != '?')
        at++;
    absolute->len = at - absolute->at;
    if (absolute->len == 0 || at == end || p->text[at] != '/')
        return bad(p, "an absolute target without host or path");
    p->m->path = (struct http_piece){.at = at, .len = end - at};
    return ERR_OK;
}

static enum err take_target(struct head_parser *p, struct http_piece target, struct http_piece *absolute)
{
    if (target.len == 0)
        return bad(p, "no request target");
    if (target.len > HTTP_TARGET_MAX)
        return refuse(p->why, 414, "the request target is too long");
    if (span_is(http_message_method(p->m), "CONNECT"))
        return refuse(p->why, 501, "CONNECT is not served");
    char first = p->text[target.at];
    bool asterisk = first == '*' && target.len == 1 && span_is(http_message_method(p->m), "OPTIONS");
    if (first != '/' && !asterisk)
        return take_absolute(p, target, absolute);
    p->m->path = target;
    return ERR_OK;
}

static enum err parse_request_line(struct head_parser *p, struct http_piece *absolute)
{
    struct http_piece method = {.at = 0}, target;
    char *text = p->text;
    uint32_t at = 0;
    while (token_char[(unsigned char)text[at]])
        at++;
    method.len = at;
    if (at == 0 || text[at] != ' ')
        return bad(p, "the request line has no method");
    if (method.len > METHOD_MAX)
        return refuse(p->why, 501, "an unknown method");
    p->m->method = method;
    target.at = ++at;
    while (text[at] > 0x20 && text[at] < 0x7f)
        at++;
    target.len = at - target.at;
    if (text[at] != ' ')
        return bad(p, text[at] == '\r' ? "no HTTP version in the request line"
                                       : "a character that does not belong in a request target");
    const char *version = text + at + 1, *lf = memchr(version, '\n', p->end - at - 1);
    if (!lf)
        return bad(p, "no end of the request line");
    enum err e = parse_version(p, version, (size_t)(lf - version) - 1);
    if (e != ERR_OK)
        return e;
    p->at = (uint32_t)(lf - text) + 1;
    return take_target(p, target, absolute);
}

static enum err check_host(struct head_parser *p, struct http_piece absolute)
{
    struct canonical_authority ignored;
    const char *words;
    if (p->n_host == 0)
        return bad(p, "Host is missing");
    if (canonical_authority(http_message_authority(p->m), 443, &ignored, &words) != ERR_OK)
        return bad(p, words);
    struct span a = piece_span(p, absolute), host = http_message_authority(p->m);
    if (absolute.len && (a.len != host.len || strncasecmp(a.at, host.at, a.len) != 0))
        return bad(p, "Host contradicts the request target");
    return ERR_OK;
}

enum err http1_parse_request(const uint8_t *data, size_t n, size_t *scanned, struct http_message *m,
                             struct http1_head *out, size_t *used, struct http1_failure *why)
{
    struct http1_head head = {0};
    struct http_piece absolute = {0};
    struct head_parser p = {.m = m, .head = &head, .why = why};
    size_t length;
    if (n == 1 && data[0] == '\r')
        return ERR_AGAIN;
    size_t start = n >= 2 && data[0] == '\r' && data[1] == '\n' ? 2 : 0;
    enum err e = head_begin(&p, data, n, start, scanned, &length);
    if (e == ERR_OK)
        e = parse_request_line(&p, &absolute);
    if (e == ERR_OK)
        e = parse_fields(&p);
    if (e == ERR_OK)
        e = check_framing(&p);
    if (e == ERR_OK)
        e = check_host(&p, absolute);
    if (e != ERR_OK)
        return e;
    m->no_body = !head.chunked && m->content_length <= 0;
    set_connection(&p);
    *out = head;
    *used = length;
    return ERR_OK;
}

/* Responses -------------------------------------------------------------------------------------------- */

/* The reason phrase is dropped; a missing one is tolerated, with or without its space. */
static enum err parse_status_line(struct head_parser *p)
{
    const char *text = p->text, *lf = memchr(text, '\n', p->end);
    size_t len = lf ? (size_t)(lf - text) - 1 : 0;
    if (len < 12 || text[8] != ' ' || !is_digit(text[9]) || !is_digit(text[10]) || !is_digit(text[11]) ||
        (len > 12 && text[12] != ' '))
        return bad(p, "no valid status line");
    for (size_t i = 12; i < len; i++)
        if (!is_value_char(text[i]))
            return bad(p, "a control character in the reason phrase");
    unsigned status =
        (unsigned)(text[9] - '0') * 100 + (unsigned)(text[10] - '0') * 10 + (unsigned)(text[11] - '0');
    if (status < 100 || status > 599)
        return bad(p, "a status outside 100 to 599");
    p->m->status = status;
    p->at = (uint32_t)len + 2;
    return parse_version(p, text, 8);
}

/* RFC 9112 §6.3: which responses have a body, and where it ends. */
static enum err frame_response(struct head_parser *p, const struct http1_expect *expect)
{
    struct http_message *m = p->m;
    bool bodiless = m->status < 200 || m->status == 204;
    if (bodiless && (p->head->chunked || m->content_length > 0))
        return bad(p, "a body announced in a response that has none");
    if (bodiless)
        m->content_length = HTTP_NO_LENGTH;
    m->no_body =
        bodiless || m->status == 304 || expect->head || (!p->head->chunked && m->content_length == 0);
    if (m->no_body)
        p->head->chunked = false;
    bool until_close = !m->no_body && !p->head->chunked && m->content_length == HTTP_NO_LENGTH;
    set_connection(p);
    if (until_close)
        p->head->keep_alive = false;
    if (m->status == 101 && (!expect->upgrade || !p->head->upgrade))
        return bad(p, "a 101 that was not asked for");
    return ERR_OK;
}

enum err http1_parse_response(const uint8_t *data, size_t n, size_t *scanned,
                              const struct http1_expect *expect, struct http_message *m,
                              struct http1_head *out, size_t *used, struct http1_failure *why)
{
    struct http1_head head = {0};
    struct head_parser p = {.m = m, .head = &head, .why = why};
    size_t length;
    enum err e = head_begin(&p, data, n, 0, scanned, &length);
    if (e == ERR_OK)
        e = parse_status_line(&p);
    if (e == ERR_OK)
        e = parse_fields(&p);
    if (e == ERR_OK)
        e = check_framing(&p);
    if (e == ERR_OK)
        e = frame_response(&p, expect);
    if (e == ERR_MALFORMED)
        why->status = 502;
    if (e != ERR_OK)
        return e;
    *out = head;
    *used = length;
    return ERR_OK;
}

/* Trailers --------------------------------------------------------------------------------------------- */

enum err http1_parse_trailer(struct span line, struct http_message *m)
{
    struct http1_failure ignored;
    struct http_piece name, value;
    uint32_t start = (uint32_t)buf_len(&m->text);
    if (buf_append(&m->text, line.at, line.len) != ERR_OK || buf_append(&m->text, "\r\n", 2) != ERR_OK)
        return ERR_MEMORY;
    struct head_parser p = {.m = m, .why = &ignored, .text = (char *)buf_data(&m->text), .at = start};
    enum err e = split_field(&p, &name, &value);
    if (e == ERR_OK && (p.at != buf_len(&m->text) || m->n_fields >= HTTP_FIELDS_MAX))
        e = ERR_MALFORMED;
    return e == ERR_OK ? http_message_add_piece(m, name, value) : e;
}
