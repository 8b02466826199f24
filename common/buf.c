#include "common/buf.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fatal.h"

enum { BUF_SMALLEST = 512, BUF_KEEP = 4096 };

void buf_init(struct buf *b, size_t limit)
{
    *b = (struct buf){.limit = limit};
}

void buf_free(struct buf *b)
{
    free(b->mem);
    buf_init(b, b->limit);
}

void buf_wipe(struct buf *b)
{
    if (b->mem)
        OPENSSL_cleanse(b->mem, b->size);
    buf_free(b);
}

static enum err buf_make_room(struct buf *b, size_t n)
{
    if (n > buf_room(b))
        return ERR_FULL;
    if (b->mem && b->size - b->head - b->len >= n)
        return ERR_OK;
    /* Either way, half as many bytes as are copied here can come before the next copy: a long queue that is
     * filled behind as fast as it is emptied in front costs two copies a byte, not one of all at each step. */
    if (b->size - b->len >= n && b->head >= b->len / 2 && b->mem) {
        memmove(b->mem, b->mem + b->head, b->len);
        b->head = 0;
        return ERR_OK;
    }
    size_t size = b->size ? b->size : BUF_SMALLEST;
    while (size < b->len + b->len / 2 + n)
        size *= 2;
    uint8_t *mem = malloc(size);
    if (!mem)
        return ERR_MEMORY;
    if (b->len)
        memcpy(mem, b->mem + b->head, b->len);
    free(b->mem);
    b->mem = mem;
    b->size = size;
    b->head = 0;
    return ERR_OK;
}

enum err buf_reserve(struct buf *b, size_t n, uint8_t **out)
{
    enum err e = buf_make_room(b, n);
    if (e == ERR_OK)
        *out = b->mem + b->head + b->len;
    return e;
}

void buf_commit(struct buf *b, size_t n)
{
    REQUIRE(n <= b->size - b->head - b->len);
    b->len += n;
}

enum err buf_append(struct buf *b, const void *data, size_t n)
{
    uint8_t *at;
    if (n == 0)
        return ERR_OK;
    enum err e = buf_reserve(b, n, &at);
    if (e != ERR_OK)
        return e;
    memcpy(at, data, n);
    b->len += n;
    return ERR_OK;
}

enum err buf_append_str(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

enum err buf_printf(struct buf *b, const char *format, ...)
{
    va_list ap, again;
    uint8_t *at;
    va_start(ap, format);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    enum err e = n < 0 ? ERR_SYSTEM : buf_reserve(b, (size_t)n + 1, &at);
    if (e == ERR_OK) {
        vsnprintf((char *)at, (size_t)n + 1, format, again);
        b->len += (size_t)n;
    }
    va_end(again);
    return e;
}

void buf_consume(struct buf *b, size_t n)
{
    REQUIRE(n <= b->len);
    b->len -= n;
    b->head += n;
    if (b->len > 0)
        return;
    b->head = 0;
    if (b->size > BUF_KEEP)
        buf_free(b);
}

void buf_reset(struct buf *b)
{
    b->head = b->len = 0;
}
