/* Where one message ends and the next begins when STUN and ChannelData share a stream (RFC 8656 §12.5, RFC
 * 8489 §6.2.2). */
#ifndef PROTO_STUN_STREAM_H
#define PROTO_STUN_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum { STUN_STREAM_FRAME_MAX = 20 + 65532 /* a STUN message; ChannelData ends at 4 + 65 536 */ };

/* Looks at the first n bytes of what has come. ERR_OK: the first message is *message bytes long and takes
 * *frame bytes of the stream, with padding; both are within n. ERR_AGAIN: it is not complete yet.
 * ERR_MALFORMED: neither STUN nor ChannelData, the stream cannot be followed any further. */
enum err stun_stream_next(const uint8_t *data, size_t n, size_t *message, size_t *frame);

/* Bytes of the first message in n bytes, padding included, or n where it is not complete: for senders who
 * keep messages apart (stream_events.record). coturn's client and others take a TLS record for a message. */
size_t stun_stream_record(const uint8_t *data, size_t n);

#endif
