#include "common/json_frame.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire.h"

const char *json_frame_type(const json_t *msg)
{
    return json_string_value(json_object_get(msg, "type"));
}

static void json_free_wiped(void *p)
{
    if (p)
        OPENSSL_cleanse(p, malloc_usable_size(p));
    free(p);
}

void json_frame_wipe_memory(void)
{
    json_set_alloc_funcs(malloc, json_free_wiped);
}

enum err json_frame_encode(struct buf *out, const json_t *msg, size_t most)
{
    char *text = json_dumps(msg, JSON_COMPACT);
    uint8_t *at;
    if (!text)
        return ERR_MEMORY;
    size_t n = strlen(text);
    enum err e = n > most ? ERR_TOO_LONG : buf_reserve(out, n + 4, &at);
    if (e == ERR_OK) {
        struct wire_writer w = wire_writer(at, n + 4);
        wire_put_u32(&w, (uint32_t)n);
        wire_put_bytes(&w, text, n);
        buf_commit(out, n + 4);
    }
    OPENSSL_cleanse(text, n); /* messages inside a box carry keys */
    free(text);
    return e;
}

/* jansson's own limit of depth (2048) is more stack than a stranger should get, and it has none for values. */
bool json_shape_ok(const void *json, size_t n, size_t most_values)
{
    const char *text = json;
    int depth = 0;
    size_t values = 0;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        if (quoted) {
            if (text[i] == '\\')
                i++;
            else if (text[i] == '"')
                quoted = false;
        } else if (text[i] == '"') {
            quoted = true;
        } else if (text[i] == '[' || text[i] == '{') {
            if (++depth > JSON_FRAME_DEPTH_MAX || ++values > most_values)
                return false;
        } else if (text[i] == ']' || text[i] == '}') {
            depth--;
        } else if (text[i] == ',' && ++values > most_values) {
            return false;
        }
    }
    return true;
}

enum err json_frame_decode(const uint8_t *data, size_t n, size_t most, size_t *consumed, json_t **msg)
{
    struct wire_reader r = wire_reader(data, n);
    uint32_t length = wire_get_u32(&r);
    if (r.err != ERR_OK)
        return ERR_AGAIN;
    if (length > most)
        return ERR_TOO_LONG;
    if (wire_left(&r) < length)
        return ERR_AGAIN;
    const char *text = (const char *)wire_get_bytes(&r, length);
    if (!json_shape_ok(text, length, most / JSON_FRAME_BYTES_PER_VALUE + 8))
        return ERR_MALFORMED;
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    if (!json)
        return ERR_MALFORMED;
    if (!json_is_object(json) || !json_frame_type(json)) {
        json_decref(json);
        return ERR_MALFORMED;
    }
    *consumed = 4 + (size_t)length;
    *msg = json;
    return ERR_OK;
}
