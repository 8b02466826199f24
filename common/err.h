/* Errors as values: one row per error; the row feeds the enum and the words. */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#define ERR_TABLE(X)                                                                                         \
    X(OK, "no error")                                                                                        \
    X(MEMORY, "out of memory")                                                                               \
    X(FULL, "limit reached")                                                                                 \
    X(AGAIN, "would block")                                                                                  \
    X(EOF, "end of stream")                                                                                  \
    X(SYSTEM, "system call failed")                                                                          \
    X(MALFORMED, "malformed")                                                                                \
    X(TRUNCATED, "truncated")                                                                                \
    X(TOO_LONG, "too long")                                                                                  \
    X(UNSUPPORTED, "not supported")                                                                          \
    X(NOT_FOUND, "not found")                                                                                \
    X(EXISTS, "exists already")                                                                              \
    X(REFUSED, "refused")                                                                                    \
    X(UNAUTHORIZED, "not authorised")                                                                        \
    X(TIMEOUT, "timed out")                                                                                  \
    X(PROTOCOL, "protocol violated")                                                                         \
    X(TLS, "TLS failed")                                                                                     \
    X(SSH, "SSH failed")                                                                                     \
    X(CLOSED, "closed")                                                                                      \
    X(CONFIG, "bad configuration")

enum err {
#define X(name, words) ERR_##name,
    ERR_TABLE(X)
#undef X
        ERR_COUNT
};

/* The words for an error; never NULL, static. */
const char *err_str(enum err e);

#endif
