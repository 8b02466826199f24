#include "proto/http_hygiene.h"

#include <stdio.h>
#include <string.h>

enum { FOLDED_MAX = 64 };

/* Gateways that hand fields on as variables (CGI and its heirs) do not tell "_" from "-": neither do we when
 * we look for names. None that is looked for is longer than FOLDED_MAX. */
static struct span fold(struct span name, char out[FOLDED_MAX])
{
    size_t n = name.len < FOLDED_MAX ? name.len : FOLDED_MAX;
    for (size_t i = 0; i < n; i++)
        out[i] = name.at[i] == '_' ? '-' : name.at[i];
    return (struct span){.at = out, .len = n};
}

static bool has_prefix(struct span name, const char *prefix)
{
    size_t n = strlen(prefix);
    return name.len >= n && memcmp(name.at, prefix, n) == 0;
}

static bool is_override(struct span name)
{
    return has_prefix(name, "x-http-method") || span_is(name, "x-method-override") ||
           span_is(name, "x-original-url") || span_is(name, "x-rewrite-url") ||
           span_is(name, "x-original-host") || span_is(name, "x-original-uri") || span_is(name, "x-host") ||
           span_is(name, "x-forwarded-uri") || span_is(name, "x-forwarded-path") ||
           span_is(name, "x-forwarded-prefix") || span_is(name, "x-forwarded-method") ||
           /* The true ones are no fields (http_message.h): these were spelt with "_". */
           span_is(name, "content-length") || span_is(name, "transfer-encoding");
}

static bool is_claim(struct span name)
{
    return has_prefix(name, "x-forwarded") || span_is(name, "x-real-ip") || span_is(name, "x-request-id") ||
           span_is(name, "x-client-ip") || span_is(name, "x-cluster-client-ip") ||
           span_is(name, "true-client-ip") || span_is(name, "forwarded") || has_prefix(name, "stile-");
}

static void strip(struct http_message *m, bool claims)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->n_fields; i++) {
        char folded[FOLDED_MAX];
        struct span name = http_message_name(m, i);
        /* Every one of them starts with one of five letters; many fields do not. */
        if (strchr("cfstx", name.at[0]))
            name = fold(name, folded);
        else
            name.len = 0;
        if (name.len && (is_override(name) || (claims && is_claim(name))))
            continue;
        m->fields[kept++] = m->fields[i];
    }
    m->n_fields = kept;
}

void http_hygiene_strip_overrides(struct http_message *m)
{
    strip(m, false);
}

enum err http_hygiene_request(struct http_message *m, const struct http_hygiene_origin *origin)
{
    char ip[NETADDR_TEXT], forwarded[512], host[300], via[32];
    struct span authority = http_message_authority(m);
    http_message_strip_hop_by_hop(m);
    strip(m, true);
    netaddr_print_ip(origin->client, ip);
    snprintf(host, sizeof host, "%.*s", (int)authority.len, authority.at);
    snprintf(via, sizeof via, "%s stile-edge", origin->received);
    if (origin->client->family == AF_INET6)
        snprintf(forwarded, sizeof forwarded, "for=\"[%s]\";host=\"%s\";proto=https", ip, host);
    else
        snprintf(forwarded, sizeof forwarded, "for=%s;host=\"%s\";proto=https", ip, host);
    enum err e = http_message_add_str(m, "x-forwarded-for", ip);
    if (e == ERR_OK)
        e = http_message_add_str(m, "x-forwarded-proto", "https");
    if (e == ERR_OK)
        e = http_message_add_str(m, "x-forwarded-host", host);
    if (e == ERR_OK)
        e = http_message_add_str(m, "x-real-ip", ip);
    if (e == ERR_OK)
        e = http_message_add_str(m, "forwarded", forwarded);
    if (e == ERR_OK)
        e = http_message_add_str(m, "x-request-id", origin->request_id);
    return e == ERR_OK ? http_message_add_str(m, "via", via) : e;
}

void http_hygiene_response(struct http_message *m)
{
    size_t kept = 0;
    http_message_strip_hop_by_hop(m);
    for (size_t i = 0; i < m->n_fields; i++) {
        struct span name = http_message_name(m, i);
        if (!span_is(name, "alt-svc") && !has_prefix(name, "stile-"))
            m->fields[kept++] = m->fields[i];
    }
    m->n_fields = kept;
}
