/* What a request has with it to say who is asking: taken from its head, judged by main. */
#ifndef COMMON_ADMIN_CREDENTIALS_H
#define COMMON_ADMIN_CREDENTIALS_H

#include "proto/http_message.h"

#define ADMIN_COOKIE "__Host-stile"

enum { ADMIN_CREDENTIAL_MAX = 128 };

/* "" where there is none. */
struct admin_credentials {
    char session[ADMIN_CREDENTIAL_MAX]; /* of the cookie */
    char bearer[ADMIN_CREDENTIAL_MAX];  /* Authorization: Bearer */
    char csrf[ADMIN_CREDENTIAL_MAX];    /* X-CSRF-Token */
};

/* Anything given twice, or too long, counts as not given. */
void admin_credentials_read(const struct http_message *m, struct admin_credentials *out);

#endif
