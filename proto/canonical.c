#include "proto/canonical.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "common/fatal.h"

static enum err refuse(const char **why, const char *words)
{
    *why = words;
    return ERR_MALFORMED;
}

/* Authority -------------------------------------------------------------------------------------------- */

static bool parse_port(struct span text, uint16_t *port)
{
    unsigned v = 0;
    if (text.len == 0 || text.len > 5 || text.at[0] == '0')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        v = v * 10 + (unsigned)(text.at[i] - '0');
    }
    *port = (uint16_t)v;
    return v <= UINT16_MAX;
}

/* "[2001:db8::1]" in its shortest text (RFC 5952, as inet_ntop writes it). */
static enum err canonical_ip6(struct span text, char host[CANONICAL_HOST_MAX + 1], const char **why)
{
    char address[INET6_ADDRSTRLEN + 1];
    struct in6_addr ip;
    if (text.len < 2 || text.len - 2 > INET6_ADDRSTRLEN)
        return refuse(why, "the host is not a valid IPv6 address");
    memcpy(address, text.at + 1, text.len - 2);
    address[text.len - 2] = '\0';
    if (inet_pton(AF_INET6, address, &ip) != 1 || !inet_ntop(AF_INET6, &ip, address, sizeof address))
        return refuse(why, "the host is not a valid IPv6 address");
    snprintf(host, CANONICAL_HOST_MAX + 1, "[%s]", address);
    return ERR_OK;
}

static enum err canonical_name(struct span text, char host[CANONICAL_HOST_MAX + 1], const char **why)
{
    size_t label = 0;
    if (text.len && text.at[text.len - 1] == '.')
        text.len--;
    if (text.len == 0 || text.len > 253)
        return refuse(why, "the host is empty or too long");
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (c == '.' ? label == 0 : !letter && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return refuse(why, "a character that does not belong in a host name");
        label = c == '.' ? 0 : label + 1;
        if (label > 63)
            return refuse(why, "a label of the host name is too long");
        host[i] = (char)(letter ? c | 0x20 : c);
    }
    host[text.len] = '\0';
    return label ? ERR_OK : refuse(why, "a character that does not belong in a host name");
}

enum err canonical_authority(struct span text, uint16_t default_port, struct canonical_authority *out,
                             const char **why)
{
    struct canonical_authority a = {.port = default_port};
    struct span host = text;
    if (text.len == 0)
        return refuse(why, "the host is empty");
    if (memchr(text.at, '@', text.len))
        return refuse(why, "user information in front of the host");
    const char *bracket = text.at[0] == '[' ? memchr(text.at, ']', text.len) : NULL;
    if (text.at[0] == '[' && !bracket)
        return refuse(why, "the host is not a valid IPv6 address");
    const char *from = bracket ? bracket : text.at;
    const char *colon = memchr(from, ':', text.len - (size_t)(from - text.at));
    if (colon) {
        host.len = (size_t)(colon - text.at);
        struct span port = {.at = colon + 1, .len = text.len - host.len - 1};
        if (!parse_port(port, &a.port))
            return refuse(why, "the port is not a number from 1 to 65535");
    }
    if (bracket && host.at + host.len != bracket + 1)
        return refuse(why, "something between the host and its port");
    enum err e = bracket ? canonical_ip6(host, a.host, why) : canonical_name(host, a.host, why);
    if (e == ERR_OK)
        *out = a;
    return e;
}

/* Path ------------------------------------------------------------------------------------------------- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that "%XX" at s[i] stands for, or -1. */
static int decode_at(struct span s, size_t i)
{
    if (i + 2 >= s.len || hex_value(s.at[i + 1]) < 0 || hex_value(s.at[i + 2]) < 0)
        return -1;
    return hex_value(s.at[i + 1]) << 4 | hex_value(s.at[i + 2]);
}

