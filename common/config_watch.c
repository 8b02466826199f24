#include "common/config_watch.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/log.h"

static const double settle_seconds = 1; /* an editor, or who changes both files, is done by then */

static void digest_file(EVP_MD_CTX *digest, const struct box *box, const char *name)
{
    char path[PATH_MAX], data[16384];
    ssize_t n;
    int fd = open(box_file(box, name, path), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    EVP_DigestUpdate(digest, name, strlen(name) + 1);
    while (fd >= 0 && (n = read(fd, data, sizeof data)) > 0)
        EVP_DigestUpdate(digest, data, (size_t)n);
    if (fd >= 0)
        close(fd);
    explicit_bzero(data, sizeof data);
}

static void digest_both(const struct box *box, unsigned char out[32])
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    memset(out, 0, 32);
    if (digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1) {
        digest_file(digest, box, BOX_CONFIG);
        digest_file(digest, box, BOX_SECRETS);
        EVP_DigestFinal_ex(digest, out, NULL);
    }
    EVP_MD_CTX_free(digest);
}

void config_watch_seen(struct config_watch *w)
{
    if (w->watching)
        digest_both(w->box, w->seen);
}

static void on_settled(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct config_watch *w = t->data;
    unsigned char now[32];
    digest_both(w->box, now);
    if (memcmp(now, w->seen, sizeof now) == 0 || !w->box->config.reload_on_change)
        return;
    memcpy(w->seen, now, sizeof now);
    w->changed(w->ctx);
}

static bool names_ours(const char *data, size_t n)
{
    bool ours = false;
    for (size_t at = 0; at + sizeof(struct inotify_event) <= n;) {
        struct inotify_event event;
        memcpy(&event, data + at, sizeof event);
        const char *name = event.len > 0 ? data + at + sizeof event : "";
        ours |= strcmp(name, BOX_CONFIG) == 0 || strcmp(name, BOX_SECRETS) == 0 ||
                (event.mask & IN_Q_OVERFLOW) != 0;
        at += sizeof event + event.len;
    }
    return ours;
}

static void on_events(struct ev_loop *loop, ev_io *io, int revents)
{
    struct config_watch *w = io->data;
    char data[8192];
    ssize_t n;
    bool ours = false;
    (void)revents;
    while ((n = read(io->fd, data, sizeof data)) > 0)
        ours |= names_ours(data, (size_t)n);
    if (!ours)
        return;
    ev_timer_stop(loop, &w->settle);
    ev_timer_set(&w->settle, settle_seconds, 0);
    ev_timer_start(loop, &w->settle);
}

void config_watch_start(struct config_watch *w, struct ev_loop *loop, const struct box *box,
                        void (*changed)(void *ctx), void *ctx)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    *w = (struct config_watch){.loop = loop, .box = box, .changed = changed, .ctx = ctx};
    if (fd < 0 || inotify_add_watch(fd, box->dir, IN_CLOSE_WRITE | IN_MOVED_TO) < 0) {
        log_event(LOG_WARNING, "Config Not Watched", "folder=%s reason=\"%m\"", box->dir);
        if (fd >= 0)
            close(fd);
        return;
    }
    ev_io_init(&w->events, on_events, fd, EV_READ);
    ev_init(&w->settle, on_settled);
    w->events.data = w->settle.data = w;
    ev_io_start(loop, &w->events);
    w->watching = true;
    config_watch_seen(w);
}

void config_watch_stop(struct config_watch *w)
{
    if (!w->watching)
        return;
    ev_io_stop(w->loop, &w->events);
    ev_timer_stop(w->loop, &w->settle);
    close(w->events.fd);
    w->watching = false;
}
