#include "core/bridge/dns_answer.h"

#include "common/wire.h"

enum { POINTER = 0xc0, LABEL_MAX = 63 };

/* A name ends at the root label or at a pointer (RFC 1035 §4.1.4). */
static void skip_name(struct wire_reader *r)
{
    uint8_t length;
    while ((length = wire_get_u8(r)) != 0) {
        if ((length & POINTER) == POINTER) {
            wire_get_u8(r);
            return;
        }
        if (length > LABEL_MAX)
            r->err = ERR_MALFORMED;
        wire_get_bytes(r, length);
    }
}

uint32_t dns_answer_ttl(const uint8_t *message, size_t n, uint32_t otherwise)
{
    struct wire_reader r = wire_reader(message, n);
    uint32_t least = otherwise;
    wire_get_u32(&r); /* id, flags */
    unsigned questions = wire_get_u16(&r), answers = wire_get_u16(&r);
    wire_get_u32(&r); /* counts of the other sections */
    for (unsigned i = 0; i < questions && r.err == ERR_OK; i++) {
        skip_name(&r);
        wire_get_u32(&r); /* type, class */
    }
    for (unsigned i = 0; i < answers && r.err == ERR_OK; i++) {
        skip_name(&r);
        wire_get_u32(&r); /* type, class */
        uint32_t ttl = wire_get_u32(&r);
        wire_get_bytes(&r, wire_get_u16(&r));
        if (r.err == ERR_OK && (i == 0 || ttl < least))
            least = ttl;
    }
    return r.err == ERR_OK ? least : otherwise;
}
