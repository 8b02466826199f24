/* A new password from whoever runs a command. */
#ifndef COMMON_PASSWORD_H
#define COMMON_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

/* On a terminal asks twice on stderr, with echo off; otherwise (or with from_stdin) takes the first line of
 * standard input. out[size] without the line's end; the caller overwrites it after use. why in words. A
 * signal that ends the command ends it with echo on again. */
enum err password_read(const char *what, bool from_stdin, char *out, size_t size, char *why, size_t why_size);
/* The same for the passphrase of a file; asked for twice only where it is a new one. */
enum err passphrase_read(const char *file, bool twice, char *out, size_t size, char *why, size_t why_size);
/* The first line of a file, which others may not read. */
enum err password_read_file(const char *path, char *out, size_t size, char *why, size_t why_size);

#endif
