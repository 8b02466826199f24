/* `restore FILE`: everything is read and judged first; then it is written, stile.json last. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/backup.h"
#include "common/backup_command.h"
#include "common/backup_options.h"
#include "common/file.h"
#include "common/print_json.h"
#include "common/sandbox.h"
#include "common/store_copy.h"
#include "common/text.h"

static const char help[] =
    "[--dir DIR] [--passphrase-file FILE] [--force] [--json]\n"
    "\n"
    "Makes this box what it was when FILE was written. FILE is checked as a whole before anything is "
    "changed.\n"
    "\n"
    "  --dir DIR               where it goes (default /etc/stile); made if missing\n"
    "  --state-dir DIR         its databases (default /var/lib/stile for /etc/stile, else DIR/state)\n"
    "  --run-dir DIR           where it would run (default /run/stile for /etc/stile, else DIR/run)\n"
    "  --user NAME             owner of the files when run as root (default stile)\n"
    "  --passphrase-file FILE  first line: the passphrase. Without it the terminal is asked, or the first "
    "line of\n"
    "                          standard input taken\n"
    "  --force                 replace what is there, also under a running daemon, which must be restarted "
    "then\n"
    "  --json                  for programs\n";

struct restore {
    struct backup_options options;
    struct buf text;
    struct backup_member *members;
    size_t n;
    char name[64]; /* the box's */
    long revision;
};

/* Judging --------------------------------------------------------------------------------------------------
 */

static const struct backup_member *restore_find(const struct restore *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->members[i].name, name) == 0)
            return &r->members[i];
    return NULL;
}

static const struct backup_member *restore_database(const struct restore *r, const char *database)
{
    char name[BACKUP_NAME];
    snprintf(name, sizeof name, BACKUP_IN_STATE "%s", database);
    return restore_find(r, name);
}

/* A member's text with a NUL behind it, wiped with file_wipe; NULL: there is no such member. */
static char *restore_text(struct restore *r, const char *name)
{
    const struct backup_member *m = restore_find(r, name);
    snprintf(r->options.why, SCHEMA_WHY, "%s: %s is missing in it", r->options.file, name);
    return m ? strndup((const char *)m->data, m->n) : NULL;
}

static enum err restore_judge_manifest(struct restore *r)
{
    struct backup_options *o = &r->options;
    char *text = restore_text(r, BACKUP_MANIFEST);
    if (!text)
        return ERR_MALFORMED;
    json_t *manifest = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *program = json_string_value(json_object_get(manifest, "program"));
    bool ours = program && strcmp(program, o->program) == 0;
    char name[40];
    snprintf(o->why, SCHEMA_WHY, "%s: a backup of %s, not of %s", o->file,
             text_copy(name, sizeof name, program ? program : "nothing known"), o->program);
    file_wipe(text);
    json_decref(manifest);
    return ours ? ERR_OK : ERR_REFUSED;
}

static enum err restore_judge_name(struct restore *r)
{
    char *text = restore_text(r, BACKUP_IN_DIR BOX_IDENTITY);
    if (!text)
        return ERR_MALFORMED;
    text[strcspn(text, "\r\n")] = '\0';
    const char *right = config_check_name(text);
    if (right)
        snprintf(r->options.why, SCHEMA_WHY, "%s: the box's name in it is not %s", r->options.file, right);
    else
        snprintf(r->name, sizeof r->name, "%s", text);
    file_wipe(text);
    return right ? ERR_CONFIG : ERR_OK;
}

static enum err restore_judge_config(struct restore *r)
{
    struct config config;
    char *text = restore_text(r, BACKUP_IN_DIR BOX_CONFIG);
    enum err e =
        text ? config_parse("stile.json in the backup", text, &config, r->options.why) : ERR_MALFORMED;
    file_wipe(text);
    if (e != ERR_OK)
        return e;
    r->revision = config.revision;
    config_free(&config);
    return ERR_OK;
}

static enum err restore_judge_secrets(struct restore *r)
{
    struct secrets secrets;
    char *text = restore_text(r, BACKUP_IN_DIR BOX_SECRETS);
    enum err e =
        text ? secrets_parse("secrets.json in the backup", text, &secrets, r->options.why) : ERR_MALFORMED;
    file_wipe(text);
    if (e == ERR_OK)
        secrets_free(&secrets);
    return e;
}

