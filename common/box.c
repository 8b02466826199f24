#include "common/box.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/sandbox.h"

/* PATH made absolute without its having to exist. */
static enum err box_absolute(const char *path, char *out, size_t size, char *why)
{
    char here[PATH_MAX] = "";
    if (*path != '/' && !getcwd(here, sizeof here)) {
        snprintf(why, SCHEMA_WHY, "%s: %s", path, strerror(errno));
        return ERR_SYSTEM;
    }
    if (strlen(here) + strlen(path) + 2 > size) {
        snprintf(why, SCHEMA_WHY, "%s: path too long", path);
        return ERR_TOO_LONG;
    }
    snprintf(out, size, "%s%s%s", here, *here ? "/" : "", path);
    return ERR_OK;
}

/* The folder of its own of the installed box, else one in dir. */
static enum err box_default(const struct box *b, const char *installed, const char *name, char *out,
                            size_t size, char *why)
{
    if (strlen(b->dir) + strlen(name) + 2 > size) {
        snprintf(why, SCHEMA_WHY, "%s: path too long", b->dir);
        return ERR_TOO_LONG;
    }
    if (strcmp(b->dir, BOX_DIR) == 0)
        snprintf(out, size, "%s", installed);
    else
        snprintf(out, size, "%.*s/%s", (int)(size - strlen(name) - 2), b->dir, name);
    return ERR_OK;
}

enum err box_open(struct box *b, const char *dir, const char *run_dir, char *why)
{
    char absolute[PATH_MAX];
    *b = (struct box){0};
    if (!realpath(dir, absolute)) {
        snprintf(why, SCHEMA_WHY, "%s: %s", dir, strerror(errno));
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM;
    }
    enum err e = box_absolute(absolute, b->dir, sizeof b->dir, why);
    if (e == ERR_OK) /* made absolute: sshd and its forced command work elsewhere */
        e = run_dir ? box_absolute(run_dir, b->run, sizeof b->run, why)
                    : box_default(b, BOX_RUN, "run", b->run, sizeof b->run, why);
    return e == ERR_OK ? box_default(b, BOX_STATE, "state", b->state, sizeof b->state, why) : e;
}

enum err box_set_state(struct box *b, const char *state_dir, char *why)
{
    return state_dir ? box_absolute(state_dir, b->state, sizeof b->state, why) : ERR_OK;
}

static enum err box_make(const char *path, const char *user, char *why)
{
    uid_t uid;
    gid_t gid;
    sandbox_owner(user, &uid, &gid);
    return file_make_dir_as(path, 0700, uid, gid, why, SCHEMA_WHY);
}

enum err box_make_run_dir(const struct box *b, const char *user, char *why)
{
    return box_make(b->run, user, why);
}

enum err box_make_state_dir(const struct box *b, const char *user, char *why)
{
    return box_make(b->state, user, why);
}

static enum err box_read_name(struct box *b, char *why)
{
    char path[PATH_MAX], *text;
    enum err e = file_read(box_file(b, BOX_IDENTITY, path), 256, &text, NULL, why, SCHEMA_WHY);
    if (e != ERR_OK)
        return e;
    text[strcspn(text, "\r\n")] = '\0';
    const char *right = config_check_name(text);
    if (right) {
        snprintf(why, SCHEMA_WHY, "%s: \"%.80s\" is not %s", path, text, right);
        e = ERR_CONFIG;
    } else {
        snprintf(b->name, sizeof b->name, "%s", text);
    }
    free(text);
    return e;
}

static enum err box_read(struct box *b, const char *name, const char *text, char *why)
{
    char path[PATH_MAX];
    struct config config;
    struct secrets secrets;
    enum err e = box_read_name(b, why);
    if (e != ERR_OK)
        return e;
    box_file(b, BOX_CONFIG, path);
    e = text ? config_parse(name ? name : path, text, &config, why) : config_load(path, &config, why);
    if (e != ERR_OK)
        return e;
    e = secrets_load(box_file(b, BOX_SECRETS, path), &secrets, why);
    if (e != ERR_OK) {
        config_free(&config);
        return e;
    }
    config_free(&b->config);
    secrets_free(&b->secrets);
    b->config = config;
    b->secrets = secrets;
    return ERR_OK;
}

