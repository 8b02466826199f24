#include "proto/websocket.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

static enum err refuse(struct http1_failure *why, unsigned status, const char *words)
{
    *why = (struct http1_failure){.status = status, .words = words};
    return ERR_MALFORMED;
}

/* True when some Upgrade field names websocket. */
static bool upgrade_names_websocket(const struct http_message *m)
{
    for (size_t i = 0; i < m->n_fields; i++)
        if (span_is(http_message_name(m, i), "upgrade") &&
            span_list_has(http_message_value(m, i), "websocket"))
            return true;
    return false;
}

bool websocket_wanted(const struct http_message *m, const struct http1_head *head)
{
    return head->minor == 1 && upgrade_names_websocket(m) &&
           (head->upgrade || http_message_find(m, "sec-websocket-key").at);
}

/* 16 bytes in base64: 22 characters and "==", the last character with its low four bits zero. */
static bool key_is_valid(struct span key)
{
    if (key.len != WEBSOCKET_KEY_TEXT || memcmp(key.at + 22, "==", 2) != 0)
        return false;
    for (size_t i = 0; i < 22; i++) {
        char c = key.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '+' && c != '/')
            return false;
    }
    return strchr("AQgw", key.at[21]) != NULL;
}

void websocket_accept(const char key[WEBSOCKET_KEY_TEXT], char accept[WEBSOCKET_ACCEPT_TEXT + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 §1.3 */
    unsigned char text[WEBSOCKET_KEY_TEXT + sizeof guid - 1], digest[SHA_DIGEST_LENGTH];
    memcpy(text, key, WEBSOCKET_KEY_TEXT);
    memcpy(text + WEBSOCKET_KEY_TEXT, guid, sizeof guid - 1);
    SHA1(text, sizeof text, digest);
    EVP_EncodeBlock((unsigned char *)accept, digest, sizeof digest);
}

void websocket_key(const uint8_t random[16], char key[WEBSOCKET_KEY_TEXT + 1])
{
    EVP_EncodeBlock((unsigned char *)key, random, 16);
}

static void remove_handshake_fields(struct http_message *m)
{
    http_message_remove(m, "sec-websocket-key");
    http_message_remove(m, "sec-websocket-accept");
    http_message_remove(m, "upgrade");
    http_message_remove(m, "connection");
}

enum err websocket_check_request(struct http_message *m, const struct http1_head *head,
                                 char accept[WEBSOCKET_ACCEPT_TEXT + 1], struct http1_failure *why)
{
    struct span key = http_message_find(m, "sec-websocket-key");
    struct span version = http_message_find(m, "sec-websocket-version");
    if (!span_is(http_message_method(m), "GET") || head->minor != 1)
        return refuse(why, 400, "a WebSocket opening that is not a GET of HTTP/1.1");
    if (!head->upgrade)
        return refuse(why, 400, "Upgrade without Connection: upgrade");
    if (!m->no_body || m->content_length > 0)
        return refuse(why, 400, "a WebSocket opening with a body");
    if (http_message_count(m, "sec-websocket-version") != 1 || !span_is(version, "13"))
        return refuse(why, 426, "a WebSocket version other than 13");
    if (http_message_count(m, "sec-websocket-key") != 1 || !key_is_valid(key))
        return refuse(why, 400, "no valid Sec-WebSocket-Key");
    websocket_accept(key.at, accept);
    remove_handshake_fields(m);
    http_message_remove(m, "sec-websocket-version");
    m->websocket = true;
    m->no_body = false;
    m->content_length = HTTP_NO_LENGTH;
    return ERR_OK;
}

enum err websocket_check_extended(struct http_message *m, struct http1_failure *why)
{
    if (http_message_count(m, "sec-websocket-version") != 1 ||
        !span_is(http_message_find(m, "sec-websocket-version"), "13"))
        return refuse(why, 426, "a WebSocket version other than 13");
    remove_handshake_fields(m);
    http_message_remove(m, "sec-websocket-version");
    m->no_body = false;
    m->content_length = HTTP_NO_LENGTH;
    return ERR_OK;
}

enum err websocket_add_key(struct http_message *m, const char key[WEBSOCKET_KEY_TEXT + 1])
{
    enum err e = http_message_add_str(m, "sec-websocket-version", "13");
    return e == ERR_OK ? http_message_add_str(m, "sec-websocket-key", key) : e;
}

enum err websocket_check_response(struct http_message *m, const struct http1_head *head,
                                  const char key[WEBSOCKET_KEY_TEXT + 1], struct http1_failure *why)
{
    char expected[WEBSOCKET_ACCEPT_TEXT + 1];
    websocket_accept(key, expected);
    if (m->status != 101 || !head->upgrade || !upgrade_names_websocket(m))
        return refuse(why, 502, "an answer to a WebSocket opening that does not switch protocols");
    if (http_message_count(m, "sec-websocket-accept") != 1 ||
        !span_is(http_message_find(m, "sec-websocket-accept"), expected))
        return refuse(why, 502, "a wrong Sec-WebSocket-Accept");
    remove_handshake_fields(m);
    m->websocket = true;
    m->no_body = false;
    m->content_length = HTTP_NO_LENGTH;
    return ERR_OK;
}
