/*
 * The edge's SSH host key as core pins it: one line "ssh-ed25519 AAAA… [comment]" in the shared config,
 * compared as raw bytes with what the server has proved to own. There is no "trust on first use".
 */
#ifndef CORE_TUNNEL_HOST_KEY_H
#define CORE_TUNNEL_HOST_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum { HOST_KEY_MAX = 64, HOST_KEY_FINGERPRINT = 64 };

struct host_key {
    uint8_t blob[HOST_KEY_MAX]; /* wire form, RFC 8709: string "ssh-ed25519", string key */
    size_t len;
};

/* Reads the line. ERR_MALFORMED when it is not an Ed25519 public key in OpenSSH's notation. */
enum err host_key_parse(const char *line, struct host_key *out);
bool host_key_equal(const struct host_key *k, const uint8_t *blob, size_t len);
/* "SHA256:…" as ssh-keygen -l shows it, into text[HOST_KEY_FINGERPRINT]; returns text. */
const char *host_key_fingerprint(const uint8_t *blob, size_t len, char *text);

#endif
