#include "common/admin/admin_credentials.h"

#include <string.h>
#include <strings.h>

static void credential_set(char out[ADMIN_CREDENTIAL_MAX], const char *at, size_t n)
{
    bool fits = n < ADMIN_CREDENTIAL_MAX;
    for (size_t i = 0; i < n && fits; i++)
        fits = at[i] > 0x20 && at[i] < 0x7f;
    if (!fits)
        n = 0;
    memcpy(out, at, n);
    out[n] = '\0';
}

/* RFC 6265 §4.2.1: pairs with "; " between them. */
static unsigned cookie_find(struct span cookies, struct span *value)
{
    static const char name[] = ADMIN_COOKIE "=";
    unsigned found = 0;
    while (cookies.len > 0) {
        const char *semicolon = memchr(cookies.at, ';', cookies.len);
        size_t n = semicolon ? (size_t)(semicolon - cookies.at) : cookies.len;
        const char *at = cookies.at;
        size_t skip = n + (semicolon != NULL);
        while (n > 0 && *at == ' ')
            at++, n--;
        if (n >= sizeof name - 1 && memcmp(at, name, sizeof name - 1) == 0) {
            *value = (struct span){at + sizeof name - 1, n - (sizeof name - 1)};
            found++;
        }
        cookies.at += skip;
        cookies.len -= skip;
    }
    return found;
}

void admin_credentials_read(const struct http_message *m, struct admin_credentials *out)
{
    static const char scheme[] = "bearer ";
    struct span value = {0}, one;
    unsigned cookies = 0;
    *out = (struct admin_credentials){0};
    for (size_t i = 0; i < m->n_fields; i++)
        if (span_is(http_message_name(m, i), "cookie"))
            cookies += cookie_find(http_message_value(m, i), &value);
    if (cookies == 1)
        credential_set(out->session, value.at, value.len);
    one = http_message_find(m, "authorization");
    if (http_message_count(m, "authorization") == 1 && one.len > sizeof scheme - 1 &&
        strncasecmp(one.at, scheme, sizeof scheme - 1) == 0)
        credential_set(out->bearer, one.at + sizeof scheme - 1, one.len - (sizeof scheme - 1));
    one = http_message_find(m, "x-csrf-token");
    if (http_message_count(m, "x-csrf-token") == 1)
        credential_set(out->csrf, one.at, one.len);
}
