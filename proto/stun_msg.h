/*
 * One STUN message: bytes to a view of its attributes, and back (RFC 8489 §5, §14).
 *
 * Reading: the view points into the packet, which must stay. Of an attribute that comes several times the
 * first counts; what follows MESSAGE-INTEGRITY is ignored but for MESSAGE-INTEGRITY-SHA256 and FINGERPRINT,
 * what follows the former but for the latter (RFC 8489 §14.5, §14.6), and nothing follows that one. Writing:
 * a writer with a sticky error, checked once by stun_end.
 */
#ifndef PROTO_STUN_MSG_H
#define PROTO_STUN_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/netaddr.h"
#include "common/wire.h"
#include "proto/stun_attr.h"

enum {
    STUN_HEADER = 20,
    STUN_TRANSACTION = 12,
    STUN_COOKIE = 0x2112a442,
    STUN_UNKNOWN_MAX = 16, /* types listed in a 420 */
};

/*    name               number words */
#define STUN_METHOD_TABLE(X)                                                                                 \
    X(BINDING, 0x001, "Binding")                                                                             \
    X(ALLOCATE, 0x003, "Allocate")                                                                           \
    X(REFRESH, 0x004, "Refresh")                                                                             \
    X(SEND, 0x006, "Send")                                                                                   \
    X(DATA_INDICATION, 0x007, "Data")                                                                        \
    X(CREATE_PERMISSION, 0x008, "CreatePermission")                                                          \
    X(CHANNEL_BIND, 0x009, "ChannelBind")                                                                    \
    X(CONNECT, 0x00a, "Connect")                                                                             \
    X(CONNECTION_BIND, 0x00b, "ConnectionBind")                                                              \
    X(CONNECTION_ATTEMPT, 0x00c, "ConnectionAttempt")

enum stun_method {
#define X(name, number, words) STUN_METHOD_##name = number,
    STUN_METHOD_TABLE(X)
#undef X
};

/* "Allocate"; "unknown" for a method without a row. */
const char *stun_method_name(uint16_t method);

enum stun_class { STUN_REQUEST, STUN_INDICATION, STUN_SUCCESS, STUN_ERROR };

/*    code reason phrase (RFC 8489 §14.8, RFC 8656 §19) */
#define STUN_ERROR_TABLE(X)                                                                                  \
    X(300, "Try Alternate")                                                                                  \
    X(400, "Bad Request")                                                                                    \
    X(401, "Unauthenticated")                                                                                \
    X(403, "Forbidden")                                                                                      \
    X(420, "Unknown Attribute")                                                                              \
    X(437, "Allocation Mismatch")                                                                            \
    X(438, "Stale Nonce")                                                                                    \
    X(440, "Address Family not Supported")                                                                   \
    X(441, "Wrong Credentials")                                                                              \
    X(442, "Unsupported Transport Protocol")                                                                 \
    X(443, "Peer Address Family Mismatch")                                                                   \
    X(446, "Connection Already Exists")                                                                      \
    X(447, "Connection Timeout or Failure")                                                                  \
    X(486, "Allocation Quota Reached")                                                                       \
    X(500, "Server Error")                                                                                   \
    X(508, "Insufficient Capacity")

/* "Forbidden"; "" for a code without a row. */
const char *stun_error_reason(int code);

struct stun_value {
    const uint8_t *at; /* NULL: absent */
    size_t len;
};

struct stun_msg {
    const uint8_t *data; /* the whole message */
    size_t size;
    uint16_t method;
    enum stun_class class;
    const uint8_t *transaction; /* STUN_TRANSACTION bytes */
    struct {
        uint16_t at, len; /* offset of the value in data, 0: absent */
    } values[STUN_ATTR_COUNT];
    uint16_t unknown[STUN_UNKNOWN_MAX]; /* types without a row that are comprehension-required */
    unsigned n_unknown;
    bool wrong_size; /* a known attribute has a size it cannot have; it counts as absent */
};

/* True when it looks enough like STUN to be worth parsing: first bits, cookie. n bytes at packet. */
bool stun_is(const uint8_t *packet, size_t n);

/* The message must be exactly n bytes. ERR_MALFORMED (not STUN, or attributes that do not fit in),
 * ERR_TRUNCATED. */
enum err stun_parse(const uint8_t *packet, size_t n, struct stun_msg *out);

static inline bool stun_has(const struct stun_msg *m, enum stun_attr a)
{
    return m->values[a].at != 0;
}
static inline struct stun_value stun_get(const struct stun_msg *m, enum stun_attr a)
{
    if (!stun_has(m, a))
        return (struct stun_value){NULL, 0};
    return (struct stun_value){m->data + m->values[a].at, m->values[a].len};
}
/* ERR_NOT_FOUND when absent, ERR_MALFORMED when its size is not 4. */
enum err stun_get_u32(const struct stun_msg *m, enum stun_attr a, uint32_t *out);
/* XOR-…-ADDRESS. The family is as written: an IPv4-mapped IPv6 address stays AF_INET6, unlike elsewhere in
 * the tree, since peers are judged and answered in the notation they came in. ERR_NOT_FOUND, ERR_MALFORMED
 * (size does not fit the family), ERR_UNSUPPORTED (no such family). */
enum err stun_get_xor_address(const struct stun_msg *m, enum stun_attr a, struct netaddr *out);
/* The next attribute of this kind behind *cursor (a value of this message, or NULL to begin), before the
 * message's integrity; for XOR-PEER-ADDRESS in CreatePermission, where it may repeat. False at the end. */
bool stun_next(const struct stun_msg *m, enum stun_attr a, struct stun_value *cursor);
/* Reads a XOR-…-ADDRESS value found by stun_next. Errors as stun_get_xor_address. */
enum err stun_xor_address(const struct stun_msg *m, struct stun_value value, struct netaddr *out);
/* ERROR-CODE as a number, 300–699. ERR_NOT_FOUND, ERR_MALFORMED. */
enum err stun_get_error(const struct stun_msg *m, int *code);

struct stun_writer {
    struct wire_writer wire;
    uint8_t transaction[STUN_TRANSACTION];
};

void stun_begin(struct stun_writer *w, void *memory, size_t size, uint16_t method, enum stun_class class,
                const uint8_t transaction[STUN_TRANSACTION]);
void stun_put(struct stun_writer *w, enum stun_attr a, const void *value, size_t n);
void stun_put_u32(struct stun_writer *w, enum stun_attr a, uint32_t value);
void stun_put_xor_address(struct stun_writer *w, enum stun_attr a, const struct netaddr *address);
/* reason may be "" to keep the answer short. */
void stun_put_error(struct stun_writer *w, enum stun_attr a, int code, const char *reason);
void stun_put_unknown(struct stun_writer *w, const uint16_t *types, unsigned n);
/* Like stun_put with a value that lies in the right place already: only the header and padding around it are
 * written. */
void stun_put_around(struct stun_writer *w, enum stun_attr a, size_t n);
/* Writes the length into the header; *n is the size of the whole message. The sticky error. */
enum err stun_end(struct stun_writer *w, size_t *n);

/* The 16-bit type of a header. */
uint16_t stun_type(uint16_t method, enum stun_class class);

#endif
