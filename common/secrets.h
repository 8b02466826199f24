/* secrets.json, beside stile.json, mode 0600: what both boxes know and nobody else may. */
#ifndef COMMON_SECRETS_H
#define COMMON_SECRETS_H

#include "common/schema.h"

struct secret_user {
    char *name, *password;
};

struct secrets {
    struct schema_objects turn_users; /* of struct secret_user */
    /* TURN credentials that end are made with the first one (newest first) and accepted with any. */
    struct schema_strings turn_shared_secrets;
    char *turn_nonce_key; /* 64 hex digits, the same on every edge */
    json_t *json;
};

/* Reads and judges the file; why as in config_load. Refuses a file that others may read. */
enum err secrets_load(const char *path, struct secrets *out, char *why);
enum err secrets_parse(const char *name, const char *text, struct secrets *out, char *why);
/* What two boxes compare to see whether they have the same shared secrets and nonce key. False when memory is
 * out. */
enum { SECRETS_DIGEST = 65 };
bool secrets_digest(const struct secrets *s, char out[SECRETS_DIGEST]);
/* The same of the two members as they stand in secrets.json. */
bool secrets_digest_json(const json_t *shared_secrets, const json_t *nonce_key, char out[SECRETS_DIGEST]);
/* Overwrites and frees. */
void secrets_free(struct secrets *s);

#endif
