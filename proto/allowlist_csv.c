#include "proto/allowlist_csv.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/csv.h"
#include "common/text.h"

/* Columns ---------------------------------------------------------------------------------------------- */

#define COLUMN_TABLE(X)                                                                                      \
    X(URL, "Url")                                                                                            \
    X(DEPLOYMENT, "Deployment")                                                                              \
    X(METHODS, "HttpMethods")                                                                                \
    X(MATCH, "MatchType")                                                                                    \
    X(DESCRIPTION, "Description")                                                                            \
    X(EXPECTED, "ExpectedResult")                                                                            \
    X(METHOD, "HttpMethod")

enum column {
#define X(name, words) COLUMN_##name,
    COLUMN_TABLE(X)
#undef X
        COLUMNS
};

static const char *const column_names[] = {
#define X(name, words) words,
    COLUMN_TABLE(X)
#undef X
};

static const unsigned rule_columns = 1u << COLUMN_URL | 1u << COLUMN_DEPLOYMENT | 1u << COLUMN_METHODS |
                                     1u << COLUMN_MATCH | 1u << COLUMN_DESCRIPTION;
static const unsigned test_columns = 1u << COLUMN_URL | 1u << COLUMN_EXPECTED | 1u << COLUMN_DEPLOYMENT |
                                     1u << COLUMN_DESCRIPTION | 1u << COLUMN_METHOD;

/* A file with a header: which field of a row is which column. */
struct sheet {
    const char *name;
    struct csv csv;
    struct csv_row row;
    int place[COLUMNS]; /* -1: not there */
    size_t n_columns;
    char *why;
    size_t why_size;
};

