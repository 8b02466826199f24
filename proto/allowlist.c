#include "proto/allowlist.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

static const char *const method_names[] = {
#define X(name) #name,
    ALLOWLIST_METHODS(X)
#undef X
};

static enum err wrong(char *why, size_t why_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static enum err wrong(char *why, size_t why_size, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(why, why_size, format, ap);
    va_end(ap);
    return ERR_CONFIG;
}

/* Methods ---------------------------------------------------------------------------------------------- */

unsigned allowlist_method_bit(struct span method)
{
    for (unsigned i = 0; i < ALLOWLIST_METHOD_COUNT; i++)
        if (span_is(method, method_names[i]))
            return 1u << i;
    return 0;
}

const char *allowlist_methods_print(unsigned methods, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < ALLOWLIST_METHOD_COUNT && used < size; i++)
        if (methods & 1u << i)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? "," : "", method_names[i]);
    return out;
}

enum err allowlist_methods_from_json(const json_t *array, unsigned *methods, char *why, size_t why_size)
{
    unsigned bits = 0;
    size_t i;
    json_t *item;
    if (!json_is_array(array) || json_array_size(array) == 0)
        return wrong(why, why_size, "methods: a list with at least one method is wanted");
    json_array_foreach (array, i, item) {
        const char *name = json_string_value(item);
        unsigned bit = name ? allowlist_method_bit(span_from(name)) : 0;
        if (!bit)
            return wrong(why, why_size, "methods: \"%s\" is not a method that can be allowed",
                         name ? name : "(not a text)");
        bits |= bit;
    }
    *methods = bits;
    return ERR_OK;
}

/* Rules ------------------------------------------------------------------------------------------------ */

static void rule_free(struct allowlist_rule *r)
{
    free(r->description);
    free(r->host);
    free(r->path);
    *r = (struct allowlist_rule){0};
}

void allowlist_init(struct allowlist *a)
{
    *a = (struct allowlist){0};
}

void allowlist_truncate(struct allowlist *a, size_t n)
{
    while (a->n > n)
        rule_free(&a->rules[--a->n]);
}

void allowlist_free(struct allowlist *a)
{
    allowlist_truncate(a, 0);
    free(a->rules);
    allowlist_init(a);
}

/* Host and path of the rule in canonical form, copied. */
static enum err rule_make(const struct allowlist_rule *given, struct allowlist_rule *out, char *why,
                          size_t why_size)
{
    struct canonical_authority authority;
    char path[CANONICAL_PATH_MAX + 1];
    struct allowlist_rule r = *given;
    struct span query;
    const char *words;
    if (strchr(given->host, ':') && given->host[0] != '[')
        return wrong(why, why_size, "host: \"%s\" must be given without a port", given->host);
    if (canonical_authority(span_from(given->host), given->port, &authority, &words) != ERR_OK)
        return wrong(why, why_size, "host: \"%s\": %s", given->host, words);
    if (given->port == 0)
        return wrong(why, why_size, "port: 1 to 65535 is wanted");
    if (canonical_path(span_from(given->path), path, &r.path_len, &query, &words) != ERR_OK)
        return wrong(why, why_size, "path: \"%s\": %s", given->path, words);
    if (query.len)
        return wrong(why, why_size, "path: \"%s\": a rule has no query", given->path);
    if (given->methods == 0)
        return wrong(why, why_size, "methods: at least one method is wanted");
    r.description = strdup(given->description);
    r.host = strdup(authority.host);
    r.path = strdup(path);
    if (!r.description || !r.host || !r.path) {
        rule_free(&r);
        return ERR_MEMORY;
    }
    *out = r;
    return ERR_OK;
}

enum err allowlist_add(struct allowlist *a, const struct allowlist_rule *rule, char *why, size_t why_size)
{
    struct allowlist_rule r;
    if (a->n >= ALLOWLIST_RULES_MAX) {
        wrong(why, why_size, "more than %d rules", ALLOWLIST_RULES_MAX);
        return ERR_FULL;
    }
    enum err e = rule_make(rule, &r, why, why_size);
    if (e != ERR_OK)
        return e;
    if (a->n == a->size) {
        size_t size = a->size ? a->size * 2 : 4;
        struct allowlist_rule *rules = reallocarray(a->rules, size, sizeof *rules);
        if (!rules) {
            rule_free(&r);
            return ERR_MEMORY;
        }
        a->rules = rules;
        a->size = size;
    }
    a->rules[a->n++] = r;
    return ERR_OK;
}

