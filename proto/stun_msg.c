#include "proto/stun_msg.h"

#include <string.h>

uint16_t stun_type(uint16_t method, enum stun_class class)
{
    /* RFC 8489 §5: the two class bits sit between the bits of the method. */
    unsigned m = method, c = class;
    return (uint16_t)((m & 0x0f80) << 2 | (m & 0x0070) << 1 | (m & 0x000f) | (c & 2) << 7 | (c & 1) << 4);
}

const char *stun_method_name(uint16_t method)
{
    switch (method) {
#define X(name, number, words)                                                                               \
    case number:                                                                                             \
        return words;
        STUN_METHOD_TABLE(X)
#undef X
    default:
        return "unknown";
    }
}

const char *stun_error_reason(int code)
{
    switch (code) {
#define X(number, words)                                                                                     \
    case number:                                                                                             \
        return words;
        STUN_ERROR_TABLE(X)
#undef X
    default:
        return "";
    }
}

bool stun_is(const uint8_t *packet, size_t n)
{
    return n >= STUN_HEADER && packet[0] < 0x40 && packet[4] == (STUN_COOKIE >> 24) &&
           packet[5] == (STUN_COOKIE >> 16 & 0xff) && packet[6] == (STUN_COOKIE >> 8 & 0xff) &&
           packet[7] == (STUN_COOKIE & 0xff);
}

/* One attribute, with its padding, off the reader. False at the end and on error. */
static bool stun_take(struct wire_reader *r, uint16_t *type, struct stun_value *value)
{
    if (wire_left(r) == 0)
        return false;
    *type = wire_get_u16(r);
    value->len = wire_get_u16(r);
    value->at = wire_get_bytes(r, value->len);
    wire_get_bytes(r, (4 - value->len % 4) % 4);
    return r->err == ERR_OK;
}

static void stun_note(struct stun_msg *m, uint16_t type, struct stun_value value)
{
    enum stun_attr a = stun_attr_of_type(type);
    if (a == STUN_ATTR_COUNT) {
        if (stun_type_is_required(type) && m->n_unknown < STUN_UNKNOWN_MAX)
            m->unknown[m->n_unknown++] = type;
        return;
    }
    const struct stun_attr_row *row = stun_attr_row(a);
    if (stun_has(m, a))
        return;
    if (value.len < row->least || value.len > row->most) {
        m->wrong_size = true;
        return;
    }
    m->values[a].at = (uint16_t)(value.at - m->data);
    m->values[a].len = (uint16_t)value.len;
}

/* Behind MESSAGE-INTEGRITY only its SHA-256 form and FINGERPRINT count, behind that form only FINGERPRINT
 * (RFC 8489 §14.5, §14.6). */
static bool stun_counts(const struct stun_msg *m, uint16_t type)
{
    if (type == stun_attr_row(STUN_FINGERPRINT)->type)
        return true;
    if (stun_has(m, STUN_MESSAGE_INTEGRITY_SHA256))
        return false;
    return !stun_has(m, STUN_MESSAGE_INTEGRITY) || type == stun_attr_row(STUN_MESSAGE_INTEGRITY_SHA256)->type;
}

/* Where the attributes end that count: in front of whichever integrity comes first. */
static size_t stun_counted_end(const struct stun_msg *m)
{
    enum { ATTR_HEADER = 4 };
    if (stun_has(m, STUN_MESSAGE_INTEGRITY)) /* always in front of the other, if both are there */
        return m->values[STUN_MESSAGE_INTEGRITY].at - (size_t)ATTR_HEADER;
    if (stun_has(m, STUN_MESSAGE_INTEGRITY_SHA256))
        return m->values[STUN_MESSAGE_INTEGRITY_SHA256].at - (size_t)ATTR_HEADER;
    return m->size;
}

enum err stun_parse(const uint8_t *packet, size_t n, struct stun_msg *out)
{
    if (n < STUN_HEADER)
        return ERR_TRUNCATED;
    if (!stun_is(packet, n) || n > UINT16_MAX)
        return ERR_MALFORMED;
    unsigned type = (unsigned)packet[0] << 8 | packet[1];
    size_t len = (size_t)packet[2] << 8 | packet[3];
    if (len % 4 || len != n - STUN_HEADER)
        return ERR_MALFORMED;

