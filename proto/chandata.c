#include "proto/chandata.h"

enum err chandata_parse(const uint8_t *packet, size_t n, struct chandata *out)
{
    if (n < CHANDATA_HEADER)
        return ERR_TRUNCATED;
    if (!chandata_is(packet[0]))
        return ERR_MALFORMED;
    uint16_t len = (uint16_t)(packet[2] << 8 | packet[3]);
    if (len > n - CHANDATA_HEADER)
        return ERR_TRUNCATED;
    *out = (struct chandata){
        .channel = (uint16_t)(packet[0] << 8 | packet[1]), .len = len, .data = packet + CHANDATA_HEADER};
    return ERR_OK;
}