/* A box that had not run yet has none. */
static enum err restore_judge_database(struct restore *r, const char *database)
{
    const struct backup_member *m = restore_database(r, database);
    return m ? store_copy_judge(m->data, m->n, database, r->options.why) : ERR_OK;
}

/* Where DIR has the state folder in it, a folder below the box's leads there, past those who judge databases;
 * and SQLite takes a log in with whatever database it lies beside. No backup has either. */
static bool restore_knows(const char *name)
{
    const char *file = strchr(name, '/') + 1;
    if (strncmp(name, BACKUP_IN_DIR, strlen(BACKUP_IN_DIR)) == 0)
        return strchr(file, '/') == NULL;
    for (size_t i = 0; i < BACKUP_DATABASES; i++)
        if (strcmp(file, backup_databases[i]) == 0)
            return true;
    return strncmp(name, BACKUP_IN_STATE, strlen(BACKUP_IN_STATE)) != 0 || !backup_is_of_database(file);
}

static enum err restore_judge_names(struct restore *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (!restore_knows(r->members[i].name)) {
            snprintf(r->options.why, SCHEMA_WHY, "%s: %s is in it, which no backup has; nothing was restored",
                     r->options.file, r->members[i].name);
            return ERR_MALFORMED;
        }
    return ERR_OK;
}

static enum err restore_judge(struct restore *r)
{
    enum err e = restore_judge_names(r);
    if (e == ERR_OK)
        e = restore_judge_manifest(r);
    if (e == ERR_OK)
        e = restore_judge_name(r);
    if (e == ERR_OK)
        e = restore_judge_config(r);
    if (e == ERR_OK)
        e = restore_judge_secrets(r);
    for (size_t i = 0; e == ERR_OK && i < BACKUP_DATABASES; i++)
        e = restore_judge_database(r, backup_databases[i]);
    return e;
}

static enum err restore_read(struct restore *r)
{
    struct backup_options *o = &r->options;
    char *sealed, problem[BACKUP_WHY];
    size_t n;
    enum err e = file_read_any(o->file, backup_sealed_size(BACKUP_MAX), &sealed, &n, o->why, SCHEMA_WHY);
    if (e != ERR_OK)
        return e;
    e = backup_unseal((const uint8_t *)sealed, n, o->passphrase, &r->text, problem);
    free(sealed);
    if (e == ERR_OK)
        e = backup_members(buf_data(&r->text), buf_len(&r->text), &r->members, &r->n, problem);
    if (e != ERR_OK)
        snprintf(o->why, SCHEMA_WHY, "%s: %s", o->file, problem);
    return e;
}

/* Is there room for it? ------------------------------------------------------------------------------------
 */

/* The lock that a running daemon holds (common/daemon.c). */
static bool restore_under_daemon(const struct box *box)
{
    char name[64], path[PATH_MAX];
    snprintf(name, sizeof name, "%.50s.lock", program_invocation_short_name);
    int fd = open(box_run_file(box, name, path), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    bool held = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    if (fd >= 0)
        close(fd);
    return held;
}

static enum err restore_look(struct backup_options *o)
{
    char path[PATH_MAX];
    enum err e = box_open(&o->box, o->dir, o->run_dir, o->why);
    if (e == ERR_NOT_FOUND)
        return ERR_OK; /* a fresh box */
    if (e != ERR_OK || o->force)
        return e;
    if (restore_under_daemon(&o->box)) {
        snprintf(o->why, SCHEMA_WHY, "%s runs with this folder; stop it first: systemctl stop %s", o->program,
                 o->program);
        return ERR_EXISTS;
    }
    if (access(box_file(&o->box, BOX_CONFIG, path), F_OK) == 0) {
        snprintf(o->why, SCHEMA_WHY, "%s is there already; --force replaces it, and all else that %s has",
                 path, o->file);
        return ERR_EXISTS;
    }
    return ERR_OK;
}

/* Writing --------------------------------------------------------------------------------------------------
 */

static enum err restore_folders(struct backup_options *o)
{
    enum err e = box_make_dir(&o->box, o->dir, o->user, o->why);
    if (e == ERR_OK)
        e = box_set_state(&o->box, o->state_dir, o->why);
    return e == ERR_OK ? box_make_state_dir(&o->box, o->user, o->why) : e;
}

/* The folder that a member is in, when it is one below the box's. */
static enum err restore_subfolder(struct backup_options *o, const char *path, uid_t uid, gid_t gid)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    return file_make_dir_as(folder, 0700, uid, gid, o->why, SCHEMA_WHY);
}

