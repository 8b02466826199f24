#include "common/err.h"

#include <stddef.h>

static const char *const words[ERR_COUNT] = {
#define X(name, text) text,
    ERR_TABLE(X)
#undef X
};

const char *err_str(enum err e)
{
    return (size_t)e < ERR_COUNT ? words[e] : "unknown error";
}
