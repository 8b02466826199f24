/*
 * "authority LF path" through the canonical form and an allow-list. What must hold: the form is stable, and
 * nothing in it could be read in a second way: no dot segments, no encoded or raw slash beyond the ones that
 * split segments, no character outside printable ASCII; and what the list allows does lie below the rule's
 * prefix.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/fatal.h"
#include "proto/allowlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_path(const char *path, size_t len)
{
    REQUIRE(len > 0 && path[0] == '/' && path[len] == '\0' && strlen(path) == len);
    for (size_t i = 0; i < len; i++) {
        REQUIRE(path[i] > 0x20 && path[i] < 0x7f && path[i] != '\\' && path[i] != '?' && path[i] != '#');
        if (path[i] == '%') {
            REQUIRE(i + 2 < len && strchr("0123456789ABCDEF", path[i + 1]) &&
                    strchr("0123456789ABCDEF", path[i + 2]));
            REQUIRE(strncmp(path + i, "%2F", 3) != 0 && strncmp(path + i, "%5C", 3) != 0 &&
                    strncmp(path + i, "%2E", 3) != 0 && strncmp(path + i, "%0", 2) != 0);
            REQUIRE(strncasecmp(path + i, "%252F", 5) != 0 && strncasecmp(path + i, "%252E", 5) != 0);
        }
    }
    REQUIRE(!strstr(path, "/../") && !strstr(path, "/./") && !strstr(path, "/..;") && !strstr(path, "/.;"));
    REQUIRE(len < 3 || strcmp(path + len - 3, "/..") != 0);
    REQUIRE(len < 2 || strcmp(path + len - 2, "/.") != 0);
}

static void check_stable(const struct canonical *c)
{
    static char again[CANONICAL_PATH_MAX + 1];
    struct canonical_authority authority;
    struct span query, path = {c->path, c->path_len};
    const char *why;
    size_t len;
    REQUIRE(canonical_path(path, again, &len, &query, &why) == ERR_OK);
    REQUIRE(len == c->path_len && memcmp(again, c->path, len) == 0 && query.len == 0);
    REQUIRE(canonical_authority(span_from(c->authority.host), c->authority.port, &authority, &why) == ERR_OK);
    REQUIRE(strcmp(authority.host, c->authority.host) == 0 && authority.port == c->authority.port);
    for (const char *h = authority.host; *h; h++)
        REQUIRE(*h > 0x20 && *h < 0x7f && !(*h >= 'A' && *h <= 'Z') && *h != '@' && *h != '/' && *h != '%');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct allowlist list;
    static struct canonical c;
    struct allowlist_verdict v;
    struct http_message m;
    char app[] = "/app", description[] = "d", host[] = "join.example.com", why[128];
    if (list.n == 0) {
        struct allowlist_rule rule = {.description = description,
                                      .host = host,
                                      .port = 443,
                                      .path = app,
                                      .methods = 1u << ALLOWLIST_GET};
        REQUIRE(allowlist_add(&list, &rule, why, sizeof why) == ERR_OK);
    }
    const uint8_t *lf = n ? memchr(data, '\n', n) : NULL;
    if (!lf || n > HTTP_TARGET_MAX)
        return 0;
    http_message_init(&m);
    http_message_set_method(&m, "GET", 3);
    http_message_set_authority(&m, (const char *)data, (size_t)(lf - data));
    http_message_set_path(&m, (const char *)lf + 1, n - (size_t)(lf - data) - 1);
    allowlist_judge(&list, &m, &c, &v);
    if (v.result != ALLOWLIST_MALFORMED) {
        check_path(c.path, c.path_len);
        check_stable(&c);
        REQUIRE(canonical_to_message(&c, &m) == ERR_OK);
    }
    if (v.result == ALLOWLIST_ALLOW) {
        REQUIRE(strcmp(c.authority.host, host) == 0 && c.authority.port == 443);
        REQUIRE(strncmp(c.path, "/app", 4) == 0 && (c.path[4] == '\0' || c.path[4] == '/'));
        struct span sent = http_message_path(&m);
        REQUIRE(sent.len >= c.path_len && memcmp(sent.at, c.path, c.path_len) == 0);
    } else {
        REQUIRE(v.status >= 400 && v.why[0]);
        for (const char *w = v.why; *w; w++)
            REQUIRE(*w >= 0x20 && *w < 0x7f);
    }
    http_message_free(&m);
    return 0;
}
