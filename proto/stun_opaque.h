/*
 * User names, realms and passwords that people type, made ready for a key: the OpaqueString profile
 * (RFC 8265 §4.2) as RFC 8489 §9.2.2 wants it, but for normalization. Clients do the same to what their
 * users type; what comes from the wire has been through it and is compared byte by byte.
 */
#ifndef PROTO_STUN_OPAQUE_H
#define PROTO_STUN_OPAQUE_H

#include <stddef.h>

#include "common/err.h"

/* Copies text to out[size], every other space (U+00A0, U+3000, …) as U+0020. ERR_CONFIG: empty, not UTF-8, or
 * with control characters or noncharacters in it; ERR_TOO_LONG. It is not brought into normalization form C:
 * keyboards and browsers give that form, and nothing here knows the tables for the rest. */
enum err stun_opaque(const char *text, char *out, size_t size);

#endif
