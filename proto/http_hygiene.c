#include "proto/http_hygiene.h"

#include <string.h>

enum { FOLDED_MAX = 64, HOST_MAX = 300 };

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
    return has_prefix(name, "x-http-") || has_prefix(name, "x-original-") || has_prefix(name, "x-rewrite-") ||
           has_prefix(name, "x-override-") || span_is(name, "x-method-override") || span_is(name, "x-host") ||
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

static char *put(char *at, struct span s)
{
    memcpy(at, s.at, s.len);
    return at + s.len;
}

/* RFC 7239 §4. An IPv6 address stands in brackets, and therefore in quotes. */
static enum err add_forwarded(struct http_message *m, int family, struct span ip, struct span host)
{
    char text[NETADDR_TEXT + HOST_MAX + 64], *at = text;
    bool brackets = family == AF_INET6;
    at = put(at, span_from(brackets ? "for=\"[" : "for="));
    at = put(at, ip);
    at = put(at, span_from(brackets ? "]\";host=\"" : ";host=\""));
    at = put(at, host);
    at = put(at, span_from("\";proto=https"));
    return http_message_add(m, "forwarded", 9, text, (size_t)(at - text));
}

/* RFC 9110 §7.6.3: the version that the message came in with. */
static enum err add_via(struct http_message *m, struct span received)
{
    char text[32];
    if (received.len > 8)
        return ERR_MALFORMED;
    char *end = put(put(text, received), span_from(" stile-edge"));
    return http_message_add(m, "via", 3, text, (size_t)(end - text));
}

/* Who the client is and what it asked for, in our words. */
static enum err add_client(struct http_message *m, const struct netaddr *client)
{
    char ip_text[NETADDR_TEXT], host_text[HOST_MAX];
    struct span ip = span_from(netaddr_print_ip(client, ip_text)), host = http_message_authority(m);
    host.len = host.len < HOST_MAX ? host.len : HOST_MAX;
    host.at = memcpy(host_text, host.at, host.len); /* adding moves the message's text */
    enum err e = http_message_add(m, "x-forwarded-for", 15, ip.at, ip.len);
    if (e == ERR_OK)
        e = http_message_add(m, "x-forwarded-proto", 17, "https", 5);
    if (e == ERR_OK)
        e = http_message_add(m, "x-forwarded-host", 16, host.at, host.len);
    if (e == ERR_OK)
        e = http_message_add(m, "x-real-ip", 9, ip.at, ip.len);
    return e == ERR_OK ? add_forwarded(m, client->family, ip, host) : e;
}

enum err http_hygiene_request(struct http_message *m, const struct http_hygiene_origin *origin)
{
    http_message_strip_hop_by_hop(m);
    strip(m, true);
    enum err e = add_client(m, origin->client);
    if (e == ERR_OK)
        e = http_message_add_str(m, "x-request-id", origin->request_id);
    return e == ERR_OK ? add_via(m, span_from(origin->received)) : e;
}

/* The value of a field, which must be there once, in out; "" when it is not, or too long. */
static const char *one_value(const struct http_message *m, const char *name, char *out, size_t size)
{
    struct span value = http_message_find(m, name);
    size_t n = value.at && value.len < size && http_message_count(m, name) == 1 ? value.len : 0;
    if (n)
        memcpy(out, value.at, n);
    out[n] = '\0';
    return out;
}

enum err http_hygiene_restate(struct http_message *m)
{
    static const char id_characters[] = "0123456789abcdef";
    char ip[NETADDR_TEXT], id[65];
    struct netaddr client;
    bool known = netaddr_parse(one_value(m, "x-forwarded-for", ip, sizeof ip), 0, &client) == ERR_OK;
    one_value(m, "x-request-id", id, sizeof id);
    strip(m, true);
    enum err e = known ? add_client(m, &client) : ERR_OK;
    if (e == ERR_OK && *id && strspn(id, id_characters) == strlen(id))
        e = http_message_add_str(m, "x-request-id", id);
    return e;
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
