/*
 * Answers to the ACME HTTP-01 challenge (RFC 8555 §8.3) on port 80: main reads them from the folder that
 * certbot's webroot plugin writes, and sends them; the worker opens no file.
 */
#ifndef EDGE_WEB_ACME_H
#define EDGE_WEB_ACME_H

#include <jansson.h>
#include <stddef.h>

enum {
    ACME_TOKENS_MAX = 64,
    ACME_TOKEN_MAX = 128, /* characters, all of them base64url (RFC 8555 §8.1) */
    ACME_ANSWER_MAX = 512,
};

struct acme {
    json_t *answers; /* { token: answer }, NULL: none */
};

/* True for 1 to ACME_TOKEN_MAX characters of base64url. */
int acme_token_right(const char *token, size_t n);
/* Takes over what main sent: tokens and answers that are out of bounds are left out. */
void acme_take(struct acme *a, const json_t *answers);
/* The answer for a path in canonical form; NULL when it is none of ours. Borrowed until the next acme_take.
 */
const char *acme_find(const struct acme *a, const char *path, size_t len);
void acme_free(struct acme *a);

#endif