enum err box_load(struct box *b, char *why)
{
    return box_read(b, NULL, NULL, why);
}

enum err box_load_again(const struct box *b, struct box *fresh, char *why)
{
    return box_load_text(b, NULL, NULL, fresh, why);
}

enum err box_load_text(const struct box *b, const char *name, const char *text, struct box *fresh, char *why)
{
    *fresh = (struct box){0};
    memcpy(fresh->dir, b->dir, sizeof fresh->dir);
    memcpy(fresh->run, b->run, sizeof fresh->run);
    memcpy(fresh->state, b->state, sizeof fresh->state);
    return box_read(fresh, name, text, why);
}

/* The account keeps what it owns: a link, or another one's file, is the administrator's own arrangement. */
const char *box_config_fixed(const struct box *b)
{
    char path[PATH_MAX];
    struct stat st;
    if (lstat(box_file(b, BOX_CONFIG, path), &st) < 0)
        return "it cannot be examined";
    if (!S_ISREG(st.st_mode))
        return "it is a link, not a file; change what it leads to, then run 'stile-core reload'";
    if (st.st_uid != geteuid())
        return "it does not belong to the daemons' account; give it to that account (chown), or change it "
               "yourself and run 'stile-core reload'";
    return access(b->dir, W_OK) == 0
               ? NULL
               : "its folder cannot be written to; see ReadWritePaths in the unit";
}

enum err box_replace_config(const struct box *b, const char *text, char *why)
{
    char path[PATH_MAX];
    struct stat st;
    const char *fixed = box_config_fixed(b);
    if (!fixed && lstat(box_file(b, BOX_CONFIG, path), &st) == 0)
        return file_write(path, text, strlen(text), st.st_mode & 0777, why, SCHEMA_WHY);
    snprintf(why, SCHEMA_WHY, "%s: %s", box_file(b, BOX_CONFIG, path), fixed ? fixed : "it is gone");
    return ERR_REFUSED;
}

void box_close(struct box *b)
{
    config_free(&b->config);
    secrets_free(&b->secrets);
}

const char *box_file(const struct box *b, const char *name, char out[PATH_MAX])
{
    return name[0] == '/' ? file_path(out, PATH_MAX, "", name + 1) : file_path(out, PATH_MAX, b->dir, name);
}

const char *box_run_file(const struct box *b, const char *name, char out[PATH_MAX])
{
    return file_path(out, PATH_MAX, b->run, name);
}

const char *box_state_file(const struct box *b, const char *name, char out[PATH_MAX])
{
    return file_path(out, PATH_MAX, b->state, name);
}

enum err box_write(const struct box *b, const char *name, const void *data, size_t n, mode_t mode,
                   const char *user, char *why)
{
    char path[PATH_MAX];
    uid_t uid;
    gid_t gid;
    sandbox_owner(user, &uid, &gid);
    return file_write_as(box_file(b, name, path), data, n, mode, uid, gid, why, SCHEMA_WHY);
}

enum err box_make_dir(struct box *b, const char *dir, const char *user, char *why)
{
    uid_t uid;
    gid_t gid;
    enum err e = sandbox_need_user(user, why, SCHEMA_WHY);
    if (e == ERR_OK)
        e = file_make_dir(dir, 0750, why, SCHEMA_WHY);
    if (e == ERR_OK)
        e = box_open(b, dir, NULL, why);
    if (e != ERR_OK)
        return e;
    sandbox_owner(user, &uid, &gid);
    return file_make_dir_as(b->dir, 0750, uid, gid, why, SCHEMA_WHY);
}