    struct stun_msg m = {.data = packet,
                         .size = n,
                         .method = (uint16_t)((type & 0x3e00) >> 2 | (type & 0x00e0) >> 1 | (type & 0x000f)),
                         .class = (enum stun_class)((type & 0x0100) >> 7 | (type & 0x0010) >> 4),
                         .transaction = packet + 8};
    struct wire_reader r = wire_reader(packet + STUN_HEADER, len);
    uint16_t attr;
    struct stun_value value;
    while (stun_take(&r, &attr, &value)) {
        if (stun_has(&m, STUN_FINGERPRINT))
            return ERR_MALFORMED; /* RFC 8489 §14.7: it is the last one */
        if (stun_counts(&m, attr))
            stun_note(&m, attr, value);
    }
    if (r.err != ERR_OK)
        return ERR_MALFORMED;
    *out = m;
    return ERR_OK;
}

enum err stun_get_u32(const struct stun_msg *m, enum stun_attr a, uint32_t *out)
{
    struct stun_value v = stun_get(m, a);
    if (!v.at)
        return ERR_NOT_FOUND;
    if (v.len != 4)
        return ERR_MALFORMED;
    struct wire_reader r = wire_reader(v.at, v.len);
    *out = wire_get_u32(&r);
    return ERR_OK;
}

/* The bytes that addresses are xored with: cookie, then transaction (RFC 8489 §14.2). Both lie in the header.
 */
static void stun_xor(const uint8_t cookie_and_transaction[16], uint8_t *ip, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ip[i] ^= cookie_and_transaction[i];
}

enum err stun_xor_address(const struct stun_msg *m, struct stun_value value, struct netaddr *out)
{
    struct wire_reader r = wire_reader(value.at, value.len);
    struct netaddr a = {0};
    wire_get_u8(&r);
    uint8_t family = wire_get_u8(&r);
    a.port = wire_get_u16(&r) ^ (uint16_t)(STUN_COOKIE >> 16);
    if (r.err != ERR_OK)
        return ERR_MALFORMED;
    if (family != 1 && family != 2)
        return ERR_UNSUPPORTED;
    a.family = family == 1 ? AF_INET : AF_INET6;
    size_t n = netaddr_ip_len(a.family);
    const uint8_t *ip = wire_get_bytes(&r, n);
    if (!ip || wire_left(&r))
        return ERR_MALFORMED;
    memcpy(a.ip, ip, n);
    stun_xor(m->data + 4, a.ip, n);
    *out = a;
    return ERR_OK;
}

enum err stun_get_xor_address(const struct stun_msg *m, enum stun_attr a, struct netaddr *out)
{
    struct stun_value v = stun_get(m, a);
    return v.at ? stun_xor_address(m, v, out) : ERR_NOT_FOUND;
}

bool stun_next(const struct stun_msg *m, enum stun_attr a, struct stun_value *cursor)
{
    size_t at = STUN_HEADER;
    size_t end = stun_counted_end(m);
    if (cursor->at)
        at = (size_t)(cursor->at - m->data) + ((cursor->len + 3) & ~(size_t)3);
    if (at >= end)
        return false;
    struct wire_reader r = wire_reader(m->data + at, end - at);
    struct stun_value value;
    uint16_t type;
    while (stun_take(&r, &type, &value))
        if (type == stun_attr_row(a)->type) {
            *cursor = value;
            return true;
        }
    return false;
}

enum err stun_get_error(const struct stun_msg *m, int *code)
{
    struct stun_value v = stun_get(m, STUN_ERROR_CODE);
    if (!v.at)
        return ERR_NOT_FOUND;
    int class = v.at[2] & 7, number = v.at[3];
    if (class < 3 || class > 6 || number > 99)
        return ERR_MALFORMED;
    *code = class * 100 + number;
    return ERR_OK;
}

