#include "edge/web/acme.h"

#include <stdint.h>
#include <string.h>

static const char prefix[] = "/.well-known/acme-challenge/";

int acme_token_right(const char *token, size_t n)
{
    return n > 0 && n <= ACME_TOKEN_MAX &&
           strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") >= n;
}

void acme_take(struct acme *a, const json_t *answers)
{
    const char *token;
    json_t *answer, *fresh = json_object();
    json_object_foreach ((json_t *)(uintptr_t)answers, token, answer)
        if (acme_token_right(token, strlen(token)) && json_is_string(answer) &&
            json_string_length(answer) <= ACME_ANSWER_MAX && json_object_size(fresh) < ACME_TOKENS_MAX)
            json_object_set(fresh, token, answer);
    json_decref(a->answers);
    a->answers = fresh;
}

const char *acme_find(const struct acme *a, const char *path, size_t len)
{
    const size_t n = sizeof prefix - 1;
    char token[ACME_TOKEN_MAX + 1];
    if (!a->answers || len <= n || len - n > ACME_TOKEN_MAX || memcmp(path, prefix, n) != 0)
        return NULL;
    memcpy(token, path + n, len - n);
    token[len - n] = '\0';
    return json_string_value(json_object_get(a->answers, token));
}

void acme_free(struct acme *a)
{
    json_decref(a->answers);
    a->answers = NULL;
}