enum err allowlist_add_join_url(struct allowlist *a, const char *host, uint16_t port, unsigned methods,
                                char *why, size_t why_size)
{
    char description[] = "Meeting Server web bridges", root[] = "/", name[CANONICAL_HOST_MAX + 1];
    if (strlen(host) > CANONICAL_HOST_MAX)
        return wrong(why, why_size, "host: too long");
    strcpy(name, host);
    struct allowlist_rule rule = {
        .description = description, .host = name, .port = port, .path = root, .methods = methods};
    enum err e = allowlist_add(a, &rule, why, why_size);
    rule.websocket = true;
    return e == ERR_OK ? allowlist_add(a, &rule, why, why_size) : e;
}

/* JSON ------------------------------------------------------------------------------------------------- */

/* A text member that is one of two words; the first when it is missing. */
static enum err json_choice(const json_t *o, const char *key, const char *first, const char *second,
                            bool *is_second, char *why, size_t why_size)
{
    const json_t *v = json_object_get(o, key);
    const char *s = json_string_value(v);
    if (v && (!s || (strcmp(s, first) != 0 && strcmp(s, second) != 0)))
        return wrong(why, why_size, "%s: \"%s\" or \"%s\" is wanted", key, first, second);
    *is_second = s && strcmp(s, second) == 0;
    return ERR_OK;
}

static enum err rule_from_json(const json_t *o, struct allowlist *a, char *why, size_t why_size)
{
    static const char *const keys[] = {"description", "scheme", "host", "port", "match", "path", "methods"};
    char description[256], host[256], path[1024];
    struct allowlist_rule r = {
        .description = description, .host = host, .path = path, .methods = ALLOWLIST_DEFAULT_METHODS};
    const char *key;
    json_t *value;
    if (!json_is_object(o))
        return wrong(why, why_size, "an object is wanted");
    json_object_foreach ((json_t *)o, key, value) {
        bool known = false;
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            known = known || strcmp(key, keys[i]) == 0;
        if (!known)
            return wrong(why, why_size, "%s: unknown key", key);
    }
    const char *text[] = {json_string_value(json_object_get(o, "description")),
                          json_string_value(json_object_get(o, "host")),
                          json_string_value(json_object_get(o, "path"))};
    if (!text[1])
        return wrong(why, why_size, "host: a host name is wanted");
    if (strlen(text[1]) >= sizeof host || (text[2] && strlen(text[2]) >= sizeof path))
        return wrong(why, why_size, "host or path: too long");
    text_copy(description, sizeof description, text[0]); /* whole characters */
    snprintf(host, sizeof host, "%s", text[1]);
    snprintf(path, sizeof path, "%s", text[2] ? text[2] : "/");
    const json_t *port = json_object_get(o, "port"), *methods = json_object_get(o, "methods");
    json_int_t number = port ? json_integer_value(port) : 443;
    if (number < 1 || number > UINT16_MAX)
        return wrong(why, why_size, "port: 1 to 65535 is wanted");
    r.port = (uint16_t)number;
    enum err e = json_choice(o, "scheme", "https", "wss", &r.websocket, why, why_size);
    if (e == ERR_OK)
        e = json_choice(o, "match", "prefix", "exact", &r.exact, why, why_size);
    if (e == ERR_OK && methods)
        e = allowlist_methods_from_json(methods, &r.methods, why, why_size);
    return e == ERR_OK ? allowlist_add(a, &r, why, why_size) : e;
}

enum err allowlist_from_json(const json_t *array, struct allowlist *a, char *why, size_t why_size)
{
    struct allowlist fresh;
    char reason[256] = "out of memory";
    enum err e = ERR_OK;
    allowlist_init(&fresh);
    if (!json_is_array(array))
        return wrong(why, why_size, "a list of rules is wanted");
    for (size_t i = 0; e == ERR_OK && i < json_array_size(array); i++) {
        e = rule_from_json(json_array_get(array, i), &fresh, reason, sizeof reason);
        if (e != ERR_OK)
            wrong(why, why_size, "rule %zu: %s", i + 1, reason);
    }
    if (e != ERR_OK) {
        allowlist_free(&fresh);
        return e;
    }
    allowlist_free(a);
    *a = fresh;
    return ERR_OK;
}