void stun_begin(struct stun_writer *w, void *memory, size_t size, uint16_t method, enum stun_class class,
                const uint8_t transaction[STUN_TRANSACTION])
{
    w->wire = wire_writer(memory, size);
    memcpy(w->transaction, transaction, STUN_TRANSACTION);
    wire_put_u16(&w->wire, stun_type(method, class));
    wire_put_u16(&w->wire, 0); /* length: stun_end */
    wire_put_u32(&w->wire, STUN_COOKIE);
    wire_put_bytes(&w->wire, transaction, STUN_TRANSACTION);
}

static void stun_put_header(struct stun_writer *w, enum stun_attr a, size_t n)
{
    if (n > UINT16_MAX)
        w->wire.err = ERR_TOO_LONG;
    wire_put_u16(&w->wire, stun_attr_row(a)->type);
    wire_put_u16(&w->wire, (uint16_t)n);
}

void stun_put(struct stun_writer *w, enum stun_attr a, const void *value, size_t n)
{
    stun_put_header(w, a, n);
    wire_put_bytes(&w->wire, value, n);
    wire_put_zeros(&w->wire, (4 - n % 4) % 4);
}

void stun_put_around(struct stun_writer *w, enum stun_attr a, size_t n)
{
    stun_put_header(w, a, n);
    if (w->wire.err == ERR_OK && (size_t)(w->wire.end - w->wire.at) < n)
        w->wire.err = ERR_FULL;
    if (w->wire.err == ERR_OK)
        w->wire.at += n;
    wire_put_zeros(&w->wire, (4 - n % 4) % 4);
}

void stun_put_u32(struct stun_writer *w, enum stun_attr a, uint32_t value)
{
    stun_put_header(w, a, 4);
    wire_put_u32(&w->wire, value);
}

void stun_put_xor_address(struct stun_writer *w, enum stun_attr a, const struct netaddr *address)
{
    uint8_t mask[16], ip[16];
    size_t n = netaddr_ip_len(address->family);
    struct wire_writer m = wire_writer(mask, sizeof mask);
    wire_put_u32(&m, STUN_COOKIE);
    wire_put_bytes(&m, w->transaction, STUN_TRANSACTION);
    memcpy(ip, address->ip, sizeof ip);
    stun_xor(mask, ip, n);
    stun_put_header(w, a, 4 + n);
    wire_put_u8(&w->wire, 0);
    wire_put_u8(&w->wire, address->family == AF_INET ? 1 : 2);
    wire_put_u16(&w->wire, address->port ^ (uint16_t)(STUN_COOKIE >> 16));
    wire_put_bytes(&w->wire, ip, n);
}

void stun_put_error(struct stun_writer *w, enum stun_attr a, int code, const char *reason)
{
    size_t n = strlen(reason);
    stun_put_header(w, a, 4 + n); /* the length is without the padding, RFC 8489 §14 */
    wire_put_u16(&w->wire, 0);
    wire_put_u8(&w->wire, (uint8_t)(code / 100));
    wire_put_u8(&w->wire, (uint8_t)(code % 100));
    wire_put_bytes(&w->wire, reason, n);
    wire_put_zeros(&w->wire, (4 - n % 4) % 4);
}

void stun_put_unknown(struct stun_writer *w, const uint16_t *types, unsigned n)
{
    stun_put_header(w, STUN_UNKNOWN_ATTRIBUTES, n * 2);
    for (unsigned i = 0; i < n; i++)
        wire_put_u16(&w->wire, types[i]);
    wire_put_zeros(&w->wire, n % 2 * 2);
}

static void stun_put_length(struct stun_writer *w, size_t len)
{
    if (w->wire.err != ERR_OK)
        return;
    w->wire.start[2] = (uint8_t)(len >> 8);
    w->wire.start[3] = (uint8_t)len;
}

enum err stun_end(struct stun_writer *w, size_t *n)
{
    size_t written = wire_written(&w->wire);
    if (w->wire.err == ERR_OK && written - STUN_HEADER > UINT16_MAX)
        w->wire.err = ERR_TOO_LONG;
    if (w->wire.err != ERR_OK)
        return w->wire.err;
    stun_put_length(w, written - STUN_HEADER);
    *n = written;
    return ERR_OK;
}
