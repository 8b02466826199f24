#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fatal.h"

static enum err file_system_error(const char *path, const char *what, char *why, size_t why_size)
{
    enum err e = errno == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM;
    snprintf(why, why_size, "%s: %s: %s", path, what, strerror(errno));
    return e;
}

static enum err file_read_fd(int fd, const char *path, size_t most, char **text, size_t *n, char *why,
                             size_t why_size)
{
    size_t used = 0, size = 4096;
    char *data = malloc(size + 1);
    while (data) {
        ssize_t got = read(fd, data + used, size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            OPENSSL_cleanse(data, used);
            free(data);
            return file_system_error(path, "cannot be read", why, why_size);
        }
        if (got == 0)
            break;
        used += (size_t)got;
        if (used > most) {
            OPENSSL_cleanse(data, used);
            free(data);
            snprintf(why, why_size, "%s: larger than %zu bytes", path, most);
            return ERR_TOO_LONG;
        }
        if (used == size) {
            char *more = malloc(size * 2 + 1);
            if (more)
                memcpy(more, data, used);
            OPENSSL_cleanse(data, used);
            free(data);
            data = more;
            size *= 2;
        }
    }
    if (!data) {
        snprintf(why, why_size, "%s: out of memory", path);
        return ERR_MEMORY;
    }
    data[used] = '\0';
    *text = data;
    if (n)
        *n = used;
    return ERR_OK;
}

/* regular: nothing else, which might have us wait for what it says. */
static enum err file_read_judged(const char *path, size_t most, bool secret, bool regular, char **text,
                                 size_t *n, char *why, size_t why_size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (regular ? O_NONBLOCK : 0));
    if (fd < 0)
        return file_system_error(path, "cannot be opened", why, why_size);
    enum err e = ERR_OK;
    if (fstat(fd, &st) < 0)
        e = file_system_error(path, "cannot be examined", why, why_size);
    else if (regular && !S_ISREG(st.st_mode)) {
        snprintf(why, why_size, "%s: is no regular file; put what is in it into one", path);
        e = ERR_REFUSED;
    } else if (secret && (st.st_mode & 077)) {
        snprintf(why, why_size, "%s: holds secrets, but others may read it (mode %04o); run: chmod 600 %s",
                 path, (unsigned)st.st_mode & 07777, path);
        e = ERR_REFUSED;
    }
    if (e == ERR_OK)
        e = file_read_fd(fd, path, most, text, n, why, why_size);
    close(fd);
    return e;
}

enum err file_read(const char *path, size_t most, char **text, size_t *n, char *why, size_t why_size)
{
    return file_read_judged(path, most, false, true, text, n, why, why_size);
}

enum err file_read_any(const char *path, size_t most, char **text, size_t *n, char *why, size_t why_size)
{
    return file_read_judged(path, most, false, false, text, n, why, why_size);
}

enum err file_read_secret(const char *path, size_t most, char **text, size_t *n, char *why, size_t why_size)
{
    return file_read_judged(path, most, true, true, text, n, why, why_size);
}

enum err file_read_secret_any(const char *path, size_t most, char **text, size_t *n, char *why, size_t why_size)
{
    return file_read_judged(path, most, true, false, text, n, why, why_size);
}

static bool file_write_all(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t w = write(fd, data, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return false;
        data += w;
        n -= (size_t)w;
    }
    return true;
}

/* The name in its folder outlives a crash too. */
static bool file_sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL); /* some file systems cannot */
    if (fd >= 0)
        close(fd);
    return ok;
}

enum err file_write_as(const char *path, const void *data, size_t n, mode_t mode, uid_t uid, gid_t gid,
                       char *why, size_t why_size)
{
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= (int)sizeof temporary) {
        snprintf(why, why_size, "%s: path too long", path);
        return ERR_TOO_LONG;
    }
    int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return file_system_error(path, "cannot be written", why, why_size);
    bool ok = file_write_all(fd, data, n) && (geteuid() != 0 || fchown(fd, uid, gid) == 0) &&
              fchmod(fd, mode) == 0 && fsync(fd) == 0;
    int saved = errno;
    close(fd);
    errno = saved;
    if (ok && rename(temporary, path) == 0 && file_sync_folder(path))
        return ERR_OK;
    saved = errno;
    unlink(temporary);
    errno = saved;
    return file_system_error(path, "cannot be written", why, why_size);
}

enum err file_write(const char *path, const void *data, size_t n, mode_t mode, char *why, size_t why_size)
{
    return file_write_as(path, data, n, mode, (uid_t)-1, (gid_t)-1, why, why_size);
}

void file_wipe(char *text)
{
    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

enum err file_make_dir(const char *path, mode_t mode, char *why, size_t why_size)
{
    struct stat st;
    if (mkdir(path, mode) == 0)
        return ERR_OK;
    if (errno != EEXIST)
        return file_system_error(path, "cannot be made", why, why_size);
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
        snprintf(why, why_size, "%s: exists, but is not a folder", path);
        return ERR_EXISTS;
    }
    return ERR_OK;
}

static bool folder_is_empty(int fd)
{
    const struct dirent *entry;
    bool empty = true;
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    if (!d) {
        if (copy >= 0)
            close(copy);
        return false;
    }
    while (empty && (entry = readdir(d)) != NULL)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(d);
    return empty;
}

enum err file_make_dir_as(const char *path, mode_t mode, uid_t uid, gid_t gid, char *why, size_t why_size)
{
    struct stat st;
    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return file_system_error(path, "cannot be made", why, why_size);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        bool other = errno == ENOTDIR || errno == ELOOP;
        enum err e =
            file_system_error(path, other ? "must be a folder, no link" : "cannot be opened", why, why_size);
        if (fd >= 0)
            close(fd);
        return other ? ERR_EXISTS : e;
    }
    enum err e = ERR_OK;
    if (geteuid() == 0 && st.st_uid != uid && !folder_is_empty(fd)) {
        snprintf(why, why_size,
                 "%s: holds files, and belongs to user id %u instead of %u; name a folder of its own, or "
                 "give this "
                 "one to that user yourself",
                 path, (unsigned)st.st_uid, (unsigned)uid);
        e = ERR_REFUSED;
    } else if (geteuid() == 0 && fchown(fd, uid, gid) < 0) {
        e = file_system_error(path, "cannot be given to its user", why, why_size);
    }
    close(fd);
    return e;
}

const char *file_path(char *out, size_t size, const char *dir, const char *name)
{
    if (snprintf(out, size, "%s/%s", dir, name) >= (int)size)
        fatal("path too long: %s/%s", dir, name);
    return out;
}
