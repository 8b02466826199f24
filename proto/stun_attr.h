/*
 * The attributes that Stile knows: one row each, from which the enum, the names and the size check are made.
 * RFC 8489 §14, RFC 8656 §18, RFC 6062 §6.2. An attribute that arrives and has no row here is unknown: 420
 * when it is comprehension-required (below 0x8000), else skipped.
 */
#ifndef PROTO_STUN_ATTR_H
#define PROTO_STUN_ATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*    name                        type    least most  (bytes of value) */
#define STUN_ATTR_TABLE(X)                                                                                   \
    X(MAPPED_ADDRESS, 0x0001, 8, 20)                                                                         \
    X(USERNAME, 0x0006, 0, 763)                                                                              \
    X(MESSAGE_INTEGRITY, 0x0008, 20, 20)                                                                     \
    X(ERROR_CODE, 0x0009, 4, 767)                                                                            \
    X(UNKNOWN_ATTRIBUTES, 0x000a, 0, 65535)                                                                  \
    X(CHANNEL_NUMBER, 0x000c, 4, 4)                                                                          \
    X(LIFETIME, 0x000d, 4, 4)                                                                                \
    X(XOR_PEER_ADDRESS, 0x0012, 8, 20)                                                                       \
    X(DATA, 0x0013, 0, 65535)                                                                                \
    X(REALM, 0x0014, 0, 763)                                                                                 \
    X(NONCE, 0x0015, 0, 763)                                                                                 \
    X(XOR_RELAYED_ADDRESS, 0x0016, 8, 20)                                                                    \
    X(REQUESTED_ADDRESS_FAMILY, 0x0017, 4, 4)                                                                \
    X(EVEN_PORT, 0x0018, 1, 1)                                                                               \
    X(REQUESTED_TRANSPORT, 0x0019, 4, 4)                                                                     \
    X(DONT_FRAGMENT, 0x001a, 0, 0)                                                                           \
    X(MESSAGE_INTEGRITY_SHA256, 0x001c, 16, 32)                                                              \
    X(PASSWORD_ALGORITHM, 0x001d, 4, 65535)                                                                  \
    X(USERHASH, 0x001e, 32, 32)                                                                              \
    X(CONNECTION_ID, 0x002a, 4, 4)                                                                           \
    X(XOR_MAPPED_ADDRESS, 0x0020, 8, 20)                                                                     \
    X(RESERVATION_TOKEN, 0x0022, 8, 8)                                                                       \
    X(ADDITIONAL_ADDRESS_FAMILY, 0x8000, 4, 4)                                                               \
    X(ADDRESS_ERROR_CODE, 0x8001, 4, 515)                                                                    \
    X(PASSWORD_ALGORITHMS, 0x8002, 4, 65535)                                                                 \
    X(ALTERNATE_DOMAIN, 0x8003, 1, 255)                                                                      \
    X(ICMP, 0x8004, 8, 8)                                                                                    \
    X(SOFTWARE, 0x8022, 0, 763)                                                                              \
    X(ALTERNATE_SERVER, 0x8023, 8, 20)                                                                       \
    X(FINGERPRINT, 0x8028, 4, 4)

enum stun_attr {
#define X(name, type, least, most) STUN_##name,
    STUN_ATTR_TABLE(X)
#undef X
        STUN_ATTR_COUNT
};

struct stun_attr_row {
    const char *name; /* as the RFCs write it */
    uint16_t type;
    uint16_t least, most;
};

const struct stun_attr_row *stun_attr_row(enum stun_attr a);
/* The attribute of this type on the wire, or STUN_ATTR_COUNT. */
enum stun_attr stun_attr_of_type(uint16_t type);
static inline bool stun_type_is_required(uint16_t type)
{
    return type < 0x8000;
}

#endif
