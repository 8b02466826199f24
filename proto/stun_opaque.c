#include "proto/stun_opaque.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { NO_CHARACTER = UINT32_MAX >> 1 };

/* The character at *at, which moves behind it. NO_CHARACTER where there is no well-formed one (RFC 3629 §4).
 */
static uint32_t take(const unsigned char **at)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *s = *at;
    size_t more = s[0] < 0x80 ? 0 : s[0] >> 5 == 6 ? 1 : s[0] >> 4 == 14 ? 2 : s[0] >> 3 == 30 ? 3 : 4;
    if (more == 4)
        return NO_CHARACTER;
    uint32_t c = more ? s[0] & (0x3fU >> more) : s[0];
    for (size_t i = 1; i <= more; i++) {
        if (s[i] >> 6 != 2) /* also the NUL at the end */
            return NO_CHARACTER;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return NO_CHARACTER;
    *at = s + more + 1;
    return c;
}

/* Unicode's category Zs, without U+0020 itself. */
static bool is_other_space(uint32_t c)
{
    return c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x205f ||
           c == 0x3000;
}

static bool is_refused(uint32_t c)
{
    return c == NO_CHARACTER || c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0xfdd0 && c <= 0xfdef) ||
           (c & 0xfffe) == 0xfffe;
}

enum err stun_opaque(const char *text, char *out, size_t size)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t n = 0;
    if (!*at)
        return ERR_CONFIG;
    while (*at) {
        const unsigned char *from = at;
        uint32_t c = take(&at);
        if (is_refused(c))
            return ERR_CONFIG;
        size_t len = is_other_space(c) ? 1 : (size_t)(at - from);
        if (n + len >= size)
            return ERR_TOO_LONG;
        memcpy(out + n, is_other_space(c) ? (const unsigned char *)" " : from, len);
        n += len;
    }
    out[n] = '\0';
    return ERR_OK;
}
