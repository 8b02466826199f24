#include "proto/stun_stream.h"

#include "proto/chandata.h"
#include "proto/stun_msg.h"

enum err stun_stream_next(const uint8_t *data, size_t n, size_t *message, size_t *frame)
{
    if (n == 0)
        return ERR_AGAIN;
    if (data[0] >= 0x80)
        return ERR_MALFORMED;
    if (n < CHANDATA_HEADER)
        return ERR_AGAIN;
    size_t len = (size_t)data[2] << 8 | data[3], whole;
    if (chandata_is(data[0])) {
        whole = CHANDATA_HEADER + chandata_padded(len);
        len += CHANDATA_HEADER;
    } else {
        /* The cookie is looked at as far as it has come: what is not STUN should not be waited for. */
        for (size_t i = 4; i < 8 && i < n; i++)
            if (data[i] != (uint8_t)(STUN_COOKIE >> (8 * (7 - i))))
                return ERR_MALFORMED;
        if (len % 4)
            return ERR_MALFORMED;
        len += STUN_HEADER;
        whole = len;
    }
    if (n < whole)
        return ERR_AGAIN;
    *message = len;
    *frame = whole;
    return ERR_OK;
}

size_t stun_stream_record(const uint8_t *data, size_t n)
{
    size_t message, frame;
    return stun_stream_next(data, n, &message, &frame) == ERR_OK ? frame : n;
}
