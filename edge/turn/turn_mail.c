#include "edge/turn/turn_mail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/turn/turn_peer_connection.h"

enum {
    MAILBOX_BYTES = 1024 * 1024, /* some hundred notes; the kernel may give less */
    NOTES_PER_EVENT = 64,
};

enum note_kind { NOTE_ASK = 1, NOTE_HAND, NOTE_TELL };

struct note {
    uint32_t kind, worker, id; /* worker: who writes */
};

struct turn_mail {
    struct ev_loop *loop;
    struct turn_server *server;
    ev_io watcher;
    int own;
    int others[TURN_WORKERS_MAX]; /* fd + 1, 0: none */
    void (*told)(void *ctx);
    void *told_ctx;
};

int turn_mailbox_make(int fds[2])
{
    int pair[2], size = MAILBOX_BYTES;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return -1;
    setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    fds[TURN_MAIL_READ] = pair[0];
    fds[TURN_MAIL_WRITE] = pair[1];
    return 0;
}

/* fd -1: without one. */
static enum err note_send(struct turn_mail *m, uint32_t worker, enum note_kind kind, uint32_t id, int fd)
{
    struct note note = {kind, m->server->config.worker_index, id};
    struct iovec iov = {&note, sizeof note};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof fd)];
    } control = {0};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (worker >= TURN_WORKERS_MAX || !m->others[worker])
        return ERR_NOT_FOUND;
    if (fd >= 0) {
        msg.msg_control = &control;
        msg.msg_controllen = sizeof control;
        control.head = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    }
    ssize_t n = sendmsg(m->others[worker] - 1, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n == (ssize_t)sizeof note ? ERR_OK : errno == EAGAIN ? ERR_AGAIN : ERR_SYSTEM;
}

enum err turn_mail_ask(struct turn_mail *m, uint32_t worker, uint32_t id)
{
    return note_send(m, worker, NOTE_ASK, id, -1);
}

enum err turn_mail_hand(struct turn_mail *m, uint32_t worker, uint32_t id, int fd)
{
    return note_send(m, worker, NOTE_HAND, id, fd);
}

/* One that does not arrive is made up for by the sweeps of both workers, a second later. */
void turn_mail_tell(struct turn_mail *m, uint32_t worker, uint32_t id)
{
    (void)note_send(m, worker, NOTE_TELL, id, -1);
}

static void note_handle(struct turn_mail *m, const struct note *note, int fd)
{
    if (note->kind == NOTE_ASK) {
        turn_peer_connection_asked(m->server, note->worker, note->id);
    } else if (note->kind == NOTE_HAND && fd >= 0) {
        if (turn_connection_bind_handed(m->server, note->id, fd))
            return;
    } else if (note->kind == NOTE_TELL) {
        turn_peer_connection_told(m->server, note->id);
        if (m->told)
            m->told(m->told_ctx);
    }
    if (fd >= 0)
        close(fd);
}

static void mailbox_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct turn_mail *m = w->data;
    (void)revents;
    for (int i = 0; i < NOTES_PER_EVENT; i++) {
        struct note note;
        struct iovec iov = {&note, sizeof note};
        union {
            struct cmsghdr head;
            char room[CMSG_SPACE(sizeof(int))];
        } control;
        struct msghdr msg = {
            .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t n = recvmsg(w->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n == 0)
            ev_io_stop(loop, w); /* main has gone, and with it all others */
        if (n <= 0)
            return;
        int fd = -1;
        const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
            c->cmsg_len == CMSG_LEN(sizeof fd))
            memcpy(&fd, CMSG_DATA(c), sizeof fd);
        if (n == (ssize_t)sizeof note)
            note_handle(m, &note, fd);
        else if (fd >= 0)
            close(fd);
    }
}

struct turn_mail *turn_mail_new(struct ev_loop *loop, struct turn_server *server)
{
    struct turn_mail *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->loop = loop;
    m->server = server;
    m->own = -1;
    ev_init(&m->watcher, mailbox_readable);
    m->watcher.data = m;
    return m;
}

void turn_mail_add(struct turn_mail *m, uint32_t worker, int fd)
{
    if (worker == m->server->config.worker_index && m->own < 0) {
        m->own = fd;
        ev_io_set(&m->watcher, fd, EV_READ);
        ev_io_start(m->loop, &m->watcher);
    } else if (worker != m->server->config.worker_index && worker < m->server->config.worker_count &&
               !m->others[worker]) {
        m->others[worker] = fd + 1;
    } else {
        close(fd);
    }
}

void turn_mail_on_tell(struct turn_mail *m, void (*told)(void *ctx), void *ctx)
{
    m->told = told;
    m->told_ctx = ctx;
}

void turn_mail_free(struct turn_mail *m)
{
    if (!m)
        return;
    ev_io_stop(m->loop, &m->watcher);
    if (m->own >= 0)
        close(m->own);
    for (size_t i = 0; i < TURN_WORKERS_MAX; i++)
        if (m->others[i])
            close(m->others[i] - 1);
    free(m);
}
