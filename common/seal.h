/*
 * A secret text under a passphrase: scrypt (RFC 7914) makes the key, AES-256-GCM encrypts and proves that not
 * a byte was changed. The sealed form is one line of text:
 *
 *   stile-seal-1:SALT:NONCE:TAG:CIPHERTEXT        all but the first in hexadecimal digits
 */
#ifndef COMMON_SEAL_H
#define COMMON_SEAL_H

#include <stddef.h>

#include "common/err.h"

enum { SEAL_PASSPHRASE_LEAST = 8 };

/* bound is text that is not secret but may not be changed either: the same is needed to open. *out is
 * malloc'd. ERR_MEMORY, ERR_SYSTEM (no random bytes). Takes a tenth of a second, and 32 MiB for that time. */
enum err seal_make(const char *passphrase, const char *bound, const char *text, char **out);
/* *out is malloc'd; wipe it with file_wipe. ERR_UNAUTHORIZED: another passphrase, or something was changed;
 * ERR_MALFORMED: not a sealed text; ERR_MEMORY. */
enum err seal_open(const char *passphrase, const char *bound, const char *sealed, char **out);

#endif
