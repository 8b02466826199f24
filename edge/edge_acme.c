/*
 * The folder where an ACME client leaves its answers (certbot certonly --webroot -w STATE/webroot), watched:
 * what is in it goes to the web workers, who serve it on port 80.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "edge/edge.h"
#include "edge/web/acme.h"

/* One file's text without its line end; NULL when it is no answer. */
static json_t *answer_read(int dir, const char *token)
{
    char text[ACME_ANSWER_MAX + 2];
    struct stat st;
    int fd = openat(dir, token, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    ssize_t n = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read(fd, text, sizeof text - 1) : -1;
    close(fd);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    return n > 0 && n <= ACME_ANSWER_MAX ? json_stringn(text, (size_t)n) : NULL;
}

static json_t *answers_read(const char *folder)
{
    json_t *answers = json_object();
    DIR *d = opendir(folder);
    struct dirent *entry;
    while (d && answers && json_object_size(answers) < ACME_TOKENS_MAX && (entry = readdir(d)) != NULL) {
        json_t *answer = acme_token_right(entry->d_name, strlen(entry->d_name))
                             ? answer_read(dirfd(d), entry->d_name)
                             : NULL;
        if (answer)
            json_object_set_new(answers, entry->d_name, answer);
    }
    if (d)
        closedir(d);
    return answers;
}

static void acme_reread(struct edge *e)
{
    json_t *answers = answers_read(e->acme.folder);
    if (!answers || json_equal(answers, e->acme.answers)) {
        json_decref(answers);
        return;
    }
    json_decref(e->acme.answers);
    e->acme.answers = answers;
    log_event(LOG_INFO, "ACME Answers", "folder=%s answers=%zu", e->acme.folder, json_object_size(answers));
    edge_web_acme(e);
}

static void on_folder(struct ev_loop *loop, ev_io *w, int revents)
{
    char events[4096];
    (void)loop, (void)revents;
    while (read(w->fd, events, sizeof events) > 0)
        ; /* what they say does not matter: the folder is read as a whole */
    acme_reread(w->data);
}

/* STATE/webroot/.well-known/acme-challenge, made where it is missing. */
static enum err acme_folder(struct edge *e, char *why)
{
    static const char *const parts[] = {"webroot", "webroot/.well-known",
                                        "webroot/.well-known/acme-challenge"};
    enum err err = ERR_OK;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && err == ERR_OK; i++)
        err = file_make_dir(box_state_file(e->box, parts[i], e->acme.folder), 0755, why, SCHEMA_WHY);
    return err;
}

/* Without it the edge runs all the same: who has certificates from elsewhere never misses it. */
void edge_acme_start(struct edge *e)
{
    char why[SCHEMA_WHY];
    int fd = -1;
    if (acme_folder(e, why) != ERR_OK) {
        log_event(LOG_WARNING, "ACME Off", "reason=\"%s\"", why);
        return;
    }
    fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0 ||
        inotify_add_watch(fd, e->acme.folder, IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE) < 0) {
        log_event(LOG_WARNING, "ACME Off", "reason=\"%s cannot be watched: %m\"", e->acme.folder);
        if (fd >= 0)
            close(fd);
        return;
    }
    ev_io_init(&e->acme.watch, on_folder, fd, EV_READ);
    e->acme.watch.data = e;
    ev_io_start(e->loop, &e->acme.watch);
    e->acme.watching = true;
    acme_reread(e);
}

void edge_acme_stop(struct edge *e)
{
    if (e->acme.watching) {
        ev_io_stop(e->loop, &e->acme.watch);
        close(e->acme.watch.fd);
    }
    json_decref(e->acme.answers);
}
