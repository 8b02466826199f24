#include "common/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/fatal.h"
#include "common/json_frame.h"
#include "common/sock.h"

enum {
    IPC_READ = 64 * 1024,
    IPC_QUEUE_MAX = 2 * (IPC_MAX + 4),
    IPC_LOST = -2, /* among the descriptors held: the rest of this message's did not fit into the process */
};

/* Descriptors wait with the stream offset of the first byte they travel with. */
struct ipc_parcel {
    STAILQ_ENTRY(ipc_parcel) next;
    uint64_t offset;
    size_t n;
    int fds[IPC_FDS_MAX];
};

struct ipc {
    struct ev_loop *loop;
    ev_io reader, writer;
    const struct ipc_events *events;
    void *ctx;
    int fd;
    struct buf in, out;
    uint64_t queued; /* stream offset behind the last byte of out */
    STAILQ_HEAD(, ipc_parcel) parcels;
    int held[IPC_FDS_MAX * 4]; /* received, not claimed by a message yet, oldest first */
    size_t n_held;
    bool finishing;
    bool *freed; /* set by ipc_free while a callback runs */
};

static void ipc_on_readable(struct ev_loop *loop, ev_io *w, int revents);
static void ipc_on_writable(struct ev_loop *loop, ev_io *w, int revents);

struct ipc *ipc_new(struct ev_loop *loop, int fd, const struct ipc_events *events, void *ctx)
{
    struct ipc *c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return NULL;
    }
    sock_set_nonblock(fd);
    sock_set_cloexec(fd);
    c->loop = loop;
    c->fd = fd;
    c->events = events;
    c->ctx = ctx;
    buf_init(&c->in, IPC_MAX + 4 + IPC_READ);
    buf_init(&c->out, IPC_QUEUE_MAX);
    STAILQ_INIT(&c->parcels);
    ev_io_init(&c->reader, ipc_on_readable, fd, EV_READ);
    ev_io_init(&c->writer, ipc_on_writable, fd, EV_WRITE);
    c->reader.data = c->writer.data = c;
    ev_io_start(loop, &c->reader);
    return c;
}

static void ipc_parcel_free(struct ipc_parcel *p)
{
    for (size_t i = 0; i < p->n; i++)
        close(p->fds[i]);
    free(p);
}

void ipc_free(struct ipc *c)
{
    if (!c)
        return;
    if (c->freed)
        *c->freed = true;
    ev_io_stop(c->loop, &c->reader);
    ev_io_stop(c->loop, &c->writer);
    while (!STAILQ_EMPTY(&c->parcels)) {
        struct ipc_parcel *p = STAILQ_FIRST(&c->parcels);
        STAILQ_REMOVE_HEAD(&c->parcels, next);
        ipc_parcel_free(p);
    }
    for (size_t i = 0; i < c->n_held; i++)
        if (c->held[i] >= 0)
            close(c->held[i]);
    close(c->fd);
    buf_wipe(&c->in);
    buf_wipe(&c->out);
    free(c);
}

static void ipc_broken(struct ipc *c)
{
    ev_io_stop(c->loop, &c->reader);
    ev_io_stop(c->loop, &c->writer);
    c->events->on_close(c->ctx);
}

/* Receiving ------------------------------------------------------------------------------------------- */

/* False when there is no room; fd is closed then. */
static bool ipc_hold_one(struct ipc *c, int fd)
{
    bool room = c->n_held < sizeof c->held / sizeof c->held[0];
    if (room)
        c->held[c->n_held++] = fd;
    else if (fd >= 0)
        close(fd);
    return room;
}

/* The kernel gives the descriptors of one message at most, and cuts off those for which the process has no
 * number left (MSG_CTRUNC). That must cost this one message and not the connection: in a worker it would cost
 * every call that it carries. */
static bool ipc_hold(struct ipc *c, struct msghdr *mh)
{
    bool room = true;
    for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
        if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(cm) + i * sizeof fd, sizeof fd);
            room = ipc_hold_one(c, fd) && room;
        }
    }
    if (mh->msg_flags & MSG_CTRUNC)
        room = ipc_hold_one(c, IPC_LOST) && room;
    return room;
}

