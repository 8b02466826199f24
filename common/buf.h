/*
 * A byte queue: appended at the end, consumed at the front, in one piece of memory, never above its limit.
 * The owner embeds the struct and calls buf_init and buf_free. Pointers into it live until the next call that
 * appends to it or frees it. An empty buf holds no memory.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct buf {
    uint8_t *mem;
    size_t head;  /* first unread byte */
    size_t len;   /* unread bytes */
    size_t size;  /* allocated */
    size_t limit; /* most unread bytes ever held */
};

void buf_init(struct buf *b, size_t limit);
/* Frees the memory; the buf is empty afterwards and may be used again. */
void buf_free(struct buf *b);
/* Like buf_free, but overwrites what it held: for secrets. */
void buf_wipe(struct buf *b);

static inline size_t buf_len(const struct buf *b)
{
    return b->len;
}
static inline uint8_t *buf_data(const struct buf *b)
{
    return b->mem ? b->mem + b->head : NULL;
}
/* How many bytes may still be appended. */
static inline size_t buf_room(const struct buf *b)
{
    return b->limit - b->len;
}

/* Appends n bytes; ERR_FULL above the limit, ERR_MEMORY; unchanged on error. */
enum err buf_append(struct buf *b, const void *data, size_t n);
enum err buf_append_str(struct buf *b, const char *s);
enum err buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Room for n bytes at the end, to be written in place and then claimed with buf_commit. */
enum err buf_reserve(struct buf *b, size_t n, uint8_t **out);
void buf_commit(struct buf *b, size_t n);
/* Drops n ≤ buf_len bytes from the front; gives the memory back when nothing is left. */
void buf_consume(struct buf *b, size_t n);
/* Drops everything, keeps the memory for the next use. */
void buf_reset(struct buf *b);

#endif
