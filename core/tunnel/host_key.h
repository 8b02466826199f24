/*
 * The edge's SSH host key as core pins it: one line "ssh-ed25519 AAAA… [comment]" in the shared config,
 * compared as raw bytes with what the server has proved to own. There is no "trust on first use".
 *
 * While keys are replaced more than one counts, and of others core knows whose they are: struct host_keys.
 */
#ifndef CORE_TUNNEL_HOST_KEY_H
#define CORE_TUNNEL_HOST_KEY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum { HOST_KEY_MAX = 64, HOST_KEY_FINGERPRINT = 64, HOST_KEY_WORDS = 400 };

struct host_key {
    uint8_t blob[HOST_KEY_MAX]; /* wire form, RFC 8709: string "ssh-ed25519", string key */
    size_t len;
};

/* Reads the line. ERR_MALFORMED when it is not an Ed25519 public key in OpenSSH's notation. */
enum err host_key_parse(const char *line, struct host_key *out);
bool host_key_equal(const struct host_key *k, const uint8_t *blob, size_t len);
/* "SHA256:…" as ssh-keygen -l shows it, into text[HOST_KEY_FINGERPRINT]; returns text. */
const char *host_key_fingerprint(const uint8_t *blob, size_t len, char *text);

/* A key that may be shown, or the words for one that may not: with `until`, both, one before and one after
 * it. */
struct host_key_rule {
    struct host_key key;
    int64_t until; /* Unix time; 0: there is no such time */
    char *words;   /* NULL: it may */
};

struct host_keys {
    struct host_key_rule *rules;
    size_t n;
};

/* From an array of {key: line, until, words} (core/pairing/pairing.h) or of lines. *out is replaced on
 * success. ERR_MALFORMED, ERR_MEMORY. */
enum err host_keys_parse(const json_t *list, struct host_keys *out);
void host_keys_free(struct host_keys *k);
/* Whether the server may go on with this key at that Unix time; if not, words[HOST_KEY_WORDS] says why. */
bool host_keys_judge(const struct host_keys *k, const uint8_t *blob, size_t len, int64_t now, char *words);
/* The line of a key, "ssh-ed25519 AAAA…", into text[HOST_KEY_LINE]; returns text. */
enum { HOST_KEY_LINE = 128 };
const char *host_key_line(const uint8_t *blob, size_t len, char *text);

#endif