static enum err restore_write(struct restore *r, const struct backup_member *m)
{
    struct backup_options *o = &r->options;
    char path[PATH_MAX];
    uid_t uid;
    gid_t gid;
    enum err e = ERR_OK;
    bool state = strncmp(m->name, BACKUP_IN_STATE, strlen(BACKUP_IN_STATE)) == 0;
    const char *name = strchr(m->name, '/') + 1;
    if (!state && strncmp(m->name, BACKUP_IN_DIR, strlen(BACKUP_IN_DIR)) != 0)
        return ERR_OK; /* our own, or a later version's */
    sandbox_owner(o->user, &uid, &gid);
    if (state)
        box_state_file(&o->box, name, path);
    else
        box_file(&o->box, name, path);
    if (strchr(name, '/'))
        e = restore_subfolder(o, path, uid, gid);
    return e == ERR_OK ? file_write_as(path, m->data, m->n, m->mode & 0755, uid, gid, o->why, SCHEMA_WHY) : e;
}

/* What belongs to the database that is replaced would be taken for the new one's. */
static void restore_forget_logs(const struct box *box, const char *database)
{
    static const char *const logs[] = {"-wal", "-shm", "-journal"};
    char path[PATH_MAX], name[BACKUP_NAME];
    for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
        snprintf(name, sizeof name, "%s%s", database, logs[i]);
        (void)unlink(box_state_file(box, name, path));
    }
}

/* As the account: folders below those that root has made are the account's, and may lead elsewhere the moment
 * after they were looked at. stile.json last: the unit starts the daemon when it comes. */
static enum err restore_write_all(struct restore *r)
{
    struct backup_options *o = &r->options;
    const struct backup_member *config = restore_find(r, BACKUP_IN_DIR BOX_CONFIG);
    enum err e = restore_folders(o);
    if (e == ERR_OK)
        e = sandbox_become(o->user, o->why, SCHEMA_WHY);
    for (size_t i = 0; e == ERR_OK && i < BACKUP_DATABASES; i++)
        if (restore_database(r, backup_databases[i]))
            restore_forget_logs(&o->box, backup_databases[i]);
    for (size_t i = 0; i < r->n && e == ERR_OK; i++)
        if (&r->members[i] != config)
            e = restore_write(r, &r->members[i]);
    return e == ERR_OK ? restore_write(r, config) : e;
}

/* The command ----------------------------------------------------------------------------------------------
 */

static void restore_report(const struct restore *r)
{
    const struct backup_options *o = &r->options;
    json_t *report = o->json ? json_pack("{so ss sI sI}", "dir", print_json_text(o->box.dir), "name", r->name,
                                         "revision", (json_int_t)r->revision, "files", (json_int_t)r->n)
                             : NULL;
    if (o->json)
        print_json(report);
    else
        printf("%s: restored as %s, config revision %ld, %zu files\n", o->box.dir, r->name, r->revision,
               r->n);
    json_decref(report);
}

static enum err restore_run(struct restore *r)
{
    struct backup_options *o = &r->options;
    enum err e = sandbox_need_user(o->user, o->why, SCHEMA_WHY);
    if (e == ERR_OK)
        e = restore_look(o);
    if (e == ERR_OK)
        e = backup_options_passphrase(o, false);
    if (e == ERR_OK)
        e = restore_read(r);
    if (e == ERR_OK)
        e = restore_judge(r);
    if (e == ERR_OK)
        e = restore_write_all(r);
    if (e == ERR_OK)
        restore_report(r);
    return e;
}

int restore_command(int argc, char **argv, const char *program)
{
    char words[sizeof help + 64];
    int status;
    struct restore r = {
        .options = {.verb = "restore", .program = program, .help = words, .why = "out of memory"}};
    snprintf(words, sizeof words, "usage: %s restore FILE %s", program, help);
    if (!backup_options_parse(&r.options, argc, argv, &status))
        return status;
    umask(077);
    buf_init(&r.text, BACKUP_MAX);
    enum err e = restore_run(&r);
    buf_wipe(&r.text);
    free(r.members);
    return backup_options_end(&r.options, e);
}
