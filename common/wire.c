#include "common/wire.h"

#include <string.h>

struct wire_reader wire_reader(const void *data, size_t n)
{
    return (struct wire_reader){.at = data, .end = n ? (const uint8_t *)data + n : data, .err = ERR_OK};
}

const uint8_t *wire_get_bytes(struct wire_reader *r, size_t n)
{
    if (r->err != ERR_OK)
        return NULL;
    if ((size_t)(r->end - r->at) < n) {
        r->err = ERR_TRUNCATED;
        return NULL;
    }
    const uint8_t *p = r->at;
    r->at += n;
    return p;
}

static uint64_t wire_get(struct wire_reader *r, size_t n)
{
    const uint8_t *p = wire_get_bytes(r, n);
    uint64_t v = 0;
    for (size_t i = 0; p && i < n; i++)
        v = v << 8 | p[i];
    return v;
}

uint8_t wire_get_u8(struct wire_reader *r)
{
    return (uint8_t)wire_get(r, 1);
}
uint16_t wire_get_u16(struct wire_reader *r)
{
    return (uint16_t)wire_get(r, 2);
}
uint32_t wire_get_u32(struct wire_reader *r)
{
    return (uint32_t)wire_get(r, 4);
}
uint64_t wire_get_u64(struct wire_reader *r)
{
    return wire_get(r, 8);
}

struct wire_writer wire_writer(void *data, size_t n)
{
    return (struct wire_writer){.start = data, .at = data, .end = (uint8_t *)data + n, .err = ERR_OK};
}

static uint8_t *wire_claim(struct wire_writer *w, size_t n)
{
    if (w->err != ERR_OK)
        return NULL;
    if ((size_t)(w->end - w->at) < n) {
        w->err = ERR_FULL;
        return NULL;
    }
    uint8_t *p = w->at;
    w->at += n;
    return p;
}

static void wire_put(struct wire_writer *w, uint64_t v, size_t n)
{
    uint8_t *p = wire_claim(w, n);
    for (size_t i = n; p && i > 0; i--, v >>= 8)
        p[i - 1] = (uint8_t)v;
}

void wire_put_u8(struct wire_writer *w, uint8_t v)
{
    wire_put(w, v, 1);
}
void wire_put_u16(struct wire_writer *w, uint16_t v)
{
    wire_put(w, v, 2);
}
void wire_put_u32(struct wire_writer *w, uint32_t v)
{
    wire_put(w, v, 4);
}
void wire_put_u64(struct wire_writer *w, uint64_t v)
{
    wire_put(w, v, 8);
}

void wire_put_bytes(struct wire_writer *w, const void *data, size_t n)
{
    uint8_t *p = wire_claim(w, n);
    if (p && n)
        memcpy(p, data, n);
}

void wire_put_zeros(struct wire_writer *w, size_t n)
{
    uint8_t *p = wire_claim(w, n);
    if (p && n)
        memset(p, 0, n);
}
