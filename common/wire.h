/*
 * Bounded cursors over bytes from or for the network, big-endian, with a sticky error: after the first
 * failure every call does nothing and returns zero, so that a codec checks the error once, at its end. They
 * borrow the memory they walk over.
 */
#ifndef COMMON_WIRE_H
#define COMMON_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct wire_reader {
    const uint8_t *at, *end;
    enum err err;
};

struct wire_writer {
    uint8_t *start, *at, *end;
    enum err err;
};

struct wire_reader wire_reader(const void *data, size_t n);
static inline size_t wire_left(const struct wire_reader *r)
{
    return r->err == ERR_OK ? (size_t)(r->end - r->at) : 0;
}
uint8_t wire_get_u8(struct wire_reader *r);
uint16_t wire_get_u16(struct wire_reader *r);
uint32_t wire_get_u32(struct wire_reader *r);
uint64_t wire_get_u64(struct wire_reader *r);
/* The next n bytes, inside the memory being read; NULL with ERR_TRUNCATED when there are fewer. */
const uint8_t *wire_get_bytes(struct wire_reader *r, size_t n);

struct wire_writer wire_writer(void *data, size_t n);
static inline size_t wire_written(const struct wire_writer *w)
{
    return (size_t)(w->at - w->start);
}
void wire_put_u8(struct wire_writer *w, uint8_t v);
void wire_put_u16(struct wire_writer *w, uint16_t v);
void wire_put_u32(struct wire_writer *w, uint32_t v);
void wire_put_u64(struct wire_writer *w, uint64_t v);
void wire_put_bytes(struct wire_writer *w, const void *data, size_t n);
void wire_put_zeros(struct wire_writer *w, size_t n);

#endif
