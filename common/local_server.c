#include "common/local_server.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/ipc.h"
#include "common/log.h"
#include "common/schema.h"
#include "common/sock.h"

enum { LOCAL_CONNECTIONS_MAX = 1024 };

static const double accept_again = 1; /* seconds, when there was no room for another descriptor */

struct local_connection {
    struct local_server *server;
    struct ipc *ipc;
    void *data;
    long uid;
    bool closing;
    LIST_ENTRY(local_connection) next;
};

struct local_server {
    struct ev_loop *loop;
    ev_io accepter;
    ev_timer pause; /* runs while nobody is accepted */
    int fd;
    char path[PATH_MAX];
    const struct local_events *events;
    void *ctx;
    size_t n;
    LIST_HEAD(, local_connection) connections;
};

static void local_connection_free(struct local_connection *c)
{
    LIST_REMOVE(c, next);
    c->server->n--;
    ipc_free(c->ipc);
    free(c);
}

static void local_on_message(void *ctx, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    struct local_connection *c = ctx;
    if (!c->closing)
        c->server->events->on_message(c->server->ctx, c, type, msg, fds, n_fds);
}

static void local_on_close(void *ctx)
{
    struct local_connection *c = ctx;
    if (!c->closing)
        c->server->events->on_close(c->server->ctx, c);
    local_connection_free(c);
}

static const struct ipc_events local_ipc_events = {local_on_message, local_on_close};

static void local_accept(struct local_server *s, int fd)
{
    long uid = sock_peer_uid(fd);
    struct local_connection *c = NULL;
    if (uid != 0 && uid != (long)geteuid()) {
        log_event(LOG_WARNING, "Local Connection Refused", "socket=%s uid=%ld", s->path, uid);
        close(fd);
        return;
    }
    if (s->n < LOCAL_CONNECTIONS_MAX)
        c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return;
    }
    c->server = s;
    c->uid = uid;
    c->ipc = ipc_new(s->loop, fd, &local_ipc_events, c);
    if (!c->ipc) {
        free(c);
        return;
    }
    s->n++;
    LIST_INSERT_HEAD(&s->connections, c, next);
}

static void local_on_pause_over(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)revents;
    struct local_server *s = t->data;
    ev_io_start(loop, &s->accepter);
}

/* Who cannot be accepted still waits: without a pause, the loop would do nothing but try. */
static void local_on_connection(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)revents;
    struct local_server *s = w->data;
    int fd;
    while ((fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        local_accept(s, fd);
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        ev_io_stop(loop, &s->accepter);
        ev_timer_set(&s->pause, accept_again, 0);
        ev_timer_start(loop, &s->pause);
    }
}

enum err local_server_new(struct ev_loop *loop, const char *path, const struct local_events *events,
                          void *ctx, struct local_server **out, char *why)
{
    struct local_server *s = calloc(1, sizeof *s);
    if (!s)
        return ERR_MEMORY;
    s->loop = loop;
    s->events = events;
    s->ctx = ctx;
    snprintf(s->path, sizeof s->path, "%s", path);
    LIST_INIT(&s->connections);
    s->fd = sock_listen_unix(path);
    if (s->fd < 0) {
        snprintf(why, SCHEMA_WHY, "%s: cannot listen: %s", path, strerror(errno));
        free(s);
        return ERR_SYSTEM;
    }
    ev_io_init(&s->accepter, local_on_connection, s->fd, EV_READ);
    s->accepter.data = s;
    ev_timer_init(&s->pause, local_on_pause_over, accept_again, 0);
    s->pause.data = s;
    ev_io_start(loop, &s->accepter);
    *out = s;
    return ERR_OK;
}

void local_server_free(struct local_server *s)
{
    if (!s)
        return;
    while (!LIST_EMPTY(&s->connections))
        local_connection_free(LIST_FIRST(&s->connections));
    ev_io_stop(s->loop, &s->accepter);
    ev_timer_stop(s->loop, &s->pause);
    close(s->fd);
    unlink(s->path);
    free(s);
}

void local_connection_send(struct local_connection *c, json_t *msg)
{
    if (ipc_send(c->ipc, msg, NULL, 0) != ERR_OK)
        log_event(LOG_ERR, "Local Answer Lost", "socket=%s reason=\"out of memory or too long\"",
                  c->server->path);
}

void local_connection_close(struct local_connection *c)
{
    c->closing = true;
    c->data = NULL;
    ipc_finish(c->ipc);
}

void local_connection_set_data(struct local_connection *c, void *data)
{
    c->data = data;
}

long local_connection_uid(const struct local_connection *c)
{
    return c->uid;
}

void *local_connection_data(const struct local_connection *c)
{
    return c->data;
}

const char *local_by(char *out, size_t size)
{
    const char *sudo = getenv("SUDO_USER");
    const struct passwd *account = sudo && *sudo ? NULL : getpwuid(getuid());
    if (sudo && *sudo)
        snprintf(out, size, "%.60s (sudo)", sudo);
    else
        snprintf(out, size, "%s", account ? account->pw_name : "root");
    return out;
}

/* The daemon sees the account at the other end, which sudo changes. */
static void request_add_by(json_t *msg)
{
    const char *sudo = getenv("SUDO_USER");
    char by[100];
    if (sudo && *sudo && !json_object_get(msg, "by"))
        json_object_set_new(msg, "by", json_string(local_by(by, sizeof by)));
}

enum err local_request(const char *path, json_t *msg, int timeout_ms, json_t **answer, char *why)
{
    int fd = sock_connect_unix(path);
    if (fd < 0) {
        bool absent = errno == ENOENT || errno == ECONNREFUSED;
        snprintf(why, SCHEMA_WHY, "%s: %s%s", path, strerror(errno),
                 absent            ? "; is it running, and with the same --dir?"
                 : errno == EACCES ? "; run as its user or as root"
                                   : "");
        json_decref(msg);
        return absent ? ERR_NOT_FOUND : ERR_SYSTEM;
    }
    request_add_by(msg);
    enum err e = ipc_send_fd(fd, msg, NULL, 0);
    if (e == ERR_OK)
        e = ipc_receive_fd(fd, timeout_ms, answer);
    if (e != ERR_OK)
        snprintf(why, SCHEMA_WHY, "%s: the daemon did not answer: %s", path, err_str(e));
    close(fd);
    return e;
}