/* The first `wanted` of those held, and in *n how many: all, or none where some were lost. False when they
 * have not come. */
static bool ipc_claim(struct ipc *c, size_t wanted, int fds[IPC_FDS_MAX], size_t *n)
{
    size_t used = 0;
    while (used < wanted && used < c->n_held && c->held[used] != IPC_LOST)
        used++;
    bool lost = used < wanted && used < c->n_held;
    if (used < wanted && !lost)
        return false;
    for (size_t i = 0; i < used; i++)
        if (lost)
            close(c->held[i]);
        else
            fds[i] = c->held[i];
    *n = lost ? 0 : used;
    used += lost;
    c->n_held -= used;
    memmove(c->held, c->held + used, c->n_held * sizeof c->held[0]);
    return true;
}

/* Descriptors travel with the first byte of their message, so all are held when its last byte is here. */
static bool ipc_deliver(struct ipc *c, json_t *msg)
{
    int fds[IPC_FDS_MAX];
    size_t n;
    json_int_t wanted = json_integer_value(json_object_get(msg, "fds"));
    if (wanted < 0 || wanted > IPC_FDS_MAX || !ipc_claim(c, (size_t)wanted, fds, &n))
        return false;
    c->events->on_message(c->ctx, json_frame_type(msg), msg, fds, n);
    for (size_t i = 0; i < n; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return true;
}

/* False when the connection is to be given up (or is freed already, then *freed is set). */
static bool ipc_parse(struct ipc *c, const bool *freed)
{
    for (;;) {
        size_t used;
        json_t *msg;
        enum err e = json_frame_decode(buf_data(&c->in), buf_len(&c->in), IPC_MAX, &used, &msg);
        if (e == ERR_AGAIN)
            return true;
        if (e != ERR_OK)
            return false;
        buf_consume(&c->in, used);
        bool ok = ipc_deliver(c, msg);
        json_decref(msg);
        if (!ok || *freed)
            return false;
    }
}

static void ipc_on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop, (void)revents;
    struct ipc *c = w->data;
    uint8_t *at;
    bool freed = false;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
    } control;
    if (buf_reserve(&c->in, IPC_READ, &at) != ERR_OK) {
        ipc_broken(c);
        return;
    }
    struct iovec iov = {.iov_base = at, .iov_len = IPC_READ};
    struct msghdr mh = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(c->fd, &mh, MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || !ipc_hold(c, &mh)) {
        ipc_broken(c);
        return;
    }
    buf_commit(&c->in, (size_t)n);
    c->freed = &freed;
    bool ok = ipc_parse(c, &freed);
    if (freed)
        return;
    c->freed = NULL;
    if (!ok)
        ipc_broken(c);
}

/* Sending --------------------------------------------------------------------------------------------- */

static ssize_t ipc_sendmsg(int fd, const void *data, size_t n, const int *fds, size_t n_fds)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
    } control;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = n};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    if (n_fds > 0) {
        memset(&control, 0, sizeof control);
        mh.msg_control = &control;
        mh.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);
        cm->cmsg_level = SOL_SOCKET;
        cm->cmsg_type = SCM_RIGHTS;
        cm->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(cm), fds, sizeof(int) * n_fds);
    }
    return sendmsg(fd, &mh, MSG_NOSIGNAL);
}

static void ipc_on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)revents;
    struct ipc *c = w->data;
    while (buf_len(&c->out) > 0) {
        uint64_t front = c->queued - buf_len(&c->out);
        struct ipc_parcel *p = STAILQ_FIRST(&c->parcels);
        size_t n = buf_len(&c->out);
        bool with = p && p->offset == front;
        struct ipc_parcel *stop = with ? STAILQ_NEXT(p, next) : p;
        if (stop && stop->offset - front < n)
            n = (size_t)(stop->offset - front); /* its descriptors travel with its own first byte */
        ssize_t sent = ipc_sendmsg(c->fd, buf_data(&c->out), n, with ? p->fds : NULL, with ? p->n : 0);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (sent < 0) {
            ev_io_stop(loop, &c->writer);
            shutdown(c->fd, SHUT_RDWR); /* whatever it was: the reader meets the end and says so */
            return;
        }
        if (with) {
            STAILQ_REMOVE_HEAD(&c->parcels, next);
            ipc_parcel_free(p);
        }
        buf_consume(&c->out, (size_t)sent);
    }
    ev_io_stop(loop, &c->writer);
    if (c->finishing)
        shutdown(c->fd, SHUT_RDWR);
}

