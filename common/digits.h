/* Numbers as text, for what is written with every request: without printf, which looks for a locale first.
 * Nothing is ended with a NUL. */
#ifndef COMMON_DIGITS_H
#define COMMON_DIGITS_H

#include <stdint.h>
#include <string.h>

enum { DIGITS_MAX = 20 };

/* Decimal, without leading zeros, at most DIGITS_MAX bytes; returns what is behind it. */
static inline char *digits_put(char *at, uint64_t v)
{
    char text[DIGITS_MAX];
    size_t n = sizeof text;
    do
        text[--n] = (char)('0' + v % 10);
    while (v /= 10);
    memcpy(at, text + n, sizeof text - n);
    return at + (sizeof text - n);
}

/* The low `digits` hexadecimal digits, in lower case. */
static inline char *digits_put_hex(char *at, uint64_t v, unsigned digits)
{
    for (unsigned i = digits; i-- > 0; v >>= 4)
        at[i] = "0123456789abcdef"[v & 15];
    return at + digits;
}

/* Three digits, as of a status. */
static inline char *digits_put_status(char *at, unsigned status)
{
    at[0] = (char)('0' + status / 100 % 10);
    at[1] = (char)('0' + status / 10 % 10);
    at[2] = (char)('0' + status % 10);
    return at + 3;
}

#endif
