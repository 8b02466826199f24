#include "core/egress/websocket.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/websocket.h"

/* The guest's offers, each as one list; kept until the bridge has chosen. */
struct websocket_opening {
    char key[WEBSOCKET_KEY_TEXT + 1];
    size_t protocols_len, extensions_len;
    char offers[]; /* protocols, then extensions */
};

static const char protocol_field[] = "sec-websocket-protocol",
                  extensions_field[] = "sec-websocket-extensions";

/* All fields of that name, joined with commas, to out (unless NULL); returns the length. */
static size_t join_fields(const struct http_message *m, const char *name, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < m->n_fields; i++) {
        struct span value = http_message_value(m, i);
        if (!span_is(http_message_name(m, i), name))
            continue;
        if (out) {
            memcpy(out + len, value.at, value.len);
            out[len + value.len] = ',';
        }
        len += value.len + 1;
    }
    return len;
}

enum err websocket_opening_new(struct http_message *request, struct websocket_opening **out)
{
    uint8_t random[16];
    size_t protocols = join_fields(request, protocol_field, NULL),
           extensions = join_fields(request, extensions_field, NULL);
    struct websocket_opening *o = malloc(sizeof *o + protocols + extensions);
    if (!o || RAND_bytes(random, sizeof random) != 1) {
        free(o);
        return ERR_MEMORY;
    }
    o->protocols_len = join_fields(request, protocol_field, o->offers);
    o->extensions_len = join_fields(request, extensions_field, o->offers + protocols);
    websocket_key(random, o->key);
    http_message_remove(request, "sec-websocket-key");
    http_message_remove(request, "sec-websocket-version");
    enum err e = websocket_add_key(request, o->key);
    if (e == ERR_OK)
        *out = o;
    else
        free(o);
    return e;
}

void websocket_opening_free(struct websocket_opening *o)
{
    free(o);
}

/* The name of an extension, without its parameters. */
static struct span extension_name(struct span element)
{
    const char *end = memchr(element.at, ';', element.len);
    if (end)
        element.len = (size_t)(end - element.at);
    while (element.len && (element.at[element.len - 1] == ' ' || element.at[element.len - 1] == '\t'))
        element.len--;
    return element;
}

static bool was_offered(struct span offers, struct span chosen, bool extension)
{
    struct span element;
    while (span_list_next(&offers, &element)) {
        struct span name = extension ? extension_name(element) : element;
        /* RFC 6455 §4.1: subprotocols are compared as they are, extension names without case. */
        if (name.len == chosen.len && (extension ? strncasecmp(name.at, chosen.at, name.len) == 0
                                                 : memcmp(name.at, chosen.at, name.len) == 0))
            return true;
    }
    return false;
}

static bool extensions_were_offered(struct span offers, const struct http_message *response)
{
    for (size_t i = 0; i < response->n_fields; i++) {
        struct span rest = http_message_value(response, i), element;
        if (!span_is(http_message_name(response, i), extensions_field))
            continue;
        while (span_list_next(&rest, &element))
            if (!was_offered(offers, extension_name(element), true))
                return false;
    }
    return true;
}

enum err websocket_opening_check(const struct websocket_opening *o, struct http_message *response,
                                 const struct http1_head *head, const char **words)
{
    struct http1_failure why;
    struct span protocols = {.at = o->offers, .len = o->protocols_len};
    struct span extensions = {.at = o->offers + o->protocols_len, .len = o->extensions_len};
    struct span chosen = http_message_find(response, protocol_field);
    if (websocket_check_response(response, head, o->key, &why) != ERR_OK)
        *words = why.words;
    else if (http_message_count(response, protocol_field) > 1 ||
             (chosen.at && !was_offered(protocols, chosen, false)))
        *words = "a WebSocket subprotocol that was not offered";
    else if (!extensions_were_offered(extensions, response))
        *words = "a WebSocket extension that was not offered";
    else {
        response->status = 200; /* RFC 8441 §5 */
        return ERR_OK;
    }
    return ERR_MALFORMED;
}