void ipc_finish(struct ipc *c)
{
    c->finishing = true;
    ev_io_start(c->loop, &c->writer);
}

static enum err ipc_set_count(json_t *msg, size_t n_fds)
{
    if (n_fds > IPC_FDS_MAX)
        return ERR_TOO_LONG;
    if (n_fds > 0 && json_object_set_new(msg, "fds", json_integer((json_int_t)n_fds)) < 0)
        return ERR_MEMORY;
    return ERR_OK;
}

enum err ipc_send(struct ipc *c, json_t *msg, const int *fds, size_t n_fds)
{
    struct ipc_parcel *p = NULL;
    enum err e = msg ? ipc_set_count(msg, n_fds) : ERR_MEMORY;
    if (e != ERR_OK)
        goto out;
    if (n_fds > 0) {
        p = calloc(1, sizeof *p);
        if (!p) {
            e = ERR_MEMORY;
            goto out;
        }
        p->offset = c->queued;
        for (; p->n < n_fds; p->n++) {
            p->fds[p->n] = fcntl(fds[p->n], F_DUPFD_CLOEXEC, 3);
            if (p->fds[p->n] < 0) {
                e = ERR_SYSTEM;
                goto out;
            }
        }
    }
    size_t before = buf_len(&c->out);
    e = json_frame_encode(&c->out, msg, IPC_MAX);
    if (e != ERR_OK)
        goto out;
    c->queued += buf_len(&c->out) - before;
    if (p)
        STAILQ_INSERT_TAIL(&c->parcels, p, next);
    p = NULL;
    ev_io_start(c->loop, &c->writer);
out:
    if (p)
        ipc_parcel_free(p);
    json_decref(msg);
    return e;
}

/* Blocking forms --------------------------------------------------------------------------------------- */

enum err ipc_send_fd(int fd, json_t *msg, const int *fds, size_t n_fds)
{
    struct buf out;
    buf_init(&out, IPC_MAX + 4);
    enum err e = msg ? ipc_set_count(msg, n_fds) : ERR_MEMORY;
    if (e == ERR_OK)
        e = json_frame_encode(&out, msg, IPC_MAX);
    while (e == ERR_OK && buf_len(&out) > 0) {
        ssize_t n = ipc_sendmsg(fd, buf_data(&out), buf_len(&out), fds, n_fds);
        if (n >= 0) {
            buf_consume(&out, (size_t)n);
            n_fds = 0;
        } else if (errno != EINTR) {
            e = ERR_SYSTEM;
        }
    }
    buf_free(&out);
    json_decref(msg);
    return e;
}

enum err ipc_receive_fd(int fd, int timeout_ms, json_t **msg)
{
    struct buf in;
    buf_init(&in, IPC_MAX + 4 + IPC_READ);
    enum err e = ERR_AGAIN;
    while (e == ERR_AGAIN) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        uint8_t *at;
        size_t used;
        int ready = poll(&p, 1, timeout_ms);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0) {
            e = ready == 0 ? ERR_TIMEOUT : ERR_SYSTEM;
            break;
        }
        if (buf_reserve(&in, IPC_READ, &at) != ERR_OK) {
            e = ERR_MEMORY;
            break;
        }
        ssize_t n = read(fd, at, IPC_READ);
        if (n <= 0) {
            e = n == 0 ? ERR_EOF : ERR_SYSTEM;
            break;
        }
        buf_commit(&in, (size_t)n);
        e = json_frame_decode(buf_data(&in), buf_len(&in), IPC_MAX, &used, msg);
    }
    buf_free(&in);
    return e;
}
