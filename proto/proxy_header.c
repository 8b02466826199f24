#include "proto/proxy_header.h"

#include <string.h>

#include "common/wire.h"

/* Sections are those of "The PROXY protocol, Versions 1 & 2". */
static const uint8_t v1_signature[] = {'P', 'R', 'O', 'X', 'Y', ' '};
static const uint8_t v2_signature[] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

enum {
    V2_HEAD = 16,
    V2_LOCAL = 0x20, /* version and command */
    V2_PROXY = 0x21,
    V2_TCP4 = 0x11, /* family and transport */
    V2_TCP6 = 0x21,
    V2_UNIX_STREAM = 0x31,
    V2_UNSPEC = 0x00,
};

static enum err malformed(const char **why, const char *words)
{
    *why = words;
    return ERR_MALFORMED;
}

static bool begins_with(const uint8_t *data, size_t n, const uint8_t *signature, size_t size)
{
    return memcmp(data, signature, n < size ? n : size) == 0;
}

bool proxy_header_begins(const uint8_t *data, size_t n)
{
    return begins_with(data, n, v1_signature, sizeof v1_signature) ||
           begins_with(data, n, v2_signature, sizeof v2_signature);
}

/* Version 1 (§2.1): one line of text -------------------------------------------------------------------- */

/* Cuts the line at the next space; "" when there is none left. */
static const char *word_next(char **line)
{
    char *word = *line, *space = strchr(word, ' ');
    if (space)
        *space++ = '\0';
    *line = space ? space : word + strlen(word);
    return word;
}

static bool address_read(const char *text, uint8_t family, struct netaddr *out)
{
    bool six = strchr(text, ':') != NULL;
    /* Brackets and ports, which netaddr_parse would take, are none of this format. */
    return six == (family == AF_INET6) && text[strspn(text, "0123456789abcdefABCDEF.:")] == '\0' &&
           (six || strlen(text) <= 15) && netaddr_parse(text, 0, out) == ERR_OK && out->port == 0;
}

/* §2.1: 0 to 65535, no leading zeros. */
static bool port_read(const char *text, uint16_t *out)
{
    unsigned value = 0;
    size_t n = strlen(text);
    if (n < 1 || n > 5 || (text[0] == '0' && n > 1))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    *out = (uint16_t)value;
    return value <= UINT16_MAX;
}

static enum err v1_line(char *line, struct proxy_header *out, const char **why)
{
    struct proxy_header h = {0};
    const char *protocol = word_next(&line);
    if (strcmp(protocol, "UNKNOWN") == 0) { /* what follows is to be ignored */
        *out = (struct proxy_header){.local = true};
        return ERR_OK;
    }
    if (strcmp(protocol, "TCP4") != 0 && strcmp(protocol, "TCP6") != 0)
        return malformed(why, "PROXY header: TCP4, TCP6 or UNKNOWN is wanted");
    uint8_t family = protocol[3] == '4' ? AF_INET : AF_INET6;
    if (!address_read(word_next(&line), family, &h.client) ||
        !address_read(word_next(&line), family, &h.server))
        return malformed(why, "PROXY header: an address is not one of its family");
    const char *client_port = word_next(&line), *server_port = word_next(&line);
    if (!port_read(client_port, &h.client.port) || !port_read(server_port, &h.server.port) || *line)
        return malformed(why, "PROXY header: two ports are wanted at its end");
    if (h.client.family != h.server.family)
        return malformed(why, "PROXY header: two families of addresses");
    *out = h;
    return ERR_OK;
}

