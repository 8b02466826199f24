/*
 * The file that `backup` writes and `restore` reads: the files of a box, encrypted with a passphrase.
 * docs/protocol.md has it byte by byte. Nothing of a file is believed before its last byte was authenticated.
 */
#ifndef COMMON_BACKUP_H
#define COMMON_BACKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

enum {
    BACKUP_MAX = 256 * 1024 * 1024, /* bytes of the members together */
    BACKUP_MEMBERS_MAX = 4096,
    BACKUP_NAME = 200,
    BACKUP_WHY = 512
};

/* Databases of the state folder: each is copied as it was at one instant, and judged before it is put back. */
enum { BACKUP_DATABASES = 2 };
extern const char *const backup_databases[BACKUP_DATABASES];
/* A database, and what lies beside it under its name: the logs, which only whoever has it open can make sense
 * of. file: its name in the state folder. */
bool backup_is_of_database(const char *file);

/* One file. name is FOLDER/FILE or FOLDER/FOLDER/FILE: letters, digits, ".", "_" and "-", none with a dot in
 * front. data points into the text that it was read from. */
struct backup_member {
    char name[BACKUP_NAME];
    unsigned mode; /* permission bits */
    const uint8_t *data;
    size_t n;
};

/* Appends a member to a text. ERR_FULL above BACKUP_MAX; ERR_MALFORMED for a name that no member may have. */
enum err backup_put(struct buf *text, const struct backup_member *m);
/* The members of a text, malloc'd; they borrow from it. ERR_MALFORMED, with why. */
enum err backup_members(const uint8_t *text, size_t n, struct backup_member **out, size_t *n_out, char *why);

/* The text, encrypted, appended to sealed (limit: backup_sealed_size). ERR_MEMORY; ERR_SYSTEM: no crypto. */
enum err backup_seal(const uint8_t *text, size_t n, const char *passphrase, struct buf *sealed);
size_t backup_sealed_size(size_t n);
/* The other way round, into text (limit: BACKUP_MAX). ERR_MALFORMED: no backup, or cut off; ERR_UNSUPPORTED:
 * of another version; ERR_UNAUTHORIZED: wrong passphrase, or damaged. why in words. Takes about a second. */
enum err backup_unseal(const uint8_t *sealed, size_t n, const char *passphrase, struct buf *text, char *why);

#endif
