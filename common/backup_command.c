/* `backup FILE`: the box's folder, and its state folder, where each database is as it was at one instant. */
#include "common/backup_command.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/backup.h"
#include "common/backup_options.h"
#include "common/file.h"
#include "common/print_json.h"
#include "common/sandbox.h"
#include "common/store_copy.h"

static const char help[] =
    "[--dir DIR] [--passphrase-file FILE] [--json]\n"
    "\n"
    "Writes config, keys, secrets, certificates and databases of this box into FILE, which must not be there "
    "yet,\n"
    "encrypted with a passphrase. It may run meanwhile. Bundles are left out: they are made anew.\n"
    "\n"
    "  --dir DIR               the box's folder (default /etc/stile)\n"
    "  --state-dir DIR         its databases (default /var/lib/stile for /etc/stile, else DIR/state)\n"
    "  --user NAME             whom to become when started as root (default stile)\n"
    "  --passphrase-file FILE  first line: the passphrase. Without it the terminal is asked, or the first "
    "line of\n"
    "                          standard input taken. 12 characters or more\n"
    "  --json                  for programs\n"
    "\n"
    "Without the passphrase nobody can read it, you neither.\n";

enum { FILE_MOST = 32 * 1024 * 1024, SUBFOLDERS = 1 };

struct backup {
    struct backup_options options;
    struct buf text;
    size_t n; /* members */
};

/* Collecting -----------------------------------------------------------------------------------------------
 */

static enum err backup_add(struct backup *b, const char *name, mode_t mode, const void *data, size_t n)
{
    struct backup_member m = {.mode = mode & 0777, .data = data, .n = n};
    if (b->n == BACKUP_MEMBERS_MAX || strlen(name) >= sizeof m.name) {
        snprintf(b->options.why, SCHEMA_WHY, "%s: too many files, or too long a name", name);
        return ERR_FULL;
    }
    snprintf(m.name, sizeof m.name, "%s", name);
    enum err e = backup_put(&b->text, &m);
    b->n += e == ERR_OK;
    if (e != ERR_OK)
        snprintf(b->options.why, SCHEMA_WHY, "%s: %s", name,
                 e == ERR_MALFORMED
                     ? "a file's name has letters, digits, '.', '_' and '-'; move this one away"
                     : err_str(e));
    return e;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* Hidden files are editors', bundles are made anew, and databases are copied by themselves. */
static bool backup_leaves_out(const char *name)
{
    return name[0] == '.' || ends_with(name, ".bundle") || ends_with(name, "~") || backup_is_of_database(name);
}

static enum err backup_folder(struct backup *b, const char *path, const char *prefix, int deeper);

/* Sockets and the like, and folders below those that are wanted, are not of the box. */
static enum err backup_entry(struct backup *b, const char *path, const char *name, int deeper)
{
    struct stat st;
    char *text;
    size_t n;
    if (stat(path, &st) < 0) {
        snprintf(b->options.why, SCHEMA_WHY, "%s: %s", path, strerror(errno));
        return ERR_SYSTEM;
    }
    if (S_ISDIR(st.st_mode) && deeper > 0)
        return backup_folder(b, path, name, deeper - 1);
    if (!S_ISREG(st.st_mode))
        return ERR_OK;
    enum err e = file_read(path, FILE_MOST, &text, &n, b->options.why, SCHEMA_WHY);
    if (e != ERR_OK)
        return e;
    e = backup_add(b, name, st.st_mode, text, n);
    OPENSSL_cleanse(text, n);
    free(text);
    return e;
}

static enum err backup_folder(struct backup *b, const char *path, const char *prefix, int deeper)
{
    DIR *d = opendir(path);
    const struct dirent *entry;
    enum err e = ERR_OK;
    if (!d) {
        snprintf(b->options.why, SCHEMA_WHY, "%s: %s", path, strerror(errno));
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM;
    }
    while (e == ERR_OK && (entry = readdir(d)) != NULL) {
        char file[PATH_MAX], name[PATH_MAX];
        if (backup_leaves_out(entry->d_name))
            continue;
        file_path(file, sizeof file, path, entry->d_name);
        snprintf(name, sizeof name, "%.*s/%s", BACKUP_NAME, prefix, entry->d_name);
        e = backup_entry(b, file, name, deeper);
    }
    closedir(d);
    return e;
}

static enum err backup_manifest(struct backup *b)
{
    const struct box *box = &b->options.box;
    json_t *manifest =
        json_pack("{ss ss ss sI sI}", "program", b->options.program, "version", STILE_VERSION, "name",
                  box->name, "revision", (json_int_t)box->config.revision, "time", (json_int_t)time(NULL));
    char *text = json_dumps(manifest, JSON_INDENT(2));
    enum err e = text ? backup_add(b, BACKUP_MANIFEST, 0600, text, strlen(text)) : ERR_MEMORY;
    free(text);
    json_decref(manifest);
    return e;
}

static enum err backup_database(struct backup *b, const char *database)
{
    char path[PATH_MAX], name[BACKUP_NAME];
    unsigned char *bytes;
    size_t n;
    enum err e = store_copy(box_state_file(&b->options.box, database, path), &bytes, &n, b->options.why);
    if (e != ERR_OK)
        return e;
    snprintf(name, sizeof name, BACKUP_IN_STATE "%s", database);
    e = backup_add(b, name, 0600, bytes, n);
    OPENSSL_cleanse(bytes, n);
    store_copy_free(bytes);
    return e;
}

/* Without its databases, or its state folder, a box has not run yet. */
static enum err backup_state(struct backup *b)
{
    enum err e = backup_folder(b, b->options.box.state, "state", SUBFOLDERS);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < BACKUP_DATABASES; i++) {
        e = backup_database(b, backup_databases[i]);
        if (e == ERR_NOT_FOUND)
            e = ERR_OK;
    }
    return e;
}

