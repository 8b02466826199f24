#include "common/netaddr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/digits.h"

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static void netaddr_set_ip6(struct netaddr *a, const uint8_t ip[16])
{
    memset(a->ip, 0, sizeof a->ip);
    if (memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0) {
        a->family = AF_INET;
        memcpy(a->ip, ip + 12, 4);
    } else {
        a->family = AF_INET6;
        memcpy(a->ip, ip, 16);
    }
}

static enum err netaddr_parse_ip(const char *text, struct netaddr *out)
{
    struct netaddr a = {0};
    uint8_t ip6[16];
    if (inet_pton(AF_INET, text, a.ip) == 1)
        a.family = AF_INET;
    else if (inet_pton(AF_INET6, text, ip6) == 1)
        netaddr_set_ip6(&a, ip6);
    else
        return ERR_MALFORMED;
    *out = a;
    return ERR_OK;
}

enum err netaddr_parse(const char *text, uint16_t default_port, struct netaddr *out)
{
    char host[256];
    struct netaddr a;
    uint16_t port;
    enum err e = hostport_parse(text, default_port, host, &port);
    if (e == ERR_OK)
        e = netaddr_parse_ip(host, &a);
    if (e != ERR_OK)
        return ERR_MALFORMED;
    a.port = port;
    *out = a;
    return ERR_OK;
}

const char *netaddr_print_ip(const struct netaddr *a, char *text)
{
    if (a->family == AF_INET) { /* with every request */
        char *at = text;
        for (int i = 0; i < 4; i++) {
            at = digits_put(at, a->ip[i]);
            *at++ = i < 3 ? '.' : '\0';
        }
        return text;
    }
    if (!netaddr_ip_len(a->family) || !inet_ntop(a->family, a->ip, text, NETADDR_TEXT))
        snprintf(text, NETADDR_TEXT, "none");
    return text;
}

const char *netaddr_print(const struct netaddr *a, char *text)
{
    char ip[NETADDR_TEXT];
    netaddr_print_ip(a, ip);
    if (a->port == 0)
        snprintf(text, NETADDR_TEXT, "%.50s", ip);
    else
        snprintf(text, NETADDR_TEXT, a->family == AF_INET6 ? "[%.50s]:%u" : "%.50s:%u", ip, a->port);
    return text;
}

enum err netaddr_from_sockaddr(const struct sockaddr *sa, socklen_t n, struct netaddr *out)
{
    struct netaddr a = {0};
    if (sa->sa_family == AF_INET && n >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        a.family = AF_INET;
        a.port = ntohs(in.sin_port);
        memcpy(a.ip, &in.sin_addr, 4);
    } else if (sa->sa_family == AF_INET6 && n >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof in6);
        netaddr_set_ip6(&a, in6.sin6_addr.s6_addr);
        a.port = ntohs(in6.sin6_port);
    } else {
        return ERR_UNSUPPORTED;
    }
    *out = a;
    return ERR_OK;
}

socklen_t netaddr_to_sockaddr(const struct netaddr *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (a->family == AF_INET) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
        memcpy(&in.sin_addr, a->ip, 4);
        memcpy(out, &in, sizeof in);
        return sizeof in;
    }
    if (a->family == AF_INET6) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
        memcpy(&in6.sin6_addr, a->ip, 16);
        memcpy(out, &in6, sizeof in6);
        return sizeof in6;
    }
    return sizeof(sa_family_t);
}

socklen_t netaddr_to_sockaddr_mapped(const struct netaddr *a, struct sockaddr_storage *out)
{
    struct netaddr wide = *a;
    if (a->family == AF_INET) {
        wide.family = AF_INET6;
        memcpy(wide.ip, mapped_prefix, 12);
        memcpy(wide.ip + 12, a->ip, 4);
    }
    return netaddr_to_sockaddr(&wide, out);
}

bool netaddr_equal_ip(const struct netaddr *a, const struct netaddr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, netaddr_ip_len(a->family)) == 0;
}

bool netaddr_equal(const struct netaddr *a, const struct netaddr *b)
{
    return a->port == b->port && netaddr_equal_ip(a, b);
}

bool netaddr_is_any(const struct netaddr *a)
{
    static const uint8_t zero[16];
    return memcmp(a->ip, zero, netaddr_ip_len(a->family)) == 0;
}

static uint8_t netcidr_mask_byte(unsigned bits, unsigned index)
{
    if (bits >= (index + 1) * 8)
        return 0xff;
    if (bits <= index * 8)
        return 0;
    return (uint8_t)(0xffU << (8 - (bits - index * 8)));
}

enum err netcidr_parse(const char *text, struct netcidr *out)
{
    char ip[NETADDR_TEXT];
    struct netaddr a;
    size_t n = strcspn(text, "/");
    if (n >= sizeof ip)
        return ERR_MALFORMED;
    memcpy(ip, text, n);
    ip[n] = '\0';
    if (netaddr_parse_ip(ip, &a) != ERR_OK)
        return ERR_MALFORMED;
    unsigned long most = netaddr_ip_len(a.family) * 8UL, bits = most;
    if (text[n] == '/') {
        char *end;
        if (text[n + 1] < '0' || text[n + 1] > '9')
            return ERR_MALFORMED;
        bits = strtoul(text + n + 1, &end, 10);
        if (*end || bits > most)
            return ERR_MALFORMED;
    }
    for (unsigned i = 0; i < most / 8; i++)
        if (a.ip[i] & (uint8_t)~netcidr_mask_byte((unsigned)bits, i))
            return ERR_MALFORMED;
    *out = (struct netcidr){.family = a.family, .bits = (uint8_t)bits};
    memcpy(out->ip, a.ip, sizeof a.ip);
    return ERR_OK;
}

bool netcidr_contains(const struct netcidr *net, const struct netaddr *a)
{
    if (net->family != a->family)
        return false;
    for (unsigned i = 0; i * 8U < net->bits; i++)
        if ((net->ip[i] ^ a->ip[i]) & netcidr_mask_byte(net->bits, i))
            return false;
    return true;
}

const char *netcidr_print(const struct netcidr *net, char *text)
{
    char ip[INET6_ADDRSTRLEN];
    if (!inet_ntop(net->family, net->ip, ip, sizeof ip))
        snprintf(ip, sizeof ip, "none");
    snprintf(text, NETADDR_TEXT, "%s/%u", ip, net->bits);
    return text;
}

enum err hostport_parse(const char *text, uint16_t default_port, char host[256], uint16_t *port)
{
    const char *name = text, *colon = strrchr(text, ':');
    size_t n = strlen(text);
    unsigned long value = default_port;
    if (text[0] == '[') {
        const char *close = strchr(text, ']');
        if (!close || (close[1] && close[1] != ':'))
            return ERR_MALFORMED;
        name = text + 1;
        n = (size_t)(close - name);
        colon = close[1] ? close + 1 : NULL;
    } else if (colon && strchr(text, ':') == colon) {
        n = (size_t)(colon - text);
    } else {
        colon = NULL; /* no port, or a bare IPv6 address */
    }
    if (colon) {
        char *end;
        if (colon[1] < '0' || colon[1] > '9')
            return ERR_MALFORMED;
        value = strtoul(colon + 1, &end, 10);
        if (*end || value == 0 || value > 65535)
            return ERR_MALFORMED;
    }
    if (n == 0)
        return ERR_MALFORMED;
    if (n > 255)
        return ERR_TOO_LONG;
    memcpy(host, name, n);
    host[n] = '\0';
    *port = (uint16_t)value;
    return ERR_OK;
}
