#include "common/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

/* Length of the UTF-8 character at s (RFC 3629 §4), its code point into *c; 0: not one. Never looks past a
 * NUL. */
static size_t text_character(const unsigned char *s, uint32_t *c)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
    if (n == 0)
        return 0;
    *c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (s[i] >> 6 != 2)
            return 0;
        *c = *c << 6 | (s[i] & 0x3f);
    }
    return *c >= least[n] && *c <= 0x10ffff && *c >> 11 != 0x1b ? n : 0;
}

char *text_copy(char *out, size_t size, const char *s)
{
    size_t used = 0;
    for (const unsigned char *p = (const unsigned char *)(s ? s : ""); *p;) {
        uint32_t c = 0;
        size_t n = text_character(p, &c);
        bool whole = n > 0 && !is_control(c);
        if (used + (whole ? n : 1) >= size)
            break;
        if (whole)
            memcpy(out + used, p, n);
        else
            out[used] = '?';
        used += whole ? n : 1;
        p += n > 0 ? n : 1;
    }
    out[used] = '\0';
    return out;
}

void text_disarm(char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            s[i] = '?';
}