/* The command ----------------------------------------------------------------------------------------------
 */

static enum err backup_open(struct backup_options *o, int *fd)
{
    *fd = open(o->file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (*fd >= 0)
        return ERR_OK;
    snprintf(o->why, SCHEMA_WHY, "%s: %s", o->file, strerror(errno));
    return errno == EEXIST ? ERR_EXISTS : ERR_SYSTEM;
}

static enum err backup_write(struct backup_options *o, int fd, const struct buf *sealed)
{
    size_t done = 0;
    while (done < buf_len(sealed)) {
        ssize_t n = write(fd, buf_data(sealed) + done, buf_len(sealed) - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        done += (size_t)n;
    }
    if (done == buf_len(sealed) && fsync(fd) == 0)
        return ERR_OK;
    snprintf(o->why, SCHEMA_WHY, "%s: %s", o->file, strerror(errno));
    return ERR_SYSTEM;
}

/* The file is made as whoever calls; the box is read as its account, which is all that it may read. */
static enum err backup_collect(struct backup *b)
{
    struct backup_options *o = &b->options;
    enum err e = sandbox_become(o->user, o->why, SCHEMA_WHY);
    if (e == ERR_OK)
        e = box_open(&o->box, o->dir, NULL, o->why);
    if (e == ERR_OK)
        e = box_set_state(&o->box, o->state_dir, o->why);
    if (e == ERR_OK)
        e = box_load(&o->box, o->why);
    if (e == ERR_OK)
        e = backup_manifest(b);
    if (e == ERR_OK)
        e = backup_folder(b, o->box.dir, "box", 0);
    return e == ERR_OK ? backup_state(b) : e;
}

static void backup_report(const struct backup *b, size_t bytes)
{
    const struct backup_options *o = &b->options;
    const struct box *box = &o->box;
    json_t *report = o->json ? json_pack("{so sI ss sI sI}", "file", print_json_text(o->file), "files",
                                         (json_int_t)b->n, "name", box->name, "revision",
                                         (json_int_t)box->config.revision, "bytes", (json_int_t)bytes)
                             : NULL;
    if (o->json)
        print_json(report);
    else
        printf("%s: %zu files of %s, config revision %ld, %zu bytes\n", o->file, b->n, box->name,
               box->config.revision, bytes);
    json_decref(report);
}

static enum err backup_run(struct backup *b)
{
    struct backup_options *o = &b->options;
    struct buf sealed;
    int fd;
    enum err e = backup_options_passphrase(o, true);
    if (e == ERR_OK)
        e = backup_open(o, &fd);
    if (e != ERR_OK)
        return e;
    e = backup_collect(b);
    buf_init(&sealed, backup_sealed_size(buf_len(&b->text)));
    if (e == ERR_OK) {
        snprintf(o->why, SCHEMA_WHY, "out of memory");
        e = backup_seal(buf_data(&b->text), buf_len(&b->text), o->passphrase, &sealed);
    }
    if (e == ERR_OK)
        e = backup_write(o, fd, &sealed);
    if (e == ERR_OK)
        backup_report(b, buf_len(&sealed));
    close(fd);
    buf_free(&sealed);
    if (e != ERR_OK)
        fprintf(stderr, "%s backup: %s is not complete; delete it\n", o->program, o->file);
    return e;
}

int backup_command(int argc, char **argv, const char *program)
{
    char words[sizeof help + 64];
    int status;
    struct backup b = {
        .options = {.verb = "backup", .program = program, .help = words, .why = "out of memory"}};
    snprintf(words, sizeof words, "usage: %s backup FILE %s", program, help);
    if (!backup_options_parse(&b.options, argc, argv, &status))
        return status;
    umask(077);
    buf_init(&b.text, BACKUP_MAX);
    enum err e = backup_run(&b);
    buf_wipe(&b.text);
    return backup_options_end(&b.options, e);
}
