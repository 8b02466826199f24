/* ChannelData, RFC 8656 §12.4: two bytes channel number, two bytes length, the data. */
#ifndef PROTO_CHANDATA_H
#define PROTO_CHANDATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum {
    CHANDATA_HEADER = 4,
    CHANDATA_FIRST = 0x4000,
    CHANDATA_LAST = 0x4fff,         /* RFC 8656 §12 */
    CHANDATA_LAST_RFC5766 = 0x7ffe, /* RFC 5766 §11; 0x7FFF was reserved there */
};

struct chandata {
    uint16_t channel;
    uint16_t len;
    const uint8_t *data; /* inside the packet */
};

/* True when a message that starts with this byte is ChannelData rather than STUN (RFC 8656 §12.5; the numbers
 * that RFC 8656 took away are still told from STUN by their first bits). */
static inline bool chandata_is(uint8_t first)
{
    return (first & 0xc0) == 0x40;
}

/* Reads one ChannelData message out of a datagram or a frame of n bytes; padding behind the data is let pass.
 * ERR_MALFORMED when it is none, ERR_TRUNCATED when the length field promises more than there is. Whether the
 * channel number is a permitted one is the caller's affair. */
enum err chandata_parse(const uint8_t *packet, size_t n, struct chandata *out);

/* Writes the four bytes of header. */
static inline void chandata_write_header(uint8_t *at, uint16_t channel, uint16_t len)
{
    at[0] = (uint8_t)(channel >> 8);
    at[1] = (uint8_t)channel;
    at[2] = (uint8_t)(len >> 8);
    at[3] = (uint8_t)len;
}

/* Data length on a stream, where it is padded to a multiple of four (RFC 8656 §12.5). */
static inline size_t chandata_padded(size_t len)
{
    return (len + 3) & ~(size_t)3;
}

#endif