static enum err v1_parse(const uint8_t *data, size_t n, struct proxy_header *out, size_t *used,
                         const char **why)
{
    char line[PROXY_HEADER_V1_MAX + 1];
    size_t most = n < PROXY_HEADER_V1_MAX ? n : PROXY_HEADER_V1_MAX;
    const uint8_t *end = memchr(data, '\n', most);
    if (!end && n < PROXY_HEADER_V1_MAX)
        return ERR_AGAIN;
    if (!end || end[-1] != '\r')
        return malformed(why, "PROXY header: not ended by CRLF within 107 bytes");
    size_t len = (size_t)(end - 1 - data) - sizeof v1_signature;
    memcpy(line, data + sizeof v1_signature, len);
    line[len] = '\0';
    if (strlen(line) != len)
        return malformed(why, "PROXY header: a NUL byte in its text");
    *used = (size_t)(end + 1 - data);
    return v1_line(line, out, why);
}

/* Version 2 (§2.2): binary ----------------------------------------------------------------------------- */

static void v2_address(struct wire_reader *r, uint8_t family, struct netaddr *out)
{
    const uint8_t *ip = wire_get_bytes(r, netaddr_ip_len(family));
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    if (!ip)
        return;
    memcpy(family == AF_INET ? (void *)&four.sin_addr : (void *)&six.sin6_addr, ip, netaddr_ip_len(family));
    if (family == AF_INET) /* mapped addresses become IPv4 on the way */
        (void)netaddr_from_sockaddr((struct sockaddr *)&four, sizeof four, out);
    else
        (void)netaddr_from_sockaddr((struct sockaddr *)&six, sizeof six, out);
}

/* §2.2.1 to 2.2.3: type-length-value, read over, but they must fill the header exactly. */
static bool v2_extensions_right(struct wire_reader *r)
{
    while (wire_left(r) > 0) {
        wire_get_u8(r);
        wire_get_bytes(r, wire_get_u16(r));
    }
    return r->err == ERR_OK;
}

static enum err v2_addresses(struct wire_reader *r, uint8_t family, struct proxy_header *out,
                             const char **why)
{
    struct proxy_header h = {0};
    v2_address(r, family, &h.client);
    v2_address(r, family, &h.server);
    h.client.port = wire_get_u16(r);
    h.server.port = wire_get_u16(r);
    if (!v2_extensions_right(r))
        return malformed(why, "PROXY header: shorter or longer than what it holds");
    if (h.client.family != h.server.family)
        return malformed(why, "PROXY header: two families of addresses");
    *out = h;
    return ERR_OK;
}

static enum err v2_parse(const uint8_t *data, size_t n, struct proxy_header *out, size_t *used,
                         const char **why)
{
    struct wire_reader r = wire_reader(data, n);
    wire_get_bytes(&r, sizeof v2_signature);
    uint8_t command = wire_get_u8(&r), kind = wire_get_u8(&r);
    size_t len = wire_get_u16(&r);
    if (r.err != ERR_OK)
        return ERR_AGAIN;
    if (command != V2_LOCAL && command != V2_PROXY)
        return malformed(why, "PROXY header: neither version 2 LOCAL nor PROXY");
    if (V2_HEAD + len > PROXY_HEADER_MAX)
        return malformed(why, "PROXY header: longer than 2048 bytes");
    if (wire_left(&r) < len)
        return ERR_AGAIN;
    *used = V2_HEAD + len;
    if (command == V2_LOCAL || kind == V2_UNSPEC || kind == V2_UNIX_STREAM) {
        *out = (struct proxy_header){.local = true};
        return ERR_OK;
    }
    if (kind != V2_TCP4 && kind != V2_TCP6)
        return malformed(why, "PROXY header: for another protocol than TCP");
    struct wire_reader rest = wire_reader(wire_get_bytes(&r, len), len);
    return v2_addresses(&rest, kind == V2_TCP4 ? AF_INET : AF_INET6, out, why);
}

enum err proxy_header_parse(const uint8_t *data, size_t n, struct proxy_header *out, size_t *used,
                            const char **why)
{
    if (n == 0)
        return ERR_AGAIN;
    if (!proxy_header_begins(data, n))
        return malformed(why, "PROXY header: there is none");
    if (data[0] == v1_signature[0])
        return n < sizeof v1_signature ? ERR_AGAIN : v1_parse(data, n, out, used, why);
    return v2_parse(data, n, out, used, why);
}
