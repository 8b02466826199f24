/* A local database (common/store.h) as bytes: copied while it is in use, and judged before it is put in
 * place. */
#ifndef COMMON_STORE_COPY_H
#define COMMON_STORE_COPY_H

#include <stddef.h>

#include "common/err.h"

/* The database at one instant, whoever writes to it meanwhile. *bytes is freed with store_copy_free.
 * ERR_NOT_FOUND: there is none. why has SCHEMA_WHY bytes. */
enum err store_copy(const char *path, unsigned char **bytes, size_t *n, char *why);
void store_copy_free(unsigned char *bytes);
/* ERR_MALFORMED: no database of ours, or a damaged one; why calls it by name. */
enum err store_copy_judge(const unsigned char *bytes, size_t n, const char *name, char *why);

#endif
