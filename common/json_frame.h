/*
 * Framed JSON messages: a 32-bit big-endian length, then that many bytes of UTF-8 JSON, an object whose
 * member "type" names the message. Used on the control channel between core and edge, and between the
 * processes of one box. Bytes in, values out: no descriptor, no loop.
 */
#ifndef COMMON_JSON_FRAME_H
#define COMMON_JSON_FRAME_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

enum {
    JSON_FRAME_DEPTH_MAX = 16,      /* nesting of arrays and objects */
    JSON_FRAME_BYTES_PER_VALUE = 8, /* a frame of at most N bytes holds at most N / this values: an empty
                                     * object takes two bytes on the wire and 200 in memory */
};

/* From now on JSON values are overwritten when they are freed: they carry passwords and keys. Called before
 * the first one. */
void json_frame_wipe_memory(void);
/* Appends msg as one frame. ERR_TOO_LONG above `most` bytes; ERR_FULL, ERR_MEMORY from the buffer. */
enum err json_frame_encode(struct buf *out, const json_t *msg, size_t most);
/* Takes the first frame of data. ERR_AGAIN: not complete yet; ERR_TOO_LONG: announces more than `most`;
 * ERR_MALFORMED: no JSON object with a string "type", nested too deep, or too many values for `most`. On
 * ERR_OK *consumed bytes were used, *msg is the caller's. */
enum err json_frame_decode(const uint8_t *data, size_t n, size_t most, size_t *consumed, json_t **msg);
/* msg's "type"; never NULL for a message from json_frame_decode. */
const char *json_frame_type(const json_t *msg);

/* Whether JSON text is nested no deeper than JSON_FRAME_DEPTH_MAX, and has no more values than that: what it
 * may take of memory before it is parsed. */
bool json_shape_ok(const void *json, size_t n, size_t most_values);

#endif
