/* Whole files: read with a limit, written so that a crash leaves the old or the new one, never half of it. */
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"

/* Text of the file with a NUL behind it, malloc'd. why gets "PATH: reason". ERR_NOT_FOUND, ERR_TOO_LONG,
 * ERR_SYSTEM; ERR_REFUSED: a pipe or the like, which a daemon would wait for. n may be NULL. */
enum err file_read(const char *path, size_t most, char **text, size_t *n, char *why, size_t why_size);
/* The same for tools, also of a pipe: what somebody has typed behind a command. */
enum err file_read_any(const char *path, size_t most, char **text, size_t *n, char *why, size_t why_size);
/* The same two for secrets: a file that group or others may read is refused (ERR_REFUSED). */
enum err file_read_secret(const char *path, size_t most, char **text, size_t *n, char *why, size_t why_size);
enum err file_read_secret_any(const char *path, size_t most, char **text, size_t *n, char *why, size_t why_size);
/* Writes a temporary file in the same folder with that mode, syncs, renames. */
enum err file_write(const char *path, const void *data, size_t n, mode_t mode, char *why, size_t why_size);
/* The same; as root it also belongs to uid and gid, before it has its name. Root may use this in a folder of
 * uid's: nothing that uid puts there (symbolic links) leads root elsewhere. */
enum err file_write_as(const char *path, const void *data, size_t n, mode_t mode, uid_t uid, gid_t gid,
                       char *why, size_t why_size);
/* Overwrites and frees text from file_read_secret; NULL is fine. */
void file_wipe(char *text);
/* Makes the folder if it is not there (one level). */
enum err file_make_dir(const char *path, mode_t mode, char *why, size_t why_size);
/* The same; as root it also belongs to uid and gid. Refuses a symbolic link, and to take over a folder in use
 * by others. */
enum err file_make_dir_as(const char *path, mode_t mode, uid_t uid, gid_t gid, char *why, size_t why_size);
/* "DIR/NAME" into out; aborts when it does not fit (paths are judged at start-up). */
const char *file_path(char *out, size_t size, const char *dir, const char *name);

#endif