static bool is_unreserved(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* RFC 3986 §2: a URL is made of visible ASCII, whether char has a sign on this machine or not. */
static bool is_visible(char c)
{
    return c > 0x20 && c < 0x7f;
}

static bool is_dangerous(int c)
{
    return c == '/' || c == '\\' || c < 0x20 || c == 0x7f;
}

struct path_writer {
    char *out; /* CANONICAL_PATH_MAX + 1 */
    size_t len;
    size_t segment; /* where the current segment starts, behind its slash */
    bool encoded;   /* the segment has something that stays encoded */
    const char **why;
};

static enum err put_char(struct path_writer *w, char c)
{
    if (w->len >= CANONICAL_PATH_MAX)
        return refuse(w->why, "the path is too long");
    w->out[w->len++] = c;
    return ERR_OK;
}

/* "%XX" at s[i]. */
static enum err put_encoded(struct path_writer *w, struct span s, size_t i)
{
    static const char digits[] = "0123456789ABCDEF";
    int c = decode_at(s, i);
    if (c < 0)
        return refuse(w->why, "invalid percent-encoding");
    if (is_dangerous(c))
        return refuse(w->why, "an encoded slash, backslash or control character");
    if (is_unreserved(c))
        return put_char(w, (char)c);
    w->encoded = true;
    enum err e = put_char(w, '%');
    if (e == ERR_OK)
        e = put_char(w, digits[c >> 4]);
    return e == ERR_OK ? put_char(w, digits[c & 15]) : e;
}

/* True when the segment has "%25XX" that decodes a second time to something dangerous. Looked for in the
 * canonical text, where "%25%32F" has become "%252F" already. */
static bool is_encoded_twice(const char *s, size_t n)
{
    for (size_t i = 0; i + 4 < n; i++) {
        if (memcmp(s + i, "%25", 3) != 0 || hex_value(s[i + 3]) < 0 || hex_value(s[i + 4]) < 0)
            continue;
        int c = hex_value(s[i + 3]) << 4 | hex_value(s[i + 4]);
        if (is_dangerous(c) || c == '.' || c == '%')
            return true;
    }
    return false;
}

/* Ends the current segment: resolves "." and ".." (RFC 3986 §5.2.4). last: no slash follows. */
static enum err end_segment(struct path_writer *w, bool last)
{
    const char *s = w->out + w->segment;
    size_t n = w->len - w->segment;
    size_t dots = n > 0 && s[0] == '.' ? n > 1 && s[1] == '.' ? 2 : 1 : 0;
    bool plain = dots && n == dots;
    if (dots && n > dots && (s[dots] == ';' || (n >= dots + 3 && memcmp(s + dots, "%3B", 3) == 0)))
        return refuse(w->why, "a dot segment with parameters");
    if (w->encoded && is_encoded_twice(s, n))
        return refuse(w->why, "a slash, backslash, dot or control character that is encoded twice");
    w->encoded = false;
    if (!plain) {
        if (last)
            return ERR_OK;
        w->segment = w->len + 1;
        return put_char(w, '/');
    }
    w->len = w->segment;
    if (dots == 1)
        return ERR_OK;
    if (w->len == 1)
        return refuse(w->why, "dot segments that climb above the root");
    w->len--; /* the slash in front of this segment */
    while (w->out[w->len - 1] != '/')
        w->len--;
    w->segment = w->len;
    return ERR_OK;
}

static enum err check_query(struct span query, const char **why)
{
    for (size_t i = 0; i < query.len; i++)
        if (!is_visible(query.at[i]) || query.at[i] == '#')
            return refuse(why, "a character that does not belong in a query");
    return ERR_OK;
}

enum err canonical_path(struct span text, char path[CANONICAL_PATH_MAX + 1], size_t *path_len,
                        struct span *query, const char **why)
{
    struct path_writer w = {.out = path, .why = why};
    const char *mark = memchr(text.at, '?', text.len);
    struct span s = {.at = text.at, .len = mark ? (size_t)(mark - text.at) : text.len};
    struct span rest = {.at = text.at + s.len, .len = text.len - s.len};
    if (s.len == 0 || s.at[0] != '/')
        return refuse(why, "the path does not start with a slash");
    enum err e = put_char(&w, '/');
    w.segment = 1;
    for (size_t i = 1; e == ERR_OK && i < s.len; i++) {
        char c = s.at[i];
        if (c == '%') {
            e = put_encoded(&w, s, i);
            i += 2;
        } else if (c == '/') {
            e = end_segment(&w, false);
        } else if (!is_visible(c) || c == '\\' || c == '#') {
            e = refuse(why, "a character that does not belong in a path");
        } else {
            e = put_char(&w, c);
        }
    }
    if (e == ERR_OK)
        e = end_segment(&w, true);
    if (e == ERR_OK)
        e = check_query(rest, why);
    if (e != ERR_OK)
        return e;
    path[w.len] = '\0';
    *path_len = w.len;
    *query = rest;
    return ERR_OK;
}

/* Messages --------------------------------------------------------------------------------------------- */

enum err canonical_from_message(const struct http_message *m, struct canonical *out, const char **why)
{
    struct span scheme = http_message_scheme(m);
    if (scheme.len && !span_is(scheme, "https"))
        return refuse(why, "the scheme is not https");
    enum err e = canonical_authority(http_message_authority(m), 443, &out->authority, why);
    if (e == ERR_OK)
        e = canonical_path(http_message_path(m), out->path, &out->path_len, &out->query, why);
    if (e == ERR_OK)
        out->websocket = m->websocket;
    return e;
}

/* Written only where it differs: most requests come in canonical form already. */
enum err canonical_to_message(const struct canonical *c, struct http_message *m)
{
    char authority[CANONICAL_HOST_MAX + 8];
    struct span path = http_message_path(m), query = c->query;
    enum err e = ERR_OK;
    if (path.len != c->path_len + query.len || memcmp(path.at, c->path, c->path_len) != 0) {
        char whole[CANONICAL_PATH_MAX + HTTP_TARGET_MAX];
        if (c->path_len + query.len > sizeof whole)
            return ERR_FULL;
        memcpy(whole, c->path, c->path_len);
        memcpy(whole + c->path_len, query.at, query.len);
        e = http_message_set_path(m, whole, c->path_len + query.len);
    }
    int n = snprintf(authority, sizeof authority, "%s", c->authority.host);
    if (c->authority.port != 443)
        n = snprintf(authority, sizeof authority, "%s:%u", c->authority.host, (unsigned)c->authority.port);
    REQUIRE(n > 0 && (size_t)n < sizeof authority);
    if (e == ERR_OK && !span_is(http_message_authority(m), authority))
        e = http_message_set_authority(m, authority, (size_t)n);
    return e;
}

const char *canonical_print(const struct canonical *c, char *out, size_t size)
{
    const char *scheme = c->websocket ? "wss" : "https";
    if (c->authority.port == 443)
        snprintf(out, size, "%s://%s%s", scheme, c->authority.host, c->path);
    else
        snprintf(out, size, "%s://%s:%u%s", scheme, c->authority.host, (unsigned)c->authority.port, c->path);
    return out;
}