static json_t *methods_to_json(unsigned methods)
{
    json_t *array = json_array();
    for (unsigned i = 0; array && i < ALLOWLIST_METHOD_COUNT; i++)
        if (methods & 1u << i && json_array_append_new(array, json_string(method_names[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

json_t *allowlist_to_json(const struct allowlist *a)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < a->n; i++) {
        const struct allowlist_rule *r = &a->rules[i];
        json_t *rule =
            json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:o}", "description", r->description, "scheme",
                      r->websocket ? "wss" : "https", "host", r->host, "port", (int)r->port, "match",
                      r->exact ? "exact" : "prefix", "path", r->path, "methods", methods_to_json(r->methods));
        if (!rule || json_array_append_new(array, rule) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* Judging ---------------------------------------------------------------------------------------------- */

static bool rule_has_origin(const struct allowlist_rule *r, const struct canonical *c)
{
    return r->port == c->authority.port && strcmp(r->host, c->authority.host) == 0;
}

/* A prefix ends at a segment: /app allows /app and /app/x, not /apple. */
static bool rule_has_path(const struct allowlist_rule *r, const struct canonical *c)
{
    if (r->exact)
        return r->path_len == c->path_len && memcmp(r->path, c->path, c->path_len) == 0;
    if (c->path_len < r->path_len || memcmp(r->path, c->path, r->path_len) != 0)
        return false;
    return r->path[r->path_len - 1] == '/' || c->path_len == r->path_len || c->path[r->path_len] == '/';
}

enum { NEAR_NOTHING, NEAR_ORIGIN, NEAR_SCHEME, NEAR_PATH };

/* How much of the request the rule agrees with, short of allowing it. */
static int rule_nearness(const struct allowlist_rule *r, const struct canonical *c)
{
    if (!rule_has_origin(r, c))
        return NEAR_NOTHING;
    if (r->websocket != c->websocket)
        return NEAR_ORIGIN;
    return rule_has_path(r, c) ? NEAR_PATH : NEAR_SCHEME;
}

static void explain(const struct allowlist *a, const struct canonical *c, struct span method,
                    struct allowlist_verdict *v)
{
    char url[256], methods[128];
    const struct allowlist_rule *nearest = NULL;
    int near = NEAR_NOTHING;
    for (size_t i = 0; i < a->n; i++)
        if (rule_nearness(&a->rules[i], c) > near) {
            nearest = &a->rules[i];
            near = rule_nearness(nearest, c);
        }
    canonical_print(c, url, sizeof url);
    v->result = near == NEAR_NOTHING ? ALLOWLIST_WRONG_HOST : ALLOWLIST_WRONG_TARGET;
    v->status = near == NEAR_NOTHING ? 421 : 403;
    const char *scheme = c->websocket ? "wss" : "https";
    if (near == NEAR_NOTHING)
        snprintf(v->why, sizeof v->why, "no rule is for host %s port %u", c->authority.host,
                 (unsigned)c->authority.port);
    else if (near == NEAR_ORIGIN)
        snprintf(v->why, sizeof v->why, "no rule with scheme %s is for %s", scheme, url);
    else if (near == NEAR_SCHEME)
        snprintf(v->why, sizeof v->why, "no %s rule covers the path of %s; nearest is \"%.64s\" (%s %.64s)",
                 scheme, url, nearest->description, nearest->exact ? "exact" : "prefix", nearest->path);
    else
        snprintf(v->why, sizeof v->why,
                 "no rule allows method %.*s for %s; nearest is \"%.64s\", which allows %s", (int)method.len,
                 method.at, url, nearest->description,
                 allowlist_methods_print(nearest->methods, methods, sizeof methods));
}

void allowlist_judge(const struct allowlist *a, const struct http_message *m, struct canonical *c,
                     struct allowlist_verdict *v)
{
    const char *words;
    v->result = ALLOWLIST_ALLOW;
    v->status = 0;
    v->rule = NULL;
    v->why[0] = '\0';
    if (canonical_from_message(m, c, &words) != ERR_OK) {
        v->result = ALLOWLIST_MALFORMED;
        v->status = 400;
        snprintf(v->why, sizeof v->why, "%s", words);
        return;
    }
    unsigned bit = allowlist_method_bit(http_message_method(m));
    for (size_t i = 0; i < a->n; i++) {
        const struct allowlist_rule *r = &a->rules[i];
        if (r->methods & bit && r->websocket == c->websocket && rule_has_origin(r, c) &&
            rule_has_path(r, c)) {
            v->rule = r;
            return;
        }
    }
    explain(a, c, http_message_method(m), v);
}

bool allowlist_knows_host(const struct allowlist *a, const char *host, uint16_t *port)
{
    for (size_t i = 0; i < a->n; i++)
        if (!a->rules[i].websocket && strcmp(a->rules[i].host, host) == 0) {
            *port = a->rules[i].port;
            return true;
        }
    return false;
}