static enum err problem(struct sheet *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static enum err problem(struct sheet *s, const char *format, ...)
{
    va_list ap;
    int n = snprintf(s->why, s->why_size, "%s:%u: ", s->name, s->row.line);
    va_start(ap, format);
    if (n > 0 && (size_t)n < s->why_size)
        vsnprintf(s->why + n, s->why_size - (size_t)n, format, ap);
    va_end(ap);
    return ERR_CONFIG;
}

static enum err sheet_row(struct sheet *s)
{
    char words[CSV_WHY];
    enum err e = csv_next(&s->csv, &s->row, words);
    return e == ERR_MALFORMED ? problem(s, "%s", words) : e;
}

static enum err sheet_column(struct sheet *s, size_t i, unsigned allowed)
{
    for (unsigned c = 0; c < COLUMNS; c++)
        if (allowed & 1u << c && strcasecmp(s->row.fields[i], column_names[c]) == 0) {
            if (s->place[c] >= 0)
                return problem(s, "the column %s is there twice", column_names[c]);
            s->place[c] = (int)i;
            return ERR_OK;
        }
    return problem(s, "\"%.60s\" is no column of this file; its columns are %s", s->row.fields[i],
                   allowed == rule_columns ? "Url,Deployment,HttpMethods,MatchType,Description"
                                           : "Url,ExpectedResult,Deployment,Description,HttpMethod");
}

static enum err sheet_open(struct sheet *s, const char *name, char *text, unsigned allowed, char *why,
                           size_t why_size)
{
    *s = (struct sheet){.name = name, .why = why, .why_size = why_size};
    for (unsigned c = 0; c < COLUMNS; c++)
        s->place[c] = -1;
    csv_open(&s->csv, text);
    enum err e = sheet_row(s);
    if (e == ERR_EOF)
        return problem(s, "empty; a header line is wanted that names the columns");
    for (size_t i = 0; e == ERR_OK && i < s->row.n; i++)
        e = sheet_column(s, i, allowed);
    s->n_columns = s->row.n;
    if (e == ERR_OK && s->place[COLUMN_URL] < 0)
        return problem(s, "the header line must name the column Url");
    if (e == ERR_OK && allowed & 1u << COLUMN_EXPECTED && s->place[COLUMN_EXPECTED] < 0)
        return problem(s, "the header line must name the column ExpectedResult");
    return e;
}

/* The next row, with as many fields as the header, or fewer. */
static enum err sheet_next(struct sheet *s)
{
    enum err e = sheet_row(s);
    if (e == ERR_OK && s->row.n > s->n_columns)
        return problem(s, "%zu fields, where the header names %zu; a list of methods is quoted: \"GET,POST\"",
                       s->row.n, s->n_columns);
    return e;
}

static const char *sheet_field(const struct sheet *s, enum column c)
{
    return s->place[c] >= 0 && (size_t)s->place[c] < s->row.n ? s->row.fields[s->place[c]] : "";
}

/* URLs ------------------------------------------------------------------------------------------------- */

/* What stands in a URL, not judged yet: authority and path borrow from it. */
struct url {
    bool websocket;
    struct span authority, path; /* path with its query; "/" where there is none */
};

static const char *url_split(const char *text, struct url *out)
{
    if (strncasecmp(text, "https://", 8) == 0)
        out->websocket = false, text += 8;
    else if (strncasecmp(text, "wss://", 6) == 0)
        out->websocket = true, text += 6;
    else
        return "a URL that begins with https:// or wss:// is wanted";
    size_t n = strcspn(text, "/?#");
    if (n == 0)
        return "a host is wanted behind the scheme";
    out->authority = (struct span){text, n};
    out->path = (struct span){text + n, strcspn(text + n, "#")};
    if (out->path.len == 0)
        out->path = span_from("/");
    return NULL;
}

void allowlist_judge_url(const struct allowlist *a, const char *url, const char *method,
                         struct allowlist_verdict *v)
{
    static struct canonical c;
    struct http_message m;
    struct url u;
    const char *words = url_split(url, &u);
    *v = (struct allowlist_verdict){.result = ALLOWLIST_MALFORMED, .status = 400};
    if (words) {
        snprintf(v->why, sizeof v->why, "%s", words);
        return;
    }
    http_message_init(&m);
    m.websocket = u.websocket;
    if (http_message_set_method(&m, method, strlen(method)) == ERR_OK &&
        http_message_set_authority(&m, u.authority.at, u.authority.len) == ERR_OK &&
        http_message_set_path(&m, u.path.at, u.path.len) == ERR_OK)
        allowlist_judge(a, &m, &c, v);
    else
        snprintf(v->why, sizeof v->why, "too long, or not a method and a URL");
    http_message_free(&m);
}

/* Rules ------------------------------------------------------------------------------------------------ */

static enum err row_methods(struct sheet *s, unsigned *methods)
{
    const char *at = sheet_field(s, COLUMN_METHODS);
    unsigned bits = 0;
    for (at += strspn(at, ", "); *at; at += strspn(at, ", ")) {
        struct span name = {at, strcspn(at, ", ")};
        unsigned bit = allowlist_method_bit(name);
        if (!bit)
            return problem(s, "HttpMethods: \"%.*s\" is not a method that can be allowed",
                           name.len > 30 ? 30 : (int)name.len, name.at);
        bits |= bit;
        at += name.len;
    }
    *methods = bits ? bits : ALLOWLIST_DEFAULT_METHODS;
    return ERR_OK;
}

/* Host and port apart; what remains is judged by allowlist_add. */
static enum err row_authority(struct sheet *s, struct span authority, char host[CANONICAL_HOST_MAX + 3],
                              uint16_t *port)
{
    const char *words;
    struct canonical_authority a;
    if (canonical_authority(authority, 443, &a, &words) != ERR_OK)
        return problem(s, "Url: %s", words);
    snprintf(host, CANONICAL_HOST_MAX + 3, "%s", a.host);
    *port = a.port;
    return ERR_OK;
}

static enum err row_rule(struct sheet *s, struct allowlist *a)
{
    char host[CANONICAL_HOST_MAX + 3], path[ALLOWLIST_TEXT_MAX], description[256], words[ALLOWLIST_WHY];
    const char *url = sheet_field(s, COLUMN_URL), *match = sheet_field(s, COLUMN_MATCH);
    struct allowlist_rule r = {.host = host, .path = path, .description = description};
    struct url u;
    const char *wrong = url_split(url, &u);
    if (wrong)
        return problem(s, "Url: \"%.100s\": %s", url, wrong);
    if (u.path.len >= sizeof path)
        return problem(s, "Url: longer than %d characters", ALLOWLIST_TEXT_MAX);
    if (*match && strcasecmp(match, "prefix") != 0 && strcasecmp(match, "exact") != 0)
        return problem(s, "MatchType: \"%.30s\": prefix or exact is wanted", match);
    memcpy(path, u.path.at, u.path.len);
    path[u.path.len] = '\0';
    text_copy(description, sizeof description, sheet_field(s, COLUMN_DESCRIPTION));
    r.websocket = u.websocket;
    r.exact = strcasecmp(match, "prefix") != 0;
    enum err e = row_authority(s, u.authority, host, &r.port);
    if (e == ERR_OK)
        e = row_methods(s, &r.methods);
    if (e != ERR_OK)
        return e;
    e = allowlist_add(a, &r, words, sizeof words);
    return e == ERR_CONFIG || e == ERR_FULL ? problem(s, "%s", words) : e;
}

enum err allowlist_csv_read(const char *name, char *text, struct allowlist *a, char *why, size_t why_size)
{
    struct sheet s;
    size_t before = a->n;
    enum err e = sheet_open(&s, name, text, rule_columns, why, why_size);
    while (e == ERR_OK && (e = sheet_next(&s)) == ERR_OK)
        e = row_rule(&s, a);
    if (e == ERR_EOF)
        return ERR_OK;
    if (e == ERR_MEMORY)
        snprintf(why, why_size, "%s: out of memory", name);
    allowlist_truncate(a, before);
    return e;
}

void allowlist_csv_write(FILE *out, const struct allowlist *a)
{
    char url[sizeof "https://[]:65535" + CANONICAL_HOST_MAX + CANONICAL_PATH_MAX], methods[128];
    fputs("Url,Deployment,HttpMethods,MatchType,Description\r\n", out);
    for (size_t i = 0; i < a->n; i++) {
        const struct allowlist_rule *r = &a->rules[i];
        char port[8] = "";
        if (r->port != 443)
            snprintf(port, sizeof port, ":%u", (unsigned)r->port);
        snprintf(url, sizeof url, "%s://%s%s%s", r->websocket ? "wss" : "https", r->host, port, r->path);
        csv_put(out, url);
        fputs(",,", out);
        csv_put(out, allowlist_methods_print(r->methods, methods, sizeof methods));
        fputs(r->exact ? ",exact," : ",prefix,", out);
        csv_put(out, r->description);
        fputs("\r\n", out);
    }
}

/* Tests ------------------------------------------------------------------------------------------------ */

enum err allowlist_csv_tests(const char *name, char *text,
                             void (*each)(void *ctx, const struct allowlist_test *test), void *ctx, char *why,
                             size_t why_size)
{
    struct sheet s;
    enum err e = sheet_open(&s, name, text, test_columns, why, why_size);
    while (e == ERR_OK && (e = sheet_next(&s)) == ERR_OK) {
        const char *expected = sheet_field(&s, COLUMN_EXPECTED), *method = sheet_field(&s, COLUMN_METHOD);
        bool allow = strcasecmp(expected, "allow") == 0;
        if (!allow && strcasecmp(expected, "block") != 0)
            return problem(&s, "ExpectedResult: \"%.30s\": allow or block is wanted", expected);
        each(ctx, &(struct allowlist_test){.url = sheet_field(&s, COLUMN_URL),
                                           .method = *method ? method : "GET",
                                           .description = sheet_field(&s, COLUMN_DESCRIPTION),
                                           .allow = allow,
                                           .line = s.row.line});
    }
    return e == ERR_EOF ? ERR_OK : e;
}
